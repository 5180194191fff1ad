"""Queries: WITH, set operations, VALUES; SELECT stands in `selects.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect import selects
from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import common_type
from insjo.sql.dialect.compiling import CommonTable, CompiledQuery, QueryColumn
from insjo.sql.dialect.expressions import Expressions, Names
from insjo.sql.dialect.fragments import Fragment, name_of, select
from insjo.sql.dialect.relations import values_rows
from insjo.sql.dialect.scopes import Relation, Scope, ScopeColumn
from insjo.sql.dialect.session import SessionFacts
from insjo.sql.errors import CountMismatch, DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.sql.dialect.types import Type

_OPERATIONS: dict[type[exp.Expr], str] = {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}


@dataclass(slots=True)
class Queries:
    """Compiles the queries of one statement."""

    session: SessionFacts = field(default_factory=SessionFacts)
    names: Names = field(default_factory=Names)

    def fresh(self, prefix: str) -> str:
        """A name that occurs nowhere else."""
        return self.names.fresh(prefix)

    def expressions(self, scope: Scope, tables: Mapping[str, CommonTable]) -> Expressions:
        """Compiler of expressions in a scope."""

        def subquery(node: exp.Expr, parent: Scope) -> tuple[str, list[tuple[str, Type]]]:
            inner = node
            while isinstance(inner, exp.Subquery) and not any(inner.args.get(key) for key in ("order", "limit", "offset", "with_")):
                inner = inner.this
            compiled = self.query(inner, parent, tables)
            return compiled.sql, [(column.key, column.type) for column in compiled.columns]

        return Expressions(scope, self.session, self.names, subquery)

    def query(self, node: exp.Expr, parent: Scope | None, tables: Mapping[str, CommonTable]) -> CompiledQuery:
        """Compile any query."""
        prefix = ""
        with_clause = node.args.get("with_")
        if with_clause is not None:
            prefix, tables = self._common_tables(with_clause, parent, tables)
        if isinstance(node, exp.Select):
            compiled = selects.compile_select(self, node, parent, tables)
        elif type(node) in _OPERATIONS:
            compiled = self._set_operation(node, parent, tables)
        elif isinstance(node, exp.Subquery):
            compiled = self._modified(self.query(node.this, parent, tables), node, parent, tables)
        elif isinstance(node, exp.Values):
            compiled = self._modified(self._values(node, parent, tables), node, parent, tables)
        else:
            raise UnsupportedFeature(f"`{type(node).__name__}` is not supported as a query.")
        return CompiledQuery(prefix + compiled.sql, compiled.columns) if prefix else compiled

    def _values(self, node: exp.Expr, parent: Scope | None, tables: Mapping[str, CommonTable]) -> CompiledQuery:
        sql, types = values_rows(self.expressions(Scope(parent=parent), tables), node)
        columns = [QueryColumn(f"col{index}", of_type, f"col{index}") for index, of_type in enumerate(types, 1)]
        listed = ", ".join(name_of(column.key) for column in columns)
        return CompiledQuery(select("*", f"({sql}) AS {name_of(self.fresh('r'))}({listed})"), tuple(columns))

    # -------------------------------------------------------------------------------------------- WITH

    def _common_tables(
        self, clause: exp.Expr, parent: Scope | None, tables: Mapping[str, CommonTable]
    ) -> tuple[str, Mapping[str, CommonTable]]:
        known = dict(tables)
        texts: list[str] = []
        recursive = bool(clause.args.get("recursive"))
        for common in clause.expressions:
            name, key = common.alias.lower(), self.fresh("c")
            alias = common.args["alias"]
            renamed = [each.name for each in alias.args.get("columns") or []]
            if recursive and isinstance(common.this, exp.Union) and _mentions(common.this, name):
                sql, columns = self._recursive(common.this, key, name, renamed, parent, known)
            else:
                compiled = self.query(common.this, parent, known)
                sql, columns = compiled.sql, _renamed(compiled.columns, renamed, common.alias)
            listed = ", ".join(name_of(column.key) for column in columns)
            texts.append(f"{name_of(key)}({listed}) AS ({sql})")
            known[name] = CommonTable(key, columns)
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(texts)} ", known

    def _recursive(
        self, node: exp.Expr, key: str, name: str, renamed: Sequence[str], parent: Scope | None, tables: Mapping[str, CommonTable]
    ) -> tuple[str, tuple[QueryColumn, ...]]:
        """The first part gives names and types; the second part sees the table itself."""
        first = self.query(node.this, parent, tables)
        columns = _renamed(first.columns, renamed, name)
        second = self.query(node.expression, parent, {**tables, name: CommonTable(key, columns)})
        if len(second.columns) != len(columns):
            raise CountMismatch(f"The parts of `{name}` have {len(columns)} and {len(second.columns)} columns.")
        step = _projected(second, [column.type for column in columns], self.fresh("u"))
        word = "UNION" if node.args.get("distinct") else "UNION ALL"
        return f"{first.sql} {word} {step}", columns

    # -------------------------------------------------------------------------------------------- set operations

    def _set_operation(self, node: exp.Expr, parent: Scope | None, tables: Mapping[str, CommonTable]) -> CompiledQuery:
        """A chain of the same operation is compiled side by side, however long."""
        kind, distinct = type(node), bool(node.args.get("distinct"))
        branches: list[exp.Expr] = [node.expression]
        inner = node.this
        while type(inner) is kind and bool(inner.args.get("distinct")) == distinct and not selects.has_modifiers(inner):
            branches.append(inner.expression)
            inner = inner.this
        branches.append(inner)
        branches.reverse()
        if node.args.get("by_name"):
            message = "Set operations by name are not supported."
            raise UnsupportedFeature(message)
        word = _OPERATIONS[kind] + ("" if distinct else " ALL")
        compiled = [self.query(branch, parent, tables) for branch in branches]
        types = _common_types(compiled, word)
        parts = [_projected(each, types, self.fresh("u")) for each in compiled]
        columns = tuple(QueryColumn(column.name, of_type, column.key) for column, of_type in zip(compiled[0].columns, types, strict=True))
        sql = f" {word} ".join(parts)
        return self._modified(CompiledQuery(sql, columns), node, parent, tables)

    def _modified(self, compiled: CompiledQuery, node: exp.Expr, parent: Scope | None, tables: Mapping[str, CommonTable]) -> CompiledQuery:
        """ORDER BY, LIMIT and OFFSET around a query, whose columns they see."""
        if not selects.has_modifiers(node):
            return compiled
        key = self.fresh("u")
        columns = tuple(ScopeColumn(each.name, Fragment(f"{name_of(key)}.{name_of(each.key)}", each.type)) for each in compiled.columns)
        scope = Scope([Relation((), columns)], parent)
        compiler = self.expressions(scope, tables)
        listed = ", ".join(f"{column.fragment.sql} AS {name_of(each.key)}" for column, each in zip(columns, compiled.columns, strict=True))
        tail = selects.modifiers(
            compiler, node, [(each.name, column.fragment) for each, column in zip(compiled.columns, columns, strict=True)]
        )
        return CompiledQuery(select(listed, f"({compiled.sql}) AS {name_of(key)}", tail), compiled.columns)


def _mentions(node: exp.Expr, name: str) -> bool:
    return any(table.name.lower() == name and not table.args.get("db") for table in node.find_all(exp.Table))


def _renamed(columns: Sequence[QueryColumn], names: Sequence[str], owner: str) -> tuple[QueryColumn, ...]:
    if not names:
        return tuple(columns)
    if len(names) != len(columns):
        raise CountMismatch(f"`{owner}` names {len(names)} columns, and its query has {len(columns)}.")
    keys = selects.unique_keys(names)
    return tuple(QueryColumn(name, column.type, key) for name, key, column in zip(names, keys, columns, strict=True))


def _common_types(compiled: Sequence[CompiledQuery], word: str) -> list[Type]:
    types = [column.type for column in compiled[0].columns]
    for each in compiled[1:]:
        if len(each.columns) != len(types):
            raise CountMismatch(f"`{word}` joins queries with {len(types)} and {len(each.columns)} columns.")
        for place, column in enumerate(each.columns):
            found = common_type(types[place], column.type)
            if found is None:
                raise DatatypeMismatch(f"`{word}` cannot join `{types[place].text}` and `{column.type.text}` in column {place + 1}.")
            types[place] = found
    return types


def _projected(compiled: CompiledQuery, types: Sequence[Type], key: str) -> str:
    """A query with its columns cast; as it is where nothing has to be cast."""
    if all(column.type == of_type for column, of_type in zip(compiled.columns, types, strict=True)):
        return select("*", f"({compiled.sql}) AS {name_of(key)}")
    cells = [
        cast(Fragment(f"{name_of(key)}.{name_of(column.key)}", column.type), of_type)
        for column, of_type in zip(compiled.columns, types, strict=True)
    ]
    listed = ", ".join(f"{cell.seen().sql} AS {name_of(column.key)}" for cell, column in zip(cells, compiled.columns, strict=True))
    return select(listed, f"({compiled.sql}) AS {name_of(key)}")
