"""Renders pages: one Jinja environment, one Content-Security-Policy, and errors as pages."""

from __future__ import annotations

import functools
import importlib.metadata
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote

import jinja2
from starlette.responses import HTMLResponse, RedirectResponse

from insjo.kernel.errors import InsjoError, Unauthenticated
from insjo.web.authentication import authenticate
from insjo.web.errors import shown, status_of
from insjo.web.pages.markdown import render_markdown
from insjo.web.pages.static import StaticFiles
from insjo.web.pages.texts import LANGUAGE_COOKIE, Texts, preferred_language
from insjo.web.pages.ui import THEME_COOKIE, THEMES, Person, Ui
from insjo.web.types import Call

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from insjo.access.types import Principal
    from insjo.kernel.context import RequestContext
    from insjo.web.types import Services

POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
NONCE_BYTES = 16


@functools.cache
def static() -> StaticFiles:
    """The static files, read at the first page."""
    return StaticFiles()


@functools.cache
def texts() -> Texts:
    """The texts, read at the first page."""
    return Texts()


@functools.cache
def environment() -> jinja2.Environment:
    """Templates: everything is escaped, and a name that is not there is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("insjo.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
        auto_reload=False,
    )
    made.filters["markdown"] = render_markdown
    return made


@functools.cache
def version() -> str:
    """Version of the package, shown at the foot of each page."""
    return importlib.metadata.version("insjo")


def ui_for(request: Request, person: Person | None) -> Ui:
    """Surroundings of one rendering."""
    theme = request.cookies.get(THEME_COOKIE, "auto")
    return Ui(
        lang=preferred_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", "")),
        nonce=secrets.token_urlsafe(NONCE_BYTES),
        path=request.url.path,
        theme=theme if theme in THEMES else "auto",
        version=version(),
        texts=texts(),
        static=static().url,
        user=person,
    )


async def page(call: Call, template: str, status: int = 200, /, **context: object) -> Response:
    """A page for the person who is signed in."""
    return respond(ui_for(call.request, await person_of(call)), template, status, **context)


def plain_page(request: Request, template: str, status: int = 200, /, **context: object) -> Response:
    """A page for somebody who is not signed in."""
    return respond(ui_for(request, None), template, status, **context)


async def fragment(call: Call, template: str, status: int = 200, /, **context: object) -> Response:
    """A piece of a page, which htmx puts into its place."""
    return await page(call, template, status, **context)


async def person_of(call: Call) -> Person:
    """The person who is signed in."""
    principals = call.services.access.principals
    found: Principal = await call.run(principals.get, call.ctx, call.ctx.principal.id)
    is_admin = await call.run(principals.is_admin, found.id)
    return Person(found.id, found.name, found.display_name, is_admin)


def respond(ui: Ui, template: str, status: int, /, **context: object) -> Response:
    """Render a template under the policy."""
    html = environment().get_template(template).render(ui=ui, **context)
    headers = {"content-security-policy": POLICY.format(nonce=ui.nonce), "cache-control": "no-store", "content-language": ui.lang}
    return HTMLResponse(html, status_code=status, headers=headers)


def redirect(path: str) -> Response:
    """Go to another page of ours after a form."""
    return RedirectResponse(path, status_code=303)


async def render_page_error(error: Exception, request: Request, services: Services) -> Response:
    """An error as a page; whoever is not signed in is sent to sign in first, and comes back afterwards."""
    request_id = str(request.scope.get("insjo.request_id", ""))
    if isinstance(error, Unauthenticated) and request.method == "GET":
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(back)}", status_code=303)
    known = shown(error, request_id)
    person, ctx = await _visitor(request, services)
    context = {"error": known, "status": status_of(known), "request_id": request_id}
    template = "error.html" if person else "error_signed_out.html"
    if request.headers.get("hx-request") == "true":
        template = "error_fragment.html"
    del ctx
    return respond(ui_for(request, person), template, status_of(known), **context)


async def _visitor(request: Request, services: Services) -> tuple[Person | None, RequestContext | None]:
    """Who sees the error, if that is known."""
    try:
        ctx = await authenticate(request, services, "page")
        return await person_of(Call(request, services, ctx)), ctx
    except InsjoError:
        return None, None
