"""Values known before a statement runs: parameters, and the constant texts that `IDENTIFIER()` takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError

from insjo.kernel.errors import did_you_mean
from insjo.sql.errors import InvalidIdentifier, ParameterInvalid, UnboundParameter, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.access.types import Provenance
    from insjo.sql.types import Parameter

RESERVED = "__insjo"
"""Beginning of the names that this room makes up; nobody else may use such a name."""

POSITIONAL = RESERVED + "_p"
"""Prefix of the names that stand in for `?`."""

SOURCE_KEY = "insjo_value_source"
"""Key in the `meta` of a variable's constant under which its ValueSource stands."""

_TYPE_CHARS_MAX = 200
_ITEMS_MAX = 1000
_DEPTH_MAX = 5
_PLAIN_TYPE = re.compile(r"[\w\s(),<>:`]+")


@dataclass(frozen=True, slots=True)
class ValueSource:
    """Where a value comes from that was read from tables; `openly` unless the caller may not know of some of them."""

    provenance: Provenance
    openly: bool = True


class ParameterValues:
    """The parameters of one statement, found by name without regard to case."""

    def __init__(self, parameters: Sequence[Parameter], sources: Sequence[ValueSource | None] = ()) -> None:
        """Check names and types; raises ParameterInvalid.  `sources` tells of each value where it comes from, if it comes from a table."""
        self._by_name: dict[str, Parameter] = {}
        self._sources: dict[str, ValueSource] = {}
        unnamed = 0
        for at, each in enumerate(parameters):
            unnamed += each.name is None
            name = f"{POSITIONAL}{unnamed}" if each.name is None else each.name.lower()
            if name in self._by_name:
                message = f"The parameter `{each.name}` is given twice."
                raise ParameterInvalid(message)
            self._by_name[name] = each
            source = sources[at] if at < len(sources) else None
            if source is not None:
                self._sources[name] = source

    def __len__(self) -> int:
        """Number of parameters."""
        return len(self._by_name)

    def find(self, name: str) -> Parameter:
        """The parameter; raises UnboundParameter."""
        found = self._by_name.get(name.lower())
        if found is not None:
            return found
        if name.startswith(POSITIONAL):
            message = f"The statement has more `?` than there are parameters without a name ({len(self._by_name)})."
            raise UnboundParameter(message)
        message = f"The statement uses the parameter `:{name}`, and no value is given for it."
        raise UnboundParameter(message, hint=did_you_mean(name, self._by_name))

    def text_of(self, name: str) -> str:
        """Value of a parameter that has to be a text."""
        value = self.find(name).value
        if self.source(name) is not None:
            message = f"The parameter `:{name}` comes from a table, and cannot be a name or a text of a statement."
            raise UnsupportedFeature(message, details={"feature": "names from a table"})
        if not isinstance(value, str):
            message = f"The parameter `:{name}` must be a text here."
            raise ParameterInvalid(message)
        return value

    def source(self, name: str) -> ValueSource | None:
        """Where the value of a parameter comes from, if it comes from a table."""
        return self._sources.get(name.lower())

    def expression(self, name: str) -> exp.Expr:
        """Value of a parameter as a typed constant."""
        return constant_expression(self.find(name))


def constant_expression(parameter: Parameter) -> exp.Expr:
    """A parameter as a constant of its type; raises ParameterInvalid for an unknown type."""
    value, type_text = parameter.value, parameter.type_text.strip().lower()
    if parameter.items is not None:
        return _collection(type_text, parameter.items)
    if not type_text:
        return _untyped(value)
    if type_text == "void":
        return exp.Null()
    if type_text == "string" and isinstance(value, str):
        return exp.Literal.string(value)
    kind = parse_type(type_text)
    if value is None:
        return exp.Cast(this=exp.Null(), to=kind)
    if type_text in {"int", "integer"} and re.fullmatch(r"-?\d{1,9}", str(value).strip()):
        return _number(int(value))
    if isinstance(value, bool):
        value = str(value).lower()
    return exp.Cast(this=exp.Literal.string(str(value)), to=kind)


def _collection(type_text: str, items: Sequence[Parameter], depth: int = 1) -> exp.Expr:
    """An array or a map as the call that makes it; raises ParameterInvalid."""
    if type_text not in {"array", "map"} or (type_text == "map" and len(items) % 2):
        message = f"`{type_text[:_TYPE_CHARS_MAX]}` is not a type of a parameter with several values."
        raise ParameterInvalid(message, hint="Use ARRAY, or MAP with keys and values in turn.")
    if depth > _DEPTH_MAX or len(items) > _ITEMS_MAX:
        message = f"A parameter has at most {_ITEMS_MAX} values, and {_DEPTH_MAX} arrays or maps inside each other."
        raise ParameterInvalid(message)
    made = [
        constant_expression(each) if each.items is None else _collection(each.type_text.strip().lower(), each.items, depth + 1)
        for each in items
    ]
    return exp.Anonymous(this=type_text, expressions=made)


def _untyped(value: str | float | bool | None) -> exp.Expr:  # A value, not a switch.
    """A value in the type that it has."""
    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float):
        return _number(value)
    return exp.Literal.string(value)


def parse_type(type_text: str) -> exp.DataType:
    """A type by its Databricks name; raises ParameterInvalid."""
    if len(type_text) <= _TYPE_CHARS_MAX and _PLAIN_TYPE.fullmatch(type_text):
        try:
            return exp.DataType.build(type_text, dialect="databricks")
        except (SqlglotError, ValueError):
            pass
    message = f"`{type_text[:_TYPE_CHARS_MAX]}` is not a type of a parameter."
    raise ParameterInvalid(message, hint="Use a type such as STRING, INT, DECIMAL(10,2), DATE or TIMESTAMP.")


def _number(value: float) -> exp.Expr:
    literal: exp.Expr = exp.Literal.number(abs(value))
    return exp.Neg(this=literal) if value < 0 else literal


def constant_text(tree: exp.Expr, parameters: ParameterValues, place: str) -> str:
    """Text of a constant expression: a text, a parameter, or several joined by `||` or `concat`.

    Raises:
        InvalidIdentifier: It is anything else.
    """
    if isinstance(tree, exp.Paren):
        return constant_text(tree.this, parameters, place)
    if isinstance(tree, exp.Literal) and tree.is_string:
        return str(tree.this)
    if isinstance(tree, exp.RawString):
        return str(tree.this)
    if isinstance(tree, exp.Placeholder) and tree.name:
        return parameters.text_of(tree.name)
    if isinstance(tree, exp.DPipe):
        return constant_text(tree.this, parameters, place) + constant_text(tree.expression, parameters, place)
    if isinstance(tree, exp.Concat):
        return "".join(constant_text(each, parameters, place) for each in tree.expressions)
    message = f"`{place}` takes a constant text: a text in quotes, a parameter, or several joined by `||`."
    raise InvalidIdentifier(message)
