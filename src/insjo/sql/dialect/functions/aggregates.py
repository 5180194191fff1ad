"""Aggregates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect import operators
from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import as_text, bounded_decimal, implicit
from insjo.sql.dialect.fragments import AGGREGATE, Constant, Fragment, fill, made, text_of
from insjo.sql.dialect.functions.ordering import check_sortable, sort_key
from insjo.sql.dialect.functions.registry import MANY, Call, Definition, aggregate
from insjo.sql.dialect.types import BIGINT, BOOLEAN, DOUBLE, STRING, TINYINT, Kind, array_of, decimal
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence


def _not_null(*parts: Fragment) -> Fragment:
    return made(" AND ".join(f"{part.sql} IS NOT NULL" for part in parts), BOOLEAN, *parts)


@aggregate("count", 1, MANY)
def count(call: Call) -> Fragment:
    """Rows in which no argument is NULL."""
    if isinstance(call.nodes[0], exp.Star):
        return call.aggregate("count", "*", of_type=BIGINT)
    parts = call.args()
    if len(parts) == 1:
        return call.aggregate("count", parts[0].sql, parts[0], of_type=BIGINT)
    if call.distinct:
        row = f"row({', '.join(part.sql for part in parts)})"
        return call.aggregate("count", row, *parts, of_type=BIGINT, where=_not_null(*parts))
    return call.aggregate("count", "*", *parts, of_type=BIGINT, where=_not_null(*parts))


@aggregate("count_if", 1)
def count_if(call: Call) -> Fragment:
    """Rows for which it is true."""
    condition = call.take(0, BOOLEAN)
    if call.distinct:
        raise UnsupportedFeature(f"`DISTINCT` in {call.label} is not supported.")
    return call.aggregate("count", "*", condition, of_type=BIGINT, where=condition)


def _summand(call: Call) -> Fragment:
    value = call.arg(0)
    if value.type.kind in {Kind.STRING, Kind.VOID}:
        return cast(value, DOUBLE)
    if not value.type.is_numeric:
        raise (
            UnsupportedFeature(f"{call.label} of `{value.type.text}` is not supported.")
            if value.type.kind is Kind.INTERVAL
            else DatatypeMismatch(f"{call.label} takes a number, and not `{value.type.text}`.")
        )
    return value


def _sum(call: Call, value: Fragment) -> Fragment:
    if value.type.is_integral:
        raw = call.aggregate("sum", value.sql, value, of_type=BIGINT)
        return fill("CAST({0} AS BIGINT)", BIGINT, raw)
    if value.type.kind is Kind.DECIMAL:
        summand = value.as_operand()
        of_type = decimal(min(value.type.precision + 10, 38), value.type.scale)
        return replace(call.aggregate("sum", summand.sql, summand, of_type=of_type), exact=False, near=True)
    return call.aggregate("sum", f"CAST({value.sql} AS DOUBLE)", value, of_type=DOUBLE)


@aggregate("sum try_sum", 1)
def total(call: Call) -> Fragment:
    """BIGINT of whole numbers, ten digits more of decimals, DOUBLE of the rest; too large raises, or gives NULL in `try_sum`."""
    result = _sum(call, _summand(call))
    if call.name == "try_sum" and result.type.kind is not Kind.DOUBLE:
        return made(result.seen().sql.replace("CAST(", "TRY_CAST(", 1), result.type, result)
    return result.seen()


@aggregate("avg mean try_avg", 1)
def average(call: Call) -> Fragment:
    """DOUBLE, of decimals a decimal with four digits more, rounded half up."""
    value = _summand(call)
    if value.type.kind is not Kind.DECIMAL:
        return call.aggregate("avg", f"CAST({value.sql} AS DOUBLE)", value, of_type=DOUBLE)
    of_type = bounded_decimal(value.type.precision + 4, min(value.type.scale + 4, 38))
    whole = _sum(call, value)
    rows = call.aggregate("count", value.sql, value, of_type=BIGINT)
    power = of_type.scale - whole.type.scale
    numerator = f"({operators.unscaled(whole)} * CAST({10**power} AS HUGEINT))"
    quotient = f"insjo_divide_half_up({numerator}, CAST(nullif({rows.sql}, 0) AS HUGEINT))"
    return made(operators.scaled(quotient, of_type), of_type, whole, rows)


@aggregate("min max", 1)
def extreme(call: Call) -> Fragment:
    """Smallest or largest; NaN is larger than any number."""
    value = call.arg(0).seen()
    check_sortable(value)
    return call.aggregate(call.name, value.sql, value, of_type=value.type)


@aggregate("max_by min_by", 2)
def extreme_by(call: Call) -> Fragment:
    """First argument of the row in which the second is largest or smallest."""
    value, key = call.arg(0).seen(), call.arg(1).seen()
    check_sortable(key)
    return call.aggregate(
        "arg_max_null" if call.name == "max_by" else "arg_min_null", f"{value.sql}, {key.sql}", value, key, of_type=value.type
    )


@aggregate("bool_and every bool_or any some", 1)
def boolean_all(call: Call) -> Fragment:
    """Whether all, or one, are true."""
    value = call.take(0, BOOLEAN)
    return call.aggregate("bool_and" if call.name in {"bool_and", "every"} else "bool_or", value.sql, value, of_type=BOOLEAN)


@aggregate("bit_and bit_or bit_xor", 1)
def bits(call: Call) -> Fragment:
    """Bits of all values together."""
    value = call.arg(0)
    if not value.type.is_integral:
        value = call.take(0, BIGINT)
    return call.aggregate(call.name, value.sql, value, of_type=value.type)


_MOMENTS = {
    "stddev": "stddev_samp",
    "std": "stddev_samp",
    "stddev_samp": "stddev_samp",
    "stddev_pop": "stddev_pop",
    "variance": "var_samp",
    "var_samp": "var_samp",
    "var_pop": "var_pop",
    "kurtosis": "kurtosis_pop",
}


@aggregate(" ".join(_MOMENTS), 1)
def moments(call: Call) -> Fragment:
    """Deviation, variance, kurtosis."""
    value = call.take(0, DOUBLE)
    return call.aggregate(_MOMENTS[call.name], value.sql, value, of_type=DOUBLE)


@aggregate("skewness", 1)
def skewness(call: Call) -> Fragment:
    """Of the population; the engine has that of the sample."""
    value = call.take(0, DOUBLE)
    sample = call.aggregate("skewness", value.sql, value, of_type=DOUBLE)
    rows = call.aggregate("count", value.sql, value, of_type=BIGINT)
    spread = call.aggregate("var_pop", value.sql, value, of_type=DOUBLE)
    sql = "CASE WHEN {2} = 0 THEN NULL WHEN {1} = 2 THEN CAST(0 AS DOUBLE) ELSE {0} * ({1} - 2) / sqrt({1} * ({1} - 1.0::DOUBLE)) END"
    return fill(sql, DOUBLE, sample, rows, spread)


@aggregate("corr covar_pop covar_samp regr_avgx regr_avgy regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy", 2)
def pairs(call: Call) -> Fragment:
    """Of pairs, the dependent value first."""
    first, second = call.take(0, DOUBLE), call.take(1, DOUBLE)
    return call.aggregate(call.name, f"{first.sql}, {second.sql}", first, second, of_type=DOUBLE)


@aggregate("regr_count", 2)
def regr_count(call: Call) -> Fragment:
    """Pairs without NULL."""
    first, second = call.take(0, DOUBLE), call.take(1, DOUBLE)
    return call.aggregate("count", "*", first, second, of_type=BIGINT, where=_not_null(first, second))


@aggregate("first last any_value first_value last_value", 1, 2)
def first_last(call: Call) -> Fragment:
    """Value of the first or last row, with NULLs left out if asked for."""
    value = call.arg(0).seen()
    ignore = call.ignore_nulls or (len(call) > 1 and call.constant_flag(1))
    last = call.name.startswith("last")
    if call.over is not None:
        words = " IGNORE NULLS" if ignore else ""
        return call.aggregate("last_value" if last else "first_value", value.sql + words, value, of_type=value.type)
    where = _not_null(value) if ignore else None
    return call.aggregate("last" if last else "first", value.sql, value, of_type=value.type, where=where)


@aggregate("collect_list array_agg list", 1)
def collect_list(call: Call) -> Fragment:
    """All values but NULL, as an array; an empty one if there are none."""
    value = call.arg(0).seen()
    keys = [sort_key(call.compiler, node) for node in call.order]
    order = f" ORDER BY {', '.join(key.sql for key in keys)}" if keys else ""
    listed = call.aggregate("list", value.sql + order, value, *keys, of_type=array_of(value.type), where=_not_null(value))
    return fill("coalesce({0}, [])", listed.type, listed)


@aggregate("collect_set", 1)
def collect_set(call: Call) -> Fragment:
    """Distinct values but NULL, as an array."""
    value = call.arg(0).seen()
    check_sortable(value)
    if call.over is not None:
        listed = call.aggregate("list", value.sql, value, of_type=array_of(value.type), where=_not_null(value))
        return fill("insjo_distinct(coalesce({0}, []))", listed.type, listed)
    call.distinct = True
    listed = call.aggregate("list", value.sql, value, of_type=array_of(value.type), where=_not_null(value))
    return fill("coalesce({0}, [])", listed.type, listed)


@aggregate("string_agg listagg", 1, 2)
def string_agg(call: Call) -> Fragment:
    """All texts but NULL, joined; NULL if there are none."""
    text = as_text(call.arg(0), call.label)
    separator = call.constant_text(1, "separator") if len(call) > 1 else ""
    keys = [sort_key(call.compiler, node) for node in call.order]
    if call.distinct:
        keys = [key for key in keys if key.sql.startswith(text.sql)]
    order = f" ORDER BY {', '.join(key.sql for key in keys)}" if keys else ""
    return call.aggregate("string_agg", f"{text.sql}, {text_of(separator)}{order}", text, *keys, of_type=STRING)


# ------------------------------------------------------------------------------------------------ ranks


@aggregate("median", 1)
def median(call: Call) -> Fragment:
    """Middle value, interpolated."""
    value = call.take(0, DOUBLE)
    return call.aggregate("quantile_cont", f"{value.sql}, 0.5::DOUBLE", value, of_type=DOUBLE)


def _fractions(call: Call, node: exp.Expr) -> tuple[str, bool]:
    """One fraction or several, as constants, and whether there are several."""
    items = node.expressions if isinstance(node, exp.Anonymous) and node.name.lower() == "array" else None
    numbers = [_fraction(call, each) for each in (items if items is not None else [node])]
    listed = [f"{number}::DOUBLE" for number in numbers]
    return (f"[{', '.join(listed)}]", True) if items is not None else (listed[0], False)


def _fraction(call: Call, node: exp.Expr) -> float:
    constant: Constant | None = call.compiler.compile(node).constant
    if constant is None or isinstance(constant.value, bool | str) or constant.value is None:
        raise UnsupportedFeature(f"{call.label} needs a constant fraction.")
    number = float(constant.value)
    if not 0 <= number <= 1:
        raise ArgumentInvalid(f"{call.label} takes fractions between 0 and 1, and not {number:g}.")
    return number


@aggregate("percentile", 2)
def percentile(call: Call) -> Fragment:
    """Interpolated between the nearest values."""
    value = call.take(0, DOUBLE)
    fraction, several = _fractions(call, call.nodes[1])
    return call.aggregate("quantile_cont", f"{value.sql}, {fraction}", value, of_type=array_of(DOUBLE) if several else DOUBLE)


@aggregate("percentile_approx approx_percentile", 2, 3)
def percentile_approx(call: Call) -> Fragment:
    """A value of the column; exact here, whatever the accuracy."""
    value = call.arg(0).seen()
    if value.type.kind is Kind.STRING:
        value = cast(value, DOUBLE)
    if not (value.type.is_numeric or value.type.is_datetime):
        raise DatatypeMismatch(f"{call.label} takes numbers and moments, and not `{value.type.text}`.")
    fraction, several = _fractions(call, call.nodes[1])
    return call.aggregate("quantile_disc", f"{value.sql}, {fraction}", value, of_type=array_of(value.type) if several else value.type)


@aggregate("percentile_cont percentile_disc", 1)
def percentile_within(call: Call) -> Fragment:
    """`PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY x)`."""
    if len(call.order) != 1:
        raise ArgumentInvalid(f"{call.label} needs `WITHIN GROUP (ORDER BY ...)` with one key.")
    ordered = call.order[0]
    fraction = _fraction(call, call.nodes[0])
    if ordered.args.get("desc"):
        if call.name == "percentile_disc":
            raise UnsupportedFeature(f"{call.label} downwards is not supported.")
        fraction = 1 - fraction
    value = call.compiler.compile(ordered.this)
    if call.name == "percentile_cont":
        value = implicit(value, DOUBLE, call.label)
        return call.aggregate("quantile_cont", f"{value.sql}, {fraction}::DOUBLE", value, of_type=DOUBLE)
    value = value.seen()
    return call.aggregate("quantile_disc", f"{value.sql}, {fraction}::DOUBLE", value, of_type=value.type)


@aggregate("mode", 1)
def mode(call: Call) -> Fragment:
    """The most frequent value."""
    value = call.arg(0).seen()
    return call.aggregate("mode", value.sql, value, of_type=value.type)


@aggregate("approx_count_distinct", 1, 2)
def approx_count_distinct(call: Call) -> Fragment:
    """Distinct values; exact here, whatever the accuracy."""
    value = call.arg(0)
    if call.over is not None:
        raise UnsupportedFeature(f"{call.label} as a window function is not supported.")
    call.distinct = True
    return call.aggregate("count", value.sql, value, of_type=BIGINT)


@aggregate("grouping", 1)
def grouping(call: Call) -> Fragment:
    """1 where a grouping set leaves the column out."""
    column = call.arg(0)
    return made(f"CAST(grouping({column.sql}) AS TINYINT)", TINYINT, column, flags=(AGGREGATE,))


@aggregate("grouping_id", 1, MANY)
def grouping_id(call: Call) -> Fragment:
    """Bits of `grouping` of several columns."""
    columns: Sequence[Fragment] = call.args()
    return made(f"CAST(grouping({', '.join(column.sql for column in columns)}) AS BIGINT)", BIGINT, *columns, flags=(AGGREGATE,))


DEFINITIONS: tuple[Definition, ...] = (
    count,
    count_if,
    total,
    average,
    extreme,
    extreme_by,
    boolean_all,
    bits,
    moments,
    skewness,
    pairs,
    regr_count,
    first_last,
    collect_list,
    collect_set,
    string_agg,
    median,
    percentile,
    percentile_approx,
    percentile_within,
    mode,
    approx_count_distinct,
    grouping,
    grouping_id,
)
