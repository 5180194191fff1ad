"""Summaries that Databricks gives approximately and that are exact here: distinct counts, histograms, frequent values, bit positions."""

from __future__ import annotations

from sqlglot import exp

from insjo.sql.dialect.fragments import WINDOW, Fragment, fail, fill, made
from insjo.sql.dialect.functions.ordering import check_sortable
from insjo.sql.dialect.functions.registry import Call, Definition, aggregate, scalar, template
from insjo.sql.dialect.types import BIGINT, BOOLEAN, DOUBLE, STRING, array_of, struct_of
from insjo.sql.errors import UnsupportedFeature


@aggregate("hll_sketch_estimate", 1)
def distinct_estimate(call: Call) -> Fragment:
    """`hll_sketch_estimate(hll_sketch_agg(x))`: the number itself; sketches as values are not supported."""
    inner = call.nodes[0]
    if not isinstance(inner, exp.Anonymous) or inner.name.lower() != "hll_sketch_agg" or call.over is not None:
        raise UnsupportedFeature(f"{call.label} is supported directly around `hll_sketch_agg` only.")
    value = call.compiler.compile(inner.expressions[0])
    call.distinct = True
    return call.aggregate("count", value.sql, value, of_type=BIGINT)


def _counts(call: Call, value: Fragment) -> Fragment:
    """Each value with how often it occurs, as a map in the order of the values."""
    check_sortable(value)
    not_null = made(f"{value.sql} IS NOT NULL", BOOLEAN, value)
    return call.aggregate("histogram", value.sql, value, of_type=BIGINT, where=not_null)


@aggregate("histogram_numeric", 2)
def histogram_numeric(call: Call) -> Fragment:
    """One bar for each value, as long as there are not more values than bars; Databricks' way of joining bars is not known here."""
    value = call.arg(0).seen()
    bars = call.constant_whole(1, "number of bars")
    of_type = array_of(struct_of(("x", value.type), ("y", DOUBLE)))
    counts = _counts(call, value)
    listed = f"list_transform(map_entries({counts.sql}), lambda h_: struct_pack(x := h_.key, y := CAST(h_.value AS DOUBLE)))"
    raised = fail("UNSUPPORTED_FEATURE", "`histogram_numeric` of more values than bars is not supported.", of_type)
    return made(f"CASE WHEN cardinality({counts.sql}) > {bars} THEN {raised} ELSE {listed} END", of_type, counts)


@aggregate("approx_top_k", 1, 2)
def top_k(call: Call) -> Fragment:
    """The most frequent values with their counts."""
    value = call.arg(0).seen()
    most = call.constant_whole(1, "number of values") if len(call) > 1 else 5
    counts = _counts(call, value)
    sorted_counts = (
        f"list_sort(list_transform(map_entries({counts.sql}), lambda h_: struct_pack(n := -CAST(h_.value AS BIGINT), v := h_.key)))"
    )
    listed = f"list_transform(list_slice({sorted_counts}, 1, {most}), lambda h_: struct_pack(item := h_.v, count := -h_.n))"
    return made(f"coalesce({listed}, [])", array_of(struct_of(("item", value.type), ("count", BIGINT))), counts)


@scalar("monotonically_increasing_id", 0)
def increasing_id(call: Call) -> Fragment:
    """A number that is larger in each row; in Databricks, too, nothing else is promised."""
    del call
    return made("(row_number() OVER () - 1)", BIGINT, flags=(WINDOW,))


@scalar("is_valid_utf8", 1)
def is_valid_utf8(call: Call) -> Fragment:
    """Whether the bytes are a text; a text always is one."""
    text = call.take(0, STRING)
    return fill("CASE WHEN {0} IS NOT NULL THEN TRUE END", BOOLEAN, text)


@scalar("collation", 1)
def collation(call: Call) -> Fragment:
    """There is one."""
    call.take(0, STRING)
    return made("'SYSTEM.BUILTIN.UTF8_BINARY'", STRING)


DEFINITIONS: tuple[Definition, ...] = (
    distinct_estimate,
    histogram_numeric,
    top_k,
    increasing_id,
    is_valid_utf8,
    collation,
    template("bitmap_bit_position", "l", BIGINT, "CASE WHEN {0} > 0 THEN ({0} - 1) % 32768 ELSE (-{0}) % 32768 END"),
    template("bitmap_bucket_number", "l", BIGINT, "CASE WHEN {0} > 0 THEN 1 + ({0} - 1) // 32768 ELSE {0} // 32768 END"),
    template("make_valid_utf8 validate_utf8 try_validate_utf8", "s", STRING, "{0}"),
    template("quote", "s", STRING, "('''' || replace(replace({0}, '\\', '\\\\'), '''', '\\''') || '''')"),
)
