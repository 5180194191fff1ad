"""Which served model answers: the first in order that is cleared for the content and does not fail before its first byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from insjo.access.service.flow import hash_of, may_flow
from insjo.gateway.errors import ProviderBusy
from insjo.gateway.types import Route
from insjo.kernel.errors import InsjoError, Unavailable, UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from insjo.access.errors import FlowBlocked
    from insjo.access.service.facade import Access
    from insjo.access.types import Provenance
    from insjo.gateway.service.meter import Meter
    from insjo.gateway.service.snapshot import Candidate, EndpointView
    from insjo.gateway.types import Outcome
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Routed(Generic[T]):
    """What the chosen served model gave, and the way there."""

    result: T
    candidate: Candidate
    route: Route


class Router:
    """Walks the candidates of an endpoint."""

    def __init__(self, *, access: Access, threads: Threads) -> None:
        """Decide with this access."""
        self._access = access
        self._threads = threads

    async def route(
        self,
        ctx: RequestContext,
        view: EndpointView,
        provenance: Provenance,
        content: bytes,
        meter: Meter,
        attempt: Callable[[Candidate], Awaitable[T]],
        *,
        purpose: str,
    ) -> Routed[T]:
        """Try the served models in order until one answers; `attempt` must send nothing but what it gets cleared.

        `content` is what is asked, for the hash in the audit.

        Raises:
            FlowBlocked: No served model that the policy allows may receive the content.
            UpstreamFailed: All that may receive it failed; the error of the last.
        """
        meter.label = label = provenance.label
        refused: list[tuple[Candidate, str]] = []
        failure: InsjoError | None = None
        for candidate in view.candidates:
            decision = may_flow(label, candidate.clearance)
            if not decision.allowed:
                refused.append((candidate, decision.reason))
                if view.policy.on_conflict == "block":
                    break
                continue
            meter.candidate = candidate
            outcome: Outcome = "rerouted" if refused else "failed_over" if failure else "direct"
            meter.outcome = outcome
            try:
                if candidate.unusable is not None:
                    raise candidate.unusable
                result = await attempt(candidate)
            except (UpstreamFailed, Unavailable, ProviderBusy) as error:
                failure = _named(error, candidate)
                continue
            route = self._describe(view, candidate, provenance, outcome, refused, failure)
            if outcome == "rerouted":
                self._record(ctx, view, route, provenance, candidate)
            return Routed(result, candidate, route)
        if failure is not None:
            raise failure
        raise await self._block(ctx, refused[0], provenance, content, purpose)

    async def _block(
        self, ctx: RequestContext, refused: tuple[Candidate, str], provenance: Provenance, content: bytes, purpose: str
    ) -> FlowBlocked:
        """Let `access` write the refusal down and word it; in a thread, since a refusal is written at once."""
        destination = refused[0].clearance.destination
        block = self._access.flows.block
        return await self._threads.run(block, ctx, provenance, destination, refused[1], purpose, content_hash=hash_of(content))

    def _record(self, ctx: RequestContext, view: EndpointView, route: Route, provenance: Provenance, candidate: Candidate) -> None:
        self._access.audit.record(
            ctx,
            "endpoint.query",
            outcome="rerouted",
            object=view.name,
            securable_id=view.id,
            label=provenance.label,
            destination=candidate.clearance.destination,
            origins=provenance.origins,
            reason=route.reason,
        )

    @staticmethod
    def _describe(
        view: EndpointView,
        candidate: Candidate,
        provenance: Provenance,
        outcome: Outcome,
        refused: list[tuple[Candidate, str]],
        failure: InsjoError | None,
    ) -> Route:
        reason = ""
        if refused:
            reason = f"`{refused[0][0].served.name}` may not receive this: {refused[0][1]}"
        elif failure is not None:
            reason = f"Another served model failed: {failure.message}"
        return Route(view.name, candidate.served.name, candidate.endpoint, outcome, reason, provenance.label)


def _named(error: InsjoError, candidate: Candidate) -> InsjoError:
    """The error with the served model that it is about."""
    error.details.setdefault("served_model", f"{candidate.endpoint}/{candidate.served.name}")
    return error
