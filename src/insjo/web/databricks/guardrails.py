"""Guardrails of Databricks' AI gateway (`ai_gateway.guardrails`) as guardrails of an endpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from insjo.gateway.errors import NotBuilt
from insjo.gateway.types import EndpointSpec, Guardrail, Policy

if TYPE_CHECKING:
    from insjo.web.types import Call

Side = Literal["input", "output"]
SIDES: Final[tuple[Side, ...]] = ("input", "output")
PII: Final = ("personnummer", "iban", "card", "email", "phone")
_NAMES: Final = frozenset(f"{what}-{side}" for what in ("pii", "keywords") for side in SIDES)


class _Pii(msgspec.Struct):
    behavior: Literal["NONE", "BLOCK", "MASK"] = "NONE"


class _Parameters(msgspec.Struct):
    pii: _Pii | None = None
    safety: bool = False
    invalid_keywords: list[str] = []
    valid_topics: list[str] = []


class GatewayGuardrails(msgspec.Struct):
    """What the wire says."""

    input: _Parameters | None = None
    output: _Parameters | None = None


def over(policy: Policy, body: GatewayGuardrails | None) -> Policy:
    """The policy with the guardrails of the wire in place of those that came by it before; others stay.

    Raises:
        NotBuilt: It asks for a model of safety, or for topics that alone are allowed.
    """
    found = [each for each in policy.guardrails if each.name not in _NAMES]
    for side, asked in ((side, getattr(body, side, None)) for side in SIDES):
        if asked is None:
            continue
        if asked.safety or asked.valid_topics:
            raise NotBuilt(
                "Insjö has no guardrails for safety, and none that allow some topics alone.", hint="Use `pii` and `invalid_keywords`."
            )
        if asked.pii is not None and asked.pii.behavior != "NONE":
            found.append(Guardrail(f"pii-{side}", "detector", "mask" if asked.pii.behavior == "MASK" else "block", (side,), PII))
        if asked.invalid_keywords:
            found.append(Guardrail(f"keywords-{side}", "keyword", "block", (side,), tuple(asked.invalid_keywords)))
    return replace(policy, guardrails=tuple(found))


def guardrails_body(policy: Policy) -> dict[str, Any]:
    """The guardrails that the wire has words for."""
    told: dict[str, Any] = {}
    for each in policy.guardrails:
        what, _, side = each.name.partition("-")
        if each.name in _NAMES and what == "pii":
            told.setdefault(side, {})["pii"] = {"behavior": "MASK" if each.action == "mask" else "BLOCK"}
        elif each.name in _NAMES:
            told.setdefault(side, {})["invalid_keywords"] = list(each.values)
    return told


async def put_guardrails(call: Call, name: str, body: GatewayGuardrails | None) -> dict[str, Any]:
    """Replace the guardrails that came by this wire; needs MANAGE on the endpoint when that changes anything."""
    endpoints = call.services.gateway.endpoints
    now = await call.run(endpoints.get, call.ctx, name)
    policy = over(now.policy, body)
    if policy != now.policy:
        now = await call.run(endpoints.update, call.ctx, now.name, replace(EndpointSpec.of(now), policy=policy))
    return guardrails_body(now.policy)
