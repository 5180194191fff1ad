"""Doors: grants on securables, direct and effective (Unity Catalog's permissions API)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.paging import PageRequest, page_of
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
    return JSONResponse({"privilege_assignments": await _direct(call, securable)})


async def _direct(call: Call, securable: Securable) -> list[dict[str, object]]:
    """Grants on the object itself by principal."""
    grants = await call.run(call.services.access.grants.list, call.ctx, securable.id)
    wanted = call.query("principal")
    return [
        {"principal": each.principal, "privileges": [privilege.value for privilege in each.privileges]}
        for each in grants
        if wanted in {"", each.principal}
    ]


def _page(call: Call, name: str, rows: list[dict[str, object]]) -> Response:
    """A page of rows that are ordered by principal."""
    page = PageRequest.of(call.query_int("page_size"), call.query("page_token"))
    left = [each for each in rows if str(each["principal"]) > page.after()]
    cut = page_of(left, page.size, lambda each: each["principal"])
    return JSONResponse({name: list(cut.items)} | ({"next_page_token": cut.next_token} if cut.next_token else {}))


async def assignments(call: Call) -> Response:
    """Grants on the object itself, by pages."""
    return _page(call, "privilege_assignments", await _direct(call, await _securable(call)))


async def effective_assignments(call: Call) -> Response:
    """Privileges with inheritance, by pages."""
    return _page(call, "effective_privilege_assignments", await _inherited(call, await _securable(call)))


async def update(call: Call) -> Response:
    """Grant and revoke."""
    body = await call.json(ChangesBody)
    securable = await _securable(call)
    parsed = [(each.principal, [Privilege.parse(p) for p in each.add], [Privilege.parse(p) for p in each.remove]) for each in body.changes]
    await call.run(call.services.access.grants.change, call.ctx, securable.id, parsed)
    return await _grants(call, securable)


async def effective(call: Call) -> Response:
    """Privileges with inheritance, each with the object that it comes from."""
    return JSONResponse({"privilege_assignments": await _inherited(call, await _securable(call))})


async def _inherited(call: Call, securable: Securable) -> list[dict[str, object]]:
    """Privileges with inheritance by principal."""
    held = await call.run(call.services.access.grants.effective, call.ctx, securable.id, call.query("principal") or None)
    by_principal: dict[str, list[dict[str, str]]] = {}
    for each in held:
        entry = {"privilege": each.privilege.value}
        if each.inherited:
            entry |= {"inherited_from_type": each.inherited_from_kind.value, "inherited_from_name": each.inherited_from_name}
        by_principal.setdefault(each.principal, []).append(entry)
    return [{"principal": principal, "privileges": privileges} for principal, privileges in sorted(by_principal.items())]


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/permissions/{{kind}}/{{full_name}}", get, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/permissions/{{kind}}/{{full_name}}", update, "databricks"),
    DoorRoute("GET", f"{PREFIX}/effective-permissions/{{kind}}/{{full_name}}", effective, "databricks"),
    DoorRoute("GET", f"{PREFIX}/privilege-assignments/{{kind}}/{{full_name}}", assignments, "databricks"),
    DoorRoute("GET", f"{PREFIX}/effective-privilege-assignments/{{kind}}/{{full_name}}", effective_assignments, "databricks"),
)
