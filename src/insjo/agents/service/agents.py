"""Agents as securables: make, show, change, delete; and run one."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from insjo.access.types import PARENT_KIND, Privilege, SecurableKind
from insjo.agents import store
from insjo.agents.errors import AgentExists, AgentInvalid, StatementForbidden
from insjo.agents.reading import check_reads
from insjo.agents.types import Agent, Example
from insjo.gateway.types import Task
from insjo.kernel.errors import AlreadyExists, InsjoError, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from insjo.access.service.facade import Access
    from insjo.access.types import Provenance, Securable
    from insjo.agents.service.running import Running
    from insjo.agents.types import ChatEvent
    from insjo.gateway.service.room import GatewayRoom
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.threads import Threads
    from insjo.retrieval.types import Turn

ENDPOINT: Final = "insjo-chat"
INSTRUCTIONS_CHARS_MAX: Final = 20_000
COMMENT_CHARS_MAX: Final = 65_536
TABLES_MAX: Final = 50
INDEXES_MAX: Final = 20
EXAMPLES_MAX: Final = 300
EXAMPLE_CHARS_MAX: Final = 20_000
LISTED_MAX: Final = 10_000
_NAME = re.compile(r"[^\s./\\`\x00-\x1f]{1,255}")


class Agents:
    """AI apps: instructions, an endpoint, and the tables and indexes that may be used."""

    def __init__(
        self, *, database: Database, clock: Clock, access: Access, gateway: GatewayRoom, threads: Threads, running: Running
    ) -> None:
        self._database = database
        self._clock = clock
        self._access = access
        self._gateway = gateway
        self._threads = threads
        self._running = running

    # ------------------------------------------------------------------------------------------------------------------- life

    def create(
        self,
        ctx: RequestContext,
        full_name: str,
        *,
        instructions: str = "",
        endpoint: str = ENDPOINT,
        tables: Sequence[str] = (),
        indexes: Sequence[str] = (),
        examples: Sequence[tuple[str, str]] = (),
        comment: str = "",
    ) -> Agent:
        """New agent, named `catalog.schema.name`; needs CREATE AGENT on the schema, and to see all that it names.

        Args:
            ctx: Who makes it.
            full_name: Its name.
            instructions: What it is for, in plain words.
            endpoint: Chat endpoint that words what needs wording.
            tables: Full names of the tables and views that it may query, with the rights of whoever asks.
            indexes: Full names of the indexes that it may search.
            examples: Questions, each with the statement that answers it; a statement may read the agent's tables only.
            comment: For people.

        Raises:
            AgentExists, AgentInvalid: As they say.
        """
        name = _checked_name(full_name)
        values = self._checked(
            ctx,
            instructions=instructions,
            endpoint=endpoint or ENDPOINT,
            tables=tables,
            indexes=indexes,
            examples=examples,
            comment=comment,
        )
        kind = SecurableKind.AGENT
        parent = self._access.securables.resolve(ctx, PARENT_KIND[kind], name.rpartition(".")[0], Privilege.CREATE_AGENT)
        now = self._clock.now()
        stamps = {"created_at": now, "created_by": ctx.principal.name, "updated_at": now, "updated_by": ctx.principal.name}
        try:
            with self._database.write() as connection:
                securable = self._access.securables.register(ctx, kind, name, parent.id, connection=connection)
                store.insert_agent(connection, {"id": securable.id, **values, **stamps})
        except AlreadyExists as error:
            raise AgentExists(f"The agent `{name}` exists already.") from error
        return self.get(ctx, name)

    def get(self, ctx: RequestContext, full_name: str) -> Agent:
        """An agent that the caller may see, with those of its tables, indexes and examples that the caller may see."""
        securable = self._access.securables.resolve(ctx, SecurableKind.AGENT, full_name)
        return self._agent(ctx, securable, self._row(securable), {})

    def list(self, ctx: RequestContext) -> tuple[Agent, ...]:
        """Agents that the caller may see, by name."""
        with self._database.read() as connection:
            rows = store.fetch_agents(connection, self._access.authority.visible(ctx, SecurableKind.AGENT), LISTED_MAX)
        seen: dict[tuple[SecurableKind, str], bool] = {}
        found = []
        for row in rows:
            with contextlib.suppress(NotFound):  # Deleted between the two reads.
                found.append(self._agent(ctx, self._access.securables.get(row["id"]), row, seen))
        return tuple(sorted(found, key=lambda each: each.full_name))

    def update(
        self,
        ctx: RequestContext,
        full_name: str,
        *,
        instructions: str | None = None,
        endpoint: str | None = None,
        tables: Sequence[str] | None = None,
        indexes: Sequence[str] | None = None,
        examples: Sequence[tuple[str, str]] | None = None,
        comment: str | None = None,
    ) -> Agent:
        """Change what is given; needs ownership or MANAGE.  What the caller may not see stays as it is."""
        securable = self._access.securables.resolve(ctx, SecurableKind.AGENT, full_name, Privilege.MANAGE)
        row = self._row(securable)
        now = self._agent(ctx, securable, row, {})
        hidden_tables = tuple(each for each in row["tables"] if each not in now.tables)
        hidden_indexes = tuple(each for each in row["indexes"] if each not in now.indexes)
        shown = {each.question for each in now.examples}
        values = self._checked(
            ctx,
            instructions=now.instructions if instructions is None else instructions,
            endpoint=(row["endpoint"] if endpoint is None else endpoint) or ENDPOINT,
            tables=now.tables if tables is None else tables,
            indexes=now.indexes if indexes is None else indexes,
            examples=[(each.question, each.sql) for each in now.examples] if examples is None else examples,
            comment=now.comment if comment is None else comment,
        )
        values["tables"] = [*_listed(values["tables"]), *hidden_tables]
        values["indexes"] = [*_listed(values["indexes"]), *hidden_indexes]
        values["examples"] = [*_listed(values["examples"]), *(each for each in row["examples"] if each["question"] not in shown)]
        stamps = {"updated_at": self._clock.now(), "updated_by": ctx.principal.name}
        with self._database.write() as connection:
            self._access.authority.authorize(ctx, Privilege.MANAGE, securable.id, connection=connection)
            store.update_agent(connection, securable.id, {**values, **stamps})
            self._access.audit.record(
                ctx, "agent.update", outcome="changed", object=securable.full_name, securable_id=securable.id, connection=connection
            )
        return self.get(ctx, full_name)

    def delete(self, ctx: RequestContext, full_name: str) -> None:
        """Delete an agent; needs ownership or MANAGE.  Conversations with it stay with their owners."""
        securable = self._access.securables.resolve(ctx, SecurableKind.AGENT, full_name, Privilege.MANAGE)
        with self._database.write() as connection:
            self._access.securables.remove(ctx, securable.id, connection=connection)
            store.delete_agent(connection, securable.id)

    def sweep(self) -> int:
        """Forget agents whose securable went with its schema; gives how many there were."""
        with self._database.read() as connection:
            known = store.fetch_agent_ids(connection)
        gone = [each for each in known if not self._is_there(each)]
        with self._database.write() as connection:
            for each in gone:
                store.delete_agent(connection, each)
        return len(gone)

    # ---------------------------------------------------------------------------------------------------------------- running

    async def run(
        self,
        ctx: RequestContext,
        name: str,
        question: str,
        *,
        history: Sequence[Turn] = (),
        question_provenance: Provenance | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        """Answer a question with the tools of an agent and the rights of the caller; needs EXECUTE.

        The last event is `Finished`.  `ToolReturned` with its label comes before any text that stands on what a tool gave.

        Args:
            ctx: Who asks.
            name: Full name of the agent.
            question: In any words.
            history: Turns before it, oldest first.
            question_provenance: Label and origins of the question; None labels it as typed text.

        Raises:
            SecurableNotFound, AccessDenied: No such agent for the caller, or not to be used.
        """
        agent = await self._threads.run(self._usable, ctx, name)
        provenance = question_provenance or self._access.fingerprints.label_text(question)
        events = self._running.answer(ctx, agent, question, history, provenance)
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    def _usable(self, ctx: RequestContext, name: str) -> Agent:
        """The agent, when the caller may use it; the use is recorded."""
        securable = self._access.securables.resolve(ctx, SecurableKind.AGENT, name, Privilege.EXECUTE)
        self._access.audit.record(ctx, "agent.run", outcome="allowed", object=securable.full_name, securable_id=securable.id)
        return self._agent(ctx, securable, self._row(securable), {})

    # ---------------------------------------------------------------------------------------------------------------- details

    def _is_there(self, agent_id: str) -> bool:
        """Whether the securable of an agent exists."""
        try:
            self._access.securables.get(agent_id)
        except NotFound:
            return False
        return True

    def _row(self, securable: Securable) -> store.Row:
        """The row of an agent."""
        with self._database.read() as connection:
            row = store.fetch_agent(connection, securable.id)
        if row is None:
            raise NotFound(f"The agent `{securable.full_name}` does not exist.")
        return row

    def _agent(self, ctx: RequestContext, securable: Securable, row: store.Row, seen: dict[tuple[SecurableKind, str], bool]) -> Agent:
        """A row as an agent, without what the caller may not see."""

        def visible(kind: SecurableKind, name: str) -> bool:
            if (kind, name) not in seen:
                seen[kind, name] = self._access.authority.decide_by_name(ctx, kind, name, Privilege.BROWSE).visible
            return seen[kind, name]

        tables = tuple(name for name in row["tables"] if visible(SecurableKind.TABLE, name))
        examples = tuple(Example(each["question"], each["sql"]) for each in row["examples"])
        if len(tables) < len(row["tables"]):
            examples = tuple(each for each in examples if _reads_only(each.sql, tables))
        indexes = tuple(name for name in row["indexes"] if visible(SecurableKind.INDEX, name))
        return Agent(
            id=securable.id,
            full_name=securable.full_name,
            instructions=row["instructions"],
            endpoint=row["endpoint"],
            tables=tables,
            indexes=indexes,
            examples=examples,
            comment=row["comment"],
            owner=self._access.authority.owners([securable.id])[securable.id],
            created_at=row["created_at"],
            created_by=row["created_by"],
            updated_at=row["updated_at"],
            updated_by=row["updated_by"],
            hides=len(tables) + len(indexes) < len(row["tables"]) + len(row["indexes"]),
        )

    def _checked(
        self,
        ctx: RequestContext,
        *,
        instructions: str,
        endpoint: str,
        tables: Sequence[str],
        indexes: Sequence[str],
        examples: Sequence[tuple[str, str]],
        comment: str,
    ) -> dict[str, object]:
        """The parts of an agent, when they make sense and the caller may see all that is named."""
        for text, limit, noun in ((instructions, INSTRUCTIONS_CHARS_MAX, "Instructions"), (comment, COMMENT_CHARS_MAX, "A comment")):
            if len(text) > limit:
                raise AgentInvalid(f"{noun} may have at most {limit} characters.")
        for names, most, noun in ((tables, TABLES_MAX, "tables"), (indexes, INDEXES_MAX, "indexes"), (examples, EXAMPLES_MAX, "examples")):
            if len(names) > most:
                raise AgentInvalid(f"An agent has at most {most} {noun}.")
        if self._gateway.endpoints.get(ctx, endpoint).task is not Task.CHAT:
            raise AgentInvalid(f"The endpoint `{endpoint}` does not chat.", hint="Name an endpoint for chat.")
        resolve = self._access.securables.resolve
        found_tables = tuple(dict.fromkeys(resolve(ctx, SecurableKind.TABLE, name.strip()).full_name for name in tables))
        found_indexes = tuple(dict.fromkeys(resolve(ctx, SecurableKind.INDEX, name.strip()).full_name for name in indexes))
        kept = {question.strip(): _checked_example(question, sql, found_tables) for question, sql in examples}
        return {
            "instructions": instructions.strip(),
            "endpoint": endpoint,
            "tables": list(found_tables),
            "indexes": list(found_indexes),
            "examples": [{"question": question, "sql": sql} for question, sql in kept.items()],
            "comment": comment.strip(),
        }


def _listed(value: object) -> list[object]:
    """A value that is a list."""
    return list(value) if isinstance(value, list) else []


def _checked_name(full_name: str) -> str:
    """`catalog.schema.name` in lower case."""
    parts = full_name.strip().lower().split(".")
    if len(parts) != 3 or not all(_NAME.fullmatch(part) for part in parts):  # noqa: PLR2004  # Catalog, schema, name.
        raise AgentInvalid(f"`{full_name[:200]}` is no name of an agent.", hint="Write `catalog.schema.name`.")
    return ".".join(parts)


def _checked_example(question: str, sql: str, tables: tuple[str, ...]) -> str:
    """The statement of an example, when it only reads the agent's tables."""
    if not question.strip() or len(question) + len(sql) > EXAMPLE_CHARS_MAX:
        raise AgentInvalid(f"An example needs a question, and has at most {EXAMPLE_CHARS_MAX} characters.")
    text = sql.strip().rstrip(";")
    try:
        check_reads(text, tables)
    except StatementForbidden as error:
        raise AgentInvalid(f"The example “{question.strip()[:100]}” cannot be used. {error.message}", hint="Add the table.") from error
    except InsjoError as error:
        raise AgentInvalid(f"The statement of the example “{question.strip()[:100]}” is wrong. {error.message}", hint=error.hint) from error
    return text


def _reads_only(sql: str, tables: tuple[str, ...]) -> bool:
    """Whether a statement reads no other tables."""
    try:
        check_reads(sql, tables)
    except InsjoError:
        return False
    return True
