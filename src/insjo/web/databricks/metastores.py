"""Doors: the one metastore, its system schemas, to which workspaces catalogs are bound, and short lists of tables.

Wire: `MetastoresAPI`, `SystemSchemasAPI`, `WorkspaceBindingsAPI` and `TablesAPI.list_summaries` of databricks-sdk.
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from insjo.access.errors import CatalogNotFound
from insjo.access.types import METASTORE_ID, SecurableKind
from insjo.catalog.types import SYSTEM_CATALOG
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, NotFound
from insjo.kernel.paging import PageRequest, page_of
from insjo.web.databricks.identity import WORKSPACE_ID
from insjo.web.databricks.unity import PREFIX
from insjo.web.types import Call, DoorRoute

PATTERN_CHARS_MAX = 255


async def _metastore(call: Call) -> dict[str, object]:
    """The metastore on the wire."""
    found = await call.run(call.services.access.securables.metastore)
    owners = await call.run(call.services.access.authority.owners, [found.id])
    return {
        "metastore_id": METASTORE_ID,
        "global_metastore_id": METASTORE_ID,
        "name": "insjo",
        "cloud": "local",
        "region": "local",
        "owner": owners[found.id],
        "created_at": epoch_ms(found.created_at),
        "privilege_model_version": "1.0",
    }


async def list_metastores(call: Call) -> Response:
    """There is one."""
    return JSONResponse({"metastores": [await _metastore(call)]})


async def get_metastore(call: Call) -> Response:
    """The metastore by its identifier."""
    if call.path("id") != METASTORE_ID:
        raise NotFound(f"The metastore `{call.path('id')[:64]}` does not exist.", hint=f"There is one, `{METASTORE_ID}`.")
    return JSONResponse(await _metastore(call))


async def system_schemas(call: Call) -> Response:
    """System schemas that the caller may see; they are there from the start and cannot be switched off."""
    if call.path("id") != METASTORE_ID:
        raise NotFound(f"The metastore `{call.path('id')[:64]}` does not exist.")
    try:
        page = await call.run(call.services.catalog.schemas.list, call.ctx, SYSTEM_CATALOG)
    except CatalogNotFound:
        return JSONResponse({"schemas": []})
    return JSONResponse({"schemas": [{"schema": each.name, "state": "ENABLE_COMPLETED"} for each in page.items]})


async def bindings(call: Call) -> Response:
    """Every catalog is bound to the one workspace."""
    kind = SecurableKind.parse(call.path("kind"))
    await call.run(call.services.access.securables.resolve, call.ctx, kind, call.path("full_name").lower(), None)
    return JSONResponse({"bindings": [{"workspace_id": int(WORKSPACE_ID), "binding_type": "BINDING_TYPE_READ_WRITE"}]})


async def catalog_bindings(call: Call) -> Response:
    """As `bindings`, in the older form."""
    name = call.path("full_name").lower()
    await call.run(call.services.access.securables.resolve, call.ctx, SecurableKind.CATALOG, name, None)
    return JSONResponse({"workspaces": [int(WORKSPACE_ID)]})


async def table_summaries(call: Call) -> Response:
    """Names and types of the tables of a catalog whose schema and name fit the patterns (`%` and `_` of LIKE)."""
    catalog = call.query("catalog_name").lower()
    if not catalog:
        raise InvalidArgument("The parameter `catalog_name` is missing.")
    await call.run(call.services.access.securables.resolve, call.ctx, SecurableKind.CATALOG, catalog, None)
    schemas, names = call.query("schema_name_pattern"), call.query("table_name_pattern")
    if max(len(schemas), len(names)) > PATTERN_CHARS_MAX:
        raise InvalidArgument(f"A pattern has at most {PATTERN_CHARS_MAX} characters.")
    page = PageRequest.of(call.query_int("max_results"), call.query("page_token"))
    found = [
        {"full_name": each.full_name, "table_type": each.table_type.value}
        for each in await call.run(call.services.catalog.information.survey, call.ctx, catalog)
        if _fits(each.schema, schemas) and _fits(each.name, names) and each.full_name > page.after()
    ]
    found.sort(key=lambda each: each["full_name"])
    cut = page_of(found[: page.size + 1], page.size, lambda each: each["full_name"])
    return JSONResponse({"tables": list(cut.items)} | ({"next_page_token": cut.next_token} if cut.next_token else {}))


def _fits(text: str, pattern: str) -> bool:
    """Whether a text is like a pattern; an empty one fits all.  Only the last `%` is tried again, which is enough and never slow."""
    at = part = 0
    star, mark = -1, 0
    wanted = pattern.lower() or "%"
    while at < len(text):
        if part < len(wanted) and wanted[part] == "%":
            star, mark = part, at
            part += 1
        elif part < len(wanted) and wanted[part] in {"_", text[at]}:
            at += 1
            part += 1
        elif star >= 0:
            mark += 1
            at, part = mark, star + 1
        else:
            return False
    return not wanted[part:].strip("%")


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/metastores", list_metastores, "databricks"),
    DoorRoute("GET", f"{PREFIX}/metastores/{{id}}", get_metastore, "databricks"),
    DoorRoute("GET", f"{PREFIX}/metastores/{{id}}/systemschemas", system_schemas, "databricks"),
    DoorRoute("GET", f"{PREFIX}/bindings/{{kind}}/{{full_name}}", bindings, "databricks"),
    DoorRoute("GET", f"{PREFIX}/workspace-bindings/catalogs/{{full_name}}", catalog_bindings, "databricks"),
    DoorRoute("GET", f"{PREFIX}/table-summaries", table_summaries, "databricks"),
)
