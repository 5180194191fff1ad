"""One HTTP/1.1 connection that is kept open, and one exchange at a time on it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import httptools

from insjo.gateway.errors import ProviderGarbled, ProviderTimedOut, ProviderUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from insjo.gateway.types import TimeLimits
    from insjo.kernel.errors import InsjoError

HEAD_BYTES_MAX = 64 * 1024
"""Longest status line and headers together."""

READ_BYTES_MAX = 64 * 1024 * 1024
"""Longest body that is read as a whole."""

STREAM_BYTES_MAX = 512 * 1024 * 1024
"""Longest body that is passed on piece by piece."""

BUFFER_BYTES_HIGH = 256 * 1024
"""Bytes that wait for a slow reader before the connection stops reading."""

_INFORMATIONAL = 200
_NO_BODY = frozenset({204, 304})


class Exchange:
    """One request and its answer; implements the port `ProviderResponse`."""

    __slots__ = (
        "_buffered",
        "_connection",
        "_done",
        "_error",
        "_head",
        "_headers",
        "_limits",
        "_loop",
        "_pieces",
        "_received",
        "_started_s",
        "_timer",
        "_touched_s",
        "_waiter",
        "answered",
        "status",
    )

    def __init__(self, connection: Connection, limits: TimeLimits, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to wait for an answer on the connection."""
        self.status = 0
        self.answered = False
        self._connection: Connection | None = connection
        self._limits = limits
        self._loop = loop
        self._headers: dict[bytes, bytes] = {}
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._received = 0
        self._head = False
        self._done = False
        self._error: InsjoError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._started_s = self._touched_s = loop.time()
        self._timer: asyncio.TimerHandle | None = loop.call_later(min(limits.first_byte_s, limits.total_s), self._check_time)

    # What the reader calls.

    def header(self, name: str) -> str:
        """Value of a header by its lower-case name; empty when absent."""
        return self._headers.get(name.encode("latin-1"), b"").decode("latin-1")

    async def wait_head(self) -> None:
        """Wait until status and headers are there; raises what went wrong."""
        while not self._head:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives; what came together is given together."""
        while True:
            if self._pieces:
                piece = self._take()
                self._received += len(piece)
                if self._received > STREAM_BYTES_MAX:
                    await self.aclose()
                    raise ProviderGarbled("The provider's answer is longer than this gateway passes on.")
                yield piece
            elif self._error is not None:
                raise self._error
            elif self._done:
                return
            else:
                await self._wait()

    async def read(self) -> bytes:
        """The whole body."""
        while not self._done:
            if self._error is not None:
                raise self._error
            if self._buffered > READ_BYTES_MAX:
                await self.aclose()
                raise ProviderGarbled("The provider's answer is longer than this gateway reads.")
            if self._connection is not None:
                self._connection.resume()
            await self._wait()
        return self._take()

    async def aclose(self) -> None:
        """Cut the connection when the answer is still running, so that the provider stops working."""
        self._stop_timer()
        connection, self._connection = self._connection, None
        if connection is not None and not self._done:
            self._done = True
            connection.abort()

    def _take(self) -> bytes:
        """Everything that waits, as one."""
        pieces = self._pieces
        piece = pieces.popleft() if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        if self._connection is not None:
            self._connection.resume()
        return piece

    async def _wait(self) -> None:
        """Sleep until the connection has something new."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # What the connection calls.

    def wake(self) -> None:
        """Something is new."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def begin(self, status: int, headers: dict[bytes, bytes]) -> None:
        """The head is there."""
        self.status = status
        self._headers = headers
        self._head = True

    def add(self, piece: bytes) -> int:
        """A piece of the body is there; gives the bytes that wait."""
        self._pieces.append(piece)
        self._buffered += len(piece)
        return self._buffered

    def touch(self) -> None:
        """The provider gave a sign of life."""
        self.answered = True
        self._touched_s = self._loop.time()

    def finish(self) -> None:
        """The body is whole."""
        self._done = True
        self._connection = None
        self._stop_timer()

    def fail(self, error: InsjoError) -> None:
        """No more will come."""
        if not self._done and self._error is None:
            self._error = error
        self._connection = None
        self._stop_timer()
        self.wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_time(self) -> None:
        """One timer for all limits: it looks when the next limit could be reached and is set again if it was not."""
        now_s = self._loop.time()
        total_left_s = self._limits.total_s - (now_s - self._started_s)
        wait_s = self._limits.idle_s if self.answered else self._limits.first_byte_s
        left_s = wait_s - (now_s - self._touched_s)
        if self.answered and self._buffered:
            left_s = wait_s  # A slow reader is no fault of the provider.
        if min(total_left_s, left_s) > 0:
            self._timer = self._loop.call_later(min(total_left_s, left_s) + 0.001, self._check_time)
            return
        connection = self._connection
        what = "finish its answer" if self.answered else "begin to answer"
        self.fail(ProviderTimedOut(f"The provider did not {what} in time.", hint="Try again, or ask for a shorter answer."))
        if connection is not None:
            connection.abort()


class Connection(asyncio.Protocol):
    """A connection to one server: parses answers and gives itself back when an answer is whole."""

    def __init__(self, on_free: Callable[[Connection], None], on_lost: Callable[[Connection], None]) -> None:
        """Keep whom to tell that the connection is free again, or gone."""
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._in_head = True
        self._until_eof = False
        self._paused = False
        self.made = False
        self.idle_since_s = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes, limits: TimeLimits) -> Exchange:
        """Send a request; the connection must be free."""
        transport = self._transport
        if transport is None or self._exchange is not None:
            raise ProviderUnreachable("The connection to the provider is gone.")
        self._exchange = exchange = Exchange(self, limits, self._loop)
        transport.write(head + body)
        return exchange

    def resume(self) -> None:
        """The reader caught up."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Cut the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self.made = True
        self._transport = transport  # type: ignore[assignment]  # A stream protocol gets a stream transport.

    def data_received(self, data: bytes) -> None:
        """Bytes came: parse them and wake the reader once."""
        exchange = self._exchange
        if exchange is None:  # Nobody asked: a server that talks out of turn is not trusted with the next request.
            self.abort()
            return
        if self._in_head:
            self._head_bytes += len(data)
        exchange.touch()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            exchange.fail(ProviderGarbled("The provider answered with something that is not HTTP."))
            self.abort()
            return
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            exchange.fail(ProviderGarbled("The head of the provider's answer is too long."))
            self.abort()
            return
        exchange.wake()

    def eof_received(self) -> bool:
        """The server closed: an answer without a length ends here, any other is broken off."""
        exchange = self._exchange
        if exchange is not None and self._until_eof and not self._in_head:
            self._exchange = None
            exchange.finish()
            exchange.wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        del exc
        self._transport = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            message = "The provider cut its answer off." if exchange.answered else "The provider closed the connection without an answer."
            exchange.fail(ProviderUnreachable(message, hint="Try again."))
        self._on_lost(self)

    # httptools

    def on_message_begin(self) -> None:
        """An answer begins; one that nobody asked for must not be taken for the answer to the next request."""
        if self._exchange is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the head, or a trailer (which is dropped)."""
        if self._in_head:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._status = self._parser.get_status_code()
        if self._status < _INFORMATIONAL:
            return
        self._in_head = False
        headers = self._headers
        self._until_eof = b"content-length" not in headers and b"transfer-encoding" not in headers and self._status not in _NO_BODY
        if self._exchange is not None:
            self._exchange.begin(self._status, headers)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._exchange is not None and self._exchange.add(body) > BUFFER_BYTES_HIGH and not self._paused:
            self._paused = True
            if self._transport is not None:
                self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The answer is whole: get ready for the next one."""
        informational = self._status < _INFORMATIONAL
        keep = self._parser.should_keep_alive() and not self._until_eof
        self._headers = {}
        self._in_head = True
        self._head_bytes = 0
        self._until_eof = False
        if informational:
            return
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.finish()
        self.resume()
        if keep and self.usable:
            self.idle_since_s = self._loop.time()
            self._on_free(self)
        elif self._transport is not None:
            self._transport.close()
