"""EXECUTE IMMEDIATE: reads the statement that a text holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from insjo.kernel.errors import InvalidArgument
from insjo.sql.commands.session_state import constant_value
from insjo.sql.errors import UnsupportedFeature
from insjo.sql.parsing.constants import ParameterValues
from insjo.sql.parsing.nodes import ExecuteImmediate
from insjo.sql.parsing.parse import parse
from insjo.sql.types import Parameter

if TYPE_CHECKING:
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Parsed


def read_inner(x: Execution, command: ExecuteImmediate) -> tuple[Parsed, Execution]:
    """The statement in the text, and how it is to run: with its own parameters, and with every check of a statement that was sent."""
    text, kind = constant_value(x, command.text.copy())
    if not isinstance(text, str):
        message = f"`EXECUTE IMMEDIATE` takes a text, and this is `{kind}`."
        raise InvalidArgument(message)
    given = tuple(_parameter(x, command, at) for at in range(len(command.arguments)))
    parsed = parse(text, given)
    if isinstance(parsed.command, ExecuteImmediate):
        message = "`EXECUTE IMMEDIATE` inside of `EXECUTE IMMEDIATE` is not supported."
        raise UnsupportedFeature(message, details={"feature": "nested EXECUTE IMMEDIATE"})
    return parsed, replace(x, parameters=ParameterValues(given))


def _parameter(x: Execution, command: ExecuteImmediate, at: int) -> Parameter:
    """One value of USING."""
    expression, name = command.arguments[at]
    value, kind = constant_value(x, expression.copy())
    if isinstance(value, bytes):
        message = "A value of the type `binary` in `USING` is not supported."
        raise UnsupportedFeature(message, details={"feature": "binary value in USING"})
    return Parameter(name or None, None if value is None else str(value), kind)
