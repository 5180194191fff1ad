"""Pages below `/ingest`: a dropped file becomes a table, with a preview before anything is made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.errors import InsjoError, InvalidArgument, NotFound
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.sql.types import StatementSpec
from insjo.web.databricks.values import json_rows
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

UPLOADS = "uploads"
PREVIEW_ROWS = 50
PREVIEW_WAIT_S = 30
FORMATS = {"csv": "csv", "tsv": "csv", "txt": "csv", "json": "json", "jsonl": "json", "ndjson": "json", "parquet": "parquet"}
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\\t", "pipe": "|"}
NOT_WORD = re.compile(r"\W+")


async def show(call: Call) -> Response:
    """Choose a schema, then drop a file."""
    return await _start(call)


async def _start(call: Call, *, error: InsjoError | None = None, status: int = 200) -> Response:
    """The first page."""
    schemas = await _schemas(call)
    chosen = call.query("schema").lower()
    volume = await _uploads_of(call, chosen) if chosen else None
    return await page(call, "pages/ingest.html", status, schemas=schemas, chosen=chosen, volume=volume, error=error)


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
    """First rows and guessed types of an uploaded file, with the choices that change them."""
    path = call.query("path")
    choices = choices_of(call.request.query_params, path)
    context: dict[str, Any] = {"path": path, "choices": choices, "sample": None, "error": None, "formats": ("csv", "json", "parquet")}
    context["delimiters"] = tuple(DELIMITERS)
    try:
        spec = StatementSpec(f"SELECT * FROM {source_of(path, choices)} LIMIT {PREVIEW_ROWS}")  # noqa: S608  # Every part is checked or quoted by source_of.
        result = await call.run(call.services.sql.statements.run, call.ctx, spec, PREVIEW_WAIT_S)
    except InsjoError as error:
        context["error"] = error
    else:
        columns = [{"name": each.name, "type": each.type_text} for each in result.statement.columns]
        rows = await call.run(json_rows, result.table)
        context["sample"] = {"columns": columns, "rows": rows, "complete": True, "total": len(rows)}
    return await page(call, "pages/ingest_preview.html", **context)


def choices_of(given: Any, path: str) -> dict[str, str]:  # noqa: ANN401  # A form or query parameters; both have get.
    """What was chosen, with guesses from the file's name for what was not."""
    name = path.rsplit("/", 1)[-1]
    stem, _, suffix = name.rpartition(".")
    parts = path.strip("/").split("/")
    schema = f"{parts[1]}.{parts[2]}" if len(parts) > 3 else "main.default"  # noqa: PLR2004  # Volumes, catalog, schema, volume.
    table = NOT_WORD.sub("_", (stem or name).lower()).strip("_") or "table"
    return {
        "format": given.get("format") or FORMATS.get(suffix.lower(), "csv"),
        "header": given.get("header") or "true",
        "delimiter": given.get("delimiter") or ("tab" if suffix.lower() == "tsv" else "comma"),
        "null": given.get("null") or "",
        "table": given.get("table") or f"{schema}.{table[:100]}",
        "mode": given.get("mode") or "create",
    }


def source_of(path: str, choices: dict[str, str]) -> str:
    """The `read_files` call for a file."""
    if choices["format"] not in {"csv", "json", "parquet"}:
        raise InvalidArgument("Choose CSV, JSON lines or Parquet.")
    options = [f"format => '{choices['format']}'"]
    if choices["format"] == "csv":
        options.append(f"header => {'true' if choices['header'] == 'true' else 'false'}")
        options.append(f"delimiter => '{DELIMITERS.get(choices['delimiter'], ',')}'")
        if choices["null"]:
            options.append(f"nullValue => {literal(choices['null'])}")
    return f"read_files({literal(path)}, {', '.join(options)})"


def literal(text: str) -> str:
    """A SQL string; backslash escapes in the Databricks dialect, so it is doubled."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quoted(full_name: str) -> str:
    """A three-part name in backticks."""
    parts = full_name.split(".")
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004  # catalog.schema.table
        raise InvalidArgument(f"`{full_name[:80]}` is not a full name.", hint="Write `catalog.schema.table`.")
    return ".".join(f"`{part.replace('`', '``')}`" for part in parts)


async def load(call: Call) -> Response:
    """Make the table, or append to it, in the background."""
    form = await form_of(call)
    path = form.get("path", "")
    choices = choices_of(form, path)
    source = source_of(path, choices)
    target = quoted(choices["table"])
    verb = {"append": f"INSERT INTO {target} BY NAME", "replace": f"CREATE OR REPLACE TABLE {target} AS"}.get(
        choices["mode"], f"CREATE TABLE {target} AS"
    )
    spec = StatementSpec(f"{verb} SELECT * FROM {source}")  # noqa: S608  # Every part is quoted, and the SQL room authorises it.
    statement = await call.run(call.services.sql.statements.submit, call.ctx, spec)
    return redirect(f"/ingest/runs/{statement.id}?table={quote(choices['table'])}&path={quote(path)}")


async def run_state(call: Call) -> Response:
    """How far the load is; the page asks again by itself until it has ended."""
    statement = await call.run(call.services.sql.statements.get, call.ctx, call.path("id"))
    part = call.request.headers.get("hx-request") == "true"
    template = "pages/ingest_state.html" if part else "pages/ingest_run.html"
    table = call.query("table")
    return await page(call, template, statement=statement, table=table, href="/catalog/" + table.replace(".", "/"), path=call.query("path"))


async def cancel(call: Call) -> Response:
    """Stop the load; nothing is half-written."""
    await call.run(call.services.sql.statements.cancel, call.ctx, call.path("id"))
    return redirect("/ingest")


ROUTES = (
    DoorRoute("GET", "/ingest", show, "page"),
    DoorRoute("POST", "/ingest", prepare, "page"),
    DoorRoute("GET", "/ingest/preview", preview, "page"),
    DoorRoute("POST", "/ingest/load", load, "page"),
    DoorRoute("GET", "/ingest/runs/{id}", run_state, "page"),
    DoorRoute("POST", "/ingest/runs/{id}/cancel", cancel, "page"),
)
