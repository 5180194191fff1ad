"""Doors: secrets in scopes (wire: `SecretsAPI` of databricks-sdk)."""

from __future__ import annotations

import base64
import binascii

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.web.types import Call, DoorRoute
from insjo.workspace.errors import SecretNotFound

PREFIX = "/api/2.0/secrets"


class ScopeBody(msgspec.Struct):
    """A scope to create or delete."""

    scope: str
    initial_manage_principal: str = ""
    scope_backend_type: str = "DATABRICKS"


class SecretBody(msgspec.Struct):
    """A secret to keep or forget; the value as text or as base64."""

    scope: str
    key: str
    string_value: str | None = None
    bytes_value: str | None = None


class AclBody(msgspec.Struct):
    """What somebody may do with a scope."""

    scope: str
    principal: str
    permission: str = ""


async def create_scope(call: Call) -> Response:
    """A new scope; of the initial managers the API has only `users`, which is everybody."""
    body = await call.json(ScopeBody)
    if body.scope_backend_type not in {"", "DATABRICKS"}:
        raise Unimplemented(f"Scopes of the type `{body.scope_backend_type[:40]}` are not implemented by Insjö.")
    if body.initial_manage_principal not in {"", "users"}:
        raise InvalidArgument("`initial_manage_principal` can only be `users`.")
    everybody = body.initial_manage_principal == "users"
    await call.run(call.services.workspace.secrets.create_scope, call.ctx, body.scope, everybody_manages=everybody)
    return JSONResponse({})


async def list_scopes(call: Call) -> Response:
    """Scopes that the caller may see."""
    found = await call.run(call.services.workspace.secrets.list_scopes, call.ctx)
    return JSONResponse({"scopes": [{"name": each.name, "backend_type": "DATABRICKS"} for each in found]})


async def delete_scope(call: Call) -> Response:
    """Delete a scope with its secrets."""
    await call.run(call.services.workspace.secrets.delete_scope, call.ctx, (await call.json(ScopeBody)).scope)
    return JSONResponse({})


async def put_secret(call: Call) -> Response:
    """Keep a secret."""
    body = await call.json(SecretBody)
    if (body.string_value is None) == (body.bytes_value is None):
        raise InvalidArgument("A secret has either `string_value` or `bytes_value`.")
    try:
        value = base64.b64decode(body.bytes_value, validate=True) if body.bytes_value is not None else (body.string_value or "").encode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("`bytes_value` is not valid base64.") from error
    await call.run(call.services.workspace.secrets.put, call.ctx, body.scope, body.key, value)
    return JSONResponse({})


async def get_secret(call: Call) -> Response:
    """The value of a secret as base64."""
    value = await call.run(call.services.workspace.secrets.get, call.ctx, call.query("scope"), call.query("key"))
    return JSONResponse({"key": call.query("key"), "value": base64.b64encode(value).decode()}, headers={"cache-control": "no-store"})


async def list_secrets(call: Call) -> Response:
    """Names of the secrets of a scope."""
    found = await call.run(call.services.workspace.secrets.list, call.ctx, call.query("scope"))
    return JSONResponse({"secrets": [{"key": each.key, "last_updated_timestamp": epoch_ms(each.updated_at)} for each in found]})


async def delete_secret(call: Call) -> Response:
    """Forget a secret."""
    body = await call.json(SecretBody)
    await call.run(call.services.workspace.secrets.delete, call.ctx, body.scope, body.key)
    return JSONResponse({})


async def put_acl(call: Call) -> Response:
    """Give somebody READ, WRITE or MANAGE."""
    body = await call.json(AclBody)
    await call.run(call.services.workspace.secrets.put_level, call.ctx, body.scope, body.principal, body.permission)
    return JSONResponse({})


async def get_acl(call: Call) -> Response:
    """What somebody may do."""
    held = await call.run(call.services.workspace.secrets.levels, call.ctx, call.query("scope"))
    principal = call.query("principal").lower()
    if principal not in held:
        raise SecretNotFound(f"A permission of `{principal[:128]}` does not exist.")
    return JSONResponse({"principal": principal, "permission": held[principal]})


async def list_acls(call: Call) -> Response:
    """Who may do what."""
    held = await call.run(call.services.workspace.secrets.levels, call.ctx, call.query("scope"))
    return JSONResponse({"items": [{"principal": name, "permission": level} for name, level in sorted(held.items())]})


async def delete_acl(call: Call) -> Response:
    """Take all from somebody."""
    body = await call.json(AclBody)
    await call.run(call.services.workspace.secrets.delete_level, call.ctx, body.scope, body.principal)
    return JSONResponse({})


ROUTES = (
    DoorRoute("POST", f"{PREFIX}/scopes/create", create_scope, "databricks"),
    DoorRoute("GET", f"{PREFIX}/scopes/list", list_scopes, "databricks"),
    DoorRoute("POST", f"{PREFIX}/scopes/delete", delete_scope, "databricks"),
    DoorRoute("POST", f"{PREFIX}/put", put_secret, "databricks"),
    DoorRoute("GET", f"{PREFIX}/get", get_secret, "databricks"),
    DoorRoute("GET", f"{PREFIX}/list", list_secrets, "databricks"),
    DoorRoute("POST", f"{PREFIX}/delete", delete_secret, "databricks"),
    DoorRoute("POST", f"{PREFIX}/acls/put", put_acl, "databricks"),
    DoorRoute("GET", f"{PREFIX}/acls/get", get_acl, "databricks"),
    DoorRoute("GET", f"{PREFIX}/acls/list", list_acls, "databricks"),
    DoorRoute("POST", f"{PREFIX}/acls/delete", delete_acl, "databricks"),
)
