"""OpenAI's Responses wire, told in chat completions and back (platform.openai.com, "Responses" and "Streaming events").

Pure functions: items of a conversation become chat messages, an answer or its chunks become output items and events.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from insjo.gateway.errors import NotBuilt, ProviderGarbled
from insjo.gateway.service.wire import invalid, named_event
from insjo.kernel.ids import short_id

Item = dict[str, Any]

PASSED: Final = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_tokens", "user": "user", "seed": "seed"}
"""Fields that chat completions have too, under their name there."""

IGNORED: Final = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "stream", "text", "reasoning", "metadata", "store",
     "previous_response_id", "truncation", "include", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
     "stream_options", "top_logprobs", "max_tool_calls"}
)  # fmt: skip
"""Fields that are acted on elsewhere, or that say something only to OpenAI's own service."""

_TEXTS: Final = frozenset({"input_text", "output_text", "text", "refusal"})
_ITEM_ID: Final = 48


def check_fields(fields: Item) -> None:
    """Refuse what is not there, by its name.

    Raises:
        NotBuilt: Background work, conversations or prompts kept at OpenAI.
        RequestInvalid: An unknown field, or no input.
    """
    for name in ("background", "conversation", "prompt"):
        if fields.get(name):
            raise NotBuilt(f"Insjö does not take `{name}` in responses.", hint="Use `previous_response_id` to go on from an earlier one.")
    unknown = fields.keys() - IGNORED - PASSED.keys() - {"background", "conversation", "prompt"}
    if unknown:
        name = min(unknown)
        raise invalid(f"The field `{name[:100]}` is unknown.", name[:100])
    if "input" not in fields:
        raise invalid("The field `input` is missing.", "input")


def items_of(given: object) -> list[Item]:
    """The input as items; a text is one message of the user."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise invalid("The field `input` must be a text or a list of items.", "input")
    return [each if "type" in each else {"type": "message", **each} for each in given]


def chat_fields(fields: Item, items: list[Item]) -> Item:
    """The request for a chat completion."""
    chat: Item = {"model": fields.get("model", ""), "messages": messages_of(items, fields.get("instructions"))}
    for name, theirs in PASSED.items():
        if fields.get(name) is not None:
            chat[theirs] = fields[name]
    if fields.get("tools"):
        chat["tools"] = [_tool(each) for each in fields["tools"]]
        if fields.get("parallel_tool_calls") is not None:
            chat["parallel_tool_calls"] = fields["parallel_tool_calls"]
        if fields.get("tool_choice") is not None:
            chat["tool_choice"] = _tool_choice(fields["tool_choice"])
    form = (fields.get("text") or {}).get("format") if isinstance(fields.get("text"), dict) else None
    if isinstance(form, dict) and form.get("type") not in {None, "text"}:
        chat["response_format"] = _response_format(form)
    effort = (fields.get("reasoning") or {}).get("effort") if isinstance(fields.get("reasoning"), dict) else None
    if effort:
        chat["reasoning_effort"] = effort
    if fields.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat


def messages_of(items: list[Item], instructions: object = None) -> list[Item]:
    """Chat messages of a conversation; calls of functions that stand side by side are one message of the assistant."""
    messages: list[Item] = []
    if isinstance(instructions, str) and instructions:
        messages.append({"role": "system", "content": instructions})
    for number, item in enumerate(items):
        kind = item.get("type")
        if kind == "message":
            role = item.get("role")
            if role not in {"user", "assistant", "system", "developer"}:
                raise invalid(f"Item {number} of `input` has no known role.", f"input[{number}].role")
            messages.append({"role": "system" if role == "developer" else role, "content": _content(item.get("content"), number)})
        elif kind == "function_call":
            call = {
                "id": str(item.get("call_id", "")),
                "type": "function",
                "function": {"name": str(item.get("name", "")), "arguments": str(item.get("arguments", ""))},
            }
            if messages and messages[-1].get("tool_calls") and item is not items[0]:
                messages[-1]["tool_calls"].append(call)
            else:
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": str(item.get("call_id", "")), "content": _content(item.get("output"), number)})
        elif kind != "reasoning":  # What a model thought is its own affair and of no use to another.
            raise NotBuilt(f"Insjö does not take items of type `{str(kind)[:60]}` in responses.")
    return messages


def _content(content: object, number: int) -> str | list[Item]:
    """Content of a message: one text, or parts when pictures are among them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise invalid(f"The content of item {number} must be a text or a list of parts.", f"input[{number}]")
    parts: list[Item] = []
    for part in content:
        if part.get("type") in _TEXTS:
            parts.append({"type": "text", "text": str(part.get("text", part.get("refusal", "")))})
        elif part.get("type") == "input_image" and isinstance(part.get("image_url"), str):
            parts.append({"type": "image_url", "image_url": {"url": part["image_url"]}})
        else:
            raise NotBuilt(f"Insjö does not take parts of type `{str(part.get('type'))[:60]}` in responses.")
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _tool(tool: object) -> Item:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        kind = tool.get("type") if isinstance(tool, dict) else tool
        raise NotBuilt(f"Insjö does not run tools of type `{str(kind)[:60]}` in responses.", hint="Tools of type `function` work.")
    function = {name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: object) -> object:
    if isinstance(choice, str):
        return choice
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name", "")}}
    raise NotBuilt("Insjö does not know this `tool_choice`.", hint="Use `auto`, `none`, `required` or a function.")


def _response_format(form: Item) -> Item:
    if form.get("type") == "json_schema":
        return {
            "type": "json_schema",
            "json_schema": {name: form[name] for name in ("name", "schema", "strict") if form.get(name) is not None},
        }
    return {"type": str(form.get("type"))}


def new_item_id(prefix: str) -> str:
    """Identifier of a response or an item."""
    return f"{prefix}_{short_id(_ITEM_ID)}"


def message_item(text: str, item_id: str, status: str = "completed") -> Item:
    """A message of the assistant as an output item."""
    content = [] if status == "in_progress" else [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def call_item(call: Item, item_id: str, status: str = "completed") -> Item:
    """A call of a function as an output item."""
    function = call.get("function") or {}
    arguments = function.get("arguments") or ""
    item = {"id": item_id, "type": "function_call", "status": status, "call_id": call.get("id") or "", "name": function.get("name") or ""}
    return {**item, "arguments": arguments}


def output_of(content: bytes) -> tuple[list[Item], str]:
    """Output items of a whole chat completion, and why it ended.

    Raises:
        ProviderGarbled: There is no answer in it.
    """
    try:
        choice = msgspec.json.decode(content)["choices"][0]
        message = choice["message"]
        calls = message.get("tool_calls") or []
        text = message.get("content")
        items = [message_item(text, new_item_id("msg"))] if text or not calls else []
        return [*items, *(call_item(each, new_item_id("fc")) for each in calls)], choice.get("finish_reason") or "stop"
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ProviderGarbled("The provider's answer is not a chat completion.") from error


class EventWriter:
    """Makes the events of a stream out of the chunks of a chat completion."""

    def __init__(self, shell: Item) -> None:
        """`shell` is the response object without output."""
        self._shell = shell
        self._sequence = 0
        self._items: list[Item] = []
        self._text: list[str] = []
        self._calls: dict[int, Item] = {}
        self.finish_reason = "stop"

    def begin(self) -> bytes:
        """The first two events."""
        shown = {**self._shell, "status": "in_progress"}
        return self._event("response.created", response=shown) + self._event("response.in_progress", response=shown)

    def feed(self, chunk: Item) -> bytes:
        """The events of one chunk."""
        events = b""
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            if delta.get("content"):
                events += self._said(str(delta["content"]))
            for call in delta.get("tool_calls") or []:
                events += self._called(call)
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        return events

    def close_items(self) -> tuple[bytes, list[Item]]:
        """The events that end all items, and the items."""
        events = b""
        for index, item in enumerate(self._items):
            place = {"item_id": item["id"], "output_index": index}
            if item["type"] == "message":
                text = "".join(self._text)
                done = message_item(text, item["id"])
                events += self._event("response.output_text.done", **place, content_index=0, text=text, logprobs=[])
                events += self._event("response.content_part.done", **place, content_index=0, part=done["content"][0])
            else:
                done = {**item, "status": "completed"}
                events += self._event("response.function_call_arguments.done", **place, arguments=item["arguments"], name=item["name"])
            self._items[index] = done
            events += self._event("response.output_item.done", output_index=index, item=done)
        if not self._items:
            self._items.append(message_item("", new_item_id("msg")))
        return events, self._items

    def end(self, response: Item) -> bytes:
        """The last event."""
        return self._event(f"response.{response['status']}", response=response)

    def _said(self, text: str) -> bytes:
        events = b""
        index = next((place for place, item in enumerate(self._items) if item["type"] == "message"), None)
        if index is None:
            index = len(self._items)
            item = message_item("", new_item_id("msg"), "in_progress")
            self._items.append(item)
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            events += self._event("response.output_item.added", output_index=index, item=item)
            events += self._event("response.content_part.added", item_id=item["id"], output_index=index, content_index=0, part=part)
        self._text.append(text)
        place = {"item_id": self._items[index]["id"], "output_index": index, "content_index": 0}
        return events + self._event("response.output_text.delta", **place, delta=text, logprobs=[])

    def _called(self, call: Item) -> bytes:
        events = b""
        number = call.get("index") or 0
        item = self._calls.get(number)
        if item is None:
            item = self._calls[number] = call_item(
                {**call, "function": {**(call.get("function") or {}), "arguments": ""}}, new_item_id("fc"), "in_progress"
            )
            self._items.append(item)
            events += self._event("response.output_item.added", output_index=len(self._items) - 1, item=dict(item))
        arguments = (call.get("function") or {}).get("arguments") or ""
        if arguments:
            item["arguments"] += arguments
            index = next(place for place, each in enumerate(self._items) if each is item)
            events += self._event("response.function_call_arguments.delta", item_id=item["id"], output_index=index, delta=arguments)
        return events

    def _event(self, kind: str, **fields: object) -> bytes:
        event = named_event(kind, sequence_number=self._sequence, **fields)
        self._sequence += 1
        return event


def shell_of(fields: Item, response_id: str, model: str, created_s: int) -> Item:
    """The response object before there is output."""
    text = fields.get("text") if isinstance(fields.get("text"), dict) else {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_s,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": fields.get("instructions"),
        "max_output_tokens": fields.get("max_output_tokens"),
        "model": model,
        "output": [],
        "parallel_tool_calls": fields.get("parallel_tool_calls", True),
        "previous_response_id": fields.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None} | (fields.get("reasoning") or {}),
        "store": fields.get("store") is not False,
        "temperature": fields.get("temperature"),
        "text": {"format": {"type": "text"}} | (text or {}),
        "tool_choice": fields.get("tool_choice", "auto"),
        "tools": fields.get("tools") or [],
        "top_p": fields.get("top_p"),
        "truncation": "disabled",
        "usage": None,
        "user": fields.get("user"),
        "metadata": fields.get("metadata") or {},
    }


def finished(shell: Item, output: list[Item], finish_reason: str, usage: Item) -> Item:
    """The response object with its output: `incomplete` when the length ended it."""
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    cut = reasons.get(finish_reason)
    return {
        **shell,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": cut} if cut else None,
        "output": output,
        "usage": usage,
    }


def usage_of(input_tokens: int, output_tokens: int, cached_tokens: int) -> Item:
    """Tokens as this wire tells them."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }
