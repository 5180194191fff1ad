"""Datetime patterns of Databricks (`yyyy-MM-dd HH:mm`), for writing and for reading.

Source: "Datetime patterns" in the Databricks SQL language reference.  The session's zone is UTC, which fixes what zone letters write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.sql.dialect.fragments import text_of
from insjo.sql.errors import ArgumentInvalid, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_QUARTERS = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")


@dataclass(frozen=True, slots=True)
class Piece:
    """A letter with the number of its repetitions, a literal text (letter `'`), or `[` and `]` around an optional part."""

    letter: str
    count: int = 1
    text: str = ""


def pieces_of(pattern: str) -> list[Piece]:
    """The pattern, read; raises ArgumentInvalid for letters that no pattern has."""
    pieces: list[Piece] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "'":
            literal, at = _quoted(pattern, at)
            pieces.append(Piece("'", text=literal))
        elif character in "[]":
            pieces.append(Piece(character))
            at += 1
        elif character.isascii() and character.isalpha():
            end = at
            while end < len(pattern) and pattern[end] == character:
                end += 1
            pieces.append(Piece(character, end - at))
            at = end
        elif character in "{}#":
            raise ArgumentInvalid(f"`{pattern}` is no datetime pattern: `{character}` is reserved.")
        else:
            pieces.append(Piece("'", text=character))
            at += 1
    return pieces


def _quoted(pattern: str, at: int) -> tuple[str, int]:
    """Text in quotes, in which two quotes stand for one; outside `''` is one quote."""
    if pattern.startswith("''", at):
        return "'", at + 2
    out = ""
    at += 1
    while at < len(pattern):
        if pattern.startswith("''", at):
            out += "'"
            at += 2
        elif pattern[at] == "'":
            return out, at + 1
        else:
            out += pattern[at]
            at += 1
    raise ArgumentInvalid(f"`{pattern}` is no datetime pattern: a quote is not closed.")


# ------------------------------------------------------------------------------------------------ writing

_STRFTIME: dict[str, dict[int, str]] = {
    "y": {1: "%-Y", 2: "%y", 3: "%Y", 4: "%Y"},
    "M": {1: "%-m", 2: "%m", 3: "%b", 4: "%B"},
    "L": {1: "%-m", 2: "%m", 3: "%b", 4: "%B"},
    "d": {1: "%-d", 2: "%d"},
    "D": {1: "%-j", 3: "%j"},
    "E": {1: "%a", 2: "%a", 3: "%a", 4: "%A"},
    "a": {1: "%p"},
    "h": {1: "%-I", 2: "%I"},
    "H": {1: "%-H", 2: "%H"},
    "m": {1: "%-M", 2: "%M"},
    "s": {1: "%-S", 2: "%S"},
    "S": {3: "%g", 6: "%f", 9: "%n"},
}
_UTC_ZONE: dict[str, dict[int, str]] = {
    "z": {1: "UTC", 2: "UTC", 3: "UTC", 4: "Coordinated Universal Time"},
    "V": {2: "Etc/UTC"},
    "X": {1: "Z", 2: "Z", 3: "Z", 4: "Z", 5: "Z"},
    "x": {1: "+00", 2: "+0000", 3: "+00:00", 4: "+0000", 5: "+00:00"},
    "Z": {1: "+0000", 2: "+0000", 3: "+0000", 4: "GMT", 5: "Z"},
    "O": {1: "GMT", 4: "GMT"},
    "G": {1: "AD", 2: "AD", 3: "AD", 4: "Anno Domini"},
}


def writing(pattern: str, wall: str) -> str:
    """SQL that writes a wall clock (an engine's TIMESTAMP) by the pattern."""
    parts: list[str] = []
    run = ""
    for piece in pieces_of(pattern):
        if piece.letter in "[]":
            continue
        if piece.letter == "'":
            run += piece.text.replace("%", "%%")
            continue
        simple = _STRFTIME.get(piece.letter, {}).get(piece.count)
        if simple == "%-Y":
            parts, run = _flush(parts, run, wall)
            parts.append(f"CAST(year({wall}) AS VARCHAR)")
        elif simple is not None:
            run += simple
        elif (zone := _UTC_ZONE.get(piece.letter, {}).get(piece.count)) is not None:
            run += zone
        else:
            parts, run = _flush(parts, run, wall)
            parts.append(_computed(piece, wall, pattern))
    parts, _ = _flush(parts, run, wall)
    return "(" + " || ".join(parts) + ")" if parts else f"CASE WHEN {wall} IS NOT NULL THEN '' END"


def _flush(parts: list[str], run: str, wall: str) -> tuple[list[str], str]:
    return ([*parts, f"strftime({wall}, {text_of(run)})"] if run else parts), ""


def _computed(piece: Piece, wall: str, pattern: str) -> str:
    """Letters that the engine's strftime does not have."""
    letter, count = piece.letter, piece.count
    numbers = {
        "K": f"hour({wall}) % 12",
        "k": f"CASE WHEN hour({wall}) = 0 THEN 24 ELSE hour({wall}) END",
        "F": f"(day({wall}) - 1) // 7 + 1",
    }
    if letter in numbers and count <= 2:  # noqa: PLR2004  # One or two digits.
        return f"lpad(CAST({numbers[letter]} AS VARCHAR), {count}, '0')" if count > 1 else f"CAST({numbers[letter]} AS VARCHAR)"
    if letter in "Qq" and count <= 4:  # noqa: PLR2004  # Long form.
        quarter = f"quarter({wall})"
        short = f"CAST({quarter} AS VARCHAR)"
        long_names = "[" + ", ".join(text_of(name) for name in _QUARTERS) + "]"
        return (short, f"lpad({short}, 2, '0')", f"('Q' || {short})", f"list_extract({long_names}, {quarter})")[count - 1]
    if letter == "S" and count <= 9:  # noqa: PLR2004  # Nanoseconds.
        return f"rpad(left(strftime({wall}, '%f'), {min(count, 6)}), {count}, '0')"
    if letter == "D" and count == 2:  # noqa: PLR2004  # Two digits at least.
        return f"lpad(strftime({wall}, '%-j'), greatest(2, length(strftime({wall}, '%-j'))), '0')"
    if letter == "y" and count <= 6:  # noqa: PLR2004  # Padded years.
        return f"lpad(CAST(year({wall}) AS VARCHAR), {count}, '0')"
    raise _unknown(piece, pattern)


def _unknown(piece: Piece, pattern: str) -> UnsupportedFeature:
    return UnsupportedFeature(f"`{piece.letter * piece.count}` in the datetime pattern `{pattern}` is not supported.")


# ------------------------------------------------------------------------------------------------ reading


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts of a pattern are read.

    Attributes:
        regex: Of the whole text, with one group for each name.
        names: Names of the groups.
        strptime: The engine's own format, where it reads a text that fits the regex in the same way; else empty.
    """

    regex: str
    names: tuple[str, ...]
    strptime: str = ""

    @property
    def zoned(self) -> bool:
        """Whether the text names a zone."""
        return "z" in self.names


def _month_names(*, short: bool) -> str:
    return "|".join(name[:3] if short else name for name in _MONTHS)


_READ: dict[str, dict[int, tuple[str, str]]] = {
    "y": {1: ("y", "[0-9]{1,4}"), 2: ("yy", "[0-9]{2}"), 3: ("y", "[0-9]{3,4}"), 4: ("y", "[0-9]{4}")},
    "M": {1: ("mo", "[0-9]{1,2}"), 2: ("mo", "[0-9]{2}"), 3: ("mon", _month_names(short=True)), 4: ("month", _month_names(short=False))},
    "d": {1: ("d", "[0-9]{1,2}"), 2: ("d", "[0-9]{2}")},
    "D": {1: ("doy", "[0-9]{1,3}"), 3: ("doy", "[0-9]{3}")},
    "H": {1: ("h", "[0-9]{1,2}"), 2: ("h", "[0-9]{2}")},
    "k": {1: ("k", "[0-9]{1,2}"), 2: ("k", "[0-9]{2}")},
    "h": {1: ("h12", "[0-9]{1,2}"), 2: ("h12", "[0-9]{2}")},
    "a": {1: ("ap", "AM|PM")},
    "m": {1: ("mi", "[0-9]{1,2}"), 2: ("mi", "[0-9]{2}")},
    "s": {1: ("s", "[0-9]{1,2}"), 2: ("s", "[0-9]{2}")},
    "X": {1: ("z", "Z|[+-][0-9]{2}(?:[0-9]{2})?"), 2: ("z", "Z|[+-][0-9]{4}"), 3: ("z", "Z|[+-][0-9]{2}:[0-9]{2}")},
    "x": {1: ("z", "[+-][0-9]{2}(?:[0-9]{2})?"), 2: ("z", "[+-][0-9]{4}"), 3: ("z", "[+-][0-9]{2}:[0-9]{2}")},
    "Z": {1: ("z", "[+-][0-9]{4}"), 2: ("z", "[+-][0-9]{4}"), 3: ("z", "[+-][0-9]{4}")},
    "V": {2: ("z", "Z|[+-][0-9]{2}:?[0-9]{2}|[A-Za-z]+(?:/[A-Za-z0-9_+-]+)*")},
    "z": {1: ("z", "[A-Z]{3,4}|[A-Za-z]+/[A-Za-z_/]+"), 3: ("z", "[A-Z]{3,4}|[A-Za-z]+/[A-Za-z_/]+")},
}


_STRPTIME = {"y": "%Y", "M": "%m", "d": "%d", "H": "%H", "m": "%M", "s": "%S"}
"""Letters whose numbers the engine reads alike once the regex has checked their digits; two letters for a year are not among them."""


def reading(pattern: str) -> Reading:
    """How to read by the pattern; raises UnsupportedFeature for letters that are only for writing."""
    regex, names, plain = "", [], ""
    simple = True
    for piece in pieces_of(pattern):
        if piece.letter == "'":
            regex += re.sub(r"([^\w\s])", r"\\\1", piece.text)
            plain += piece.text.replace("%", "%%")
            continue
        if piece.letter in "[]":
            regex += "(?:" if piece.letter == "[" else ")?"
            simple = False
            continue
        name, digits = _piece_regex(piece, pattern)
        if name in names:
            raise ArgumentInvalid(f"`{pattern}` is no datetime pattern for reading: it has `{piece.letter}` twice.")
        names.append(name)
        regex += f"({digits})"
        simple = simple and name in {"y", "mo", "d", "h", "mi", "s"}
        plain += _STRPTIME.get(piece.letter, "")
    if not names:
        raise ArgumentInvalid(f"`{pattern}` is no datetime pattern for reading.")
    whole_date = {"y", "mo", "d"} <= set(names)
    return Reading(f"^{regex}$", tuple(names), plain if simple and whole_date else "")


def _piece_regex(piece: Piece, pattern: str) -> tuple[str, str]:
    """Name and regex of a piece."""
    if piece.letter == "S" and piece.count <= 9:  # noqa: PLR2004  # Nanoseconds.
        return "f", f"[0-9]{{1,{piece.count}}}"
    found = _READ.get(piece.letter, {}).get(piece.count)
    if found is None:
        raise _unknown(piece, pattern)
    return found


def parts_of(found: Reading, text: str) -> str:
    """SQL of a struct with the parts of a text."""
    listed = ", ".join(text_of(name) for name in found.names)
    return f"regexp_extract({text}, {text_of(found.regex)}, [{listed}])"


def wall_of(found: Reading, text: str) -> str:
    """SQL of the wall clock (an engine's TIMESTAMP) that a text gives; only for texts that fit."""
    if found.strptime:
        return f"strptime({text}, {text_of(found.strptime)})"
    # The parts are taken out once, and used in a lambda.
    return f"list_extract(list_transform([{parts_of(found, text)}], lambda p_: {_assembled(found, 'p_')}), 1)"


def _assembled(found: Reading, parts: str) -> str:
    def number(name: str, default: str) -> str:
        return f"CAST(coalesce(nullif({parts}.{name}, ''), '{default}') AS BIGINT)" if name in found.names else default

    year = f"(2000 + {number('yy', '0')})" if "yy" in found.names else number("y", "1970")
    month = _month(found, parts) or number("mo", "1")
    date = f"make_date({year}, {month}, {number('d', '1')})"
    if "doy" in found.names:
        date = f"(make_date({year}, 1, 1) + CAST({number('doy', '1')} - 1 AS INTEGER))"
    fraction = "0"
    if "f" in found.names:
        fraction = f"CASE WHEN {parts}.f = '' THEN 0 ELSE CAST(rpad(left({parts}.f, 6), 6, '0') AS BIGINT) END"
    time = f"insjo_time_us({_hour(found, parts, number)}, {number('mi', '0')}, {number('s', '0')}, {fraction})"
    return f"(CAST({date} AS TIMESTAMP) + to_microseconds({time}))"


def _month(found: Reading, parts: str) -> str | None:
    for name, short in (("mon", True), ("month", False)):
        if name in found.names:
            listed = ", ".join(text_of(each[:3] if short else each) for each in _MONTHS)
            return f"list_position([{listed}], {parts}.{name})"
    return None


def _hour(found: Reading, parts: str, read: Callable[[str, str], str]) -> str:
    if "h12" in found.names:
        half = f"CASE WHEN {parts}.ap = 'PM' THEN 12 ELSE 0 END" if "ap" in found.names else "0"
        return f"(insjo_in_range({read('h12', '12')}, 1, 12) % 12 + {half})"
    if "k" in found.names:
        return f"(insjo_in_range({read('k', '24')}, 1, 24) % 24)"
    return read("h", "0")
