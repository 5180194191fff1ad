"""Tables with a row filter or a column mask, for statements that look past the query that hides what is hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from insjo.access.protection import Protection
    from insjo.catalog.types import ResolvedTable
    from insjo.sql.commands.execution import Execution


def protection_of(x: Execution, found: ResolvedTable) -> Protection:
    """What hides rows and columns of a table from the caller; in force for owners as well."""
    return x.tools.access.protections.of(x.ctx, found.table.id, [column.name for column in found.table.columns])


def refuse_protected(x: Execution, found: ResolvedTable, statement: str) -> None:
    """Refuse a statement whose answer, or whose choice of rows, would tell of what is hidden."""
    if protection_of(x, found):
        message = f"`{statement}` of a table with a row filter or a column mask is not supported."
        hint = "Take the filter and the masks off for the change, or insert new rows only."
        raise UnsupportedFeature(message, hint=hint, details={"feature": f"{statement} of a protected table"})
