"""CREATE VIEW, ALTER VIEW and temporary views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.types import Column
from insjo.kernel.errors import InvalidArgument
from insjo.sql.commands import traces
from insjo.sql.commands.execution import Outcome, nothing
from insjo.sql.errors import ColumnCountMismatch, TemporaryViewExists, UnsupportedFeature
from insjo.sql.types import TemporaryView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.definitions import ColumnDefinition
    from insjo.sql.parsing.nodes import AlterView, CreateView


def create_view(x: Execution, command: CreateView) -> Outcome:
    """Keep a query under a name; it is bound now, so that a view that cannot be read is never made."""
    _refuse_parameters(command.tree)
    bound = x.tools.binder.bind(x.ctx, command.tree, x.names, x.parameters, lineage=True, asks=True)
    columns = _columns(bound, command.columns)
    definition = _definition(command.definition, bound, command.columns)
    if command.temporary:
        return _create_temporary(x, command, definition, columns)
    if not bound.cacheable and x.names.temporary_views and _reads_temporary(x, command.tree):
        message = "A view may not read a temporary view: it would be gone with this session."
        raise InvalidArgument(message, hint="Use `CREATE TEMPORARY VIEW`.")
    name = x.names.table(command.name)
    made = x.tools.catalog.tables.create_view(
        x.ctx,
        name,
        definition,
        columns,
        default_catalog=x.names.catalog,
        default_schema=x.names.schema,
        comment=command.comment,
        replace=command.or_replace,
        if_not_exists=command.if_not_exists,
    )
    if made.view_definition == definition:
        traces.record(x, made.id, bound, traces.in_order(bound, [column.name for column in columns]), "CREATE VIEW", replaces=True)
    if command.properties:
        x.tools.catalog.tables.update(x.ctx, name, properties=dict(command.properties))
    return nothing()


def alter_view(x: Execution, command: AlterView) -> Outcome:
    """Another query under the same name."""
    _refuse_parameters(command.tree)
    name = x.names.table(command.name)
    present = x.tools.catalog.tables.get(x.ctx, name)
    if not present.is_view:
        message = f"`{present.full_name}` is a table, not a view."
        raise InvalidArgument(message)
    bound = x.tools.binder.bind(x.ctx, command.tree, x.names, x.parameters, lineage=True, asks=True)
    made = x.tools.catalog.tables.create_view(
        x.ctx,
        name,
        command.definition,
        _columns(bound, ()),
        default_catalog=x.names.catalog,
        default_schema=x.names.schema,
        comment=present.comment,
        replace=True,
    )
    traces.record(x, made.id, bound, traces.in_order(bound, [name for name, _ in bound.columns]), "ALTER VIEW", replaces=True)
    return nothing()


def _refuse_parameters(tree: exp.Expr) -> None:
    """A view outlives the values of this statement."""
    if tree.find(exp.Placeholder):
        message = "A view may not hold parameters."
        raise UnsupportedFeature(message, hint="Write the value into the query.", details={"feature": "parameters in a view"})


def _columns(bound: BoundQuery, given: Sequence[ColumnDefinition]) -> tuple[Column, ...]:
    """Columns of the view, under the names that the statement gives them."""
    if given and len(given) != len(bound.columns):
        message = f"The view names {len(given)} columns, and its query gives {len(bound.columns)}."
        raise ColumnCountMismatch(message)
    columns = []
    seen: set[str] = set()
    for at, (name, kind) in enumerate(bound.columns):
        shown = given[at].name if given else name
        if shown.lower() in seen:
            message = f"The view has two columns `{shown}`."
            raise InvalidArgument(message, hint="Give one of them another name with `AS`.")
        seen.add(shown.lower())
        columns.append(Column(shown, kind, comment=given[at].comment if given else "", position=at))
    return tuple(columns)


def _definition(text: str, bound: BoundQuery, given: Sequence[ColumnDefinition]) -> str:
    """Text of the query; with names of its own, a query around it that renames, so that columns are found by name for ever."""
    if not given:
        return text
    names = [name for name, _ in bound.columns]
    if len({name.lower() for name in names}) != len(names):
        listed = ", ".join(_quoted(each.name) for each in given)
        return " ".join(("SELECT * FROM", f"(\n{text}\n) AS `q`({listed})"))
    renamed = ", ".join(f"{_quoted(name)} AS {_quoted(each.name)}" for name, each in zip(names, given, strict=True))
    return " ".join(("SELECT", renamed, "FROM", f"(\n{text}\n) AS `q`"))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _create_temporary(x: Execution, command: CreateView, definition: str, columns: Sequence[Column]) -> Outcome:
    """A view of this session."""
    name = command.name[-1].lower()
    if name in x.names.temporary_views and not command.or_replace:
        if command.if_not_exists:
            return nothing()
        message = f"This session has a temporary view `{name}`."
        raise TemporaryViewExists(message, hint="Use `CREATE OR REPLACE TEMPORARY VIEW`.")
    shape = tuple((column.name, column.type_text) for column in columns)
    x.session.put_view(TemporaryView(name, definition, x.names.catalog, x.names.schema, shape, command.comment))
    return nothing()


def _reads_temporary(x: Execution, tree: exp.Expr) -> bool:
    """Whether a tree names a temporary view."""
    return any(not table.db and table.name.lower() in x.names.temporary_views for table in tree.find_all(exp.Table))
