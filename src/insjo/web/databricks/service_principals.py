"""Doors: service principals as SCIM shows them, their OAuth secrets, and the tokens of everybody (clients.md 1b).

Wire: `ServicePrincipalsAPI`, `ServicePrincipalSecretsProxyAPI` and `TokenManagementAPI` of databricks-sdk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.errors import TokenNotFound
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.databricks import scim
from insjo.web.databricks.identity import PREFIX, SHARED_ATTRIBUTES, PatchBody, attributes_of, existing, shared_change
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from insjo.access.types import Principal, Token

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"
SECRETS = "/api/2.0/accounts/servicePrincipals/{id}/credentials/secrets"
TOKENS = "/api/2.0/token-management"
DURATION = re.compile(r"(\d{1,12})s")


class ProgramBody(msgspec.Struct, rename="camel"):
    """A service principal to create or replace."""

    display_name: str = ""
    application_id: str = ""
    active: bool = True
    entitlements: list[dict[str, Any]] = []
    roles: list[dict[str, Any]] = []


class SecretBody(msgspec.Struct):
    """A secret to create; `lifetime` is a number of seconds and an `s`."""

    lifetime: str = ""
    scopes: list[str] = []


class OnBehalfBody(msgspec.Struct):
    """A token to create for a service principal."""

    application_id: str
    comment: str = ""
    lifetime_seconds: int | None = None


def program_body(found: Principal, groups: Iterable[Principal] = ()) -> dict[str, object]:
    """A service principal as SCIM shows it; it is called by one identifier everywhere."""
    return {
        "schemas": [SCHEMA],
        "id": found.id,
        "applicationId": found.id,
        "displayName": found.display_name or found.name,
        "active": found.active,
        "groups": [{"display": each.name, "value": each.id} for each in groups],
        "entitlements": [],
        "roles": [],
    }


async def list_programs(call: Call) -> Response:
    """Service principals."""
    found = await scim.principals(call, "service_principal")
    start, page = scim.page_of(call, found)
    return scim.listing(call, len(found), start, [program_body(each) for each in page])


async def create_program(call: Call) -> Response:
    """A new service principal; its name is its shown name in lower case, and unique."""
    body = await call.json(ProgramBody)
    _refuse_unknown(body)
    if body.application_id:
        raise InvalidArgument("`applicationId` is chosen by Insjö.", hint="Leave it out, and read it from the answer.")
    made = await call.run(
        call.services.access.principals.create_service_principal, call.ctx, body.display_name, display_name=body.display_name
    )
    if not body.active:
        made = await call.run(call.services.access.principals.update, call.ctx, made.id, active=False)
    return JSONResponse(program_body(made), status_code=201)


def _refuse_unknown(body: ProgramBody) -> None:
    """Entitlements would be dropped silently, so they are refused."""
    if body.entitlements or body.roles:
        raise Unimplemented("`entitlements` and `roles` are not implemented by Insjö.", hint="Grant privileges, or use groups.")


async def get_program(call: Call) -> Response:
    """One service principal."""
    found = await existing(call, "service_principal")
    groups = await call.run(call.services.access.principals.groups_of, call.ctx, found.id)
    return JSONResponse(scim.shown_of(call, program_body(found, groups)))


async def put_program(call: Call) -> Response:
    """Replace the shown name and whether it is active."""
    found = await existing(call, "service_principal")
    body = await call.json(ProgramBody)
    _refuse_unknown(body)
    update = call.services.access.principals.update
    return JSONResponse(program_body(await call.run(update, call.ctx, found.id, display_name=body.display_name, active=body.active)))


async def patch_program(call: Call) -> Response:
    """Activate, deactivate or show under another name."""
    found = await existing(call, "service_principal")
    changes: dict[str, Any] = {}
    for name, new in attributes_of(await call.json(PatchBody)):
        if name not in SHARED_ATTRIBUTES:
            raise InvalidArgument(f"The attribute `{name[:40]}` cannot be changed here.", hint="Change `active` or `displayName`.")
        changes |= shared_change(name, new)
    return JSONResponse(program_body(await call.run(call.services.access.principals.update, call.ctx, found.id, **changes)))


async def delete_program(call: Call) -> Response:
    """Take everything from a service principal; its tokens end at once."""
    found = await existing(call, "service_principal")
    await call.run(call.services.access.principals.delete, call.ctx, found.id)
    return Response(status_code=204)


def _moment(at: datetime) -> str:
    """A moment as these calls write it."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


async def create_secret(call: Call) -> Response:
    """A new secret; its value is in this answer and nowhere else."""
    body = await call.json(SecretBody)
    if set(body.scopes) - {"all-apis"}:
        raise Unimplemented("Secrets with `scopes` are not implemented by Insjö.", hint="Grant the service principal less instead.")
    lifetime = DURATION.fullmatch(body.lifetime) if body.lifetime else None
    if body.lifetime and lifetime is None:
        raise InvalidArgument("`lifetime` is a number of seconds such as `3600s`.")
    seconds = int(lifetime[1]) if lifetime else None
    made = await call.run(call.services.access.client_secrets.create, call.ctx, call.path("id"), seconds)
    told = {
        "id": made.token_id,
        "secret": made.value,
        "status": "ACTIVE",
        "create_time": _moment(made.created_at),
        "update_time": _moment(made.created_at),
        "expire_time": _moment(made.expires_at or made.created_at),
    }
    return JSONResponse(told, headers={"cache-control": "no-store"})


async def list_secrets(call: Call) -> Response:
    """Secrets of a service principal, without their values."""
    found = await call.run(call.services.access.client_secrets.list, call.ctx, call.path("id"))
    rows = [
        {
            "id": each.id,
            "status": "ACTIVE",
            "create_time": _moment(each.created_at),
            "update_time": _moment(each.created_at),
            "expire_time": _moment(each.expires_at),
        }
        for each in found
    ]
    return JSONResponse({"secrets": rows})


async def delete_secret(call: Call) -> Response:
    """End a secret and its tokens."""
    await call.run(call.services.access.client_secrets.delete, call.ctx, call.path("id"), call.path("secret_id"))
    return JSONResponse({})


async def list_tokens(call: Call) -> Response:
    """Everybody's tokens, for metastore admins."""
    tokens = [each for each in await _all_tokens(call) if call.query("created_by_id") in {"", each.principal_id}]
    names = await call.run(call.services.access.authority.names, [each.principal_id for each in tokens])
    wanted = call.query("created_by_username").lower()
    rows = [_managed(each, names.get(each.principal_id, "")) for each in tokens if wanted in {"", names.get(each.principal_id)}]
    return JSONResponse({"token_infos": rows})


async def _all_tokens(call: Call) -> list[Token]:
    """The tokens of all principals."""
    found: list[Token] = []
    token = ""
    while True:
        page = await call.run(call.services.access.tokens.list, call.ctx, "*", PageRequest.of(PAGE_SIZE_MAX, token))
        found += page.items
        token = page.next_token
        if not token:
            return found


def _managed(token: Token, owner: str) -> dict[str, object]:
    """A token as admins see it.  Owners are told by name: the wire has numbers for their identifiers, which Insjö has not."""
    return {
        "token_id": token.id,
        "comment": token.comment,
        "created_by_username": owner,
        "creation_time": epoch_ms(token.created_at),
        "expiry_time": epoch_ms(token.expires_at) if token.expires_at else -1,
        "last_used_day": epoch_ms(token.last_used_at) if token.last_used_at else None,
    }


async def get_token(call: Call) -> Response:
    """One token."""
    found = next((each for each in await _all_tokens(call) if each.id == call.path("token_id")), None)
    if found is None:
        raise TokenNotFound(f"The token `{call.path('token_id')[:64]}` does not exist.")
    names = await call.run(call.services.access.authority.names, [found.principal_id])
    return JSONResponse({"token_info": _managed(found, names.get(found.principal_id, ""))})


async def delete_token(call: Call) -> Response:
    """End anybody's token; it stops working at once."""
    await call.run(call.services.access.principals.require_admin, call.ctx, "end the tokens of others")
    await call.run(call.services.access.tokens.delete, call.ctx, call.path("token_id"))
    return JSONResponse({})


async def create_on_behalf(call: Call) -> Response:
    """A token of a service principal, made by a metastore admin."""
    body = await call.json(OnBehalfBody)
    await call.run(call.services.access.principals.require_admin, call.ctx, "create tokens for others")
    owner = await call.run(call.services.access.principals.get, call.ctx, body.application_id)
    if owner.kind != "service_principal":
        raise InvalidArgument(f"`{body.application_id[:64]}` is no service principal.")
    made = await call.run(call.services.access.tokens.create, call.ctx, owner.id, body.comment, body.lifetime_seconds)
    told = {
        "token_id": made.token_id,
        "comment": made.comment,
        "created_by_username": owner.name,
        "creation_time": epoch_ms(made.created_at),
        "expiry_time": epoch_ms(made.expires_at) if made.expires_at else -1,
    }
    return JSONResponse({"token_value": made.value, "token_info": told}, headers={"cache-control": "no-store"})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/ServicePrincipals", list_programs, "scim"),
    DoorRoute("POST", f"{PREFIX}/ServicePrincipals", create_program, "scim"),
    DoorRoute("GET", f"{PREFIX}/ServicePrincipals/{{id}}", get_program, "scim"),
    DoorRoute("PATCH", f"{PREFIX}/ServicePrincipals/{{id}}", patch_program, "scim"),
    DoorRoute("PUT", f"{PREFIX}/ServicePrincipals/{{id}}", put_program, "scim"),
    DoorRoute("DELETE", f"{PREFIX}/ServicePrincipals/{{id}}", delete_program, "scim"),
    DoorRoute("POST", SECRETS, create_secret, "databricks"),
    DoorRoute("GET", SECRETS, list_secrets, "databricks"),
    DoorRoute("DELETE", SECRETS + "/{secret_id}", delete_secret, "databricks"),
    DoorRoute("GET", f"{TOKENS}/tokens", list_tokens, "databricks"),
    DoorRoute("GET", f"{TOKENS}/tokens/{{token_id}}", get_token, "databricks"),
    DoorRoute("DELETE", f"{TOKENS}/tokens/{{token_id}}", delete_token, "databricks"),
    DoorRoute("POST", f"{TOKENS}/on-behalf-of/tokens", create_on_behalf, "databricks"),
)
