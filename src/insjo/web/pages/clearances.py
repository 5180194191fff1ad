"""Page `/admin/policies`: what each destination may receive, limits, and dry runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from insjo.access.types import ALL, Clearance, Level
from insjo.gateway.service.dryrun import Trial
from insjo.ingest.service.locations import destination_of as location_destination
from insjo.kernel.errors import InsjoError, InvalidArgument
from insjo.sql.service.warehouses import destination_of as warehouse_destination
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

SERVED = "served_model:"


class Destination(NamedTuple):
    """One place that content can go to."""

    name: str
    kind: str
    title: str
    where: str
    clearance: Clearance
    href: str = ""


async def show(call: Call) -> Response:
    """Clearances of all destinations, and limits."""
    return await render_policies(call)


async def render_policies(call: Call, *, error: InsjoError | None = None, status: int = 200) -> Response:
    """The page; only admins read it."""
    await call.run(call.services.access.principals.require_admin, call.ctx, "read the policies")
    endpoints = await call.run(call.services.gateway.endpoints.list, call.ctx)
    return await page(
        call,
        "pages/policies.html",
        status,
        endpoints=endpoints,
        destinations=await call.run(destinations, call),
        limits=await call.run(call.services.gateway.limits.uses, call.ctx),
        levels=[level.name.lower() for level in Level],
        typed_level=call.services.settings.typed_text_level,
        contact_level=call.services.settings.contact_level,
        error=error,
    )


def destinations(call: Call) -> list[Destination]:
    """Served models, warehouses with a server of their own, locations, and whatever else somebody cleared."""
    services, ctx = call.services, call.ctx
    known = {each.destination: each for each in services.access.clearances.list(ctx)}
    found: list[Destination] = []

    def add(name: str, kind: str, title: str, where: str, href: str = "") -> None:
        found.append(Destination(name, kind, title, where, known.pop(name, Clearance(name)), href))

    for endpoint in services.gateway.endpoints.list(ctx):
        for served in endpoint.served:
            name = f"{SERVED}{endpoint.name}/{served.name}"
            add(name, "model", f"{endpoint.name} / {served.name}", served.base_url, f"/endpoints/{endpoint.name}")
    for warehouse in services.sql.warehouses.list(ctx):
        if warehouse.url:
            add(warehouse_destination(warehouse.id), "warehouse", warehouse.name, warehouse.url)
    for location in services.ingest.locations.list(ctx):
        add(location_destination(location.name), "location", location.name, location.url)
    for name in sorted(known):
        add(name, "other", name, "")
    return found


def clearance_of(form: Mapping[str, str]) -> Clearance:
    """The clearance that a form describes."""
    words = frozenset(word.strip().lower() for word in form.get("categories", "").split(",") if word.strip())
    zone = form.get("zone", "any")
    return Clearance(
        destination=form.get("destination", ""),
        level=Level.parse(form.get("level", "")),
        categories=ALL if words == {"*"} else words,
        zone="local" if zone == "local" else "eu" if zone == "eu" else "any",
        keeps=form.get("keeps") == "on",
        trains=form.get("trains") == "on",
    )


async def set_clearance(call: Call) -> Response:
    """Change what a destination may receive."""
    form = await form_of(call)
    try:
        await call.run(call.services.access.clearances.set, call.ctx, clearance_of(form))
    except InvalidArgument as error:
        return await render_policies(call, error=error, status=400)
    return redirect("/admin/policies")


async def try_clearance(call: Call) -> Response:
    """What another clearance of a served model would have done to the requests of the last 30 days."""
    form = await form_of(call)
    await call.run(call.services.access.principals.require_admin, call.ctx, "read the policies")
    try:
        clearance = clearance_of(form)
        name, _, served = clearance.destination.removeprefix(SERVED).partition("/")
        endpoint = await call.run(call.services.gateway.endpoints.get, call.ctx, name)
        trial = Trial(endpoint.policy, {served: clearance})
        found = await call.run(call.services.gateway.dry_runs.run, call.ctx, endpoint.name, trial)
    except InvalidArgument as error:
        return await render_policies(call, error=error, status=400)
    return await page(call, "pages/dry_run.html", found=found, back="/admin/policies", tried=f"{name} / {served}", clearance=clearance)


ROUTES = (
    DoorRoute("GET", "/admin/policies", show, "page"),
    DoorRoute("POST", "/admin/policies", set_clearance, "page"),
    DoorRoute("POST", "/admin/policies/dry-run", try_clearance, "page"),
)
