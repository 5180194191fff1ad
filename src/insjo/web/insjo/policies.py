"""Own API: what an endpoint does with content above a clearance, and approvals of single calls; no standard has these."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import ALL, Clearance, Level
from insjo.gateway.service.dryrun import Trial
from insjo.gateway.types import EndpointSpec, Guardrail, Policy
from insjo.web.insjo.governance import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.access.types import Approval
    from insjo.gateway.service.dryrun import DryRun


class GuardrailBody(msgspec.Struct):
    """Something to look for; docs/reference/guardrails.md tells what each kind takes."""

    name: str
    kind: Literal["keyword", "pattern", "detector", "injection", "topic", "schema", "entry_point", "endpoint"]
    action: Literal["block", "mask", "annotate"] = "block"
    on: list[Literal["input", "output"]] = msgspec.field(default_factory=lambda: ["input"])
    values: list[str] = []
    endpoint: str = ""
    threshold: float = 0.0
    schema: str = ""


class PolicyBody(msgspec.Struct):
    """What an endpoint does, in the order of the law; what is left out is switched off."""

    on_conflict: Literal["reroute", "block"] = "reroute"
    fallback: str = ""
    minimise: bool = False
    redact: bool = False
    ask: Literal["", "user", "steward"] = ""
    cache_s: int = 0
    guardrails: list[GuardrailBody] = []

    def over(self, before: Policy) -> Policy:
        """The policy, with what this body has no words for as it was."""
        listed = tuple(
            Guardrail(each.name, each.kind, each.action, tuple(each.on), tuple(each.values), each.endpoint, each.threshold, each.schema)
            for each in self.guardrails
        )
        return replace(
            before,
            on_conflict=self.on_conflict,
            fallback=self.fallback,
            minimise=self.minimise,
            redact=self.redact,
            ask=self.ask,
            cache_s=self.cache_s,
            guardrails=listed,
        )


class TriedClearance(msgspec.Struct):
    """What a served model may receive, in a dry run; the category `*` means all."""

    level: str
    categories: list[str] = []
    zone: Literal["local", "eu", "any"] = "any"
    keeps: bool = True
    trains: bool = False


class TrialBody(msgspec.Struct):
    """What is tried; clearances by the name of the served model."""

    policy: PolicyBody
    clearances: dict[str, TriedClearance] = {}
    days: int = 30


class DecisionBody(msgspec.Struct):
    """A word about one call."""

    grant: bool
    note: str = ""


def approval_body(approval: Approval) -> dict[str, object]:
    """An approval as JSON; content is never in it."""
    names = ("id", "principal", "asks", "purpose", "destination", "reason", "state", "content_hash", "decided_by", "note", "may_decide")
    body: dict[str, object] = {name: getattr(approval, name) for name in names}
    return body | {
        "label": approval.label.as_json(),
        "origins": list(approval.origins),
        "asked_at": approval.asked_at.isoformat(),
        "expires_at": approval.expires_at.isoformat(),
    }


async def get_policy(call: Call) -> Response:
    """What an endpoint does with content above a clearance."""
    endpoint = await call.run(call.services.gateway.endpoints.get, call.ctx, call.path("name"))
    return JSONResponse(asdict(endpoint.policy))


async def set_policy(call: Call) -> Response:
    """Change what an endpoint does; needs MANAGE on it."""
    body = await call.json(PolicyBody)
    endpoints = call.services.gateway.endpoints
    now = await call.run(endpoints.get, call.ctx, call.path("name"))
    changed = await call.run(endpoints.update, call.ctx, now.name, replace(EndpointSpec.of(now), policy=body.over(now.policy)))
    return JSONResponse(asdict(changed.policy))


async def try_policy(call: Call) -> Response:
    """What a policy or other clearances would have done to the requests of the last days; needs MANAGE on the endpoint."""
    body = await call.json(TrialBody)
    clearances = {
        name: Clearance(
            destination=name,
            level=Level.parse(each.level),
            categories=ALL if each.categories == ["*"] else frozenset(each.categories),
            zone=each.zone,
            keeps=each.keeps,
            trains=each.trains,
        )
        for name, each in body.clearances.items()
    }
    trial = Trial(body.policy.over(Policy()), clearances, body.days)
    return JSONResponse(dry_run_body(await call.run(call.services.gateway.dry_runs.run, call.ctx, call.path("name"), trial)))


def dry_run_body(found: DryRun) -> dict[str, object]:
    """A dry run as JSON."""
    return {
        "endpoint": found.endpoint,
        "days": found.days,
        "requests": found.requests,
        "changed": found.changed,
        "complete": found.complete,
        "totals": dict(found.totals),
        "groups": [each._asdict() for each in found.groups],
        "examples": [each._asdict() | {"at": each.at.isoformat(), "sources": list(each.sources)} for each in found.examples],
    }


async def list_approvals(call: Call) -> Response:
    """The caller's own questions, and those that the caller may answer."""
    found = await call.run(call.services.access.approvals.list, call.ctx)
    return JSONResponse({"approvals": [approval_body(each) for each in found]})


async def decide_approval(call: Call) -> Response:
    """Grant or refuse one call."""
    body = await call.json(DecisionBody)
    decided = await call.run(call.services.access.approvals.decide, call.ctx, call.path("id"), grant=body.grant, note=body.note)
    return JSONResponse(approval_body(decided))


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/endpoints/{{name}}/policy", get_policy, "insjo"),
    DoorRoute("PUT", f"{PREFIX}/endpoints/{{name}}/policy", set_policy, "insjo"),
    DoorRoute("POST", f"{PREFIX}/endpoints/{{name}}/policy/dry-run", try_policy, "insjo"),
    DoorRoute("GET", f"{PREFIX}/approvals", list_approvals, "insjo"),
    DoorRoute("POST", f"{PREFIX}/approvals/{{id}}", decide_approval, "insjo"),
)
