"""Which served model answers: the first in order that is cleared for the content and does not fail before its first byte."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from insjo.access.service.flow import hash_of, may_flow
from insjo.gateway.errors import ProviderBusy, ProviderRefused, ProviderUnreachable
from insjo.gateway.service.health import retry_after_s
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

EXPLORED: Final = 0.05
PAUSE_S: Final = 0.25
"""Longest pause before the first retry; doubled with each further one."""

PAUSE_S_MAX: Final = 5.0
"""Longest pause that Insjö makes for its caller, also when a provider asks for more with `Retry-After`: then the caller is told."""

PASSING: Final = frozenset({408, 409, 500, 502, 503, 504})
"""Statuses of a provider's trouble that may be gone in a moment."""


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
        conversation: bytes = b"",
    ) -> Routed[T]:
        """Try the served models in order until one answers; `attempt` must send nothing but what it gets cleared.

        `content` is what is asked, for the hash in the audit; `approved` is the one served model to which somebody let this call go;
        requests of one `conversation` go to the same served model.

        Raises:
            FlowBlocked: No served model that the policy allows may receive the content.
            UpstreamFailed: All that may receive it failed; the error of the last.
        """
        plan = self.plan(view, provenance.label)
        if approved is not None:
            plan = replace(plan, cleared=(approved,), refused=None, route=None, shares=())
        meter.label_text = plan.label_text
        trouble: InsjoError | None = None
        candidates, resting = in_order(view, plan, conversation)
        retries = view.routing.retries if approved is None else 0  # An approval is good for one attempt.
        for again in range(retries + 1):
            for candidate in candidates:
                known = trouble is None and not resting and plan.route is not None and candidate is plan.cleared[0]
                route = (
                    plan.route if known and plan.route is not None else _route(view, candidate, plan, provenance.label, trouble, resting)
                )
                meter.candidate, meter.outcome = candidate, route.outcome
                try:
                    result = await _tried(candidate, attempt, view)
                except (UpstreamFailed, Unavailable, ProviderBusy) as error:
                    trouble = _named(error, candidate)
                    continue
                if route.outcome == "rerouted":
                    self._record(ctx, view, route, provenance, candidate)
                return Routed(result, candidate, route)
            if trouble is None or again == retries:
                break
            candidates = await _once_more(candidates, trouble, again)
            if not candidates:
                break
        if trouble is None:
            meter.candidate = None
            raise await self._block(ctx, plan, provenance, content, purpose)
        raise trouble

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


def in_order(view: EndpointView, plan: Plan, conversation: bytes = b"") -> tuple[tuple[Candidate, ...], str]:
    """The cleared served models in the order in which they are tried, and the name of the one that would be first and rests.

    Those that rest after failures are left out, unless all of them do: then an attempt is better than none.
    """
    ordered = plan.cleared
    if plan.shares:
        ordered = drawn(plan, conversation)
    elif len(ordered) > 1 and view.routing.strategy == "latency":
        ordered = fastest(plan, conversation)
    for each in ordered:
        if each.health is not None and each.health.troubled:
            break
    else:
        return ordered, ""
    well = tuple(each for each in ordered if each.health is None or not each.health.troubled or each.health.admits())
    return (well, "" if well[0] is ordered[0] else ordered[0].served.name) if well else (ordered, "")


def drawn(plan: Plan, conversation: bytes = b"") -> tuple[Candidate, ...]:
    """The served models in an order that begins with one drawn by the shares; the others stand by, in their own order.

    A conversation draws the same one again, and a change of the shares moves no more conversations than it must (weighted rendezvous
    hashing: Schindelhauer and Schomaker, 2005).
    """
    if conversation:
        first = min(plan.cleared, key=lambda each: _distance(conversation, each, plan.shares[plan.cleared.index(each)]))
    else:
        (first,) = random.choices(plan.cleared, plan.shares)  # noqa: S311  # No secret: it spreads load.
    return (first, *(each for each in plan.cleared if each is not first))


def fastest(plan: Plan, conversation: bytes = b"") -> tuple[Candidate, ...]:
    """The served models by the time to their first byte of late; one of twenty requests looks whether another has become faster."""
    if conversation:
        return tuple(sorted(plan.cleared, key=lambda each: _distance(conversation, each, 1)))
    if random.random() < EXPLORED:  # noqa: S311  # No secret: it spreads load.
        (first,) = random.choices(plan.cleared)  # noqa: S311  # As above.
        return (first, *(each for each in plan.cleared if each is not first))
    return tuple(sorted(plan.cleared, key=lambda each: each.health.first_byte_s if each.health is not None else 0.0))


def _distance(conversation: bytes, candidate: Candidate, share: int) -> float:
    """How far a conversation is from a served model; the nearest one answers."""
    if not share:
        return math.inf
    digest = hashlib.blake2b(conversation + candidate.served.name.encode(), digest_size=8).digest()
    return -math.log((int.from_bytes(digest) + 1) / 2**64) / share


async def _tried(candidate: Candidate, attempt: Callable[[Candidate], Awaitable[T]], view: EndpointView) -> T:
    """One attempt; how it goes is remembered."""
    if candidate.unusable is not None:
        raise candidate.unusable
    health = candidate.health
    if health is None:
        return await attempt(candidate)
    started_s = time.perf_counter() if view.routing.strategy == "latency" else 0.0
    try:
        result = await attempt(candidate)
    except ProviderBusy as error:
        health.asked_for_rest(error)
        raise
    except UpstreamFailed as error:
        health.failed(error)
        raise
    if started_s and not getattr(result, "cached", False):
        health.measured(time.perf_counter() - started_s)
    return result


async def _once_more(candidates: tuple[Candidate, ...], trouble: InsjoError, again: int) -> tuple[Candidate, ...]:
    """Those that are tried once more, after a pause; none when nothing speaks for it."""
    left = tuple(each for each in candidates if each.health is not None and each.unusable is None)
    wait_s = retry_after_s(trouble)
    if (
        not left
        or not is_passing(trouble)
        or wait_s > PAUSE_S_MAX
        or not all(each.health is None or each.health.take_retry() for each in left)
    ):
        return ()
    pause_s = random.uniform(0, min(PAUSE_S * 2**again, PAUSE_S_MAX))  # noqa: S311  # No secret: it keeps callers apart.
    await asyncio.sleep(max(wait_s, 0.0) + pause_s)
    return left


def is_passing(trouble: InsjoError) -> bool:
    """Whether an error may be gone in a moment: cut connections, servers in trouble or too busy, but no refused key and no slow answer."""
    if isinstance(trouble, ProviderUnreachable | ProviderBusy):
        return True
    return isinstance(trouble, ProviderRefused) and trouble.details.get("upstream_status", 0) in PASSING


def _route(view: EndpointView, candidate: Candidate, plan: Plan, label: Label, failure: InsjoError | None, resting: str = "") -> Route:
    """The way to a served model in words."""
    outcome: Outcome = "direct"
    reason = ""
    if plan.refused is not None:
        outcome, reason = "rerouted", f"`{plan.refused[0].served.name}` may not receive this: {plan.refused[1]}"
    elif failure is not None:
        outcome, reason = "failed_over", f"Another served model failed: {failure.message}"
    elif resting:
        outcome, reason = "failed_over", f"`{resting}` rests after failures."
    return Route(view.name, candidate.served.name, candidate.endpoint, outcome, reason, label)


def _named(error: InsjoError, candidate: Candidate) -> InsjoError:
    """The error with the served model that it is about."""
    error.details.setdefault("served_model", f"{candidate.endpoint}/{candidate.served.name}")
    return error
