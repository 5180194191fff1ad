"""What an endpoint does with content above a clearance, and the page of approvals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from insjo.gateway.service.dryrun import Trial
from insjo.gateway.types import EndpointSpec, Guardrail, GuardrailKind, Policy
from insjo.kernel.errors import InvalidArgument, NotFound
from insjo.web.pages.endpoints import show_with
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

APPROVALS = "/usage/approvals"
SECONDS_DIGITS_MAX = 9


def policy_of(form: Mapping[str, str], before: Policy) -> Policy:
    """The policy that a form describes; what the form does not show stays."""
    ask, cache_s = form.get("ask", ""), form.get("cache_s", "").strip()
    return replace(
        before,
        on_conflict="block" if form.get("on_conflict") == "block" else "reroute",
        fallback=form.get("fallback", "").strip(),
        minimise=form.get("minimise") == "on",
        redact=form.get("redact") == "on",
        ask="user" if ask == "user" else "steward" if ask == "steward" else "",
        cache_s=int(cache_s) if cache_s.isdecimal() and len(cache_s) <= SECONDS_DIGITS_MAX else before.cache_s,
    )


async def set_policy(call: Call) -> Response:
    """Change what an endpoint does with content above a clearance."""
    form = await form_of(call)
    endpoints = call.services.gateway.endpoints
    now = await call.run(endpoints.get, call.ctx, call.path("name"))
    spec = replace(EndpointSpec.of(now), policy=policy_of(form, now.policy))
    try:
        await call.run(endpoints.update, call.ctx, now.name, spec)
    except (InvalidArgument, NotFound) as error:
        return await show_with(call, error=error, status=400)
    return redirect(f"/endpoints/{now.name}#policy")


def guardrail_of(form: Mapping[str, str]) -> Guardrail:
    """The guardrail that a form describes; the service checks its words."""
    kinds: dict[str, GuardrailKind] = {each: each for each in get_args(GuardrailKind)}
    kind = kinds.get(form.get("kind", ""))
    if kind is None:
        raise InvalidArgument("Choose what the guardrail looks for.")
    action = form.get("action", "")
    on = form.get("on", "input")
    try:
        threshold = float(form.get("threshold", "").replace(",", ".") or 0)
    except ValueError as error:
        raise InvalidArgument("The threshold is a number, as in `0.8`.") from error
    text = form.get("values", "")
    return Guardrail(
        name=form.get("name", "").strip(),
        kind=kind,
        action="mask" if action == "mask" else "annotate" if action == "annotate" else "block",
        on=("input", "output") if on == "both" else ("output",) if on == "output" else ("input",),
        values=() if kind == "schema" else tuple(line.strip() for line in text.splitlines() if line.strip()),
        endpoint=form.get("endpoint", "").strip(),
        threshold=threshold,
        schema=text if kind == "schema" else "",
    )


async def add_guardrail(call: Call) -> Response:
    """One guardrail more."""
    form = await form_of(call)
    endpoints = call.services.gateway.endpoints
    now = await call.run(endpoints.get, call.ctx, call.path("name"))
    try:
        policy = replace(now.policy, guardrails=(*now.policy.guardrails, guardrail_of(form)))
        await call.run(endpoints.update, call.ctx, now.name, replace(EndpointSpec.of(now), policy=policy))
    except (InvalidArgument, NotFound) as error:
        return await show_with(call, error=error, status=400)
    return redirect(f"/endpoints/{now.name}#guardrails")


async def remove_guardrail(call: Call) -> Response:
    """One guardrail less."""
    form = await form_of(call)
    endpoints = call.services.gateway.endpoints
    now = await call.run(endpoints.get, call.ctx, call.path("name"))
    policy = replace(now.policy, guardrails=tuple(each for each in now.policy.guardrails if each.name != form.get("guardrail")))
    await call.run(endpoints.update, call.ctx, now.name, replace(EndpointSpec.of(now), policy=policy))
    return redirect(f"/endpoints/{now.name}#guardrails")


async def try_policy(call: Call) -> Response:
    """What the policy of the form would have done to the requests of the last 30 days."""
    form = await form_of(call)
    now = await call.run(call.services.gateway.endpoints.get, call.ctx, call.path("name"))
    try:
        found = await call.run(call.services.gateway.dry_runs.run, call.ctx, now.name, Trial(policy_of(form, now.policy)))
    except (InvalidArgument, NotFound) as error:
        return await show_with(call, error=error, status=400)
    return await page(call, "pages/dry_run.html", found=found, back=f"/endpoints/{now.name}#policy", tried=now.name, clearance=None)


async def show_approvals(call: Call) -> Response:
    """The person's own questions, and those that they may answer."""
    found = await call.run(call.services.access.approvals.list, call.ctx)
    return await page(call, "pages/approvals.html", approvals=found)


async def decide(call: Call) -> Response:
    """Grant or refuse one call."""
    form = await form_of(call)
    grant = form.get("grant") == "on"
    approvals = call.services.access.approvals
    await call.run(approvals.decide, call.ctx, call.path("approval_id"), grant=grant, note=form.get("note", ""))
    return redirect(APPROVALS)


ROUTES = (
    DoorRoute("POST", "/endpoints/{name}/policy", set_policy, "page"),
    DoorRoute("POST", "/endpoints/{name}/policy/dry-run", try_policy, "page"),
    DoorRoute("POST", "/endpoints/{name}/guardrails", add_guardrail, "page"),
    DoorRoute("POST", "/endpoints/{name}/guardrails/remove", remove_guardrail, "page"),
    DoorRoute("GET", APPROVALS, show_approvals, "page"),
    DoorRoute("POST", f"{APPROVALS}/{{approval_id}}", decide, "page"),
)
