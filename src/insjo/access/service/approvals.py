"""Approvals: somebody is asked about one call above a clearance, and what is granted holds for that call once (law.md 3).

Nothing is ever let through by silence: a question that nobody answers expires.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from insjo.access.errors import AccessDenied, ApprovalNeeded, ApprovalNotFound, TooManyApprovals
from insjo.access.store import approvals as store
from insjo.access.types import DETECTED, Approval, Label, Level, Privilege
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.service.principals import Principals
    from insjo.access.store.approvals import ApprovalRow
    from insjo.access.store.changes import Changes
    from insjo.access.types import ApprovalState, Asks, Provenance
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

PENDING: Final = timedelta(hours=24)
"""How long a question waits for an answer."""

GRANTED: Final = timedelta(hours=1)
"""How long what was granted can be used."""

KEPT: Final = timedelta(days=30)
PENDING_MAX: Final = 50
"""Questions of one person that wait at a time."""

LIST_MAX: Final = 500
ORIGINS_MAX: Final = 100
NOTE_CHARS_MAX: Final = 1000


class Approvals:
    """Questions about single calls, and their answers."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, authority: Authority, principals: Principals) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority
        self._principals = principals

    def ask(
        self, ctx: RequestContext, provenance: Provenance, destination: str, reason: str, purpose: str, content_hash: str, asks: Asks
    ) -> ApprovalNeeded:
        """Ask about one call, or point to the question that waits already; gives the error that tells the caller.

        Content that is secret is never left to the caller alone: then a steward is asked whatever the policy says.

        Raises:
            TooManyApprovals: Too many questions of this caller wait.
        """
        if provenance.label.level >= Level.SECRET:
            asks = "steward"
        now = self._clock.now()
        with self._changes.writing() as writing:
            row = store.fetch_call(writing, ctx.principal.id, destination, content_hash, "pending", now)
            if row is None:
                if store.count_pending(writing, ctx.principal.id, now) >= PENDING_MAX:
                    message = f"{PENDING_MAX} of your calls wait for an approval already."
                    raise TooManyApprovals(message, hint="They stand on the page `/usage/approvals`.")
                store.prune(writing, now - KEPT)
                row = _new_row(ctx, provenance, destination, reason, purpose, content_hash, asks, now)
                store.insert(writing, row)
                self._audit.record(
                    ctx,
                    "approval.ask",
                    outcome="asked",
                    destination=destination,
                    label=provenance.label,
                    origins=provenance.origins,
                    reason=reason,
                    content_hash=content_hash,
                    connection=writing,
                )
        who = "you" if row.asks == "user" else "a steward of the data or a metastore admin"
        names = self._nameable(ctx, row)
        source = f" It comes from {', '.join(f'`{name}`' for name in names)}." if names else ""
        message = f"The content is `{provenance.label.text()}` and leaves for `{destination}` only if {who} approve it: {reason}.{source}"
        hint = f"Approval `{row.id}` on the page `/usage/approvals`; then send the same request again."
        details = {
            "approval_id": row.id,
            "asks": row.asks,
            "label": provenance.label.as_json(),
            "destination": destination,
            "origins": names,
        }
        return ApprovalNeeded(message, hint=hint, details=details)

    def granted(self, ctx: RequestContext, destination: str, content_hash: str) -> Approval | None:
        """Who approved this very call, if somebody did; it is still there for `take`."""
        with self._changes.reading() as reading:
            row = store.fetch_call(reading, ctx.principal.id, destination, content_hash, "granted", self._clock.now())
        return self._shown(ctx, row, may_decide=False) if row else None

    def take(self, ctx: RequestContext, provenance: Provenance, destination: str, content_hash: str) -> str:
        """Use up what was granted for this call; gives who granted it, or an empty text when nothing is."""
        now = self._clock.now()
        with self._changes.writing() as writing:
            row = store.fetch_call(writing, ctx.principal.id, destination, content_hash, "granted", now)
            if row is None or not Label.from_json(row.label).covers(provenance.label):
                return ""
            return row.decided_by if store.move(writing, row.id, "granted", now, state="used") else ""

    def list(self, ctx: RequestContext) -> tuple[Approval, ...]:
        """The caller's own questions and those that the caller may answer, the newest first."""
        with self._changes.reading() as reading:
            rows = {row.id: row for row in store.fetch_list(reading, LIST_MAX, ctx.principal.id)}
            rows.update({row.id: row for row in store.fetch_list(reading, LIST_MAX)})
        found = []
        for row in sorted(rows.values(), key=lambda row: (row.asked_at, row.id), reverse=True):
            allowed = self._may_decide(ctx, row)
            if allowed or row.principal_id == ctx.principal.id:
                found.append(self._shown(ctx, row, may_decide=allowed))
        return tuple(found)

    def decide(self, ctx: RequestContext, approval_id: str, *, grant: bool, note: str = "") -> Approval:
        """Grant or refuse.

        Raises:
            ApprovalNotFound: There is none that waits, or it is nothing for this caller.
            AccessDenied: It is the caller's own, and somebody else has to decide.
        """
        now = self._clock.now()
        with self._changes.writing() as writing:
            row = store.fetch(writing, approval_id[:64])
            if row is None or not (row.principal_id == ctx.principal.id or self._may_decide(ctx, row, connection=writing)):
                raise _missing(approval_id)
            if not self._may_decide(ctx, row, connection=writing):
                message = "Somebody else has to approve this call."
                raise AccessDenied(message, hint="Whoever manages the data, or a metastore admin, finds it on the page `/usage/approvals`.")
            values = {"decided_by": ctx.principal.name, "decided_at": now, "note": note.replace("\0", "")[:NOTE_CHARS_MAX]}
            if grant:
                values |= {"state": "granted", "expires_at": now + GRANTED}
            else:
                values |= {"state": "refused"}
            if not store.move(writing, row.id, "pending", now, **values):
                raise _missing(approval_id)
            self._audit.record(
                ctx,
                "approval.grant" if grant else "approval.refuse",
                outcome="changed",
                object=row.principal,
                destination=row.destination,
                label=Label.from_json(row.label),
                reason=str(values["note"]),
                content_hash=row.content_hash,
                connection=writing,
            )
            decided = store.fetch(writing, row.id)
        return self._shown(ctx, decided or row, may_decide=False)

    def _may_decide(self, ctx: RequestContext, row: ApprovalRow, connection: sa.Connection | None = None) -> bool:
        """The caller of the call when the policy asks them; else somebody else who manages all of the data, or an admin."""
        own = row.principal_id == ctx.principal.id
        if own:
            return row.asks == "user"
        if self._principals.is_admin(ctx.principal.id, connection=connection):
            return True
        ids = [place for _, place in row.origins if place]
        if not ids or len(ids) < len(row.origins):
            return False
        decisions = self._authority.decide_many(ctx, [(Privilege.MANAGE, each) for each in ids], connection=connection)
        return all(decision.allowed for decision in decisions)

    def _nameable(self, ctx: RequestContext, row: ApprovalRow) -> tuple[str, ...]:
        """Origins that this reader may browse, and what was found in the caller's own words."""
        ids = [place for _, place in row.origins if place]
        decisions = self._authority.decide_many(ctx, [(Privilege.BROWSE, each) for each in dict.fromkeys(ids)])
        browsable = {decision.securable_id for decision in decisions if decision.allowed}
        seen = [name for name, place in row.origins if place in browsable or (not place and name.startswith(DETECTED))]
        return tuple(dict.fromkeys(seen))

    def _shown(self, ctx: RequestContext, row: ApprovalRow, *, may_decide: bool) -> Approval:
        """A row as this reader may see it."""
        over = row.state in {"pending", "granted"} and row.expires_at <= self._clock.now()
        state: ApprovalState = "expired" if over else _STATES[row.state]
        return Approval(
            id=row.id,
            principal_id=row.principal_id,
            principal=row.principal,
            asks="user" if row.asks == "user" else "steward",
            purpose=row.purpose,
            destination=row.destination,
            label=Label.from_json(row.label),
            origins=self._nameable(ctx, row),
            content_hash=row.content_hash,
            reason=row.reason,
            state=state,
            asked_at=row.asked_at,
            expires_at=row.expires_at,
            decided_by=row.decided_by,
            note=row.note,
            may_decide=may_decide and state == "pending",
        )


_STATES: Final[dict[str, ApprovalState]] = {"pending": "pending", "granted": "granted", "refused": "refused", "used": "used"}


def _new_row(
    ctx: RequestContext,
    provenance: Provenance,
    destination: str,
    reason: str,
    purpose: str,
    content_hash: str,
    asks: Asks,
    now: datetime,
) -> ApprovalRow:
    """A question that waits."""
    return store.ApprovalRow(
        id=new_id(),
        principal_id=ctx.principal.id,
        principal=ctx.principal.name,
        asks=asks,
        purpose=purpose,
        destination=destination,
        label=provenance.label.as_json(),
        origins=_places(provenance),
        content_hash=content_hash,
        reason=reason[:2000],
        state="pending",
        asked_at=now,
        expires_at=now + PENDING,
        decided_by="",
        decided_at=None,
        note="",
    )


def _places(provenance: Provenance) -> list[list[str]]:
    """Names and identifiers of the origins; when there are too many, a last one that only admins can answer for."""
    found = [[origin.object, origin.securable_id or ""] for origin in dict.fromkeys(provenance.origins)]
    return found if len(found) <= ORIGINS_MAX else [*found[:ORIGINS_MAX], ["...", ""]]


def _missing(approval_id: str) -> ApprovalNotFound:
    return ApprovalNotFound(f"No approval `{approval_id[:64]}` waits for you.", hint="It was decided or used already, or it expired.")
