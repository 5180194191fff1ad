"""Answers and events of Anthropic's Messages wire told as chat completions (docs.anthropic.com, "Streaming messages")."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from insjo.gateway.errors import ProviderBusy, ProviderGarbled, ProviderRefused

Block = dict[str, Any]

DONE: Final = b"data: [DONE]\n\n"
EVENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest event that is held until it is whole."""

_FINISHES: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_BUSY: Final = frozenset({"overloaded_error", "rate_limit_error"})


def finish_of(stop_reason: object) -> str:
    """Why an answer ended, in the other wire."""
    return _FINISHES.get(str(stop_reason), "stop")


def completion(content: bytes) -> bytes:
    """A whole message as a chat completion.

    Raises:
        ProviderGarbled: It is no message.
    """
    try:
        message = msgspec.json.decode(content)
        texts, thoughts, calls = [], [], []
        for block in message["content"]:
            if block["type"] == "text":
                texts.append(block["text"])
            elif block["type"] == "thinking":
                thoughts.append(block.get("thinking") or "")
            elif block["type"] == "tool_use":
                arguments = msgspec.json.encode(block.get("input") or {}).decode()
                calls.append({"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}})
        said: Block = {"role": "assistant", "content": "".join(texts) if texts or not calls else None, "refusal": None}
        if thoughts:
            said["reasoning_content"] = "".join(thoughts)
        if calls:
            said["tool_calls"] = calls
        choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish_of(message.get("stop_reason"))}
        return msgspec.json.encode(_base(message, "chat.completion") | {"choices": [choice], "usage": usage_of(message.get("usage") or {})})
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProviderGarbled("The provider's answer is not a message.") from error


def refusal(content: bytes) -> bytes:
    """An error body in the other wire; one that is none stays as it is."""
    try:
        error = msgspec.json.decode(content)["error"]
        kind, message = str(error["type"]), str(error["message"])
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
        return content
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": None}})


def usage_of(usage: Block) -> Block:
    """Tokens; this wire counts those that were read from or written to a cache apart."""
    cached = usage.get("cache_read_input_tokens") or 0
    given = (usage.get("input_tokens") or 0) + cached + (usage.get("cache_creation_input_tokens") or 0)
    told = usage.get("output_tokens") or 0
    return {
        "prompt_tokens": given,
        "completion_tokens": told,
        "total_tokens": given + told,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _base(message: Block, kind: str) -> Block:
    return {"id": message.get("id") or "", "object": kind, "created": int(time.time()), "model": message.get("model") or ""}


class ChunkWriter:
    """Makes chunks of a chat completion out of the events of a message."""

    def __init__(self, *, wants_usage: bool) -> None:
        """`wants_usage` adds the event that tells the tokens."""
        self._wants_usage = wants_usage
        self._held = b""
        self._base: Block = {}
        self._usage: Block = {}
        self._calls: dict[int, int] = {}
        self._finish = "stop"
        self._writers = {
            "message_start": self._begin,
            "content_block_start": self._block,
            "content_block_delta": self._delta,
            "message_delta": self._change,
            "message_stop": self._end,
            "error": self._fail,
        }
        self.ended = False

    def feed(self, piece: bytes) -> bytes:
        """The chunks of a piece of the stream.

        Raises:
            ProviderGarbled: It is no stream of a message.
            ProviderBusy: The provider gave up because it has too much to do.
            ProviderRefused: It gave up for another reason.
        """
        held = (self._held + piece).replace(b"\r\n", b"\n")
        *events, self._held = held.split(b"\n\n")
        if len(self._held) > EVENT_BYTES_MAX:
            raise ProviderGarbled("An event of the provider's answer is too long.")
        return b"".join([self._event(event) for event in events])

    def _event(self, event: bytes) -> bytes:
        content = b"".join(line[5:] for line in event.split(b"\n") if line.startswith(b"data:"))
        if not content:
            return b""
        try:
            told = msgspec.json.decode(content)
            writer = self._writers.get(told["type"])
            return writer(told) if writer is not None and not self.ended else b""
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ProviderGarbled("The provider's stream holds an event that is not one of a message.") from error

    def _begin(self, told: Block) -> bytes:
        message = told["message"]
        self._base = _base(message, "chat.completion.chunk")
        self._usage = dict(message.get("usage") or {})
        return self._chunk({"role": "assistant", "content": ""})

    def _block(self, told: Block) -> bytes:
        block = told["content_block"]
        if block["type"] == "tool_use":
            number = self._calls[told["index"]] = len(self._calls)
            function = {"name": block["name"], "arguments": ""}
            return self._chunk({"tool_calls": [{"index": number, "id": block["id"], "type": "function", "function": function}]})
        return self._chunk({"content": block["text"]}) if block.get("text") else b""

    def _delta(self, told: Block) -> bytes:
        delta = told["delta"]
        kind = delta["type"]
        if kind == "text_delta":
            return self._chunk({"content": delta["text"]})
        if kind == "input_json_delta" and told["index"] in self._calls and delta["partial_json"]:
            return self._chunk({"tool_calls": [{"index": self._calls[told["index"]], "function": {"arguments": delta["partial_json"]}}]})
        return self._chunk({"reasoning_content": delta["thinking"]}) if kind == "thinking_delta" else b""

    def _change(self, told: Block) -> bytes:
        self._usage |= {name: value for name, value in (told.get("usage") or {}).items() if value is not None}
        reason = told["delta"].get("stop_reason")
        if reason is not None:
            self._finish = finish_of(reason)
        return b""

    def _end(self, told: Block) -> bytes:
        del told
        self.ended = True
        last = self._chunk({}, self._finish)
        if self._wants_usage:
            chunk = self._base | {"choices": [], "usage": usage_of(self._usage)}
            last += b"data: " + msgspec.json.encode(chunk) + b"\n\n"
        return last + DONE

    def _fail(self, told: Block) -> bytes:
        kind = str(told["error"].get("type"))
        if kind in _BUSY:
            raise ProviderBusy("The provider takes no more requests just now.", hint="Try again later.")
        raise ProviderRefused("The provider gave its answer up.", hint="Try again; if it stays, tell an admin.")

    def _chunk(self, delta: Block, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: " + msgspec.json.encode(self._base | {"choices": [choice]}) + b"\n\n"
