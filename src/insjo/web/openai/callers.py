"""Who calls: tokens are looked up once and then remembered by their hash, until anything about rights changes."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from insjo.kernel.context import RequestContext
from insjo.kernel.errors import Unauthenticated
from insjo.web.authentication import authenticate, bearer_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Scope

    from insjo.kernel.context import PrincipalRef
    from insjo.web.types import Services

REMEMBERED_MAX: Final = 50_000
REMEMBERED_S: Final = 5.0
"""After this a token is looked up again, so that one that expires is noticed."""

TOKEN_CHARS_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was good under a count of changes, at a time."""

    principal: PrincipalRef
    revision: int
    at_s: float


class Callers:
    """Finds out who calls, without the database when the token was seen a moment ago."""

    def __init__(self, services: Services) -> None:
        """Remember nothing yet."""
        self._services = services
        self._access = services.access
        self._threads = services.threads
        self._known: dict[bytes, _Known] = {}

    async def context(self, scope: Scope, authorization: bytes) -> tuple[RequestContext, Callable[[], Awaitable[None]]]:
        """Context of the caller, and a call that raises once the credential is no longer good.

        Raises:
            Unauthenticated: Without a credential, or with a wrong one.
        """
        if authorization[:7].lower() != b"bearer ":
            return await self._slowly(scope)
        token = authorization[7:].strip()
        principal = await self._principal(token)

        async def still_valid() -> None:
            await self._principal(token)

        client = scope.get("client")
        ctx = RequestContext(principal, "openai", None, scope["insjo.request_id"], None, client[0] if client else "")
        return ctx, still_valid

    async def _principal(self, token: bytes) -> PrincipalRef:
        digest = hashlib.sha256(token).digest()
        revision = self._access.revision()
        now_s = time.monotonic()
        known = self._known.get(digest)
        if known is not None and known.revision == revision and now_s - known.at_s < REMEMBERED_S:
            return known.principal
        self._known.pop(digest, None)
        if not token.isascii() or len(token) > TOKEN_CHARS_MAX:
            raise Unauthenticated("The access token is wrong or expired.", hint="Create one under `/settings/tokens`.")
        found = await self._threads.run(self._access.tokens.authenticate, token.decode())
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[digest] = _Known(found.ref(), revision, now_s)
        return found.ref()

    async def _slowly(self, scope: Scope) -> tuple[RequestContext, Callable[[], Awaitable[None]]]:
        """A browser's session, or a token in another form: as at the other doors."""
        request = Request(scope)
        ctx = await authenticate(request, self._services, "openai")
        again = bearer_token(request) or None

        async def still_valid() -> None:
            if again is not None:
                await self._threads.run(self._access.tokens.authenticate, again)
            else:
                await authenticate(request, self._services, "openai")

        return ctx, still_valid
