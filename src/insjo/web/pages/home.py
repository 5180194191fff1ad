"""Page `/`: where to begin, what is going on, and what happened lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.agents.pages import PAGES
from insjo.kernel.paging import PageRequest
from insjo.sql.types import HistoryFilter
from insjo.web.pages.render import page
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

RECENT = 6
OTHERS_DOORS = ("agent", "job")
"""What agents and jobs ran for a person is in the history, yet no work that the person would pick up again."""

ACTIVE_STATES = frozenset({"QUEUED", "RUNNING"})


async def show(call: Call) -> Response:
    """The home page."""
    services = call.services
    history = await call.run(
        services.sql.history.list,
        call.ctx,
        HistoryFilter(user_ids=(call.ctx.principal.id,), without_doors=OTHERS_DOORS),
        PageRequest.of(RECENT, ""),
    )
    conversations = await call.run(services.agents.conversations.list, call.ctx, PageRequest.of(RECENT, ""))
    runs = await call.run(services.jobs.list, call.ctx, PageRequest.of(RECENT, ""))
    catalogs = await call.run(services.catalog.catalogs.list, call.ctx, PageRequest.of(50, ""))
    endpoints = await call.run(services.gateway.endpoints.list, call.ctx)
    return await page(
        call,
        "pages/home.html",
        history=history.items,
        conversations=conversations.items,
        runs=[each for each in runs.items if each.state.value in ACTIVE_STATES],
        catalogs=len(catalogs.items),
        endpoints=endpoints,
        has_samples=any(each.name == "samples" for each in catalogs.items),
    )


async def not_ready(call: Call) -> Response:
    """A page whose place is fixed but which this version does not have: it says so, with the status that means it."""
    found = next(each for each in PAGES if each.path == call.request.url.path)
    return await page(call, "pages/not_ready.html", 501, entry=found)


ROUTES = (
    DoorRoute("GET", "/", show, "page"),
    *(DoorRoute("GET", each.path, not_ready, "page") for each in PAGES if not each.ready),
)
