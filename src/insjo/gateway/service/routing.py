"""Which served model answers: the first in order that is cleared for the content and does not fail before its first byte."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from insjo.access.service.flow import hash_of, may_flow
from insjo.gateway.errors import ProviderBusy, ProviderRefused
from insjo.gateway.service.snapshot import Plan
from insjo.gateway.types import Route
from insjo.kernel.errors import InsjoError, Unavailable, UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from insjo.access.service.facade import Access
    from insjo.access.types import Label, Provenance
    from insjo.gateway.service.meter import Meter
    from insjo.gateway.service.snapshot import Candidate, EndpointView
    from insjo.gateway.types import Outcome
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

T = TypeVar("T")

PLANS_MAX: Final = 256
"""Labels for which an endpoint remembers what it does."""


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
        approved: Candidate | None = None,
    ) -> Routed[T]:
        """Try the served models in order until one answers; `attempt` must send nothing but what it gets cleared.

        `content` is what is asked, for the hash in the audit; `approved` is the one served model to which somebody let this call go.

        Raises:
            FlowBlocked: No served model that the policy allows may receive the content.
            UpstreamFailed: All that may receive it failed; the error of the last.
        """
        plan = self.plan(view, provenance.label)
        if approved is not None:
            plan = replace(plan, cleared=(approved,), refused=None, route=None, shares=())
        meter.label_text = plan.label_text
        failure: InsjoError | None = None
        for candidate in drawn(plan) if plan.shares else plan.cleared:
            known = failure is None and plan.route is not None and candidate is plan.cleared[0]
            route = plan.route if known and plan.route is not None else _route(view, candidate, plan, provenance.label, failure)
            meter.candidate, meter.outcome = candidate, route.outcome
            try:
                if candidate.unusable is not None:
                    raise candidate.unusable
                result = await attempt(candidate)
            except (UpstreamFailed, Unavailable, ProviderBusy) as error:
                failure = _named(error, candidate)
                continue
            if route.outcome == "rerouted":
                self._record(ctx, view, route, provenance, candidate)
            return Routed(result, candidate, route)
        if failure is None:
            meter.candidate = None
            raise await self._block(ctx, plan, provenance, content, purpose)
        raise failure

    @staticmethod
    def plan(view: EndpointView, label: Label) -> Plan:
        """What an endpoint does with content of a label."""
        return view.plans.get(label) or make_plan(view, label)

    def mark(
        self,
        ctx: RequestContext,
        view: EndpointView,
        routed: Routed[T],
        outcome: Outcome,
        reason: str,
        provenance: Provenance,
        meter: Meter,
    ) -> Routed[T]:
        """The same way, told and recorded as one that was open only because something was left out, replaced or approved."""
        route = replace(routed.route, outcome=outcome, reason=reason)
        meter.outcome = outcome
        self._record(ctx, view, route, provenance, routed.candidate)
        return replace(routed, route=route)

    @staticmethod
    def mark_cached(routed: Routed[T], meter: Meter) -> Routed[T]:
        """The same way, told as one on which nothing was sent; what else had to be done stays the outcome."""
        meter.cached = True
        if routed.route.outcome != "direct":
            return routed
        meter.outcome = "cached"
        return replace(routed, route=replace(routed.route, outcome="cached", reason="The same request was answered before."))

    async def _block(self, ctx: RequestContext, plan: Plan, provenance: Provenance, content: bytes, purpose: str) -> InsjoError:
        """Let `access` write the refusal down and word it; in a thread, since a refusal is written at once."""
        if plan.refused is None:
            return ProviderRefused("This endpoint has no served model.")
        refused, reason = plan.refused
        block, destination = self._access.flows.block, refused.clearance.destination
        return await self._threads.run(block, ctx, provenance, destination, reason, purpose, content_hash=hash_of(content))

    def _record(self, ctx: RequestContext, view: EndpointView, route: Route, provenance: Provenance, candidate: Candidate) -> None:
        self._access.audit.record(
            ctx,
            "endpoint.query",
            outcome=route.outcome,
            object=view.name,
            securable_id=view.id,
            label=provenance.label,
            destination=candidate.clearance.destination,
            origins=provenance.origins,
            reason=route.reason,
        )


def make_plan(view: EndpointView, label: Label) -> Plan:
    """Ask for each served model whether it may receive content of this label, and remember the answers with the endpoint."""
    cleared: list[Candidate] = []
    refused: tuple[Candidate, str] | None = None
    for candidate in view.candidates:
        decision = may_flow(label, candidate.clearance)
        if decision.allowed:
            cleared.append(candidate)
        elif refused is None and not cleared:
            refused = (candidate, decision.reason)
            if view.policy.on_conflict == "block":
                break
    shares = tuple(each.served.share if each.endpoint == view.name else 0 for each in cleared)
    plan = Plan(tuple(cleared), refused, None, label.text(), shares if any(shares) else ())
    if cleared:
        plan = replace(plan, route=_route(view, cleared[0], plan, label, None))
    if len(view.plans) >= PLANS_MAX:
        view.plans.clear()
    view.plans[label] = plan
    return plan


def drawn(plan: Plan) -> tuple[Candidate, ...]:
    """The served models in an order that begins with one drawn by the shares; the others stand by, in their own order."""
    (first,) = random.choices(plan.cleared, plan.shares)  # noqa: S311  # No secret: it spreads load.
    return (first, *(each for each in plan.cleared if each is not first))


def _route(view: EndpointView, candidate: Candidate, plan: Plan, label: Label, failure: InsjoError | None) -> Route:
    """The way to a served model in words."""
    outcome: Outcome = "direct"
    reason = ""
    if plan.refused is not None:
        outcome, reason = "rerouted", f"`{plan.refused[0].served.name}` may not receive this: {plan.refused[1]}"
    elif failure is not None:
        outcome, reason = "failed_over", f"Another served model failed: {failure.message}"
    return Route(view.name, candidate.served.name, candidate.endpoint, outcome, reason, label)


def _named(error: InsjoError, candidate: Candidate) -> InsjoError:
    """The error with the served model that it is about."""
    error.details.setdefault("served_model", f"{candidate.endpoint}/{candidate.served.name}")
    return error
