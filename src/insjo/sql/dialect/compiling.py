"""What functions and operators ask of the compiler of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlglot import exp

    from insjo.sql.dialect.fragments import Fragment
    from insjo.sql.dialect.scopes import Scope
    from insjo.sql.dialect.session import SessionFacts
    from insjo.sql.dialect.types import Type


class Compiler(Protocol):
    """See `insjo.sql.dialect.expressions.Expressions`."""

    scope: Scope
    session: SessionFacts

    def compile(self, node: exp.Expr) -> Fragment:
        """Fragment of a node."""
        ...

    def compile_all(self, nodes: Sequence[exp.Expr]) -> list[Fragment]:
        """Fragments of several nodes."""
        ...

    def condition(self, node: exp.Expr, what: str) -> Fragment:
        """A node that has to be a boolean."""
        ...

    def parameters(self, names: Sequence[str], values: Sequence[Fragment]) -> AbstractContextManager[None]:
        """Bind parameters of a lambda to what they stand for."""
        ...

    def fresh(self, prefix: str) -> str:
        """A name that occurs nowhere else."""
        ...


@dataclass(frozen=True, slots=True)
class QueryColumn:
    """A column of a compiled query.

    Attributes:
        name: As the caller sees it; not always unique.
        type: Its type.
        key: As the engine calls it; unique in the query.
    """

    name: str
    type: Type
    key: str


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """A query in the engine's SQL."""

    sql: str
    columns: tuple[QueryColumn, ...]


@dataclass(frozen=True, slots=True)
class CommonTable:
    """A table of a WITH clause."""

    key: str
    columns: tuple[QueryColumn, ...]


class QueryCompiler(Protocol):
    """See `insjo.sql.dialect.queries.Queries`."""

    def query(self, node: exp.Expr, parent: Scope | None, tables: Mapping[str, CommonTable]) -> CompiledQuery:
        """Compile a query inside another one."""
        ...

    def expressions(self, scope: Scope, tables: Mapping[str, CommonTable]) -> Compiler:
        """Compiler of expressions in a scope."""
        ...

    def fresh(self, prefix: str) -> str:
        """A name that occurs nowhere else."""
        ...
