"""Operators: arithmetic with ANSI errors, comparisons after coercion, LIKE, concatenation."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import as_text, bounded_decimal, common_type, implicit, operand_decimal, unified, wider_decimal
from insjo.sql.dialect.fragments import Constant, Fragment, fail, made, null, text_of
from insjo.sql.dialect.types import (
    BIGINT,
    BINARY,
    BOOLEAN,
    DECIMAL_PRECISION_MAX,
    DOUBLE,
    INT,
    STRING,
    TIMESTAMP,
    Kind,
    Type,
    interval_of,
)
from insjo.sql.errors import DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.dialect.compiling import Compiler

DAY_TO_SECOND = interval_of("day", "second")
YEAR_TO_MONTH = interval_of("year", "month")
_DIVISION = "Division by zero."
_NARROW_DIGITS = 18
"""The engine keeps products of decimals of up to so many digits in 64 bits, and raises when they do not fit."""

_NARROW_SCALE = 6
"""With more digits behind the point than this too few are left before it, so that such products are computed in 128 bits."""


# ------------------------------------------------------------------------------------------------ comparison


def compare(operator: str, left: Fragment, right: Fragment) -> Fragment:
    """Comparison after both sides have become their least common type; a literal bends to the other side where nothing is lost."""
    left, right = _comparable_numbers(left, right)
    (left, right), common = unified([left, right], f"`{_SHOWN.get(operator, operator)}`")
    if common.kind in {Kind.MAP, Kind.VARIANT}:
        raise DatatypeMismatch(f"Values of type `{common.text}` cannot be compared.")
    return made(f"({left.sql} {operator} {right.sql})", BOOLEAN, left, right)


_SHOWN = {"IS NOT DISTINCT FROM": "<=>", "IS DISTINCT FROM": "IS DISTINCT FROM"}


def _comparable_numbers(left: Fragment, right: Fragment) -> tuple[Fragment, Fragment]:
    """Beside a decimal column a whole literal is a decimal of its own digits, so that the column is not cast and files can be skipped."""
    if left.type.kind is Kind.DECIMAL and right.type.is_integral and right.whole is not None:
        return left, cast(right, operand_decimal(right))
    if right.type.kind is Kind.DECIMAL and left.type.is_integral and left.whole is not None:
        return cast(left, operand_decimal(left)), right
    return left, right


# ------------------------------------------------------------------------------------------------ arithmetic


def arithmetic(operator: str, left: Fragment, right: Fragment) -> Fragment:
    """`+ - * / % div & | ^ << >>`."""
    if operator in {"&", "|", "^"}:
        return _bitwise(operator, left, right)
    if operator in {"<<", ">>"}:
        return shift("left" if operator == "<<" else "right", left, right)
    if _is_moment_like(left) or _is_moment_like(right):
        return _moments(operator, left, right)
    left, right = _numbers(operator, left, right)
    if left.is_null and right.is_null:
        return null(DOUBLE if operator == "/" else INT)
    if operator == "div":
        return _whole_division(left, right)
    if Kind.DECIMAL in {left.type.kind, right.type.kind} and not {left.type.kind, right.type.kind} & {Kind.FLOAT, Kind.DOUBLE}:
        return _decimals(operator, left, right)
    return _plain_numbers(operator, left, right)


def _plain_numbers(operator: str, left: Fragment, right: Fragment) -> Fragment:
    """Whole numbers and doubles."""
    if operator == "/":
        return divide(cast(left, DOUBLE), cast(right, DOUBLE))
    (left, right), common = unified([left, right], f"`{operator}`")
    if operator == "%":
        return _guarded(left, right, f"{left.sql} % {right.sql}", common)
    return made(f"({left.sql} {operator} {right.sql})", common, left, right)


def divide(left: Fragment, right: Fragment) -> Fragment:
    """Division of doubles; zero raises, for them too."""
    return _guarded(left, right, f"{left.sql} / {right.sql}", DOUBLE)


def _guarded(left: Fragment, right: Fragment, sql: str, of_type: Type) -> Fragment:
    """A division that raises when the divisor is zero; without the check when it is a literal that is not."""
    value = right.constant.value if right.constant is not None else None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and value != 0:
        return made(f"({sql})", of_type, left, right)
    raised = fail("DIVIDE_BY_ZERO", _DIVISION, of_type)
    return made(f"CASE WHEN {right.sql} = 0 AND {left.sql} IS NOT NULL THEN {raised} ELSE {sql} END", of_type, left, right)


def _numbers(operator: str, left: Fragment, right: Fragment) -> tuple[Fragment, Fragment]:
    """Operands as numbers: text beside a whole number is a BIGINT, any other text a DOUBLE."""
    kinds = (left.type, right.type)
    for mine, other in ((left, right), (right, left)):
        if mine.type.kind is Kind.STRING and not (other.type.is_numeric or other.type.kind in {Kind.STRING, Kind.VOID}):
            raise DatatypeMismatch(f"`{operator}` does not take `{kinds[0].text}` and `{kinds[1].text}`.")
    if left.type.kind is Kind.STRING or right.type.kind is Kind.STRING:
        return _text_as_number(operator, left, right), _text_as_number(operator, right, left)
    for each in (left, right):
        if not (each.type.is_numeric or each.is_null):
            raise DatatypeMismatch(f"`{operator}` does not take `{kinds[0].text}` and `{kinds[1].text}`.")
    return left, right


def _text_as_number(operator: str, mine: Fragment, other: Fragment) -> Fragment:
    if mine.type.kind is not Kind.STRING:
        return mine
    if other.type.is_integral and operator != "/":
        return made(f"insjo_text_to_integer({mine.sql})", BIGINT, mine)
    return cast(mine, DOUBLE)


def _whole_division(left: Fragment, right: Fragment) -> Fragment:
    for each in (left, right):
        if each.type.kind in {Kind.FLOAT, Kind.DOUBLE}:
            raise DatatypeMismatch(f"`div` takes whole numbers and decimals, and not `{each.type.text}`.")
    if Kind.DECIMAL in {left.type.kind, right.type.kind}:
        quotient = _decimals("/", left, right)
        return made(f"CAST(trunc({quotient.seen().sql}) AS BIGINT)", BIGINT, quotient)
    left, right = cast(left, BIGINT), cast(right, BIGINT)
    return _guarded(left, right, f"{left.sql} // {right.sql}", BIGINT)


def _decimals(operator: str, left: Fragment, right: Fragment) -> Fragment:
    """Arithmetic of decimals; types of results by Spark's rules for precision and scale."""
    left_type = operand_decimal(left) if not left.is_null else operand_decimal(right)
    right_type = operand_decimal(right) if not right.is_null else left_type
    left, right = _operand(left, left_type), _operand(right, right_type)
    whole = max(left_type.precision - left_type.scale, right_type.precision - right_type.scale)
    scale = max(left_type.scale, right_type.scale)
    if operator in {"+", "-"}:
        return _computed(f"({left.sql} {operator} {right.sql})", bounded_decimal(whole + scale + 1, scale), scale, left, right)
    if operator == "*":
        return _decimal_product(left, right)
    if operator == "%":
        common = wider_decimal(left_type, right_type)
        left, right = cast(left, common), cast(right, common)
        whole_left = min(left_type.precision - left_type.scale, right_type.precision - right_type.scale)
        of_type = bounded_decimal(whole_left + scale, scale)
        guarded = _guarded(left, right, f"{left.sql} % {right.sql}", common)
        return guarded.as_type(of_type, exact=False)
    return _decimal_quotient(left, right)


def _decimal_product(left: Fragment, right: Fragment) -> Fragment:
    scale = left.type.scale + right.type.scale
    of_type = bounded_decimal(left.type.precision + right.type.precision + 1, scale)
    if scale > DECIMAL_PRECISION_MAX:
        raise UnsupportedFeature(
            f"A product of `{left.type.text}` and `{right.type.text}` is not supported: it has {scale} digits behind the point.",
            hint="Cast one of them to fewer digits, or to double.",
        )
    narrow = max(left.type.precision, right.type.precision) <= _NARROW_DIGITS < left.type.precision + right.type.precision
    sql = left.sql
    if narrow and scale > _NARROW_SCALE:
        sql = f"CAST({left.sql} AS DECIMAL({_NARROW_DIGITS + 1},{left.type.scale}))"
    return _computed(f"({sql} * {right.sql})", of_type, scale, left, right)


def _operand(fragment: Fragment, of_type: Type) -> Fragment:
    return fragment.as_operand() if fragment.type == of_type else cast(fragment, of_type)


def _computed(sql: str, of_type: Type, scale: int, left: Fragment, right: Fragment) -> Fragment:
    """Result of arithmetic with decimals; the engine has the same digits behind the point unless there were too many."""
    return replace(made(sql, of_type, left, right, exact=False), near=of_type.scale == scale)


def _decimal_quotient(left: Fragment, right: Fragment) -> Fragment:
    """Division in whole numbers of 128 bits, rounded half up: the engine itself divides decimals as doubles."""
    mine, other = left.type, right.type
    scale = max(6, mine.scale + other.precision + 1)
    of_type = bounded_decimal(mine.precision - mine.scale + other.scale + scale, scale)
    power = of_type.scale - mine.scale + other.scale
    if power < 0:
        raise UnsupportedFeature(
            f"A division of `{mine.text}` by `{other.text}` is not supported.", hint="Cast both to double or to fewer digits."
        )
    numerator = f"({unscaled(left)} * CAST({10**power} AS HUGEINT))"
    quotient = f"insjo_divide_half_up({numerator}, {unscaled(right)})"
    return _guarded(left, right, scaled(quotient, of_type), of_type)


def unscaled(fragment: Fragment) -> str:
    """The digits of a decimal as a HUGEINT."""
    precision, scale = fragment.type.precision, fragment.type.scale
    if scale == 0:
        return f"CAST({fragment.sql} AS HUGEINT)"
    if precision + scale + 1 <= DECIMAL_PRECISION_MAX:
        fits = precision + scale + 1 <= _NARROW_DIGITS
        wide = fragment.sql if fits else f"CAST({fragment.sql} AS DECIMAL({max(precision, _NARROW_DIGITS + 1)},{scale}))"
        return f"CAST({wide} * CAST({10**scale} AS DECIMAL({scale + 1},0)) AS HUGEINT)"
    return f"CAST(replace(CAST({fragment.sql} AS VARCHAR), '.', '') AS HUGEINT)"


def scaled(whole: str, of_type: Type) -> str:
    """Decimal from its digits as a HUGEINT."""
    precision, scale = of_type.precision, of_type.scale
    if scale == 0:
        return f"CAST({whole} AS {of_type.engine})"
    if precision + scale <= DECIMAL_PRECISION_MAX:
        tiny = f"CAST('0.{'0' * (scale - 1)}1' AS DECIMAL({scale},{scale}))"
        return f"CAST(CAST({whole} AS DECIMAL({precision},0)) * {tiny} AS {of_type.engine})"
    return f"CAST(insjo_point_text({whole}, CAST({10**scale} AS HUGEINT), {scale}) AS {of_type.engine})"


def negative(operand: Fragment) -> Fragment:
    """Unary minus."""
    if operand.type.kind is Kind.STRING:
        operand = cast(operand, DOUBLE)
    if operand.is_null:
        return operand
    if not (operand.type.is_numeric or operand.type.kind is Kind.INTERVAL):
        raise DatatypeMismatch(f"`-` does not take `{operand.type.text}`.")
    constant = None
    if operand.constant is not None and isinstance(operand.constant.value, int | float | Decimal):
        constant = Constant(-operand.constant.value)
    return Fragment(f"(-{operand.sql})", operand.type, exact=operand.exact, constant=constant, flags=operand.flags)


def _bitwise(operator: str, left: Fragment, right: Fragment) -> Fragment:
    (left, right), common = unified([left, right], f"`{operator}`")
    if not common.is_integral:
        raise DatatypeMismatch(f"`{operator}` takes whole numbers, and not `{common.text}`.")
    if operator == "^":
        return made(f"xor({left.sql}, {right.sql})", common, left, right)
    return made(f"({left.sql} {operator} {right.sql})", common, left, right)


def shift(direction: str, value: Fragment, places: Fragment) -> Fragment:
    """Bit shifts of Java: the number of places counts modulo the width, and bits fall out silently."""
    value = value if value.type.is_integral else implicit(value, INT, "A bit shift")
    if value.type.kind is not Kind.BIGINT:
        value = cast(value, INT)
    bits = 64 if value.type.kind is Kind.BIGINT else 32
    count = implicit(places, INT, "A bit shift")
    macro = {"left": "insjo_shift_left", "right": "insjo_shift_right", "unsigned": "insjo_shift_right_unsigned"}[direction]
    return made(f"CAST({macro}({value.sql}, {count.sql}, {bits}) AS {value.type.engine})", value.type, value, count)


# ------------------------------------------------------------------------------------------------ moments


def _is_moment_like(fragment: Fragment) -> bool:
    return fragment.type.is_datetime or fragment.type.kind is Kind.INTERVAL


def _moments(operator: str, left: Fragment, right: Fragment) -> Fragment:
    """Arithmetic with dates, timestamps and intervals."""
    if operator == "+" and right.type.is_datetime and not left.type.is_datetime:
        left, right = right, left
    if left.type.is_datetime and operator in {"+", "-"}:
        if right.type.is_datetime or (operator == "-" and right.type.kind is Kind.STRING):
            return _moment_difference(left, right) if operator == "-" else _no_arithmetic(operator, left, right)
        if right.type.kind is Kind.INTERVAL:
            return shift_moment(operator, left, right)
        if left.type.kind is Kind.DATE and (right.type.is_integral or right.is_null):
            days = implicit(right, INT, f"`date {operator}`")
            return made(f"insjo_date_add({left.sql}, {operator}({days.sql}))", left.type, left, days)
        return _no_arithmetic(operator, left, right)
    if operator == "-" and left.type.kind is Kind.STRING and right.type.is_datetime:
        return _moment_difference(left, right)
    return _intervals(operator, left, right)


def _no_arithmetic(operator: str, left: Fragment, right: Fragment) -> Fragment:
    raise DatatypeMismatch(f"`{operator}` does not take `{left.type.text}` and `{right.type.text}`.")


def _moment_difference(left: Fragment, right: Fragment) -> Fragment:
    if left.type.kind is Kind.DATE and right.type.kind in {Kind.DATE, Kind.STRING}:
        right = cast(right, left.type)
        return made(f"to_days(CAST({left.sql} - {right.sql} AS INTEGER))", interval_of("day"), left, right)
    (left, right), _ = unified([left, right], "`-`")
    return made(f"to_microseconds(epoch_us({left.sql}) - epoch_us({right.sql}))", DAY_TO_SECOND, left, right)


def shift_moment(operator: str, moment: Fragment, interval: Fragment) -> Fragment:
    """A date or timestamp plus or minus an interval."""
    shifted = f"({moment.sql} {operator} {interval.sql})"
    if moment.type.kind is Kind.DATE:
        if interval.type.is_months or interval.type.unit == "day":
            return made(f"CAST({shifted} AS DATE)", moment.type, moment, interval)
        moment = cast(moment, TIMESTAMP)
        return made(f"({moment.sql} {operator} {interval.sql})", TIMESTAMP, moment, interval)
    return made(shifted, moment.type, moment, interval)


def _intervals(operator: str, left: Fragment, right: Fragment) -> Fragment:
    if left.type.kind is Kind.INTERVAL and right.type.kind is Kind.INTERVAL and operator in {"+", "-"}:
        common = common_type(left.type, right.type)
        if common is None:
            return _no_arithmetic(operator, left, right)
        sql = f"insjo_interval_months({left.sql}) {operator} insjo_interval_months({right.sql})"
        if common.is_months:
            return made(f"to_months({sql})", common, left, right)
        return made(f"to_microseconds(insjo_interval_us({left.sql}) {operator} insjo_interval_us({right.sql}))", common, left, right)
    if operator == "*" and right.type.kind is Kind.INTERVAL:
        left, right = right, left
    if operator in {"*", "/"} and left.type.kind is Kind.INTERVAL and (right.type.is_numeric or right.type.kind is Kind.STRING):
        return _scaled_interval(operator, left, right)
    return _no_arithmetic(operator, left, right)


def _scaled_interval(operator: str, interval: Fragment, number: Fragment) -> Fragment:
    measure = "insjo_interval_months" if interval.type.is_months else "insjo_interval_us"
    maker = "to_months" if interval.type.is_months else "to_microseconds"
    of_type = YEAR_TO_MONTH if interval.type.is_months else DAY_TO_SECOND
    if operator == "*" and number.type.is_integral:
        cast_to = "INTEGER" if interval.type.is_months else "BIGINT"
        return made(f"{maker}(CAST({measure}({interval.sql}) * {number.sql} AS {cast_to}))", of_type, interval, number)
    factor = cast(number, DOUBLE)
    value = f"{measure}({interval.sql}) {operator} {factor.sql}"
    cast_to = "INTEGER" if interval.type.is_months else "BIGINT"
    product = made(f"{maker}(CAST(insjo_round_half_up({value}) AS {cast_to}))", of_type, interval, factor)
    return product if operator == "*" else _guarded(interval, factor, product.sql, of_type)


# ------------------------------------------------------------------------------------------------ text


def concat(parts: Sequence[Fragment], what: str) -> Fragment:
    """Texts, binaries or arrays, one behind the other; NULL if one of them is."""
    if any(part.type.kind is Kind.ARRAY for part in parts):
        values, common = unified(parts, what)
        sql = " || ".join(value.sql for value in values)
        nulls = " OR ".join(f"{value.sql} IS NULL" for value in values)
        return made(f"CASE WHEN {nulls} THEN NULL ELSE ({sql}) END", common, *values)
    if parts and all(part.type.kind is Kind.BINARY for part in parts):
        return made("(" + " || ".join(part.sql for part in parts) + ")", BINARY, *parts)
    texts = [as_text(part, what) for part in parts]
    if not texts:
        return made("''", STRING)
    return made("(" + " || ".join(text.sql for text in texts) + ")", STRING, *texts)


def like(compiler: Compiler, node: exp.Expr) -> Fragment:
    """LIKE and ILIKE, with ESCAPE, with ANY, ALL or SOME of several patterns."""
    escape = "\\"
    if isinstance(node, exp.Escape):
        escape = str(node.expression.this)
        node = node.this
    word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
    subject = as_text(compiler.compile(node.this), f"`{word}`")
    pattern_node = node.expression
    if isinstance(pattern_node, exp.Any | exp.All):
        inner = pattern_node.this
        patterns = inner.expressions if isinstance(inner, exp.Tuple) else [inner.this if isinstance(inner, exp.Paren) else inner]
        joint = " OR " if isinstance(pattern_node, exp.Any) else " AND "
        tests = [_like_one(word, subject, as_text(compiler.compile(each), f"`{word}`"), escape) for each in patterns]
        if node.args.get("negate"):
            tests = [made(f"(NOT {test.sql})", BOOLEAN, test) for test in tests]
        return made("(" + joint.join(test.sql for test in tests) + ")", BOOLEAN, *tests)
    test = _like_one(word, subject, as_text(compiler.compile(pattern_node), f"`{word}`"), escape)
    return made(f"(NOT {test.sql})", BOOLEAN, test) if node.args.get("negate") else test


def _like_one(word: str, subject: Fragment, pattern: Fragment, escape: str) -> Fragment:
    """One test; the ESCAPE clause is left out where it has nothing to do, since the engine is faster without."""
    if pattern.text is not None and escape not in pattern.text:
        return made(f"({subject.sql} {word} {pattern.sql})", BOOLEAN, subject, pattern)
    return made(f"({subject.sql} {word} {pattern.sql} ESCAPE {text_of(escape)})", BOOLEAN, subject, pattern)
