"""What the recording provider answers in Anthropic's Messages wire (docs.anthropic.com, "Messages" and "Streaming messages").

It echoes, as it does in OpenAI's wire, uses a tool when the request forces it to, and tells the tokens of a cache apart.
"""

from __future__ import annotations

import json
from typing import Any

from insjo.gateway.service.wire import named_event

CACHED_TOKENS = 2
"""Tokens that a request with `cache_control` reads from the cache."""

TOOL_INPUT = {"lake": "Siljan", "unit": "m"}


def problem_of(asked: dict[str, Any]) -> str:
    """What is wrong with a request, as the real servers would say; empty when nothing is."""
    if not isinstance(asked.get("max_tokens"), int):
        return "max_tokens: Field required"
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    for number, message in enumerate(messages):
        if message.get("role") not in {"user", "assistant"}:
            return f"messages.{number}.role: Input should be 'user' or 'assistant'"
        if any(block.get("type") == "text" and not block.get("text") for block in _blocks(message["content"])):
            return "messages: text content blocks must be non-empty"
    if not 0 <= asked.get("temperature", 0) <= 1:
        return "temperature: Input should be less than or equal to 1"
    unknown = asked.keys() & {"n", "stop", "logprobs", "stream_options", "response_format", "max_completion_tokens", "functions"}
    return f"{min(unknown)}: Extra inputs are not permitted" if unknown else ""


def error_body(message: str, kind: str) -> bytes:
    """An error as this wire tells it."""
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_recorded"}).encode()


def message_body(asked: dict[str, Any], text: str) -> bytes:
    """A whole message."""
    return json.dumps(_message(asked, _answer(asked, text), _stop(asked), _usage(asked, text)), ensure_ascii=False).encode()


def message_events(asked: dict[str, Any], text: str, *, ended: bool) -> list[bytes]:
    """The events of a streamed message."""
    usage = _usage(asked, text)
    events = [named_event("message_start", message=_message(asked, [], None, usage | {"output_tokens": 1})), named_event("ping")]
    for index, block in enumerate(_answer(asked, text)):
        if block["type"] == "text":
            events.append(named_event("content_block_start", index=index, content_block={"type": "text", "text": ""}))
            words = block["text"].split(" ")
            deltas = [{"type": "text_delta", "text": word if not at else " " + word} for at, word in enumerate(words)]
        else:
            events.append(named_event("content_block_start", index=index, content_block=block | {"input": {}}))
            written = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", written[:7], written[7:])]
        events += [named_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(named_event("content_block_stop", index=index))
    told = {"output_tokens": usage["output_tokens"]}
    events.append(named_event("message_delta", delta={"stop_reason": _stop(asked), "stop_sequence": None}, usage=told))
    return [*events, named_event("message_stop")] if ended else events


def said(asked: dict[str, Any]) -> str:
    """The last text of a person, or the result of a tool."""
    for message in reversed(asked.get("messages") or []):
        for block in reversed(_blocks(message["content"])):
            if block.get("type") == "text":
                return str(block["text"])
            if block.get("type") == "tool_result":
                return " ".join(str(each.get("text", "")) for each in _blocks(block.get("content") or ""))
    return ""


def _blocks(content: object) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)  # type: ignore[call-overload]  # What was sent.


def _forced(asked: dict[str, Any]) -> bool:
    return (asked.get("tool_choice") or {}).get("type") in {"tool", "any"}


def _stop(asked: dict[str, Any]) -> str:
    return "tool_use" if _forced(asked) else "end_turn"


def _answer(asked: dict[str, Any], text: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if _forced(asked):
        name = asked["tool_choice"].get("name") or asked["tools"][0]["name"]
        blocks.append({"type": "tool_use", "id": "toolu_recorded", "name": name, "input": TOOL_INPUT})
    return blocks


def _message(asked: dict[str, Any], blocks: list[dict[str, Any]], stop: str | None, usage: dict[str, int]) -> dict[str, Any]:
    base = {"id": "msg_recorded", "type": "message", "role": "assistant", "model": asked.get("model", "")}
    return base | {"content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage}


def _usage(asked: dict[str, Any], text: str) -> dict[str, int]:
    cached = CACHED_TOKENS if '"cache_control"' in json.dumps(asked) else 0
    given = sum(len(str(message).split()) for message in asked.get("messages") or [])
    return {
        "input_tokens": given,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": len(text.split()),
    }
