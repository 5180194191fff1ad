"""Guardrails of an endpoint on one answer: masked before the bytes leave, whole or in a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from insjo.access.service.flow import hash_of
from insjo.gateway.errors import GuardrailBlocked, ProviderGarbled
from insjo.gateway.service.finders import FINDERS, Finder, masked
from insjo.gateway.service.wire import content_of, split_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from insjo.access.types import Provenance
    from insjo.gateway.service.guardrails import Guardrails
    from insjo.gateway.service.snapshot import EndpointView
    from insjo.kernel.context import RequestContext

HELD_BYTES_MAX: Final = 8 * 1024 * 1024
"""Longest answer that is held back until it was judged."""

KEPT: Final = frozenset({"id", "role", "type", "name", "object", "model", "finish_reason", "created", "service_tier", "system_fingerprint"})
DEPTH_MAX: Final = 32


class OutputGuard:
    """Looks at one answer."""

    def __init__(self, guardrails: Guardrails, ctx: RequestContext, view: EndpointView, provenance: Provenance) -> None:
        """`provenance` is that of the request, which an answer inherits."""
        self._guardrails = guardrails
        self._ctx = ctx
        self._view = view
        self._provenance = provenance
        mine = [each for each in view.policy.guardrails if "output" in each.on]
        self._finders = [Finder.of(each, guardrails.patterns) for each in mine if each.kind in FINDERS]
        self._judges = [each for each in mine if each.kind not in FINDERS]
        reaches = [each.reach for each in self._finders]
        self.holds = bool(self._judges) or None in reaches
        self._window = 2 * max([each for each in reaches if each is not None], default=0) + 2
        self._told: set[str] = set()
        self._held: dict[tuple[int, str], str] = {}
        self._seen: dict[tuple[int, str], str] = {}

    @staticmethod
    def of(ctx: RequestContext, guardrails: Guardrails, view: EndpointView, provenance: Provenance) -> OutputGuard | None:
        """A guard, when the endpoint has guardrails for what it answers."""
        if not any("output" in each.on for each in view.policy.guardrails):
            return None
        return OutputGuard(guardrails, ctx, view, provenance)

    async def whole(self, content: bytes) -> bytes:
        """A whole answer as it may leave.

        Raises:
            GuardrailBlocked: A guardrail stops it.
            ProviderGarbled: It cannot be read, and so not looked at.
        """
        parsed = _parsed(content)
        choices = parsed.get("choices") or []
        for choice in choices:
            message = choice.get("message") or {}
            await self._judge("\n".join(_texts(message.get("content"))))
            choice["message"] = self._mapped(message, 0)
            choice.pop("logprobs", None)
        return msgspec.json.encode(parsed)

    async def stream(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Whole events as they may leave; all of them at the end when something has to be seen as a whole."""
        if not self.holds:
            async for piece in pieces:
                shown = b"".join(self._event(event) for event in split_events(piece))
                if shown:
                    yield shown
            return
        held: list[bytes] = []
        size = 0
        async for piece in pieces:
            size += len(piece)
            if size > HELD_BYTES_MAX:
                message = "The answer is too long to be looked at as a whole."
                raise GuardrailBlocked(message)
            held.append(piece)
        events = list(split_events(b"".join(held)))
        said: dict[int, str] = {}
        for event in events:
            for choice in _choices(event):
                for text in _texts((choice.get("delta") or {}).get("content")):
                    said[choice.get("index") or 0] = said.get(choice.get("index") or 0, "") + text
        for text in said.values():
            await self._judge(text)
        self._window = size + 1
        yield b"".join(self._event(event) for event in events)

    def _event(self, event: bytes) -> bytes:
        """One event: what could be the beginning of something is held back until it is known."""
        content = content_of(event)
        if content == b"[DONE]":
            return self._left_over() + event
        if not content:
            return event
        chunk = _parsed(content)
        for choice in chunk.get("choices") or []:
            number, last = choice.get("index") or 0, choice.get("finish_reason") is not None
            choice.pop("logprobs", None)
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._delta(number, delta, last=last)
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"

    def _delta(self, number: int, delta: dict[str, Any], *, last: bool) -> None:
        """Change the piece of one choice in place."""
        for name, value in list(delta.items()):
            if isinstance(value, str) and name not in KEPT:
                delta[name] = self._piece((number, name), value, last=last)
        for call in delta.get("tool_calls") or []:
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                function["arguments"] = self._piece((number, f"call {call.get('index') or 0}"), function["arguments"], last=False)
        if last:
            for key in [each for each in self._held if each[0] == number]:
                text = self._piece(key, "", last=True)
                if text and key[1].startswith("call "):
                    call = {"index": int(key[1].removeprefix("call ")), "function": {"arguments": text}}
                    delta["tool_calls"] = [*(delta.get("tool_calls") or []), call]
                elif text:
                    delta[key[1]] = (delta.get(key[1]) or "") + text

    def _piece(self, key: tuple[int, str], text: str, *, last: bool) -> str:
        """What can be shown of a text that comes in pieces.

        The end of what was shown is looked at again together with what follows, so that something which began there is seen; nothing
        leaves before all that it could be a part of was there.
        """
        seen = self._seen.get(key, "")
        whole = seen + self._held.pop(key, "") + text
        begin, end = len(seen), len(whole) if last else max(len(seen), len(whole) - self._window)
        spans: list[tuple[int, int, str]] = []
        for finder in self._finders:
            finding = finder.find(whole)
            for start, stop in finding.spans if finding is not None else ():
                if stop > begin and (last or stop < len(whole)):  # What touches the end may go on, or be something else.
                    self._tell(finder, finding.reason if finding is not None else "", whole)
                    if finder.guardrail.action == "mask":
                        spans.append((max(start, begin), stop, finder.guardrail.name))
        shown, at = [], begin
        for start, stop, name in sorted(spans):
            if start >= end:
                break
            if stop > end:
                end = start  # It goes on in what is held back.
                break
            if stop > at:
                shown += [whole[at : max(at, start)], f"[{name}]"]
                at = stop
        shown.append(whole[at : max(at, end)])
        end = max(at, end)
        if not last:
            self._held[key] = whole[end:]
            self._seen[key] = whole[max(0, end - self._window) : end]
        return "".join(shown)

    def _left_over(self) -> bytes:
        """What was held back of choices that the provider never ended."""
        found = []
        for number, name in list(self._held):
            text = self._piece((number, name), "", last=True)
            delta: dict[str, Any] = {name: text}
            if name.startswith("call "):
                delta = {"tool_calls": [{"index": int(name.removeprefix("call ")), "function": {"arguments": text}}]}
            if text:
                found.append({"choices": [{"index": number, "delta": delta, "finish_reason": None}]})
        return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in found)

    def _mapped(self, value: Any, depth: int, name: str = "") -> Any:  # noqa: ANN401  # JSON is what it is.
        """The value with all its texts as they may leave."""
        if isinstance(value, str):
            return value if name in KEPT else self._text(value)
        if depth > DEPTH_MAX:
            message = "The provider's answer is nested too deeply."
            raise ProviderGarbled(message)
        if isinstance(value, dict):
            return {key: self._mapped(each, depth + 1, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._mapped(each, depth + 1, name) for each in value]
        return value

    def _text(self, text: str) -> str:
        for finder in self._finders:
            finding = finder.find(text)
            if finding is not None:
                self._tell(finder, finding.reason, text)
                if finder.guardrail.action == "mask":
                    text = masked(text, finding)
        return text

    def _tell(self, finder: Finder, reason: str, text: str) -> None:
        """Write it down once for each answer; blocks at once."""
        guardrail = finder.guardrail
        if guardrail.name not in self._told:
            self._told.add(guardrail.name)
            self._guardrails.act(self._ctx, self._view, guardrail, "output", reason, hash_of(text))

    async def _judge(self, text: str) -> None:
        for guardrail in self._judges:
            reason = await self._guardrails.judge(self._ctx, self._view, guardrail, text, self._provenance, "output")
            if reason and guardrail.name not in self._told:
                self._told.add(guardrail.name)
                self._guardrails.act(self._ctx, self._view, guardrail, "output", reason, hash_of(text))


def _parsed(content: bytes) -> dict[str, Any]:
    """An answer or an event; one that cannot be read cannot be looked at."""
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        message = "The provider's answer is not JSON, so that guardrails cannot look at it."
        raise ProviderGarbled(message) from error
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.get("choices") or []):
        message = "The provider's answer is not a chat completion, so that guardrails cannot look at it."
        raise ProviderGarbled(message)
    return found


def _choices(event: bytes) -> list[dict[str, Any]]:
    content = content_of(event)
    return list(_parsed(content).get("choices") or []) if content and content != b"[DONE]" else []


def _texts(content: Any) -> list[str]:  # noqa: ANN401  # JSON is what it is.
    """The texts of a message's content."""
    if isinstance(content, str):
        return [content]
    pieces = content if isinstance(content, list) else []
    return [each["text"] for each in pieces if isinstance(each, dict) and isinstance(each.get("text"), str)]
