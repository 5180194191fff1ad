"""Doors: grants on securables, direct and effective (Unity Catalog's permissions API)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import Privilege, SecurableKind
from insjo.web.databricks.unity import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.access.types import Securable


class Change(msgspec.Struct):
    """What one principal gains and loses."""

    principal: str
    add: list[str] = []
    remove: list[str] = []


class ChangesBody(msgspec.Struct):
    """All changes of one call."""

    changes: list[Change] = []


async def _securable(call: Call) -> Securable:
    """The object that the path names; it exists only for callers who may see it."""
    kind = SecurableKind.parse(call.path("kind"))
    name = call.path("full_name")
    if kind is SecurableKind.METASTORE:
        return await call.run(call.services.access.securables.metastore)
    return await call.run(call.services.access.securables.resolve, call.ctx, kind, name.lower(), None)


async def get(call: Call) -> Response:
    """Grants on the object itself."""
    securable = await _securable(call)
    return await _grants(call, securable)


async def _grants(call: Call, securable: Securable) -> Response:
    """The grants as the wire shows them."""
    grants = await call.run(call.services.access.grants.list, call.ctx, securable.id)
    wanted = call.query("principal")
    rows = [
        {"principal": each.principal, "privileges": [privilege.value for privilege in each.privileges]}
        for each in grants
        if wanted in {"", each.principal}
    ]
    return JSONResponse({"privilege_assignments": rows})


async def update(call: Call) -> Response:
    """Grant and revoke."""
    body = await call.json(ChangesBody)
    securable = await _securable(call)
    parsed = [(each.principal, [Privilege.parse(p) for p in each.add], [Privilege.parse(p) for p in each.remove]) for each in body.changes]
    await call.run(call.services.access.grants.change, call.ctx, securable.id, parsed)
    return await _grants(call, securable)


async def effective(call: Call) -> Response:
    """Privileges with inheritance, each with the object that it comes from."""
    securable = await _securable(call)
    held = await call.run(call.services.access.grants.effective, call.ctx, securable.id, call.query("principal") or None)
    by_principal: dict[str, list[dict[str, str]]] = {}
    for each in held:
        entry = {"privilege": each.privilege.value}
        if each.inherited:
            entry |= {"inherited_from_type": each.inherited_from_kind.value, "inherited_from_name": each.inherited_from_name}
        by_principal.setdefault(each.principal, []).append(entry)
    rows = [{"principal": principal, "privileges": privileges} for principal, privileges in by_principal.items()]
    return JSONResponse({"privilege_assignments": rows})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/permissions/{{kind}}/{{full_name}}", get, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/permissions/{{kind}}/{{full_name}}", update, "databricks"),
    DoorRoute("GET", f"{PREFIX}/effective-permissions/{{kind}}/{{full_name}}", effective, "databricks"),
)
