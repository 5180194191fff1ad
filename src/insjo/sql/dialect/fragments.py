"""Pieces of the engine's SQL, each with its Databricks type."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from insjo.sql.dialect.types import BOOLEAN, INT, STRING, VOID, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

AGGREGATE = "aggregate"
WINDOW = "window"
VOLATILE = "volatile"
GENERATOR = "generator"
SUBQUERY = "subquery"
OUTER = "outer"
"""Flags of fragments: what is somewhere inside.  OUTER means a column of an enclosing query."""

_NOT_IN_TRY = frozenset({AGGREGATE, WINDOW, VOLATILE, SUBQUERY})

_NO_FLAGS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands literally in the statement; None is NULL."""

    value: str | int | float | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Fragment:
    """One expression.

    Attributes:
        sql: Text in the engine's SQL that can stand anywhere an operand can.
        type: Its Databricks type.
        exact: Whether the engine gives it that very type; else it is cast where the type is seen.
        near: Whether it differs from its type in the precision of a decimal only, which does not matter to arithmetic.
        constant: Its value when it stands literally in the statement.
        flags: What is somewhere inside.
    """

    sql: str
    type: Type
    exact: bool = True
    near: bool = False
    constant: Constant | None = None
    flags: frozenset[str] = field(default=_NO_FLAGS)

    @property
    def is_null(self) -> bool:
        """Whether it is the literal NULL."""
        return self.type.kind is Kind.VOID

    @property
    def text(self) -> str | None:
        """Value of a constant text."""
        return self.constant.value if self.constant is not None and isinstance(self.constant.value, str) else None

    @property
    def whole(self) -> int | None:
        """Value of a constant whole number."""
        if self.constant is None or isinstance(self.constant.value, bool):
            return None
        return self.constant.value if isinstance(self.constant.value, int) else None

    def seen(self) -> Fragment:
        """The same with its exact type, for places where the type is seen."""
        if self.exact:
            return self
        return replace(self, sql=f"CAST({self.sql} AS {self.type.engine})", exact=True)

    def as_operand(self) -> Fragment:
        """The same for arithmetic, which looks at the digits behind the point only: a cast of every row is saved."""
        return self if self.near else self.seen()

    def as_type(self, new_type: Type, *, exact: bool = True) -> Fragment:
        """The same text said to be of another type."""
        return replace(self, type=new_type, exact=exact)


def made(sql: str, of_type: Type, *parts: Fragment, exact: bool = True, flags: Iterable[str] = ()) -> Fragment:
    """Fragment that is made of others and inherits what is in them."""
    joined = _NO_FLAGS.union(flags, *(part.flags for part in parts))
    return Fragment(sql, of_type, exact=exact, flags=joined)


def fill(template: str, of_type: Type, *parts: Fragment, exact: bool = True, flags: Iterable[str] = ()) -> Fragment:
    """Fragment from a template in which `{0}` stands for the first part; the template itself holds nothing of the caller's."""
    return made(template.format(*(part.sql for part in parts)), of_type, *parts, exact=exact, flags=flags)


def attempt(parts: Sequence[Fragment], build: Callable[[list[Fragment]], Fragment]) -> Fragment:
    """NULL in place of an error of what `build` makes of the parts.

    The engine's TRY takes no aggregates, windows or subqueries inside; their values go through a list of one element.
    """
    if not any(part.flags & _NOT_IN_TRY for part in parts):
        body = build(list(parts)).seen()
        return made(f"TRY({body.sql})", body.type, body)
    body = build([Fragment(f"t_.p{index}", part.type) for index, part in enumerate(parts)]).seen()
    packed = ", ".join(f"p{index} := {part.seen().sql}" for index, part in enumerate(parts))
    return made(f"list_extract(list_transform([struct_pack({packed})], lambda t_: TRY({body.sql})), 1)", body.type, *parts)


def name_of(identifier: str) -> str:
    """Identifier in the engine's quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def text_of(value: str) -> str:
    """Text in the engine's quotes."""
    if "\0" in value:
        return "(" + " || chr(0) || ".join(text_of(part) for part in value.split("\0")) + ")"
    return "'" + value.replace("'", "''") + "'"


def string(value: str) -> Fragment:
    """Constant text."""
    return Fragment(text_of(value), STRING, constant=Constant(value))


def integer(value: int, of_type: Type = INT) -> Fragment:
    """Constant whole number."""
    if of_type is INT:
        return Fragment(str(value) if value >= 0 else f"({value})", INT, constant=Constant(value))
    return Fragment(f"CAST({value} AS {of_type.engine})", of_type, constant=Constant(value))


def boolean(*, value: bool) -> Fragment:
    """TRUE or FALSE."""
    return Fragment("TRUE" if value else "FALSE", BOOLEAN, constant=Constant(value))


def null(of_type: Type = VOID) -> Fragment:
    """NULL, with a type if one is known."""
    if of_type.kind is Kind.VOID:
        return Fragment("NULL", VOID, exact=False, constant=Constant(None))
    return Fragment(f"CAST(NULL AS {of_type.engine})", of_type, constant=Constant(None))


def fail(code: str, message: str, of_type: Type, *, tail: str = "") -> str:
    """Expression of a type that raises an error when it is evaluated, and only then.

    The engine's `error()` is volatile, which forbids it inside TRY and stops optimizations; a cast that cannot succeed is neither.

    Args:
        code: As in `insjo.sql.errors`.
        message: What is wrong.
        of_type: Type that the place asks for.
        tail: SQL of a text to be added to the message.
    """
    text = text_of(f"[{code}] {message}") + (f" || coalesce({tail}, 'NULL')" if tail else "")
    raised = f"CAST(CAST({text} AS BIGINT) AS VARCHAR)"
    return raised if of_type.kind is Kind.STRING else f"CAST({raised} AS {of_type.engine})"


def select(columns: str, origin: str, rest: str = "") -> str:
    """A SELECT of the engine; the texts are fragments and made-up names, never the caller's own words."""
    return f"SELECT {columns} FROM {origin}{rest}"  # noqa: S608  # See the docstring; workers run nothing but one SELECT besides.


def is_plain_name(name: str) -> bool:
    """Whether a name needs no backticks."""
    return re.fullmatch(r"[A-Za-z_]\w*", name) is not None
