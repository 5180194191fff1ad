"""The three ways to an answer: a model alone, documents, or an agent.  Each passes its events on and tells what the answer is made from."""

from __future__ import annotations

import contextlib
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, cast

from insjo.access.errors import FlowBlocked
from insjo.access.service.flow import may_flow
from insjo.access.types import Provenance, provenance_of
from insjo.agents.chat_wording import say
from insjo.agents.context import answer_tokens, fit
from insjo.agents.service.file_quotes import FileQuotes
from insjo.agents.types import Cited, Delta, Finished, Notice, Retrieved, Source, ToolCalled, ToolReturned
from insjo.gateway.errors import RequestInvalid
from insjo.gateway.types import TOLD, Route, ServedKind, Task, TokenUsage
from insjo.retrieval import types as retrieved
from insjo.retrieval.types import AnswerSpec, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from insjo.agents.context import Fitted
    from insjo.agents.service.conversations import Recalled
    from insjo.agents.service.running_answer import RunningAnswer
    from insjo.agents.types import ChatEvent
    from insjo.gateway.service.room import GatewayRoom
    from insjo.gateway.service.snapshot import Candidate
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads
    from insjo.retrieval.service.room import RetrievalRoom

FENCE_BYTES: Final = 6
SMALL_BYTES_MAX: Final = 400 * 1024 * 1024
"""As in retrieval: the file of a model that makes up what it should read."""

REPEATS_MAX: Final = 4
"""So many equal pieces one after the other are no style any more."""

REPEATED_CHARS_MIN: Final = 24
REPEATED_CHARS_MAX: Final = 400
_NUMBERING: Final = re.compile(r"^\s*(?:[-*]|\d+[.)])\s*")
HISTORY_TURNS_MAX: Final = 12
"""Turns that documents and agents are told of; they need only what a question refers to."""


class Agents(Protocol):
    """Who answers with the tools of an agent."""

    def run(
        self,
        ctx: RequestContext,
        name: str,
        question: str,
        *,
        history: Sequence[Turn] = (),
        question_provenance: Provenance | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        """The events of one answer; the last is `Finished`."""
        ...


class Answering:
    """Asks whoever shall answer."""

    def __init__(self, *, gateway: GatewayRoom, retrieval: RetrievalRoom, agents: Agents, threads: Threads) -> None:
        """Keep whom to ask."""
        self._gateway = gateway
        self._retrieval = retrieval
        self._agents = agents
        self._threads = threads
        self._quotes = FileQuotes(gateway=gateway, terms=retrieval.terms, threads=threads)

    async def answer(self, run: RunningAnswer, recalled: Recalled) -> None:
        """Ask, and pass on what comes; raises what those raise that are asked."""
        opened = run.begun.conversation
        # Without words of their own, somebody who attaches a file wants to know what it says; these words are ours.
        text = run.asked.text or say("what_is_in_it", run.language)
        question = Turn("user", text, run.begun.message.provenance)
        if opened.agent or opened.indexes:
            if run.texts:
                await run.note(Notice(say("files_unread", run.language)))
            # Only the files of this message count as read or not; its words have the label that they had before.
            turns = recalled.turns[-HISTORY_TURNS_MAX:]
            run.draft.presume(provenance_of(each.provenance for each in turns))
            if opened.agent:
                await self._ask_agent(run, opened.agent, question, turns)
            else:
                await self._ask_documents(run, opened.indexes, opened.endpoint, question, turns)
        else:
            await self._ask_model(run, opened.endpoint, question, recalled)

    # ------------------------------------------------------------------------------------------------------------------- a model

    async def _ask_model(self, run: RunningAnswer, endpoint: str, question: Turn, recalled: Recalled) -> None:
        """The conversation, as much of it as fits, to a model."""
        room = 1.0
        while True:
            fitted, candidate = await self._fitted(run.ctx, endpoint, question, recalled, room)
            if recalled.texts and await self._is_small(run.ctx, candidate):
                if await self._quotes.answer(run, endpoint, question, recalled.texts):
                    return
                # The question is about something else, so the files would only confuse so small a model.
                recalled = replace(recalled, texts=())
                continue
            try:
                await self._stream(run, endpoint, fitted, candidate)
            except RequestInvalid as error:
                # Tokens are estimated: when the model says that it is too much, half as much is tried once.
                if room < 1 or run.draft.text or "context" not in str(error).lower():
                    raise
                room = 0.5
            except FlowBlocked as error:
                if recalled.turns:
                    error.hint = f"{error.hint} {say('new_conversation', run.language)}".strip()
                raise
            else:
                return

    async def _stream(self, run: RunningAnswer, endpoint: str, fitted: Fitted, candidate: Candidate | None) -> None:
        """One call of the gateway."""
        here = candidate is not None and candidate.served.kind is ServedKind.LOCAL
        tokens = answer_tokens(candidate.served.profile.context_tokens) if here and candidate is not None else None
        run.draft.presume(fitted.provenance)
        asked = self._gateway.completions.stream_text(run.ctx, endpoint, fitted.messages, max_tokens=tokens)
        async with contextlib.aclosing(cast("AsyncGenerator[str | Route | TokenUsage, None]", asked)) as stream:
            async for piece in stream:
                if isinstance(piece, Route):
                    run.draft.answered_by(piece)
                    await self._tell_way(run, piece, fitted)
                elif isinstance(piece, str):
                    if not await run.say(piece):
                        await run.note(Notice(say("too_long", run.language)))
                        break
                    once = repeated_from(run.draft.text) if here else None
                    if once is not None:
                        run.draft.text = run.draft.text[:once].rstrip()
                        await run.note(Notice(say("repeats", run.language)))
                        break
        run.draft.complete(fitted.provenance)

    async def _is_small(self, ctx: RequestContext, candidate: Candidate | None) -> bool:
        """Whether a model is so small that it makes up what it should read."""
        if candidate is None or candidate.served.kind is not ServedKind.LOCAL:
            return False
        models = await self._threads.run(self._gateway.endpoints.local_models, ctx)
        return any(each.name == candidate.served.model and 0 < each.size_bytes <= SMALL_BYTES_MAX for each in models)

    @staticmethod
    async def _tell_way(run: RunningAnswer, route: Route, fitted: Fitted) -> None:
        """What the reader must know before the answer comes."""
        if route.outcome in TOLD:
            text = say("rerouted", run.language, model=route.served_model, reason=route.reason)
            await run.note(Notice(text, "rerouted" if route.outcome == "rerouted" else "notice"))
        if fitted.excerpted:
            await run.note(Notice(say("excerpts", run.language, names=", ".join(f"`{name}`" for name in fitted.excerpted))))
        if fitted.question_cut:
            await run.note(Notice(say("question_cut", run.language)))

    async def _fitted(
        self, ctx: RequestContext, endpoint: str, question: Turn, recalled: Recalled, room: float
    ) -> tuple[Fitted, Candidate | None]:
        """What is sent, made for the first served model that may receive it; the gateway decides for itself again."""
        view = await self._gateway.snapshots.admit(ctx, endpoint, Task.CHAT)
        fence = secrets.token_hex(FENCE_BYTES)
        sizes: dict[int, Fitted] = {}
        first: tuple[Fitted, Candidate | None] | None = None
        for candidate in view.candidates:
            tokens = candidate.served.profile.context_tokens
            if tokens not in sizes:
                limit = int(tokens * room) if tokens or room == 1 else 4096
                sizes[tokens] = await self._threads.run(fit, question, recalled.turns, recalled.texts, context_tokens=limit, fence=fence)
            if may_flow(sizes[tokens].provenance.label, candidate.clearance).allowed:
                return sizes[tokens], candidate
            first = first or (sizes[tokens], None)
        if first is None:
            return await self._threads.run(fit, question, recalled.turns, recalled.texts, context_tokens=0, fence=fence), None
        return first

    # ----------------------------------------------------------------------------------------------------------------- documents

    async def _ask_documents(
        self, run: RunningAnswer, indexes: Sequence[str], endpoint: str, question: Turn, turns: Sequence[Turn]
    ) -> None:
        """An answer with sources."""
        spec = AnswerSpec(tuple(indexes), question.text, endpoint=endpoint, history=tuple(turns), question_provenance=question.provenance)
        async with contextlib.aclosing(self._retrieval.answers.create(run.ctx, spec)) as events:
            async for event in events:
                match event:
                    case retrieved.Retrieved(hits):
                        run.draft.presume(provenance_of(each.provenance for each in hits))
                        await run.tell(Retrieved(len(hits)))
                    case retrieved.Delta(text):
                        await run.say(text)
                    case retrieved.Cited(citations):
                        for each in citations:
                            await run.cite(_source_of(each))
                    case retrieved.Notice(text):
                        await run.note(Notice(text))
                    case retrieved.Finished():
                        for each in event.citations:
                            await run.cite(_source_of(each))
                        run.draft.answered_by(event.route if event.worded_by == "model" else None)
                        run.draft.complete(event.provenance, event.text)

    # ----------------------------------------------------------------------------------------------------------------- an agent

    async def _ask_agent(self, run: RunningAnswer, name: str, question: Turn, turns: Sequence[Turn]) -> None:
        """An answer with the tools of an agent."""
        asked = self._agents.run(run.ctx, name, question.text, history=turns, question_provenance=question.provenance)
        async with contextlib.aclosing(asked) as events:
            async for event in events:
                match event:
                    case Delta(text):
                        await run.say(text)
                    case Cited(source):
                        await run.cite(source)
                    case Notice():
                        await run.note(event)
                    case ToolCalled(_, sql):
                        run.draft.sql = sql or run.draft.sql
                        await run.tell(event)
                    case ToolReturned(_, _, label):
                        if label is not None:
                            run.draft.presume(Provenance(label))
                        await run.tell(event)
                    case Retrieved():
                        await run.tell(event)
                    case Finished():
                        for source in event.sources:
                            await run.cite(source)
                        run.draft.sql = event.sql
                        run.draft.answered_by(event.route)
                        run.draft.complete(event.provenance, event.text)


def repeated_from(text: str) -> int | None:
    """Where the second of several equal pieces at the end of a text begins; lines may differ in their numbers.

    A small model that has begun to repeat itself does not stop before its last token.
    """
    lines = text[-REPEATS_MAX * REPEATED_CHARS_MAX :].split("\n")
    whole = [line for line in lines[:-1] if line.strip()][-REPEATS_MAX:]
    said = {_NUMBERING.sub("", line).strip() for line in whole}
    if len(whole) == REPEATS_MAX and len(said) == 1 and _says_something(said.pop()):
        return text.rindex(whole[0], 0, len(text) - sum(len(line) for line in whole[1:])) + len(whole[0])
    needed = text[-REPEATED_CHARS_MIN:]
    before = text.rfind(needed, max(len(text) - 2 * REPEATED_CHARS_MAX, 0), len(text) - 1)
    length = len(text) - len(needed) - before
    if before < 0 or not REPEATED_CHARS_MIN <= length <= REPEATED_CHARS_MAX or not _says_something(needed):
        return None
    return len(text) - (REPEATS_MAX - 1) * length if text.endswith(text[-length:] * REPEATS_MAX) else None


def _says_something(text: str) -> bool:
    """Whether a piece is long enough, and no mere line of a table."""
    return len(text) >= REPEATED_CHARS_MIN and any(char.isalpha() for char in text)


def _source_of(citation: retrieved.Citation) -> Source:
    hit = citation.hit
    place = f"{hit.place} · {hit.heading}" if hit.heading else hit.place
    return Source(citation.number, hit.title or hit.path.rsplit("/", 1)[-1], place, hit.link, citation.quote)
