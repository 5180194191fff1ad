"""Conditions of tables, which are enforced, and keys, which are only told (as in Unity Catalog)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.types import Privilege
from insjo.catalog.service.properties import CONSTRAINTS
from insjo.catalog.types import Key
from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.bound import Given
from insjo.sql.binding.scan import scan
from insjo.sql.commands.execution import Outcome, nothing
from insjo.sql.commands.rules import checks_of, columns_in, expression_of, filled, refuse_unsteady, typed
from insjo.sql.commands.writing import SOURCE, resolve_target, source_table
from insjo.sql.errors import ColumnInUse, ConstraintExists, ConstraintMissing, ConstraintViolated, DatatypeMismatch, UnresolvedColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import Column, Table, TableName
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.definitions import ConstraintDefinition
    from insjo.sql.parsing.nodes import AddConstraint, DropConstraint, NamePath

PRIMARY, FOREIGN = "PRIMARY KEY", "FOREIGN KEY"


def of_new_table(
    x: Execution, name: TableName, columns: Sequence[Column], wanted: Sequence[ConstraintDefinition]
) -> tuple[dict[str, str], tuple[Key, ...]]:
    """Checks and keys of a table that is made; its defaults and computed columns are looked at as well."""
    check_expressions(x, columns)
    checks: dict[str, str] = {}
    keys: list[Key] = []
    for each in wanted:
        if each.kind == "CHECK":
            _check_condition(x, each.expression, columns)
            given = each.name or _free_name(checks, f"{name.name}_check")
            if given.lower() in checks:
                raise _taken(given)
            checks[given.lower()] = each.expression
        else:
            keys.append(_key(x, each, name.name, columns, keys))
    return checks, tuple(keys)


def of_clone(x: Execution, like: NamePath) -> tuple[dict[str, str], tuple[Key, ...]]:
    """The checks of the table that is cloned; keys stay with it."""
    (source,) = x.tools.catalog.tables.resolve_many(x.ctx, [x.names.table(like)])
    return checks_of(source.snapshot.properties) if source.snapshot is not None else {}, ()


def with_key_columns(columns: Sequence[Column], keys: Sequence[Key]) -> tuple[Column, ...]:
    """The columns; those of a primary key may not be NULL."""
    strict = {name.lower() for key in keys if key.kind == PRIMARY for name in key.columns}
    return tuple(replace(column, nullable=False) if column.name.lower() in strict else column for column in columns)


def check_expressions(x: Execution, columns: Sequence[Column]) -> None:
    """Refuse defaults and computed columns that would fail when rows are written, or give another answer later."""
    plain = [column for column in columns if not column.generated]
    for column in columns:
        if column.default and column.generated:
            message = f"The column `{column.name}` is computed, so it takes no default."
            raise InvalidArgument(message)
        if column.default:
            tree = expression_of(column.default)
            if columns_in(tree):
                message = f"The default of `{column.name}` may not name columns."
                raise InvalidArgument(message)
            _bound_kind(x, typed(tree, column.type_text), ())
        if column.generated:
            tree = expression_of(column.generated)
            refuse_unsteady(tree, f"the expression of the column `{column.name}`")
            _known(tree, plain, f"the expression of the column `{column.name}`")
            _bound_kind(x, typed(filled(tree, {}, columns), column.type_text), plain)


def _check_condition(x: Execution, expression: str, columns: Sequence[Column]) -> None:
    """Refuse a condition that is none, or that may change its mind."""
    tree = expression_of(expression)
    refuse_unsteady(tree, "a constraint")
    _known(tree, columns, "the constraint")
    kind = _bound_kind(x, tree, columns)
    if kind != "boolean":
        message = f"The condition of a constraint must be a BOOLEAN, and `{expression}` is `{kind}`."
        raise DatatypeMismatch(message)


def _known(tree: exp.Expr, columns: Sequence[Column], place: str) -> None:
    """Refuse names that are no columns."""
    names = {column.name.lower() for column in columns}
    for name in sorted(columns_in(tree) - names):
        message = f"`{name}` in {place} is not a column that it may use."
        raise UnresolvedColumn(message, hint=did_you_mean(name, names))


def _bound_kind(x: Execution, tree: exp.Expr, columns: Sequence[Column]) -> str:
    """Type of an expression over the columns of a table; raises what binding raises."""
    shape = {column.name: column.type_text for column in columns}
    query = exp.Select(expressions=[exp.alias_(tree.copy(), "v")])
    given = {}
    if shape:
        query.set("from_", exp.From(this=source_table("t")))
        given = {SOURCE: Given(text.empty_rows(shape), shape)}
    bound = x.tools.binder.bind(x.ctx, query, x.names, given=given)
    if bound.provenance.origins or bound.read_tables:
        message = "An expression that a table keeps may not read other tables."
        raise InvalidArgument(message)
    return bound.columns[0][1]


def _key(x: Execution, wanted: ConstraintDefinition, table: str, columns: Sequence[Column], present: Sequence[Key]) -> Key:
    """A key with the columns as the table spells them."""
    spelled = {column.name.lower(): column.name for column in columns}
    found = []
    for column in wanted.columns:
        if column.lower() not in spelled:
            message = f"The key names `{column}`, which is not a column of the table."
            raise UnresolvedColumn(message, hint=did_you_mean(column, spelled.values()))
        found.append(spelled[column.lower()])
    suffix = "pk" if wanted.kind == PRIMARY else "fk"
    name = wanted.name or _free_name({each.name for each in present}, f"{table}_{suffix}")
    if name.lower() in {each.name.lower() for each in present}:
        raise _taken(name)
    if wanted.kind == PRIMARY:
        if any(each.kind == PRIMARY for each in present):
            message = "A table has at most one primary key."
            raise ConstraintExists(message)
        return Key(name, PRIMARY, tuple(found), rely=wanted.rely)
    (parent,) = x.tools.catalog.tables.resolve_many(x.ctx, [x.names.table(wanted.parent)])
    own = next((key for key in parent.table.keys if key.kind == PRIMARY), None)
    names = {each.name.lower(): each.name for each in parent.table.columns}
    pointed = tuple(names.get(each.lower(), each) for each in wanted.parent_columns) or (own.columns if own else ())
    if own is None or sorted(own.columns) != sorted(pointed) or len(pointed) != len(found):
        message = f"The foreign key must point to the primary key of `{parent.table.full_name}`."
        raise InvalidArgument(message, hint=f"It is `{', '.join(own.columns)}`." if own else "That table has none.")
    return Key(name, FOREIGN, tuple(found), parent.table.id, pointed, wanted.rely)


def _free_name(taken: object, wanted: str) -> str:
    """A name that no other constraint has."""
    assert isinstance(taken, dict | set)  # noqa: S101  # Names.
    folded = {str(each).lower() for each in taken}
    number, name = 1, wanted
    while name.lower() in folded:
        number += 1
        name = f"{wanted}{number}"
    return name


def _taken(name: str) -> ConstraintExists:
    message = f"The table has a constraint `{name}` already."
    return ConstraintExists(message)


def add_constraint(x: Execution, command: AddConstraint) -> Outcome:
    """ADD CONSTRAINT: a check must hold for the rows that are there; a primary key takes columns that may not be NULL."""
    name, wanted = x.names.table(command.name), command.constraint
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name, Privilege.MANAGE) as write:
        table, columns = tables.get(x.ctx, name), write.snapshot.columns
        present = [*checks_of(write.snapshot.properties), *(key.name for key in table.keys)]
        if wanted.name and wanted.name.lower() in {each.lower() for each in present}:
            raise _taken(wanted.name)
        if wanted.kind == "CHECK":
            _check_condition(x, wanted.expression, columns)
            given = wanted.name or _free_name(set(present), f"{table.name}_check")
            _refuse_rows(x, write, name, expression_of(wanted.expression), f"{given} ({wanted.expression})")
            properties = {**write.snapshot.properties, CONSTRAINTS + given.lower(): wanted.expression}
            tables.commit(
                write, operation="ADD CONSTRAINT", parameters={"name": given, "expr": wanted.expression}, new_properties=properties
            )
            return nothing()
        key = _key(x, wanted, table.name, columns, table.keys)
        loose = [column.name for column in columns if column.nullable and column.name in key.columns]
        if key.kind == PRIMARY and loose:
            message = f"The column `{loose[0]}` of the primary key may be NULL."
            hint = f"Write first `ALTER TABLE ... ALTER COLUMN {loose[0]} SET NOT NULL`."
            raise InvalidArgument(message, hint=hint)
        tables.set_keys(x.ctx, name, [*table.keys, key])
    return nothing()


def _refuse_rows(x: Execution, write: TableWrite, name: TableName, condition: exp.Expr, shown: str) -> None:
    """Refuse a condition that a row of the table does not fulfil; whoever asks may read the table, for the answer tells of its rows."""
    resolve_target(x, name, reads=True)
    if not write.snapshot.files:
        return
    holds = exp.Anonymous(this="coalesce", expressions=[condition.copy(), exp.Boolean(this=False)])
    if _any_row(x, write, exp.Not(this=holds)):
        message = f"Rows of the table do not fulfil the constraint `{shown}`."
        raise ConstraintViolated(message, hint="Correct or delete those rows first.")


def _any_row(x: Execution, write: TableWrite, condition: exp.Expr) -> bool:
    """Whether a condition holds for any row of a table as it is now."""
    columns = write.snapshot.columns
    sql = scan(write.table.full_name, write.snapshot, columns)
    query = exp.Select(
        expressions=[exp.alias_(exp.Literal.number(1), "v")],
        from_=exp.From(this=source_table("t")),
        where=exp.Where(this=condition),
        limit=exp.Limit(expression=exp.Literal.number(1)),
    )
    bound = x.tools.binder.bind(x.ctx, query, x.names, given={SOURCE: Given(sql, {each.name: each.type_text for each in columns})})
    return bool(x.rows(bound.sql, bound.tables))


def refuse_nulls(x: Execution, write: TableWrite, name: TableName, column: str) -> None:
    """Refuse NOT NULL for a column that is NULL in some row."""
    resolve_target(x, name, reads=True)
    if write.snapshot.files and _any_row(x, write, exp.Is(this=exp.column(column, quoted=True), expression=exp.Null())):
        message = f"The column `{column}` is NULL in some rows."
        raise ConstraintViolated(message, hint="Give those rows a value first.")


def drop_constraint(x: Execution, command: DropConstraint) -> Outcome:
    """DROP CONSTRAINT, DROP PRIMARY KEY, DROP FOREIGN KEY."""
    name = x.names.table(command.name)
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name, Privilege.MANAGE) as write:
        table = tables.get(x.ctx, name)
        gone = [key for key in table.keys if _names(command, key)]
        check = next((each for each in checks_of(write.snapshot.properties) if each.lower() == command.constraint.lower()), "")
        if check:
            properties = {key: value for key, value in write.snapshot.properties.items() if key != CONSTRAINTS + check}
            tables.commit(write, operation="DROP CONSTRAINT", parameters={"name": check}, new_properties=properties)
        elif gone:
            tables.set_keys(x.ctx, name, [key for key in table.keys if key not in gone])
        elif not command.if_exists:
            shown = command.constraint or command.kind
            message = f"The table `{table.full_name}` has no constraint `{shown}`."
            known = [*checks_of(write.snapshot.properties), *(key.name for key in table.keys)]
            raise ConstraintMissing(message, hint=did_you_mean(shown, known))
    return nothing()


def _names(command: DropConstraint, key: Key) -> bool:
    """Whether a key is the one that goes."""
    if command.constraint:
        return key.name.lower() == command.constraint.lower()
    columns = {each.lower() for each in command.columns}
    return key.kind == command.kind and (not columns or columns == {each.lower() for each in key.columns})


def refuse_users(table: Table, write: TableWrite, column: str) -> None:
    """Refuse to take a column away, or to change its name or type, while something rests on it."""
    folded = column.lower()
    rests = [
        f"the constraint `{name}`"
        for name, text_ in checks_of(write.snapshot.properties).items()
        if folded in columns_in(expression_of(text_))
    ]
    rests += [f"the key `{key.name}`" for key in table.keys if folded in {each.lower() for each in key.columns}]
    for each in write.snapshot.columns:
        if each.generated and each.name.lower() != folded and folded in columns_in(expression_of(each.generated)):
            rests.append(f"the column `{each.name}`")
    if rests:
        message = f"The column `{column}` cannot be changed in this way: {rests[0]} rests on it."
        raise ColumnInUse(message, hint="Drop that first.")
