"""Pages below `/endpoints`: the doors to models, their state, and how to make one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from insjo.access.types import GRANTABLE, Privilege, SecurableKind
from insjo.gateway.types import Endpoint, EndpointSpec, Policy, Prices, Profile, ServedKind, ServedModelSpec, Task
from insjo.kernel.errors import InsjoError, InvalidArgument
from insjo.kernel.paging import PageRequest
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

RECENT = 30


async def show_all(call: Call) -> Response:
    """The endpoints that the person may see."""
    return await _list(call)


async def _list(call: Call, *, error: InsjoError | None = None, form: dict[str, str] | None = None, status: int = 200) -> Response:
    """The list with the form for a new one."""
    gateway = call.services.gateway
    endpoints = await call.run(gateway.endpoints.list, call.ctx)
    local = await call.run(gateway.endpoints.local_models, call.ctx)
    return await page(call, "pages/endpoints.html", status, endpoints=endpoints, local=local, error=error, form=form or {})


async def show(call: Call) -> Response:
    """One endpoint: its served models, how to call it, who may, and its latest calls."""
    return await show_with(call)


async def show_with(call: Call, *, error: InsjoError | None = None, status: int = 200) -> Response:
    """The page of an endpoint, with what went wrong."""
    name = call.path("name").lower()
    access = call.services.access
    endpoint = await call.run(call.services.gateway.endpoints.get, call.ctx, name)
    manages = await call.run(access.authority.decide, call.ctx, Privilege.MANAGE, endpoint.id)
    calls = await call.run(call.services.gateway.usage.list, call.ctx, PageRequest.of(RECENT, ""), endpoint=name)
    grants = await call.run(access.grants.effective, call.ctx, endpoint.id, None) if manages.allowed else ()
    return await page(
        call,
        "pages/endpoint.html",
        status,
        endpoint=endpoint,
        manages=manages.allowed,
        calls=calls.items,
        grants=grants,
        privileges=sorted(each.value for each in GRANTABLE[SecurableKind.ENDPOINT]),
        base_url=str(call.request.base_url).rstrip("/"),
        error=error,
    )


async def create(call: Call) -> Response:
    """A new endpoint with one served model; further ones are added on its page."""
    form = await form_of(call)
    try:
        served = served_of(form)
        task = Task.EMBEDDINGS if form.get("task") == "embeddings" else Task.CHAT
        spec = EndpointSpec(
            name=form.get("name", ""),
            task=task,
            served=(served,),
            policy=Policy(
                fallback=form.get("fallback", ""),
                redact=form.get("redact") == "on",
                minimise=form.get("minimise") == "on",
                ask="steward" if form.get("ask") == "steward" else "user" if form.get("ask") == "user" else "",
            ),
            comment=form.get("comment", ""),
        )
        made = await call.run(call.services.gateway.endpoints.create, call.ctx, spec)
    except InsjoError as error:
        return await _list(call, error=error, form=form, status=400)
    return redirect(f"/endpoints/{made.name}")


def served_of(form: dict[str, str]) -> ServedModelSpec:
    """The served model that a form describes."""
    kinds = {each.value: each for each in ServedKind}
    kind = kinds.get(form.get("kind", ""))
    if kind is None:
        raise InvalidArgument("Choose where the model runs.")
    model = form.get("local_model", "") if kind is ServedKind.LOCAL else form.get("model", "")
    if not model:
        raise InvalidArgument("Name the model.", hint="For a server elsewhere, the name that it knows the model by.")
    return ServedModelSpec(
        name=form.get("served_name", "").strip() or model.replace("/", "-").lower(),
        kind=kind,
        model=model,
        base_url=form.get("base_url", "").strip() if kind.elsewhere else "",
        api_key=form.get("api_key", "").strip() or None,
        profile=Profile(prices=_prices(form), api_version=form.get("api_version", "").strip()),
    )


def _prices(form: dict[str, str]) -> Prices | None:
    """Prices, when both are given."""
    texts = (form.get("price_in", "").strip(), form.get("price_out", "").strip())
    if not all(texts):
        return None
    try:
        price_in, price_out = (float(text.replace(",", ".")) for text in texts)
    except ValueError as error:
        raise InvalidArgument("Prices must be numbers: the cost of a million tokens.") from error
    return Prices(price_in, price_out)


def spec_of(endpoint: Endpoint) -> EndpointSpec:
    """An endpoint as it stands, as a spec that can be changed; stored keys stay."""
    return EndpointSpec.of(endpoint)


async def add_served(call: Call) -> Response:
    """Another served model behind the endpoint."""
    form = await form_of(call)
    try:
        endpoint = await call.run(call.services.gateway.endpoints.get, call.ctx, call.path("name"))
        now = spec_of(endpoint)
        spec = replace(now, served=(*now.served, served_of(form)))
        await call.run(call.services.gateway.endpoints.update, call.ctx, now.name, spec)
    except InvalidArgument as error:
        return await show_with(call, error=error, status=400)
    return redirect(f"/endpoints/{now.name}")


async def remove_served(call: Call) -> Response:
    """One served model less."""
    form = await form_of(call)
    endpoint = await call.run(call.services.gateway.endpoints.get, call.ctx, call.path("name"))
    now = spec_of(endpoint)
    left = tuple(each for each in now.served if each.name != form.get("served"))
    try:
        await call.run(call.services.gateway.endpoints.update, call.ctx, now.name, replace(now, served=left))
    except InvalidArgument as error:
        return await show_with(call, error=error, status=400)
    return redirect(f"/endpoints/{now.name}")


async def delete(call: Call) -> Response:
    """Delete the endpoint."""
    await call.run(call.services.gateway.endpoints.delete, call.ctx, call.path("name"))
    return redirect("/endpoints")


ROUTES = (
    DoorRoute("GET", "/endpoints", show_all, "page"),
    DoorRoute("POST", "/endpoints", create, "page"),
    DoorRoute("GET", "/endpoints/{name}", show, "page"),
    DoorRoute("POST", "/endpoints/{name}/served", add_served, "page"),
    DoorRoute("POST", "/endpoints/{name}/served/remove", remove_served, "page"),
    DoorRoute("POST", "/endpoints/{name}/delete", delete, "page"),
)
