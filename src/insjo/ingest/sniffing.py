"""How a text file is written, guessed from its first bytes: encoding, separator, and whether the first line holds names."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass

BYTES_MAX = 64 * 1024
SEPARATORS = ("\t", ";", "|", ",")
"""In the order of preference when several fit alike: a comma stands in texts and numbers, a tab hardly ever."""
_LINES_MAX = 200
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a text file is written."""

    encoding: str
    delimiter: str = ","
    header: bool = True


def encoding_of(beginning: bytes) -> str:
    """Encoding by mark, by zero bytes, or by whether it is UTF-8; else the one that Windows programs in western Europe write."""
    for mark, name in _BOMS:
        if beginning.startswith(mark):
            return name
    half = len(beginning) // 2
    if half and beginning[1::2].count(0) > half * 0.4:
        return "utf-16le"
    if half and beginning[::2].count(0) > half * 0.4:
        return "utf-16be"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(beginning, final=len(beginning) < BYTES_MAX)
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"


def form_of(beginning: bytes, *, delimiter: str = "", encoding: str = "") -> TextForm:
    """Form of a CSV file; what is given is not guessed."""
    encoding = encoding or encoding_of(beginning)
    text = text_of(beginning, encoding)
    if not text:
        return TextForm(encoding, delimiter or ",")
    if len(beginning) >= BYTES_MAX:
        text = text.rpartition("\n")[0] or text
    found = delimiter or _separator(text)
    rows = _rows(text, found)
    return TextForm(encoding, found, _first_row_names(rows))


def text_of(beginning: bytes, encoding: str) -> str:
    """The bytes as text; empty when nothing of that name makes text of them, which whoever reads the file tells."""
    python_name = encoding.replace("windows-", "cp")
    try:
        return beginning.decode("utf-8-sig" if python_name.lower() in {"utf-8", "utf8"} else python_name, errors="replace")
    except (LookupError, ValueError):
        return ""


def _rows(text: str, separator: str) -> list[list[str]]:
    """The first rows that are not empty."""
    if len(separator) != 1 or separator in '"\r\n':  # Others than these the reader of Python does not take.
        return [line.split(separator) for line in text.splitlines()[:_LINES_MAX] if line]
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=separator):
            if row:
                rows.append(row)
            if len(rows) >= _LINES_MAX:
                break
    except csv.Error:
        pass  # A field that is too long or a zero byte: what was read so far tells enough.
    return rows


def _separator(text: str) -> str:
    """The separator that cuts most lines into the same number of fields, more than one."""
    best, best_score = ",", 0.0
    for each in SEPARATORS:
        counts = Counter(len(row) for row in _rows(text, each))
        if not counts:
            continue
        width, lines = counts.most_common(1)[0]
        score = lines / counts.total() * min(width - 1, 50) if width > 1 else 0.0
        if score > best_score:
            best, best_score = each, score
    return best


def _first_row_names(rows: list[list[str]]) -> bool:
    """Whether the first row looks like names: all there, all different, no numbers."""
    if not rows:
        return True
    first = [value.strip() for value in rows[0]]
    if len({value.lower() for value in first}) != len(first) and len(rows) > 1 and all(first):
        return not _is_like(rows[0], rows[1])
    return bool(first) and any(first) and not any(_is_number(value) for value in first)


def _is_like(one: list[str], other: list[str]) -> bool:
    """Whether two rows have numbers in the same places."""
    return [_is_number(value) for value in one] == [_is_number(value) for value in other] and any(map(_is_number, one))


def _is_number(text: str) -> bool:
    try:
        float(text.strip().replace(",", "."))
    except ValueError:
        return bool(text) and text.strip().replace("-", "").replace(":", "").replace("/", "").isdigit()
    return True
