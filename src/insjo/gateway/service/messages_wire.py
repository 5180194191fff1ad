"""Anthropic's Messages wire, told in chat completions and back (docs.anthropic.com, "Messages" and "Streaming messages").

Pure functions: a request becomes a chat completion, an answer or its chunks become content blocks and events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from insjo.gateway.errors import NotBuilt, ProviderGarbled
from insjo.gateway.service.wire import invalid, named_event
from insjo.kernel.ids import short_id

if TYPE_CHECKING:
    from insjo.gateway.types import TokenUsage

Block = dict[str, Any]

PASSED: Final = {"max_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p", "stop_sequences": "stop"}
_STOPS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "function_call": "tool_use",
}
_SILENT: Final = frozenset({"thinking", "redacted_thinking"})
"""What a model thought is its own affair and of no use to another."""

_CHOICES: Final[dict[str, object]] = {"auto": "auto", "any": "required", "none": "none"}
_ID_CHARS: Final = 24


def chat_body(fields: Block) -> bytes:
    """The request as a chat completion.

    Raises:
        RequestInvalid: A field is missing or wrong.
        NotBuilt: It asks for blocks or tools that Insjö does not have.
    """
    if not isinstance(fields.get("max_tokens"), int) or fields["max_tokens"] < 1:
        raise invalid("The field `max_tokens` must be a whole number from 1 on.", "max_tokens")
    if not isinstance(fields.get("messages"), list):
        raise invalid("The field `messages` must be a list.", "messages")
    chat: Block = {"model": fields.get("model", ""), "messages": _system(fields.get("system"))}
    for number, message in enumerate(fields["messages"]):
        if not isinstance(message, dict) or message.get("role") not in {"user", "assistant", "system"}:
            raise invalid(f"Message {number} needs the role `user`, `assistant` or `system`.", f"messages[{number}]")
        chat["messages"] += _messages(message, number)
    for name, theirs in PASSED.items():
        if fields.get(name) is not None:
            chat[theirs] = fields[name]
    if fields.get("tools"):
        chat["tools"] = [_tool(each) for each in fields["tools"]]
        choice = fields.get("tool_choice")
        if isinstance(choice, dict):
            chat["tool_choice"] = _choice(choice)
    if fields.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(chat)


def _system(system: object) -> list[Block]:
    if not system:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}]
    return [{"role": "system", "content": "\n".join(str(block.get("text", "")) for block in _blocks(system, "system"))}]


def _blocks(content: object, where: str) -> list[Block]:
    """Content as blocks; a text is one block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise invalid(f"The content of `{where}` must be a text or a list of blocks.", where)
    return content


def _messages(message: Block, number: int) -> list[Block]:
    """One message as one or more of the other wire: results of tools are messages of their own there."""
    where = f"messages[{number}].content"
    found: list[Block] = []
    parts: list[Block] = []
    calls: list[Block] = []
    for block in _blocks(message.get("content"), where):
        kind = block.get("type")
        if kind == "tool_result":
            content = "\n".join(str(each.get("text", "")) for each in _texts(block.get("content") or "", where))
            found.append({"role": "tool", "tool_call_id": str(block.get("tool_use_id", "")), "content": content})
        elif kind == "tool_use":
            arguments = msgspec.json.encode(block.get("input") or {}).decode()
            function = {"name": str(block.get("name", "")), "arguments": arguments}
            calls.append({"id": str(block.get("id", "")), "type": "function", "function": function})
        elif kind not in _SILENT:
            parts.append(_part(block))
    if calls:
        texts = "\n".join(part["text"] for part in parts if part["type"] == "text")
        return [*found, {"role": "assistant", "content": texts or None, "tool_calls": calls}]
    if parts or not found:
        plain = all(part["type"] == "text" for part in parts)
        found.append({"role": message["role"], "content": "\n".join(part["text"] for part in parts) if plain else parts})
    return found


def _texts(content: object, where: str) -> list[Block]:
    """Blocks that must be texts."""
    blocks = _blocks(content, where)
    other = next((block.get("type") for block in blocks if block.get("type") != "text"), None)
    if other is not None:
        raise NotBuilt(f"Insjö does not take blocks of type `{str(other)[:60]}` in the result of a tool.")
    return blocks


def _part(block: Block) -> Block:
    source = block.get("source")
    if block.get("type") == "text":
        return {"type": "text", "text": str(block.get("text", ""))}
    if block.get("type") == "image" and isinstance(source, dict):
        url = source.get("url") if source.get("type") == "url" else f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": str(url)}}
    raise NotBuilt(f"Insjö does not take blocks of type `{str(block.get('type'))[:60]}` in messages.")


def _tool(tool: object) -> Block:
    if not isinstance(tool, dict) or tool.get("type") not in {None, "custom"}:
        kind = tool.get("type") if isinstance(tool, dict) else tool
        raise NotBuilt(f"Insjö does not run tools of type `{str(kind)[:60]}`.", hint="Tools with a name and an `input_schema` work.")
    function = {"name": tool.get("name", ""), "parameters": tool.get("input_schema") or {"type": "object"}}
    return {"type": "function", "function": function | ({"description": tool["description"]} if tool.get("description") else {})}


def _choice(choice: Block) -> object:
    kind = str(choice.get("type"))
    if kind == "tool":
        return {"type": "function", "function": {"name": str(choice.get("name", ""))}}
    if kind not in _CHOICES:
        raise invalid(f"`{kind[:60]}` is no `tool_choice`.", "tool_choice")
    return _CHOICES[kind]


def message_of(content: bytes, model: str, usage: TokenUsage) -> Block:
    """A whole chat completion as a message.

    Raises:
        ProviderGarbled: There is no answer in it.
    """
    try:
        choice = msgspec.json.decode(content)["choices"][0]
        message = choice["message"]
        blocks = [{"type": "text", "text": message["content"]}] if message.get("content") else []
        for call in message.get("tool_calls") or []:
            function = call["function"]
            given = msgspec.json.decode(function.get("arguments") or "{}")
            blocks.append({"type": "tool_use", "id": call.get("id") or "", "name": function["name"], "input": given})
        return _message(model, blocks, _STOPS.get(choice.get("finish_reason") or "stop", "end_turn"), usage)
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ProviderGarbled("The provider's answer is not a chat completion.") from error


def _message(model: str, blocks: list[Block], stop: str | None, usage: TokenUsage) -> Block:
    return {
        "id": f"msg_{short_id(_ID_CHARS)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _usage(usage),
    }


def _usage(usage: TokenUsage) -> Block:
    """Tokens in this wire: those that came out of a cache are told apart."""
    cached = min(usage.cached_tokens, usage.input_tokens)
    return {
        "input_tokens": usage.input_tokens - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.output_tokens,
    }


class MessageEvents:
    """Makes the events of a streamed message out of the chunks of a chat completion."""

    def __init__(self, model: str) -> None:
        """`model` is what the caller asked for."""
        self._model = model
        self._index = -1
        self._open: str = ""
        self._stop = "end_turn"

    def begin(self, usage: TokenUsage) -> bytes:
        """The first event."""
        return named_event("message_start", message=_message(self._model, [], None, usage))

    def feed(self, chunk: Block) -> bytes:
        """The events of one chunk."""
        events = b""
        for choice in (chunk.get("choices") or [])[:1]:
            delta = choice.get("delta") or {}
            if delta.get("content"):
                events += self._block("text", {"type": "text", "text": ""})
                events += self._delta({"type": "text_delta", "text": delta["content"]})
            for call in delta.get("tool_calls") or []:
                function = call.get("function") or {}
                start: Block = {"type": "tool_use", "id": call.get("id") or "", "name": function.get("name") or "", "input": {}}
                events += self._block(f"call {call.get('index') or 0}", start)
                if function.get("arguments"):
                    events += self._delta({"type": "input_json_delta", "partial_json": function["arguments"]})
            if choice.get("finish_reason"):
                self._stop = _STOPS.get(choice["finish_reason"], "end_turn")
        return events

    def end(self, usage: TokenUsage) -> bytes:
        """The last events."""
        delta = {"stop_reason": self._stop, "stop_sequence": None}
        return self._close() + named_event("message_delta", delta=delta, usage=_usage(usage)) + named_event("message_stop")

    def _block(self, key: str, start: Block) -> bytes:
        """Begin a block, unless it is the one that is open."""
        if key == self._open:
            return b""
        events = self._close()
        self._index += 1
        self._open = key
        return events + named_event("content_block_start", index=self._index, content_block=start)

    def _delta(self, delta: Block) -> bytes:
        return named_event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return named_event("content_block_stop", index=self._index)
