"""Dates, timestamps and intervals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect import operators
from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import as_moment, as_wall, implicit
from insjo.sql.dialect.fragments import Fragment, attempt, fail, fill, made, null, text_of
from insjo.sql.dialect.functions import java_dates
from insjo.sql.dialect.functions.registry import Call, Definition, scalar, template
from insjo.sql.dialect.types import BIGINT, DATE, DOUBLE, INT, STRING, TIMESTAMP, TIMESTAMP_NTZ, Kind, Type, decimal, interval_of, struct_of
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from insjo.sql.dialect.compiling import Compiler

SECONDS = decimal(8, 6)
_SECOND_DIGITS = decimal(16, 6)
_UNIX_PATTERN = "yyyy-MM-dd HH:mm:ss"

# ------------------------------------------------------------------------------------------------ intervals

_DAY_UNITS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
_FIXED_UNITS = {**_DAY_UNITS, "week": 7 * 86_400_000_000, "millisecond": 1000, "microsecond": 1}
_MONTH_UNITS = {"year": 12, "month": 1, "quarter": 3}
_ORDER = ("day", "hour", "minute", "second")


def _singular(unit: str) -> str:
    return "second" if unit.lower() == "s" else unit.lower().removesuffix("s")


def interval_literal(compiler: Compiler, node: exp.Expr) -> Fragment:
    """`INTERVAL '1' DAY`, `INTERVAL 3 MONTHS`, `INTERVAL '1-2' YEAR TO MONTH`, `INTERVAL x HOUR`, `INTERVAL '1 day 2 hours'`."""
    unit, value = node.args.get("unit"), node.this
    sign = 1
    while isinstance(value, exp.Neg | exp.Paren):
        sign = -sign if isinstance(value, exp.Neg) else sign
        value = value.this
    if unit is None:
        if isinstance(value, exp.Literal):
            return _interval_of_words(str(value.this))
        raise UnsupportedFeature(f"`{node.sql(dialect='databricks')}` is not supported.")
    if isinstance(unit, exp.IntervalSpan):
        return _spanned(
            str(value.this) if isinstance(value, exp.Literal) else "", unit.this.name.lower(), unit.expression.name.lower(), sign
        )
    name = _singular(unit.name)
    if isinstance(value, exp.Literal):
        return _measured(str(value.this).strip(), name, sign)
    amount = compiler.compile(value)
    if name in _MONTH_UNITS:
        months = implicit(amount, INT, "`INTERVAL`")
        return made(
            f"to_months(CAST({sign * _MONTH_UNITS[name]} * {months.sql} AS INTEGER))",
            interval_of(name if name != "quarter" else "month"),
            months,
        )
    if name not in _FIXED_UNITS:
        raise ArgumentInvalid(f"`{unit.name}` is no unit of an interval.")
    if amount.type.is_integral:
        return made(
            f"to_microseconds(CAST({sign * _FIXED_UNITS[name]} * CAST({amount.sql} AS BIGINT) AS BIGINT))", _interval_type(name), amount
        )
    factor = cast(amount, DOUBLE)
    return made(f"to_microseconds(CAST(round({sign * _FIXED_UNITS[name]} * {factor.sql}) AS BIGINT))", _interval_type(name), factor)


def _interval_type(unit: str) -> Type:
    """Type of an interval of one unit; weeks are days, and parts of a second are seconds."""
    if unit in {"year", "month"}:
        return interval_of(unit)
    return interval_of({"week": "day", "millisecond": "second", "microsecond": "second", "quarter": "month"}.get(unit, unit))


def _measured(text: str, unit: str, sign: int) -> Fragment:
    """A constant number of one unit."""
    found = re.fullmatch(r"([+-]?)(\d+)(?:\.(\d+))?", text)
    if not found or (unit not in _MONTH_UNITS and unit not in _FIXED_UNITS):
        raise ArgumentInvalid(f"`INTERVAL '{text}' {unit.upper()}` is no interval.")
    sign *= -1 if found[1] == "-" else 1
    if unit in _MONTH_UNITS:
        if found[3]:
            raise ArgumentInvalid(f"`INTERVAL '{text}' {unit.upper()}` is no interval: it needs a whole number.")
        return made(f"to_months({sign * int(found[2]) * _MONTH_UNITS[unit]})", _interval_type(unit))
    fraction = int((found[3] or "0").ljust(6, "0")[:6]) * _FIXED_UNITS[unit] // 1_000_000
    return _microseconds(sign * (int(found[2]) * _FIXED_UNITS[unit] + fraction), _interval_type(unit))


def _microseconds(amount: int, of_type: Type) -> Fragment:
    if of_type.unit == "day" and amount % _DAY_UNITS["day"] == 0:
        return made(f"to_days({amount // _DAY_UNITS['day']})", of_type)
    return made(f"to_microseconds(CAST({amount} AS BIGINT))", of_type)


def _spanned(text: str, start: str, end: str, sign: int) -> Fragment:
    """`'1-2' YEAR TO MONTH`, `'1 02:03:04.5' DAY TO SECOND` and shorter spans."""
    text = text.strip()
    if text[:1] in {"-", "+"}:
        sign, text = (-sign if text[0] == "-" else sign), text[1:]
    if (start, end) == ("year", "month"):
        found = re.fullmatch(r"(\d+)-(\d{1,2})", text)
        if found:
            return made(f"to_months({sign * (int(found[1]) * 12 + int(found[2]))})", interval_of("year", "month"))
    elif start in _ORDER and end in _ORDER and _ORDER.index(start) < _ORDER.index(end):
        names = _ORDER[_ORDER.index(start) : _ORDER.index(end) + 1]
        shapes = {
            "day": r"(?P<day>\d+)",
            "hour": r"(?P<hour>\d+)",
            "minute": r"(?P<minute>\d+)",
            "second": r"(?P<second>\d+(?:\.\d{1,9})?)",
        }
        regex = "".join(shapes[name] + ("" if name == names[-1] else " " if name == "day" else ":") for name in names)
        found = re.fullmatch(regex, text)
        if found:
            amount = sum(_scaled_units(found[name], _DAY_UNITS[name]) for name in names)
            return _microseconds(sign * amount, interval_of(start, end))
    raise ArgumentInvalid(f"`INTERVAL '{text}' {start.upper()} TO {end.upper()}` is no interval.")


def _scaled_units(text: str, unit: int) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole) * unit + int(fraction.ljust(6, "0")[:6] or 0) * unit // 1_000_000


def _interval_of_words(text: str) -> Fragment:
    """`INTERVAL '1 day 2 hours'`."""
    found = re.findall(r"([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]+)", text)
    if not found or re.sub(r"([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]+)", "", text).strip():
        raise ArgumentInvalid(f"`INTERVAL '{text}'` is no interval.")
    total: Fragment | None = None
    for amount, unit in found:
        part = _measured(amount, _singular(unit), 1)
        total = part if total is None else operators.arithmetic("+", total, part)
    return total if total is not None else null()


# ------------------------------------------------------------------------------------------------ fields

_INT_FIELDS: dict[str, str] = {
    "year": "year({0})",
    "quarter": "quarter({0})",
    "month": "month({0})",
    "week": "weekofyear({0})",
    "day": "day({0})",
    "dayofweek": "dayofweek({0}) + 1",
    "dayofweek_iso": "isodow({0})",
    "doy": "dayofyear({0})",
    "hour": "hour({0})",
    "minute": "minute({0})",
    "yearofweek": "isoyear({0})",
}
_DATE_FIELDS = frozenset(_INT_FIELDS) - {"hour", "minute"}
_FIELD_NAMES: dict[str, str] = {
    **dict.fromkeys(("year", "years", "y", "yr", "yrs"), "year"),
    **dict.fromkeys(("quarter", "qtr"), "quarter"),
    **dict.fromkeys(("month", "months", "mon", "mons"), "month"),
    **dict.fromkeys(("week", "weeks", "w"), "week"),
    **dict.fromkeys(("day", "days", "d"), "day"),
    **dict.fromkeys(("dayofweek", "dow"), "dayofweek"),
    **dict.fromkeys(("dayofweek_iso", "dow_iso"), "dayofweek_iso"),
    **dict.fromkeys(("doy",), "doy"),
    **dict.fromkeys(("hour", "hours", "h", "hr", "hrs"), "hour"),
    **dict.fromkeys(("minute", "minutes", "m", "min", "mins"), "minute"),
    **dict.fromkeys(("second", "seconds", "s", "sec", "secs"), "second"),
    "yearofweek": "yearofweek",
}


def _field(call: Call, name: str, source: Fragment) -> Fragment:
    field_name = _FIELD_NAMES.get(name)
    if field_name is None:
        raise ArgumentInvalid(f"{call.label} knows no field `{name}`.")
    if source.type.kind is Kind.INTERVAL:
        return _interval_field(call, field_name, source)
    if source.type.kind is Kind.DATE and field_name in _DATE_FIELDS:
        return fill(f"CAST({_INT_FIELDS[field_name]} AS INTEGER)", INT, source)
    wall = as_wall(source, call.label)
    if field_name == "second":
        return fill(
            f"CAST((epoch_us({{0}}) - epoch_us(date_trunc('minute', {{0}}))) * CAST('0.000001' AS DECIMAL(6,6)) AS {SECONDS.engine})",
            SECONDS,
            wall,
        )
    return fill(f"CAST({_INT_FIELDS[field_name]} AS INTEGER)", INT, wall)


def _interval_field(call: Call, name: str, source: Fragment) -> Fragment:
    if source.type.is_months and name in {"year", "month"}:
        months = f"insjo_interval_months({source.sql})"
        return made(f"CAST({months} {'//' if name == 'year' else '%'} 12 AS INTEGER)", INT, source)
    if not source.type.is_months and name in _DAY_UNITS:
        micros = f"insjo_interval_us({source.sql})"
        if name == "second":
            return made(f"CAST(({micros} % 60000000) * CAST('0.000001' AS DECIMAL(6,6)) AS {SECONDS.engine})", SECONDS, source)
        larger = {"day": None, "hour": 24, "minute": 60}[name]
        amount = f"({micros} // {_DAY_UNITS[name]})" + (f" % {larger}" if larger else "")
        return made(f"CAST({amount} AS INTEGER)", INT, source)
    raise ArgumentInvalid(f"{call.label} finds no `{name}` in `{source.type.text}`.")


@scalar("extract date_part datepart", 2)
def extract(call: Call) -> Fragment:
    """One field of a moment or an interval."""
    return _field(call, call.unit(0), call.arg(1))


@scalar("year quarter month day dayofmonth dayofweek dayofyear weekofyear hour minute", 1)
def whole_field(call: Call) -> Fragment:
    """The field of that name."""
    names = {"dayofmonth": "day", "dayofyear": "doy", "weekofyear": "week"}
    return _field(call, names.get(call.name, call.name), call.arg(0))


@scalar("second", 1)
def second(call: Call) -> Fragment:
    """Whole seconds of the minute."""
    return fill("CAST(second({0}) AS INTEGER)", INT, as_wall(call.arg(0), call.label))


@scalar("weekday dayname monthname", 1)
def named_field(call: Call) -> Fragment:
    """`weekday` counts from Monday as 0; the names have three letters."""
    wall = as_wall(call.arg(0), call.label)
    if call.name == "weekday":
        return fill("CAST(isodow({0}) - 1 AS INTEGER)", INT, wall)
    return fill(f"strftime({{0}}, '{'%a' if call.name == 'dayname' else '%b'}')", STRING, wall)


# ------------------------------------------------------------------------------------------------ arithmetic


def _is_unit(node: exp.Expr) -> bool:
    """Whether an argument is a unit written as a word, which then is no column."""
    name = node.name.lower() if isinstance(node, exp.Column | exp.Identifier | exp.Var) else ""
    return name.rstrip("s") in {*_FIXED_UNITS, *_MONTH_UNITS, "dayofyear"}


def _unit_of(call: Call, index: int) -> str:
    name = call.unit(index)
    unit = {"dayofyear": "day"}.get(name, _singular(name))
    if unit not in _FIXED_UNITS and unit not in _MONTH_UNITS:
        raise ArgumentInvalid(f"{call.label} knows no unit `{name}`.")
    return unit


@scalar("date_add dateadd timestampadd date_sub", 2, 3)
def date_add(call: Call) -> Fragment:
    """With two arguments days to a date; with a unit first any amount to a timestamp."""
    if len(call) == 2:  # noqa: PLR2004  # Without a unit.
        day, amount = call.take(0, DATE), call.take(1, INT)
        return fill(f"insjo_date_add({{0}}, {'-' if call.name == 'date_sub' else ''}{{1}})", DATE, day, amount)
    unit, amount, moment = _unit_of(call, 0), call.take(1, BIGINT), as_moment(call.arg(2), call.label)
    if unit in _MONTH_UNITS:
        return fill(f"({{0}} + to_months(CAST({_MONTH_UNITS[unit]} * {{1}} AS INTEGER)))", moment.type, moment, amount)
    return fill(f"({{0}} + to_microseconds(CAST({_FIXED_UNITS[unit]} * CAST({{1}} AS HUGEINT) AS BIGINT)))", moment.type, moment, amount)


@scalar("datediff date_diff timestampdiff timediff", 2, 3)
def datediff(call: Call) -> Fragment:
    """With two arguments days from the second to the first; with a unit first whole units from the second to the third."""
    if len(call) == 2:  # noqa: PLR2004  # Without a unit.
        return fill("CAST({0} - {1} AS INTEGER)", INT, call.take(0, DATE), call.take(1, DATE))
    unit = _unit_of(call, 0)
    start, end = as_wall(call.arg(1), call.label), as_wall(call.arg(2), call.label)
    if unit in _MONTH_UNITS:
        return fill(f"CAST(insjo_whole_months({{0}}, {{1}}) // {_MONTH_UNITS[unit]} AS BIGINT)", BIGINT, start, end)
    return fill(f"((epoch_us({{1}}) - epoch_us({{0}})) // {_FIXED_UNITS[unit]})", BIGINT, start, end)


@scalar("window", 2, 4)
def time_window(call: Call) -> Fragment:
    """Tumbling windows: the piece of time of that length in which a moment lies."""
    moment = as_moment(call.arg(0), call.label)
    length = _duration(call, 1)
    if len(call) > 2 and _duration(call, 2) != length:  # noqa: PLR2004  # The slide.
        raise UnsupportedFeature(f"{call.label} with overlapping pieces is not supported.")
    offset = _duration(call, 3) if len(call) > 3 else 0  # noqa: PLR2004  # The start.
    start = f"(insjo_floor_div(epoch_us({moment.sql}) - {offset}, {length}) * {length} + {offset})"
    maker = "make_timestamptz" if moment.type.kind is Kind.TIMESTAMP else "make_timestamp"
    of_type = struct_of(("start", moment.type), ("end", moment.type))
    packed = f'struct_pack(start := {maker}({start}), "end" := {maker}({start} + {length}))'
    return made(f"CASE WHEN {moment.sql} IS NOT NULL THEN {packed} END", of_type, moment)


def _duration(call: Call, index: int) -> int:
    """Microseconds of a constant such as `10 minutes`."""
    text = call.constant_text(index, "duration").strip().lower().removeprefix("interval ")
    found = re.findall(r"(\d+)\s*([a-z]+)", text)
    units = [(int(amount), _singular(unit)) for amount, unit in found]
    if not units or any(unit not in _FIXED_UNITS for _, unit in units):
        raise ArgumentInvalid(f"`{text}` is no duration of a window: for example `10 minutes`.")
    return sum(amount * _FIXED_UNITS[unit] for amount, unit in units)


@scalar("months_between", 2, 3)
def months_between(call: Call) -> Fragment:
    """Months with a fraction of 31 days, rounded to eight digits unless told not to."""
    end, start = as_wall(call.arg(0), call.label), as_wall(call.arg(1), call.label)
    exact = len(call) > 2 and not call.constant_flag(2)  # noqa: PLR2004  # The flag.
    return fill("insjo_months_between({0}, {1})" if exact else "insjo_round_double(insjo_months_between({0}, {1}), 8)", DOUBLE, end, start)


@scalar("next_day", 2)
def next_day(call: Call) -> Fragment:
    """First such weekday after a date."""
    day, name = call.take(0, DATE), call.take(1, STRING)
    return fill("insjo_next_day({0}, {1})", DATE, day, name)


_TRUNCATED = {
    **dict.fromkeys(("year", "yyyy", "yy"), "year"),
    **dict.fromkeys(("month", "mon", "mm"), "month"),
    "quarter": "quarter",
    "week": "week",
}


@scalar("trunc", 2)
def trunc(call: Call) -> Fragment:
    """Beginning of the year, quarter, month or week of a date; NULL for any other unit."""
    unit = _TRUNCATED.get(call.constant_text(1, "unit").lower())
    day = call.take(0, DATE)
    return fill(f"CAST(date_trunc('{unit}', {{0}}) AS DATE)", DATE, day) if unit else null(DATE)


@scalar("date_trunc", 2)
def date_trunc(call: Call) -> Fragment:
    """Beginning of the unit in which a timestamp lies; NULL for an unknown unit."""
    name = call.unit(0)
    unit = _TRUNCATED.get(name) or (name if name in {"day", "hour", "minute", "second", "millisecond", "microsecond"} else None)
    unit = "day" if name == "dd" else unit
    moment = as_moment(call.arg(1), call.label)
    if unit is None:
        return null(moment.type)
    if unit == "microsecond":
        return moment
    wall = cast(moment, TIMESTAMP_NTZ)
    return cast(fill(f"date_trunc('{unit}', {{0}})", TIMESTAMP_NTZ, wall), moment.type)


# ------------------------------------------------------------------------------------------------ reading and writing


@scalar("date_format", 2)
def date_format(call: Call) -> Fragment:
    """A moment written by a pattern."""
    pattern = call.constant_text(1, "pattern")
    wall = as_wall(call.arg(0), call.label)
    return made(java_dates.writing(pattern, wall.sql), STRING, wall)


@scalar("from_unixtime", 1, 2)
def from_unixtime(call: Call) -> Fragment:
    """Seconds since 1970 written by a pattern."""
    pattern = call.constant_text(1, "pattern") if len(call) > 1 else _UNIX_PATTERN
    seconds = call.take(0, BIGINT)
    return made(java_dates.writing(pattern, f"make_timestamp({seconds.sql} * 1000000)"), STRING, seconds)


def _read(call: Call, text: Fragment, target: Type) -> Fragment:
    """A text read by a pattern, as a timestamp, a timestamp without zone or a date."""
    found = java_dates.reading(call.constant_text(1, "pattern"))
    wall = made(java_dates.wall_of(found, text.sql), TIMESTAMP_NTZ, text)
    value = cast(wall, target)
    if found.zoned and target.kind is not Kind.TIMESTAMP_NTZ:
        zone = f"{java_dates.parts_of(found, text.sql)}.z"
        instant = made(f"insjo_to_instant({wall.sql}, {zone})", TIMESTAMP, text)
        value = cast(instant, target)
    raised = fail("CANNOT_PARSE_TIMESTAMP", "The text does not fit the datetime pattern: ", target, tail=text.sql)
    sql = f"CASE WHEN regexp_matches({text.sql}, {text_of(found.regex)}) THEN {value.sql} WHEN {text.sql} IS NOT NULL THEN {raised} END"
    return made(sql, target, text)


_READERS: dict[str, Type] = {"to_date": DATE, "to_timestamp": TIMESTAMP, "to_timestamp_ltz": TIMESTAMP, "to_timestamp_ntz": TIMESTAMP_NTZ}


@scalar("to_date try_to_date to_timestamp try_to_timestamp to_timestamp_ltz to_timestamp_ntz", 1, 2)
def read_moment(call: Call) -> Fragment:
    """With one argument as a cast; with a pattern by it; `try_` gives NULL in place of an error."""
    safe = call.name.startswith("try_")
    target = _READERS[call.name.removeprefix("try_")]
    if len(call) == 1 or call.arg(0).type.kind is not Kind.STRING:
        if not (call.arg(0).type.is_datetime or call.arg(0).type.kind in {Kind.STRING, Kind.VOID} or call.arg(0).type.is_numeric):
            raise DatatypeMismatch(f"{call.label} does not take `{call.arg(0).type.text}`.")
        return cast(call.arg(0), target, safe=safe)
    return (
        attempt([call.take(0, STRING)], lambda parts: _read(call, parts[0], target)) if safe else _read(call, call.take(0, STRING), target)
    )


@scalar("unix_timestamp to_unix_timestamp", 0, 2)
def unix_timestamp(call: Call) -> Fragment:
    """Seconds since 1970; of a text by a pattern."""
    if len(call) == 0:
        return made("CAST(epoch_us(now()) // 1000000 AS BIGINT)", BIGINT)
    source = call.arg(0)
    if source.type.kind is Kind.STRING:
        if len(call) == 1:
            call.nodes.append(exp.Literal.string(_UNIX_PATTERN))
        moment = _read(call, source, TIMESTAMP)
    else:
        moment = implicit(source, TIMESTAMP, call.label)
    return fill("insjo_floor_div(epoch_us({0}), 1000000)", BIGINT, moment)


# ------------------------------------------------------------------------------------------------ zones


@scalar("from_utc_timestamp to_utc_timestamp", 2)
def shift_zone(call: Call) -> Fragment:
    """The wall clock of a zone for one of UTC, and the other way round."""
    wall, zone = as_wall(call.arg(0), call.label), call.take(1, STRING)
    if call.name == "from_utc_timestamp":
        return fill("CAST(insjo_to_wall(timezone('UTC', {0}), {1}) AS TIMESTAMPTZ)", TIMESTAMP, wall, zone)
    return fill("insjo_to_instant({0}, {1})", TIMESTAMP, wall, zone)


@scalar("convert_timezone", 2, 3)
def convert_timezone(call: Call) -> Fragment:
    """A wall clock of one zone as that of another."""
    source = call.take(0, STRING) if len(call) == 3 else Fragment("'UTC'", STRING)  # noqa: PLR2004  # With the source zone.
    target = call.take(len(call) - 2, STRING)
    wall = cast(as_moment(call.arg(len(call) - 1), call.label), TIMESTAMP_NTZ)
    return fill("insjo_to_wall(insjo_to_instant({2}, {0}), {1})", TIMESTAMP_NTZ, source, target, wall)


# ------------------------------------------------------------------------------------------------ making


@scalar("make_date", 3)
def make_date(call: Call) -> Fragment:
    """From year, month and day; an error if there is no such day."""
    return fill("make_date({0}, {1}, {2})", DATE, *(call.take(index, BIGINT) for index in range(3)))


@scalar("make_timestamp try_make_timestamp make_timestamp_ntz make_timestamp_ltz", 6, 7)
def make_timestamp(call: Call) -> Fragment:
    """From year to second with fraction, and a zone."""
    parts = [call.take(index, BIGINT) for index in range(5)]
    seconds = implicit(call.arg(5), _SECOND_DIGITS, call.label) if not call.arg(5).type.is_integral else cast(call.arg(5), _SECOND_DIGITS)
    micros = f"insjo_in_range(CAST({seconds.sql} * 1000000 AS BIGINT), 0, 60000000)"
    day = f"CAST(make_date({parts[0].sql}, {parts[1].sql}, {parts[2].sql}) AS TIMESTAMP)"
    time = f"to_microseconds(insjo_time_us({parts[3].sql}, {parts[4].sql}, 0, 0) + {micros})"
    wall = made(f"({day} + {time})", TIMESTAMP_NTZ, *parts, seconds)
    if call.name == "make_timestamp_ntz":
        return wall
    zoned = len(call) == 7  # noqa: PLR2004  # With a zone.
    value = fill("insjo_to_instant({0}, {1})", TIMESTAMP, wall, call.take(6, STRING)) if zoned else cast(wall, TIMESTAMP)
    return fill("TRY({0})", TIMESTAMP, value) if call.name.startswith("try_") else value


@scalar("make_interval", 0, 7)
def make_interval(call: Call) -> Fragment:
    """Only of days to seconds or only of years and months: Databricks' mixed type is not supported."""
    values = [call.arg(index).whole if index < len(call) else 0 for index in range(7)]
    if any(value not in {0, None} or value is None for value in values[:2]) and any(value != 0 for value in values[2:]):
        raise UnsupportedFeature(
            f"{call.label} of months and days together is not supported.", hint="Use `make_ym_interval` and `make_dt_interval`."
        )
    if all(value == 0 for value in values[2:]):
        years, months = (call.take(index, INT) if index < len(call) else Fragment("0", INT) for index in range(2))
        return fill("to_months(CAST({0} * 12 + {1} AS INTEGER))", operators.YEAR_TO_MONTH, years, months)
    weeks, days = (call.take(index, INT) if index < len(call) else Fragment("0", INT) for index in (2, 3))
    return _day_time(call, 4, fill("({0} * 7 + {1})", INT, weeks, days))


def _day_time(call: Call, start: int, days: Fragment) -> Fragment:
    hours, minutes = (call.take(index, INT) if index < len(call) else Fragment("0", INT) for index in (start, start + 1))
    seconds = cast(call.arg(start + 2), DOUBLE) if start + 2 < len(call) else Fragment("0", DOUBLE)
    sql = (
        "to_microseconds(CAST({0} AS BIGINT) * 86400000000 + CAST({1} AS BIGINT) * 3600000000 + CAST({2} AS BIGINT) * 60000000 "
        "+ CAST(round({3} * 1000000) AS BIGINT))"
    )
    return fill(sql, operators.DAY_TO_SECOND, days, hours, minutes, seconds)


@scalar("make_dt_interval", 0, 4)
def make_dt_interval(call: Call) -> Fragment:
    """From days, hours, minutes and seconds."""
    return _day_time(call, 1, call.take(0, INT) if len(call) else Fragment("0", INT))


@scalar("make_ym_interval", 0, 2)
def make_ym_interval(call: Call) -> Fragment:
    """From years and months."""
    years, months = (call.take(index, INT) if index < len(call) else Fragment("0", INT) for index in range(2))
    return fill("to_months(CAST({0} * 12 + {1} AS INTEGER))", operators.YEAR_TO_MONTH, years, months)


@scalar("timestamp_seconds", 1)
def timestamp_seconds(call: Call) -> Fragment:
    """From seconds since 1970, with a fraction."""
    return cast(call.arg(0) if call.arg(0).type.is_numeric else call.take(0, BIGINT), TIMESTAMP)


DEFINITIONS: tuple[Definition, ...] = (
    extract,
    whole_field,
    second,
    named_field,
    date_add,
    datediff,
    time_window,
    months_between,
    next_day,
    trunc,
    date_trunc,
    date_format,
    from_unixtime,
    read_moment,
    unix_timestamp,
    shift_zone,
    convert_timezone,
    make_date,
    make_timestamp,
    make_interval,
    make_dt_interval,
    make_ym_interval,
    timestamp_seconds,
    template("add_months", "Di", DATE, "CAST({0} + to_months({1}) AS DATE)"),
    template("last_day", "D", DATE, "last_day({0})"),
    template("date_from_unix_date", "i", DATE, "insjo_date_add(DATE '1970-01-01', {0})"),
    template("unix_date", "D", INT, "CAST({0} - DATE '1970-01-01' AS INTEGER)"),
    template("unix_seconds", "T", BIGINT, "insjo_floor_div(epoch_us({0}), 1000000)"),
    template("unix_millis", "T", BIGINT, "insjo_floor_div(epoch_us({0}), 1000)"),
    template("unix_micros", "T", BIGINT, "epoch_us({0})"),
    template("timestamp_millis", "l", TIMESTAMP, "make_timestamptz({0} * 1000)"),
    template("timestamp_micros", "l", TIMESTAMP, "make_timestamptz({0})"),
    template("current_date curdate", "", DATE, "current_date"),
    template("current_timestamp now getdate", "", TIMESTAMP, "now()"),
    template("localtimestamp", "", TIMESTAMP_NTZ, "timezone('UTC', now())"),
    template("current_timezone", "", STRING, "'Etc/UTC'"),
)
