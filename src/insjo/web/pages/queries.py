"""Saved queries of the SQL page: kept under a name, shared with others, run with the rights of whoever runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse

from insjo.access.types import Privilege
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

LEVELS = ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
NAME_MAX = 120
TEXT_MAX = 1_000_000
SHOWN = PageRequest(PAGE_SIZE_MAX)


class QueryBody(msgspec.Struct):
    """A query to keep."""

    text: str
    name: str = ""


class ShareBody(msgspec.Struct):
    """Who may do what with it."""

    principal: str
    level: str


async def list_saved(call: Call) -> Response:
    """Saved queries that the person may read, the latest changed first, with what else they may do."""
    services = call.services
    found = sorted((await call.run(services.workspace.queries.list, call.ctx, SHOWN)).items, key=lambda each: each.updated_at, reverse=True)
    asked = [(privilege, each.id) for each in found for privilege in (Privilege.MODIFY, Privilege.MANAGE)]
    decided = [each.allowed for each in await call.run(services.access.authority.decide_many, call.ctx, asked)]
    rows = [
        {
            "id": each.id,
            "name": each.display_name,
            "text": each.text,
            "owner": each.owner,
            "at": each.updated_at.strftime("%Y-%m-%d %H:%M"),
            "may_edit": decided[2 * index],
            "may_manage": decided[2 * index + 1],
        }
        for index, each in enumerate(found)
    ]
    return JSONResponse({"queries": rows})


def _checked(body: QueryBody) -> str:
    """The text, when it is one that can be kept."""
    if not body.text.strip() or len(body.text) > TEXT_MAX:
        raise InvalidArgument("There is no text to keep, or too much of it.")
    return body.text


async def create(call: Call) -> Response:
    """Keep a query under a new name."""
    body = await call.json(QueryBody)
    name = body.name.strip()[:NAME_MAX]
    if not name:
        raise InvalidArgument("A saved query needs a name.")
    made = await call.run(call.services.workspace.queries.create, call.ctx, name, _checked(body), auto_resolve=True)
    return JSONResponse({"id": made.id, "name": made.display_name})


async def update(call: Call) -> Response:
    """Replace its text."""
    body = await call.json(QueryBody)
    saved = await call.run(call.services.workspace.queries.update, call.ctx, call.path("id"), text=_checked(body))
    return JSONResponse({"id": saved.id, "name": saved.display_name})


async def share(call: Call) -> Response:
    """Let somebody read, run, change or manage it."""
    body = await call.json(ShareBody)
    if body.level not in LEVELS:
        raise InvalidArgument("Choose what they may do.")
    permissions = call.services.workspace.permissions
    await call.run(permissions.update, call.ctx, "queries", call.path("id"), [(body.principal.strip(), body.level)])
    return JSONResponse({})


async def trash(call: Call) -> Response:
    """Put it into the trash."""
    await call.run(call.services.workspace.queries.trash, call.ctx, call.path("id"))
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", "/ui/queries", list_saved, "insjo"),
    DoorRoute("POST", "/ui/queries", create, "insjo"),
    DoorRoute("PUT", "/ui/queries/{id}", update, "insjo"),
    DoorRoute("DELETE", "/ui/queries/{id}", trash, "insjo"),
    DoorRoute("POST", "/ui/queries/{id}/share", share, "insjo"),
)
