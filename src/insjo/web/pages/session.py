"""Pages: sign in with a password or a link, choose a password, sign out; language and theme."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import Response

from insjo.kernel.errors import InvalidArgument, Unauthenticated
from insjo.web.authentication import SESSION_COOKIE, refuse_forged
from insjo.web.pages.render import page, plain_page, redirect
from insjo.web.pages.texts import LANGUAGE_COOKIE, LANGUAGES
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.access.types import Principal

YEAR_S = 365 * 86_400
FORM_BYTES_MAX = 64 * 1024
HTTP_NO_CONTENT = 204


def next_path(text: str) -> str:
    """Where to go afterwards: a path of ours, never another site."""
    parts = urlsplit(text)
    if not text.startswith("/") or text.startswith(("//", "/\\")) or parts.netloc or parts.scheme:
        return "/"
    return text


async def form_of(call: Call) -> dict[str, str]:
    """The fields of a posted form, texts only."""
    form = await call.request.form(max_files=0, max_fields=200, max_part_size=FORM_BYTES_MAX)
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def sign_in_page(call: Call) -> Response:
    """The form."""
    return plain_page(call.request, "sign_in.html", next=next_path(call.query("next", "/")), name="", error=None)


async def sign_in(call: Call) -> Response:
    """Check name and password."""
    refuse_forged(call.request)
    form = await form_of(call)
    name, password, after = form.get("name", ""), form.get("password", ""), next_path(form.get("next", "/"))
    try:
        principal = await call.run(call.services.access.passwords.verify, call.ctx, name, password)
    except Unauthenticated as error:
        return plain_page(call.request, "sign_in.html", 401, next=after, name=name, error=error)
    return await _signed_in(call, principal, after)


async def link_sign_in(call: Call) -> Response:
    """Use up a sign-in link; a browser that only prefetches the address does not use it up."""
    if "prefetch" in call.request.headers.get("sec-purpose", call.request.headers.get("purpose", "")):
        return Response(status_code=HTTP_NO_CONTENT)
    try:
        principal = await call.run(call.services.access.signin_links.redeem, call.path("secret"))
    except Unauthenticated as error:
        return plain_page(call.request, "sign_in.html", 401, next="/", name="", error=error)
    return await _signed_in(call, principal, "/")


async def _signed_in(call: Call, principal: Principal, after: str) -> Response:
    """A session cookie, and on to the page."""
    response = redirect(after)
    await _keep_signed_in(call, response, principal.id)
    return response


async def _keep_signed_in(call: Call, response: Response, principal_id: str) -> None:
    """Give the browser the cookie of a new session."""
    value = await call.run(call.services.access.sessions.create, principal_id)
    secure = call.request.url.scheme == "https"
    response.set_cookie(
        SESSION_COOKIE, value, max_age=call.services.settings.session_ttl_s, httponly=True, samesite="lax", secure=secure, path="/"
    )


async def sign_out(call: Call) -> Response:
    """End the session."""
    cookie = call.request.cookies.get(SESSION_COOKIE, "")
    if cookie:
        await call.run(call.services.access.sessions.end, cookie)
    response = redirect("/sign-in")
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


async def password_page(call: Call) -> Response:
    """Choose a password."""
    return await page(call, "password.html", error=None, done=False)


async def set_password(call: Call) -> Response:
    """Set the caller's own password."""
    form = await form_of(call)
    try:
        if form.get("password") != form.get("again"):
            raise InvalidArgument("The two passwords differ.")  # noqa: TRY301  # Shown on the form like every other refusal.
        await call.run(call.services.access.passwords.set, call.ctx, call.ctx.principal.id, form.get("password", ""))
    except InvalidArgument as error:
        return await page(call, "password.html", 400, error=error, done=False)
    # A new password ends every session of the person; whoever chose it goes on with a new one.
    response = await page(call, "password.html", error=None, done=True)
    await _keep_signed_in(call, response, call.ctx.principal.id)
    return response


async def set_language(call: Call) -> Response:
    """Remember the language."""
    form = await form_of(call)
    response = redirect(next_path(form.get("next", "/")))
    lang = form.get("lang", "")
    if lang not in LANGUAGES:
        raise InvalidArgument(f"`{lang[:10]}` is not a language of Insjö.", hint="Choose en or sv.")
    response.set_cookie(LANGUAGE_COOKIE, lang, max_age=YEAR_S, samesite="lax", path="/")
    return response


ROUTES = (
    DoorRoute("GET", "/sign-in", sign_in_page, "page", needs="nobody"),
    DoorRoute("POST", "/sign-in", sign_in, "page", needs="nobody"),
    DoorRoute("GET", "/sign-in/{secret}", link_sign_in, "page", needs="nobody"),
    DoorRoute("POST", "/sign-out", sign_out, "page"),
    DoorRoute("GET", "/settings/password", password_page, "page"),
    DoorRoute("POST", "/settings/password", set_password, "page"),
    DoorRoute("POST", "/ui/language", set_language, "page", needs="nobody"),
)
