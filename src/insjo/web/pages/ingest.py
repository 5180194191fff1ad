"""Pages below `/ingest`: a dropped file becomes a table, with a preview before anything is made."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from insjo.access.types import Privilege, SecurableKind
from insjo.ingest.service.inspections import FORMATS as ENDINGS
from insjo.ingest.types import LoadSpec, Mode, Source
from insjo.kernel.errors import InsjoError, NotFound
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.databricks.values import json_rows
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

UPLOADS = "uploads"
FORMATS = ("csv", "json", "parquet", "excel", "avro", "orc", "sqlite")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\\t", "pipe": "|"}
ENCODINGS = ("utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15", "cp850")
TYPES = ("string", "int", "bigint", "double", "decimal(18,2)", "boolean", "date", "timestamp", "timestamp_ntz")
TYPE = re.compile(
    r"(?:tinyint|smallint|int|bigint|float|double|boolean|date|timestamp|timestamp_ntz|string|binary|decimal\(\d{1,2},\d{1,2}\))"
)
COLUMNS_MAX = 150
LOADS_SHOWN = 10
_FITTING = {
    "csv": frozenset({"header", "delimiter", "encoding", "nullValue"}),
    "json": frozenset({"encoding"}),
    "excel": frozenset({"header", "sheetName", "nullValue"}),
    "sqlite": frozenset({"table"}),
}
"""Options that the page has for each format."""

NOT_WORD = re.compile(r"\W+")


async def show(call: Call) -> Response:
    """Choose a schema, then drop a file."""
    return await _start(call)


async def _start(call: Call, *, error: InsjoError | None = None, status: int = 200) -> Response:
    """The first page."""
    schemas = await _schemas(call)
    chosen = call.query("schema").lower()
    volume = await _uploads_of(call, chosen) if chosen else None
    locations = [each for each in await call.run(call.services.ingest.locations.list, call.ctx) if each.volume]
    loads = (await call.run(call.services.ingest.loads.list, call.ctx, PageRequest(LOADS_SHOWN))).items
    return await page(
        call, "pages/ingest.html", status, schemas=schemas, chosen=chosen, volume=volume, error=error, loads=loads, locations=locations
    )


async def _schemas(call: Call) -> list[str]:
    """Schemas in which the person may make tables."""
    catalog = call.services.catalog
    whole = PageRequest(PAGE_SIZE_MAX)
    names: list[tuple[str, str]] = []
    for each in (await call.run(catalog.catalogs.list, call.ctx, whole)).items:
        found = await call.run(catalog.schemas.list, call.ctx, each.name, whole)
        names += [(schema.full_name, schema.id) for schema in found.items if schema.name != "information_schema"]
    wanted = [(Privilege.CREATE_TABLE, identifier) for _, identifier in names]
    decisions = await call.run(call.services.access.authority.decide_many, call.ctx, wanted)
    return [name for (name, _), decision in zip(names, decisions, strict=True) if decision.allowed]


async def _uploads_of(call: Call, schema: str) -> str | None:
    """Path of the volume for uploads of a schema, if it is there for the person."""
    try:
        volume = await call.run(call.services.catalog.volumes.get, call.ctx, f"{schema}.{UPLOADS}")
    except NotFound:
        return None
    return volume.path


async def prepare(call: Call) -> Response:
    """Make the volume for uploads in the chosen schema, if it is not there yet."""
    form = await form_of(call)
    schema = form.get("schema", "").lower()
    try:
        await call.run(call.services.access.securables.resolve, call.ctx, SecurableKind.SCHEMA, schema, None)
        if await _uploads_of(call, schema) is None:
            await call.run(
                call.services.catalog.volumes.create, call.ctx, f"{schema}.{UPLOADS}", comment="Files that were dropped on Add data"
            )
    except InsjoError as error:
        return await _start(call, error=error, status=400)
    return redirect(f"/ingest?schema={quote(schema)}")


async def preview(call: Call) -> Response:
    """First rows and types of a source, with all choices that change them, and how it fits the table."""
    return await _preview(call, call.request.query_params)


async def _preview(call: Call, given: Any, *, error: InsjoError | None = None, status: int = 200) -> Response:  # noqa: ANN401  # A form or query parameters; both have get.
    """The page of one source."""
    choices = choices_of(given)
    context: dict[str, Any] = {"path": choices.source.path, "choices": choices, "sample": None, "found": None, "error": error}
    try:
        found = await call.run(call.services.ingest.inspections.inspect, call.ctx, choices.source, choices.table, choices.mode)
    except InsjoError as failed:
        context["error"] = error or failed
        known = ENDINGS.get(choices.source.path.lower().removesuffix(".gz").removesuffix(".zst").rpartition(".")[2], "")
        context["choices"] = replace(choices, source=replace(choices.source, format=choices.source.format or known))
    else:
        columns = [{"name": each.name, "type": each.type_text} for each in found.columns]
        rows = await call.run(json_rows, found.sample)
        context["sample"] = {"columns": columns, "rows": rows, "complete": True, "total": len(rows)}
        context["found"] = found
        context["choices"] = replace(choices, source=replace(found.source, types=choices.source.types))
    context |= {"formats": FORMATS, "delimiters": DELIMITERS, "encodings": ENCODINGS, "types": TYPES, "columns_max": COLUMNS_MAX}
    return await page(call, "pages/ingest_preview.html", status, **context)


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen on the page."""

    source: Source
    table: str
    mode: Mode
    keys: tuple[str, ...]
    quarantine: bool
    accept_drift: bool

    def option(self, name: str, default: str = "") -> str:
        """An option of the source."""
        return next((value for key, value in self.source.options.items() if key.lower() == name.lower()), default)


def choices_of(given: Any) -> Choices:  # noqa: ANN401  # As above.
    """What was chosen, with guesses from the file's name for what was not."""
    path = given.get("path") or ""
    name = path.rstrip("/").rsplit("/", 1)[-1]
    stem = name.removesuffix(".gz").rpartition(".")[0] or name
    parts = path.strip("/").split("/")
    schema = f"{parts[1]}.{parts[2]}" if len(parts) > 3 else "main.default"  # noqa: PLR2004  # Volumes, catalog, schema, volume.
    table = NOT_WORD.sub("_", stem.lower()).strip("_") or "table"
    read = given.get("read") == "true"
    options = {key: given.get(key) or "" for key in ("header", "delimiter", "encoding", "nullValue", "sheetName", "table_in_file")}
    if (inner := options.pop("table_in_file")) and given.get("format") == "sqlite":
        options["table"] = inner
    types = {key.removeprefix("type:"): value for key, value in given.items() if key.startswith("type:") and TYPE.fullmatch(value)}
    mode = given.get("mode") or ""
    kept = {key: value for key, value in options.items() if value and key in _FITTING.get(given.get("format") or "csv", frozenset())}
    return Choices(
        source=Source(path, given.get("format") or "", kept, types),
        table=given.get("table") or f"{schema}.{table[:100]}",
        mode=Mode(mode) if mode in set(Mode) else Mode.CREATE,
        keys=tuple(key.removeprefix("key:") for key in given if key.startswith("key:")),
        quarantine=not read or given.get("quarantine") == "on",
        accept_drift=given.get("accept_drift") == "on",
    )


async def load(call: Call) -> Response:
    """Load the source, in the background; what does not fit together is told on the page of the source."""
    form = await form_of(call)
    choices = choices_of(form)
    spec = LoadSpec(
        source=choices.source,
        target=choices.table,
        mode=choices.mode,
        keys=choices.keys if choices.mode is Mode.MERGE else (),
        quarantine=choices.quarantine,
        accept_drift=choices.accept_drift,
    )
    try:
        run = await call.run(call.services.ingest.loads.load, call.ctx, spec)
    except InsjoError as error:
        return await _preview(call, form, error=error, status=400)
    return redirect(f"/ingest/runs/{run.id}")


async def fetch(call: Call) -> Response:
    """Fetch a file or a table from a location, in the background."""
    form = await form_of(call)
    try:
        run = await call.run(call.services.ingest.locations.fetch, call.ctx, form.get("location", ""), form.get("what", ""))
    except InsjoError as error:
        return await _start(call, error=error, status=400)
    return redirect(f"/ingest/fetches/{run.id}")


async def fetch_state(call: Call) -> Response:
    """How far the fetch is; once the file is there, the page leads to it."""
    run = await call.run(call.services.ingest.locations.fetched, call.ctx, call.path("id"))
    part = call.request.headers.get("hx-request") == "true"
    types = run.result.get("types")
    chosen = {f"type:{name}": kind for name, kind in types.items()} if isinstance(types, dict) else {}
    href = "/ingest/preview?" + urlencode({"path": str(run.result.get("path") or ""), **chosen})
    return await page(call, "pages/ingest_fetch_state.html" if part else "pages/ingest_fetch.html", run=run, href=href)


async def run_state(call: Call) -> Response:
    """How far the load is; the page asks again by itself until it has ended."""
    run = await call.run(call.services.ingest.loads.get, call.ctx, call.path("id"))
    part = call.request.headers.get("hx-request") == "true"
    template = "pages/ingest_state.html" if part else "pages/ingest_run.html"
    table = str(run.payload.get("target", ""))
    quarantine = str(run.result.get("quarantine_table") or "")
    links = {"href": "/catalog/" + table.replace(".", "/"), "quarantine_href": "/catalog/" + quarantine.replace(".", "/")}
    return await page(call, template, run=run, table=table, quarantine=quarantine, path=str(run.payload.get("path", "")), **links)


async def cancel(call: Call) -> Response:
    """Stop the load; nothing is half-written."""
    await call.run(call.services.ingest.loads.cancel, call.ctx, call.path("id"))
    return redirect(f"/ingest/runs/{call.path('id')}")


ROUTES = (
    DoorRoute("GET", "/ingest", show, "page"),
    DoorRoute("POST", "/ingest", prepare, "page"),
    DoorRoute("GET", "/ingest/preview", preview, "page"),
    DoorRoute("POST", "/ingest/load", load, "page"),
    DoorRoute("POST", "/ingest/fetch", fetch, "page"),
    DoorRoute("GET", "/ingest/fetches/{id}", fetch_state, "page"),
    DoorRoute("GET", "/ingest/runs/{id}", run_state, "page"),
    DoorRoute("POST", "/ingest/runs/{id}/cancel", cancel, "page"),
)
