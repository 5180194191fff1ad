"""Row filters and column masks: who may set them, and which of them hold for a caller."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from insjo.access.errors import PolicyConflict, ProtectionInUse
from insjo.access.policies import PolicyKind, condition_of, holds_for
from insjo.access.protection import ARGUMENTS_MAX, UNPROTECTED, Argument, ColumnMask, Protection, RowFilter
from insjo.access.store import protections as store
from insjo.access.store import tags as tag_store
from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.context import SYSTEM
from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy as sa

    from insjo.access.policies import Policy
    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.service.principals import Principals
    from insjo.access.service.tags import Tags
    from insjo.access.store.changes import Changes
    from insjo.access.store.protections import PlacedProtection
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

EVERYBODY: Final = "account users"
"""Name of the group to which everybody belongs."""

ROWS_MAX: Final = 10_000
"""Filters and masks that one answer shows."""


CALLERS_MAX: Final = 20_000
"""Answers about one table and one caller that are held."""


@dataclass(slots=True)
class _Held:
    """Everything that protects tables, as of one state of access; `answers` by caller and table, where policies decide."""

    revision: int
    tables: Mapping[str, Protection]
    policies: Sequence[Policy] = ()
    answers: dict[tuple[str, str, tuple[str, ...]], Protection] = field(default_factory=dict)


class Protections:
    """Filters and masks are held in memory until anything in access changes, so that a statement need not ask the database."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, authority: Authority, principals: Principals, tags: Tags) -> None:
        """Everything by keyword."""
        self._principals = principals
        self._tags = tags
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority
        self._lock = threading.Lock()
        self._held = _Held(-1, {})

    def of(self, ctx: RequestContext, table_id: str, columns: Iterable[str] = ()) -> Protection:
        """What holds for the caller; owners and metastore admins are no exception.

        Args:
            ctx: That of whoever runs the statement, also for what somebody's view reads.
            table_id: Which table.
            columns: Names of all of its columns, which policies match by their tags.

        Raises:
            PolicyConflict: Policies contradict each other, so the table cannot be shown at all.
        """
        held = self._current()
        own = held.tables.get(table_id, UNPROTECTED)
        if not held.policies:
            return own
        names = tuple(name.lower() for name in columns)
        key = (ctx.principal.id, table_id, names)
        found = held.answers.get(key)
        if found is None:
            found = self._with_policies(ctx, held.policies, table_id, names, own)
            if len(held.answers) < CALLERS_MAX:
                held.answers[key] = found
        return found

    def own(self, table_id: str) -> Protection:
        """What was set on the table itself, whoever asks."""
        return self._current().tables.get(table_id, UNPROTECTED)

    def _current(self) -> _Held:
        """Everything as it is now; read anew when anything in access has changed."""
        revision = self._changes.value
        held = self._held
        if held.revision != revision:
            with self._changes.reading() as reading:
                held = _Held(revision, _by_table(store.fetch(reading)), tag_store.fetch_policies(reading))
            with self._lock:
                self._held = held
        return held

    def _with_policies(
        self, ctx: RequestContext, policies: Sequence[Policy], table_id: str, listed: Sequence[str], own: Protection
    ) -> Protection:
        """What the table itself has and what policies above it ask for."""
        with self._changes.reading() as reading:
            above = set(tag_store.fetch_ancestors(reading, table_id))
        near = [policy for policy in policies if policy.securable_id in above]
        if not near:
            return own
        names = {ctx.principal.name, EVERYBODY}
        if ctx.principal.id != SYSTEM.id:
            names |= {group.name for group in self._principals.groups_of(ctx, ctx.principal.id, nested=True)}
        near = [policy for policy in near if holds_for(policy, names)]
        if not near:
            return own
        tags, tagged = self._tags.effective(table_id)
        columns = {name: tagged.get(name, {}) for name in dict.fromkeys((*listed, *tagged))}
        filters, masks = list(own.filters), dict(own.masks)
        for policy in near:
            if policy.when and not condition_of(policy.when)(tags):
                continue
            for each in _applied(policy, columns):
                if isinstance(each, RowFilter):
                    filters.append(each)
                elif each.column not in masks:
                    masks[each.column] = each
                elif (masks[each.column].function_id, masks[each.column].arguments) != (each.function_id, each.arguments):
                    message = f"Several masks hold for the column `{each.column}`."
                    raise PolicyConflict(message, hint="Let only one of the policies match it.")
        return Protection(tuple(filters), masks)

    def described(self, ctx: RequestContext, table_id: str) -> Protection:
        """What was set on the table itself, as far as the caller may know: functions that it may not see are left out."""
        own = self.own(table_id)
        if not own:
            return own
        parts: tuple[RowFilter | ColumnMask, ...] = (*own.filters, *own.masks.values())
        decisions = self._authority.decide_many(ctx, [(Privilege.BROWSE, part.function_id) for part in parts])
        seen = {decision.securable_id for decision in decisions if decision.allowed}
        filters = tuple(each for each in own.filters if each.function_id in seen)
        return Protection(filters, {name: mask for name, mask in own.masks.items() if mask.function_id in seen})

    def explain(self, ctx: RequestContext, table_id: str) -> list[str]:
        """What protects a table from the caller, one sentence each, for `insjo why`."""
        found = self.of(ctx, table_id)
        sentences = []
        for each in found.filters:
            arguments = ", ".join(argument.text() for argument in each.arguments)
            sentences.append(f"Rows of which `{each.function_name}({arguments})` is not true are hidden{_by(each.policy)}.")
        sentences += [
            f"The column `{mask.column}` is shown as `{mask.function_name}` makes it{_by(mask.policy)}." for mask in found.masks.values()
        ]
        return sentences

    def list(self, ctx: RequestContext) -> list[PlacedProtection]:
        """Filters and masks of the tables that the caller may see, by functions that it may see."""
        visible = self._authority.visible(ctx, SecurableKind.TABLE)
        with self._changes.reading() as reading:
            rows = store.fetch(reading, visible, ROWS_MAX)
            decisions = self._authority.decide_many(ctx, [(Privilege.BROWSE, row.function_id) for row in rows], connection=reading)
        return [row for row, decision in zip(rows, decisions, strict=True) if decision.allowed]

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
        self._tags.rename_column(table_id, column, new, connection=connection)

    def require_unused(self, function_id: str) -> None:
        """Raise ProtectionInUse when a table is protected by the function: without it nobody could read the table."""
        with self._changes.reading() as reading:
            count = store.count_uses(reading, function_id) + tag_store.count_policies(reading, function_id)
        if count:
            message = f"The function protects tables: {count} row filters, column masks or policies call it."
            raise ProtectionInUse(message, hint="Drop those first.")

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


def _by(policy: str) -> str:
    """Which policy says so."""
    return f", as the policy `{policy}` says" if policy else ""


def _by_table(rows: Sequence[PlacedProtection]) -> dict[str, Protection]:
    """Protections by the identifier of their table."""
    filters: dict[str, tuple[RowFilter, ...]] = {}
    masks: dict[str, dict[str, ColumnMask]] = {}
    for row in rows:
        if row.column == store.ROW_FILTER:
            filters[row.securable_id] = (RowFilter(row.function_id, row.arguments, function_name=row.function_name),)
        else:
            mask = ColumnMask(row.column, row.function_id, row.arguments, function_name=row.function_name)
            masks.setdefault(row.securable_id, {})[row.column] = mask
    return {table_id: Protection(filters.get(table_id, ()), masks.get(table_id, {})) for table_id in {*filters, *masks}}


def _applied(policy: Policy, columns: Mapping[str, Mapping[str, str]]) -> list[RowFilter | ColumnMask]:
    """What a policy asks for on a table whose columns have these tags; nothing when an alias matches no column."""
    matched = {
        each.alias.lower(): [name for name, tags in columns.items() if condition_of(each.condition)(tags)] for each in policy.columns
    }
    if not all(matched.values()):
        return []
    if policy.kind is PolicyKind.ROW_FILTER:
        return [RowFilter(policy.function_id, _arguments(policy, matched), policy.name, policy.function_name)]
    on = policy.on_column.lower()
    masks: list[RowFilter | ColumnMask] = []
    for column in matched[on]:
        arguments = (Argument(column=column), *_arguments(policy, {**matched, on: [column]}))
        masks.append(ColumnMask(column, policy.function_id, arguments, policy.name, policy.function_name))
    return masks


def _arguments(policy: Policy, matched: Mapping[str, Sequence[str]]) -> tuple[Argument, ...]:
    """The arguments with columns in place of aliases; an alias that means several columns would be a guess."""
    found = []
    for argument in policy.arguments:
        columns = matched.get(argument.column.lower(), ())
        if argument.column and len(columns) != 1:
            message = f"`{argument.column}` of the policy `{policy.name}` matches several columns."
            raise PolicyConflict(message, hint="Let its condition match one column of each table.")
        found.append(Argument(column=columns[0]) if argument.column else argument)
    return tuple(found)
