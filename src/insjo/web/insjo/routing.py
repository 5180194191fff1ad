"""Own API: how an endpoint chooses among its served models, and how each of them fares; no standard has these."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.types import EndpointSpec, Load, Routing, TimeLimits
from insjo.web.insjo.governance import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.gateway.types import Endpoint


class LimitsBody(msgspec.Struct):
    """How long each stage may take, in seconds."""

    connect_s: float = 10.0
    first_byte_s: float = 300.0
    idle_s: float = 120.0
    total_s: float = 1800.0


class ServedBody(msgspec.Struct):
    """What one served model gets."""

    share: int = 0
    shadow: int = 0
    places: int = 0
    waiting: int = 64


class RoutingBody(msgspec.Struct):
    """How an endpoint chooses; a served model that is not named keeps what it has."""

    strategy: Literal["order", "latency"] = "order"
    sticky: bool = False
    retries: int = 1
    limits: LimitsBody | None = None
    served: dict[str, ServedBody] = {}


def routing_body(endpoint: Endpoint) -> dict[str, object]:
    """Routing and health as JSON."""
    served = {
        each.name: {
            "share": each.share,
            "shadow": each.shadow,
            "places": each.load.places,
            "waiting": each.load.waiting,
            "state": each.state.value,
            "state_reason": each.state_reason,
        }
        for each in endpoint.served
    }
    return asdict(endpoint.routing) | {"served": served, "state": endpoint.state.value}


async def get_routing(call: Call) -> Response:
    """How an endpoint chooses, and how its served models fare."""
    return JSONResponse(routing_body(await call.run(call.services.gateway.endpoints.get, call.ctx, call.path("name"))))


async def set_routing(call: Call) -> Response:
    """Change how an endpoint chooses, from the next request on; needs MANAGE on it."""
    body = await call.json(RoutingBody)
    endpoints = call.services.gateway.endpoints
    now = await call.run(endpoints.get, call.ctx, call.path("name"))
    unknown = sorted(body.served.keys() - {each.name for each in now.served})
    if unknown:
        raise EndpointInvalid(f"The endpoint `{now.name}` has no served model `{unknown[0]}`.")
    limits = TimeLimits(**msgspec.structs.asdict(body.limits)) if body.limits is not None else None
    spec = EndpointSpec.of(now)
    served = tuple(
        replace(each, share=wanted.share, shadow=wanted.shadow, load=Load(wanted.places, wanted.waiting))
        if (wanted := body.served.get(each.name)) is not None
        else each
        for each in spec.served
    )
    changed = replace(spec, served=served, routing=Routing(body.strategy, body.sticky, body.retries, limits))
    return JSONResponse(routing_body(await call.run(endpoints.update, call.ctx, now.name, changed)))


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/endpoints/{{name}}/routing", get_routing, "insjo"),
    DoorRoute("PUT", f"{PREFIX}/endpoints/{{name}}/routing", set_routing, "insjo"),
)
