"""Page `/settings/tokens`: one's own access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

DAY_S = 86_400
LIFETIMES_DAYS = (7, 30, 90, 365)


async def show(call: Call) -> Response:
    """The tokens, and the form for a new one."""
    return await _render(call)


async def _render(call: Call, *, value: str = "", error: InvalidArgument | None = None) -> Response:
    """The page; `value` is a new token, shown this once."""
    found = await call.run(call.services.access.tokens.list, call.ctx, None, PageRequest(PAGE_SIZE_MAX))
    now = call.services.clock.now()
    return await page(call, "pages/tokens.html", tokens=found.items, value=value, error=error, lifetimes=LIFETIMES_DAYS, now=now)


async def create(call: Call) -> Response:
    """A new token."""
    form = await form_of(call)
    days = form.get("days", "90")
    if not days.isdigit() or int(days) not in LIFETIMES_DAYS:
        return await _render(call, error=InvalidArgument("Choose one of the lifetimes."))
    made = await call.run(call.services.access.tokens.create, call.ctx, None, form.get("comment", "")[:200], int(days) * DAY_S)
    return await _render(call, value=made.value)


async def delete(call: Call) -> Response:
    """Delete a token."""
    await call.run(call.services.access.tokens.delete, call.ctx, call.path("token_id"))
    return redirect("/settings/tokens")


ROUTES = (
    DoorRoute("GET", "/settings/tokens", show, "page"),
    DoorRoute("POST", "/settings/tokens", create, "page"),
    DoorRoute("POST", "/settings/tokens/{token_id}/delete", delete, "page"),
)
