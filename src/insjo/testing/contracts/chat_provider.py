"""What every server behind the port `ChatProvider` has to do, whether it is a model here, a paid one elsewhere or a recorder."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from insjo.gateway.types import ProviderRequest, TimeLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from insjo.access.types import Cleared
    from insjo.gateway.ports import ChatProvider, ProviderResponse
    from insjo.gateway.types import Upstream

PARALLEL = 4
OK = 200


class ContractBroken(AssertionError):
    """A provider does not do what the port promises."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked.

    Attributes:
        provider: The adapter.
        upstream: The server behind it.
        model: A model that the server knows.
        clear: Makes a cleared request; only `access` can.
    """

    provider: ChatProvider
    upstream: Upstream
    model: str
    clear: Callable[[ProviderRequest], Cleared[ProviderRequest]]
    limits: TimeLimits = field(default_factory=TimeLimits)

    async def ask(self, *, stream: bool = False, raw: bytes | None = None, **fields: object) -> ProviderResponse:
        """Open a chat completion."""
        said = [{"role": "user", "content": "Say hello to the lake."}]
        body = {"model": self.model, "messages": said, "max_tokens": 16, "stream": stream, **fields}
        content = json.dumps(body).encode() if raw is None else raw
        return await self.provider.open(self.clear(ProviderRequest(self.upstream, "/chat/completions", content, stream, self.limits)))


def _expect(holds: object, what: str) -> None:
    if not holds:
        raise ContractBroken(what)


async def _whole(response: ProviderResponse) -> Any:  # noqa: ANN401  # JSON is what it is.
    try:
        _expect(response.status == OK, f"status 200, not {response.status}")
        return json.loads(await response.read())
    finally:
        await response.aclose()


async def _events(response: ProviderResponse) -> list[str]:
    try:
        _expect(response.status == OK, f"status 200, not {response.status}")
        _expect(response.header("content-type").startswith("text/event-stream"), "server-sent events")
        content = b"".join([piece async for piece in response.pieces()]).decode()
    finally:
        await response.aclose()
    return [event.removeprefix("data:").strip() for event in content.replace("\r\n", "\n").split("\n\n") if event.strip()]


async def answers_whole(subject: Subject) -> None:
    """An answer is a chat completion with a message and its tokens."""
    answer = await _whole(await subject.ask())
    _expect(isinstance(answer["choices"][0]["message"]["content"], str), "a message with content")
    _expect(answer["usage"]["prompt_tokens"] > 0, "the tokens of the prompt")


async def answers_in_events(subject: Subject) -> None:
    """A stream holds pieces of text and ends with `[DONE]`."""
    *events, last = await _events(await subject.ask(stream=True))
    _expect(last == "[DONE]", f"`[DONE]` at the end, not {last[:100]!r}")
    texts = [choice["delta"].get("content") or "" for event in events for choice in json.loads(event)["choices"]]
    _expect("".join(texts), "text in the events")


async def tells_tokens_of_a_stream(subject: Subject) -> None:
    """A stream that is asked for its tokens tells them in an event without choices, before `[DONE]`."""
    *events, _ = await _events(await subject.ask(stream=True, stream_options={"include_usage": True}))
    last = json.loads(events[-1])
    _expect(last["choices"] == [], "a last event without choices")
    _expect(last["usage"]["prompt_tokens"] > 0, "the tokens of the prompt in it")


async def refuses_what_is_no_request(subject: Subject) -> None:
    """A body that is no JSON is the caller's fault, or the server's, but no success and no hang."""
    response = await subject.ask(raw=b'{"model":')
    try:
        _expect(response.status >= 400, f"a status from 400, not {response.status}")  # noqa: PLR2004  # Errors begin there.
        await response.read()
    finally:
        await response.aclose()


async def serves_after_an_error(subject: Subject) -> None:
    """A wrong request does no harm to the next one."""
    await refuses_what_is_no_request(subject)
    await answers_whole(subject)


async def serves_many_at_once(subject: Subject) -> None:
    """Answers to requests that run at once are not mixed up."""
    answers = await asyncio.gather(*(subject.ask() for _ in range(PARALLEL)))
    for response in answers:
        await _whole(response)


async def can_be_cut_off(subject: Subject) -> None:
    """A stream that nobody wants any more can be ended, twice, and the next request is served."""
    response = await subject.ask(stream=True, max_tokens=256)
    pieces = response.pieces()
    await anext(pieces)
    await response.aclose()
    await response.aclose()
    await answers_whole(subject)


CHECKS: tuple[Callable[[Subject], Awaitable[None]], ...] = (
    answers_whole,
    answers_in_events,
    tells_tokens_of_a_stream,
    refuses_what_is_no_request,
    serves_after_an_error,
    serves_many_at_once,
    can_be_cut_off,
)
"""Everything that a provider must do."""
