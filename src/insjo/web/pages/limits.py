"""Limits and budgets on the page `/admin/policies`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from insjo.gateway.errors import LimitInvalid
from insjo.gateway.types import LimitAction, LimitMeasure, LimitPeriod, LimitSpec
from insjo.kernel.errors import InvalidArgument, NotFound
from insjo.web.pages.clearances import render_policies
from insjo.web.pages.render import redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

EVERYBODY: Final = "*"
EACH: Final = "each"


async def create(call: Call) -> Response:
    """Set a limit."""
    form = await form_of(call)
    try:
        await call.run(call.services.gateway.limits.create, call.ctx, spec_of(form))
    except (InvalidArgument, NotFound) as error:
        return await render_policies(call, error=error, status=400)
    return redirect("/admin/policies#limits")


async def delete(call: Call) -> Response:
    """Remove a limit."""
    await call.run(call.services.gateway.limits.delete, call.ctx, call.path("limit_id"))
    return redirect("/admin/policies#limits")


def spec_of(form: Mapping[str, str]) -> LimitSpec:
    """The limit that a form asks for.

    Raises:
        LimitInvalid: A field holds what the form does not offer.
    """
    who = form.get("who", "").strip()
    measure, period, action = form.get("measure", ""), form.get("period", ""), form.get("action", "")
    measures: dict[str, LimitMeasure] = {each: each for each in get_args(LimitMeasure)}
    periods: dict[str, LimitPeriod] = {each: each for each in get_args(LimitPeriod)}
    actions: dict[str, LimitAction] = {each: each for each in get_args(LimitAction)}
    try:
        amount = float(form.get("amount", "").replace(",", ".").replace(" ", ""))
        return LimitSpec(
            "everybody" if who == EVERYBODY else "each" if who == EACH else "principal",
            measures[measure],
            periods[period],
            amount,
            principal="" if who in {EVERYBODY, EACH} else form.get("principal", "").strip(),
            endpoint=form.get("endpoint", ""),
            level=form.get("level", "public"),
            action=actions[action],
        )
    except (ValueError, KeyError) as error:
        raise LimitInvalid("The limit cannot be read.", hint="The amount is a number, as in `1000` or `2.50`.") from error


ROUTES = (
    DoorRoute("POST", "/admin/policies/limits", create, "page"),
    DoorRoute("POST", "/admin/policies/limits/{limit_id}/delete", delete, "page"),
)
