"""What an editor may offer while somebody writes SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.parsing.words import QUERY_WORDS, STATEMENT_WORDS
from insjo.sql.types import Completions, CompletionTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from insjo.catalog.service.room import CatalogRoom
    from insjo.kernel.context import RequestContext

TABLES_MAX = 2_000


def completions(ctx: RequestContext, catalog_room: CatalogRoom, functions: Iterable[str], catalog: str, schema: str) -> Completions:
    """Names that the caller may see; tables with their columns, of one schema, one catalog or all, at most 2,000."""
    information = catalog_room.information
    catalogs = tuple(str(row["catalog_name"]) for row in information.catalogs(ctx))
    schemas = tuple(f"{row['catalog_name']}.{row['schema_name']}" for row in information.schemata(ctx, catalog))
    tables = tuple(
        CompletionTable(table.full_name, tuple((column.name, column.type_text) for column in table.columns))
        for table in information.survey(ctx, catalog, schema)[:TABLES_MAX]
    )
    return Completions(catalogs, schemas, tables, tuple(sorted(functions)), (*QUERY_WORDS, *STATEMENT_WORDS))
