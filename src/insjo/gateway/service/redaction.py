"""Requests with placeholders instead of sensitive values, and answers in which they are put back (law.md 3).

A placeholder looks like `[CARD_1]`.  In a stream it may come in pieces, so that text which could be the beginning of one is held back
until it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from insjo.gateway.service.wire import content_of, read_body, split_events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from insjo.access.service.fingerprints import Fingerprints
    from insjo.access.types import Provenance
    from insjo.gateway.service.wire import ReadBody

KEPT: Final = frozenset({"model", "role", "type", "url", "encoding_format"})
"""Fields that are no content of the caller's; `url` may hold an encoded picture, which is never read."""

DEPTH_MAX: Final = 64
LONGEST: Final = 40
"""A placeholder is shorter than this."""

_FIELDS: Final = ("content", "refusal", "reasoning_content")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A request with placeholders, labelled anew, and what they stand for."""

    read: ReadBody
    provenance: Provenance
    values: Mapping[str, str]

    @property
    def reason(self) -> str:
        """One sentence for people."""
        kinds = sorted({placeholder[1:].rpartition("_")[0].lower() for placeholder in self.values})
        return f"{len(self.values)} sensitive values ({', '.join(kinds)}) were replaced by placeholders, and put back in the answer."


def redact(fingerprints: Fingerprints, read: ReadBody) -> Redacted | None:
    """The request with placeholders; None when there is nothing that could be replaced."""
    redactor = fingerprints.redactor(read.texts)
    fields = mapped(read.fields, redactor.text, 0)
    if not redactor.values:
        return None
    changed = read_body(msgspec.json.encode(fields))
    return Redacted(changed, fingerprints.label_parts(changed.texts), redactor.values)


class Restorer:
    """Puts values back into an answer; one for each answer."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """`values` tells what each placeholder stands for."""
        self._values = values
        self._held: dict[tuple[int, str], str] = {}

    def whole(self, content: bytes) -> bytes:
        """A whole answer; one that is not JSON stays as it is."""
        try:
            parsed = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            return content
        return msgspec.json.encode(self._restored(parsed, inside_json=False, depth=0))

    def events(self, events: bytes) -> bytes:
        """Whole server-sent events of a stream."""
        return b"".join(self._event(event) for event in split_events(events))

    def _event(self, event: bytes) -> bytes:
        content = content_of(event)
        if content == b"[DONE]":
            return self._left_over() + event
        try:
            chunk = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            return event
        for choice in (chunk.get("choices") or []) if isinstance(chunk, dict) else []:
            self._choice(choice)
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"

    def _left_over(self) -> bytes:
        """What was held back of choices that the provider never ended."""
        held, self._held = {key: text for key, text in self._held.items() if text and not key[1].startswith("call ")}, {}
        chunks = [{"choices": [{"index": number, "delta": {name: text}, "finish_reason": None}]} for (number, name), text in held.items()]
        return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)

    def _choice(self, choice: dict[str, Any]) -> None:
        """Change the piece of one choice in place; its last piece gets all that was held back."""
        number, last = choice.get("index") or 0, choice.get("finish_reason") is not None
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        for name in _FIELDS:
            given = delta.get(name)
            if isinstance(given, str) or (last and self._held.get((number, name))):
                delta[name] = self._piece((number, name), given if isinstance(given, str) else "", last=last)
        for call in delta.get("tool_calls") or []:
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                key = (number, f"call {call.get('index') or 0}")
                function["arguments"] = self._piece(key, function["arguments"], last=False, inside_json=True)
        if last:
            self._flush_calls(number, delta)

    def _flush_calls(self, number: int, delta: dict[str, Any]) -> None:
        for key in [each for each in self._held if each[0] == number and each[1].startswith("call ")]:
            held = self._held.pop(key)
            if held:
                call = {"index": int(key[1].removeprefix("call ")), "function": {"arguments": held}}
                delta["tool_calls"] = [*(delta.get("tool_calls") or []), call]

    def _piece(self, key: tuple[int, str], text: str, *, last: bool, inside_json: bool = False) -> str:
        """What can be shown of a text that comes in pieces."""
        text = self._put_back(self._held.pop(key, "") + text, inside_json=inside_json)
        at = text.rfind("[", max(0, len(text) - LONGEST))
        if not last and at >= 0 and any(placeholder.startswith(text[at:]) for placeholder in self._values):
            self._held[key] = text[at:]
            return text[:at]
        return text

    def _restored(self, value: Any, *, inside_json: bool, depth: int) -> Any:  # noqa: ANN401  # JSON is what it is.
        if isinstance(value, str):
            return self._put_back(value, inside_json=inside_json)
        if depth > DEPTH_MAX:
            return value
        if isinstance(value, dict):
            return {name: self._restored(each, inside_json=name == "arguments", depth=depth + 1) for name, each in value.items()}
        if isinstance(value, list):
            return [self._restored(each, inside_json=inside_json, depth=depth + 1) for each in value]
        return value

    def _put_back(self, text: str, *, inside_json: bool) -> str:
        if "[" not in text:
            return text
        for placeholder, value in self._values.items():
            if placeholder in text:
                text = text.replace(placeholder, msgspec.json.encode(value).decode()[1:-1] if inside_json else value)
        return text


def mapped(value: Any, change: Callable[[str], str], depth: int, name: str = "") -> Any:  # noqa: ANN401  # JSON is what it is.
    """The value with all its texts changed, but for those that are no content."""
    if isinstance(value, str):
        return value if name in KEPT else change(value)
    if depth > DEPTH_MAX:
        return value
    if isinstance(value, dict):
        return {key: mapped(each, change, depth + 1, key) for key, each in value.items()}
    if isinstance(value, list):
        return [mapped(each, change, depth + 1, name) for each in value]
    return value
