"""Which types go together, and what becomes of them: the ANSI rules of Databricks ("SQL data type rules")."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.fragments import Fragment, null
from insjo.sql.dialect.types import (
    BIGINT,
    DECIMAL_PRECISION_MAX,
    DOUBLE,
    INTEGRAL,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    VOID,
    Kind,
    Type,
    array_of,
    as_decimal,
    decimal,
    interval_of,
    map_of,
    struct_of,
)
from insjo.sql.errors import DatatypeMismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOMENTS = {Kind.DATE: 0, Kind.TIMESTAMP_NTZ: 1, Kind.TIMESTAMP: 2}
_MIN_SCALE = 6
"""Digits behind the point that a result keeps when 38 digits are not enough (Spark's `adjustPrecisionScale`)."""


def bounded_decimal(precision: int, scale: int) -> Type:
    """Decimal type of a result; digits behind the point go first when there are too many."""
    if precision <= DECIMAL_PRECISION_MAX:
        return decimal(max(precision, 1), scale)
    whole_digits = precision - scale
    return decimal(DECIMAL_PRECISION_MAX, max(DECIMAL_PRECISION_MAX - whole_digits, min(scale, _MIN_SCALE)))


def wider_decimal(left: Type, right: Type) -> Type:
    """Decimal type that holds the values of both."""
    scale = max(left.scale, right.scale)
    return bounded_decimal(max(left.precision - left.scale, right.precision - right.scale) + scale, scale)


def operand_decimal(fragment: Fragment) -> Type:
    """Decimal type of an operand beside a decimal: a literal counts its own digits only."""
    if fragment.whole is not None and fragment.type.is_integral:
        return decimal(max(len(str(abs(fragment.whole))), 1), 0)
    return as_decimal(fragment.type)


def common_type(left: Type, right: Type) -> Type | None:
    """Least common type of two, or None if they have none."""
    if left == right or right.kind is Kind.VOID:
        return left
    if left.kind is Kind.VOID:
        return right
    if left.is_numeric and right.is_numeric:
        return _common_number(left, right)
    if Kind.STRING in {left.kind, right.kind}:
        return _common_with_string(right if left.kind is Kind.STRING else left)
    if left.kind in _MOMENTS and right.kind in _MOMENTS:
        return max(left, right, key=lambda each: _MOMENTS[each.kind])
    if left.kind is Kind.INTERVAL and right.kind is Kind.INTERVAL and left.is_months == right.is_months:
        return interval_of("year", "month") if left.is_months else interval_of("day", "second")
    return _common_nested(left, right)


def _common_number(left: Type, right: Type) -> Type:
    kinds = {left.kind, right.kind}
    if Kind.DOUBLE in kinds or Kind.FLOAT in kinds:
        return DOUBLE if left.kind is not right.kind else left
    if Kind.DECIMAL in kinds:
        return wider_decimal(as_decimal(left), as_decimal(right))
    return left if INTEGRAL.index(left.kind) >= INTEGRAL.index(right.kind) else right


def _common_with_string(other: Type) -> Type | None:
    """Beside something else a text is read as that."""
    if other.is_integral:
        return BIGINT
    if other.is_numeric:
        return DOUBLE
    if other.is_datetime or other.kind in {Kind.BOOLEAN, Kind.BINARY, Kind.INTERVAL}:
        return other
    return None


def _common_nested(left: Type, right: Type) -> Type | None:
    if left.kind is not right.kind:
        return None
    if left.kind is Kind.ARRAY:
        element = common_type(left.item, right.item)
        return array_of(element) if element else None
    if left.kind is Kind.MAP:
        key = common_type(left.key or VOID, right.key or VOID)
        value = common_type(left.value or VOID, right.value or VOID)
        return map_of(key, value) if key and value else None
    if left.kind is Kind.STRUCT and len(left.fields) == len(right.fields):
        fields = []
        for mine, other in zip(left.fields, right.fields, strict=True):
            both = common_type(mine.type, other.type)
            if both is None:
                return None
            fields.append((mine.name, both))
        return struct_of(*fields)
    return None


def unified(fragments: Sequence[Fragment], what: str) -> tuple[list[Fragment], Type]:
    """The fragments cast to their least common type.

    Raises:
        DatatypeMismatch: There is none; `what` names the place.
    """
    if not fragments:
        return [], VOID
    common: Type = reduce(lambda left, right: _or_mismatch(left, right, what), (fragment.type for fragment in fragments))
    return [null(common) if fragment.is_null else cast(fragment, common) for fragment in fragments], common


def _or_mismatch(left: Type, right: Type, what: str) -> Type:
    found = common_type(left, right)
    if found is None:
        raise DatatypeMismatch(f"{what} cannot take values of type `{left.text}` and `{right.text}` together.")
    return found


def implicit(fragment: Fragment, target: Type, what: str) -> Fragment:
    """An argument as the type that a function takes; text is read as a number or a moment, and anything plain becomes text.

    Raises:
        DatatypeMismatch: The types do not go together; `what` names the function.
    """
    source = fragment.type
    if source == target or source.kind is Kind.VOID:
        return cast(fragment, target)
    both_numbers = source.is_numeric and target.is_numeric
    narrowing = target.is_integral and source.kind in {Kind.FLOAT, Kind.DOUBLE, Kind.DECIMAL}
    plain = not source.is_nested and source.kind is not Kind.VARIANT
    allowed = (
        (both_numbers and not narrowing)
        or (source.kind is Kind.STRING and not target.is_nested and target.kind is not Kind.VARIANT)
        or (target.kind is Kind.STRING and plain)
        or (source.kind in _MOMENTS and target.kind in _MOMENTS)
        or (source.kind is Kind.INTERVAL and target.kind is Kind.INTERVAL)
        or (source.kind is target.kind and target.is_nested and common_type(source, target) is not None)
    )
    if not allowed:
        raise DatatypeMismatch(f"{what} takes `{target.text}`, and not `{source.text}`.")
    return cast(fragment, target)


def as_text(fragment: Fragment, what: str) -> Fragment:
    """An argument as text."""
    return implicit(fragment, STRING, what)


def as_moment(fragment: Fragment, what: str) -> Fragment:
    """An argument as a timestamp with its own kind of clock; dates and texts become instants."""
    if fragment.type.kind is Kind.TIMESTAMP_NTZ:
        return fragment
    return implicit(fragment, TIMESTAMP, what)


def as_wall(fragment: Fragment, what: str) -> Fragment:
    """A moment as the engine's TIMESTAMP without a zone, for arithmetic on the calendar in the session's zone (UTC)."""
    return cast(fragment if fragment.type.kind is Kind.DATE else as_moment(fragment, what), TIMESTAMP_NTZ)
