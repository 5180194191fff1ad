"""Tables with a row filter or a column mask, for statements that look past the query that hides what is hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from insjo.access.protection import Protection
    from insjo.catalog.types import ResolvedTable
    from insjo.sql.commands.execution import Execution


def protection_of(x: Execution, found: ResolvedTable) -> Protection:
    """What hides rows and columns of a table from the caller; in force for owners as well."""
    return x.tools.access.protections.of(x.ctx, found.table.id, [column.name for column in found.table.columns])
