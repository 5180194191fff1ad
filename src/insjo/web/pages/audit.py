"""Page `/admin/audit`: every decision, with its reason, and the proof that none was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import AuditFilter
from insjo.kernel.paging import PageRequest
from insjo.web.pages.render import fragment, page
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

PAGE_SIZE = 60
FIELDS = ("principal", "action", "outcome", "object", "destination")


async def show(call: Call) -> Response:
    """Rows that fit the filter, the newest first; only admins read the audit."""
    await call.run(call.services.access.principals.require_admin, call.ctx, "read the audit")
    wanted = {name: call.query(name) for name in FIELDS}
    filters = AuditFilter(wanted["principal"], wanted["action"], wanted["outcome"], wanted["object"], wanted["destination"])
    found = await call.run(call.services.access.audit.search, call.ctx, filters, PageRequest.of(PAGE_SIZE, call.query("page_token")))
    return await page(call, "pages/audit.html", events=found.items, next_token=found.next_token, wanted=wanted)


async def verify(call: Call) -> Response:
    """Walk the chain."""
    await call.run(call.services.access.principals.require_admin, call.ctx, "verify the audit")
    return await fragment(call, "pages/audit_verified.html", report=await call.run(call.services.access.audit.verify))


ROUTES = (
    DoorRoute("GET", "/admin/audit", show, "page"),
    DoorRoute("POST", "/admin/audit/verify", verify, "page"),
)
