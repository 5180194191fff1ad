"""Thrift's binary protocol: messages as dataclasses, read within limits and written without copies of what is large.

Source of the format: Apache Thrift, "Thrift Binary protocol encoding" (thrift-binary-protocol.md).  Written here because what comes in
is not trusted: every length is checked against what was sent before anything is made of it, and nothing recurses without a bound.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEPTH_MAX = 32
"""Structs and containers inside each other."""

VALUES_MAX = 200_000
"""Values of one message, those that are passed over included: more than any driver sends, and read within a moment."""

VERSION_1 = 0x80010000
VERSION_MASK = 0xFFFF0000


class MalformedMessage(InvalidArgument):
    """The bytes are no message of Thrift's binary protocol."""

    code = "MALFORMED_REQUEST"


class Kind(IntEnum):
    """Types on the wire."""

    STOP = 0
    BOOL = 2
    BYTE = 3
    DOUBLE = 4
    I16 = 6
    I32 = 8
    I64 = 10
    STRING = 11
    STRUCT = 12
    MAP = 13
    SET = 14
    LIST = 15


class MessageKind(IntEnum):
    """What a message is."""

    CALL = 1
    REPLY = 2
    EXCEPTION = 3
    ONEWAY = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """Type of a field.

    Attributes:
        kind: The type on the wire.
        text: A string holds text, not bytes.
        item: Of a list, or the value of a map.
        key: Of a map.
        message: Class of a struct.
    """

    kind: Kind
    text: bool = False
    item: Shape | None = None
    key: Shape | None = None
    message: str = ""


BOOL = Shape(Kind.BOOL)
BYTE = Shape(Kind.BYTE)
DOUBLE = Shape(Kind.DOUBLE)
I16 = Shape(Kind.I16)
I32 = Shape(Kind.I32)
I64 = Shape(Kind.I64)
TEXT = Shape(Kind.STRING, text=True)
BINARY = Shape(Kind.STRING)

FIXED: Mapping[Kind, struct.Struct] = {
    Kind.BOOL: struct.Struct("!?"),
    Kind.BYTE: struct.Struct("!b"),
    Kind.DOUBLE: struct.Struct("!d"),
    Kind.I16: struct.Struct("!h"),
    Kind.I32: struct.Struct("!i"),
    Kind.I64: struct.Struct("!q"),
}
FIELD = struct.Struct("!bh")
LIST = struct.Struct("!bi")
MAP = struct.Struct("!bbi")
LENGTH = struct.Struct("!i")


def list_of(item: Shape) -> Shape:
    """A list."""
    return Shape(Kind.LIST, item=item)


def map_of(key: Shape, value: Shape) -> Shape:
    """A map."""
    return Shape(Kind.MAP, key=key, item=value)


def struct_of(name: str) -> Shape:
    """A message by the name of its class, which stands in the same module as the class that has the field."""
    return Shape(Kind.STRUCT, message=name)


@dataclass(frozen=True, slots=True)
class Wire:
    """Number and type of a field of a message; stands in its annotation.  A field that is not there is None."""

    number: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class WireField:
    """A field of a message class."""

    number: int
    name: str
    shape: Shape


@cache
def wire_fields(message: type) -> tuple[WireField, ...]:
    """Fields of a message class by number."""
    found = []
    for name, hint in get_type_hints(message, include_extras=True).items():
        place: Wire = hint.__metadata__[0]
        found.append(WireField(place.number, name, place.shape))
    return tuple(sorted(found, key=lambda each: each.number))


@cache
def _by_number(message: type) -> dict[int, WireField]:
    """The same by number."""
    return {each.number: each for each in wire_fields(message)}


@cache
def _class_of(owner: type, name: str) -> type:
    """The class of a field that is a struct."""
    found: type = vars(sys.modules[owner.__module__])[name]
    return found


M = TypeVar("M")


class Reader:
    """Reads one message."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0
        self._values = 0

    def header(self) -> tuple[str, MessageKind, int]:
        """Name of the method, kind of message and its number in the sequence.

        Raises:
            MalformedMessage: Anything else than a message of version 1.
        """
        version: int = self._fixed(Kind.I32) & 0xFFFFFFFF
        if version & VERSION_MASK != VERSION_1:
            raise MalformedMessage("The body is not a message of Thrift's binary protocol.")
        try:
            kind = MessageKind(version & 0xFF)
        except ValueError as error:
            raise MalformedMessage("The message has a kind that Thrift does not know.") from error
        name: str = self._string(text=True)
        number: int = self._fixed(Kind.I32)
        return name, kind, number

    def message(self, wanted: type[M], depth: int = 0) -> M:
        """A struct; fields that are not known or have another type than they should are passed over."""
        self._bounded(depth)
        known = _by_number(wanted)  # type: ignore[arg-type]  # A class can be hashed, whatever its instances can.
        values: dict[str, Any] = {}
        while True:
            kind = self._kind()
            if kind is Kind.STOP:
                return wanted(**values)
            field = known.get(self._fixed(Kind.I16))
            if field is None or field.shape.kind is not kind:
                self._skip(kind, depth + 1)
            else:
                values[field.name] = self._value(field.shape, wanted, depth + 1)

    def only_field(self, wanted: type[M], number: int = 1) -> M | None:
        """The struct in one field of a struct: how the argument of a method travels (1), and its answer (0)."""
        found: M | None = None
        while (kind := self._kind()) is not Kind.STOP:
            if self._fixed(Kind.I16) == number and kind is Kind.STRUCT:
                found = self.message(wanted, 1)
            else:
                self._skip(kind, 1)
        return found

    def _value(self, shape: Shape, owner: type, depth: int) -> Any:  # noqa: ANN401  # Whatever the shape says.
        """A value of a known shape."""
        self._bounded(depth)
        if shape.kind is Kind.STRING:
            return self._string(text=shape.text)
        if shape.kind is Kind.STRUCT:
            return self.message(_class_of(owner, shape.message), depth)
        if shape.kind is Kind.LIST and shape.item is not None:
            return self._list(shape.item, owner, depth)
        if shape.kind is Kind.MAP and shape.item is not None and shape.key is not None:
            return self._map(shape.key, shape.item, owner, depth)
        return self._fixed(shape.kind)

    def _list(self, item: Shape, owner: type, depth: int) -> list[Any]:
        kind, count = self._kind(), self._count()
        if kind is not item.kind:
            if count:
                raise MalformedMessage("A list holds another type than it should.")
            return []
        return [self._value(item, owner, depth + 1) for _ in range(count)]

    def _map(self, key: Shape, item: Shape, owner: type, depth: int) -> dict[Any, Any]:
        kinds, count = (self._kind(), self._kind()), self._count()
        if kinds != (key.kind, item.kind):
            if count:
                raise MalformedMessage("A map holds other types than it should.")
            return {}
        return {self._value(key, owner, depth + 1): self._value(item, owner, depth + 1) for _ in range(count)}

    def _skip(self, kind: Kind, depth: int) -> None:
        """Pass over a value."""
        self._bounded(depth)
        if kind in FIXED:
            self._take(FIXED[kind].size)
        elif kind is Kind.STRING:
            self._take(self._count())
        elif kind is Kind.STRUCT:
            while (inner := self._kind()) is not Kind.STOP:
                self._take(FIXED[Kind.I16].size)
                self._skip(inner, depth + 1)
        elif kind is Kind.MAP:
            keys, values, count = self._kind(), self._kind(), self._count()
            for _ in range(count):
                self._skip(keys, depth + 1)
                self._skip(values, depth + 1)
        elif kind in {Kind.LIST, Kind.SET}:
            item, count = self._kind(), self._count()
            for _ in range(count):
                self._skip(item, depth + 1)
        else:
            raise MalformedMessage("The message has a type that Thrift does not know.")

    def _bounded(self, depth: int) -> None:
        """Refuse what is nested too deeply, and what has more values than a message needs."""
        self._values += 1
        if depth > DEPTH_MAX:
            raise MalformedMessage("The message is nested too deeply.")
        if self._values > VALUES_MAX:
            raise MalformedMessage("The message has too many values.")

    def _kind(self) -> Kind:
        byte = self._take(1)[0]
        try:
            return Kind(byte)
        except ValueError as error:
            raise MalformedMessage("The message has a type that Thrift does not know.") from error

    def _count(self) -> int:
        """A length or a count.  An item takes at least one byte, so no count is above what is left."""
        count: int = self._fixed(Kind.I32)
        if not 0 <= count <= len(self._content) - self._at:
            raise MalformedMessage("The message announces more than it holds.")
        return count

    def _string(self, *, text: bool) -> Any:  # noqa: ANN401  # Text or bytes, as the field says.
        content = bytes(self._take(self._count()))
        if not text:
            return content
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise MalformedMessage("A text is not valid UTF-8.") from error

    def _fixed(self, kind: Kind) -> Any:  # noqa: ANN401  # The number that the kind says.
        layout = FIXED[kind]
        return layout.unpack(self._take(layout.size))[0]

    def _take(self, size: int) -> memoryview:
        end = self._at + size
        if end > len(self._content):
            raise MalformedMessage("The message ends too early.")
        part = self._content[self._at : end]
        self._at = end
        return part


class Writer:
    """Writes one message as parts, so that large values are not copied until they are sent."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._add: Callable[[bytes], None] = self._parts.append

    def content(self) -> bytes:
        """What was written."""
        return b"".join(self._parts)

    def header(self, name: str, kind: MessageKind, number: int) -> None:
        """Begin a message."""
        self._add(struct.pack("!I", VERSION_1 | kind))
        self._string(name)
        self._add(LENGTH.pack(number))

    def field(self, number: int, kind: Kind) -> None:
        """Begin a field."""
        self._add(FIELD.pack(kind, number))

    def stop(self) -> None:
        """End a struct."""
        self._add(b"\0")

    def message(self, value: object) -> None:
        """A struct; fields that are None are left out."""
        for each in wire_fields(type(value)):  # type: ignore[arg-type]  # A class can be hashed, whatever its instances can.
            found = getattr(value, each.name)
            if found is not None:
                self.field(each.number, each.shape.kind)
                self.value(found, each.shape)
        self.stop()

    def value(self, value: Any, shape: Shape) -> None:  # noqa: ANN401  # Whatever the shape says.
        """A value without its header."""
        if shape.kind is Kind.STRING:
            self._string(value)
        elif shape.kind is Kind.STRUCT:
            self.message(value)
        elif shape.kind is Kind.LIST and shape.item is not None:
            self._add(LIST.pack(shape.item.kind, len(value)))
            for item in value:
                self.value(item, shape.item)
        elif shape.kind is Kind.MAP and shape.item is not None and shape.key is not None:
            self._add(MAP.pack(shape.key.kind, shape.item.kind, len(value)))
            for key, item in value.items():
                self.value(key, shape.key)
                self.value(item, shape.item)
        else:
            self._add(FIXED[shape.kind].pack(value))

    def _string(self, value: str | bytes) -> None:
        content = value.encode() if isinstance(value, str) else value
        self._add(LENGTH.pack(len(content)))
        self._add(content)
