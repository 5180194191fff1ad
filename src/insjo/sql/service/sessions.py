"""Sessions: what the statements of one client share, kept in memory until it closes them or leaves them idle."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.ids import new_id
from insjo.sql.binding.names import NameSpace
from insjo.sql.commands.session_state import check_setting
from insjo.sql.errors import SessionNotFound, TooManySessions
from insjo.sql.parsing.constants import SOURCE_KEY, parse_type
from insjo.sql.types import DEFAULT_CATALOG, DEFAULT_SCHEMA, Session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from insjo.kernel.clock import Clock
    from insjo.kernel.context import PrincipalRef, RequestContext
    from insjo.sql.parsing.constants import ValueSource
    from insjo.sql.service.warehouses import Warehouses
    from insjo.sql.types import TemporaryView

SESSIONS_MAX = 5000
SESSIONS_OF_ONE_MAX = 200
IDLE_S_MAX = 8 * 3600
FORGOTTEN_S_MIN = 600
"""A session that nobody used for so long may be ended to make room for another of its owner."""

VIEWS_MAX = 200
VARIABLES_MAX = 200


@dataclass(slots=True)
class OpenSession:
    """A session with all that statements change in it."""

    id: str
    owner: PrincipalRef
    warehouse_id: str
    catalog: str
    schema: str
    created_at: datetime
    used_at: datetime
    used_s: float
    views: dict[str, TemporaryView] = field(default_factory=dict)
    variables: dict[str, exp.Expr] = field(default_factory=dict)
    confs: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def names(self, catalog: str | None = None, schema: str | None = None) -> NameSpace:
        """Names as the next statement sees them; a catalog and schema that it brings itself go first."""
        with self.lock:
            use_catalog = (catalog or self.catalog).lower()
            use_schema = (schema or (DEFAULT_SCHEMA if catalog and catalog.lower() != self.catalog else self.schema)).lower()
            return NameSpace(use_catalog, use_schema, dict(self.views), dict(self.variables))

    def use(self, catalog: str, schema: str) -> None:
        """Change the current catalog and schema."""
        with self.lock:
            self.catalog, self.schema = catalog, schema

    def put_view(self, view: TemporaryView) -> None:
        """Keep a temporary view."""
        with self.lock:
            if view.name not in self.views and len(self.views) >= VIEWS_MAX:
                message = f"A session has at most {VIEWS_MAX} temporary views."
                raise TooManySessions(message)
            self.views[view.name] = view

    def drop_view(self, name: str) -> bool:
        """Forget a temporary view; whether there was one."""
        with self.lock:
            return self.views.pop(name, None) is not None

    def put_variable(self, name: str, type_text: str, value: object, source: ValueSource | None = None) -> None:
        """Keep a session variable as a typed constant, with where it comes from if it comes from a table."""
        with self.lock:
            if name not in self.variables and len(self.variables) >= VARIABLES_MAX:
                message = f"A session has at most {VARIABLES_MAX} variables."
                raise TooManySessions(message)
            constant = exp.Cast(this=_constant(value), to=parse_type(type_text))
            if source is not None:
                constant.meta[SOURCE_KEY] = source
            self.variables[name] = constant

    def drop_variable(self, name: str) -> bool:
        """Forget a session variable; whether there was one."""
        with self.lock:
            return self.variables.pop(name, None) is not None

    def settings(self) -> Mapping[str, str]:
        """Settings of the session."""
        with self.lock:
            return dict(self.confs)

    def put_setting(self, key: str, value: str | None) -> None:
        """Change a setting; None takes it back."""
        with self.lock:
            if value is None:
                self.confs.pop(key, None)
            else:
                self.confs[key] = value

    def told(self) -> Session:
        """The session as others see it."""
        with self.lock:
            return Session(
                self.id, self.owner, self.warehouse_id, self.catalog, self.schema, self.created_at, self.used_at, dict(self.confs)
            )


def _constant(value: object) -> exp.Expr:
    """A Python value as a constant."""
    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, bytes):
        return exp.HexString(this=value.hex())
    return exp.Literal.string(str(value))


class Sessions:
    """Opens, finds and closes sessions; a session is its owner's alone."""

    def __init__(self, *, clock: Clock, warehouses: Warehouses) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._warehouses = warehouses
        self._lock = threading.Lock()
        self._sessions: dict[str, OpenSession] = {}

    def create(
        self,
        ctx: RequestContext,
        *,
        warehouse_id: str | None = None,
        catalog: str | None = None,
        schema: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Session:
        """Open a session on a warehouse that the caller may use.

        Raises:
            TooManySessions: The caller, or this machine, has too many.
        """
        warehouse = self._warehouses.usable(ctx, warehouse_id)
        self.check_settings(ctx, settings or {})
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        made = OpenSession(
            id=new_id(),
            owner=ctx.principal,
            warehouse_id=warehouse.id,
            catalog=(catalog or DEFAULT_CATALOG).lower(),
            schema=(schema or DEFAULT_SCHEMA).lower(),
            created_at=now,
            used_at=now,
            used_s=now_s,
            confs={key.lower(): value for key, value in (settings or {}).items()},
        )
        with self._lock:
            self._end_idle(now_s)
            self._end_forgotten(ctx.principal.id, now_s)
            own = sum(1 for each in self._sessions.values() if each.owner.id == ctx.principal.id)
            if own >= SESSIONS_OF_ONE_MAX or len(self._sessions) >= SESSIONS_MAX:
                message = "There are too many open sessions."
                raise TooManySessions(message, hint="Close those that are no longer used.")
            self._sessions[made.id] = made
        return made.told()

    def check_settings(self, ctx: RequestContext, settings: Mapping[str, str]) -> None:
        """Refuse settings that a session, or one statement, may not have; raises SettingUnknown and UnsupportedFeature."""
        del ctx
        for key, value in settings.items():
            check_setting(key, value)

    def get(self, ctx: RequestContext, session_id: str) -> Session:
        """A session of the caller."""
        return self.open(ctx, session_id).told()

    def close(self, ctx: RequestContext, session_id: str) -> None:
        """End a session of the caller."""
        self.open(ctx, session_id)
        with self._lock:
            self._sessions.pop(session_id, None)

    def open(self, ctx: RequestContext, session_id: str) -> OpenSession:
        """The session as statements use it; raises SessionNotFound for one of somebody else."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            self._end_idle(now_s)
            found = self._sessions.get(session_id)
            if found is None or found.owner.id != ctx.principal.id:
                message = f"The session `{session_id[:64]}` does not exist."
                raise SessionNotFound(message, hint="Idle sessions end by themselves; open a new one.")
            found.used_s, found.used_at = now_s, self._clock.now()
            return found

    def passing(self, ctx: RequestContext, warehouse_id: str, catalog: str | None, schema: str | None) -> OpenSession:
        """A session for one statement that has none: what it changes is forgotten."""
        now = self._clock.now()
        use_catalog = (catalog or DEFAULT_CATALOG).lower()
        use_schema = (schema or DEFAULT_SCHEMA).lower()
        return OpenSession("", ctx.principal, warehouse_id, use_catalog, use_schema, now, now, self._clock.monotonic_s())

    def _end_forgotten(self, owner_id: str, now_s: float) -> None:
        """Make room when somebody has too many, by ending the one used least lately; the lock is held.

        Programs that die do not close their sessions: without this a job that crashes every few minutes would lock its owner out.
        """
        own = [each for each in self._sessions.values() if each.owner.id == owner_id]
        if len(own) >= SESSIONS_OF_ONE_MAX:
            oldest = min(own, key=lambda each: each.used_s)
            if now_s - oldest.used_s > FORGOTTEN_S_MIN:
                del self._sessions[oldest.id]

    def _end_idle(self, now_s: float) -> None:
        """Forget sessions that nobody used for long; the lock is held."""
        for session_id in [each.id for each in self._sessions.values() if now_s - each.used_s > IDLE_S_MAX]:
            del self._sessions[session_id]
