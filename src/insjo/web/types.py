"""What every door is given: the services, one call, and how a route is declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

import msgspec

from insjo.kernel.errors import InvalidArgument, ResourceExhausted, Unauthenticated
from insjo.kernel.limits import BODY_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from insjo.access.service.facade import Access
    from insjo.agents.service.room import AgentsRoom
    from insjo.catalog.service.room import CatalogRoom
    from insjo.gateway.service.room import GatewayRoom
    from insjo.ingest.service.room import IngestRoom
    from insjo.jobs.service import Jobs
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.settings import Settings
    from insjo.kernel.threads import Threads
    from insjo.retrieval.service.room import RetrievalRoom
    from insjo.sql.service.room import SqlRoom
    from insjo.workspace.service.room import WorkspaceRoom

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Door = Literal["databricks", "scim", "openai", "insjo", "thrift", "page"]
"""How errors are written: each door has a form of its own."""

Needs = Literal["nobody", "user"]
"""Who may call at all; what they may do is decided by the services, never here."""


@dataclass(frozen=True, slots=True)
class Services:
    """All services of a running installation; built by `insjo.bootstrap` alone.

    `signing_key` signs links that are fetched without a credential (results of statements).
    """

    signing_key: bytes
    settings: Settings
    clock: Clock
    database: Database
    threads: Threads
    access: Access
    catalog: CatalogRoom
    jobs: Jobs
    sql: SqlRoom
    gateway: GatewayRoom
    retrieval: RetrievalRoom
    agents: AgentsRoom
    workspace: WorkspaceRoom
    ingest: IngestRoom


@dataclass(frozen=True, slots=True)
class Call:
    """One request at a door, after authentication.

    Attributes:
        token: A credential that was recognised from memory and not looked up: `confirm` must be called before anything is done.
    """

    request: Request
    services: Services
    ctx: RequestContext
    token: str = ""

    def confirm(self) -> None:
        """Look the credential up, in the thread that goes on with the request.

        Raises:
            Unauthenticated: When it is no longer good.
        """
        if self.token and self.services.access.tokens.authenticate(self.token).id != self.ctx.principal.id:
            raise Unauthenticated("The access token belongs to somebody else now.")

    async def run(self, service_call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a synchronous service call in the pool of threads."""
        return await self.services.threads.run(service_call, *args, **kwargs)

    async def body(self, bytes_max: int = BODY_BYTES_MAX) -> bytes:
        """The whole body; raises BodyTooLarge before more than `bytes_max` are held."""
        return await read_body(self.request, bytes_max)

    async def json(self, wanted: type[T]) -> T:
        """The body decoded into a msgspec type; an empty body counts as `{}`.

        Raises:
            InvalidArgument: When it is not JSON, or lacks or mistypes a field, which the message names.
        """
        raw = await self.body()
        try:
            return msgspec.json.decode(raw or b"{}", type=wanted)
        except msgspec.ValidationError as error:
            raise InvalidArgument(f"The body is not as expected: {error}.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidArgument("The body is not valid JSON.", hint=str(error)) from error
        except RecursionError as error:
            raise InvalidArgument("The body is nested too deeply.") from error

    def query(self, name: str, default: str = "") -> str:
        """One query parameter."""
        return self.request.query_params.get(name, default)

    def query_int(self, name: str) -> int | None:
        """A query parameter as a whole number, or None when it is absent."""
        text = self.request.query_params.get(name)
        if text is None or not text:
            return None
        try:
            return int(text)
        except ValueError as error:
            raise InvalidArgument(f"The parameter `{name}` must be a whole number, and `{text[:40]}` is not.") from error

    def query_bool(self, name: str) -> bool:
        """A query parameter as true or false; the clients send `true` and `false`."""
        return self.request.query_params.get(name, "").lower() in {"true", "1"}

    def path(self, name: str) -> str:
        """One part of the path."""
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True)
class DoorRoute:
    """One route.  The tables of routes are data, so that the security sweep can call every one of them.

    Attributes:
        confirms: The call begins its work with `Call.confirm`, so that looking up the credential takes no thread of its own.
    """

    method: str
    path: str
    call: Callable[[Call], Awaitable[Response]]
    door: Door
    needs: Needs = "user"
    confirms: bool = False


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The body of a request, at most `bytes_max` bytes."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > bytes_max:
        raise too_large(bytes_max)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > bytes_max:
            raise too_large(bytes_max)
        parts.append(part)
    return b"".join(parts)


def too_large(bytes_max: int) -> BodyTooLarge:
    """The error for a body over its limit."""
    return BodyTooLarge(f"The body is larger than {bytes_max // 1024**2} MiB.", hint="Upload it as a file to a volume instead.")


class BodyTooLarge(ResourceExhausted):
    """A request body over the limit; HTTP has a status of its own for it."""

    code = "REQUEST_TOO_LARGE"
