"""Row filters and column masks: who may set them, and which of them hold for a caller."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from insjo.access.errors import ProtectionInUse
from insjo.access.protection import ARGUMENTS_MAX, UNPROTECTED, ColumnMask, Protection, RowFilter
from insjo.access.store import protections as store
from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

    from insjo.access.protection import Argument
    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.store.changes import Changes
    from insjo.access.store.protections import PlacedProtection
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

ROWS_MAX: Final = 10_000
"""Filters and masks that one answer shows."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Everything that protects tables, as of one state of access."""

    revision: int
    tables: Mapping[str, Protection]


class Protections:
    """Filters and masks are held in memory until anything in access changes, so that a statement need not ask the database."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, authority: Authority) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority
        self._lock = threading.Lock()
        self._held = _Held(-1, {})

    def of(self, ctx: RequestContext, table_id: str) -> Protection:
        """What holds for the caller; owners and metastore admins are no exception.

        `ctx` is that of whoever runs the statement, also for what somebody's view reads.
        """
        del ctx
        return self.own(table_id)

    def own(self, table_id: str) -> Protection:
        """What was set on the table itself, whoever asks."""
        revision = self._changes.value
        held = self._held
        if held.revision != revision:
            with self._changes.reading() as reading:
                rows = store.fetch(reading)
            held = _Held(revision, _by_table(rows))
            with self._lock:
                self._held = held
        return held.tables.get(table_id, UNPROTECTED)

    def list(self, ctx: RequestContext) -> list[PlacedProtection]:
        """Filters and masks of the tables that the caller may see."""
        visible = self._authority.visible(ctx, SecurableKind.TABLE)
        with self._changes.reading() as reading:
            return store.fetch(reading, visible, ROWS_MAX)

    def set_row_filter(
        self,
        ctx: RequestContext,
        table_id: str,
        function_id: str,
        arguments: Sequence[Argument],
        *,
        connection: sa.Connection | None = None,
    ) -> None:
        """Let only those rows be there of which the function is true, for everybody; replaces the filter that was set.

        Needs MANAGE or ownership of the table, and EXECUTE on the function.
        """
        self._put(ctx, table_id, store.ROW_FILTER, function_id, arguments, connection)

    def drop_row_filter(self, ctx: RequestContext, table_id: str, *, connection: sa.Connection | None = None) -> bool:
        """Show all rows again; false when there was no filter."""
        return self._drop(ctx, table_id, store.ROW_FILTER, connection)

    def set_mask(
        self,
        ctx: RequestContext,
        table_id: str,
        column: str,
        function_id: str,
        arguments: Sequence[Argument],
        *,
        connection: sa.Connection | None = None,
    ) -> None:
        """Put the function's value in the place of a column's, for everybody; needs what `set_row_filter` needs."""
        self._put(ctx, table_id, column.lower(), function_id, arguments, connection)

    def drop_mask(self, ctx: RequestContext, table_id: str, column: str, *, connection: sa.Connection | None = None) -> bool:
        """Show the column's own values again; false when it had no mask."""
        return self._drop(ctx, table_id, column.lower(), connection)

    def rename_column(self, table_id: str, column: str, new: str, *, connection: sa.Connection) -> None:
        """Let what protects a table follow the new name of a column; the caller has authorised that."""
        self._changes.bump(connection)
        store.rename_column(connection, table_id, column.lower(), new)

    def require_unused(self, function_id: str) -> None:
        """Raise ProtectionInUse when a table is protected by the function: without it nobody could read the table."""
        with self._changes.reading() as reading:
            count = store.count_uses(reading, function_id)
        if count:
            message = f"The function protects {count} {'table or column' if count == 1 else 'tables or columns'}."
            raise ProtectionInUse(message, hint="Drop the row filters and column masks that call it first.")

    def _put(
        self,
        ctx: RequestContext,
        table_id: str,
        column: str,
        function_id: str,
        arguments: Sequence[Argument],
        connection: sa.Connection | None,
    ) -> None:
        """Set the filter (no column) or the mask of a column."""
        if len(arguments) > ARGUMENTS_MAX:
            message = f"A row filter or a column mask takes at most {ARGUMENTS_MAX} arguments."
            raise InvalidArgument(message)
        with self._changes.writing(connection) as writing:
            self._authority.authorize(ctx, Privilege.MANAGE, table_id, connection=writing)
            self._authority.authorize(ctx, Privilege.EXECUTE, function_id, connection=writing)
            self._changes.bump(writing)
            store.put(writing, table_id, column, function_id, arguments, ctx.principal.id, self._clock.now())
            self._record(ctx, "mask.set" if column else "row_filter.set", table_id, column, writing)

    def _drop(self, ctx: RequestContext, table_id: str, column: str, connection: sa.Connection | None) -> bool:
        """Take the filter or mask away."""
        with self._changes.writing(connection) as writing:
            self._authority.authorize(ctx, Privilege.MANAGE, table_id, connection=writing)
            self._changes.bump(writing)
            found = store.delete(writing, table_id, column)
            if found:
                self._record(ctx, "mask.drop" if column else "row_filter.drop", table_id, column, writing)
        return found

    def _record(self, ctx: RequestContext, action: str, table_id: str, column: str, connection: sa.Connection) -> None:
        """Row of the audit in the same transaction."""
        _, name = self._authority.place(ctx, table_id, connection=connection)
        what = f"{name}.{column}" if column else name
        self._audit.record(ctx, action, outcome="changed", object=what, securable_id=table_id, connection=connection)


def _by_table(rows: Sequence[PlacedProtection]) -> dict[str, Protection]:
    """Protections by the identifier of their table."""
    filters: dict[str, tuple[RowFilter, ...]] = {}
    masks: dict[str, dict[str, ColumnMask]] = {}
    for row in rows:
        if row.column == store.ROW_FILTER:
            filters[row.securable_id] = (RowFilter(row.function_id, row.arguments),)
        else:
            masks.setdefault(row.securable_id, {})[row.column] = ColumnMask(row.column, row.function_id, row.arguments)
    return {table_id: Protection(filters.get(table_id, ()), masks.get(table_id, {})) for table_id in {*filters, *masks}}
