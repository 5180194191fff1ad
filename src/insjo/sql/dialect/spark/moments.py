"""Functions of dates and moments in forms that hold before 1970 and at the ends of the calendar too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.expressions import NODE_TYPE
from insjo.sql.dialect.spark.typed import cast, refused, type_of
from insjo.sql.dialect.types import BIGINT, DATE, INT, STRING, TIMESTAMP, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Callable

_SECOND_US = 1_000_000
_FIXED_US = {
    "millisecond": 1000, "second": _SECOND_US, "minute": 60 * _SECOND_US, "hour": 3600 * _SECOND_US, "day": 86400 * _SECOND_US,
    "week": 7 * 86400 * _SECOND_US,
}  # fmt: skip
"""Units that always have the same length."""

_CALENDAR = frozenset({"month", "quarter", "year"})
_PARTS = frozenset({"year", "month", "day", "hour", "minute", "second", "quarter", "week", "doy"})


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)


def _kind(node: exp.Expr) -> Type:
    return type_of(node) or STRING


def _unable(node: exp.Anonymous) -> exp.Expr:
    raise refused(node, f"the function `{str(node.this).lower()}` in this form")


def _micros(node: exp.Expr) -> exp.Expr:
    return _call("unix_micros", cast(node, TIMESTAMP))


def _unix_seconds(node: exp.Anonymous) -> exp.Expr:
    """Whole seconds of a date or a moment."""
    if len(node.expressions) != 1 or not _kind(node.expressions[0]).is_datetime or _kind(node.expressions[0]).kind is Kind.TIMESTAMP_NTZ:
        return _unable(node)
    return unix_seconds(node.expressions[0])


def unix_seconds(moment: exp.Expr) -> exp.Expr:
    """Whole seconds of a moment since 1970, counted down before it."""
    micros = _micros(moment)
    below = exp.Sub(this=micros, expression=_call("pmod", micros.copy(), cast(_number(_SECOND_US), BIGINT)))
    return cast(exp.Paren(this=exp.IntDiv(this=exp.Paren(this=below), expression=_number(_SECOND_US))), BIGINT)


def unix_timestamp(node: exp.Anonymous) -> exp.Expr:
    """Seconds of a moment; with a text it stays as it is."""
    is_moment = len(node.expressions) == 1 and _kind(node.expressions[0]).is_datetime
    return _unix_seconds(node) if is_moment else node


def _weekday(node: exp.Anonymous) -> exp.Expr:
    """Monday is 0."""
    if len(node.expressions) != 1 or not _kind(node.expressions[0]).is_datetime:
        return _unable(node)
    day = exp.Add(this=_call("dayofweek", node.expressions[0].copy()), expression=_number(5))
    return cast(_call("pmod", day, _number(7)), INT)


def _part(node: exp.Anonymous) -> exp.Expr:
    """Only parts that all servers count alike; those of the week by the function that does."""
    unit, *rest = node.expressions
    if len(rest) != 1 or not isinstance(unit, exp.Literal) or not _kind(rest[0]).is_datetime:
        return _unable(node)
    name = str(unit.this).lower()
    if name in {"dow", "dayofweek"}:
        return _call("dayofweek", rest[0].copy())
    return node if name.rstrip("s") in _PARTS else _unable(node)


def _difference(node: exp.Anonymous) -> exp.Expr:
    """Whole units between two moments; the forms with two arguments count days between dates."""
    if len(node.expressions) != 3:  # noqa: PLR2004  # Unit, start, end.
        kinds = [_kind(each) for each in node.expressions]
        return node if all(each.is_datetime or each.kind is Kind.STRING for each in kinds) else _unable(node)
    unit = node.expressions[0].name.lower() or str(node.expressions[0].this).lower()
    start, end = node.expressions[1:]
    if not all(_kind(each).is_datetime for each in (start, end)):
        return _unable(node)
    if unit in _CALENDAR:
        return node
    if unit not in _FIXED_US:
        return _unable(node)
    between = exp.Sub(this=_micros(end), expression=_micros(start))
    return cast(exp.Paren(this=exp.IntDiv(this=exp.Paren(this=between), expression=_number(_FIXED_US[unit]))), BIGINT)


def _beginning(node: exp.Anonymous) -> exp.Expr:
    """`trunc` of a date by the calendar."""
    if len(node.expressions) != 2 or _kind(node.expressions[0]).kind is not Kind.DATE:  # noqa: PLR2004  # The date and the unit.
        return _unable(node)
    day, unit = node.expressions
    name = str(unit.this).lower() if isinstance(unit, exp.Literal) else ""
    year, month = _call("year", day.copy()), _call("month", day.copy())
    if name in {"year", "yyyy", "yy"}:
        return _call("make_date", year, _number(1), _number(1))
    if name in {"month", "mon", "mm"}:
        return _call("make_date", year, month, _number(1))
    if name == "quarter":
        first = exp.Sub(this=exp.Mul(this=_call("quarter", day.copy()), expression=_number(3)), expression=_number(2))
        return _call("make_date", year, first, _number(1))
    if name == "week":
        back = cast(_call("pmod", exp.Add(this=_call("dayofweek", day.copy()), expression=_number(5)), _number(7)), INT)
        return _call("date_sub", day.copy(), back)
    return _unable(node)


def _beginning_of_unit(node: exp.Anonymous) -> exp.Expr:
    """`date_trunc` gives a moment, also of a date."""
    if len(node.expressions) != 2 or _kind(node.expressions[1]).kind not in {Kind.DATE, Kind.TIMESTAMP}:  # noqa: PLR2004  # Unit and moment.
        return _unable(node)
    moment = cast(node.expressions[1], TIMESTAMP)
    made = _call("date_trunc", node.expressions[0].copy(), moment)
    made.meta[NODE_TYPE] = TIMESTAMP
    return made


def shifted_date(node: exp.Expr) -> exp.Expr | None:
    """A date and a whole number of days, which `+` and `-` take."""
    left, right = _kind(node.this), _kind(node.expression)
    if left.kind is Kind.DATE and right.is_integral and right.kind is not Kind.BIGINT and isinstance(node, exp.Add | exp.Sub):
        return _dated(_call("date_add" if isinstance(node, exp.Add) else "date_sub", node.this.copy(), node.expression.copy()))
    if right.kind is Kind.DATE and left.is_integral and left.kind is not Kind.BIGINT and isinstance(node, exp.Add):
        return _dated(_call("date_add", node.expression.copy(), node.this.copy()))
    return None


def _dated(node: exp.Expr) -> exp.Expr:
    node.meta[NODE_TYPE] = DATE
    return node


MOMENTS: dict[str, Callable[[exp.Anonymous], exp.Expr]] = {
    "unix_seconds": _unix_seconds,
    "weekday": _weekday,
    "date_part": _part,
    **dict.fromkeys(("datediff", "date_diff", "timestampdiff"), _difference),
    "trunc": _beginning,
    "date_trunc": _beginning_of_unit,
}
"""Functions that are right in these forms."""
