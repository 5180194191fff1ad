"""Texts from a format: `format_string('%05d', n)`, `to_char(n, '$99.99')`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import as_text
from insjo.sql.dialect.fragments import Fragment, made, text_of
from insjo.sql.dialect.functions import java_dates
from insjo.sql.dialect.functions.registry import MANY, Call, Definition, scalar
from insjo.sql.dialect.types import BIGINT, DOUBLE, STRING, TIMESTAMP_NTZ, Kind, decimal
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature

_SPEC = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")


@dataclass(frozen=True, slots=True)
class Spec:
    """One `%` specification of Java's Formatter."""

    argument: int | None
    flags: str
    width: int
    precision: int | None
    conversion: str
    written: str


def specs_of(text: str) -> list[str | Spec]:
    """Literal texts and specifications; raises ArgumentInvalid."""
    parts: list[str | Spec] = []
    at = 0
    for found in _SPEC.finditer(text):
        parts.append(text[at : found.start()])
        at = found.end()
        position, flags, width, precision, conversion = found.groups()
        parts.append(
            Spec(int(position) if position else None, flags, int(width or 0), int(precision) if precision else None, conversion, found[0])
        )
    parts.append(text[at:])
    if any(isinstance(part, str) and "%" in part for part in parts):
        raise ArgumentInvalid(f"`{text}` is no format: a `%` begins no specification.")
    return [part for part in parts if part != ""]


@scalar("format_string printf", 1, MANY)
def format_string(call: Call) -> Fragment:
    """As Java's Formatter."""
    parts: list[Fragment] = []
    following = 1
    for part in specs_of(call.constant_text(0, "format")):
        if isinstance(part, str):
            parts.append(made(text_of(part), STRING))
        elif part.conversion == "%":
            parts.append(made("'%'", STRING))
        elif part.conversion == "n":
            parts.append(made("chr(10)", STRING))
        else:
            index = part.argument if part.argument is not None else following
            following += part.argument is None
            if index >= len(call):
                raise ArgumentInvalid(f"{call.label} has no argument for `{part.written}`.")
            parts.append(_formatted(call, part, call.arg(index)))
    joined = " || ".join(part.sql for part in parts) or "''"
    return made(f"({joined})", STRING, *parts)


def _formatted(call: Call, spec: Spec, value: Fragment) -> Fragment:
    if spec.conversion in "sS":
        text = as_text(value, call.label) if not value.type.is_nested else cast(value, STRING)
        cut = f"left({text.sql}, {spec.precision})" if spec.precision is not None else text.sql
        sql = f"coalesce({cut}, 'null')"
        return made(_padded(f"upper({sql})" if spec.conversion == "S" else sql, spec), STRING, text)
    if spec.conversion in "dxXo":
        return _formatted_whole(call, spec, value)
    if spec.conversion == "f":
        return _formatted_fixed(call, spec, value)
    if spec.conversion in "bB":
        inner = value.sql if value.type.kind is Kind.BOOLEAN else f"{value.sql} IS NOT NULL"
        return made(_padded(f"CASE WHEN {inner} THEN 'true' ELSE 'false' END", spec), STRING, value)
    if spec.conversion == "c" and value.type.is_integral:
        return made(_padded(f"chr(CAST({value.sql} AS INTEGER))", spec), STRING, value)
    raise UnsupportedFeature(f"`{spec.written}` in {call.label} is not supported for `{value.type.text}`.")


def _formatted_whole(call: Call, spec: Spec, value: Fragment) -> Fragment:
    if not value.type.is_integral:
        raise DatatypeMismatch(f"`{spec.written}` in {call.label} takes a whole number, and not `{value.type.text}`.")
    if spec.conversion == "d":
        digits = (
            f"format('{{:,}}', abs(CAST({value.sql} AS HUGEINT)))"
            if "," in spec.flags
            else f"CAST(abs(CAST({value.sql} AS HUGEINT)) AS VARCHAR)"
        )
        return made(_signed(digits, f"{value.sql} < 0", spec), STRING, value)
    if set(spec.flags) - {"-", "0"} or value.type != BIGINT:
        value = cast(value, BIGINT)
    hexadecimal = f"to_hex({value.sql})" if spec.conversion in "xX" else ""
    if not hexadecimal:
        raise UnsupportedFeature(f"`{spec.written}` in {call.label} is not supported.")
    sql = f"lower({hexadecimal})" if spec.conversion == "x" else f"upper({hexadecimal})"
    return made(_padded(f"CASE WHEN {value.sql} IS NULL THEN 'null' ELSE {sql} END", spec), STRING, value)


def _formatted_fixed(call: Call, spec: Spec, value: Fragment) -> Fragment:
    """`%.2f`: Java rounds the decimal digits of the number half up."""
    if value.type.kind not in {Kind.FLOAT, Kind.DOUBLE, Kind.DECIMAL}:
        raise DatatypeMismatch(f"`{spec.written}` in {call.label} takes a double or a decimal, and not `{value.type.text}`.")
    places = 6 if spec.precision is None else spec.precision
    if value.type.kind is Kind.DECIMAL:
        rounded = f"round({value.seen().sql}, {places})" if places < value.type.scale else value.seen().sql
        digits = f"insjo_fixed_text(CAST(abs({rounded}) AS VARCHAR), {places})"
        negative = f"{rounded} < 0"
    else:
        number = cast(value, DOUBLE)
        rounded = f"insjo_round_double({number.sql}, {places})"
        digits = f"insjo_fixed_text(format('{{:.{places}f}}', abs({rounded})), {places})"
        negative = f"{number.sql} < 0"
    if "," in spec.flags:
        digits = f"insjo_group_digits({digits})"
    return made(_signed(digits, negative, spec), STRING, value)


def _signed(digits: str, negative: str, spec: Spec) -> str:
    """Sign and filling of a number."""
    minus, after = ("'('", " || ')'") if "(" in spec.flags else ("'-'", "")
    plus = "'+'" if "+" in spec.flags else "' '" if " " in spec.flags else "''"
    if "0" in spec.flags and spec.width:
        room = f"greatest({spec.width} - length(CASE WHEN {negative} THEN {minus} ELSE {plus} END), length({digits}))"
        filled = f"lpad({digits}, CAST({room} AS INTEGER), '0')"
        sql = f"CASE WHEN {negative} THEN {minus} || {filled}{after} ELSE {plus} || {filled} END"
        return f"coalesce({sql}, lpad('null', {max(spec.width, 4)}, ' '))"
    sql = f"CASE WHEN {negative} THEN {minus} || {digits}{after} ELSE {plus} || {digits} END"
    return _padded(f"coalesce({sql}, 'null')", spec)


def _padded(sql: str, spec: Spec) -> str:
    """Blanks up to the width; longer texts stay whole."""
    if not spec.width:
        return sql
    function = "rpad" if "-" in spec.flags else "lpad"
    return f"{function}({sql}, CAST(greatest(length({sql}), {spec.width}) AS INTEGER), ' ')"


@scalar("to_char to_varchar", 2)
def to_char(call: Call) -> Fragment:
    """A number in a number format, or a moment in a datetime pattern."""
    value = call.arg(0)
    pattern = call.constant_text(1, "format")
    if value.type.is_datetime:
        wall = cast(value, TIMESTAMP_NTZ)
        return made(java_dates.writing(pattern, wall.sql), STRING, wall)
    if not value.type.is_numeric:
        raise UnsupportedFeature(f"{call.label} of `{value.type.text}` is not supported.")
    from insjo.sql.dialect.functions.number_formats import pattern_of

    pattern_of(pattern)
    exact = (
        value.seen() if value.type.kind is Kind.DECIMAL else cast(value, decimal(30, 15) if not value.type.is_integral else decimal(20, 0))
    )
    return made(f"insjo_py_to_char(CAST({exact.sql} AS VARCHAR), {text_of(pattern)})", STRING, exact)


DEFINITIONS: tuple[Definition, ...] = (format_string, to_char)
