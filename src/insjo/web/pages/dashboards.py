"""Pages below `/dashboards`: documents of tiles.  Tiles run in the browser of whoever looks, so each shows what this person may see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse

from insjo.access.types import Privilege
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.workspace.types import Dashboard

LEVELS = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
NAME_MAX = 120
EMPTY = {"datasets": [], "pages": [{"name": "page", "displayName": "1", "layout": []}]}
SHOWN = PageRequest(PAGE_SIZE_MAX)


class DashboardBody(msgspec.Struct):
    """A changed document; `etag` is that of the one it was made from."""

    document: dict[str, object]
    etag: str = ""


async def show_all(call: Call) -> Response:
    """Dashboards that the person may read, the latest changed first."""
    found = await call.run(call.services.workspace.dashboards.list, call.ctx, SHOWN)
    return await page(call, "pages/dashboards.html", dashboards=sorted(found.items, key=lambda each: each.updated_at, reverse=True))


async def create(call: Call) -> Response:
    """A new dashboard without tiles."""
    form = await form_of(call)
    name = form.get("name", "").strip()[:NAME_MAX]
    if not name:
        raise InvalidArgument("A dashboard needs a name.")
    made = await call.run(call.services.workspace.dashboards.create, call.ctx, name, serialized=json.dumps(EMPTY))
    return redirect(f"/dashboards/{made.id}?edit=1")


async def show(call: Call) -> Response:
    """One dashboard with its tiles and, for those who may, its sharing."""
    services = call.services
    found = await call.run(services.workspace.dashboards.get, call.ctx, call.path("id"))
    decided = await call.run(services.access.authority.decide_many, call.ctx, [(Privilege.MODIFY, found.id), (Privilege.MANAGE, found.id)])
    may_edit, may_manage = (each.allowed for each in decided)
    shared = await call.run(services.workspace.permissions.get, call.ctx, "dashboards", found.id) if may_manage else None
    return await page(
        call,
        "pages/dashboard.html",
        thing=found,
        document=document_of(found),
        may_edit=may_edit,
        may_manage=may_manage,
        editing=may_edit and call.query("edit") == "1",
        entries=shared.entries if shared else (),
        levels=LEVELS,
    )


def document_of(dashboard: Dashboard) -> dict[str, object]:
    """The document; what clients have put there is shown as far as it has the form of one."""
    try:
        found = json.loads(dashboard.serialized or "{}")
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


async def save(call: Call) -> Response:
    """Keep a changed document; refused when somebody else changed it meanwhile."""
    body = await call.json(DashboardBody)
    dashboards = call.services.workspace.dashboards
    saved = await call.run(dashboards.update, call.ctx, call.path("id"), serialized=json.dumps(body.document), etag=body.etag)
    return JSONResponse({"etag": saved.etag})


async def list_editable(call: Call) -> Response:
    """Dashboards that the person may change, for the dialog that adds a tile to one."""
    services = call.services
    found = await call.run(services.workspace.dashboards.list, call.ctx, SHOWN)
    decided = await call.run(services.access.authority.decide_many, call.ctx, [(Privilege.MODIFY, each.id) for each in found.items])
    shown = [{"id": each.id, "name": each.display_name} for each, may in zip(found.items, decided, strict=True) if may.allowed]
    return JSONResponse({"dashboards": shown})


async def share(call: Call) -> Response:
    """Let somebody read, run or change it, or manage it; those who may not manage it are refused by the room."""
    form = await form_of(call)
    level = form.get("level", "")
    if level not in LEVELS:
        raise InvalidArgument("Choose what they may do.")
    permissions = call.services.workspace.permissions
    await call.run(permissions.update, call.ctx, "dashboards", call.path("id"), [(form.get("principal", "").strip(), level)])
    return redirect(f"/dashboards/{call.path('id')}?shared=1")


async def unshare(call: Call) -> Response:
    """Take away what somebody holds on the dashboard itself."""
    form = await form_of(call)
    permissions = call.services.workspace.permissions
    shared = await call.run(permissions.get, call.ctx, "dashboards", call.path("id"))
    direct = [(each.principal, held.level) for each in shared.entries for held in each.held if not held.inherited_from]
    kept = [(name, level) for name, level in direct if name != form.get("principal", "")]
    await call.run(permissions.set, call.ctx, "dashboards", call.path("id"), kept)
    return redirect(f"/dashboards/{call.path('id')}?shared=1")


async def rename(call: Call) -> Response:
    """Give it another name."""
    form = await form_of(call)
    name = form.get("name", "").strip()[:NAME_MAX]
    await call.run(call.services.workspace.dashboards.update, call.ctx, call.path("id"), display_name=name)
    return redirect(f"/dashboards/{call.path('id')}")


async def trash(call: Call) -> Response:
    """Put it into the trash."""
    await call.run(call.services.workspace.dashboards.trash, call.ctx, call.path("id"))
    return redirect("/dashboards")


ROUTES = (
    DoorRoute("GET", "/dashboards", show_all, "page"),
    DoorRoute("POST", "/dashboards", create, "page"),
    DoorRoute("GET", "/dashboards/{id}", show, "page"),
    DoorRoute("POST", "/dashboards/{id}/rename", rename, "page"),
    DoorRoute("POST", "/dashboards/{id}/share", share, "page"),
    DoorRoute("POST", "/dashboards/{id}/unshare", unshare, "page"),
    DoorRoute("POST", "/dashboards/{id}/trash", trash, "page"),
    DoorRoute("GET", "/ui/dashboards", list_editable, "insjo"),
    DoorRoute("PUT", "/ui/dashboards/{id}", save, "insjo"),
)
