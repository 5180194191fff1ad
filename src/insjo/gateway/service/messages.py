"""Anthropic's Messages API, asked as chat completions: labels, clearances, limits and usage are those of every request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from insjo.gateway.service import messages_wire as wire
from insjo.gateway.service import text
from insjo.gateway.service.wire import read_body
from insjo.gateway.types import ChatRequest, TokenUsage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from insjo.access.types import Label
    from insjo.gateway.service.completions import ChatResponse, Completions
    from insjo.gateway.types import Route
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

OK = 200


@dataclass(frozen=True, slots=True)
class MessageAnswer:
    """A message that is whole (`content`) or comes as events; `status` is one of the caller's faults when the provider says so."""

    route: Route
    warnings: tuple[str, ...]
    content: bytes = b""
    events: AsyncGenerator[bytes, None] | None = None
    status: int = OK


class Messages:
    """Messages through endpoints for chat."""

    def __init__(self, *, completions: Completions, threads: Threads) -> None:
        """Everything by keyword."""
        self._completions = completions
        self._threads = threads

    async def create(
        self,
        ctx: RequestContext,
        raw: bytes,
        *,
        raise_to: Label | None = None,
        still_valid: Callable[[], Awaitable[None]] | None = None,
    ) -> MessageAnswer:
        """Answer one request; raises what `Completions.create` raises, and the provider's refusal as an error of ours."""
        fields, body = await self._threads.run(_told, raw)
        response = await self._completions.create(ctx, ChatRequest(body, raise_to=raise_to, native=raw), still_valid=still_valid)
        model = str(fields.get("model", ""))
        if response.native:
            return await self._passed_on(response)
        if response.streamed:
            return MessageAnswer(response.route, response.warnings, events=self._events(model, response))
        try:
            if response.status != OK:
                raise text.refused(response.content or b"", response.status)
            message = wire.message_of(response.content or b"", model, response.usage)
            return MessageAnswer(response.route, response.warnings, msgspec.json.encode(message))
        finally:
            await response.finish()

    @staticmethod
    async def _passed_on(response: ChatResponse) -> MessageAnswer:
        """What a provider of this wire answered, as it came."""
        if response.streamed:
            return MessageAnswer(response.route, response.warnings, events=_as_they_come(response))
        await response.finish()
        return MessageAnswer(response.route, response.warnings, response.content or b"", status=response.status)

    @staticmethod
    async def _events(model: str, response: ChatResponse) -> AsyncGenerator[bytes, None]:
        """The events of a stream."""
        writer = wire.MessageEvents(model)
        try:
            yield writer.begin(TokenUsage(response.usage.input_tokens))
            async for piece in response.body():
                events = b"".join(writer.feed(chunk) for chunk in text.chunks(piece))
                if events:
                    yield events
            yield writer.end(response.usage)
        finally:
            await response.finish()


async def _as_they_come(response: ChatResponse) -> AsyncGenerator[bytes, None]:
    """The events of a stream that is passed on."""
    try:
        async for piece in response.body():
            yield piece
    finally:
        await response.finish()


def _told(raw: bytes) -> tuple[wire.Block, bytes]:
    """The fields of a request, and the request as a chat completion."""
    fields = read_body(raw).fields
    return fields, wire.chat_body(fields)
