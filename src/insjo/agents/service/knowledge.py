"""What a person may know of tables: their columns, and which words of a question are values in them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from insjo.access.types import Privilege, SecurableKind
from insjo.agents.drafting.query import dotted, quoted
from insjo.agents.drafting.tables import ColumnFacts, TableFacts, Value
from insjo.agents.reading import check_reads
from insjo.kernel.errors import InsjoError
from insjo.sql.types import StatementSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insjo.access.service.facade import Access
    from insjo.catalog.service.room import CatalogRoom
    from insjo.catalog.types import Table
    from insjo.kernel.context import RequestContext
    from insjo.sql.service.room import SqlRoom

_LOGGER = logging.getLogger(__name__)

DOOR: Final = "agent"
"""Door in history and audit of what is run for a person by an agent or the assistant."""

PHRASES_MAX: Final = 60
TABLES_MAX: Final = 12
COLUMNS_MAX: Final = 24
VALUES_MAX: Final = 200
TIMEOUT_S: Final = 20.0


class Knowledge:
    """Facts about tables, always as the person who asks may see them."""

    def __init__(self, *, access: Access, catalog: CatalogRoom, sql: SqlRoom) -> None:
        self._access = access
        self._catalog = catalog
        self._sql = sql

    def readable(self, ctx: RequestContext, names: Iterable[str]) -> list[TableFacts]:
        """Those of the tables that the caller may read, in their order."""
        found = []
        for name in names:
            decision = self._access.authority.decide_by_name(ctx, SecurableKind.TABLE, name, Privilege.SELECT)
            if decision.allowed:
                try:
                    found.append(facts_of(self._catalog.tables.get(ctx, name)))
                except InsjoError:  # Dropped between the two looks.
                    continue
        return found

    def visible(self, ctx: RequestContext) -> list[Table]:
        """All tables that the caller may see, but for the schemas that describe catalogs."""
        return [table for table in self._catalog.information.survey(ctx) if table.schema != "information_schema"]

    def explain(self, ctx: RequestContext, sql: str, tables: Sequence[TableFacts]) -> None:
        """Raise what is wrong with a query over these tables, without running it: other tables, names, types, rights."""
        check_reads(sql, tuple(each.full_name for each in tables))
        self._sql.statements.run(ctx.through(DOOR), StatementSpec(f"EXPLAIN {sql}", row_limit=1), timeout_s=TIMEOUT_S)

    def values(self, ctx: RequestContext, phrases: Sequence[str], tables: Sequence[TableFacts]) -> dict[str, list[Value]]:
        """Which phrases are values of text columns, whatever their case; read as the caller, so only what it may read."""
        found: dict[str, list[Value]] = {}
        wanted = list(phrases)[:PHRASES_MAX]
        if not wanted:
            return found
        for table in tables[:TABLES_MAX]:
            columns = [column for column in table.columns if column.is_text][:COLUMNS_MAX]
            if not columns:
                continue
            spec = StatementSpec(lookup_sql(table, columns, wanted), row_limit=VALUES_MAX)
            try:
                result = self._sql.statements.run(ctx.through(DOOR), spec, timeout_s=TIMEOUT_S)
            except InsjoError as error:  # Then its values are not known, and the question stays unclear.
                _LOGGER.info("values of %s could not be looked up: %s", table.full_name, error)
                continue
            for row in result.table.to_pylist():
                text = str(row["value"])
                found.setdefault(text.casefold(), []).append(Value(table.full_name, str(row["name"]), text))
        return found


def facts_of(table: Table) -> TableFacts:
    """A table of the catalog as a draft sees it."""
    columns = tuple(ColumnFacts(each.name, each.type_text, each.comment) for each in table.columns)
    return TableFacts(table.full_name, columns, table.comment)


def lookup_sql(table: TableFacts, columns: Sequence[ColumnFacts], phrases: Sequence[str]) -> str:
    """Statement that finds the phrases among the values of the columns."""
    listed = ", ".join("'" + phrase.replace("\\", "\\\\").replace("'", "\\'") + "'" for phrase in phrases)
    parts = []
    for column in columns:
        name, literal = quoted(column.name), column.name.replace("\\", "\\\\").replace("'", "\\'")
        where = f"WHERE lower({name}) IN ({listed})"
        parts.append(f"SELECT DISTINCT '{literal}' AS name, {name} AS value FROM {dotted(table.full_name)} {where}")  # noqa: S608  # All parts were quoted above.
    return "\nUNION ALL\n".join(parts)
