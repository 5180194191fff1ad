"""Own API: limits and budgets of the model door; no standard has these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.gateway.types import LimitSpec
from insjo.web.insjo.governance import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.gateway.types import Limit


class LimitBody(msgspec.Struct):
    """A limit to set."""

    subject: Literal["everybody", "each", "principal"]
    measure: Literal["requests", "tokens", "cost"]
    period: Literal["minute", "hour", "day", "month"]
    amount: float
    principal: str = ""
    endpoint: str = ""
    level: str = "public"
    action: Literal["refuse", "warn"] = "refuse"


def limit_body(limit: Limit) -> dict[str, object]:
    """A limit as JSON."""
    return {
        "id": limit.id,
        "subject": limit.subject,
        "principal": limit.principal,
        "endpoint": limit.endpoint,
        "level": limit.level,
        "measure": limit.measure,
        "period": limit.period,
        "amount": limit.amount,
        "action": limit.action,
        "created_at": limit.created_at.isoformat(),
        "created_by": limit.created_by,
    }


async def list_limits(call: Call) -> Response:
    """Limits that hold for the caller, or all for admins, with what is taken of them now."""
    found = await call.run(call.services.gateway.limits.uses, call.ctx)
    return JSONResponse(
        {
            "limits": [
                {
                    **limit_body(each.limit),
                    "subject_id": each.subject_id,
                    "taken": each.taken,
                    "begins_at": each.begins_at.isoformat(),
                    "ends_at": each.ends_at.isoformat(),
                }
                for each in found
            ]
        }
    )


async def create_limit(call: Call) -> Response:
    """Set a limit; only admins may."""
    body = await call.json(LimitBody)
    spec = LimitSpec(**msgspec.structs.asdict(body))
    return JSONResponse(limit_body(await call.run(call.services.gateway.limits.create, call.ctx, spec)))


async def delete_limit(call: Call) -> Response:
    """Remove a limit; only admins may."""
    await call.run(call.services.gateway.limits.delete, call.ctx, call.path("id"))
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/limits", list_limits, "insjo"),
    DoorRoute("POST", f"{PREFIX}/limits", create_limit, "insjo"),
    DoorRoute("DELETE", f"{PREFIX}/limits/{{id}}", delete_limit, "insjo"),
)
