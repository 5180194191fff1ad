"""Own API: looking into sources, and loading them into tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.ingest.types import LoadSpec, Mode, Source
from insjo.kernel.paging import PageRequest
from insjo.web.databricks.values import json_rows
from insjo.web.insjo.governance import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.ingest.types import Inspection
    from insjo.jobs.types import Run

PAGE_SIZE = 50


class SourceBody(msgspec.Struct):
    """A source to look into."""

    path: str
    format: str = ""
    options: dict[str, str] = msgspec.field(default_factory=dict)
    types: dict[str, str] = msgspec.field(default_factory=dict)
    target: str = ""
    mode: Mode = Mode.APPEND


class LoadBody(msgspec.Struct):
    """A load to begin."""

    path: str
    target: str
    mode: Mode = Mode.CREATE
    format: str = ""
    options: dict[str, str] = msgspec.field(default_factory=dict)
    types: dict[str, str] = msgspec.field(default_factory=dict)
    keys: list[str] = msgspec.field(default_factory=list)
    quarantine: bool = True
    accept_drift: bool = False


def inspection_body(found: Inspection) -> dict[str, Any]:
    """What a source holds, as JSON; values of rows are texts as in the statement execution API."""
    return {
        "path": found.source.path,
        "format": found.source.format,
        "options": dict(found.source.options),
        "files": found.files,
        "size_bytes": found.size_bytes,
        "columns": [
            {"name": each.name, "target": each.target, "type": each.type_text, "overridden": each.overridden} for each in found.columns
        ],
        "rows": json_rows(found.sample),
        "problems": [{"message": each.message, "hint": each.hint, "line": each.line} for each in found.problems],
        "target": found.target,
        "target_exists": found.target_exists,
        "drift": [
            {
                "kind": each.kind.value,
                "column": each.column,
                "source_type": each.source_type,
                "target_type": each.target_type,
                "applied": each.applied,
            }
            for each in found.drift
        ],
    }


def load_body(run: Run) -> dict[str, Any]:
    """A load as JSON; `rows`, `quarantined` and `quarantine_table` are known once it has succeeded."""
    return {
        "run_id": run.id,
        "title": run.title,
        "state": run.state.value,
        "path": run.payload.get("path", ""),
        "target": run.payload.get("target", ""),
        "mode": run.payload.get("mode", ""),
        "owner": run.owner,
        "created_at": run.created_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "progress_done": run.progress_done,
        "progress_total": run.progress_total,
        "message": run.message,
        "error": run.error,
        "error_code": run.error_code,
        "rows": run.result.get("rows"),
        "quarantined": run.result.get("quarantined"),
        "quarantine_table": run.result.get("quarantine_table") or "",
    }


async def inspect(call: Call) -> Response:
    """Columns, types, first rows and problems of a source, and how it differs from a table."""
    body = await call.json(SourceBody)
    source = Source(body.path, body.format, body.options, body.types)
    found = await call.run(call.services.ingest.inspections.inspect, call.ctx, source, body.target, body.mode)
    return JSONResponse(await call.run(inspection_body, found))


async def begin_load(call: Call) -> Response:
    """Load a source into a table, in the background."""
    body = await call.json(LoadBody)
    spec = LoadSpec(
        source=Source(body.path, body.format, body.options, body.types),
        target=body.target,
        mode=body.mode,
        keys=tuple(body.keys),
        quarantine=body.quarantine,
        accept_drift=body.accept_drift,
    )
    run = await call.run(call.services.ingest.loads.load, call.ctx, spec)
    return JSONResponse(load_body(run), status_code=202)


async def list_loads(call: Call) -> Response:
    """Loads, the newest first; everybody sees their own, admins all."""
    found = await call.run(call.services.ingest.loads.list, call.ctx, PageRequest.of(PAGE_SIZE, call.query("page_token")))
    return JSONResponse({"loads": [load_body(each) for each in found.items], "next_page_token": found.next_token})


async def get_load(call: Call) -> Response:
    """How far a load is, and what it did."""
    return JSONResponse(load_body(await call.run(call.services.ingest.loads.get, call.ctx, call.path("run_id"))))


async def cancel_load(call: Call) -> Response:
    """Stop a load; nothing is half-written."""
    return JSONResponse(load_body(await call.run(call.services.ingest.loads.cancel, call.ctx, call.path("run_id"))))


ROUTES = (
    DoorRoute("POST", f"{PREFIX}/ingest/inspect", inspect, "insjo"),
    DoorRoute("GET", f"{PREFIX}/ingest/loads", list_loads, "insjo"),
    DoorRoute("POST", f"{PREFIX}/ingest/loads", begin_load, "insjo"),
    DoorRoute("GET", f"{PREFIX}/ingest/loads/{{run_id}}", get_load, "insjo"),
    DoorRoute("POST", f"{PREFIX}/ingest/loads/{{run_id}}/cancel", cancel_load, "insjo"),
)
