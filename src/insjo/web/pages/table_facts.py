"""What the page of a table tells beside its columns: statistics, the difference of two versions, where its rows come from and go to.

Everything that is computed from rows is computed by a statement of the person who looks, so filters and masks hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from insjo.catalog.types import TableName
from insjo.kernel.errors import InsjoError, InvalidArgument
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.sql.types import StatementSpec
from insjo.web.databricks.values import json_rows
from insjo.web.pages.render import fragment
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from insjo.catalog.types import Column, Table

COLUMNS_MAX = 40
BUCKETS = 16
TOP = 5
DIFFERENT_MAX = 100
SAMPLED_ABOVE_ROWS = 5_000_000
WAIT_S = 25
NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
WHOLE = ("tinyint", "smallint", "int", "bigint", "date")
ENDS_SHOWN = 10
ALL = PageRequest(PAGE_SIZE_MAX)


@dataclass(slots=True)
class Facts:
    """Statistics of one column."""

    name: str
    type_text: str
    filled: int = 0
    distinct: int = 0
    least: str = ""
    most: str = ""
    mean: str = ""
    bars: list[int] = field(default_factory=list)
    top: list[tuple[str, int]] = field(default_factory=list)


def quoted(*names: str) -> str:
    """A name for SQL."""
    return ".".join(f"`{name.replace('`', '``')}`" for name in names)


async def statistics(call: Call) -> Response:
    """The statistics of a table, as a piece of its page."""
    table = await call.run(call.services.catalog.tables.get, call.ctx, TableName.parse(call.query("table")))
    columns = [each for each in table.columns if "<" not in each.type_text and each.type_text not in {"binary", "variant"}][:COLUMNS_MAX]
    context: dict[str, Any] = {"error": None, "rows": 0, "facts": [], "sampled": 0, "left_out": len(table.columns) - len(columns)}
    try:
        source, context["sampled"] = await _source(call, table)
        context["rows"], context["facts"] = await _facts(call, source, columns)
    except InsjoError as error:
        context["error"] = error
    return await fragment(call, "pages/table_statistics.html", **context)


async def _source(call: Call, table: Table) -> tuple[str, int]:
    """What the statistics read: all rows, or of very many a sample, with its share in per cent."""
    name = quoted(table.catalog, table.schema, table.name)
    if not table.has_files:
        return name, 0
    (resolved,) = await call.run(call.services.catalog.tables.resolve_many, call.ctx, [TableName(table.catalog, table.schema, table.name)])
    rows = resolved.snapshot.rows if resolved.snapshot and resolved.snapshot.rows else 0
    if rows > SAMPLED_ABOVE_ROWS and await call.run(call.services.catalog.tables.hides_rows, call.ctx, resolved.table):
        # The share of a sample tells how many rows there are, so it is taken of those that the person sees.
        ((counted, *_), *_) = await _rows(call, f"SELECT count(*) FROM {name}")  # noqa: S608  # The name is quoted.
        rows = int(counted or 0)
    if rows <= SAMPLED_ABOVE_ROWS:
        return name, 0
    share = max(1, SAMPLED_ABOVE_ROWS * 100 // rows)
    return f"(SELECT * FROM {name} TABLESAMPLE ({share} PERCENT))", share  # noqa: S608  # The name is quoted.


async def _rows(call: Call, text: str) -> list[list[str | None]]:
    """Rows of a statement of the person."""
    result = await call.run(call.services.sql.statements.run, call.ctx, StatementSpec(text), WAIT_S)
    return await call.run(json_rows, result.table)


def scale(column: Column) -> str:
    """The column as a number, for the places of a histogram; nothing for a type that has none."""
    name, kind = quoted(column.name), column.type_text.split("(")[0]
    if kind in NUMBERS:
        return f"CAST({name} AS DOUBLE)"
    if kind == "date":
        return f"CAST(datediff({name}, DATE'1970-01-01') AS DOUBLE)"
    return f"CAST(unix_timestamp({name}) AS DOUBLE)" if kind == "timestamp" else ""


async def _facts(call: Call, source: str, columns: Sequence[Column]) -> tuple[int, list[Facts]]:
    """One statement for the sums of all columns, one for their histograms and most frequent values."""
    sums = ["count(*)"]
    for column in columns:
        name, number = quoted(column.name), scale(column)
        mean = f"avg({name})" if column.type_text.split("(")[0] in NUMBERS else "NULL"
        place = (f"min({number})", f"max({number})") if number else ("NULL", "NULL")
        sums += [f"count({name})", f"approx_count_distinct({name})", f"min({name})", f"max({name})", mean, *place]
    (row,) = await _rows(call, f"SELECT {', '.join(sums)} FROM {source}")  # noqa: S608  # Names are quoted; the SQL room authorises it.
    width = 7
    found, parts = [], []
    for index, column in enumerate(columns):
        filled, distinct, least, most, mean_text, low, high = row[1 + index * width : 1 + (index + 1) * width]
        facts = Facts(column.name, column.type_text, int(filled or "0"), int(distinct or "0"), least or "", most or "", _short(mean_text))
        found.append(facts)
        if facts.filled:
            parts.append(_distribution(source, column, index, low, high, facts))
    wanted = [part for part in parts if part]
    if wanted:
        for row_of_one in await _rows(call, "\nUNION ALL\n".join(wanted)):
            at, value, count = (text or "" for text in row_of_one)
            _put(found[int(at)], value, int(count))
    return int(row[0] or "0"), found


def _distribution(source: str, column: Column, index: int, low: str | None, high: str | None, facts: Facts) -> str:
    """Counts of a column: by place between its least and its greatest value, or of its most frequent values."""
    name, number = quoted(column.name), scale(column)
    if not number:
        value = f"CAST({name} AS STRING)"
        counted = f"SELECT {index} AS place, {value} AS value, count(*) AS n FROM {source} WHERE {name} IS NOT NULL GROUP BY {value}"  # noqa: S608  # Quoted.
        return f"SELECT * FROM ({counted} ORDER BY n DESC, value LIMIT {TOP})"  # noqa: S608  # As above.
    least, most = float(low or "nan"), float(high or "nan")
    if not (math.isfinite(least) and math.isfinite(most)):
        return ""
    few = column.type_text in WHOLE and most - least < BUCKETS
    facts.bars = [0] * (int(most - least) + 1 if few else BUCKETS if most > least else 1)
    step = 1.0 if few else (most - least) / BUCKETS or 1.0
    bucket = f"CAST(least(floor(({number} - CAST({least!r} AS DOUBLE)) / CAST({step!r} AS DOUBLE)), {len(facts.bars) - 1}) AS STRING)"
    return f"SELECT {index} AS place, {bucket} AS value, count(*) AS n FROM {source} WHERE {name} IS NOT NULL GROUP BY {bucket}"  # noqa: S608  # Quoted.


def _put(facts: Facts, value: str, count: int) -> None:
    """One count into its place."""
    if facts.bars:
        facts.bars[min(max(int(float(value)), 0), len(facts.bars) - 1)] += count
    else:
        facts.top.append((value, count))


def _short(text: str | None) -> str:
    """A mean with as many digits as matter."""
    return "" if text is None else f"{float(text):,.4g}".replace(",", " ")


async def difference(call: Call, name: TableName) -> dict[str, Any]:
    """Columns and rows that one version has and the other has not; `?from=` and `?to=` choose them."""
    texts = call.query("from"), call.query("to")
    if not all(texts):
        return {"difference": None}
    if not all(text.isdigit() for text in texts):
        raise InvalidArgument("Choose two versions.")
    old, new = (int(text) for text in texts)
    shown: dict[str, Any] = {"from": old, "to": new, "error": None, "columns_gone": [], "columns_new": [], "sides": []}
    try:
        wanted = [TableName(name.catalog, name.schema, name.name, version=version) for version in (old, new)]
        before, after = [(await call.run(call.services.catalog.tables.resolve_many, call.ctx, [each]))[0] for each in wanted]
        were = [each.name for each in before.snapshot.columns] if before.snapshot else []
        are = [each.name for each in after.snapshot.columns] if after.snapshot else []
        shown["columns_gone"], shown["columns_new"] = [each for each in were if each not in are], [each for each in are if each not in were]
        both = [each for each in are if each in were]
        for sign, first, second in (("+", new, old), ("-", old, new)):
            shown["sides"].append(await _only_in(call, name, both, sign, first, second))
    except InsjoError as error:
        shown["error"] = error
    return {"difference": shown}


async def _only_in(call: Call, name: TableName, columns: Sequence[str], sign: str, first: int, second: int) -> dict[str, Any]:
    """Rows of one version that the other has not, or has fewer times."""
    listed, table = ", ".join(quoted(each) for each in columns), quoted(name.catalog, name.schema, name.name)
    one, other = (f"SELECT {listed} FROM {table} VERSION AS OF {version}" for version in (first, second))  # noqa: S608  # Quoted.
    spec = StatementSpec(f"SELECT * FROM (\n{one}\nEXCEPT ALL\n{other}\n) LIMIT {DIFFERENT_MAX + 1}")  # noqa: S608  # As above.
    result = await call.run(call.services.sql.statements.run, call.ctx, spec, WAIT_S)
    rows = await call.run(json_rows, result.table)
    shown = {"columns": [{"name": each.name, "type": each.type_text} for each in result.statement.columns], "rows": rows[:DIFFERENT_MAX]}
    return {"sign": sign, "count": min(len(rows), DIFFERENT_MAX), "more": len(rows) > DIFFERENT_MAX, "result": shown}


async def lineage(call: Call, table: Table) -> dict[str, Any]:
    """Where the rows come from and go to, with what else names the table; only what the person may see."""
    services, column = call.services, call.query("column") or None
    kept = services.access.lineage
    sources = await call.run(kept.sources, call.ctx, table.id, column)
    targets = await call.run(kept.targets, call.ctx, table.id, column)
    return {
        "column": column,
        "picture": picture(
            [_end(each.source, each.source_column, each.kind) for each in sources],
            [_end(each.target, each.target_column, each.kind) for each in targets],
        ),
        "used_by": await used_by(call, table.full_name),
    }


def _end(name: str, column: str, kind: str) -> dict[str, str]:
    """One end of an edge."""
    return {"name": name, "column": column, "kind": kind, "href": "/catalog/" + "/".join(name.split(".", 2))}


def picture(sources: list[dict[str, str]], targets: list[dict[str, str]]) -> dict[str, Any]:
    """Places of the boxes: sources at the left, the table in the middle, targets at the right."""
    left, right = sources[:ENDS_SHOWN], targets[:ENDS_SHOWN]
    height = max(len(left), len(right), 1) * 52 + 20

    def placed(ends: list[dict[str, str]]) -> list[dict[str, Any]]:
        first = (height - len(ends) * 52) // 2
        return [each | {"y": first + index * 52 + 5} for index, each in enumerate(ends)]

    hidden = max(len(sources) - ENDS_SHOWN, 0) + max(len(targets) - ENDS_SHOWN, 0)
    return {"left": placed(left), "right": placed(right), "height": height, "middle": height // 2, "hidden": hidden}


async def used_by(call: Call, full_name: str) -> list[dict[str, str]]:
    """Apps, dashboards and saved queries of the person's sight that name the table."""
    services, wanted = call.services, full_name.lower()
    found = [
        {"kind": "app", "name": each.full_name, "href": f"/apps/{each.full_name}"}
        for each in await call.run(services.agents.agents.list, call.ctx)
        if wanted in {name.lower() for name in each.tables}
    ]
    dashboards = await call.run(services.workspace.dashboards.list, call.ctx, ALL)
    found += [
        {"kind": "dashboard", "name": each.display_name, "href": f"/dashboards/{each.id}"}
        for each in dashboards.items
        if wanted in each.serialized.lower()
    ]
    queries = await call.run(services.workspace.queries.list, call.ctx, ALL)
    named = [each for each in queries.items if wanted in each.text.lower()]
    return found + [{"kind": "query", "name": each.display_name, "href": f"/sql?query={each.id}"} for each in named]


ROUTES = (DoorRoute("GET", "/ui/catalog/statistics", statistics, "page"),)
