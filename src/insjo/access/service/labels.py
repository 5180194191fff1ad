"""Labels on securables and columns: set by people, derived by the platform, inherited downwards, lowered only by a signed word."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from insjo.access.errors import DeclassificationNeeded
from insjo.access.store import labels as store
from insjo.access.types import UNLABELLED, Declassification, Label, LabelSet, Privilege
from insjo.kernel.context import system_context
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.service.principals import Principals
    from insjo.access.store.changes import Changes
    from insjo.access.store.labels import PlacedDeclassification, PlacedLabel
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

DECLASSIFIED_S_MAX: Final = 366 * 86_400
"""Longest life of a declassification: whoever means it signs again each year."""


class Labels:
    """Reads and changes labels.

    The label of a securable is the join of every label that was set on it or above it, and of what the platform derived for it; where
    there is none at all it is `internal`.  A column joins its own label to that of its table.  A declassification replaces what its
    securable or column would have had, as long as that is still what the steward saw when signing.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        changes: Changes,
        audit: Audit,
        authority: Authority,
        principals: Principals,
        key: bytes,
    ) -> None:
        """Everything by keyword; `key` signs declassifications."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority
        self._principals = principals
        self._key = key

    def set(
        self,
        ctx: RequestContext,
        securable_id: str,
        label: Label,
        column: str | None = None,
        *,
        reason: str = "",
        connection: sa.Connection | None = None,
    ) -> Label:
        """Put a label on a securable or column in place of the one set before, and give the effective one.

        Needs APPLY_TAG, MANAGE or ownership.  Letting the effective label fall, in any part, needs a metastore admin; below what is
        inherited or derived it never falls here: that takes `declassify`.

        Raises:
            DeclassificationNeeded: When the label would fall and the caller is no metastore admin.
        """
        return self._change(ctx, securable_id, label, column, reason, connection)

    def clear(
        self,
        ctx: RequestContext,
        securable_id: str,
        column: str | None = None,
        *,
        reason: str = "",
        connection: sa.Connection | None = None,
    ) -> Label:
        """Take away the label that people set, and give the effective one; needs and raises as `set`."""
        return self._change(ctx, securable_id, None, column, reason, connection)

    def raise_derived(
        self,
        ctx: RequestContext,
        securable_id: str,
        label: Label,
        column: str | None = None,
        *,
        connection: sa.Connection | None = None,
    ) -> Label:
        """Join what the platform computed for derived content to the securable; gives the derived label.

        Authorises nothing, since a label can only rise by it; people cannot take it back with `set` or `clear`.
        """
        name = _column(column)
        with self._changes.writing(connection) as writing:
            before = store.fetch_own(writing, securable_id, name, store.DERIVED)
            if before and before.covers(label):
                return before
            self._changes.bump(writing)
            before = store.fetch_own(writing, securable_id, name, store.DERIVED)
            after = before.join(label) if before else label
            store.put(writing, securable_id, name, store.DERIVED, after, ctx.principal.id, self._clock.now())
            self._changes.relabelled(writing, securable_id)
            self._record(ctx, "label.derive", securable_id, name, after, "", writing)
        return after

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call this with the identifier of each securable whose own label changed, after the change is committed.

        What stands below it may have another label too; `Securables.below` finds it.  The listener must be quick and touch no database.
        """
        self._changes.on_relabelled(listener)

    def rename_column(self, securable_id: str, column: str, new: str, *, connection: sa.Connection) -> None:
        """Let the label of a column follow its new name."""
        store.rename_column(connection, securable_id, _column(column), _column(new))
        self._changes.bump(connection)

    def declassify(
        self,
        ctx: RequestContext,
        securable_id: str,
        label: Label,
        column: str | None = None,
        *,
        reason: str,
        lifetime_s: int,
    ) -> Declassification:
        """Let content count as `label`, below what it inherits, for a time; signed by a metastore admin, with the reason.

        It ends by itself when it expires, when somebody sets a label on the same place, or when what it covers rises.

        Raises:
            AccessDenied: When the caller is no metastore admin.
        """
        if not reason.strip():
            message = "A declassification needs a reason."
            raise InvalidArgument(message)
        if not 0 < lifetime_s <= DECLASSIFIED_S_MAX:
            message = f"A declassification lives for at most {DECLASSIFIED_S_MAX} seconds, and not for {lifetime_s}."
            raise InvalidArgument(message)
        self._principals.require_admin(ctx, "declassify")
        name, now = _column(column), self._clock.now()
        with self._changes.writing() as writing:
            self._authority.place(ctx, securable_id, connection=writing)
            self._changes.bump(writing)
            store.end_declassifications(writing, securable_id, name, now)
            signed = Declassification(
                id=new_id(),
                securable_id=securable_id,
                column=name,
                covered=self.effective(securable_id, column, connection=writing),
                label=label,
                reason=reason.strip()[:2000],
                signed_by=ctx.principal.id,
                signed_at=now,
                expires_at=now + timedelta(seconds=lifetime_s),
            )
            signed = replace(signed, signature=self._signature(signed))
            store.insert_declassification(writing, signed)
            self._changes.relabelled(writing, securable_id)
            self._record(ctx, "label.declassify", securable_id, name, label, signed.reason, writing)
        return signed

    def end_declassification(self, ctx: RequestContext, securable_id: str, column: str | None = None) -> None:
        """End what `declassify` allowed; needs APPLY_TAG, MANAGE or ownership, since the label can only rise."""
        with self._changes.writing() as writing:
            self._may_tag(ctx, securable_id, writing)
            if store.end_declassifications(writing, securable_id, _column(column), self._clock.now()):
                self._changes.bump(writing)
                self._changes.relabelled(writing, securable_id)
                after = self.effective(securable_id, column, connection=writing)
                self._record(ctx, "label.end_declassification", securable_id, _column(column), after, "", writing)

    def declassifications(self, ctx: RequestContext, securable_id: str) -> tuple[Declassification, ...]:
        """Those that stand on a securable and its columns, whether or not they still hold."""
        self._authority.place(ctx, securable_id)
        with self._changes.reading() as reading:
            found = store.fetch_declassifications(reading, [securable_id], self._clock.now())
        return tuple(each.declassification for each in found if each.distance == 0)

    def own(self, securable_id: str, column: str | None = None) -> Label | None:
        """The label that people set on exactly this place, or None."""
        with self._changes.reading() as reading:
            return store.fetch_own(reading, securable_id, _column(column), store.SET)

    def effective(self, securable_id: str, column: str | None = None, *, connection: sa.Connection | None = None) -> Label:
        """The label that counts for a securable or a column."""
        return self.effective_sets([securable_id], connection=connection)[securable_id].of(column or "")

    def effective_many(self, securable_ids: Iterable[str], *, connection: sa.Connection | None = None) -> dict[str, Label]:
        """The labels that count for many securables."""
        return {each: found.label for each, found in self.effective_sets(securable_ids, connection=connection).items()}

    def columns(self, securable_id: str) -> dict[str, Label]:
        """The labels that count for those columns that have one of their own."""
        return dict(self.effective_sets([securable_id])[securable_id].columns)

    def effective_sets(self, securable_ids: Iterable[str], *, connection: sa.Connection | None = None) -> dict[str, LabelSet]:
        """The labels that count for many securables and their columns, from two queries."""
        return self.effective_until(securable_ids, connection=connection)[0]

    def effective_until(
        self, securable_ids: Iterable[str], *, connection: sa.Connection | None = None
    ) -> tuple[dict[str, LabelSet], datetime | None]:
        """As `effective_sets`, and the moment at which a label rises because a declassification ends; None when time changes nothing."""
        targets = list(dict.fromkeys(securable_ids))
        if not targets:
            return {}, None
        with self._changes.reading(connection) as reading:
            placed = store.fetch_on_the_way(reading, targets)
            lowered = store.fetch_declassifications(reading, targets, self._clock.now())
        labels: dict[str, list[PlacedLabel]] = {}
        for row in placed:
            labels.setdefault(row.target_id, []).append(row)
        words: dict[str, list[PlacedDeclassification]] = {}
        for word in lowered:
            if hmac.compare_digest(self._signature(word.declassification), word.declassification.signature):
                words.setdefault(word.target_id, []).append(word)
        until = min((word.declassification.expires_at for word in lowered), default=None)
        return {target: effective(labels.get(target, ()), words.get(target, ())) for target in targets}, until

    def _change(
        self,
        ctx: RequestContext,
        securable_id: str,
        label: Label | None,
        column: str | None,
        reason: str,
        connection: sa.Connection | None,
    ) -> Label:
        """Put or take away the set label of one place."""
        name, now = _column(column), self._clock.now()
        # The inner transaction lets a refused change leave nothing behind in a transaction of the caller.
        with self._changes.writing(connection) as writing, writing.begin_nested():
            self._may_tag(ctx, securable_id, writing)
            self._changes.bump(writing)
            before = self.effective(securable_id, column, connection=writing)
            store.end_declassifications(writing, securable_id, name, now)
            if label is None:
                store.delete(writing, securable_id, name, store.SET)
            else:
                store.put(writing, securable_id, name, store.SET, label, ctx.principal.id, now)
            after = self.effective(securable_id, column, connection=writing)
            if not after.covers(before) and not self._principals.is_admin(ctx.principal.id, connection=writing):
                message = f"The label would fall from `{before.text()}` to `{after.text()}`, which only a metastore admin may do."
                raise DeclassificationNeeded(message, hint="Ask a member of the group `admins`.")
            self._changes.relabelled(writing, securable_id)
            falls = "" if after.covers(before) else f"lowered from {before.text()}. "
            self._record(ctx, "label.set" if label else "label.clear", securable_id, name, after, falls + reason, writing)
        return after

    def _may_tag(self, ctx: RequestContext, securable_id: str, connection: sa.Connection) -> None:
        """Raise unless the caller may put labels on the securable."""
        questions = [(Privilege.MANAGE, securable_id), (Privilege.APPLY_TAG, securable_id)]
        manage, tag = self._authority.decide_many(ctx, questions, connection=connection)
        if not (manage.allowed or tag.allowed):
            self._authority.refuse(ctx, tag, name=securable_id)

    def _signature(self, signed: Declassification) -> str:
        """HMAC-SHA-256 over everything that a declassification says."""
        parts = [
            signed.id,
            signed.securable_id,
            signed.column,
            signed.covered.as_json(),
            signed.label.as_json(),
            signed.reason,
            signed.signed_by,
            signed.signed_at.isoformat(),
            signed.expires_at.isoformat(),
        ]
        return hmac.new(self._key, json.dumps(parts, separators=(",", ":")).encode(), hashlib.sha256).hexdigest()

    def _record(
        self,
        ctx: RequestContext,
        action: str,
        securable_id: str,
        column: str,
        label: Label,
        reason: str,
        connection: sa.Connection,
    ) -> None:
        """Row of the audit in the same transaction."""
        _, name = self._authority.place(system_context(), securable_id, connection=connection)
        what = f"{name}.{column}" if column else name
        self._audit.record(
            ctx,
            action,
            outcome="changed",
            object=what,
            securable_id=securable_id,
            label=label,
            reason=reason,
            connection=connection,
        )


def effective(labels: Sequence[PlacedLabel], words: Sequence[PlacedDeclassification]) -> LabelSet:
    """The labels that count for one securable; pure.

    Args:
        labels: All labels on the securable, its columns and the nodes above.
        words: Valid declassifications there, the newest first.
    """
    label: Label | None = None
    distances = sorted({each.distance for each in labels} | {each.distance for each in words}, reverse=True)
    for distance in distances:
        here = [each.label for each in labels if each.distance == distance and not each.column]
        label = _lowered(_join(label, here), [each for each in words if each.distance == distance and not each.declassification.column])
    names = {each.column for each in labels if each.column} | {
        each.declassification.column for each in words if each.declassification.column
    }
    columns: dict[str, Label] = {}
    for name in names:
        own = [each.label for each in labels if each.column == name]
        column = _lowered(_join(label, own), [each for each in words if each.declassification.column == name])
        columns[name] = UNLABELLED if column is None else column
    return LabelSet(UNLABELLED if label is None else label, columns)


def _join(label: Label | None, others: Iterable[Label]) -> Label | None:
    """Join of what is labelled; None where nothing is."""
    for other in others:
        label = other if label is None else label.join(other)
    return label


def _lowered(label: Label | None, words: Sequence[PlacedDeclassification]) -> Label | None:
    """What the newest declassification says, if it covers the label as it is now."""
    if words and words[0].declassification.covered.covers(label or UNLABELLED):
        return words[0].declassification.label
    return label


def _column(column: str | None) -> str:
    """The one form of a column's name; empty for the securable itself."""
    return (column or "").lower()
