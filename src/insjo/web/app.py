"""The ASGI application: the fast path of the model door first, then the routes of every other door."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from insjo.kernel.context import PrincipalRef, RequestContext
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.kernel.ids import new_id
from insjo.web.authentication import authenticate, recognise
from insjo.web.databricks.routes import ROUTES as DATABRICKS_ROUTES
from insjo.web.databricks.statements import Ends, WantedByStatement
from insjo.web.errors import RouteNotFound, render
from insjo.web.insjo.routes import ROUTES as INSJO_ROUTES
from insjo.web.openai.door import OpenAIDoor
from insjo.web.pages.render import render_page_error, static
from insjo.web.pages.routes import PAGE_ROUTES
from insjo.web.thrift.door import ROUTES as THRIFT_ROUTES
from insjo.web.thrift.operations import Operations
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from insjo.web.types import Services

ROUTES: tuple[DoorRoute, ...] = (*DATABRICKS_ROUTES, *THRIFT_ROUTES, *INSJO_ROUTES, *PAGE_ROUTES)
"""Every route but those of the model door, whose table is `insjo.web.openai.door.ROUTES`."""

ANONYMOUS = PrincipalRef(id="anonymous", name="anonymous")
"""Somebody who is not signed in: holds no grant, so every service refuses."""

HEADERS_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
CLIENT_GONE = 499
"""Status for a log of a request whose client hung up before it was whole; nobody reads the answer."""

API_PREFIXES = (
    "/api/",
    "/v1/",
    "/serving-endpoints/",
    "/sql/1.0/",
    "/sql/protocolv1/",
    "/oidc/",
    "/.well-known/",
    "/ai-gateway/",
    "/telemetry",
    "/metrics",
)


def create_app(services: Services) -> ASGIApp:
    """The application over these services; it starts nothing and holds nothing but them."""
    routes = [Route("/health", health, methods=["GET"]), static().route()]
    routes += [Route(each.path, _endpoint(each, services), methods=[each.method]) for each in ROUTES]

    async def fallback(request: Request, error: Exception) -> Response:
        del error
        return await _not_there(request, services)

    inner = Starlette(routes=routes, exception_handlers={404: fallback, 405: fallback}, lifespan=_lifespan)
    inner.router.redirect_slashes = False
    inner.state.wanted = WantedByStatement()
    inner.state.ends = Ends()
    inner.state.thrift = Operations()
    return Outer(OpenAIDoor(services, Direct(services, inner)))


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Nothing starts with the application: `insjo.bootstrap` starts and stops the services."""
    del app
    yield


async def health(request: Request) -> Response:
    """Ready to serve."""
    del request
    return JSONResponse({"status": "ok"})


def _endpoint(route: DoorRoute, services: Services) -> Callable[[Request], Awaitable[Response]]:
    """The Starlette endpoint of a route."""

    async def serve(request: Request) -> Response:
        return await _serve(route, services, request)

    return serve


async def _serve(route: DoorRoute, services: Services, request: Request) -> Response:
    """Authenticate, call, and write an error in the form of the door."""
    try:
        if route.needs == "nobody":
            nobody = RequestContext(principal=ANONYMOUS, door="page", request_id=_request_id(request))
            return await route.call(Call(request, services, nobody))
        known = recognise(request, services, route.door) if route.confirms else None
        if known is not None:
            return await route.call(Call(request, services, *known))
        ctx = await authenticate(request, services, route.door)
        return await route.call(Call(request, services, ctx))
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except Exception as caught:  # noqa: BLE001  # The last line: whatever happens, the caller gets an answer in the door's form.
        # Starlette says so when it cannot read a form.
        error = InvalidArgument(caught.detail) if isinstance(caught, HTTPException) else caught
        if route.door == "page":
            return await render_page_error(error, request, services)
        return render(error, route.door, _request_id(request))


async def _not_there(request: Request, services: Services) -> Response:
    """A path that no route has: 501 with its name for an API, 404 for a page."""
    path = str(request.scope["path"])
    if path.startswith(API_PREFIXES):
        if not path.isprintable():
            wrong = InvalidArgument("The path holds a character that no path may have.")
            return render(wrong, "databricks", _request_id(request))
        name = f"`{request.method} {path}`"
        missing = Unimplemented(f"{name} is not implemented by Insjö.", hint="The reference of doors lists what is.")
        return render(missing, "databricks", _request_id(request))
    return await render_page_error(RouteNotFound(f"There is no page `{path}`."), request, services)


def _request_id(request: Request) -> str:
    """Identifier that joins the answer with audit rows and the log."""
    return str(request.scope["insjo.request_id"])


class Direct:
    """Calls routes without parameters by their path: looking through hundreds of patterns takes longer than many answers."""

    def __init__(self, services: Services, inner: Starlette) -> None:
        """Wrap the application, which serves all other paths."""
        self._services = services
        self._inner = inner
        self._routes = {(each.method, each.path): each for each in reversed(ROUTES) if "{" not in each.path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._inner(scope, receive, send)
            return
        scope["app"] = self._inner
        scope["path_params"] = {}
        answer = await _serve(route, self._services, Request(scope, receive, send))
        await answer(scope, receive, send)


class Outer:
    """Gives each request an identifier and each answer the headers that every answer has."""

    def __init__(self, inner: ASGIApp) -> None:
        """Wrap the application."""
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        request_id = new_id()
        scope["insjo.request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                extra = [pair for pair in HEADERS_ALWAYS if pair[0] not in present]
                if b"x-request-id" not in present:
                    extra.append((b"x-request-id", request_id.encode()))
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await self.inner(scope, receive, send_with_headers)
