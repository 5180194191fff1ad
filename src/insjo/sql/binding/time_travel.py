"""`VERSION AS OF` and `TIMESTAMP AS OF`: constants only, worked out before any table is looked up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.errors import SyntaxInvalid, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS: dict[str, Callable[[int], timedelta]] = {
    "SECOND": lambda count: timedelta(seconds=count),
    "MINUTE": lambda count: timedelta(minutes=count),
    "HOUR": lambda count: timedelta(hours=count),
    "DAY": lambda count: timedelta(days=count),
    "WEEK": lambda count: timedelta(weeks=count),
}
_NOW = frozenset({"current_timestamp", "now", "current_date", "curdate"})


def travel(version: exp.Expr, now: datetime) -> tuple[int | None, datetime | None]:
    """Version or moment of a travel clause.

    Raises:
        SyntaxInvalid: The value is none.
        UnsupportedFeature: It is an expression that is not worked out here.
    """
    value = version.expression
    if version.name.upper() == "VERSION":
        literal = value.this if isinstance(value, exp.Cast | exp.Paren) else value
        text = str(literal.this) if isinstance(literal, exp.Literal) else ""
        if not text.isdigit():
            message = "A version is a whole number."
            raise SyntaxInvalid(message, hint="`VERSION AS OF 3`")
        return int(text), None
    return None, moment(value, now)


def moment(value: exp.Expr, now: datetime) -> datetime:
    """A moment from a constant: a text, a date, `current_timestamp()`, and intervals added to or taken from one."""
    if isinstance(value, exp.Paren | exp.Cast):
        return moment(value.this, now)
    if isinstance(value, exp.Literal) and value.is_string:
        return _read(str(value.this))
    name = "current_timestamp" if isinstance(value, exp.CurrentTimestamp) else "current_date" if isinstance(value, exp.CurrentDate) else ""
    if isinstance(value, exp.Anonymous):
        name = str(value.this).lower()
    if name in _NOW and not value.expressions:
        return now if name in {"current_timestamp", "now"} else now.replace(hour=0, minute=0, second=0, microsecond=0)
    if name in {"to_timestamp", "timestamp", "to_date", "date"} and len(value.expressions) == 1:
        return moment(value.expressions[0], now)
    if name in {"date_sub", "date_add"} and len(value.expressions) == 2:  # noqa: PLR2004  # Date and days.
        days = _whole(value.expressions[1])
        return moment(value.expressions[0], now) + timedelta(days=days if name == "date_add" else -days)
    if isinstance(value, exp.Sub | exp.Add) and isinstance(value.expression, exp.Interval):
        return _stepped(value, now)
    raise _not_constant()


def _stepped(value: exp.Sub | exp.Add, now: datetime) -> datetime:
    """A moment with an interval added or taken."""
    interval = value.expression
    unit = str(interval.args.get("unit") or "").upper().rstrip("S")
    if unit not in _UNITS or not isinstance(interval.this, exp.Literal):
        raise _not_constant()
    step = _UNITS[unit](_whole(interval.this))
    start = moment(value.this, now)
    return start - step if isinstance(value, exp.Sub) else start + step


def _not_constant() -> UnsupportedFeature:
    message = "The moment of `TIMESTAMP AS OF` must be a text such as '2026-01-31 12:00:00', or `current_timestamp()` with an interval."
    return UnsupportedFeature(message, details={"feature": "TIMESTAMP AS OF <expression>"})


def _whole(value: exp.Expr) -> int:
    """A whole number."""
    negative = isinstance(value, exp.Neg)
    inner = value.this if negative else value
    if isinstance(inner, exp.Literal) and str(inner.this).isdigit():
        return -int(inner.this) if negative else int(inner.this)
    message = "A whole number is expected here."
    raise SyntaxInvalid(message)


def _read(text: str) -> datetime:
    """A moment from a text; without a zone it is in UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        message = f"`{text[:100]}` is not a date or a timestamp."
        raise SyntaxInvalid(message, hint="Write it as '2026-01-31 12:00:00'.") from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
