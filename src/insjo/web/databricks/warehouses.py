"""Doors: warehouses, sessions and the history of statements."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from insjo.sql.types import HistoryFilter, StatementState, WarehouseEngine
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.sql.types import HistoryEntry, Warehouse

WAREHOUSES = "/api/2.0/sql/warehouses"
MILLISECONDS_MAX = 253_402_300_799_000
"""The last second of the year 9999."""

WIRE_STATES = {
    "QUEUED": (StatementState.PENDING,),
    "STARTED": (StatementState.RUNNING,),
    "COMPILING": (StatementState.RUNNING,),
    "COMPILED": (StatementState.RUNNING,),
    "RUNNING": (StatementState.RUNNING,),
    "FINISHED": (StatementState.SUCCEEDED, StatementState.CLOSED),
    "FAILED": (StatementState.FAILED,),
    "CANCELED": (StatementState.CANCELED,),
}
"""What the words of the query history API stand for."""


class EngineBody(msgspec.Struct):
    """What computes a warehouse's statements; Insjö's own addition."""

    engine: str = WarehouseEngine.DUCKDB.value
    url: str = ""


class WarehouseBody(msgspec.Struct):
    """A warehouse to create or change; fields of the wire that mean nothing on one machine are accepted and ignored."""

    name: str = ""
    cluster_size: str = "2X-Small"
    auto_stop_mins: int = 0
    insjo: EngineBody | None = None


class EditBody(msgspec.Struct):
    """What to change of a warehouse; what is left out stays."""

    name: str | None = None
    cluster_size: str | None = None
    auto_stop_mins: int | None = None


class SessionBody(msgspec.Struct):
    """A session to open."""

    warehouse_id: str = ""
    catalog: str | None = None
    schema: str | None = None
    session_confs: dict[str, str] = {}


def warehouse_body(call: Call, warehouse: Warehouse) -> dict[str, object]:
    """A warehouse on the wire."""
    url = call.request.url
    path = f"/sql/1.0/warehouses/{warehouse.id}"
    port = url.port or (443 if url.scheme == "https" else 80)
    return {
        "id": warehouse.id,
        "name": warehouse.name,
        "cluster_size": warehouse.size,
        "size": warehouse.size,
        "state": warehouse.state.value,
        "auto_stop_mins": warehouse.auto_stop_mins,
        "creator_name": warehouse.created_by,
        "warehouse_type": "PRO",
        "insjo": {"engine": warehouse.engine.value, "url": warehouse.url},
        "enable_serverless_compute": False,
        "min_num_clusters": 1,
        "max_num_clusters": 1,
        "num_clusters": 1,
        "num_active_sessions": 0,
        "odbc_params": {"hostname": url.hostname, "path": path, "port": port, "protocol": url.scheme},
        "jdbc_url": f"jdbc:databricks://{url.hostname}:{port}/default;httpPath={path}",
    }


async def list_warehouses(call: Call) -> Response:
    """Warehouses that the caller may see."""
    found = await call.run(call.services.sql.warehouses.list, call.ctx)
    return JSONResponse({"warehouses": [warehouse_body(call, each) for each in found]})


async def create_warehouse(call: Call) -> Response:
    """A new warehouse."""
    body = await call.json(WarehouseBody)
    wanted = body.insjo or EngineBody()
    if wanted.engine not in set(WarehouseEngine):
        message = f"`{wanted.engine[:40]}` is not an engine."
        raise InvalidArgument(message, hint="Engines are `duckdb` and `spark`.")
    made = await call.run(
        call.services.sql.warehouses.create,
        call.ctx,
        body.name,
        size=body.cluster_size,
        auto_stop_mins=body.auto_stop_mins,
        engine=WarehouseEngine(wanted.engine),
        url=wanted.url,
    )
    return JSONResponse({"id": made.id})


async def get_warehouse(call: Call) -> Response:
    """One warehouse."""
    return JSONResponse(warehouse_body(call, await call.run(call.services.sql.warehouses.get, call.ctx, call.path("id"))))


async def edit_warehouse(call: Call) -> Response:
    """Change a warehouse."""
    body = await call.json(EditBody)
    await call.run(
        call.services.sql.warehouses.edit,
        call.ctx,
        call.path("id"),
        name=body.name or None,
        size=body.cluster_size or None,
        auto_stop_mins=body.auto_stop_mins,
    )
    return JSONResponse({})


async def start_warehouse(call: Call) -> Response:
    """Let a warehouse take statements again."""
    await call.run(call.services.sql.warehouses.start, call.ctx, call.path("id"))
    return JSONResponse({})


async def stop_warehouse(call: Call) -> Response:
    """Let a warehouse take no more statements."""
    await call.run(call.services.sql.warehouses.stop, call.ctx, call.path("id"))
    return JSONResponse({})


async def delete_warehouse(call: Call) -> Response:
    """Delete a warehouse."""
    await call.run(call.services.sql.warehouses.delete, call.ctx, call.path("id"))
    return JSONResponse({})


async def open_session(call: Call) -> Response:
    """A session that several statements share."""
    body = await call.json(SessionBody)
    made = await call.run(
        call.services.sql.sessions.create,
        call.ctx,
        warehouse_id=body.warehouse_id or None,
        catalog=body.catalog,
        schema=body.schema,
        settings=body.session_confs,
    )
    return JSONResponse({"session_id": made.id})


async def close_session(call: Call) -> Response:
    """End a session."""
    await call.run(call.services.sql.sessions.close, call.ctx, call.path("id"))
    return JSONResponse({})


async def telemetry(call: Call) -> Response:
    """What drivers tell about themselves is neither read nor kept; the answer says that nothing was taken."""
    del call
    return JSONResponse({"errors": [], "numSuccess": 0, "numProtoSuccess": 0, "numRealtimeSuccess": 0})


async def history(call: Call) -> Response:
    """Statements that ended: everybody's own, and for admins all."""
    page = PageRequest.of(call.query_int("max_results"), call.query("page_token"))
    found = await call.run(call.services.sql.history.list, call.ctx, _history_filter(call), page)
    body: dict[str, object] = {"res": [_history_body(each) for each in found.items], "has_next_page": bool(found.next_token)}
    if found.next_token:
        body["next_page_token"] = found.next_token
    return JSONResponse(body)


def _history_filter(call: Call) -> HistoryFilter:
    """Filter from the query, where the clients write `filter_by` with its parts behind dots."""
    named = call.request.query_params.getlist
    states: list[StatementState] = []
    for word in named("filter_by.statuses"):
        if word not in WIRE_STATES:
            raise InvalidArgument(f"`{word[:40]}` is not a status of a query.", hint=f"Use one of {', '.join(WIRE_STATES)}.")
        states += WIRE_STATES[word]
    within = "filter_by.query_start_time_range"
    return HistoryFilter(
        states=tuple(states),
        user_ids=tuple(named("filter_by.user_ids")),
        warehouse_ids=tuple(named("filter_by.warehouse_ids")),
        statement_ids=tuple(named("filter_by.statement_ids")),
        since=_moment(call, f"{within}.start_time_ms"),
        until=_moment(call, f"{within}.end_time_ms"),
    )


def _moment(call: Call, name: str) -> datetime | None:
    """A query parameter in milliseconds since 1970."""
    value = call.query_int(name)
    if value is None:
        return None
    if not 0 <= value <= MILLISECONDS_MAX:
        raise InvalidArgument(f"The parameter `{name}` must be milliseconds since 1970.")
    return datetime.fromtimestamp(value / 1000, UTC)


def _history_body(entry: HistoryEntry) -> dict[str, object]:
    """A statement of the history on the wire."""
    state = {"SUCCEEDED": "FINISHED", "CLOSED": "FINISHED"}.get(entry.state.value, entry.state.value)
    return {
        "query_id": entry.statement_id,
        "status": state,
        "query_text": entry.text,
        "statement_type": entry.kind.split(" ")[0] if entry.kind else "OTHER",
        "user_name": entry.user_name,
        "executed_as_user_name": entry.user_name,
        "warehouse_id": entry.warehouse_id,
        "query_start_time_ms": epoch_ms(entry.created_at),
        "query_end_time_ms": epoch_ms(entry.ended_at),
        "duration": entry.duration_ms,
        "rows_produced": entry.row_count,
        "error_message": entry.error_message or None,
        "is_final": True,
    }


ROUTES = (
    DoorRoute("GET", WAREHOUSES, list_warehouses, "databricks"),
    DoorRoute("POST", WAREHOUSES, create_warehouse, "databricks"),
    DoorRoute("GET", WAREHOUSES + "/{id}", get_warehouse, "databricks"),
    DoorRoute("DELETE", WAREHOUSES + "/{id}", delete_warehouse, "databricks"),
    DoorRoute("POST", WAREHOUSES + "/{id}/edit", edit_warehouse, "databricks"),
    DoorRoute("POST", WAREHOUSES + "/{id}/start", start_warehouse, "databricks"),
    DoorRoute("POST", WAREHOUSES + "/{id}/stop", stop_warehouse, "databricks"),
    DoorRoute("POST", "/api/2.0/sql/sessions", open_session, "databricks"),
    DoorRoute("DELETE", "/api/2.0/sql/sessions/{id}", close_session, "databricks"),
    DoorRoute("GET", "/api/2.0/sql/history/queries", history, "databricks"),
    DoorRoute("POST", "/telemetry-ext", telemetry, "databricks"),
)
