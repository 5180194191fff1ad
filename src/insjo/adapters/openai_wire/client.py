"""The port `ChatProvider` over pooled connections: cleared requests only, no redirects, only addresses that an admin wrote down."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import TYPE_CHECKING

from insjo.adapters.openai_wire.address import Origin, parse_base_url
from insjo.adapters.openai_wire.connection import Connection, Exchange
from insjo.gateway.errors import EndpointInvalid, ProviderBusy, ProviderGarbled, ProviderTimedOut, ProviderUnreachable

if TYPE_CHECKING:
    from insjo.access.types import Cleared
    from insjo.gateway.types import ProviderRequest, TimeLimits, Upstream

CONNECTIONS_MAX = 1024
"""Open connections to one server."""

WAITING_MAX = 1024
"""Requests that may wait for one of them."""

IDLE_S_MAX = 60.0
"""How long a connection may lie idle and still be tried again."""

HEADS_MAX = 1024
"""Request heads that are kept ready; the store is emptied when it is full."""


class _Pool:
    """Connections to one server."""

    def __init__(self, origin: Origin, tls: ssl.SSLContext | None) -> None:
        self.origin = origin
        self._tls = tls
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._open = 0
        self._loop = asyncio.get_running_loop()

    def take_idle(self) -> Connection | None:
        """A connection that lies ready, the youngest first."""
        oldest_s = self._loop.time() - IDLE_S_MAX
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since_s >= oldest_s:
                return connection
            connection.abort()
        return None

    async def connect(self, limits: TimeLimits) -> Connection:
        """A new connection, or one that became free while waiting for a place."""
        try:
            async with asyncio.timeout(limits.connect_s):
                while self._open >= CONNECTIONS_MAX:
                    await self._wait_for_place()
                    idle = self.take_idle()
                    if idle is not None:
                        return idle
                return await self._connect()
        except TimeoutError as error:
            raise ProviderTimedOut("No connection to the provider was made in time.") from error
        except (OSError, ssl.CertificateError) as error:
            why = "its certificate is not trusted" if isinstance(error, ssl.SSLCertVerificationError) else "no connection can be made"
            raise ProviderUnreachable(f"The provider cannot be reached: {why}.", hint="Try again; if it stays, tell an admin.") from error

    async def _connect(self) -> Connection:
        self._open += 1
        connection = Connection(self._free, self._lost)
        name = self.origin.host if self._tls else None
        try:
            await self._loop.create_connection(lambda: connection, self.origin.host, self.origin.port, ssl=self._tls, server_hostname=name)
        except BaseException:
            if connection.made:
                connection.abort()  # It gives its place back when it is gone.
            else:
                self._open -= 1
                self._wake_one()
            raise
        return connection

    async def _wait_for_place(self) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise ProviderBusy("Too many requests wait for this provider.", hint="Try again in a moment.", details={"retry_after_s": 1})
        place: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._wake_one()  # The place that this one was given goes to the next.
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def _free(self, connection: Connection) -> None:
        self._idle.append(connection)
        self._wake_one()

    def _lost(self, connection: Connection) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    def close(self) -> None:
        """Cut what lies idle; what is in use is cut by its exchange."""
        for connection in list(self._idle):
            connection.abort()
        self._idle.clear()


class OpenAIWire:
    """Sends cleared requests to any server that speaks OpenAI's wire; adapters of other wires over HTTP send through it too (`send`).

    All calls that run at the same time come from one event loop.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        """Take the trust store for https; None means the machine's own, loaded on first use."""
        self._tls = tls
        self._pools: dict[Origin, _Pool] = {}
        self._heads: dict[tuple[Upstream, str, bool], tuple[_Pool, bytes]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def check_address(self, base_url: str) -> None:
        """Refuse an address that no provider has; raises EndpointInvalid.  Opens no connection."""
        parse_base_url(base_url)

    async def open(self, request: Cleared[ProviderRequest]) -> Exchange:
        """Send the request and return when the head of the answer is there."""
        return await self.send(request.content)

    async def send(self, wanted: ProviderRequest) -> Exchange:
        """Send what was cleared, in whatever wire it is; raises what `open` raises.  For adapters alone."""
        if self._loop is not asyncio.get_running_loop():
            self._begin_loop()
        pool, head = self._heads.get((wanted.upstream, wanted.path, wanted.stream)) or self._prepare(wanted)
        head = b"%b%d\r\n\r\n" % (head, len(wanted.body))
        connection = pool.take_idle()
        if connection is not None:
            exchange = connection.send(head, wanted.body, wanted.limits)
            try:
                return await self._await_head(exchange)
            except ProviderUnreachable:
                # A server may close a connection that lay idle just as the request leaves.  Nothing came back, so ask once more.
                if exchange.answered:
                    raise
        connection = await pool.connect(wanted.limits)
        return await self._await_head(connection.send(head, wanted.body, wanted.limits))

    async def close(self) -> None:
        """Close all connections that lie idle."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._heads.clear()

    def _begin_loop(self) -> None:
        """Connections belong to one event loop: in a new one (the next command, the next test) none of them is good."""
        self._pools.clear()
        self._heads.clear()
        self._loop = asyncio.get_running_loop()

    @staticmethod
    async def _await_head(exchange: Exchange) -> Exchange:
        try:
            if not exchange.status:
                await exchange.wait_head()
        except BaseException:
            await exchange.aclose()
            raise
        if exchange.header("content-encoding") not in {"", "identity"}:
            await exchange.aclose()
            raise ProviderGarbled("The provider answered in a compressed form that was not asked for.")
        return exchange

    def _prepare(self, wanted: ProviderRequest) -> tuple[_Pool, bytes]:
        """Pool and fixed bytes of the head for this address and path, up to the value of `content-length`."""
        origin, prefix = parse_base_url(wanted.upstream.base_url)
        pool = self._pools.get(origin)
        if pool is None:
            if origin.tls and self._tls is None:
                self._tls = ssl.create_default_context()
                self._tls.set_alpn_protocols(["http/1.1"])
            pool = self._pools[origin] = _Pool(origin, self._tls if origin.tls else None)
        accept = "text/event-stream" if wanted.stream else "application/json"
        upstream = wanted.upstream
        query = f"?{_checked(upstream.query)}" if upstream.query else ""
        lines = [f"POST {prefix}{wanted.path}{query} HTTP/1.1", f"host: {origin.host_header}"]
        if upstream.api_key:
            scheme = "Bearer " if upstream.key_header == "authorization" else ""
            lines.append(f"{upstream.key_header}: {scheme}{_checked(upstream.api_key)}")
        lines += [f"{_checked(name)}: {_checked(value)}" for name, value in upstream.headers]
        lines += ["content-type: application/json", f"accept: {accept}", "user-agent: insjo", "content-length: "]
        head = "\r\n".join(lines).encode("latin-1")
        if len(self._heads) >= HEADS_MAX:
            self._heads.clear()
        self._heads[wanted.upstream, wanted.path, wanted.stream] = (pool, head)
        return pool, head


def _checked(text: str) -> str:
    """A key or another fixed text, if it cannot break out of its line."""
    if not text.isascii() or not text.isprintable():
        raise EndpointInvalid("The provider key, or a setting of the provider, holds characters that none has.")
    return text
