"""Functions of Databricks that no SQL macro can give, in Python; they run inside the worker only.

Each is called with values that are not NULL, and its error becomes the statement's error: the text in brackets is the code.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import struct
import urllib.parse
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Function:
    """One function with the engine's types of its arguments and its result."""

    name: str
    call: Callable[..., Any]
    parameters: tuple[str, ...]
    returns: str
    takes_null: bool = False


def install_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Register them in an instance that is not locked yet."""
    import duckdb
    from duckdb.func import FunctionNullHandling, PythonUDFType

    for each in _FUNCTIONS:
        connection.create_function(
            f"insjo_py_{each.name}",
            _columnwise(each),
            [duckdb.sqltype(name) for name in each.parameters],
            duckdb.sqltype(each.returns),
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _columnwise(function: _Function) -> Callable[..., pa.Array]:
    """A function of values as one of columns: the engine's calls row by row cost a hundred times as much as the functions themselves."""
    call, takes_null = function.call, function.takes_null
    returns = {
        "VARCHAR": pa.string(),
        "INTEGER": pa.int32(),
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "VARCHAR[]": pa.list_(pa.string()),
    }[function.returns]

    def over(*columns: pa.ChunkedArray) -> pa.Array:
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        values = [None if not takes_null and None in row else call(*row) for row in rows]
        return pa.array(values, returns)

    # The engine counts the parameters of what it is given, so there is one function for each number of them.
    def one(first: pa.ChunkedArray) -> pa.Array:
        return over(first)

    def two(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.Array:
        return over(first, second)

    def three(first: pa.ChunkedArray, second: pa.ChunkedArray, third: pa.ChunkedArray) -> pa.Array:
        return over(first, second, third)

    return (one, two, three)[len(function.parameters) - 1]


# ------------------------------------------------------------------------------------------------ text


def levenshtein(first: str, second: str) -> int:
    """Edits between two texts, by characters."""
    if first == second:
        return 0
    row = list(range(len(second) + 1))
    for place, character in enumerate(first, 1):
        diagonal, row[0] = row[0], place
        for index, other in enumerate(second, 1):
            diagonal, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, diagonal + (character != other))
    return row[-1]


_SOUNDEX = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "01230127022455012623017202", strict=True))


def soundex(text: str) -> str:
    """Letter and three digits; texts that do not begin with an ASCII letter stay what they are (as `UTF8String.soundex`)."""
    if not text:
        return ""
    first = text[0].upper()
    if first not in _SOUNDEX:
        return text
    code, last = first, _SOUNDEX[first]
    for character in text[1:].upper():
        digit = _SOUNDEX.get(character)
        if digit is None:
            last = "0"
            continue
        if digit == "7":  # H and W do not part equal sounds.
            continue
        if digit not in {"0", last}:
            code += digit
            if len(code) == 4:  # noqa: PLR2004  # The length of a code.
                break
        last = digit
    return code.ljust(4, "0")


def luhn(digits: str) -> bool:
    """Whether a number has the right check digit."""
    if not re.fullmatch(r"[0-9]+", digits):
        return False
    doubled = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0  # noqa: PLR2004  # Digits of a number add up.


def convert_base(text: str, source: int, target: int) -> str | None:
    """Digits of another base in 64 bits, as `NumberConverter` of Spark; a negative target base means signed."""
    limit = 36
    if not 2 <= source <= limit or not 2 <= abs(target) <= limit:  # noqa: PLR2004  # The smallest base.
        return None
    stripped = text.strip(" ")
    if not stripped:
        return None
    negative = stripped.startswith("-")
    value = 0
    for character in stripped[1:] if negative else stripped:
        digit = int(character, 36) if character.isascii() and character.isalnum() else limit
        if digit >= source:
            break
        value = min(value * source + digit, _MASK_64)
    if negative:
        value = (-value) & _MASK_64 if target > 0 else -value
    elif target < 0 and value > _MASK_64 >> 1:
        value -= 1 << 64
    return _digits(value, abs(target))


def _digits(value: int, base: int) -> str:
    if value == 0:
        return "0"
    out, rest = "", abs(value)
    while rest:
        out = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest % base] + out
        rest //= base
    return f"-{out}" if value < 0 else out


def csv_cells(line: str) -> list[str]:
    """Cells of one line of CSV."""
    return next(csv.reader(io.StringIO(line)), [])


def parse_url(url: str | None, part: str | None, key: str | None) -> str | None:
    """One part of a URL, as java.net.URI takes it apart."""
    if url is None or part is None:
        return None
    if re.search(r"[\s<>\"{}|\\^`]", url):
        raise ValueError(f"[INVALID_URL] This is no URL: {url}")
    split = urllib.parse.urlsplit(url)
    if key is not None:
        found = re.search(rf"(?:^|&){re.escape(key)}=([^&]*)", split.query) if part == "QUERY" else None
        return found[1] if found else None
    host = split.netloc.rpartition("@")[2]
    user = split.netloc.rpartition("@")[0]
    values = {
        "HOST": re.sub(r":\d*$", "", host) or None,
        "PATH": split.path,
        "QUERY": split.query if "?" in url else None,
        "REF": split.fragment if "#" in url else None,
        "PROTOCOL": split.scheme or None,
        "FILE": split.path + (f"?{split.query}" if "?" in url else ""),
        "AUTHORITY": split.netloc or None,
        "USERINFO": user or None,
    }
    return values.get(part)


def to_char(number: str, pattern: str) -> str:
    """A number in a format such as `$99,999.99`; digits that do not fit become `#`."""
    value = Decimal(number)
    whole_format, _, fraction_format = pattern.upper().replace("G", ",").replace("D", ".").partition(".")
    sign_first = whole_format[:2] == "MI" or whole_format[:1] == "S"
    whole_digits = re.sub(r"[^09,]", "", whole_format)
    fraction_digits = re.sub(r"[^09]", "", fraction_format)
    rounded = (
        f"{abs(value):.{len(fraction_digits)}f}" if abs(value) == abs(value).quantize(Decimal(1).scaleb(-len(fraction_digits))) else ""
    )
    text = rounded or f"{int(abs(value) * 10 ** len(fraction_digits)) / 10 ** len(fraction_digits):.{len(fraction_digits)}f}"
    whole, _, fraction = text.partition(".")
    slots = whole_digits.replace(",", "")
    if len(whole.lstrip("0")) > len(slots):
        body = re.sub(r"[09]", "#", whole_digits) + (("." + "#" * len(fraction_digits)) if fraction_digits else "")
    else:
        body = _fill_slots(whole.lstrip("0"), whole_digits) + (f".{fraction}" if fraction_digits else "")
    if "$" in pattern:
        body = re.sub(r"^( *)", r"\1$", body)
    return _with_sign(body, pattern.upper(), negative=value < 0, first=sign_first)


def _fill_slots(digits: str, slots: str) -> str:
    """Digits from the right into the places of a format; empty places are blanks, or zeros from the first `0` on."""
    count = len(slots.replace(",", ""))
    padded = digits.rjust(count)
    zero_from = slots.replace(",", "").find("0")
    if zero_from >= 0:
        padded = padded[:zero_from] + padded[zero_from:].replace(" ", "0")
    out, place = "", 0
    for slot in slots:
        if slot == ",":
            out += "," if out.strip() else " "
        else:
            out += padded[place]
            place += 1
    return out if out.strip() else out[:-1] + "0"


def _with_sign(body: str, pattern: str, *, negative: bool, first: bool) -> str:
    if pattern.endswith("PR"):
        return re.sub(r"^( *)(.*)$", r"\1<\2>", body) if negative else body
    if "MI" not in pattern and "S" not in pattern:
        return re.sub(r"^( *)", r"\1-", body) if negative else body
    sign = "-" if negative else ("+" if "MI" not in pattern else " ")
    if not first:
        return body + sign
    return re.sub(r"^( *)", lambda found: found[1] + (sign if sign != " " else ""), body) if sign != " " else f" {body}"


# ------------------------------------------------------------------------------------------------ JSON


def schema_of_variant(text: str) -> str:
    """Schema of a JSON value in the words of `schema_of_variant`."""
    return _schema(json.loads(text, parse_float=Decimal))


def _schema(value: object) -> str:
    if isinstance(value, dict):
        return f"OBJECT<{', '.join(f'{key}: {_schema(each)}' for key, each in sorted(value.items()))}>"
    if isinstance(value, list):
        kinds = {_schema(each) for each in value}
        return f"ARRAY<{kinds.pop() if len(kinds) == 1 else 'VARIANT' if kinds else 'VOID'}>"
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        del sign
        scale = -exponent if isinstance(exponent, int) and exponent < 0 else 0
        return f"DECIMAL({max(len(digits), scale)},{scale})"
    return {bool: "BOOLEAN", int: "BIGINT", str: "STRING"}.get(type(value), "VOID")


# ------------------------------------------------------------------------------------------------ hashes


def sha2(content: bytes, bits: int) -> str:
    """SHA-2 of a length that the engine does not have."""
    return hashlib.new(f"sha{bits}", content).hexdigest()


def crc32(content: bytes) -> int:
    """Checksum."""
    return zlib.crc32(content)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _rotated(value: int, count: int, bits: int) -> int:
    mask = (1 << bits) - 1
    return ((value << count) | (value >> (bits - count))) & mask


def _murmur_mixed(word: int) -> int:
    return _rotated((word * 0xCC9E2D51) & _MASK_32, 15, 32) * 0x1B873593 & _MASK_32


def _murmur_joined(state: int, mixed: int) -> int:
    return (_rotated(state ^ mixed, 13, 32) * 5 + 0xE6546B64) & _MASK_32


def _murmur_last(state: int, length: int) -> int:
    state ^= length
    state = (state ^ (state >> 16)) * 0x85EBCA6B & _MASK_32
    state = (state ^ (state >> 13)) * 0xC2B2AE35 & _MASK_32
    return _signed(state ^ (state >> 16), 32)


def murmur3_int(value: int, seed: int) -> int:
    """Murmur3 of 32 bits as Spark uses it."""
    return _murmur_last(_murmur_joined(seed & _MASK_32, _murmur_mixed(value & _MASK_32)), 4)


def murmur3_long(value: int, seed: int) -> int:
    """Murmur3 of a number of 64 bits."""
    state = _murmur_joined(seed & _MASK_32, _murmur_mixed(value & _MASK_32))
    return _murmur_last(_murmur_joined(state, _murmur_mixed((value >> 32) & _MASK_32)), 8)


def murmur3_bytes(content: bytes, seed: int) -> int:
    """Murmur3 of bytes; those behind the last four are mixed in one by one, signed (Spark's own way)."""
    state, aligned = seed & _MASK_32, len(content) // 4 * 4
    for place in range(0, aligned, 4):
        state = _murmur_joined(state, _murmur_mixed(struct.unpack_from("<I", content, place)[0]))
    for byte in content[aligned:]:
        state = _murmur_joined(state, _murmur_mixed((byte - 256 if byte > 127 else byte) & _MASK_32))  # noqa: PLR2004  # Signed byte.
    return _murmur_last(state, len(content))


def _bits_of(value: float, *, single: bool) -> int:
    """Bits of a floating number as Java gives them, with one zero and one NaN."""
    if math.isnan(value):
        return 0x7FC00000 if single else 0x7FF8000000000000
    value = value + 0.0
    return int(struct.unpack("<i" if single else "<q", struct.pack("<f" if single else "<d", value))[0])


def murmur3_double(value: float, seed: int) -> int:
    """Murmur3 of the bits of a double."""
    return murmur3_long(_bits_of(value, single=False), seed)


def murmur3_float(value: float, seed: int) -> int:
    """Murmur3 of the bits of a float."""
    return murmur3_int(_bits_of(value, single=True), seed)


_PRIME_1 = 0x9E3779B185EBCA87
_PRIME_2 = 0xC2B2AE3D27D4EB4F
_PRIME_3 = 0x165667B19E3779F9
_PRIME_4 = 0x85EBCA77C2B2AE63
_PRIME_5 = 0x27D4EB2F165667C5


def _xx_last(state: int) -> int:
    state = (state ^ (state >> 33)) * _PRIME_2 & _MASK_64
    state = (state ^ (state >> 29)) * _PRIME_3 & _MASK_64
    return _signed(state ^ (state >> 32), 64)


def _xx_round(state: int, word: int) -> int:
    return _rotated((state + word * _PRIME_2) & _MASK_64, 31, 64) * _PRIME_1 & _MASK_64


def xxhash64_int(value: int, seed: int) -> int:
    """XxHash of a number of 32 bits."""
    state = (seed + _PRIME_5 + 4) & _MASK_64
    state ^= (value & _MASK_32) * _PRIME_1 & _MASK_64
    return _xx_last((_rotated(state, 23, 64) * _PRIME_2 + _PRIME_3) & _MASK_64)


def xxhash64_long(value: int, seed: int) -> int:
    """XxHash of a number of 64 bits."""
    state = (seed + _PRIME_5 + 8) & _MASK_64
    state ^= _xx_round(0, value & _MASK_64)
    return _xx_last((_rotated(state, 27, 64) * _PRIME_1 + _PRIME_4) & _MASK_64)


def xxhash64_bytes(content: bytes, seed: int) -> int:
    """XxHash of bytes."""
    seed &= _MASK_64
    length, place = len(content), 0
    if length >= 32:  # noqa: PLR2004  # Four lanes of eight bytes.
        lanes = [(seed + _PRIME_1 + _PRIME_2) & _MASK_64, (seed + _PRIME_2) & _MASK_64, seed, (seed - _PRIME_1) & _MASK_64]
        while place <= length - 32:
            words = struct.unpack_from("<4Q", content, place)
            lanes = [_xx_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
            place += 32
        state = sum(_rotated(lane, count, 64) for lane, count in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK_64
        for lane in lanes:
            state = ((state ^ _xx_round(0, lane)) * _PRIME_1 + _PRIME_4) & _MASK_64
    else:
        state = (seed + _PRIME_5) & _MASK_64
    state = (state + length) & _MASK_64
    while place <= length - 8:
        state ^= _xx_round(0, struct.unpack_from("<Q", content, place)[0])
        state = (_rotated(state, 27, 64) * _PRIME_1 + _PRIME_4) & _MASK_64
        place += 8
    if place <= length - 4:
        state ^= struct.unpack_from("<I", content, place)[0] * _PRIME_1 & _MASK_64
        state = (_rotated(state, 23, 64) * _PRIME_2 + _PRIME_3) & _MASK_64
        place += 4
    for byte in content[place:]:
        state = _rotated(state ^ (byte * _PRIME_5 & _MASK_64), 11, 64) * _PRIME_1 & _MASK_64
    return _xx_last(state)


def xxhash64_double(value: float, seed: int) -> int:
    """XxHash of the bits of a double."""
    return xxhash64_long(_bits_of(value, single=False), seed)


def xxhash64_float(value: float, seed: int) -> int:
    """XxHash of the bits of a float."""
    return xxhash64_int(_bits_of(value, single=True), seed)


_FUNCTIONS: tuple[_Function, ...] = (
    _Function("levenshtein", levenshtein, ("VARCHAR", "VARCHAR"), "INTEGER"),
    _Function("soundex", soundex, ("VARCHAR",), "VARCHAR"),
    _Function("luhn", luhn, ("VARCHAR",), "BOOLEAN"),
    _Function("conv", convert_base, ("VARCHAR", "INTEGER", "INTEGER"), "VARCHAR"),
    _Function("parse_url", parse_url, ("VARCHAR", "VARCHAR", "VARCHAR"), "VARCHAR", takes_null=True),
    _Function("csv_cells", csv_cells, ("VARCHAR",), "VARCHAR[]"),
    _Function("to_char", to_char, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    _Function("schema_of_variant", schema_of_variant, ("VARCHAR",), "VARCHAR"),
    _Function("sha2", sha2, ("BLOB", "INTEGER"), "VARCHAR"),
    _Function("crc32", crc32, ("BLOB",), "BIGINT"),
    _Function("murmur3_int", murmur3_int, ("INTEGER", "INTEGER"), "INTEGER"),
    _Function("murmur3_long", murmur3_long, ("BIGINT", "INTEGER"), "INTEGER"),
    _Function("murmur3_bytes", murmur3_bytes, ("BLOB", "INTEGER"), "INTEGER"),
    _Function("murmur3_double", murmur3_double, ("DOUBLE", "INTEGER"), "INTEGER"),
    _Function("murmur3_float", murmur3_float, ("FLOAT", "INTEGER"), "INTEGER"),
    _Function("xxhash64_int", xxhash64_int, ("INTEGER", "BIGINT"), "BIGINT"),
    _Function("xxhash64_long", xxhash64_long, ("BIGINT", "BIGINT"), "BIGINT"),
    _Function("xxhash64_bytes", xxhash64_bytes, ("BLOB", "BIGINT"), "BIGINT"),
    _Function("xxhash64_double", xxhash64_double, ("DOUBLE", "BIGINT"), "BIGINT"),
    _Function("xxhash64_float", xxhash64_float, ("FLOAT", "BIGINT"), "BIGINT"),
)
