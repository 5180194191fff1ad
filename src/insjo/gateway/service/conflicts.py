"""What is done with content above every clearance that a way leads to, in the order of the law: minimise, redact, ask, block (law.md 3).

Rerouting comes before all of these, and is the router's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import msgspec

from insjo.access.service.flow import hash_of, may_flow
from insjo.access.types import PUBLIC, Provenance
from insjo.gateway.service.minimising import minimise
from insjo.gateway.service.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.access.service.facade import Access
    from insjo.access.types import Asks, Label
    from insjo.gateway.service.minimising import Minimised
    from insjo.gateway.service.redaction import Redacted
    from insjo.gateway.service.routing import Router
    from insjo.gateway.service.snapshot import Candidate, EndpointView
    from insjo.gateway.service.wire import ReadBody
    from insjo.gateway.types import ChatRequest, Outcome
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

BESIDE: Final = frozenset({"model", "stream", "stream_options"})
"""Fields that make no other call of the same content."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A request as it goes on.

    Attributes:
        outcome: What had to be done, or None.
        reason: One sentence for people.
        about: Label and origins of what it was done about, for the audit.
        values: What placeholders stand for.
        approved: The served model to which this one call may go since somebody said so, and the hash under which they did.
    """

    read: ReadBody
    provenance: Provenance
    outcome: Outcome | None = None
    reason: str = ""
    about: Provenance = field(default_factory=lambda: Provenance(PUBLIC))
    values: Mapping[str, str] = field(default_factory=dict)
    approved: Candidate | None = None
    approved_hash: str = ""

    @property
    def watched(self) -> Label:
        """What the served model must stay cleared for while it answers; an approval stands above its clearance anyway."""
        return PUBLIC if self.approved is not None else self.provenance.label


class Conflicts:
    """Applies the policy of an endpoint."""

    def __init__(self, *, access: Access, router: Router, threads: Threads) -> None:
        """Everything by keyword."""
        self._access = access
        self._router = router
        self._threads = threads

    async def settle(
        self, ctx: RequestContext, view: EndpointView, read: ReadBody, provenance: Provenance, request: ChatRequest
    ) -> Settled:
        """The request as it may go on; unchanged when some way is open, or when none can be opened and the router has to refuse it.

        Raises:
            ApprovalNeeded: Somebody is asked.
            TooManyApprovals: Too many calls of this caller wait for somebody.
        """
        policy = view.policy
        if not (policy.minimise or policy.redact or policy.ask) or self._router.plan(view, provenance.label).cleared:
            return Settled(read, provenance)
        if policy.minimise:
            less = await self._threads.run(self._minimise, view, read, request)
            if less is not None:
                return Settled(less.read, less.provenance, "minimised", less.reason, less.left_out)
        if policy.redact:
            redacted = await self._redact(view, read, request)
            if redacted is not None:
                return Settled(redacted.read, redacted.provenance, "redacted", redacted.reason, redacted.provenance, redacted.values)
        if policy.ask:
            return await self._threads.run(self._ask, ctx, view, read, provenance)
        return Settled(read, provenance)

    def _minimise(self, view: EndpointView, read: ReadBody, request: ChatRequest) -> Minimised | None:
        """The request without what the first served model may not receive with which there is anything left to answer."""
        for candidate in view.candidates[:1] if view.policy.on_conflict == "block" else view.candidates:

            def fits(label: Label, candidate: Candidate = candidate) -> bool:
                return may_flow(label, candidate.clearance).allowed

            found = minimise(self._access.fingerprints, read, fits, request.parts, request.raise_to)
            if found is not None and self._router.plan(view, found.provenance.label).cleared:
                return found
        return None

    async def _redact(self, view: EndpointView, read: ReadBody, request: ChatRequest) -> Redacted | None:
        """The request with placeholders, when only so it may be sent somewhere.

        Content from inside comes with its provenance, which no change of the words takes away: it is never redacted.
        """
        if request.parts is not None:
            return None
        redacted = await self._threads.run(redact, self._access.fingerprints, read)
        if redacted is not None and request.raise_to is not None:
            redacted = replace(redacted, provenance=redacted.provenance.join(Provenance(request.raise_to)))
        if redacted is None or not self._router.plan(view, redacted.provenance.label).cleared:
            return None
        return redacted

    def _ask(self, ctx: RequestContext, view: EndpointView, read: ReadBody, provenance: Provenance) -> Settled:
        """The call as somebody approved it; raises ApprovalNeeded when nobody did yet."""
        refused = self._router.plan(view, provenance.label).refused
        if refused is None:
            return Settled(read, provenance)
        candidate, reason = refused
        destination, content_hash = candidate.clearance.destination, call_hash(read)
        approval = self._access.approvals.granted(ctx, destination, content_hash)
        if approval is None:
            asks: Asks = "user" if view.policy.ask == "user" else "steward"
            raise self._access.approvals.ask(ctx, provenance, destination, reason, "completion", content_hash, asks)
        told = f"`{approval.decided_by}` approved this call: {reason}"
        return Settled(read, provenance, "approved", told, provenance, approved=candidate, approved_hash=content_hash)


def call_hash(read: ReadBody) -> str:
    """Hash of what a call says, the same however its fields are ordered and whether or not it is streamed."""
    return hash_of(msgspec.json.encode({name: value for name, value in read.fields.items() if name not in BESIDE}, order="sorted"))
