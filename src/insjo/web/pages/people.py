"""Page `/admin/people`: users and groups, invitations, membership, deactivation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import ADMINS_ID, EVERYBODY_ID
from insjo.kernel.errors import InsjoError, InvalidArgument
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.access.types import Principal

PAGE_SIZE = 50


async def show(call: Call) -> Response:
    """Users, page by page, and groups."""
    return await _render(call)


async def _render(call: Call, *, link: str = "", invited: str = "", error: InsjoError | None = None, status: int = 200) -> Response:
    """The page; `link` is a new sign-in link, shown this once."""
    principals = call.services.access.principals
    search = call.query("q")
    users = await call.run(principals.list, call.ctx, "user", PageRequest.of(PAGE_SIZE, call.query("page_token")), search)
    groups = await call.run(principals.list, call.ctx, "group", PageRequest.of(PAGE_SIZE_MAX, ""), "")
    members = {each.id: await _members(call, each) for each in groups.items}
    memberships: dict[str, list[str]] = {}
    for group in groups.items:
        for member in members[group.id]:
            memberships.setdefault(member.id, []).append(group.name)
    return await page(
        call,
        "pages/people.html",
        status,
        users=users.items,
        next_token=users.next_token,
        groups=[each for each in groups.items if each.id != EVERYBODY_ID],
        members=members,
        memberships=memberships,
        search=search,
        link=link,
        invited=invited,
        error=error,
        admins_id=ADMINS_ID,
    )


async def _members(call: Call, group: Principal) -> tuple[Principal, ...]:
    """Direct members of a group; everybody belongs to `account users`, so nobody is listed there."""
    if group.id == EVERYBODY_ID:
        return ()
    found = await call.run(call.services.access.principals.members, call.ctx, group.id, PageRequest(PAGE_SIZE_MAX))
    return found.items


async def invite(call: Call) -> Response:
    """A new user and a link that signs them in once."""
    form = await form_of(call)
    principals = call.services.access.principals
    try:
        user = await call.run(principals.create_user, call.ctx, form.get("name", ""), display_name=form.get("display_name", ""))
    except InsjoError as error:
        return await _render(call, error=error, status=400)
    return await _render(call, link=await _link(call, user.id), invited=user.name)


async def _link(call: Call, user_id: str) -> str:
    """A new sign-in link for a user."""
    secret = await call.run(call.services.access.signin_links.create, user_id, call.services.settings.signin_link_ttl_s)
    return f"{str(call.request.base_url).rstrip('/')}/sign-in/{secret}"


async def new_link(call: Call) -> Response:
    """A new sign-in link for somebody who lost the password; only admins may."""
    await call.run(call.services.access.principals.require_admin, call.ctx, "make a sign-in link for somebody")
    user = await call.run(call.services.access.principals.get, call.ctx, call.path("id"))
    return await _render(call, link=await _link(call, user.id), invited=user.name)


async def activate(call: Call) -> Response:
    """Activate or deactivate a user."""
    form = await form_of(call)
    principals = call.services.access.principals
    if form.get("active") == "yes":
        await call.run(principals.update, call.ctx, call.path("id"), active=True)
    else:
        await call.run(principals.delete, call.ctx, call.path("id"))
    return redirect("/admin/people")


async def create_group(call: Call) -> Response:
    """A new group."""
    form = await form_of(call)
    try:
        await call.run(call.services.access.principals.create_group, call.ctx, form.get("name", ""))
    except InsjoError as error:
        return await _render(call, error=error, status=400)
    return redirect("/admin/people#groups")


async def delete_group(call: Call) -> Response:
    """Delete a group."""
    await call.run(call.services.access.principals.delete, call.ctx, call.path("id"))
    return redirect("/admin/people#groups")


async def change_member(call: Call) -> Response:
    """Add or remove a member."""
    form = await form_of(call)
    principals = call.services.access.principals
    member = await call.run(principals.find, call.ctx, form.get("member", ""))
    if member is None:
        return await _render(call, error=InvalidArgument(f"There is nobody called `{form.get('member', '')[:80]}`."), status=400)
    change = principals.remove_member if form.get("do") == "remove" else principals.add_member
    await call.run(change, call.ctx, call.path("id"), member.id)
    return redirect("/admin/people#groups")


ROUTES = (
    DoorRoute("GET", "/admin/people", show, "page"),
    DoorRoute("POST", "/admin/people", invite, "page"),
    DoorRoute("POST", "/admin/people/{id}/link", new_link, "page"),
    DoorRoute("POST", "/admin/people/{id}/active", activate, "page"),
    DoorRoute("POST", "/admin/groups", create_group, "page"),
    DoorRoute("POST", "/admin/groups/{id}/delete", delete_group, "page"),
    DoorRoute("POST", "/admin/groups/{id}/members", change_member, "page"),
)
