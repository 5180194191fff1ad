"""Doors: who am I, people and groups as SCIM 2.0 shows them, and access tokens (clients.md 1b)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.errors import PrincipalNotFound
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.databricks import scim
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from insjo.access.types import Principal, Token
    from insjo.kernel.context import PrincipalKind

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
PREFIX = "/api/2.0/preview/scim/v2"
WORKSPACE_ID = "1"
"""An installation is one workspace, and clients want a number for it."""

WORKSPACE_HEADER = {"x-databricks-org-id": WORKSPACE_ID}
"""`WorkspaceClient.get_workspace_id` reads it."""


class UserBody(msgspec.Struct, rename="camel"):
    """A user to create."""

    user_name: str
    display_name: str = ""
    active: bool = True
    emails: list[dict[str, Any]] = []
    name: dict[str, Any] = {}
    entitlements: list[dict[str, Any]] = []
    roles: list[dict[str, Any]] = []

    @property
    def shown(self) -> str:
        """The shown name, or the given and the family name."""
        return self.display_name or " ".join(str(self.name.get(part) or "") for part in ("givenName", "familyName")).strip()

    @property
    def email(self) -> str:
        """The first address."""
        return _address(self.emails)

    def refuse_unknown(self) -> None:
        """Entitlements would be dropped silently, so they are refused."""
        if self.entitlements or self.roles:
            raise Unimplemented("`entitlements` and `roles` are not implemented by Insjö.", hint="Grant privileges, or use groups.")


class GroupBody(msgspec.Struct, rename="camel"):
    """A group to create."""

    display_name: str
    members: list[dict[str, Any]] = []


class Operation(msgspec.Struct):
    """One change of a SCIM PATCH."""

    op: str
    path: str = ""
    value: Any = None


class PatchBody(msgspec.Struct, rename={"operations": "Operations"}):
    """A SCIM PATCH (RFC 7644, 3.5.2)."""

    operations: list[Operation]


class TokenBody(msgspec.Struct):
    """A token to create."""

    comment: str = ""
    lifetime_seconds: int | None = None


class TokenId(msgspec.Struct):
    """A token to delete."""

    token_id: str


async def me(call: Call) -> Response:
    """The caller."""
    principals = call.services.access.principals
    principal = await call.run(principals.get, call.ctx, call.ctx.principal.id)
    groups = await call.run(principals.groups_of, call.ctx, principal.id)
    return JSONResponse(user_body(principal, groups), headers=WORKSPACE_HEADER)


def user_body(principal: Principal, groups: Iterable[Principal] = ()) -> dict[str, object]:
    """A user as SCIM shows it."""
    emails = [{"value": principal.email, "primary": True, "type": "work"}] if principal.email else []
    return {
        "schemas": [USER_SCHEMA],
        "id": principal.id,
        "userName": principal.name,
        "displayName": principal.display_name or principal.name,
        "active": principal.active,
        "emails": emails,
        "groups": [{"display": each.name, "value": each.id} for each in groups],
        "entitlements": [],
        "roles": [],
    }


def group_body(principal: Principal, members: Iterable[Principal]) -> dict[str, object]:
    """A group as SCIM shows it."""
    return {
        "schemas": [GROUP_SCHEMA],
        "id": principal.id,
        "displayName": principal.name,
        "members": [{"value": each.id, "display": each.name} for each in members],
    }


async def list_users(call: Call) -> Response:
    """Users."""
    found = await scim.principals(call, "user")
    start, page = scim.page_of(call, found)
    return scim.listing(call, len(found), start, [user_body(each) for each in page])


async def list_groups(call: Call) -> Response:
    """Groups, without their members: the SCIM list of Databricks has none either unless they are asked for."""
    found = await scim.principals(call, "group")
    start, page = scim.page_of(call, found)
    whole = scim.asks_for(call, "members")
    return scim.listing(call, len(found), start, [await _group_body(call, each) if whole else group_body(each, ()) for each in page])


async def get_user(call: Call) -> Response:
    """One user."""
    user = await existing(call, "user")
    groups = await call.run(call.services.access.principals.groups_of, call.ctx, user.id)
    return JSONResponse(scim.shown_of(call, user_body(user, groups)))


async def existing(call: Call, kind: PrincipalKind) -> Principal:
    """The principal that the path names, when it is of this kind and was not deleted."""
    principal_id = call.path("id")
    found = await call.run(call.services.access.principals.get, call.ctx, principal_id)
    if found.kind != kind or found.name == f"deleted:{found.id}":
        noun = kind.replace("_", " ")
        raise PrincipalNotFound(f"The {noun} `{principal_id[:64]}` does not exist.")
    return found


async def get_group(call: Call) -> Response:
    """One group with its members."""
    return JSONResponse(scim.shown_of(call, await _group_body(call, await existing(call, "group"))))


async def _group_body(call: Call, group: Principal) -> dict[str, object]:
    """A group with the members that it has now."""
    return group_body(group, await _members(call, group))


def _address(emails: object) -> str:
    """The primary address of a list of them, or the first; an address may also come alone."""
    if isinstance(emails, str):
        return emails
    rows = [each for each in emails if isinstance(each, dict)] if isinstance(emails, list) else []
    rows.sort(key=lambda each: each.get("primary") is not True)
    return str(rows[0].get("value") or "") if rows else ""


async def create_user(call: Call) -> Response:
    """A new user."""
    body = await call.json(UserBody)
    body.refuse_unknown()
    user = await call.run(call.services.access.principals.create_user, call.ctx, body.user_name, display_name=body.shown, email=body.email)
    if not body.active:
        user = await call.run(call.services.access.principals.update, call.ctx, user.id, active=False)
    return JSONResponse(user_body(user), status_code=201)


async def create_group(call: Call) -> Response:
    """A new group with its first members."""
    body = await call.json(GroupBody)
    members = [str(each.get("value", "")) for each in body.members]
    group = await call.run(call.services.access.principals.create_group_of, call.ctx, body.display_name, members)
    return JSONResponse(await _group_body(call, group), status_code=201)


SHARED_ATTRIBUTES = frozenset({"active", "displayName"})
"""What can be changed of users and of service principals alike."""


def attributes_of(body: PatchBody) -> Iterator[tuple[str, Any]]:
    """Attributes and their new values, in either form of SCIM's operations: a path with a value, or a value with several attributes."""
    for operation in body.operations:
        yield from (operation.value if isinstance(operation.value, dict) else {operation.path: operation.value}).items()


def shared_change(name: str, value: object) -> dict[str, Any]:
    """One of the shared attributes as the services take it; some clients write booleans as texts."""
    return {"active": value is True or str(value).lower() == "true"} if name == "active" else {"display_name": str(value)}


async def patch_user(call: Call) -> Response:
    """Activate, deactivate or rename a user."""
    user = await existing(call, "user")
    changes: dict[str, Any] = {}
    for name, new in attributes_of(await call.json(PatchBody)):
        if name in SHARED_ATTRIBUTES:
            changes |= shared_change(name, new)
        elif name == "userName":
            changes["name"] = str(new)
        elif name == "emails" or re.fullmatch(r"emails\[.{1,100}\]\.value", name):
            changes["email"] = _address(new)
        else:
            message = f"The attribute `{name[:60]}` of a user cannot be changed here."
            raise InvalidArgument(message, hint="Change `active`, `userName`, `displayName` or `emails`.")
    return JSONResponse(user_body(await call.run(call.services.access.principals.update, call.ctx, user.id, **changes)))


async def put_user(call: Call) -> Response:
    """Replace what can be changed of a user: the shown name, the address, and whether it is active."""
    user = await existing(call, "user")
    body = await call.json(UserBody)
    body.refuse_unknown()
    changed = await call.run(
        call.services.access.principals.update,
        call.ctx,
        user.id,
        name=body.user_name,
        display_name=body.shown,
        email=body.email,
        active=body.active,
    )
    return JSONResponse(user_body(changed))


async def patch_group(call: Call) -> Response:
    """Add, remove or replace members: all operations or none; another name comes last."""
    group = await existing(call, "group")
    add: list[str] = []
    remove: list[str] = []
    new_name = ""
    for operation in (await call.json(PatchBody)).operations:
        word = operation.op.lower()
        if word in {"add", "replace"} and (operation.path == "displayName" or _is_name_alone(operation.value)):
            new_name = str(operation.value["displayName"] if isinstance(operation.value, dict) else operation.value)
            continue
        if word not in {"add", "remove", "replace"}:
            raise InvalidArgument(f"`{operation.op[:20]}` is not an operation of SCIM.", hint="Use `add`, `remove` or `replace`.")
        named = _member_ids(operation)
        if word == "replace":
            remove += await _others(call, group, named)
        elif word == "remove" and not named and operation.path == "members":
            remove += await _others(call, group, ())
        (remove if word == "remove" else add).extend(named)
    await call.run(call.services.access.principals.change_members, call.ctx, group.id, add=add, remove=remove)
    if new_name:
        group = await call.run(call.services.access.principals.update, call.ctx, group.id, name=new_name)
    return JSONResponse(await _group_body(call, group))


def _is_name_alone(value: object) -> bool:
    """Whether an operation without a path changes only the name."""
    return isinstance(value, dict) and set(value) == {"displayName"}


async def put_group(call: Call) -> Response:
    """Replace the members of a group, and its name."""
    principals = call.services.access.principals
    group = await existing(call, "group")
    body = await call.json(GroupBody)
    if body.display_name.lower() != group.name:
        group = await call.run(principals.update, call.ctx, group.id, name=body.display_name)
    wanted = [str(each.get("value", "")) for each in body.members]
    await call.run(principals.change_members, call.ctx, group.id, add=wanted, remove=await _others(call, group, wanted))
    return JSONResponse(await _group_body(call, group))


async def _others(call: Call, group: Principal, kept: Collection[str]) -> list[str]:
    """Identifiers of the present members that are not kept."""
    return [each.id for each in await _members(call, group) if each.id not in kept]


async def _members(call: Call, group: Principal) -> list[Principal]:
    """All direct members of a group."""
    found: list[Principal] = []
    token = ""
    while True:
        page = await call.run(call.services.access.principals.members, call.ctx, group.id, PageRequest.of(PAGE_SIZE_MAX, token))
        found += page.items
        token = page.next_token
        if not token:
            return found


def _member_ids(operation: Operation) -> list[str]:
    """Identifiers of the members that an operation names, in either of the forms that SCIM has."""
    named = re.fullmatch(r'members\[value eq "([^"]+)"\]', operation.path)
    if named:
        return [named[1]]
    value = operation.value.get("members") if isinstance(operation.value, dict) else operation.value
    if value is None and operation.path == "members" and operation.op.lower() == "remove":
        return []
    if operation.path not in {"", "members"} or not isinstance(value, list):
        raise InvalidArgument("Only the members of a group can be changed here.", hint='Use the path `members` with `[{"value": id}]`.')
    return [str(each.get("value", "")) for each in value if isinstance(each, dict)]


async def delete_user(call: Call) -> Response:
    """Take everything from a user."""
    user = await existing(call, "user")
    await call.run(call.services.access.principals.delete, call.ctx, user.id)
    return Response(status_code=204)


async def delete_group(call: Call) -> Response:
    """Remove a group."""
    group = await existing(call, "group")
    await call.run(call.services.access.principals.delete, call.ctx, group.id)
    return Response(status_code=204)


async def create_token(call: Call) -> Response:
    """A new access token of the caller; its value is in this answer and nowhere else."""
    body = await call.json(TokenBody)
    made = await call.run(call.services.access.tokens.create, call.ctx, None, body.comment, body.lifetime_seconds)
    expiry = epoch_ms(made.expires_at) if made.expires_at else -1
    told = {"token_id": made.token_id, "comment": made.comment, "creation_time": epoch_ms(made.created_at), "expiry_time": expiry}
    return JSONResponse({"token_value": made.value, "token_info": told})


async def list_tokens(call: Call) -> Response:
    """The caller's tokens."""
    page = await call.run(call.services.access.tokens.list, call.ctx, None, PageRequest(PAGE_SIZE_MAX))
    return JSONResponse({"token_infos": [_token_body(each) for each in page.items]})


def _token_body(token: Token) -> dict[str, object]:
    """A token as lists show it."""
    return {
        "token_id": token.id,
        "comment": token.comment,
        "creation_time": epoch_ms(token.created_at),
        "expiry_time": epoch_ms(token.expires_at) if token.expires_at else -1,
        "last_used_time": epoch_ms(token.last_used_at) if token.last_used_at else None,
    }


async def delete_token(call: Call) -> Response:
    """Delete one of the caller's tokens; it stops working at once."""
    body = await call.json(TokenId)
    await call.run(call.services.access.tokens.delete, call.ctx, body.token_id)
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/Me", me, "databricks"),
    DoorRoute("GET", f"{PREFIX}/Users", list_users, "scim"),
    DoorRoute("POST", f"{PREFIX}/Users", create_user, "scim"),
    DoorRoute("GET", f"{PREFIX}/Users/{{id}}", get_user, "scim"),
    DoorRoute("PATCH", f"{PREFIX}/Users/{{id}}", patch_user, "scim"),
    DoorRoute("PUT", f"{PREFIX}/Users/{{id}}", put_user, "scim"),
    DoorRoute("DELETE", f"{PREFIX}/Users/{{id}}", delete_user, "scim"),
    DoorRoute("GET", f"{PREFIX}/Groups", list_groups, "scim"),
    DoorRoute("POST", f"{PREFIX}/Groups", create_group, "scim"),
    DoorRoute("GET", f"{PREFIX}/Groups/{{id}}", get_group, "scim"),
    DoorRoute("PATCH", f"{PREFIX}/Groups/{{id}}", patch_group, "scim"),
    DoorRoute("PUT", f"{PREFIX}/Groups/{{id}}", put_group, "scim"),
    DoorRoute("DELETE", f"{PREFIX}/Groups/{{id}}", delete_group, "scim"),
    DoorRoute("POST", "/api/2.0/token/create", create_token, "databricks"),
    DoorRoute("GET", "/api/2.0/token/list", list_tokens, "databricks"),
    DoorRoute("POST", "/api/2.0/token/delete", delete_token, "databricks"),
)
