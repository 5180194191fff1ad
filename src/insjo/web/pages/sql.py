"""Page `/sql`: the editor with its result grid, the schema browser and the person's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from insjo.kernel.paging import PageRequest
from insjo.sql.types import HistoryFilter
from insjo.web.pages.home import OTHERS_DOORS
from insjo.web.pages.render import page
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.sql.types import Completions

HISTORY_SIZE = 25
TABLES_SHOWN_MAX = 300
STATEMENT_START = "SELECT *\nFROM samples.nyc.flights\nLIMIT 100"


async def show(call: Call) -> Response:
    """The editor; `?statement=` fills it, so that other pages can hand a statement over."""
    names = await call.run(call.services.sql.completions, call.ctx)
    warehouses = await call.run(call.services.sql.warehouses.list, call.ctx)
    history = await call.run(
        call.services.sql.history.list,
        call.ctx,
        HistoryFilter(user_ids=(call.ctx.principal.id,), without_doors=OTHERS_DOORS),
        PageRequest.of(HISTORY_SIZE, ""),
    )
    has_samples = any(each.full_name == "samples.nyc.flights" for each in names.tables)
    start = call.query("statement") or (STATEMENT_START if has_samples else "SELECT 1 AS hello")
    return await page(
        call,
        "pages/sql.html",
        statement=start[:100_000],
        warehouses=[(each.id, each.name) for each in warehouses],
        catalogs=list(names.catalogs),
        catalog=call.query("catalog") or "main",
        schema=call.query("schema") or "default",
        nodes=tree_of(names),
        history=history.items,
    )


def tree_of(names: Completions) -> list[dict[str, object]]:
    """Tables as a tree of catalogs and schemas."""
    catalogs: dict[str, dict[str, list[dict[str, object]]]] = {}
    for table in names.tables[:TABLES_SHOWN_MAX]:
        catalog, schema, name = table.full_name.split(".", 2)
        if schema == "information_schema":
            continue
        leaf: dict[str, object] = {
            "title": name,
            "href": f"/catalog/{catalog}/{schema}/{name}",
            "icon": "table-2",
            "note": "",
            "active": False,
        }
        catalogs.setdefault(catalog, {}).setdefault(schema, []).append(leaf | {"open": False, "children": None})
    return [
        {
            "title": catalog,
            "href": "",
            "icon": "database",
            "note": "",
            "active": False,
            "open": len(catalogs) <= 2,  # noqa: PLR2004  # One or two catalogs are shown open.
            "children": [
                {"title": schema, "href": "", "icon": "folder", "note": "", "active": False, "open": False, "children": leaves}
                for schema, leaves in schemas.items()
            ],
        }
        for catalog, schemas in catalogs.items()
    ]


async def completions(call: Call) -> Response:
    """Names for the editor; only what the person may see."""
    found = await call.run(call.services.sql.completions, call.ctx, call.query("catalog"), call.query("schema"))
    return JSONResponse(
        {
            "tables": {each.full_name: [name for name, _ in each.columns] for each in found.tables},
            "functions": list(found.functions),
            "default_schema": f"{call.query('catalog') or 'main'}.{call.query('schema') or 'default'}",
        }
    )


ROUTES = (
    DoorRoute("GET", "/sql", show, "page"),
    DoorRoute("GET", "/ui/sql/completions", completions, "insjo"),
)
