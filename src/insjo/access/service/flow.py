"""The second of the two functions that decide: may this content go there?  And the only maker of Cleared values."""

from __future__ import annotations

import functools
import hashlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from insjo.access.errors import FlowBlocked
from insjo.access.store import labels as store
from insjo.access.types import _CLEARING, ALL, ZONES, Clearance, Cleared, FlowDecision, Level, Privilege
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from insjo.access.service.approvals import Approvals
    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.service.principals import Principals
    from insjo.access.store.changes import Changes
    from insjo.access.types import Label, Origin, Provenance
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

T = TypeVar("T")

CLEARANCES_MAX: Final = 100_000
DESTINATION_CHARS_MAX: Final = 500
KEEPS_MAX: Final = Level.CONFIDENTIAL
"""Nothing above this goes to a destination that keeps what it receives, whatever it was cleared for."""
TRAINS_MAX: Final = Level.PUBLIC
"""Nothing above this goes to a destination that trains on what it receives."""
NAMED_MAX: Final = 20
"""Origins that one refusal names."""


@functools.lru_cache(maxsize=4096)
def may_flow(label: Label, clearance: Clearance) -> FlowDecision:
    """Whether content with this label may go to a destination with this clearance, and why not; pure."""
    problems = []
    level = label.level.name.lower()
    if label.level > clearance.level:
        problems.append(f"it is {level}, and the destination is cleared for {clearance.level.name.lower()}")
    if clearance.categories is not ALL and not label.categories <= clearance.categories:
        problems.append(f"the destination is not cleared for {', '.join(sorted(label.categories - clearance.categories))}")
    if clearance.zone not in label.zones:
        where = "this machine" if label.zone == "local" else f"zone {label.zone}"
        problems.append(f"it must stay in {where}, and the destination is in zone {clearance.zone}")
    if clearance.trains and label.level > TRAINS_MAX:
        problems.append(f"it is {level}, and the destination trains on what it receives")
    if clearance.keeps and label.level > KEEPS_MAX:
        problems.append(f"it is {level}, and the destination keeps what it receives")
    if problems:
        return FlowDecision(allowed=False, reason="; ".join(problems))
    return FlowDecision(allowed=True, reason=f"{label.text()} is within the clearance")


class Clearances:
    """What each destination may receive; a destination that nobody cleared may receive public content only."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, principals: Principals) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._principals = principals
        self._reading = threading.Lock()
        self._known: tuple[int, dict[str, Clearance]] = (-1, {})

    def get(self, destination: str) -> Clearance:
        """What a destination may receive; from memory, read again when anything changed."""
        return self._snapshot().get(destination) or Clearance(destination)

    def set(self, ctx: RequestContext, clearance: Clearance, *, connection: sa.Connection | None = None) -> Clearance:
        """Clear a destination; metastore admins only."""
        if not clearance.destination or len(clearance.destination) > DESTINATION_CHARS_MAX or clearance.zone not in ZONES:
            message = f"`{clearance.destination[:100]}` in zone `{clearance.zone}` cannot be cleared."
            raise InvalidArgument(message, hint="A destination is a text like `served_model:chat/local`; zones are local, eu and any.")
        categories = clearance.categories
        if categories is not ALL:
            categories = frozenset(" ".join(word.casefold().split()) for word in categories)
        clearance = replace(clearance, level=Level(clearance.level), categories=categories)
        with self._changes.writing(connection) as writing:
            self._principals.require_admin(ctx, "clear destinations", connection=writing)
            self._changes.bump(writing)
            store.put_clearance(writing, clearance, ctx.principal.id, self._clock.now())
            self._audit.record(
                ctx,
                "clearance.set",
                outcome="changed",
                destination=clearance.destination,
                reason=_words(clearance),
                connection=writing,
            )
        return clearance

    def remove(self, ctx: RequestContext, destination: str, *, connection: sa.Connection | None = None) -> None:
        """Let a destination fall back to public content; metastore admins only.  Nothing changes when nobody had cleared it."""
        with self._changes.writing(connection) as writing:
            self._principals.require_admin(ctx, "clear destinations", connection=writing)
            if store.delete_clearance(writing, destination):
                self._changes.bump(writing)
                self._audit.record(ctx, "clearance.remove", outcome="changed", destination=destination, connection=writing)

    def list(self, ctx: RequestContext) -> tuple[Clearance, ...]:
        """All destinations that somebody cleared; metastore admins only, since destinations bear the names of objects that may be hidden.

        What one destination may receive is told where the destination itself is, as on the page of an endpoint.
        """
        self._principals.require_admin(ctx, "list where content may go")
        return self.fetch_all()

    def fetch_all(self) -> tuple[Clearance, ...]:
        """As `list`, for snapshots that are built for no caller."""
        with self._changes.reading() as reading:
            return tuple(store.fetch_clearances(reading, CLEARANCES_MAX))

    def _snapshot(self) -> dict[str, Clearance]:
        """All clearances as of the last change."""
        revision = self._changes.value
        known, clearances = self._known
        if known == revision:
            return clearances
        with self._reading:
            if self._known[0] != revision:
                self._known = (revision, {each.destination: each for each in self.fetch_all()})
            return self._known[1]


class Flows:
    """Clears content for a destination, or refuses; every decision is a row of the audit."""

    def __init__(self, *, audit: Audit, authority: Authority, clearances: Clearances, approvals: Approvals) -> None:
        """Everything by keyword."""
        self._approvals = approvals
        self._audit = audit
        self._authority = authority
        self._clearances = clearances

    def clear(
        self,
        ctx: RequestContext,
        content: T,
        provenance: Provenance,
        clearance: Clearance,
        purpose: str,
        *,
        content_hash: str = "",
        approved_hash: str = "",
    ) -> Cleared[T]:
        """The content as an adapter takes it, when both this clearance and the one on record allow it, or somebody approved this call.

        The clearance that the caller gives can only be stricter than the one on record: nobody clears a destination by making an
        object.

        Args:
            ctx: Who sends it.
            content: Immutable; exactly what will be sent.
            provenance: Its label and where it comes from.
            clearance: Of the destination, as the caller saw it when it chose the destination.
            purpose: Action in the audit: `completion`, `embedding`, `tool` ...
            content_hash: Of what is sent; bytes and text are hashed here when it is empty.
            approved_hash: Of the call as it was asked about, when it was approved; the approval is used up here.

        Raises:
            FlowBlocked: With the origins that the caller may browse.
        """
        outcome = "allowed"
        decision = may_flow(provenance.label, clearance)
        if decision.allowed:
            decision = may_flow(provenance.label, self._clearances.get(clearance.destination))
        if not decision.allowed and approved_hash:
            by = self._approvals.take(ctx, provenance, clearance.destination, approved_hash)
            if by:
                outcome, decision = "approved", FlowDecision(allowed=True, reason=f"{by} approved this call; {decision.reason}")
        if not decision.allowed:
            raise self.block(ctx, provenance, clearance.destination, decision.reason, purpose, content_hash=content_hash)
        self._audit.record(
            ctx,
            f"flow.{purpose}",
            outcome=outcome,
            label=provenance.label,
            destination=clearance.destination,
            origins=provenance.origins,
            reason=decision.reason,
            content_hash=content_hash or hash_of(content),
        )
        return Cleared(content, provenance, clearance.destination, new_id(), key=_CLEARING)

    def block(
        self,
        ctx: RequestContext,
        provenance: Provenance,
        destination: str,
        reason: str,
        purpose: str,
        *,
        content_hash: str = "",
    ) -> FlowBlocked:
        """The error for content that may go nowhere, recorded; for a router that found no destination."""
        self._audit.record(
            ctx,
            f"flow.{purpose}",
            outcome="blocked",
            label=provenance.label,
            destination=destination,
            origins=provenance.origins,
            reason=reason,
            content_hash=content_hash,
        )
        names = self.nameable(ctx, provenance.origins)
        source = f" It comes from {', '.join(f'`{name}`' for name in names)}." if names else ""
        message = f"The content is `{provenance.label.text()}` and may not go to `{destination}`: {reason}.{source}"
        details = {"label": provenance.label.as_json(), "destination": destination, "origins": names}
        return FlowBlocked(message, hint="Choose a destination with a higher clearance, for example a local model.", details=details)

    def nameable(self, ctx: RequestContext, origins: Sequence[Origin]) -> list[str]:
        """Names of those origins that the caller may browse, and of what was found in the caller's own text."""
        ids = [origin.securable_id for origin in origins if origin.securable_id]
        decisions = self._authority.decide_many(ctx, [(Privilege.BROWSE, each) for each in dict.fromkeys(ids)])
        browsable = {decision.securable_id for decision in decisions if decision.allowed}
        seen = [origin.object for origin in origins if origin.own_words or origin.securable_id in browsable]
        return list(dict.fromkeys(seen))[:NAMED_MAX]


def hash_of(content: object) -> str:
    """BLAKE2b of bytes or text, so that the audit can prove later what was sent; empty for other content."""
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    if isinstance(content, bytes):
        return hashlib.blake2b(content, digest_size=32).hexdigest()
    return ""


def _words(clearance: Clearance) -> str:
    """The clearance in words for the audit."""
    categories = "all categories" if clearance.categories is ALL else ", ".join(sorted(clearance.categories)) or "no category"
    habits = [word for word, flag in (("keeps", clearance.keeps), ("trains", clearance.trains)) if flag]
    return "; ".join([clearance.level.name.lower(), categories, f"zone {clearance.zone}", *habits])
