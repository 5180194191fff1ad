"""What a statement is before it runs: whether it only reads, and which tables it names."""

from __future__ import annotations

from dataclasses import dataclass

from insjo.agents.errors import StatementForbidden
from insjo.sql.binding.names import NameSpace
from insjo.sql.binding.references import references
from insjo.sql.parsing.nodes import Query
from insjo.sql.parsing.parse import parse


@dataclass(frozen=True, slots=True)
class Reads:
    """Full names of the tables and views that a query names."""

    tables: tuple[str, ...]


def reads_of(sql: str) -> Reads:
    """What a query reads.

    Raises:
        StatementForbidden: It is no plain query, reads files or other things than tables, or names a table without its catalog and schema.
        SyntaxInvalid, UnsupportedFeature: It is no SQL that Insjö knows.
    """
    parsed = parse(sql)
    if not isinstance(parsed.command, Query):
        raise StatementForbidden(f"An agent may only read, and this is `{parsed.kind}`.")
    names: dict[str, None] = {}
    for each in references(parsed.command.tree):
        if not each.parts:
            raise StatementForbidden("An agent may only read tables that it was given, and this reads something else.")
        names[NameSpace().table(each.parts).full_name] = None
    return Reads(tuple(names))


def check_reads(sql: str, allowed: tuple[str, ...]) -> Reads:
    """As `reads_of`, and refuses every table that is not allowed.

    Raises:
        StatementForbidden: Names the first table that is not allowed.
    """
    reads = reads_of(sql)
    for name in reads.tables:
        if name not in allowed:
            raise StatementForbidden(f"This agent was not given the table `{name}`.")
    return reads
