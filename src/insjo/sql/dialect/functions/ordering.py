"""Sort keys, with the order of NULLs written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.dialect.fragments import Fragment, made
from insjo.sql.dialect.types import Kind
from insjo.sql.errors import DatatypeMismatch

if TYPE_CHECKING:
    from sqlglot import exp

    from insjo.sql.dialect.compiling import Compiler


def direction(node: exp.Expr) -> str:
    """` ASC NULLS FIRST` and its kin; Databricks puts NULL below every value."""
    descending = bool(node.args.get("desc"))
    nulls_first = bool(node.args.get("nulls_first"))
    return f" {'DESC' if descending else 'ASC'} NULLS {'FIRST' if nulls_first else 'LAST'}"


def sort_key(compiler: Compiler, node: exp.Expr) -> Fragment:
    """One key of an ORDER BY."""
    key = compiler.compile(node.this)
    check_sortable(key)
    return made(key.sql + direction(node), key.type, key)


def check_sortable(key: Fragment) -> None:
    """Raise DatatypeMismatch for types without an order."""
    if key.type.kind in {Kind.MAP, Kind.VARIANT}:
        raise DatatypeMismatch(f"Rows cannot be sorted by a value of type `{key.type.text}`.")
