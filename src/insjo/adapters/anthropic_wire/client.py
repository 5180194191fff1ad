"""The port `ChatProvider` over Anthropic's wire: chat completions are translated, messages go on as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from insjo.adapters.anthropic_wire.answers import ChunkWriter, completion, refusal
from insjo.adapters.anthropic_wire.requests import messages_body
from insjo.gateway.errors import ProviderUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from insjo.access.types import Cleared
    from insjo.gateway.ports import ProviderResponse
    from insjo.gateway.types import ProviderRequest

OK: Final = 200
NATIVE: Final = "/messages"
"""Path of this wire; a request for it is in this wire already."""


class Sender(Protocol):
    """Carries bytes over HTTP; the adapter of OpenAI's wire has one."""

    def check_address(self, base_url: str) -> None:
        """See `ChatProvider`."""
        ...

    async def send(self, wanted: ProviderRequest) -> ProviderResponse:
        """Send what was cleared."""
        ...

    async def close(self) -> None:
        """See `ChatProvider`."""
        ...


class AnthropicWire:
    """Sends cleared requests to servers that speak Anthropic's wire."""

    def __init__(self, sender: Sender) -> None:
        """Take what carries the bytes."""
        self._sender = sender

    def check_address(self, base_url: str) -> None:
        """See the port."""
        self._sender.check_address(base_url)

    async def open(self, request: Cleared[ProviderRequest]) -> ProviderResponse:
        """See the port; a chat completion that this wire has no words for raises RequestInvalid before anything is sent."""
        wanted = request.content
        if wanted.path == NATIVE:
            return await self._sender.send(wanted)
        try:
            chat: Any = msgspec.json.decode(wanted.body)
        except (msgspec.DecodeError, RecursionError):
            chat = None
        if not isinstance(chat, dict):  # The provider says what is wrong with it.
            return await self._sender.send(replace(wanted, path=NATIVE))
        response = await self._sender.send(replace(wanted, path=NATIVE, body=messages_body(chat)))
        options = chat.get("stream_options")
        return _Translated(response, wants_usage=isinstance(options, dict) and options.get("include_usage") is True)

    async def close(self) -> None:
        """See the port."""
        await self._sender.close()


class _Translated:
    """An answer that is told as a chat completion; implements the port `ProviderResponse`."""

    __slots__ = ("_response", "_wants_usage")

    def __init__(self, response: ProviderResponse, *, wants_usage: bool) -> None:
        self._response = response
        self._wants_usage = wants_usage

    @property
    def status(self) -> int:
        """See the port."""
        return self._response.status

    def header(self, name: str) -> str:
        """See the port."""
        return self._response.header(name)

    async def pieces(self) -> AsyncIterator[bytes]:
        """See the port."""
        writer = ChunkWriter(wants_usage=self._wants_usage)
        async for piece in self._response.pieces():
            chunks = writer.feed(piece)
            if chunks:
                yield chunks
        if not writer.ended:
            raise ProviderUnreachable("The provider cut its answer off.", hint="Try again.")

    async def read(self) -> bytes:
        """See the port."""
        content = await self._response.read()
        return completion(content) if self.status == OK else refusal(content)

    async def aclose(self) -> None:
        """See the port."""
        await self._response.aclose()
