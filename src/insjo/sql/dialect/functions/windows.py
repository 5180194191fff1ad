"""Window functions and OVER clauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.kernel.errors import did_you_mean
from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import common_type, implicit
from insjo.sql.dialect.fragments import Fragment, fill, made, null
from insjo.sql.dialect.functions.ordering import sort_key
from insjo.sql.dialect.functions.registry import Call, Definition, window
from insjo.sql.dialect.types import DOUBLE, INT, VOID, Kind
from insjo.sql.errors import DatatypeMismatch, UnresolvedColumn, UnsupportedFeature

if TYPE_CHECKING:
    from sqlglot import exp

    from insjo.sql.dialect.compiling import Compiler


def over_clause(compiler: Compiler, node: exp.Expr) -> Fragment:
    """The OVER clause of a window function in the engine's words, with a blank before it."""
    partition, order, spec = _parts(compiler, node)
    parts: list[str] = []
    keys = compiler.compile_all(partition)
    if keys:
        parts.append(f"PARTITION BY {', '.join(key.sql for key in keys)}")
    sorts = [sort_key(compiler, each) for each in order]
    if sorts:
        parts.append(f"ORDER BY {', '.join(sort.sql for sort in sorts)}")
    frame = _frame(compiler, spec) if spec is not None else null()
    if spec is not None:
        parts.append(frame.sql)
    return made(f" OVER ({' '.join(parts)})", VOID, *keys, *sorts, frame)


def _parts(compiler: Compiler, node: exp.Expr) -> tuple[list[exp.Expr], list[exp.Expr], exp.Expr | None]:
    """Partition, order and frame, joined with those of a named window."""
    partition = list(node.args.get("partition_by") or [])
    ordered = node.args.get("order")
    order = list(ordered.expressions) if ordered is not None else []
    spec = node.args.get("spec")
    alias = node.args.get("alias")
    if alias is None:
        return partition, order, spec
    named = compiler.scope.windows.get(alias.name.lower())
    if named is None:
        raise UnresolvedColumn(f"There is no window `{alias.name}`.", hint=did_you_mean(alias.name, compiler.scope.windows))
    base_partition, base_order, base_spec = _parts(compiler, named)
    return base_partition or partition, base_order or order, spec or base_spec


def _frame(compiler: Compiler, spec: exp.Expr) -> Fragment:
    kind = str(spec.args.get("kind") or "").upper()
    if kind not in {"ROWS", "RANGE"} or spec.args.get("exclude"):
        message = "Frames of a window are ROWS or RANGE, without EXCLUDE."
        raise UnsupportedFeature(message)
    start = _bound(compiler, spec.args.get("start"), str(spec.args.get("start_side") or ""))
    end_node = spec.args.get("end")
    if end_node is None:
        return made(f"{kind} {start.sql}", VOID, start)
    end = _bound(compiler, end_node, str(spec.args.get("end_side") or ""))
    return made(f"{kind} BETWEEN {start.sql} AND {end.sql}", VOID, start, end)


def _bound(compiler: Compiler, value: exp.Expr | str | None, side: str) -> Fragment:
    if isinstance(value, str):
        return made(f"{value.upper()} {side.upper()}".strip(), VOID)
    if value is None:
        message = "This frame of a window is not supported."
        raise UnsupportedFeature(message)
    fragment = compiler.compile(value)
    return made(f"{fragment.sql} {side.upper()}", VOID, fragment)


@window("row_number rank dense_rank", 0)
def ranks(call: Call) -> Fragment:
    """Numbers of rows."""
    return fill("CAST({0} AS INTEGER)", INT, call.aggregate(call.name, "", of_type=INT))


@window("percent_rank cume_dist", 0)
def shares(call: Call) -> Fragment:
    """Numbers between 0 and 1."""
    return call.aggregate(call.name, "", of_type=DOUBLE)


@window("ntile", 0, 1)
def ntile(call: Call) -> Fragment:
    """Number of the group when rows are dealt into so many."""
    groups = call.take(0, INT) if len(call) else Fragment("1", INT)
    return fill("CAST({0} AS INTEGER)", INT, call.aggregate("ntile", groups.sql, groups, of_type=INT))


@window("lag lead", 1, 3)
def neighbour(call: Call) -> Fragment:
    """Value some rows before or after."""
    value = call.arg(0)
    places = call.take(1, INT) if len(call) > 1 else Fragment("1", INT)
    common = value.type
    if len(call) > 2:  # noqa: PLR2004  # With a default.
        found = common_type(value.type, call.arg(2).type)
        if found is None:
            raise DatatypeMismatch(f"{call.label} takes a default of type `{value.type.text}`, and not `{call.arg(2).type.text}`.")
        common = found
    value = cast(value, common) if value.type.kind is not Kind.VOID else null(common)
    default = cast(call.arg(2), common) if len(call) > 2 else null(common)  # noqa: PLR2004  # With a default.
    words = " IGNORE NULLS" if call.ignore_nulls else ""
    return call.aggregate(call.name, f"{value.sql}, {places.sql}, {default.sql}{words}", value, places, default, of_type=common)


@window("nth_value", 2, 3)
def nth_value(call: Call) -> Fragment:
    """Value of the n-th row of the frame."""
    value = call.arg(0).seen()
    place = implicit(call.arg(1), INT, call.label)
    ignore = call.ignore_nulls or (len(call) > 2 and call.constant_flag(2))  # noqa: PLR2004  # The flag.
    return call.aggregate("nth_value", f"{value.sql}, {place.sql}{' IGNORE NULLS' if ignore else ''}", value, place, of_type=value.type)


DEFINITIONS: tuple[Definition, ...] = (ranks, shares, ntile, neighbour, nth_value)
