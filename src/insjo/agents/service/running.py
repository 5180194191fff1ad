"""One run of an agent: find a statement that can be trusted, or passages, or say honestly that there is no answer.

Every word of the answer that is no quote comes from rules or from the rows.  A model may write a statement when it is big enough for
that; the statement is checked, run, and shown.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, cast

from insjo.access.types import UNLABELLED, Privilege, Provenance, SecurableKind, provenance_of
from insjo.agents import prompting
from insjo.agents.answering import ROWS_KEPT, answer_text, result_table, summary_of
from insjo.agents.drafting.examples import match_example, nearest_examples
from insjo.agents.drafting.following import followed
from insjo.agents.drafting.reading import Unclear, draft, phrases_of
from insjo.agents.language import language_of
from insjo.agents.reading import check_reads
from insjo.agents.service.knowledge import DOOR
from insjo.agents.service.models import is_capable
from insjo.agents.types import Cited, Delta, Finished, Notice, Retrieved, Source, ToolCalled, ToolReturned
from insjo.agents.wording import say
from insjo.gateway.types import TOLD, Message, Route, TokenUsage
from insjo.kernel.errors import InsjoError, InvalidArgument, NotFound, PermissionDenied, Unimplemented
from insjo.retrieval import types as retrieval
from insjo.retrieval.types import AnswerSpec
from insjo.sql.types import StatementSpec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from insjo.access.service.facade import Access
    from insjo.agents.drafting.tables import TableFacts, Value
    from insjo.agents.pages import Language
    from insjo.agents.service.knowledge import Knowledge
    from insjo.agents.types import Agent, ChatEvent, Example, ResultTable
    from insjo.gateway.service.room import GatewayRoom
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads
    from insjo.retrieval.service.room import RetrievalRoom
    from insjo.sql.service.room import SqlRoom

SQL_MODEL_BYTES_MIN: Final = 900 * 1024 * 1024
"""A local model below this size writes statements that run and are wrong (docs/reference/models.md): it is not asked."""

FOUND_MIN: Final = 0.33
"""Score of the best passage from which on the documents are asked before a model writes SQL."""

STATEMENT_TIMEOUT_S: Final = 60.0
SQL_TOKENS_MAX: Final = 400
EXAMPLES_SHOWN: Final = 5
SUGGESTIONS: Final = 3
TALK_TOKENS_MAX: Final = 800
TURNS_MAX: Final = 8
TURN_CHARS_MAX: Final = 1500


@dataclass(slots=True)
class Plan:
    """A statement that may be run, and the sentences that say what it does and where it comes from."""

    sql: str
    words: tuple[str, ...]
    by_model: bool = False


@dataclass(slots=True)
class _Run:
    """A run in the making."""

    agent: Agent
    question: str
    provenance: Provenance
    language: Language
    tables: list[TableFacts]
    examples: tuple[Example, ...]
    indexes: tuple[str, ...]
    history: Sequence[retrieval.Turn]
    unclear: Unclear | None = None
    route: Route | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement gave."""

    plan: Plan
    table: ResultTable
    text: str
    provenance: Provenance


class Running:
    """Runs agents for people."""

    def __init__(
        self, *, access: Access, knowledge: Knowledge, sql: SqlRoom, gateway: GatewayRoom, retrieval_room: RetrievalRoom, threads: Threads
    ) -> None:
        self._access = access
        self._knowledge = knowledge
        self._sql = sql
        self._gateway = gateway
        self._retrieval = retrieval_room
        self._threads = threads

    async def answer(
        self, ctx: RequestContext, agent: Agent, question: str, history: Sequence[retrieval.Turn], provenance: Provenance
    ) -> AsyncGenerator[ChatEvent, None]:
        """The events of one answer; the last is `Finished`."""
        run = await self._threads.run(self._begin, ctx, agent, question, history, provenance)
        plan = await self._threads.run(self._plan, ctx, run)
        if not (agent.tables or agent.indexes or agent.hides):
            parts = self._talk(ctx, run)
        else:
            parts = self._with_plan(ctx, run, plan) if plan is not None else self._without_plan(ctx, run)
        async with contextlib.aclosing(parts):
            async for event in parts:
                yield event

    async def _talk(self, ctx: RequestContext, run: _Run) -> AsyncGenerator[ChatEvent, None]:
        """An agent without tools is a model with instructions: what it says is the model's word and nothing else."""
        messages = [Message("system", run.agent.instructions, Provenance(UNLABELLED))] if run.agent.instructions else []
        messages += [Message(turn.role, turn.text[:TURN_CHARS_MAX], turn.provenance) for turn in run.history[-TURNS_MAX:]]
        messages.append(Message("user", run.question, run.provenance))
        provenance = provenance_of(each.provenance for each in messages if each.provenance is not None)
        text = ""
        asked = self._gateway.completions.stream_text(ctx, run.agent.endpoint, messages, max_tokens=TALK_TOKENS_MAX)
        async with contextlib.aclosing(cast("AsyncGenerator[str | Route | TokenUsage, None]", asked)) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    text += piece
                    yield Delta(piece)
                elif isinstance(piece, Route):
                    run.route = piece
                    if piece.outcome in TOLD:
                        yield Notice(say("rerouted", run.language, model=piece.served_model, reason=piece.reason), "rerouted")
        yield Finished(text, provenance, route=run.route, worded_by="model")

    # --------------------------------------------------------------------------------------------------------------- planning

    def _begin(self, ctx: RequestContext, agent: Agent, question: str, history: Sequence[retrieval.Turn], provenance: Provenance) -> _Run:
        """What the caller may use of the agent's tools, now."""
        tables = self._knowledge.readable(ctx, agent.tables)
        names = tuple(each.full_name for each in tables)
        examples = (
            agent.examples if len(names) == len(agent.tables) else tuple(each for each in agent.examples if _allowed(each.sql, names))
        )
        decide = self._access.authority.decide_by_name
        indexes = tuple(each for each in agent.indexes if decide(ctx, SecurableKind.INDEX, each, Privilege.SELECT).allowed)
        return _Run(agent, question, provenance, language_of(question), tables, examples, indexes, history)

    def _plan(self, ctx: RequestContext, run: _Run) -> Plan | None:
        """A statement from a trusted example or from the rules; None when neither is certain."""
        if not run.tables:
            return None
        values: dict[str, list[Value]] = {}
        matched = match_example(run.question, run.examples, values)
        if matched is None:
            read = draft(run.question, run.tables, values)
            if isinstance(read, Unclear):
                values = self._knowledge.values(ctx, phrases_of(run.question), run.tables)
                matched = match_example(run.question, run.examples, values) if values else None
                read = draft(run.question, run.tables, values) if values and matched is None else read
            if matched is None:
                if isinstance(read, Unclear):
                    run.unclear = read
                    return self._following(ctx, run, values)
                return Plan(read.sql(), (read.words(run.language),))
        key = "as_filled" if matched.filled else "as_example"
        return Plan(matched.sql, (say(key, run.language, question=matched.example.question),))

    def _following(self, ctx: RequestContext, run: _Run, values: dict[str, list[Value]]) -> Plan | None:
        """The statement of the question before, with the value of this one; None when this one asks for something else."""
        before = next((turn for turn in reversed(run.history) if turn.role == "user"), None)
        if before is None or not values:
            return None
        earlier = _Run(run.agent, before.text, before.provenance, run.language, run.tables, run.examples, run.indexes, ())
        plan = self._plan(ctx, earlier)
        sql = followed(run.question, plan.sql, values) if plan is not None else None
        if sql is None:
            return None
        run.provenance = run.provenance.join(before.provenance)
        return Plan(sql, (say("as_before", run.language, question=before.text),))

    # ------------------------------------------------------------------------------------------------------------- statements

    async def _with_plan(self, ctx: RequestContext, run: _Run, plan: Plan) -> AsyncGenerator[ChatEvent, None]:
        """Run a statement and tell its rows."""
        yield ToolCalled("sql", plan.sql)
        try:
            rows = await self._threads.run(self._rows, ctx, run, plan)
        except InsjoError as error:
            yield ToolReturned("sql", error.message)
            text = f"{say('statement_failed', run.language, error=str(error))}\n\n```sql\n{plan.sql}\n```"
            yield Delta(text)
            yield Finished(text, run.provenance, sql=plan.sql, answered=False)
            return
        for event in _told(run, rows):
            yield event

    def _rows(self, ctx: RequestContext, run: _Run, plan: Plan) -> Rows:
        """Check a statement once more, run it as the caller, and word its rows."""
        check_reads(plan.sql, tuple(each.full_name for each in run.tables))
        spec = StatementSpec(plan.sql, row_limit=ROWS_KEPT + 1)
        result = self._sql.statements.run(ctx.through(DOOR), spec, timeout_s=STATEMENT_TIMEOUT_S)
        columns = [each.name for each in result.statement.columns]
        found = list(zip(*(column.to_pylist() for column in result.table.columns), strict=True))
        table = result_table(columns, found, row_count=len(found), truncated=result.statement.truncated)
        text = answer_text(found, table, plan.sql, plan.words, run.language)
        return Rows(plan, table, text, run.provenance.join(result.statement.provenance))

    # -------------------------------------------------------------------------------------------------------- documents, models

    async def _without_plan(self, ctx: RequestContext, run: _Run) -> AsyncGenerator[ChatEvent, None]:
        """Documents, then a model that can write statements, then the honest answer."""
        capable = bool(run.tables) and await self._threads.run(self._writes_sql, ctx, run)
        if run.indexes:
            told = False
            events = self._from_documents(ctx, run, weak_is_enough=not capable)
            async with contextlib.aclosing(events):
                async for event in events:
                    told = told or isinstance(event, Finished)
                    yield event
            if told:
                return
        if capable:
            written = self._written(ctx, run)
            async with contextlib.aclosing(written):
                async for event in written:
                    yield event
            return
        yield self._no_answer(run)

    async def _from_documents(self, ctx: RequestContext, run: _Run, *, weak_is_enough: bool) -> AsyncGenerator[ChatEvent, None]:
        """A cited answer; ends without `Finished` when the documents hold none and something else can still be tried."""
        spec = AnswerSpec(
            indexes=run.indexes,
            question=run.question,
            endpoint=run.agent.endpoint,
            history=tuple(run.history),
            question_provenance=run.provenance,
        )
        yield ToolCalled("search")
        asked = self._retrieval.answers.create(ctx, spec)
        async with contextlib.aclosing(asked):
            async for event in asked:
                if isinstance(event, retrieval.Retrieved):
                    label = provenance_of(hit.provenance for hit in event.hits).label
                    yield Retrieved(len(event.hits))
                    yield ToolReturned("search", say("passages", run.language, count=len(event.hits)), label)
                    best = event.hits[0].score if event.hits else 0.0
                    if best < FOUND_MIN and not weak_is_enough:
                        return
                elif isinstance(event, retrieval.Delta):
                    yield Delta(event.text)
                elif isinstance(event, retrieval.Notice):
                    yield Notice(event.text)
                elif isinstance(event, retrieval.Cited):
                    for citation in event.citations:
                        yield Cited(source_of(citation))
                elif not event.found:
                    yield self._no_answer(run, event)
                    return
                else:
                    sources = tuple(source_of(each) for each in event.citations)
                    yield Finished(event.text, event.provenance, sources, route=event.route, worded_by=_worded(event))
                    return

    def _writes_sql(self, ctx: RequestContext, run: _Run) -> bool:
        """Whether the model that would answer is big enough to be trusted with a statement."""
        return is_capable(ctx, self._gateway, run.agent.endpoint, run.provenance.label.join(UNLABELLED), SQL_MODEL_BYTES_MIN)

    async def _written(self, ctx: RequestContext, run: _Run) -> AsyncGenerator[ChatEvent, None]:
        """A statement of the model: checked, run, and told what was wrong at most twice.

        The model sees names of tables and columns and the examples, never rows.
        """
        described = Provenance(UNLABELLED)
        system = Message("system", prompting.system_text(run.agent.instructions, run.tables), described)
        examples = nearest_examples(run.question, run.examples, EXAMPLES_SHOWN)
        failures: list[tuple[str, str]] = []
        while len(failures) < prompting.ATTEMPTS_MAX:
            asked = Message("user", prompting.question_text(run.question, examples, failures), run.provenance.join(described))
            try:
                answer = await self._gateway.completions.complete_text(
                    ctx, run.agent.endpoint, [system, asked], max_tokens=SQL_TOKENS_MAX, temperature=0.0
                )
            except InsjoError as error:
                run.notes.append(say("model_away", run.language, error=str(error)))
                break
            if run.route is None and answer.route.outcome in TOLD:
                text = say("rerouted", run.language, model=answer.route.served_model, reason=answer.route.reason)
                yield Notice(text, "rerouted" if answer.route.outcome == "rerouted" else "notice")
            run.route = answer.route
            sql = prompting.statement_in(answer.text)
            if not sql:
                break
            yield ToolCalled("sql", sql)
            try:
                rows = await self._threads.run(self._rows, ctx, run, Plan(sql, (say("by_model", run.language),), by_model=True))
            except (InvalidArgument, NotFound, PermissionDenied, Unimplemented) as error:
                yield ToolReturned("sql", error.message)
                failures.append((sql, str(error)))
                continue
            for event in _told(run, rows):
                yield event
            return
        if failures:
            run.notes.append(say("model_gave_up", run.language, error=failures[-1][1]))
        yield self._no_answer(run)

    # ------------------------------------------------------------------------------------------------------------ no answer

    def _no_answer(self, run: _Run, documents: retrieval.Finished | None = None) -> Finished:
        """The honest answer: what was not understood, and what can be asked."""
        language = run.language
        if not run.tables and not run.indexes:
            return Finished(say("nothing_to_use", language), run.provenance, answered=False)
        parts = [say("cannot", language)]
        unclear = run.unclear
        if unclear is not None and unclear.options:
            listed = ", ".join(f"`{each}`" for each in unclear.options)
            key = {"column": "which_column", "table": "which_table"}.get(unclear.reason, "not_understood")
            parts.append(say(key, language, options=listed, words=listed))
        parts += run.notes
        sources: tuple[Source, ...] = ()
        provenance = run.provenance
        if documents is not None:
            sources = tuple(source_of(each) for each in documents.citations)
            provenance = provenance.join(documents.provenance)
            if sources or not run.tables:
                parts.append(documents.text)
        examples = nearest_examples(run.question, run.examples, SUGGESTIONS)
        if examples:
            parts.append(say("ask_like", language) + "\n\n" + "\n".join(f"- {each.question}" for each in examples))
        return Finished("\n\n".join(parts), provenance, sources, route=run.route, answered=False)


def _told(run: _Run, rows: Rows) -> list[ChatEvent]:
    """The events that tell the rows of a statement; the label comes before the text."""
    return [
        ToolReturned("sql", summary_of(rows.table, run.language), rows.provenance.label),
        Delta(rows.text),
        Finished(
            rows.text,
            rows.provenance,
            sql=rows.plan.sql,
            table=rows.table,
            route=run.route,
            worded_by="model" if rows.plan.by_model else "rules",
        ),
    ]


def source_of(citation: retrieval.Citation) -> Source:
    """A citation as conversations keep it."""
    hit = citation.hit
    return Source(citation.number, hit.title or hit.place, hit.place, hit.link, citation.quote)


def _worded(finished: retrieval.Finished) -> Literal["model", "rules"]:
    """Whether a model took part in the words."""
    return "model" if finished.worded_by == "model" else "rules"


def _allowed(sql: str, names: tuple[str, ...]) -> bool:
    """Whether a statement reads these tables only."""
    try:
        check_reads(sql, names)
    except InsjoError:
        return False
    return True
