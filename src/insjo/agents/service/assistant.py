"""The assistant beside every page: it finds the page, reads the documentation, finds tables, writes SQL, explains errors, offers changes.

It works without any language model.  Each way of answering is tried in turn, and the page that fits best is always named.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from insjo.access.types import PUBLIC, UNLABELLED, Provenance
from insjo.agents import documentation, prompting
from insjo.agents.drafting.reading import Unclear, draft, phrases_of
from insjo.agents.drafting.words import COUNT_PHRASES, INTENTS, MOST, TOP, tokens_of
from insjo.agents.errors import MessageInvalid
from insjo.agents.finding import FIND, Findable, find, terms_of
from insjo.agents.language import language_of
from insjo.agents.pages import pages_by_key
from insjo.agents.requests import request_in
from insjo.agents.service.models import is_capable
from insjo.agents.service.navigator import Navigator
from insjo.agents.service.running import SQL_MODEL_BYTES_MIN, SQL_TOKENS_MAX
from insjo.agents.types import Action, AssistantAnswer, Source
from insjo.agents.wording import say
from insjo.gateway.types import Message
from insjo.kernel.errors import InsjoError
from insjo.kernel.paging import PageRequest

if TYPE_CHECKING:
    from insjo.access.service.facade import Access
    from insjo.agents.drafting.query import Query
    from insjo.agents.drafting.tables import TableFacts, Value
    from insjo.agents.navigation import RankedPage
    from insjo.agents.pages import Language, Page
    from insjo.agents.service.actions import Actions
    from insjo.agents.service.agents import Agents
    from insjo.agents.service.knowledge import Knowledge
    from insjo.agents.types import AssistantQuestion, Done
    from insjo.catalog.service.room import CatalogRoom
    from insjo.gateway.service.room import GatewayRoom
    from insjo.jobs.service import Jobs
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads
    from insjo.retrieval.service.room import RetrievalRoom

QUESTION_CHARS_MAX: Final = 4000
CHAT_ENDPOINT: Final = "insjo-chat"
MODEL_WAIT_S: Final = 20.0
WRITER_WAIT_S: Final = 60.0
MODEL_BYTES_MIN: Final = 400 * 1024 * 1024
"""Below this size a model's words are not worth waiting for, nor to be trusted."""

PAGE_SURE: Final = 2.0
"""From this many standard deviations above the average page on, the page is meant; below, it is a guess and said as one."""

DOCS_SURE: Final = 0.8
DOCS_COVERED: Final = 0.6
ALTERNATIVES: Final = 2
TABLES_TRIED: Final = 12
RUNS_SHOWN: Final = 5
STATEMENT_CHARS_MAX: Final = 4000
NOT_IN: Final = "NOT IN THE PASSAGES"

_QUESTION = re.compile(
    r"\?\s*$|^\s*(how|what|why|when|who|where|which|can|may|does|do|is|are|explain|describe|hur|vad|varför|när|vem|vilka|vilken|kan|får|"
    r"förklara|beskriv|berätta|finns|stöds|går)\b",
    re.IGNORECASE,
)
_ERROR_WORDS = re.compile(
    r"\b(error|fail\w*|wrong|fix|broken|why|what happened|mean\w*|help|explain|fel\w*|varför|hjälp|förklara|betyder|trasig)\b",
    re.IGNORECASE,
)
_DATA_WORDS = re.compile(
    r"\b(tables?|columns?|data|data ?sets?|tabell\w*|kolumn\w*|datamängd\w*|uppgifter|vyer?|views?|volumes?|volym\w*)\b", re.IGNORECASE
)
_WRITES_SQL = re.compile(r"\b(?:write|skriv)\b.*\b(?:sql|query|statement|fråga|sats)\b", re.IGNORECASE)
_ERROR_CODE = re.compile(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b")
_THIS = re.compile(
    r"\b(?:this|the current|den här|det här|denna|detta) "
    r"(table|view|schema|catalog|volume|tabellen|tabell|vyn|vy|schemat|katalogen|volymen)\b",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Asked:
    """A question with what is known about it."""

    ctx: RequestContext
    text: str
    language: Language
    question: AssistantQuestion
    pages: list[RankedPage]

    @property
    def page(self) -> Page:
        """The page that fits best."""
        return self.pages[0].page


class Assistant:
    """Answers what somebody asks beside a page, and carries out what they confirm."""

    def __init__(
        self,
        *,
        access: Access,
        catalog: CatalogRoom,
        jobs: Jobs,
        gateway: GatewayRoom,
        retrieval: RetrievalRoom,
        agents: Agents,
        knowledge: Knowledge,
        actions: Actions,
        threads: Threads,
    ) -> None:
        self._access = access
        self._catalog = catalog
        self._jobs = jobs
        self._gateway = gateway
        self._retrieval = retrieval
        self._agents = agents
        self._knowledge = knowledge
        self._actions = actions
        self._threads = threads
        self._navigator = Navigator(gateway=gateway, threads=threads)

    async def ask(self, ctx: RequestContext, question: AssistantQuestion) -> AssistantAnswer:
        """Answer a question; changes nothing.

        Raises:
            MessageInvalid: It is empty or too long.
        """
        text = " ".join(question.text.split())
        if not text or len(text) > QUESTION_CHARS_MAX:
            raise MessageInvalid(f"A question has 1 to {QUESTION_CHARS_MAX} characters.")
        language = language_of(text, question.language)
        ranked = await self.rank(ctx, text)
        asked = _Asked(ctx, _with_context(text, question), language, question, ranked)
        for way in (self._change, self._error, self._search, self._statement):
            answer = await self._threads.run(way, asked)
            if answer is not None:
                return _with_page(asked, answer)
        return _with_page(asked, await self._written(asked) or await self._told(asked))

    def confirm(self, ctx: RequestContext, action_id: str) -> Done:
        """Carry out an action that was offered; see `Actions.confirm`."""
        return self._actions.confirm(ctx, action_id)

    async def rank(self, ctx: RequestContext, text: str) -> list[RankedPage]:
        """All pages, the one that fits best first."""
        return await self._navigator.rank(ctx, text)

    # ---------------------------------------------------------------------------------------------------------------- changes

    def _change(self, asked: _Asked) -> AssistantAnswer | None:
        """A change that waits for *Confirm*."""
        request = request_in(asked.text)
        if request is None:
            return None
        offer = self._actions.offer(asked.ctx, request, asked.language)
        if offer is None:
            return None
        return AssistantAnswer(offer.text, actions=(offer.action,) if offer.action else ())

    # ----------------------------------------------------------------------------------------------------------------- errors

    def _error(self, asked: _Asked) -> AssistantAnswer | None:
        """What an error means that stands on the page or in the question."""
        named = _ERROR_CODE.findall(asked.text)
        code, message, hint = _error_of(asked.question.context.get("error"))
        meanings = documentation.error_meanings()
        known = next((each for each in (*named, *([code] if code and _ERROR_WORDS.search(asked.text) else [])) if each in meanings), "")
        stands = bool(message) and _ERROR_WORDS.search(asked.text) is not None
        if not known and not stands:
            return None
        parts = []
        if stands and not named:
            parts.append(say("error_said", asked.language, message=message))
        if known:
            parts.append(say("error_means", asked.language, code=known, meaning=meanings[known].meaning))
        if hint and stands:
            parts.append(say("error_hint", asked.language, hint=hint))
        near = documentation.search(f"{known.replace('_', ' ').lower()} {message} {asked.text}", count=1)
        sources = (_doc_source(1, near[0].passage),) if near and near[0].score >= DOCS_SURE else ()
        return AssistantAnswer("\n\n".join(parts), sources=sources or (Source(1, "Errors", "reference/errors", "/docs/reference/errors"),))

    # ---------------------------------------------------------------------------------------------------------------- catalog

    def _search(self, asked: _Asked) -> AssistantAnswer | None:
        """Tables, volumes, indexes and apps whose contents the question names."""
        names_data = asked.page.key == "catalog" or _DATA_WORDS.search(asked.text) is not None
        if FIND.search(asked.text) is None or not names_data:
            return None
        found = find(asked.text, self._things(asked.ctx))
        if not found:
            looks_for_one = _DATA_WORDS.search(asked.text) is not None and bool(terms_of(asked.text))
            return AssistantAnswer(say("nothing_found", asked.language), page=pages_by_key()["catalog"]) if looks_for_one else None
        lines = []
        for each in found:
            columns = ", ".join(f"`{name}`" for name in each.columns)
            told = [part for part in (each.thing.comment, say("column_of", asked.language, columns=columns) if columns else "") if part]
            lines.append(f"- [`{each.thing.full_name}`]({each.thing.href})" + (f": {'; '.join(told)}" if told else ""))
        first = found[0].thing
        action = Action("link", say("open_table", asked.language, name=first.full_name), href=first.href)
        return AssistantAnswer(say("tables_found", asked.language) + "\n\n" + "\n".join(lines), actions=(action,))

    def _things(self, ctx: RequestContext) -> list[Findable]:
        """Everything in the catalog that the caller may see."""
        things = [
            Findable("view" if each.is_view else "table", each.full_name, each.comment, tuple(column.name for column in each.columns))
            for each in self._knowledge.visible(ctx)
        ]
        for row in self._catalog.information.volumes(ctx):
            name = f"{row['volume_catalog']}.{row['volume_schema']}.{row['volume_name']}"
            things.append(Findable("volume", name, str(row.get("comment") or "")))
        things += [Findable("index", each.full_name, each.comment) for each in self._retrieval.indexes.list(ctx)]
        things += [Findable("agent", each.full_name, each.comment) for each in self._agents.list(ctx)]
        return things

    # -------------------------------------------------------------------------------------------------------------------- SQL

    def _statement(self, asked: _Asked) -> AssistantAnswer | None:
        """SQL for a question on tables that the caller may read; shown, never run."""
        if not _asks_for_figures(asked.text):
            return None
        query = self._drafted(asked, self._near(asked), _table_here(asked))
        if query is None:
            return None
        sql = query.sql()
        text = f"{say('sql_for', asked.language)}\n\n```sql\n{sql}\n```\n\n{query.words(asked.language)}"
        return _statement_answer(text, sql, asked.language)

    def _near(self, asked: _Asked) -> list[TableFacts]:
        """The table on the page and those that the words come near, as far as the caller may read them."""
        here = _table_here(asked)
        near = [each.thing.full_name for each in find(asked.text, self._table_things(asked.ctx), TABLES_TRIED, share_min=0.0)]
        return self._knowledge.readable(asked.ctx, dict.fromkeys([*([here] if here else []), *near]))

    def _table_things(self, ctx: RequestContext) -> list[Findable]:
        """Tables alone."""
        return [
            Findable("table", each.full_name, each.comment, tuple(column.name for column in each.columns))
            for each in self._knowledge.visible(ctx)
            if each.catalog != "system"
        ]

    def _drafted(self, asked: _Asked, tables: list[TableFacts], here: str) -> Query | None:
        """A query that every word of the question bears out, or None."""
        if not tables:
            return None
        values: dict[str, list[Value]] = {}
        read = draft(asked.text, tables, values, here)
        if isinstance(read, Unclear):
            values = self._knowledge.values(asked.ctx, phrases_of(asked.text), tables[:4])
            read = draft(asked.text, tables, values, here) if values else read
        return None if isinstance(read, Unclear) else read

    async def _written(self, asked: _Asked) -> AssistantAnswer | None:
        """SQL of a model that is big enough for it: explained by the engine, repaired at most twice, shown and never run."""
        if not (_asks_for_figures(asked.text) or _WRITES_SQL.search(asked.text)):
            return None
        typed = self._access.fingerprints.label_text(asked.text)
        described = Provenance(UNLABELLED)
        label = typed.label.join(described.label)
        if not await self._threads.run(is_capable, asked.ctx, self._gateway, CHAT_ENDPOINT, label, SQL_MODEL_BYTES_MIN):
            return None
        tables = await self._threads.run(self._near, asked)
        if not tables:
            return None
        system = Message("system", prompting.system_text("", tables), described)
        failures: list[tuple[str, str]] = []
        ctx = asked.ctx.through("assistant")
        with contextlib.suppress(InsjoError, TimeoutError):  # No model after all: the rest of the assistant answers.
            async with asyncio.timeout(WRITER_WAIT_S):
                while len(failures) < prompting.ATTEMPTS_MAX:
                    question = Message("user", prompting.question_text(asked.text, (), failures), typed.join(described))
                    answer = await self._gateway.completions.complete_text(
                        ctx, CHAT_ENDPOINT, [system, question], max_tokens=SQL_TOKENS_MAX, temperature=0.0
                    )
                    sql = prompting.statement_in(answer.text)
                    if not sql:
                        return None
                    try:
                        await self._threads.run(self._knowledge.explain, asked.ctx, sql, tables)
                    except InsjoError as error:
                        failures.append((sql, str(error)))
                        continue
                    told = f"{say('sql_for', asked.language)}\n\n```sql\n{sql}\n```\n\n{say('by_model', asked.language)}"
                    return _statement_answer(told, sql, asked.language, used_model=True)
        return None

    # ---------------------------------------------------------------------------------------------------------- documentation

    async def _told(self, asked: _Asked) -> AssistantAnswer:
        """What the documentation says, where the page is, or both."""
        hits = await self._threads.run(documentation.search, asked.text)
        defined = documentation.defined_word(asked.text)
        is_question = _QUESTION.search(asked.text) is not None
        if is_question and defined is not None:
            word, meaning = defined
            source = Source(1, "Glossary", "glossary", "/docs/glossary")
            return AssistantAnswer(f"{say('from_docs', asked.language)}\n\n> **{word}**: {meaning}", sources=(source,))
        if is_question and hits and hits[0].score >= DOCS_SURE and hits[0].coverage >= DOCS_COVERED:
            return await self._quoted(asked, hits)
        return AssistantAnswer(await self._threads.run(self._running_now, asked))

    async def _quoted(self, asked: _Asked, hits: list[documentation.DocHit]) -> AssistantAnswer:
        """A quote with its page; above it a bigger model's words when there is one."""
        best = hits[0].passage
        quote = "\n".join(f"> {line}" for line in documentation.quote_of(best, asked.text).splitlines())
        worded = await self._worded(asked, hits)
        parts = [*([worded] if worded else []), say("from_docs", asked.language), quote]
        return AssistantAnswer("\n\n".join(parts), sources=(_doc_source(1, best),), used_model=bool(worded))

    async def _worded(self, asked: _Asked, hits: list[documentation.DocHit]) -> str:
        """The answer in a bigger model's words; empty when there is none, or when it finds no answer."""
        typed = self._access.fingerprints.label_text(asked.text)
        if not await self._threads.run(is_capable, asked.ctx, self._gateway, CHAT_ENDPOINT, typed.label, MODEL_BYTES_MIN):
            return ""
        passages = "\n\n".join(f"[{hit.passage.title}] {hit.passage.text}" for hit in hits)
        language = "Swedish" if asked.language == "sv" else "English"
        rules = f"Answer in {language}, in at most three sentences, only from the passages. If they do not answer, write: {NOT_IN}"
        messages = [
            Message("system", f"{rules}\n\nPassages:\n{passages}", Provenance(PUBLIC)),
            Message("user", asked.text, typed),
        ]
        with contextlib.suppress(InsjoError, TimeoutError):
            async with asyncio.timeout(MODEL_WAIT_S):
                answer = await self._gateway.completions.complete_text(
                    asked.ctx.through("assistant"), CHAT_ENDPOINT, messages, max_tokens=220, temperature=0.0
                )
            return "" if NOT_IN in answer.text else answer.text.strip()
        return ""

    def _running_now(self, asked: _Asked) -> str:
        """For the page of jobs: what runs just now."""
        if asked.page.key != "jobs":
            return ""
        runs = [run for run in self._jobs.list(asked.ctx, PageRequest(50)).items if not run.state.ended][:RUNS_SHOWN]
        lines = []
        for run in runs:
            share = f" – {100 * run.progress_done // run.progress_total} %" if run.progress_total else ""
            lines.append(f"- {run.title}{share}")
        return "\n".join(lines)


def _with_page(asked: _Asked, answer: AssistantAnswer) -> AssistantAnswer:
    """The answer with the page that fits best: as a button, and in words when there is nothing else to say."""
    page, language = answer.page or asked.page, asked.language
    sure = asked.pages[0].score >= PAGE_SURE
    parts = [answer.text] if answer.text else []
    if not answer.text or page.key == "jobs":
        parts.append(say("goes_to" if sure else "perhaps", language, title=page.title[language], summary=page.summary[language]))
        if not page.ready:
            parts.append(say("not_ready", language))
        if page.needs_admin:
            parts.append(say("admin_only", language))
    links = [Action("link", say("open_page", language, title=page.title[language]), href=page.path)]
    links += [Action("link", f"{say('read_more', language)}: {each.title}", href=each.href) for each in answer.sources[:1]]
    alternatives = tuple(each.page for each in asked.pages if each.page is not page)[:ALTERNATIVES]
    return replace(answer, text="\n\n".join(parts), page=page, alternatives=alternatives, actions=(*answer.actions, *links))


def _with_context(text: str, question: AssistantQuestion) -> str:
    """`this table` with the name of the table that stands on the page."""
    for key in ("table", "view", "volume", "schema", "catalog"):
        name = question.context.get(key)
        if isinstance(name, str) and name:
            return _THIS.sub(rf"\1 {name.replace(chr(92), '')}", text)
    return text


def _error_of(error: object) -> tuple[str, str, str]:
    """Code, message and hint of the error on the page, in whichever form it came."""
    if isinstance(error, dict):
        return str(error.get("code") or error.get("error_code") or ""), str(error.get("message") or ""), str(error.get("hint") or "")
    text = str(error or "")
    found = _ERROR_CODE.search(text)
    return (found[0] if found else ""), text, ""


def _asks_for_figures(text: str) -> bool:
    """Whether a text asks for something that SQL computes."""
    words = [token.folded for token in tokens_of(text)]
    pairs = set(itertools.pairwise(words))
    return bool(pairs & set(COUNT_PHRASES)) or any(word in INTENTS or word in MOST or word in TOP for word in words)


def _table_here(asked: _Asked) -> str:
    """Full name of the table or view on the page, or empty."""
    return str(asked.question.context.get("table") or asked.question.context.get("view") or "").lower()


def _statement_answer(text: str, sql: str, language: Language, *, used_model: bool = False) -> AssistantAnswer:
    """A statement with a button that opens it in the editor."""
    action = Action("link", say("open_in_sql", language), href="/sql?" + urlencode({"statement": sql[:STATEMENT_CHARS_MAX]}))
    return AssistantAnswer(text, page=pages_by_key()["sql"], actions=(action,), sql=sql, used_model=used_model)


def _doc_source(number: int, passage: documentation.DocPassage) -> Source:
    """A passage of the documentation as a source."""
    title = f"{passage.title} › {passage.heading}" if passage.heading else passage.title
    return Source(number, title, passage.page, passage.href)
