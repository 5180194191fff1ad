"""Who is at the door: an access token or a session cookie, and the check against forged requests."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from insjo.kernel.context import RequestContext
from insjo.kernel.errors import PermissionDenied, Unauthenticated
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from starlette.requests import Request

    from insjo.access.types import Principal
    from insjo.web.types import Door, Services

SESSION_COOKIE = "insjo_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DOOR_NAMES = {"databricks": "rest", "scim": "rest", "openai": "openai", "insjo": "rest", "thrift": "thrift", "page": "page"}


class ForgedRequest(PermissionDenied):
    """A browser sent this on behalf of a page that is not ours."""

    code = "CROSS_SITE_REQUEST"


async def authenticate(request: Request, services: Services, door: Door) -> RequestContext:
    """Context of the caller.

    Raises:
        Unauthenticated: Without a credential, or with a wrong or expired one.
        ForgedRequest: When a cookie came with a request that another site made.
    """
    token = bearer_token(request)
    if token:
        principal = await services.threads.run(services.access.tokens.authenticate, token)
        return context_for(request, principal, door)
    cookie = request.cookies.get(SESSION_COOKIE, "")
    if not cookie:
        raise Unauthenticated("Nobody is signed in.", hint="Send an access token as `Authorization: Bearer ...`, or sign in.")
    refuse_forged(request)
    principal = await services.threads.run(services.access.sessions.authenticate, cookie)
    return context_for(request, principal, door)


def recognise(request: Request, services: Services, door: Door) -> tuple[RequestContext, str] | None:
    """Context of a caller whose token is known from a moment ago, and the token, which is still to be confirmed."""
    token = bearer_token(request)
    principal = services.access.tokens.recognise(token) if token else None
    return (context_for(request, principal, door), token) if principal is not None else None


def context_for(request: Request, principal: Principal, door: Door) -> RequestContext:
    """Request context of a known principal."""
    origin = request.client.host if request.client else ""
    request_id = request.scope.get("insjo.request_id") or new_id()
    return RequestContext(principal=principal.ref(), door=DOOR_NAMES[door], request_id=request_id, origin=origin)


def bearer_token(request: Request) -> str:
    """The token of the Authorization header: as Bearer, or as the password of Basic with the user `token`."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError as error:
            raise Unauthenticated("The Authorization header is not valid.") from error
        return password if user == "token" else ""
    return ""


def refuse_forged(request: Request) -> None:
    """Let unsafe requests with a cookie through only from our own pages (Fetch Metadata, else Origin)."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site in {"same-origin", "none"}:
            return
        raise ForgedRequest("This request came from another site.", hint="Open the page in Insjö and repeat it there.")
    if _is_own(request.headers.get("origin", ""), request.headers.get("host", "")):
        return
    raise ForgedRequest("This request does not say which page it came from.", hint="Use an access token for programs.")


def _is_own(origin: str, host: str) -> bool:
    """Whether an Origin header names this server; `null` and anything that is no address do not."""
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False
