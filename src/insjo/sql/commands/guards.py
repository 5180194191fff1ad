"""Row filters, column masks and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import Privilege, SecurableKind
from insjo.catalog.errors import WrongTableType
from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.commands.execution import Outcome, nothing
from insjo.sql.commands.tables import create_table
from insjo.sql.dialect.types import Kind, parse_type
from insjo.sql.errors import FunctionArguments, UnresolvedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from insjo.access.protection import Argument
    from insjo.catalog.types import Column, TableName
    from insjo.sql.binding.functions import SqlFunction
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.guard_nodes import AlterMask, AlterRowFilter, Application, CreateGuardedTable, NamePath
    from insjo.sql.parsing.nodes import CreateTable


def create_guarded_table(x: Execution, command: CreateGuardedTable[CreateTable]) -> Outcome:
    """CREATE TABLE with a row filter or masks: they stand before anybody can see a row."""
    name = x.names.table(command.table.name).full_name

    def guard(columns: Sequence[Column]) -> Callable[[str, sa.Connection | None], None]:
        row_filter = checked(x, command.row_filter, columns, name, "BOOLEAN") if command.row_filter else None
        masks = [(each, checked(x, given, columns, name, column_of(columns, each, name).type_text)) for each, given in command.masks]

        def protect(table_id: str, connection: sa.Connection | None) -> None:
            protections = x.tools.access.protections
            if row_filter is not None:
                protections.set_row_filter(x.ctx, table_id, row_filter[0].id, row_filter[1], connection=connection)
            for column, (function, given) in masks:
                protections.set_mask(x.ctx, table_id, column, function.id, given, connection=connection)

        return protect

    return create_table(x, command.table, guard)


def alter_row_filter(x: Execution, command: AlterRowFilter) -> Outcome:
    """SET ROW FILTER and DROP ROW FILTER."""
    name = x.names.table(command.name)
    table_id, columns = _table(x, name)
    if command.row_filter is None:
        if not x.tools.access.protections.drop_row_filter(x.ctx, table_id):
            message = f"`{name.full_name}` has no row filter."
            raise InvalidArgument(message)
        return nothing()
    function, arguments = checked(x, command.row_filter, columns, name.full_name, "BOOLEAN")
    x.tools.access.protections.set_row_filter(x.ctx, table_id, function.id, arguments)
    return nothing()


def alter_mask(x: Execution, command: AlterMask) -> Outcome:
    """SET MASK and DROP MASK."""
    name = x.names.table(command.name)
    table_id, columns = _table(x, name)
    column = column_of(columns, command.column, name.full_name)
    if command.mask is None:
        if not x.tools.access.protections.drop_mask(x.ctx, table_id, column.name):
            message = f"The column `{column.name}` of `{name.full_name}` has no mask."
            raise InvalidArgument(message)
        return nothing()
    function, arguments = checked(x, command.mask, columns, name.full_name, column.type_text)
    x.tools.access.protections.set_mask(x.ctx, table_id, column.name, function.id, arguments)
    return nothing()


def _table(x: Execution, name: TableName) -> tuple[str, Sequence[Column]]:
    """Identifier and columns of the table; only rows that lie in files can be protected."""
    table = x.tools.catalog.tables.get(x.ctx, name)
    x.tools.access.authority.authorize(x.ctx, Privilege.MANAGE, table.id)
    if not table.has_files:
        message = f"`{table.full_name}` is a {table.table_type.lower()}; only tables can have row filters and masks."
        raise WrongTableType(message, hint="Protect the tables that it reads.")
    return table.id, table.columns


def column_of(columns: Sequence[Column], name: str, table: str) -> Column:
    """The column of a name."""
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    message = f"The table `{table}` has no column `{name}`."
    raise UnresolvedColumn(message, hint=did_you_mean(name, (column.name for column in columns)))


def function_of(x: Execution, path: NamePath) -> SqlFunction:
    """A function that the caller may run."""
    name = x.names.table(path)
    found = x.tools.functions.get(x.ctx, name)
    x.tools.access.securables.resolve(x.ctx, SecurableKind.FUNCTION, name.full_name, Privilege.EXECUTE)
    return found


def checked(
    x: Execution,
    application: Application,
    columns: Sequence[Column],
    table: str,
    wanted: str,
) -> tuple[SqlFunction, tuple[Argument, ...]]:
    """The function and its arguments, if they fit each other and the function gives what is wanted.

    Raises:
        FunctionArguments: The number of arguments or the type is wrong.
        UnresolvedColumn: An argument is no column.
    """
    function = function_of(x, application.function)
    given = application.arguments
    least = sum(not parameter.default for parameter in function.parameters)
    if function.is_table or not least <= len(given) <= len(function.parameters):
        message = f"`{function.name.full_name}` takes {len(function.parameters)} arguments, and {len(given)} are given."
        raise FunctionArguments(message)
    for argument in given:
        if argument.column:
            column_of(columns, argument.column, table)
    returned, needed = parse_type(function.returns).kind, parse_type(wanted).kind
    if returned is not needed and returned is not Kind.VOID:
        message = f"`{function.name.full_name}` gives {function.returns.upper()}, and {wanted.upper()} is needed."
        raise FunctionArguments(message)
    return function, given
