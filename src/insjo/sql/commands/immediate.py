"""EXECUTE IMMEDIATE: reads the statement that a text holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from insjo.kernel.errors import InvalidArgument
from insjo.sql.commands.execution import nothing
from insjo.sql.commands.session_state import constant_value, put_row
from insjo.sql.errors import IntoWithoutQuery, UnsupportedFeature
from insjo.sql.parsing.constants import ParameterValues
from insjo.sql.parsing.nodes import Delete, ExecuteImmediate, Insert, Merge, Query, Update
from insjo.sql.parsing.parse import parse
from insjo.sql.types import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.commands.execution import Execution, Outcome
    from insjo.sql.parsing.constants import ValueSource
    from insjo.sql.parsing.nodes import Parsed

_LABELLING = (Query, Insert, Update, Delete, Merge)
"""Statements in which a value keeps the label that it has."""


def read_inner(x: Execution, command: ExecuteImmediate) -> tuple[Parsed, Execution]:
    """The statement in the text, and how it is to run: with its own parameters, and with every check of a statement that was sent."""
    found = constant_value(x, command.text.copy())
    text = found.value
    if found.source is not None:
        message = "`EXECUTE IMMEDIATE` of a text from a table is not supported: what the text says would lose its label."
        raise UnsupportedFeature(message, hint="Give values from tables after `USING`.", details={"feature": "statement from a table"})
    if not isinstance(text, str):
        message = f"`EXECUTE IMMEDIATE` takes a text, and this is `{found.kind}`."
        raise InvalidArgument(message)
    given = [_parameter(x, command, at) for at in range(len(command.arguments))]
    parameters, sources = tuple(each for each, _ in given), [source for _, source in given]
    parsed = parse(text, parameters)
    if isinstance(parsed.command, ExecuteImmediate):
        message = "`EXECUTE IMMEDIATE` inside of `EXECUTE IMMEDIATE` is not supported."
        raise UnsupportedFeature(message, details={"feature": "nested EXECUTE IMMEDIATE"})
    if any(sources) and not isinstance(parsed.command, _LABELLING):
        message = f"`USING` with a value from a table is not supported for `{parsed.kind}`."
        raise UnsupportedFeature(message, details={"feature": f"value from a table in {parsed.kind}"})
    return parsed, replace(x, parameters=ParameterValues(parameters, sources))


def into_variables(x: Execution, names: Sequence[str], parsed: Parsed) -> Outcome:
    """Keep the only row of the inner statement in variables.

    Raises:
        IntoWithoutQuery: The inner statement gives no rows.
    """
    if not isinstance(parsed.command, Query):
        message = f"`EXECUTE IMMEDIATE ... INTO` takes a query, and this is `{parsed.kind}`."
        raise IntoWithoutQuery(message)
    put_row(x, names, x.tools.binder.bind(x.ctx, parsed.command.tree, x.names, x.parameters))
    return nothing()


def _parameter(x: Execution, command: ExecuteImmediate, at: int) -> tuple[Parameter, ValueSource | None]:
    """One value of USING, and where it comes from."""
    expression, name = command.arguments[at]
    found = constant_value(x, expression.copy())
    value = found.value
    if isinstance(value, bytes):
        message = "A value of the type `binary` in `USING` is not supported."
        raise UnsupportedFeature(message, details={"feature": "binary value in USING"})
    return Parameter(name or None, None if value is None else str(value), found.kind), found.source
