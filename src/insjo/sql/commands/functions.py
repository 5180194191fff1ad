"""CREATE FUNCTION in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.types import Column
from insjo.kernel.errors import InvalidArgument
from insjo.sql.binding.functions import FunctionParameter, SqlFunction, is_query, parsed_body
from insjo.sql.binding.references import references
from insjo.sql.commands.execution import Outcome, nothing
from insjo.sql.commands.writing import cast
from insjo.sql.dialect.types import parse_type
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import CreateFunction


def create_function(x: Execution, command: CreateFunction) -> Outcome:
    """Keep a function; its body is bound now with NULL for each parameter, so that one that cannot run is never made."""
    if command.temporary:
        message = "`CREATE TEMPORARY FUNCTION` is not supported."
        raise UnsupportedFeature(message, hint="Make it in a schema.", details={"feature": "CREATE TEMPORARY FUNCTION"})
    name = x.names.table(command.name)
    parameters = tuple(FunctionParameter(each.name, parse_type(each.type_text).text, each.default) for each in command.parameters)
    body = parsed_body(command.body)
    if body.find(exp.Placeholder):
        message = "The body of a function may not hold parameter markers: it outlives the values of this statement."
        raise UnsupportedFeature(message, hint="Give the function a parameter.", details={"feature": "parameter markers in a function"})
    is_table = command.returns_columns is not None
    if is_table and not is_query(body):
        message = "A function that returns a table has a query behind `RETURN`."
        raise InvalidArgument(message)
    _refuse_shadowing(x, body, parameters)
    found = _bound_columns(x, body, parameters, is_table=is_table)
    columns = _columns(command, found) if is_table else ()
    returns = "" if is_table else (parse_type(command.returns).text if command.returns else found[0][1])
    made = SqlFunction("", name, parameters, returns, columns, command.body, x.ctx.principal, command.comment)
    x.tools.functions.create(x.ctx, made, replace=command.or_replace, if_not_exists=command.if_not_exists)
    return nothing()


def _columns(command: CreateFunction, found: tuple[tuple[str, str], ...]) -> tuple[Column, ...]:
    """Columns of a table function: those declared, else those of the query."""
    declared = command.returns_columns or ()
    if not declared:
        return tuple(Column(name, kind, position=at) for at, (name, kind) in enumerate(found))
    if len(declared) != len(found):
        message = f"The function declares {len(declared)} columns, and its query gives {len(found)}."
        raise InvalidArgument(message)
    return tuple(Column(each.name, parse_type(each.type_text).text, comment=each.comment, position=at) for at, each in enumerate(declared))


def _bound_columns(
    x: Execution,
    body: exp.Expr,
    parameters: tuple[FunctionParameter, ...],
    *,
    is_table: bool,
) -> tuple[tuple[str, str], ...]:
    """Columns of the body, with NULL in the type of each parameter in its place."""
    holder = exp.Paren(this=body.copy())
    kinds = {each.name.lower(): each.type_text for each in parameters}
    for column in list(holder.find_all(exp.Column)):
        kind = kinds.get(column.name.lower())
        if kind is not None and not isinstance(column.this, exp.Star):
            column.replace(exp.Paren(this=cast(exp.Null(), kind)))
    inner = holder.this.pop()
    if is_table:
        query = inner
    else:
        value = exp.Subquery(this=inner) if is_query(inner) and not isinstance(inner, exp.Subquery) else exp.Paren(this=inner)
        query = exp.Select(expressions=[exp.alias_(value, "v")])
    return x.tools.binder.bind(x.ctx, query, x.names, x.parameters, asks=True).columns


def _refuse_shadowing(x: Execution, body: exp.Expr, parameters: tuple[FunctionParameter, ...]) -> None:
    """A parameter must not have the name of a column of a table in the body: it would not be clear which is meant."""
    names = [x.names.table(each.parts) for each in references(exp.Paren(this=body.copy())) if each.parts and each.function is None]
    if not names or not parameters:
        return
    for resolved in x.tools.catalog.tables.resolve_many(x.ctx, names):
        taken = {column.name.lower() for column in resolved.table.columns}
        for each in parameters:
            if each.name.lower() in taken:
                message = f"The parameter `{each.name}` has the name of a column of `{resolved.table.full_name}`."
                raise UnsupportedFeature(
                    message, hint="Give the parameter another name.", details={"feature": "parameter named as a column"}
                )
