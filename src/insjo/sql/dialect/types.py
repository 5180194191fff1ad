"""Data types of Databricks SQL, and their names in the engine and in Arrow.

Source: "Data types" in the Databricks SQL language reference.  TIMESTAMP is an instant (shown in the session's zone, which is UTC here),
TIMESTAMP_NTZ a wall clock.  VARIANT travels as JSON text.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

DECIMAL_PRECISION_MAX = 38
NESTING_MAX = 64


class Kind(StrEnum):
    """The kinds of types; the value is the word in Databricks SQL."""

    VOID = "void"
    BOOLEAN = "boolean"
    TINYINT = "tinyint"
    SMALLINT = "smallint"
    INT = "int"
    BIGINT = "bigint"
    FLOAT = "float"
    DOUBLE = "double"
    DECIMAL = "decimal"
    STRING = "string"
    BINARY = "binary"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMP_NTZ = "timestamp_ntz"
    INTERVAL = "interval"
    VARIANT = "variant"
    ARRAY = "array"
    MAP = "map"
    STRUCT = "struct"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a struct."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Type:
    """One data type.

    Attributes:
        kind: Which.
        precision: Of a decimal.
        scale: Of a decimal.
        unit: Of an interval: `day`, `day to second`, `year to month` ...
        element: Of an array.
        key: Of a map.
        value: Of a map.
        fields: Of a struct.
    """

    kind: Kind
    precision: int = 0
    scale: int = 0
    unit: str = ""
    element: Type | None = None
    key: Type | None = None
    value: Type | None = None
    fields: tuple[Field, ...] = ()

    @property
    def text(self) -> str:
        """As Databricks writes it, for example `array<struct<a:int>>`."""
        return _text(self)

    @property
    def engine(self) -> str:
        """As the engine writes it, for example `STRUCT("a" INTEGER)[]`."""
        return _engine(self)

    def __str__(self) -> str:
        return self.text

    @property
    def item(self) -> Type:
        """Element type of an array; VOID of anything else."""
        return self.element or VOID

    @property
    def is_integral(self) -> bool:
        """Whether it is a whole number type."""
        return self.kind in INTEGRAL

    @property
    def is_numeric(self) -> bool:
        """Whether it is a number type."""
        return self.kind in NUMERIC

    @property
    def is_datetime(self) -> bool:
        """Whether it is a date or a timestamp."""
        return self.kind in {Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_NTZ}

    @property
    def is_nested(self) -> bool:
        """Whether it has parts."""
        return self.kind in {Kind.ARRAY, Kind.MAP, Kind.STRUCT}

    @property
    def is_months(self) -> bool:
        """Whether it is an interval of years and months."""
        return self.kind is Kind.INTERVAL and self.unit.split(" ")[0] in {"year", "month"}


VOID = Type(Kind.VOID)
BOOLEAN = Type(Kind.BOOLEAN)
TINYINT = Type(Kind.TINYINT)
SMALLINT = Type(Kind.SMALLINT)
INT = Type(Kind.INT)
BIGINT = Type(Kind.BIGINT)
FLOAT = Type(Kind.FLOAT)
DOUBLE = Type(Kind.DOUBLE)
STRING = Type(Kind.STRING)
BINARY = Type(Kind.BINARY)
DATE = Type(Kind.DATE)
TIMESTAMP = Type(Kind.TIMESTAMP)
TIMESTAMP_NTZ = Type(Kind.TIMESTAMP_NTZ)
VARIANT = Type(Kind.VARIANT)

INTEGRAL = (Kind.TINYINT, Kind.SMALLINT, Kind.INT, Kind.BIGINT)
NUMERIC = (*INTEGRAL, Kind.DECIMAL, Kind.FLOAT, Kind.DOUBLE)
INTEGER_DIGITS = {Kind.TINYINT: 3, Kind.SMALLINT: 5, Kind.INT: 10, Kind.BIGINT: 20}
"""Digits that hold every value, as Databricks counts them when an integer becomes a decimal."""

_DAY_UNITS = ("day", "hour", "minute", "second")
_MONTH_UNITS = ("year", "month")


def decimal(precision: int, scale: int) -> Type:
    """Decimal type; raises InvalidArgument beyond 38 digits."""
    if not (0 <= scale <= precision <= DECIMAL_PRECISION_MAX) or precision == 0:
        raise InvalidArgument(
            f"`decimal({precision},{scale})` is no type: at most {DECIMAL_PRECISION_MAX} digits, and not more behind the point."
        )
    return Type(Kind.DECIMAL, precision=precision, scale=scale)


def array_of(element: Type) -> Type:
    """Array type."""
    return Type(Kind.ARRAY, element=element)


def map_of(key: Type, value: Type) -> Type:
    """Map type."""
    return Type(Kind.MAP, key=key, value=value)


def struct_of(*fields: tuple[str, Type]) -> Type:
    """Struct type."""
    return Type(Kind.STRUCT, fields=tuple(Field(name, each) for name, each in fields))


def interval_of(start: str, end: str = "") -> Type:
    """Interval type, for example `interval_of("day", "second")`."""
    return Type(Kind.INTERVAL, unit=f"{start} to {end}" if end and end != start else start)


def as_decimal(each: Type) -> Type:
    """Decimal type that holds every value of an integral type; a decimal itself."""
    return each if each.kind is Kind.DECIMAL else decimal(INTEGER_DIGITS[each.kind], 0)


# ------------------------------------------------------------------------------------------------ text of Databricks


def _text(each: Type) -> str:
    if each.kind is Kind.DECIMAL:
        return f"decimal({each.precision},{each.scale})"
    if each.kind is Kind.INTERVAL:
        return f"interval {each.unit}"
    if each.kind is Kind.ARRAY:
        return f"array<{each.item.text}>"
    if each.kind is Kind.MAP:
        return f"map<{(each.key or VOID).text},{(each.value or VOID).text}>"
    if each.kind is Kind.STRUCT:
        return f"struct<{','.join(f'{_field_name(field.name)}:{field.type.text}' for field in each.fields)}>"
    return each.kind.value


def is_plain_field(name: str) -> bool:
    """Whether the name of a field needs no backticks."""
    return re.fullmatch(r"(?![0-9]+$)[A-Za-z0-9_]+", name) is not None


def _field_name(name: str) -> str:
    """Name of a field, in backticks where Databricks needs them."""
    return name if is_plain_field(name) else "`" + name.replace("`", "``") + "`"


_WORDS = {
    "void": VOID,
    "null": VOID,
    "boolean": BOOLEAN,
    "bool": BOOLEAN,
    "tinyint": TINYINT,
    "byte": TINYINT,
    "smallint": SMALLINT,
    "short": SMALLINT,
    "int": INT,
    "integer": INT,
    "bigint": BIGINT,
    "long": BIGINT,
    "float": FLOAT,
    "real": FLOAT,
    "double": DOUBLE,
    "string": STRING,
    "varchar": STRING,
    "char": STRING,
    "text": STRING,
    "binary": BINARY,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "timestamp_ltz": TIMESTAMP,
    "timestamp_ntz": TIMESTAMP_NTZ,
    "variant": VARIANT,
}
_TOKENS = re.compile(r"\s*(?:([^\W\d][\w$]*|[0-9][0-9A-Za-z_]*)|`((?:[^`]|``)*)`|\"((?:[^\"]|\"\")*)\"|('(?:[^']|'')*')|([<>(),:\[\]]))")


class _Words:
    """The tokens of a type's text, read one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens: list[tuple[str, bool]] = []
        position, stripped = 0, text.rstrip()
        while position < len(stripped):
            match = _TOKENS.match(stripped, position)
            if match is None:
                raise self.error()
            quoted = match[2] if match[2] is not None else match[3]
            if quoted is not None:
                self._tokens.append((quoted.replace("``", "`").replace('""', '"'), True))
            else:
                self._tokens.append((match[1] or match[4] or match[5], False))
            position = match.end()
        self._at = 0
        self.depth = 0

    def error(self) -> InvalidArgument:
        """The text is no type."""
        return InvalidArgument(f"`{self.text}` is not a data type.", hint="For example `decimal(10,2)` or `array<struct<a:int>>`.")

    def peek(self) -> str:
        """The next token in lower case; empty at the end or for a quoted name."""
        if self._at >= len(self._tokens):
            return ""
        token, quoted = self._tokens[self._at]
        return "" if quoted else token.lower()

    @property
    def ended(self) -> bool:
        """Whether all is read."""
        return self._at >= len(self._tokens)

    def take(self, expected: str = "") -> str:
        """The next token as written; raises if there is none, or if it is another than expected."""
        if self.ended:
            raise self.error()
        token, quoted = self._tokens[self._at]
        if expected and (quoted or token.lower() != expected):
            raise self.error()
        self._at += 1
        return token

    def accept(self, word: str) -> bool:
        """Take the token if it is this word."""
        if self.peek() == word:
            self._at += 1
            return True
        return False


def _parse(text: str, read: Callable[[_Words], Type]) -> Type:
    words = _Words(text)
    found = read(words)
    if not words.ended:
        raise words.error()
    return found


@functools.lru_cache(maxsize=4096)
def parse_type(text: str) -> Type:
    """Type from its text in Databricks SQL.

    Raises:
        InvalidArgument: The text names no type, or it nests too deeply.
    """
    return _parse(text, _read_type)


def _read_type(words: _Words) -> Type:
    words.depth += 1
    if words.depth > NESTING_MAX:
        raise words.error()
    name = words.take().lower()
    if name == "array":
        words.take("<")
        element = _read_type(words)
        words.take(">")
        found = array_of(element)
    elif name == "map":
        words.take("<")
        key = _read_type(words)
        words.take(",")
        value = _read_type(words)
        words.take(">")
        found = map_of(key, value)
    elif name == "struct":
        found = _read_struct(words)
    elif name in {"decimal", "dec", "numeric"}:
        found = _read_decimal(words)
    elif name == "interval":
        start = words.take().lower()
        end = words.take().lower() if words.accept("to") else ""
        if start not in _DAY_UNITS + _MONTH_UNITS or end not in ("", *_DAY_UNITS, *_MONTH_UNITS):
            raise words.error()
        found = interval_of(start, end)
    elif name in _WORDS:
        if name in {"varchar", "char"} and words.accept("("):
            words.take()
            words.take(")")
        found = _WORDS[name]
    else:
        raise words.error()
    words.depth -= 1
    return found


def _read_decimal(words: _Words) -> Type:
    if not words.accept("("):
        return decimal(10, 0)
    precision = int(words.take()) if words.peek().isdigit() else -1
    scale = int(words.take()) if words.accept(",") and words.peek().isdigit() else 0
    words.take(")")
    return decimal(precision, scale)


def _read_struct(words: _Words) -> Type:
    fields: list[tuple[str, Type]] = []
    words.take("<")
    while words.peek() != ">":
        name = words.take()
        words.accept(":")
        fields.append((name, _read_type(words)))
        if words.accept("not"):
            words.take("null")
        if words.accept("comment"):
            words.take()
        if not words.accept(","):
            break
    words.take(">")
    return struct_of(*fields)


def parse_fields(text: str) -> Type:
    """Struct type from a DDL list such as `a INT, b STRING`, or any type from its text (what `from_json` takes)."""
    stripped = text.strip()
    if re.match(r"(?i)^(struct|array|map)\s*<", stripped) or stripped.lower() == "variant":
        return parse_type(stripped)
    return parse_type(f"struct<{stripped}>")


# ------------------------------------------------------------------------------------------------ the engine's names

_ENGINE = {
    Kind.VOID: '"NULL"',
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TINYINT: "TINYINT",
    Kind.SMALLINT: "SMALLINT",
    Kind.INT: "INTEGER",
    Kind.BIGINT: "BIGINT",
    Kind.FLOAT: "FLOAT",
    Kind.DOUBLE: "DOUBLE",
    Kind.STRING: "VARCHAR",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMPTZ",
    Kind.TIMESTAMP_NTZ: "TIMESTAMP",
    Kind.INTERVAL: "INTERVAL",
    Kind.VARIANT: "JSON",
}
_FROM_ENGINE = {
    "null": VOID,
    "boolean": BOOLEAN,
    "tinyint": TINYINT,
    "smallint": SMALLINT,
    "integer": INT,
    "bigint": BIGINT,
    "utinyint": SMALLINT,
    "usmallint": INT,
    "uinteger": BIGINT,
    "ubigint": Type(Kind.DECIMAL, precision=20),
    "hugeint": Type(Kind.DECIMAL, precision=38),
    "uhugeint": Type(Kind.DECIMAL, precision=38),
    "float": FLOAT,
    "double": DOUBLE,
    "varchar": STRING,
    "uuid": STRING,
    "time": STRING,
    "bit": STRING,
    "blob": BINARY,
    "date": DATE,
    "timestamp": TIMESTAMP_NTZ,
    "timestamp_s": TIMESTAMP_NTZ,
    "timestamp_ms": TIMESTAMP_NTZ,
    "timestamp_ns": TIMESTAMP_NTZ,
    "timestamptz": TIMESTAMP,
    "json": VARIANT,
    "variant": VARIANT,
    "interval": Type(Kind.INTERVAL, unit="day to second"),
}


def _engine(each: Type) -> str:
    if each.kind is Kind.DECIMAL:
        return f"DECIMAL({each.precision},{each.scale})"
    if each.kind is Kind.ARRAY:
        return f"{each.item.engine}[]"
    if each.kind is Kind.MAP:
        return f"MAP({(each.key or VOID).engine}, {(each.value or VOID).engine})"
    if each.kind is Kind.STRUCT:
        return f"STRUCT({', '.join(_engine_name(field.name) + ' ' + field.type.engine for field in each.fields)})"
    return _ENGINE[each.kind]


def _engine_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def from_databricks_type(text: str) -> str:
    """The engine's name of a type given in Databricks words."""
    return parse_type(text).engine


@functools.lru_cache(maxsize=4096)
def from_engine_type(text: str) -> Type:
    """Type from the engine's name of it, as DESCRIBE shows it."""
    return _parse(text, _read_engine_type)


def _read_engine_type(words: _Words) -> Type:
    name = words.take().lower()
    if name == "struct":
        words.take("(")
        fields = []
        while not words.accept(")"):
            field_name = words.take()
            fields.append((field_name, _read_engine_type(words)))
            words.accept(",")
        found = struct_of(*fields)
    elif name == "map":
        words.take("(")
        key = _read_engine_type(words)
        words.take(",")
        value = _read_engine_type(words)
        words.take(")")
        found = map_of(key, value)
    elif name == "decimal":
        found = _read_decimal(words)
    elif name == "enum":
        words.take("(")
        while not words.accept(")"):
            words.take()
        found = STRING
    elif name == "timestamp" and words.accept("with"):
        words.take("time")
        words.take("zone")
        found = TIMESTAMP
    elif name in _FROM_ENGINE:
        found = _FROM_ENGINE[name]
    else:
        raise words.error()
    while words.accept("["):
        if words.peek().isdigit():
            words.take()
        words.take("]")
        found = array_of(found)
    return found


# ------------------------------------------------------------------------------------------------ Arrow


def to_databricks_type(arrow_type: pa.DataType) -> str:
    """Text of the Databricks type for an Arrow type."""
    return from_arrow_type(arrow_type).text


def from_arrow_type(arrow_type: pa.DataType) -> Type:
    """Type for an Arrow type; unsigned integers become the next larger type, as in Databricks' readers."""
    import pyarrow as pa

    simple = _arrow_table().get(arrow_type)
    if simple is not None:
        return simple
    for belongs, convert in _arrow_families(pa.types):
        if belongs(arrow_type):
            return convert(arrow_type)
    raise InvalidArgument(f"A column of the Arrow type `{arrow_type}` cannot be read.")


def _arrow_families(checks: Any) -> tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], Type]], ...]:  # noqa: ANN401  # A module.
    """Test and conversion for the Arrow types that have parameters."""
    return (
        (checks.is_decimal, lambda each: decimal(each.precision, each.scale)),
        (checks.is_timestamp, lambda each: TIMESTAMP if each.tz else TIMESTAMP_NTZ),
        (checks.is_map, lambda each: map_of(from_arrow_type(each.key_type), from_arrow_type(each.item_type))),
        (checks.is_list, lambda each: array_of(from_arrow_type(each.value_type))),
        (checks.is_large_list, lambda each: array_of(from_arrow_type(each.value_type))),
        (checks.is_fixed_size_list, lambda each: array_of(from_arrow_type(each.value_type))),
        (checks.is_struct, lambda each: struct_of(*((field.name, from_arrow_type(field.type)) for field in each))),
        (checks.is_dictionary, lambda each: from_arrow_type(each.value_type)),
        (checks.is_fixed_size_binary, lambda _: BINARY),
        (checks.is_interval, lambda _: interval_of("day", "second")),
        (checks.is_duration, lambda _: interval_of("day", "second")),
        (checks.is_time, lambda _: STRING),
    )


@functools.cache
def _arrow_table() -> dict[pa.DataType, Type]:
    import pyarrow as pa

    return {
        pa.null(): VOID,
        pa.bool_(): BOOLEAN,
        pa.int8(): TINYINT,
        pa.int16(): SMALLINT,
        pa.int32(): INT,
        pa.int64(): BIGINT,
        pa.uint8(): SMALLINT,
        pa.uint16(): INT,
        pa.uint32(): BIGINT,
        pa.uint64(): decimal(20, 0),
        pa.float16(): FLOAT,
        pa.float32(): FLOAT,
        pa.float64(): DOUBLE,
        pa.string(): STRING,
        pa.large_string(): STRING,
        pa.string_view(): STRING,
        pa.binary(): BINARY,
        pa.large_binary(): BINARY,
        pa.binary_view(): BINARY,
        pa.date32(): DATE,
        pa.date64(): DATE,
    }


def to_arrow_type(each: Type) -> pa.DataType:
    """Arrow type in which values of a type travel."""
    import pyarrow as pa

    if each.kind is Kind.DECIMAL:
        return pa.decimal128(each.precision, each.scale)
    if each.kind is Kind.ARRAY:
        return pa.list_(to_arrow_type(each.item))
    if each.kind is Kind.MAP:
        return pa.map_(to_arrow_type(each.key or VOID), to_arrow_type(each.value or VOID))
    if each.kind is Kind.STRUCT:
        return pa.struct([pa.field(field.name, to_arrow_type(field.type)) for field in each.fields])
    simple: dict[Kind, pa.DataType] = {
        Kind.VOID: pa.null(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TINYINT: pa.int8(),
        Kind.SMALLINT: pa.int16(),
        Kind.INT: pa.int32(),
        Kind.BIGINT: pa.int64(),
        Kind.FLOAT: pa.float32(),
        Kind.DOUBLE: pa.float64(),
        Kind.STRING: pa.string(),
        Kind.BINARY: pa.binary(),
        Kind.DATE: pa.date32(),
        Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
        Kind.TIMESTAMP_NTZ: pa.timestamp("us"),
        Kind.INTERVAL: pa.month_day_nano_interval(),
        Kind.VARIANT: pa.string(),
    }
    return simple[each.kind]
