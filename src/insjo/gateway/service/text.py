"""Text in, text out: the form in which callers inside Insjö use chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from insjo.gateway.errors import ProviderGarbled, RequestInvalid
from insjo.gateway.types import TextAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from insjo.gateway.types import Message, Route, TokenUsage

MESSAGE_CHARS_MAX = 2000
"""Longest text of a provider's refusal that is passed on."""


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []


class _Refusal(msgspec.Struct):
    message: str = ""


class _Refused(msgspec.Struct):
    error: _Refusal | str | None = None


_DECODER: msgspec.json.Decoder[_Answer] = msgspec.json.Decoder(_Answer)


def options(
    max_tokens: int | None,
    temperature: float | None,
    json_schema: Mapping[str, object] | None,
    stop: Sequence[str] | None,
    *,
    stream: bool,
) -> dict[str, object]:
    """Fields of a request beside its messages; what is None is left to the model."""
    found: dict[str, object] = {"stream": stream}
    if stream:
        found["stream_options"] = {"include_usage": True}
    if max_tokens is not None:
        found["max_tokens"] = max_tokens
    if temperature is not None:
        found["temperature"] = temperature
    if stop:
        found["stop"] = list(stop)
    if json_schema is not None:
        found["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": json_schema}}
    return found


def body_of(endpoint: str, messages: Sequence[Message], fields: Mapping[str, object]) -> bytes:
    """Request body."""
    said = [{"role": each.role, "content": each.content} for each in messages]
    return msgspec.json.encode({"model": endpoint, "messages": said, **fields})


def read_answer(content: bytes, route: Route, usage: TokenUsage) -> TextAnswer:
    """The first choice of a whole answer; raises ProviderGarbled when there is none."""
    try:
        choices = _DECODER.decode(content).choices
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProviderGarbled("The provider's answer is not a chat completion.") from error
    if not choices or choices[0].message is None:
        raise ProviderGarbled("The provider's answer holds no message.")
    return TextAnswer(choices[0].message.content or "", route, usage, choices[0].finish_reason or "")


def deltas(events: bytes) -> Iterator[str]:
    """Pieces of text in whole server-sent events."""
    for line in events.split(b"\n"):
        if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
            continue
        try:
            choices = _DECODER.decode(line[5:]).choices
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProviderGarbled("The provider's stream holds an event that is not a chat completion.") from error
        for choice in choices:
            if choice.delta is not None and choice.delta.content:
                yield choice.delta.content


def chunks(piece: bytes) -> list[dict[str, Any]]:
    """The chunks in whole server-sent events."""
    found = []
    for line in piece.split(b"\n"):
        content = line[5:].strip() if line.startswith(b"data:") else b""
        if not content or content == b"[DONE]":
            continue
        try:
            chunk = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProviderGarbled("The provider's stream holds an event that is not JSON.") from error
        if not isinstance(chunk, dict):
            raise ProviderGarbled("The provider's stream holds an event that is not an object.")
        if chunk.get("error"):
            raise refused(content, 200)
        found.append(chunk)
    return found


def check_refusal(content: bytes, status: int) -> None:
    """Refuse to pass on a refusal that is not in OpenAI's form."""
    try:
        parsed: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or "error" not in parsed:
        raise refused(content, status)


def refused(content: bytes, status: int) -> RequestInvalid:
    """The provider's refusal as an error of ours."""
    try:
        found = msgspec.json.decode(content, type=_Refused).error
    except (msgspec.DecodeError, RecursionError):
        found = None
    said = (found if isinstance(found, str) else found.message if found else "")[:MESSAGE_CHARS_MAX]
    return RequestInvalid(f"The provider refused the request ({status}).", hint=said, details={"upstream_status": status})
