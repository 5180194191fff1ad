"""Warehouses: named places to run statements, with rights of their own; all share the workers of this machine."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from insjo.access.errors import WarehouseNotFound
from insjo.access.types import ALL, EVERYBODY_ID, Clearance, Level, Privilege, SecurableKind
from insjo.kernel.context import system_context
from insjo.kernel.errors import AlreadyExists
from insjo.kernel.ids import short_id
from insjo.sql import store
from insjo.sql.errors import WarehouseExists, WarehouseInvalid, WarehouseStopped
from insjo.sql.types import Warehouse, WarehouseEngine, WarehouseState

if TYPE_CHECKING:
    from insjo.access.service.facade import Access
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

DEFAULT_NAME = "starter"
_WAREHOUSES_MAX = 1000
_MINUTES_MAX = 7 * 24 * 60
_SPARK_URL = re.compile(r"sc://[A-Za-z0-9.\-\[\]:]{1,253}(/(;[A-Za-z0-9_\-]+=[^;\s]{1,500})*)?")
_NAME = re.compile(r"[^\x00-\x1f`/\\]{1,100}")
_SIZES = ("2X-Small", "X-Small", "Small", "Medium", "Large", "X-Large", "2X-Large", "3X-Large", "4X-Large")


def destination_of(warehouse_id: str) -> str:
    """Name of a warehouse with a server of its own among all destinations; it stays when the warehouse gets another name."""
    return f"warehouse:{warehouse_id}"


class Warehouses:
    """Creates, lists, changes and deletes warehouses, and says who may use one."""

    def __init__(self, *, database: Database, clock: Clock, access: Access) -> None:
        """Everything by keyword."""
        self._database = database
        self._clock = clock
        self._access = access
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, Warehouse]] = {}
        self._default_id = ""
        self._allowed: dict[tuple[str, str], int] = {}

    def ensure_default(self) -> Warehouse:
        """The default warehouse, made at the first start; everybody may use it."""
        with self._database.read() as connection:
            row = store.fetch_default_warehouse(connection)
        if row is None:
            ctx = system_context()
            made = self._insert(ctx, DEFAULT_NAME, "2X-Small", 0, is_default=True)
            everybody = self._access.principals.get(ctx, EVERYBODY_ID)
            self._access.grants.grant(ctx, made.id, everybody.name, [Privilege.EXECUTE])
            return made
        return store.warehouse_of(row, "")

    def create(
        self,
        ctx: RequestContext,
        name: str,
        *,
        size: str = "2X-Small",
        auto_stop_mins: int = 0,
        engine: WarehouseEngine = WarehouseEngine.DUCKDB,
        url: str = "",
    ) -> Warehouse:
        """New warehouse; needs CREATE WAREHOUSE on the metastore.

        One on Spark needs a metastore admin besides: the server behind its address gets to see what statements read.

        Raises:
            WarehouseExists, WarehouseInvalid: As they say.
        """
        _check(name, size, auto_stop_mins)
        _check_engine(engine, url)
        if engine is WarehouseEngine.SPARK:
            self._access.principals.require_admin(ctx, "point a warehouse at a server of its own")
        return self._insert(ctx, name, size, auto_stop_mins, is_default=False, engine=engine, url=url)

    def larger(self, ctx: RequestContext, warehouse_id: str) -> str:
        """Name of a warehouse on Spark that the caller may use in place of one on DuckDB, or an empty text."""
        if self._fetch(warehouse_id).engine is not WarehouseEngine.DUCKDB:
            return ""
        for each in self.list(ctx):
            is_other = each.engine is WarehouseEngine.SPARK and each.state is WarehouseState.RUNNING
            if is_other and self._access.authority.decide(ctx, Privilege.EXECUTE, each.id).allowed:
                return each.name
        return ""

    def get(self, ctx: RequestContext, warehouse_id: str) -> Warehouse:
        """One that the caller may see."""
        self._authorize(ctx, Privilege.BROWSE, warehouse_id)
        return self._fetch(warehouse_id)

    def list(self, ctx: RequestContext) -> tuple[Warehouse, ...]:
        """Those that the caller may see, by name."""
        visible = self._access.authority.visible(ctx, SecurableKind.WAREHOUSE)
        with self._database.read() as connection:
            rows = store.fetch_warehouses(connection, visible, _WAREHOUSES_MAX)
        owners = self._access.authority.owners([row["id"] for row in rows])
        return tuple(store.warehouse_of(row, owners.get(row["id"], "")) for row in rows)

    def edit(
        self,
        ctx: RequestContext,
        warehouse_id: str,
        *,
        name: str | None = None,
        size: str | None = None,
        auto_stop_mins: int | None = None,
    ) -> Warehouse:
        """Change what is given; needs ownership or MANAGE."""
        self._authorize(ctx, Privilege.MANAGE, warehouse_id)
        present = self._fetch(warehouse_id)
        _check(name or present.name, size or present.size, present.auto_stop_mins if auto_stop_mins is None else auto_stop_mins)
        values: dict[str, object] = {}
        if size:
            values["size"] = size
        if auto_stop_mins is not None:
            values["auto_stop_mins"] = auto_stop_mins
        try:
            with self._database.write() as connection:
                if name and name != present.name:
                    values["name"] = name
                    self._access.securables.rename(ctx, warehouse_id, name.lower(), connection=connection)
                store.update_warehouse(connection, warehouse_id, values)
        except AlreadyExists as error:
            raise _taken(str(name)) from error
        self._forget(warehouse_id)
        return self._fetch(warehouse_id)

    def delete(self, ctx: RequestContext, warehouse_id: str) -> None:
        """Delete one; needs ownership or MANAGE.  The default warehouse stays."""
        self._authorize(ctx, Privilege.MANAGE, warehouse_id)
        present = self._fetch(warehouse_id)
        if present.is_default:
            message = f"`{present.name}` is the default warehouse and cannot be deleted."
            raise WarehouseInvalid(message)
        with self._database.write() as connection:
            store.delete_warehouse(connection, warehouse_id)
            self._access.clearances.remove(system_context(), destination_of(warehouse_id), connection=connection)
            self._access.securables.remove(ctx, warehouse_id, connection=connection)
        self._forget(warehouse_id)

    def start(self, ctx: RequestContext, warehouse_id: str) -> Warehouse:
        """Let it take statements."""
        return self._switch(ctx, warehouse_id, WarehouseState.RUNNING)

    def stop(self, ctx: RequestContext, warehouse_id: str) -> Warehouse:
        """Let it take no more statements; those that run go on."""
        return self._switch(ctx, warehouse_id, WarehouseState.STOPPED)

    def usable(self, ctx: RequestContext, warehouse_id: str | None) -> Warehouse:
        """The warehouse for a statement of the caller; None means the default.

        Raises:
            WarehouseNotFound, AccessDenied, WarehouseStopped: As they say.
        """
        if not warehouse_id:
            self._default_id = self._default_id or self.ensure_default().id
            warehouse_id = self._default_id
        revision = self._access.revision()
        key = (ctx.principal.id, warehouse_id)
        with self._lock:
            allowed = self._allowed.get(key) == revision
        if not allowed:
            self._authorize(ctx, Privilege.EXECUTE, warehouse_id)
            with self._lock:
                if len(self._allowed) > 10_000:  # noqa: PLR2004  # A bound, not a measure.
                    self._allowed.clear()
                self._allowed[key] = revision
        found = self._fetch(warehouse_id)
        if found.state is WarehouseState.STOPPED:
            message = f"The warehouse `{found.name}` is stopped."
            raise WarehouseStopped(message, hint="Start it, or choose another one.")
        return found

    def fetch(self, warehouse_id: str) -> Warehouse:
        """One that somebody was allowed to use."""
        return self._fetch(warehouse_id)

    def _switch(self, ctx: RequestContext, warehouse_id: str, state: WarehouseState) -> Warehouse:
        self._authorize(ctx, Privilege.MANAGE, warehouse_id)
        with self._database.write() as connection:
            store.update_warehouse(connection, warehouse_id, {"state": state.value})
        self._forget(warehouse_id)
        found = self._fetch(warehouse_id)
        self._access.audit.record(
            ctx,
            f"warehouse.{'start' if state is WarehouseState.RUNNING else 'stop'}",
            outcome="changed",
            object=found.name,
            securable_id=found.id,
        )
        return found

    def _authorize(self, ctx: RequestContext, privilege: Privilege, warehouse_id: str) -> None:
        """The decision, in the words of warehouses when it does not exist for the caller."""
        decision = self._access.authority.decide(ctx, privilege, warehouse_id)
        if not decision.allowed:
            self._access.authority.refuse(ctx, decision, name=warehouse_id[:64], kind=SecurableKind.WAREHOUSE)
        if decision.securable_id != warehouse_id:
            raise _missing(warehouse_id)

    def _fetch(self, warehouse_id: str) -> Warehouse:
        """The row, read again when anything in access changed since."""
        revision = self._access.revision()
        with self._lock:
            known = self._known.get(warehouse_id)
        if known is not None and known[0] == revision:
            return known[1]
        with self._database.read() as connection:
            row = store.fetch_warehouse(connection, warehouse_id)
        if row is None:
            raise _missing(warehouse_id)
        owner = self._access.authority.owners([warehouse_id]).get(warehouse_id, "")
        found = store.warehouse_of(row, owner)
        with self._lock:
            self._known[warehouse_id] = (revision, found)
        return found

    def _forget(self, warehouse_id: str) -> None:
        with self._lock:
            self._known.pop(warehouse_id, None)

    def _insert(
        self,
        ctx: RequestContext,
        name: str,
        size: str,
        auto_stop_mins: int,
        *,
        is_default: bool,
        engine: WarehouseEngine = WarehouseEngine.DUCKDB,
        url: str = "",
    ) -> Warehouse:
        warehouse_id = short_id()
        made = Warehouse(
            id=warehouse_id,
            name=name,
            state=WarehouseState.RUNNING,
            size=size,
            auto_stop_mins=auto_stop_mins,
            owner=ctx.principal.name,
            created_at=self._clock.now(),
            created_by=ctx.principal.name,
            is_default=is_default,
            engine=engine,
            url=url,
        )
        try:
            with self._database.write() as connection:
                self._access.securables.register(
                    ctx, SecurableKind.WAREHOUSE, name.lower(), connection=connection, securable_id=warehouse_id
                )
                store.insert_warehouse(connection, made)
                if _is_here(url):
                    # As a model on this machine; a server elsewhere receives public content until somebody clears it.
                    here = Clearance(destination_of(warehouse_id), level=Level.SECRET, categories=ALL, zone="local", keeps=False)
                    self._access.clearances.set(ctx, here, connection=connection)
        except AlreadyExists as error:
            raise _taken(name) from error
        return made


def _check(name: str, size: str, auto_stop_mins: int) -> None:
    """Refuse settings out of range."""
    if not _NAME.fullmatch(name.strip()) or name != name.strip():
        message = f"`{name[:100]}` is not a name for a warehouse."
        raise WarehouseInvalid(message)
    if size not in _SIZES:
        message = f"`{size[:40]}` is not a size of a warehouse."
        raise WarehouseInvalid(message, hint=f"Sizes are {', '.join(_SIZES)}; on one machine they are all the same.")
    if not 0 <= auto_stop_mins <= _MINUTES_MAX:
        message = f"The minutes before a stop are between 0 and {_MINUTES_MAX}."
        raise WarehouseInvalid(message)


def _check_engine(engine: WarehouseEngine, url: str) -> None:
    """Refuse an address that does not belong to the engine, or that holds a secret."""
    if engine is WarehouseEngine.DUCKDB:
        if url:
            message = "A warehouse on DuckDB runs on this machine and has no address."
            raise WarehouseInvalid(message, hint="Leave the address out, or choose `spark`.")
        return
    if not _SPARK_URL.fullmatch(url):
        message = f"`{url[:100]}` is not the address of a Spark Connect server."
        raise WarehouseInvalid(message, hint="Write `sc://host:port`, and behind it for example `/;use_ssl=true`.")
    if "token=" in url.lower():
        message = "The address of a warehouse holds no token, because everybody may see it who may see the warehouse."
        raise WarehouseInvalid(message, hint="Put it into the setting `spark_token`.")


def _is_here(url: str) -> bool:
    """Whether an address is one of this machine's own."""
    host = re.fullmatch(r"sc://(\[[^\]]+\]|[^:/]+).*", url)
    return host is not None and host[1] in {"localhost", "127.0.0.1", "[::1]"}


def _taken(name: str) -> WarehouseExists:
    return WarehouseExists(f"There is a warehouse `{name}` already.")


def _missing(warehouse_id: str) -> WarehouseNotFound:
    return WarehouseNotFound(f"The warehouse `{warehouse_id[:64]}` does not exist.")
