"""Types of columns: reading and writing the words of Databricks SQL (`decimal(10,2)`, `map<string,array<int>>`).

Source of the grammar: Databricks SQL language reference, "SQL data type rules"; only types that a Delta table can store are known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from insjo.catalog.errors import InvalidColumn
from insjo.kernel.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insjo.catalog.types import Column

_ALIASES = {
    "tinyint": "tinyint",
    "byte": "tinyint",
    "smallint": "smallint",
    "short": "smallint",
    "int": "int",
    "integer": "int",
    "bigint": "bigint",
    "long": "bigint",
    "float": "float",
    "real": "float",
    "double": "double",
    "string": "string",
    "boolean": "boolean",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ltz": "timestamp",
    "timestamp_ntz": "timestamp_ntz",
}
_DECIMALS = {"decimal", "dec", "numeric"}
_TEXTS_WITH_LENGTH = {"varchar", "char", "character"}
_PRECISION_MAX = 38
_PRECISION_DEFAULT = 10
_DEPTH_MAX = 64
_COLUMN_COUNT_MAX = 4096
_FORBIDDEN = frozenset(" ,;{}()\n\t=")
"""Characters that a column of a Delta table may not hold without column mapping (Delta protocol, "Parquet column names")."""

_TOKEN = re.compile(r"\s*(?:(?P<quoted>`(?:[^`]|``)*`)|(?P<text>'(?:[^'\\]|\\.)*')|(?P<word>[^\s<>(),:`']+)|(?P<mark>[<>(),:]))")
_BARE_NAME = re.compile(r"\w+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Primitive:
    """A type without parts, by its Databricks name."""

    name: str

    def text(self) -> str:
        """The type in SQL words."""
        return self.name


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number with a fixed count of digits, `scale` of them behind the point."""

    precision: int
    scale: int

    def text(self) -> str:
        """The type in SQL words."""
        return f"decimal({self.precision},{self.scale})"


@dataclass(frozen=True, slots=True)
class Array:
    """A list of values of one type."""

    element: DataType

    def text(self) -> str:
        """The type in SQL words."""
        return f"array<{self.element.text()}>"


@dataclass(frozen=True, slots=True)
class Map:
    """Values by key."""

    key: DataType
    value: DataType

    def text(self) -> str:
        """The type in SQL words."""
        return f"map<{self.key.text()},{self.value.text()}>"


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a struct."""

    name: str
    type: DataType
    nullable: bool = True
    comment: str = ""

    def text(self) -> str:
        """The part in SQL words."""
        name = self.name if _BARE_NAME.fullmatch(self.name) else "`" + self.name.replace("`", "``") + "`"
        return f"{name}:{self.type.text()}" + ("" if self.nullable else " not null")


@dataclass(frozen=True, slots=True)
class Struct:
    """Named parts."""

    fields: tuple[Field, ...]

    def text(self) -> str:
        """The type in SQL words."""
        return "struct<" + ",".join(field.text() for field in self.fields) + ">"


DataType = Primitive | Decimal | Array | Map | Struct


def parse_type(text: str) -> DataType:
    """Read a type; raises InvalidColumn, naming the word that is wrong."""
    reader = _Reader(text)
    parsed = reader.read_type(0)
    if not reader.at_end():
        message = f"`{text}` is not a column type: nothing may follow `{parsed.text()}`."
        raise InvalidColumn(message)
    return parsed


def checked_columns(columns: Iterable[Column], *, stored: bool = True) -> tuple[Column, ...]:
    """The columns with types in their canonical words and positions counted from 0.

    Args:
        columns: As they were asked for.
        stored: They go into a Delta table; the columns of a view may carry any name.

    Raises:
        InvalidColumn: For a name or a type that cannot be stored, a name that appears twice, too many columns or none.
    """
    checked: list[Column] = []
    seen: set[str] = set()
    for column in columns:
        name = column.name
        if not name or any(ord(each) < ord(" ") for each in name):
            message = f"`{name}` is not a name for a column."
            raise InvalidColumn(message)
        if stored and (bad := sorted(_FORBIDDEN & set(name))):
            message = f"The column name `{name}` holds `{bad[0]}`, which a Delta table cannot store."
            raise InvalidColumn(message, hint="Give the column another name, in a query with `AS`.")
        if name.casefold() in seen and stored:
            message = f"The column `{name}` appears twice; upper and lower case make no difference."
            raise InvalidColumn(message)
        seen.add(name.casefold())
        type_text = parse_type(column.type_text).text() if stored else column.type_text
        checked.append(replace(column, type_text=type_text, position=len(checked)))
    if not checked or len(checked) > _COLUMN_COUNT_MAX:
        message = f"A table has between 1 and {_COLUMN_COUNT_MAX} columns, and this one has {len(checked)}."
        raise InvalidColumn(message)
    return tuple(checked)


def checked_partitioning(columns: Sequence[Column], names: Iterable[str]) -> tuple[str, ...]:
    """Partition columns as the table spells them; raises InvalidColumn when one cannot partition."""
    by_folded = {column.name.casefold(): column for column in columns}
    partitions: list[str] = []
    for name in names:
        column = by_folded.get(name.casefold())
        if column is None:
            message = f"The partition column `{name}` is not a column of the table."
            raise InvalidColumn(message, hint=did_you_mean(name, (each.name for each in columns)))
        if not isinstance(parse_type(column.type_text), Primitive | Decimal):
            message = f"The column `{column.name}` is of type `{column.type_text}` and cannot partition a table."
            raise InvalidColumn(message)
        if column.name in partitions:
            message = f"The partition column `{column.name}` is named twice."
            raise InvalidColumn(message)
        partitions.append(column.name)
    if partitions and len(partitions) == len(columns):
        message = "A table needs at least one column that does not partition it."
        raise InvalidColumn(message)
    return tuple(partitions)


class _Reader:
    """Reads the words of one type from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0

    def at_end(self) -> bool:
        """Whether all words are read."""
        return self._next >= len(self._tokens)

    def read_type(self, depth: int) -> DataType:
        """One type from here on."""
        if depth > _DEPTH_MAX:
            message = f"A column type is nested deeper than {_DEPTH_MAX} levels."
            raise InvalidColumn(message)
        word = self._take().lower()
        if word in _ALIASES:
            return Primitive(_ALIASES[word])
        if word in _DECIMALS:
            return self._read_decimal()
        if word == "array":
            self._expect("<")
            element = self.read_type(depth + 1)
            self._expect(">")
            return Array(element)
        if word == "map":
            self._expect("<")
            key = self.read_type(depth + 1)
            self._expect(",")
            value = self.read_type(depth + 1)
            self._expect(">")
            return Map(key, value)
        if word == "struct":
            return self._read_struct(depth)
        raise self._unknown(word)

    def _read_decimal(self) -> Decimal:
        precision, scale = _PRECISION_DEFAULT, 0
        if self._peek() == "(":
            self._take()
            precision = self._read_number()
            if self._peek() == ",":
                self._take()
                scale = self._read_number()
            self._expect(")")
        if not (1 <= precision <= _PRECISION_MAX and 0 <= scale <= precision):
            message = f"`decimal({precision},{scale})` is out of range: at most {_PRECISION_MAX} digits, not more of them behind the point."
            raise InvalidColumn(message)
        return Decimal(precision, scale)

    def _read_struct(self, depth: int) -> Struct:
        self._expect("<")
        fields: list[Field] = []
        while self._peek() != ">":
            if fields:
                self._expect(",")
            name = self._take()
            if self._peek() == ":":
                self._take()
            fields.append(self._read_field(name, depth))
        self._expect(">")
        names = {field.name.casefold() for field in fields}
        if len(names) != len(fields) or not fields:
            message = f"The parts of `{self._text}` need names, each another one."
            raise InvalidColumn(message)
        return Struct(tuple(fields))

    def _read_field(self, name: str, depth: int) -> Field:
        quoted = name.startswith("`")
        if quoted:
            name = name[1:-1].replace("``", "`")
        if not name or (not quoted and (name in "<>(),:" or name.startswith("'"))):
            raise self._unknown(name)
        kind = self.read_type(depth + 1)
        nullable, comment = True, ""
        while (word := (self._peek() or "").lower()) in {"not", "comment"}:
            self._take()
            if word == "not":
                if self._take().lower() != "null":
                    raise self._unknown("not")
                nullable = False
            else:
                comment = self._take().strip("'").replace("\\'", "'")
        return Field(name, kind, nullable, comment)

    def _read_number(self) -> int:
        word = self._take()
        if not word.isascii() or not word.isdigit() or len(word) > 3:  # noqa: PLR2004  # More digits are out of range anyway.
            raise self._unknown(word)
        return int(word)

    def _peek(self) -> str | None:
        return None if self.at_end() else self._tokens[self._next]

    def _take(self) -> str:
        if self.at_end():
            message = f"`{self._text}` is not a column type: it ends too early."
            raise InvalidColumn(message)
        self._next += 1
        return self._tokens[self._next - 1]

    def _expect(self, mark: str) -> None:
        found = self._take()
        if found != mark:
            message = f"`{self._text}` is not a column type: `{mark}` must stand where `{found}` stands."
            raise InvalidColumn(message)

    def _unknown(self, word: str) -> InvalidColumn:
        if word in _TEXTS_WITH_LENGTH:
            message = f"The type `{word}` with a length is not stored: Insjö would not keep the length."
            return InvalidColumn(message, hint="Use `string`.")
        known = [*_ALIASES, "decimal", "array", "map", "struct"]
        message = f"`{word}` is not a column type that a table can store."
        return InvalidColumn(message, hint=did_you_mean(word, known))

    @staticmethod
    def _split(text: str) -> list[str]:
        tokens: list[str] = []
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            match = _TOKEN.match(stripped, at)
            if match is None:
                message = f"`{text}` is not a column type."
                raise InvalidColumn(message)
            tokens.append(match.group().strip())
            at = match.end()
        return tokens
