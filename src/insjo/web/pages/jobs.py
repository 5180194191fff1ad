"""Page `/jobs`: work in the background with its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.kernel.paging import PageRequest
from insjo.web.pages.render import page, redirect
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

PAGE_SIZE = 50


async def show(call: Call) -> Response:
    """Runs, the newest first; everybody sees their own, admins all."""
    found = await call.run(call.services.jobs.list, call.ctx, PageRequest.of(PAGE_SIZE, call.query("page_token")))
    active = any(each.state.value in {"QUEUED", "RUNNING"} for each in found.items)
    template = "pages/jobs_rows.html" if call.request.headers.get("hx-request") == "true" else "pages/jobs.html"
    return await page(call, template, runs=found.items, next_token=found.next_token, active=active)


async def cancel(call: Call) -> Response:
    """Cancel a run."""
    await call.run(call.services.jobs.cancel, call.ctx, call.path("id"))
    return redirect("/jobs")


ROUTES = (
    DoorRoute("GET", "/jobs", show, "page"),
    DoorRoute("POST", "/jobs/{id}/cancel", cancel, "page"),
)
