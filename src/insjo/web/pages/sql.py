"""Page `/sql`: the editor with its tabs and results, the schema browser and the person's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from insjo.access.types import Privilege
from insjo.kernel.paging import PageRequest
from insjo.sql.types import HistoryFilter, StatementState
from insjo.web.pages.home import OTHERS_DOORS
from insjo.web.pages.render import page
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from insjo.catalog.types import Table
    from insjo.sql.types import Completions

HISTORY_SIZE = 100
TABLES_SHOWN_MAX = 300
COMPLETIONS_MAX = 2_000
COMMENT_MAX = 300
STATEMENT_START = "SELECT *\nFROM samples.nyc.flights\nLIMIT 100"


async def show(call: Call) -> Response:
    """The editor; `?statement=` fills it, so that other pages can hand a statement over."""
    names = await call.run(call.services.sql.completions, call.ctx)
    warehouses = await call.run(call.services.sql.warehouses.list, call.ctx)
    has_samples = any(each.full_name == "samples.nyc.flights" for each in names.tables)
    saved = await call.run(call.services.workspace.queries.get, call.ctx, call.query("query")) if call.query("query") else None
    start = call.query("statement") or (saved.text if saved else "") or (STATEMENT_START if has_samples else "SELECT 1 AS hello")
    return await page(
        call,
        "pages/sql.html",
        statement=start[:100_000],
        warehouses=[(each.id, each.name) for each in warehouses],
        catalogs=list(names.catalogs),
        catalog=call.query("catalog") or "main",
        schema=call.query("schema") or "default",
        nodes=tree_of(names),
        handed=bool(call.query("statement")) or saved is not None,
        saved=saved,
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
            "insert": table.full_name,
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
    """Names for the editor with types and rights; only what the person may see."""
    found = await call.run(call.services.sql.completions, call.ctx, call.query("catalog"), call.query("schema"))
    tables = await call.run(call.services.catalog.information.survey, call.ctx, call.query("catalog"), call.query("schema"))
    rights = await call.run(_rights, call, tables[:COMPLETIONS_MAX])
    return JSONResponse(
        {
            "tables": [_completion(table, access) for table, access in zip(tables, rights, strict=False)],
            "functions": list(found.functions),
            "default_schema": f"{call.query('catalog') or 'main'}.{call.query('schema') or 'default'}",
        }
    )


def _rights(call: Call, tables: Sequence[Table]) -> list[str]:
    """What the person may do with each table: `write`, `read`, or only `browse`; all of them asked for at once."""
    questions = [(privilege, table.id) for table in tables for privilege in (Privilege.SELECT, Privilege.MODIFY)]
    decisions = call.services.access.authority.decide_many(call.ctx, questions)
    pairs = zip(decisions[::2], decisions[1::2], tables, strict=True)
    return ["browse" if not read.allowed else "write" if write.allowed and table.has_files else "read" for read, write, table in pairs]


def _completion(table: Table, access: str) -> dict[str, object]:
    """One table as the editor offers it."""
    return {
        "name": table.full_name,
        "kind": "view" if table.is_view else "table",
        "access": access,
        "comment": table.comment[:COMMENT_MAX],
        "columns": [(column.name, column.type_text) for column in table.columns],
    }


async def history(call: Call) -> Response:
    """The person's statements, the latest first; `q` searches in their texts, `failed=1` leaves out what succeeded."""
    wanted = HistoryFilter(
        user_ids=(call.ctx.principal.id,),
        states=(StatementState.FAILED, StatementState.CANCELED) if call.query("failed") else (),
        text_contains=call.query("q")[:200],
        without_doors=OTHERS_DOORS,
    )
    found = await call.run(call.services.sql.history.list, call.ctx, wanted, PageRequest.of(HISTORY_SIZE, ""))
    entries = [
        {
            "text": each.text,
            "at": each.created_at.strftime("%Y-%m-%d %H:%M"),
            "state": each.state.value,
            "duration_ms": each.duration_ms,
            "rows": each.row_count,
            "error": each.error_code,
        }
        for each in found.items
    ]
    return JSONResponse({"statements": entries})


ROUTES = (
    DoorRoute("GET", "/sql", show, "page"),
    DoorRoute("GET", "/ui/sql/completions", completions, "insjo"),
    DoorRoute("GET", "/ui/sql/history", history, "insjo"),
)
