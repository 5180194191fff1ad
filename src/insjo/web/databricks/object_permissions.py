"""Doors: permission levels of workspace objects, warehouses and endpoints (wire: `PermissionsAPI` of databricks-sdk)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.web.types import Call, DoorRoute
from insjo.workspace.service.permissions import DESCRIPTIONS, OBJECT_TYPES

if TYPE_CHECKING:
    from insjo.workspace.service.permissions import Acl, AclEntry

PREFIX = "/api/2.0/permissions"
_SINGULAR = {"directories": "directory", "queries": "query"}
_NAMED = {"user": "user_name", "group": "group_name", "service_principal": "service_principal_name"}


class Entry(msgspec.Struct):
    """A level for somebody."""

    permission_level: str
    user_name: str = ""
    group_name: str = ""
    service_principal_name: str = ""


class AclBody(msgspec.Struct):
    """Levels to set or to change."""

    access_control_list: list[Entry] = []


def _target(call: Call) -> tuple[str, str]:
    """Type and identifier of the object; the type may have two parts (`sql/warehouses`)."""
    object_type, _, object_id = call.path("target").rpartition("/")
    if object_type not in OBJECT_TYPES:
        raise _unimplemented(object_type)
    return object_type, object_id


def _unimplemented(object_type: str) -> Unimplemented:
    """The error for types of objects that are not there."""
    message = f"Permissions of `{object_type[:60]}` are not implemented by Insjö."
    return Unimplemented(message, hint=f"There are {', '.join(OBJECT_TYPES)}.")


def acl_body(acl: Acl) -> dict[str, object]:
    """Who may do what, on the wire."""
    singular = _SINGULAR.get(acl.object_type, acl.object_type.rpartition("/")[2].rstrip("s"))
    return {
        "object_id": f"/{acl.object_type}/{acl.object_id}",
        "object_type": singular,
        "access_control_list": [_entry_body(each) for each in acl.entries],
    }


def _entry_body(entry: AclEntry) -> dict[str, object]:
    """One principal's levels."""
    levels = [
        {"permission_level": each.level, "inherited": bool(each.inherited_from)}
        | ({"inherited_from_object": [each.inherited_from]} if each.inherited_from else {})
        for each in entry.held
    ]
    name = {_NAMED[entry.kind]: entry.principal}
    return name | {"display_name": entry.display_name or entry.principal, "all_permissions": levels}


async def get(call: Call) -> Response:
    """Who may do what, or with `permissionLevels` behind the path which levels there are."""
    if call.path("target").endswith("/permissionLevels"):
        return await _levels(call)
    return JSONResponse(acl_body(await call.run(call.services.workspace.permissions.get, call.ctx, *_target(call))))


async def _levels(call: Call) -> Response:
    """The levels of an object."""
    object_type, _, object_id = call.path("target").removesuffix("/permissionLevels").rpartition("/")
    if object_type not in OBJECT_TYPES:
        raise _unimplemented(object_type)
    names = await call.run(call.services.workspace.permissions.levels, call.ctx, object_type, object_id)
    return JSONResponse({"permission_levels": [{"permission_level": each, "description": DESCRIPTIONS[each]} for each in names]})


async def _wanted(call: Call) -> list[tuple[str, str]]:
    """Pairs of principal and level."""
    pairs = []
    for each in (await call.json(AclBody)).access_control_list:
        named = [name for name in (each.user_name, each.group_name, each.service_principal_name) if name]
        if len(named) != 1:
            raise InvalidArgument("Each entry names one user, group or service principal.")
        pairs.append((named[0], each.permission_level))
    return pairs


async def put(call: Call) -> Response:
    """Replace what was granted on the object itself."""
    target = _target(call)
    wanted = await _wanted(call)
    return JSONResponse(acl_body(await call.run(call.services.workspace.permissions.set, call.ctx, *target, wanted)))


async def patch(call: Call) -> Response:
    """Change the levels of some."""
    target = _target(call)
    wanted = await _wanted(call)
    return JSONResponse(acl_body(await call.run(call.services.workspace.permissions.update, call.ctx, *target, wanted)))


ROUTES = (
    DoorRoute("GET", PREFIX + "/{target:path}", get, "databricks"),
    DoorRoute("PUT", PREFIX + "/{target:path}", put, "databricks"),
    DoorRoute("PATCH", PREFIX + "/{target:path}", patch, "databricks"),
)
