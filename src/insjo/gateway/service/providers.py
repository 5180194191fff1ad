"""What each kind of provider wants: where it is asked, which header carries the key, and which fields it takes."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.service.wire import with_model, without
from insjo.gateway.types import ServedKind, Upstream

if TYPE_CHECKING:
    from insjo.gateway.service.wire import ReadBody
    from insjo.gateway.types import EndpointSpec, ServedModel, ServedModelSpec

ANTHROPIC_HEADERS: Final = (("anthropic-version", "2023-06-01"),)
AZURE_NEWER: Final = "/openai/v1"
"""Base URLs of Azure that end so take the model from the body, as OpenAI does, and no version."""

ALL_PER_CENT: Final = 100
RETRIES_MAX: Final = 5
PLACES_MAX: Final = 10_000
LIMIT_S_MAX: Final = 24 * 3600

_LENGTHS: Final = frozenset({"max_tokens", "max_completion_tokens"})
_KEPT: Final = frozenset({"model", "messages", "stream", "stream_options", "input"})


def upstream_of(served: ServedModel, key: str) -> Upstream:
    """Where a served model elsewhere is asked."""
    if served.kind is ServedKind.ANTHROPIC:
        return Upstream(served.base_url, key, "x-api-key", headers=ANTHROPIC_HEADERS)
    if served.kind is not ServedKind.AZURE:
        return Upstream(served.base_url, key)
    base = served.base_url.rstrip("/")
    if base.endswith(AZURE_NEWER):
        return Upstream(base, key, "api-key")
    deployment = f"{base}/openai/deployments/{quote(served.model, safe='')}"
    return Upstream(deployment, key, "api-key", f"api-version={quote(served.profile.api_version, safe='')}")


def check_profile(served: ServedModelSpec) -> None:
    """Refuse what a provider of this kind could not be asked with; raises EndpointInvalid."""
    wants_version = served.kind is ServedKind.AZURE and not served.base_url.rstrip("/").endswith(AZURE_NEWER)
    if wants_version and not served.profile.api_version:
        hint = f"Give it, such as `2024-10-21`, or a base URL that ends in `{AZURE_NEWER}`."
        raise EndpointInvalid(f"The deployment `{served.name}` of Azure OpenAI needs the version of the interface.", hint=hint)
    wrong = sorted(_KEPT.intersection(served.profile.leave_out))
    if wrong:
        raise EndpointInvalid(f"The field `{wrong[0]}` cannot be left out of a request.")


def check_routing(spec: EndpointSpec) -> None:
    """Refuse a routing that could not work; raises EndpointInvalid."""
    routing, limits = spec.routing, spec.routing.limits
    if routing.strategy not in {"order", "latency"}:
        raise EndpointInvalid(f"`{routing.strategy}` is no way to choose.", hint="Use `order` or `latency`.")
    if not 0 <= routing.retries <= RETRIES_MAX:
        raise EndpointInvalid(f"Everything can be tried again between 0 and {RETRIES_MAX} times, not {routing.retries}.")
    if limits is not None and not all(0 < each <= LIMIT_S_MAX for each in astuple(limits)):
        raise EndpointInvalid(f"Each time limit is above 0 and at most {LIMIT_S_MAX} seconds.")
    for each in spec.served:
        if not (0 <= each.load.places <= PLACES_MAX and 0 <= each.load.waiting <= PLACES_MAX):
            raise EndpointInvalid(f"`{each.name}` has between 0 and {PLACES_MAX} places, and as many that wait.")
        if not 0 <= each.shadow <= ALL_PER_CENT or (each.shadow and each.share):
            raise EndpointInvalid(f"`{each.name}` gets between 0 and 100 per cent as a shadow, and a shadow has no share.")
        if (each.load.places or each.shadow) and not each.kind.elsewhere:
            raise EndpointInvalid(f"`{each.name}` runs on this machine: it has a line of its own and is nobody's shadow.")
    if all(each.shadow for each in spec.served):
        raise EndpointInvalid("Somebody has to answer: a shadow never does.")


def adapted(read: ReadBody, served: ServedModel) -> bytes:
    """The body as this served model takes it; what its profile does not mention goes on as it came."""
    profile = served.profile
    body = with_model(read, served.model)
    if profile.leave_out and not read.fields.keys().isdisjoint(profile.leave_out):
        body = without(body, profile.leave_out)
    if profile.output_tokens and served.kind is ServedKind.ANTHROPIC and read.fields.keys().isdisjoint(_LENGTHS):
        body = body.rstrip()[:-1] + b',"max_tokens":%d}' % profile.output_tokens
    return body
