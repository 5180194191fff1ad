"""Pages below `/apps`: AI apps on one's own tables and documents: list, make, change, talk to one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from insjo.access.types import GRANTABLE, Privilege, SecurableKind
from insjo.gateway.types import Task
from insjo.kernel.errors import InsjoError
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.agents.types import Agent

SEND = "/api/insjo/v1/conversations/new/messages"
EXAMPLE = re.compile(r"\s*=>\s*")
TABLES_SHOWN_MAX = 300


async def show_all(call: Call) -> Response:
    """Apps that the person may use."""
    apps = await call.run(call.services.agents.agents.list, call.ctx)
    return await page(call, "pages/apps.html", apps=apps)


async def show(call: Call) -> Response:
    """One app to talk to; `?tab=settings` shows what it is made of."""
    agent = await call.run(call.services.agents.agents.get, call.ctx, call.path("name").lower())
    access = call.services.access
    manages = await call.run(access.authority.decide, call.ctx, Privilege.MANAGE, agent.id)
    tab = call.query("tab", "chat")
    grants = await call.run(access.grants.effective, call.ctx, agent.id, None) if manages.allowed and tab == "settings" else ()
    return await page(
        call,
        "pages/app.html",
        agent=agent,
        tab=tab,
        manages=manages.allowed,
        grants=grants,
        privileges=sorted(each.value for each in GRANTABLE[SecurableKind.AGENT]),
        send_url=SEND,
    )


async def edit_new(call: Call) -> Response:
    """The form for a new app."""
    return await _form(call, None, {})


async def edit(call: Call) -> Response:
    """The form for an app that is there."""
    agent = await call.run(call.services.agents.agents.get, call.ctx, call.path("name").lower())
    return await _form(call, agent, fields_of(agent))


def fields_of(agent: Agent) -> dict[str, str]:
    """An app as the fields of its form."""
    return {
        "name": agent.full_name,
        "comment": agent.comment,
        "instructions": agent.instructions,
        "endpoint": agent.endpoint,
        "tables": "\n".join(agent.tables),
        "indexes": "\n".join(agent.indexes),
        "examples": "\n".join(f"{each.question} => {each.sql}" for each in agent.examples),
    }


async def _form(call: Call, agent: Agent | None, fields: dict[str, str], *, error: InsjoError | None = None) -> Response:
    """The form with what can be chosen."""
    services = call.services
    names = await call.run(services.sql.completions, call.ctx)
    endpoints = await call.run(services.gateway.endpoints.list, call.ctx)
    indexes = await call.run(services.retrieval.indexes.list, call.ctx)
    status = 400 if error else 200
    return await page(
        call,
        "pages/app_form.html",
        status,
        agent=agent,
        fields=fields,
        error=error,
        endpoints=[each.name for each in endpoints if each.task is Task.CHAT],
        tables=[each.full_name for each in names.tables if ".information_schema." not in each.full_name][:TABLES_SHOWN_MAX],
        indexes=[each.full_name for each in indexes],
    )


def parts_of(form: dict[str, str]) -> dict[str, Any]:
    """What the form says, in the types of the service."""

    def lines(name: str) -> tuple[str, ...]:
        return tuple(line.strip() for line in form.get(name, "").splitlines() if line.strip())

    pairs = (EXAMPLE.split(line, maxsplit=1) for line in lines("examples"))
    return {
        "instructions": form.get("instructions", ""),
        "endpoint": form.get("endpoint", ""),
        "tables": lines("tables"),
        "indexes": lines("indexes"),
        "examples": tuple((pair[0], pair[1]) for pair in pairs if len(pair) == 2),  # noqa: PLR2004  # Question and statement.
        "comment": form.get("comment", ""),
    }


async def create(call: Call) -> Response:
    """A new app."""
    form = await form_of(call)
    try:
        made = await call.run(call.services.agents.agents.create, call.ctx, form.get("name", "").strip().lower(), **parts_of(form))
    except InsjoError as error:
        return await _form(call, None, form, error=error)
    return redirect(f"/apps/{quote(made.full_name)}")


async def update(call: Call) -> Response:
    """Change an app."""
    form = await form_of(call)
    name = call.path("name").lower()
    agents = call.services.agents.agents
    try:
        await call.run(agents.update, call.ctx, name, **parts_of(form))
    except InsjoError as error:
        return await _form(call, await call.run(agents.get, call.ctx, name), form, error=error)
    return redirect(f"/apps/{quote(name)}")


async def delete(call: Call) -> Response:
    """Delete an app."""
    await call.run(call.services.agents.agents.delete, call.ctx, call.path("name").lower())
    return redirect("/apps")


ROUTES = (
    DoorRoute("GET", "/apps", show_all, "page"),
    DoorRoute("POST", "/apps", create, "page"),
    DoorRoute("GET", "/apps-new", edit_new, "page"),
    DoorRoute("GET", "/apps/{name}", show, "page"),
    DoorRoute("GET", "/apps/{name}/edit", edit, "page"),
    DoorRoute("POST", "/apps/{name}/edit", update, "page"),
    DoorRoute("POST", "/apps/{name}/delete", delete, "page"),
)
