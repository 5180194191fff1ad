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
    from insjo.ingest.types import Inspection, Location
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


class LocationBody(msgspec.Struct):
    """A location to allow."""

    name: str
    url: str
    volume: str = ""
    secret: str = ""
    private: bool = False
    comment: str = ""


class FetchBody(msgspec.Struct):
    """What to fetch: a path below the location, or the name of a table; a volume when the location has none."""

    what: str
    volume: str = ""


def location_body(location: Location) -> dict[str, Any]:
    """A location as JSON; of its secret only the name is told."""
    return {
        "name": location.name,
        "url": location.url,
        "volume": location.volume,
        "secret": location.secret,
        "private": location.private,
        "comment": location.comment,
        "created_at": location.created_at.isoformat(),
        "created_by": location.created_by,
    }


def fetch_body(run: Run) -> dict[str, Any]:
    """A fetch as JSON; `path`, and for tables `types`, are known once it has succeeded."""
    told = load_body(run)
    kept = (
        "run_id",
        "title",
        "state",
        "owner",
        "created_at",
        "ended_at",
        "progress_done",
        "progress_total",
        "message",
        "error",
        "error_code",
    )
    return {key: told[key] for key in kept} | {"path": run.result.get("path") or "", "types": run.result.get("types") or {}}


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


async def list_locations(call: Call) -> Response:
    """Locations into whose volumes the caller may write."""
    found = await call.run(call.services.ingest.locations.list, call.ctx)
    return JSONResponse({"locations": [location_body(each) for each in found]})


async def create_location(call: Call) -> Response:
    """Allow a place from which files or tables may be fetched into a volume; stewards only."""
    body = await call.json(LocationBody)
    made = await call.run(
        call.services.ingest.locations.create,
        call.ctx,
        body.name,
        body.url,
        body.volume,
        secret=body.secret,
        private=body.private,
        comment=body.comment,
    )
    return JSONResponse(location_body(made), status_code=201)


async def delete_location(call: Call) -> Response:
    """Allow a place no longer; stewards only."""
    await call.run(call.services.ingest.locations.delete, call.ctx, call.path("name"))
    return Response(status_code=204)


async def begin_fetch(call: Call) -> Response:
    """Fetch a file or a table into the volume of the location, in the background."""
    body = await call.json(FetchBody)
    run = await call.run(call.services.ingest.locations.fetch, call.ctx, call.path("name"), body.what, body.volume)
    return JSONResponse(fetch_body(run), status_code=202)


async def get_fetch(call: Call) -> Response:
    """How far a fetch is, and where the file lies."""
    return JSONResponse(fetch_body(await call.run(call.services.ingest.locations.fetched, call.ctx, call.path("run_id"))))


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/ingest/locations", list_locations, "insjo"),
    DoorRoute("POST", f"{PREFIX}/ingest/locations", create_location, "insjo"),
    DoorRoute("DELETE", f"{PREFIX}/ingest/locations/{{name}}", delete_location, "insjo"),
    DoorRoute("POST", f"{PREFIX}/ingest/locations/{{name}}/fetch", begin_fetch, "insjo"),
    DoorRoute("GET", f"{PREFIX}/ingest/fetches/{{run_id}}", get_fetch, "insjo"),
    DoorRoute("POST", f"{PREFIX}/ingest/inspect", inspect, "insjo"),
    DoorRoute("GET", f"{PREFIX}/ingest/loads", list_loads, "insjo"),
    DoorRoute("POST", f"{PREFIX}/ingest/loads", begin_load, "insjo"),
    DoorRoute("GET", f"{PREFIX}/ingest/loads/{{run_id}}", get_load, "insjo"),
    DoorRoute("POST", f"{PREFIX}/ingest/loads/{{run_id}}/cancel", cancel_load, "insjo"),
)
