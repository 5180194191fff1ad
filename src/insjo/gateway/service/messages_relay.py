"""Anthropic's Messages wire as it comes from a provider that speaks it: passed on unchanged, and read for its tokens alone."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from insjo.gateway.errors import ProviderGarbled, ProviderUnreachable
from insjo.gateway.service.wire import EVENT_BYTES_MAX, content_of, read_body, split_events
from insjo.gateway.types import TokenUsage

if TYPE_CHECKING:
    from insjo.gateway.service.wire import ReadBody

PATH: Final = "/messages"

_ENCODED: Final = re.compile(r"([A-Za-z0-9+/]{64})[A-Za-z0-9+/=]*")


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Message | None = None
    usage: _Usage | None = None


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_EVENT: Final = msgspec.json.Decoder(_Event)
_NOTHING: Final = TokenUsage()


def read_native(raw: bytes) -> ReadBody:
    """Read a request in this wire; encoded pictures, in which no words can be found, are no texts of it."""
    read = read_body(raw)
    return replace(read, texts=[text for text in read.texts if not _is_picture(text)])


def _is_picture(text: str) -> bool:
    """Whether a text is encoded binary content; encoded words are none."""
    found = _ENCODED.fullmatch(text)
    return found is not None and any(byte < 9 or 13 < byte < 32 for byte in base64.b64decode(found[1]))  # noqa: PLR2004  # ASCII.


def read_message_usage(content: bytes) -> TokenUsage | None:
    """Tokens of a whole message, or None when it does not tell them.

    Raises:
        ProviderGarbled: It is no JSON object.
    """
    try:
        usage = _MESSAGE.decode(content).usage
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProviderGarbled("The provider's answer is not a message.") from error
    return _counted(_NOTHING, usage) if usage is not None else None


def _counted(before: TokenUsage, usage: _Usage) -> TokenUsage:
    """The tokens with what an event tells anew; this wire counts those of a cache apart."""
    given, cached = before.input_tokens, before.cached_tokens
    if usage.input_tokens is not None:
        cached = usage.cache_read_input_tokens or 0
        given = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
    told = before.output_tokens if usage.output_tokens is None else usage.output_tokens
    return TokenUsage(max(given, 0), max(told, 0), max(cached, 0))


@dataclass(slots=True)
class MessageRelay:
    """Passes the events of a message on as they came; has the face of `EventRelay`."""

    usage: TokenUsage | None = None
    events: int = 0
    _held: bytes = b""
    _ended: bool = False

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on after this piece: whole events.

        Raises:
            ProviderGarbled: An event is longer than the limit.
        """
        if self._held:
            piece = self._held + piece
        whole = max(piece.rfind(b"\n\n") + 2, piece.rfind(b"\n\r\n") + 3)
        whole = whole if whole > 2 else 0  # noqa: PLR2004  # Not found gives 1 and 2.
        self._held = piece[whole:]
        if len(self._held) > EVENT_BYTES_MAX:
            raise ProviderGarbled("An event of the provider's answer is too long.")
        piece = piece[:whole]
        self.events += piece.count(b"content_block_delta") // 2
        if b'"usage"' in piece or b"message_stop" in piece or b"event: error" in piece:
            self._look(piece)
        return piece

    def finish(self) -> bytes:
        """Nothing is left at the end of a stream that is whole.

        Raises:
            ProviderUnreachable: The stream broke off.
        """
        if not self._ended:
            raise ProviderUnreachable("The provider cut its answer off.", hint="Try again.")
        return b""

    def _look(self, piece: bytes) -> None:
        for event in split_events(piece):
            try:
                told = _EVENT.decode(content_of(event))
            except (msgspec.DecodeError, RecursionError):
                continue  # Not ours to judge: the caller's client will.
            if told.type in {"message_stop", "error"}:
                self._ended = True
            for usage in (told.message.usage if told.message else None, told.usage):
                if usage is not None:
                    self.usage = _counted(self.usage or _NOTHING, usage)
