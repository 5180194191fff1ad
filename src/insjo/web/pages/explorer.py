"""The tree beside the pages of the catalog, and the search in names, columns and comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from insjo.kernel.errors import InsjoError
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.responses import Response

    from insjo.catalog.types import Table

FOUND_MAX = 40
SHOWN_MAX = 300
QUERY_MAX = 100
ALL = PageRequest(PAGE_SIZE_MAX)


async def side_tree(call: Call, catalog: str = "", schema: str = "", name: str = "") -> list[dict[str, object]]:
    """Catalogs; of the one that is open its schemas, and of the schema that is open its tables and volumes."""
    catalogs = await call.run(call.services.catalog.catalogs.list, call.ctx, ALL)
    return [
        _branch(
            each.name,
            f"/catalog/{each.name}",
            "database",
            each.name == catalog and not schema,
            await _schemas(call, schema, name, each.name),
        )
        if each.name == catalog
        else _leaf(each.name, f"/catalog/{each.name}", "database", active=False)
        for each in catalogs.items
    ]


async def _schemas(call: Call, schema: str, name: str, catalog: str) -> list[dict[str, object]]:
    """Schemas of the open catalog."""
    found = await call.run(call.services.catalog.schemas.list, call.ctx, catalog, ALL)
    path = f"/catalog/{catalog}"
    return [
        _branch(each.name, f"{path}/{each.name}", "folder", each.name == schema and not name, await _objects(call, catalog, schema, name))
        if each.name == schema
        else _leaf(each.name, f"{path}/{each.name}", "folder", active=False)
        for each in found.items
    ]


async def _objects(call: Call, catalog: str, schema: str, name: str) -> list[dict[str, object]]:
    """Tables, views, volumes and models of the open schema; a schema of very many shows the first, and the search finds the others."""
    path = f"/catalog/{catalog}/{schema}"
    tables = await call.run(call.services.catalog.tables.list, call.ctx, catalog, schema, PageRequest.of(SHOWN_MAX, ""))
    volumes = await call.run(call.services.catalog.volumes.list, call.ctx, catalog, schema, PageRequest.of(SHOWN_MAX, ""))
    shown = [_leaf(each.name, f"{path}/{each.name}", _picture(each), active=each.name == name) for each in tables.items]
    shown += [
        _leaf(each.name, f"{path}/volumes/{each.name}", "folder-open", active=f"volumes/{each.name}" == name) for each in volumes.items
    ]
    models = await call.run(call.services.catalog.models.list, call.ctx, catalog, schema, PageRequest.of(SHOWN_MAX, ""))
    home = f"/models/{catalog}/{schema}"
    return shown + [_leaf(each.name, f"{home}/{each.name}", "box", active=f"models/{each.name}" == name) for each in models.items]


def _leaf(title: str, href: str, icon: str, *, active: bool) -> dict[str, object]:
    """One row of the tree."""
    return {"title": title, "href": href, "icon": icon, "note": "", "active": active, "open": False, "children": None}


def _branch(title: str, href: str, icon: str, active: bool, children: list[dict[str, object]]) -> dict[str, object]:
    """A row with others below it."""
    return {"title": title, "href": href, "icon": icon, "note": "", "active": active, "open": True, "children": children}


def _picture(table: Table) -> str:
    """Name of the icon."""
    return "view" if table.is_view else "table-2"


async def search(call: Call) -> Response:
    """Tables, views and volumes whose name, column or comment holds the words; only what the person may see."""
    query = call.query("q").strip().lower()[:QUERY_MAX]
    if not query:
        return JSONResponse({"found": []})
    tables = await call.run(call.services.catalog.information.survey, call.ctx)
    found = sorted(_matches(tables, query), key=lambda each: (each[0], each[1]["name"]))
    return JSONResponse({"found": [entry for _, entry in found[:FOUND_MAX]]})


def _matches(tables: list[Table], query: str) -> Iterator[tuple[int, dict[str, str]]]:
    """What fits, with how well: names before columns before comments."""
    for table in tables:
        path = f"/catalog/{table.catalog}/{table.schema}/{table.name}"
        entry = {"name": table.full_name, "href": path, "picture": _picture(table), "note": ""}
        column = next((each for each in table.columns if query in each.name.lower()), None)
        if query in table.name:
            yield (0 if table.name.startswith(query) else 1), entry
        elif column is not None:
            yield 2, entry | {"note": column.name}
        elif query in table.full_name or query in table.comment.lower() or any(query in each.comment.lower() for each in table.columns):
            yield 3, entry


async def tree_or_nothing(call: Call, catalog: str = "", schema: str = "", name: str = "") -> list[dict[str, object]]:
    """The tree; a page whose own object was just dropped or hidden is shown without it."""
    try:
        return await side_tree(call, catalog, schema, name)
    except InsjoError:
        return []


ROUTES = (DoorRoute("GET", "/ui/catalog/search", search, "insjo"),)
