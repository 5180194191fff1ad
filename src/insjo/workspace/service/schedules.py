"""Schedules: saved queries that run by themselves, as runs of the durable queue, with the rights that their owner then has."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from insjo.access.types import Privilege, SecurableKind
from insjo.jobs.cron import Cron
from insjo.jobs.errors import RunCancelled
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.errors import InsjoError, NotFound
from insjo.sql.types import Parameter, StatementSpec
from insjo.workspace import store
from insjo.workspace.errors import ScheduleInvalid, ScheduleNotFound, ScheduleOutdated, TooManySchedules
from insjo.workspace.types import ObjectKind, Schedule, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from insjo.jobs.ports import RunContext
    from insjo.jobs.service import Jobs
    from insjo.jobs.types import Run
    from insjo.kernel.paging import Page, PageRequest
    from insjo.sql.service.statements import Statements
    from insjo.workspace.service.queries import Queries
    from insjo.workspace.service.tree import Tree
    from insjo.workspace.types import SavedQuery

KIND: Final = "query.schedule"
SCHEDULES_MAX: Final = 200
"""Of one owner."""

LISTED_MAX: Final = 1000
_DUE_MAX: Final = 100
_WAIT_S: Final = 1.0
_VALUES: Final = {"text_value": "STRING", "numeric_value": "DOUBLE", "date_value": "DATE", "enum_value": "STRING"}
_LOGGER = logging.getLogger(__name__)


class Schedules:
    """Sets, shows and runs schedules.

    Args:
        tree: Where queries stand, and who may do what with them.
        queries: The queries.
        jobs: Keeps and does the runs.
        statements: Runs the texts.
    """

    def __init__(self, tree: Tree, queries: Queries, *, jobs: Jobs, statements: Statements) -> None:
        self._tree = tree
        self._queries = queries
        self._jobs = jobs
        self._statements = statements
        jobs.register(KIND, self._do)
        jobs.register_tick(self.tick)

    def get(self, ctx: RequestContext, query_id: str) -> Schedule:
        """The schedule of a query that the caller may read."""
        query = self._queries.get(ctx, query_id)
        with self._tree.database.read() as connection:
            row = store.fetch_schedule(connection, query.id)
        if row is None:
            raise _missing(query)
        return self._told(row, query)

    def list(self, ctx: RequestContext) -> tuple[Schedule, ...]:
        """Schedules of the queries that the caller may read."""
        visible = self._tree.access.authority.visible(ctx, SecurableKind.QUERY, Privilege.SELECT)
        with self._tree.database.read() as connection:
            rows = store.list_schedules(connection, visible, LISTED_MAX)
        return tuple(self._told(row, self._queries.get(ctx, row["query_id"])) for row in rows)

    def set(self, ctx: RequestContext, query_id: str, cron: str, time_zone: str = "UTC", *, paused: bool = False) -> Schedule:
        """Let a query run by itself with the rights of the caller; another's schedule is taken over by who manages the query.

        Raises:
            CronInvalid, ScheduleInvalid, TooManySchedules: As they say.
        """
        self._tree.find_id(ctx, query_id, ObjectKind.QUERY, Privilege.EXECUTE)
        query = self._queries.get(ctx, query_id)
        _runnable(query)
        rule = Cron.parse(cron, time_zone)
        now = self._tree.clock.now()
        values = {
            "query_id": query.id,
            "owner_id": ctx.principal.id,
            "cron": rule.text,
            "time_zone": time_zone,
            "paused": paused,
            "query_hash": _hash(query),
            "created_at": now,
            "next_at": None if paused else rule.after(now),
        }
        with self._tree.database.write() as connection:
            present = self._changeable(ctx, query, connection)
            if (present is None or present["owner_id"] != ctx.principal.id) and store.count_schedules(
                connection, ctx.principal.id
            ) >= SCHEDULES_MAX:
                message = f"You have {SCHEDULES_MAX} schedules."
                raise TooManySchedules(message, hint="Delete one that is not needed any more.")
            kept = (
                {"last_at": present["last_at"], "last_run_id": present["last_run_id"]} if present else {"last_at": None, "last_run_id": ""}
            )
            store.put_schedule(connection, values | kept)
            self._record(ctx, "schedule.set", query, f"{rule.text} {time_zone}{' paused' if paused else ''}", connection)
        return self.get(ctx, query_id)

    def delete(self, ctx: RequestContext, query_id: str) -> None:
        """Let a query run by itself no longer; its owner and who manages the query may."""
        query = self._queries.get(ctx, query_id)
        with self._tree.database.write() as connection:
            if self._changeable(ctx, query, connection) is None:
                raise _missing(query)
            store.delete_schedule(connection, query.id)
            self._record(ctx, "schedule.delete", query, "", connection)

    def run_now(self, ctx: RequestContext, query_id: str) -> Run:
        """Run once at once, with the rights of the caller, who must own the schedule."""
        found = self.get(ctx, query_id)
        if found.owner_id != ctx.principal.id:
            message = f"The schedule of `{found.query_name}` belongs to `{found.owner}`."
            raise ScheduleInvalid(message, hint="Run the query itself, or set the schedule to take it over.")
        return self._jobs.submit(ctx, KIND, {"query": found.query_id}, title=found.query_name, securable_id=found.query_id)

    def runs(self, ctx: RequestContext, query_id: str, page: PageRequest | None = None) -> Page[Run]:
        """What ran, the newest first: one's own runs, and those of all for who manages the query."""
        return self._jobs.list(ctx, page, kind=KIND, securable_id=self._queries.get(ctx, query_id).id)

    def tick(self) -> int:
        """Queue what is due, each once, however many servers look; gives how many there were."""
        now = self._tree.clock.now()
        with self._tree.database.read() as connection:
            due = store.list_due_schedules(connection, now, _DUE_MAX)
        begun = 0
        for row in due:
            try:
                begun += self._begin(row)
            except InsjoError:  # The queue may be full; it is due still, and others should not wait for it.
                _LOGGER.exception("the schedule of the query %s could not be queued", row["query_id"])
        return begun

    def _begin(self, row: Mapping[str, Any]) -> bool:
        """Queue one that is due, unless its last run goes on; times that nobody was there for count as one."""
        now = self._tree.clock.now()
        owner = self._owner(row)
        goes_on = owner is not None and self._goes_on(owner, row["last_run_id"])
        next_at = Cron.parse(row["cron"], row["time_zone"]).after(now)
        with self._tree.database.write() as connection:
            if owner is None:
                store.delete_schedule(connection, row["query_id"])
                return False
            if goes_on:
                store.update_schedule(connection, row["query_id"], row["next_at"], {"next_at": next_at})
                return False
            if not store.update_schedule(connection, row["query_id"], row["next_at"], {"next_at": next_at, "last_at": now}):
                return False
            names = store.fetch_details(connection, store.queries, id_=row["query_id"])
            title = str(names[0]["display_name"]) if names else row["query_id"]
            payload = {"query": row["query_id"]}
            run = self._jobs.submit(owner, KIND, payload, title=title, securable_id=row["query_id"], connection=connection)
            store.update_schedule(connection, row["query_id"], next_at, {"last_run_id": run.id})
        return True

    def _owner(self, row: Mapping[str, Any]) -> RequestContext | None:
        """Who owns a schedule; None when they are gone."""
        try:
            return RequestContext(principal=self._tree.access.principals.get(system_context("job"), row["owner_id"]).ref(), door="job")
        except NotFound:
            return None

    def _goes_on(self, owner: RequestContext, run_id: str) -> bool:
        """Whether a run has not ended."""
        try:
            return bool(run_id) and not self._jobs.get(owner, run_id).state.ended
        except NotFound:
            return False

    def _do(self, run: RunContext) -> Mapping[str, object]:
        """Body of a run: the query as its owner may read it now, and only the one for which the schedule was set."""
        query_id = str(run.payload["query"])
        self._tree.find_id(run.ctx, query_id, ObjectKind.QUERY, Privilege.EXECUTE)
        query = self._queries.get(run.ctx, query_id)
        with self._tree.database.read() as connection:
            row = store.fetch_schedule(connection, query_id)
        if row is None:
            raise _missing(query)
        if row["query_hash"] != _hash(query) or row["owner_id"] != run.ctx.principal.id:
            message = (
                f"`{query.display_name}` was changed by `{query.last_modifier}` after its schedule was set, so it does not run by itself."
            )
            raise ScheduleOutdated(message, hint="Look at it, and set the schedule again.")
        spec = StatementSpec(
            text=query.text,
            warehouse_id=query.warehouse_id or None,
            catalog=query.catalog or None,
            schema=query.schema or None,
            parameters=_runnable(query),
        )
        return self._statement(run, spec)

    def _statement(self, run: RunContext, spec: StatementSpec) -> Mapping[str, object]:
        """Run a statement until it ends, or the run is to stop."""
        statement = self._statements.submit(run.ctx, spec)
        while not statement.state.ended:
            try:
                run.check()
            except RunCancelled:
                self._statements.cancel(run.ctx, statement.id)
                raise
            statement = self._statements.wait(run.ctx, statement.id, _WAIT_S)
        if statement.error is not None:
            raise statement.error
        return {"statement_id": statement.id, "rows": statement.row_count}

    def _changeable(self, ctx: RequestContext, query: SavedQuery, connection: sa.Connection) -> Mapping[str, Any] | None:
        """The present schedule, if the caller may change it: its owner, and who manages the query."""
        present = store.fetch_schedule(connection, query.id)
        if present is not None and present["owner_id"] != ctx.principal.id:
            self._tree.access.authority.authorize(ctx, Privilege.MANAGE, query.id, connection=connection)
        return present

    def _record(self, ctx: RequestContext, action: str, query: SavedQuery, reason: str, connection: sa.Connection) -> None:
        self._tree.access.audit.record(
            ctx, action, outcome="changed", object=query.path, securable_id=query.id, reason=reason, connection=connection
        )

    def _told(self, row: Mapping[str, Any], query: SavedQuery) -> Schedule:
        """A schedule with the names that belong to it."""
        names = self._tree.access.authority.names([row["owner_id"]])
        outdated = row["query_hash"] != _hash(query) or query.state is not State.ACTIVE
        return Schedule(**row, query_name=query.display_name, owner=names.get(row["owner_id"], ""), outdated=outdated)


def _missing(query: SavedQuery) -> ScheduleNotFound:
    message = f"The query `{query.display_name}` has no schedule."
    return ScheduleNotFound(message)


def _hash(query: SavedQuery) -> str:
    """What of a query decides what it does."""
    parts = (query.text, query.warehouse_id, query.catalog, query.schema, query.parameters, query.state.value)
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=32).hexdigest()


def _runnable(query: SavedQuery) -> tuple[Parameter, ...]:
    """The parameters of a query with their values; raises ScheduleInvalid when it cannot run by itself."""
    if query.state is not State.ACTIVE or not query.text.strip():
        message = f"`{query.display_name}` lies in the trash or is empty."
        raise ScheduleInvalid(message)
    found = []
    for each in query.parameters:
        name = str(each.get("name", ""))
        kind = next((kind for kind in _VALUES if isinstance(each.get(kind), dict)), "")
        held: Any = each.get(kind) or {}
        value = (
            held.get("value") if kind in {"text_value", "numeric_value"} else held.get("date_value") or (held.get("values") or [None])[0]
        )
        if not kind or value is None or not name:
            message = f"The parameter `{name[:100]}` has no single value with which the query could run by itself."
            raise ScheduleInvalid(message, hint="Give it a text, a number, a date or one choice.")
        found.append(Parameter(name, str(value), _VALUES[kind]))
    return tuple(found)
