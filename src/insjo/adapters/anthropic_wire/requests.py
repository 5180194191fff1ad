"""Chat completions told in Anthropic's Messages wire (docs.anthropic.com, "Messages"); pure functions.

What the other wire has no word for and what changes nothing that a caller can rely on (`seed`, penalties) is left out; what would change
the form of the answer (`n`, `logprobs`) is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from insjo.gateway.errors import RequestInvalid

Block = dict[str, Any]

OUTPUT_TOKENS: Final = 4096
"""Longest answer when nobody says: this wire wants a number."""

SAME: Final = ("top_p", "top_k", "thinking", "service_tier", "stream")
"""Fields that mean the same in both wires, or that only this one knows."""

_TEMPERATURE_MAX: Final = 1.0
_MEDIA: Final = re.compile(r"data:([\w.+/-]{1,100});base64,(.*)", re.DOTALL)
_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}
_EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})
_JSON_ONLY: Final = "Answer with one JSON object and nothing else."


def messages_body(chat: Block) -> bytes:
    """A request for a message.

    Raises:
        RequestInvalid: It asks for something that this wire does not have.
    """
    _refuse(chat)
    body: Block = {"model": chat.get("model", ""), "max_tokens": _max_tokens(chat)}
    system: list[Block] = []
    messages: list[Block] = []
    for number, message in enumerate(chat.get("messages") or []):
        where = f"messages[{number}]"
        if message.get("role") in {"system", "developer"}:
            system += _parts(message.get("content"), where)
        else:
            _add(messages, *_turn(message, where))
    form = chat.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_object":
        system.append({"type": "text", "text": _JSON_ONLY})
    if system:
        body["system"] = system[0]["text"] if len(system) == 1 and len(system[0]) == 2 else system  # noqa: PLR2004  # Type and text alone.
    body["messages"] = messages
    body |= {name: chat[name] for name in SAME if chat.get(name) is not None}
    _add_options(chat, body)
    return msgspec.json.encode(body)


def _refuse(chat: Block) -> None:
    if (chat.get("n") or 1) != 1:
        raise _invalid("This model gives one answer at a time (`n`).", "n")
    if chat.get("logprobs"):
        raise _invalid("This model does not tell log probabilities.", "logprobs")
    if "audio" in (chat.get("modalities") or []):
        raise _invalid("This model does not speak.", "modalities")
    if chat.get("functions"):
        raise _invalid("This model takes `tools`, not the older `functions`.", "functions")


def _max_tokens(chat: Block) -> int:
    asked = chat.get("max_completion_tokens") or chat.get("max_tokens")
    return asked if isinstance(asked, int) else OUTPUT_TOKENS


def _add_options(chat: Block, body: Block) -> None:
    """Fields that have another name or form."""
    if chat.get("temperature") is not None:
        body["temperature"] = min(chat["temperature"], _TEMPERATURE_MAX)
    stop = chat.get("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if kept := [each for each in stops if str(each).strip()]:  # This wire refuses those that are white space alone.
        body["stop_sequences"] = kept
    if chat.get("user"):
        body["metadata"] = {"user_id": chat["user"]}
    config: Block = {}
    form = chat.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        config["format"] = {"type": "json_schema", "schema": (form.get("json_schema") or {}).get("schema") or {"type": "object"}}
    if chat.get("reasoning_effort") in _EFFORTS:
        config["effort"] = chat["reasoning_effort"]
    if config:
        body["output_config"] = config
    if chat.get("tools"):
        body["tools"] = [_tool(each) for each in chat["tools"]]
        choice = _choice(chat.get("tool_choice"))
        if chat.get("parallel_tool_calls") is False:
            choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
        if choice is not None:
            body["tool_choice"] = choice


def _tool(tool: Block) -> Block:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        raise _invalid("This model takes tools of the type `function`.", "tools")
    made: Block = {"name": function.get("name", ""), "input_schema": function.get("parameters") or {"type": "object", "properties": {}}}
    return made | {name: function[name] for name in ("description", "cache_control") if function.get(name)}


def _choice(choice: object) -> Block | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in _CHOICES:
        return {"type": _CHOICES[choice]}
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        return {"type": "tool", "name": choice["function"].get("name", "")}
    raise _invalid("This `tool_choice` is unknown.", "tool_choice")


def _add(messages: list[Block], role: str, blocks: list[Block]) -> None:
    """Add a turn; what the same side says in a row is one turn here."""
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] = [*_as_blocks(messages[-1]["content"]), *blocks]
    else:
        plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text"
        messages.append({"role": role, "content": blocks[0]["text"] if plain else blocks})


def _as_blocks(content: str | list[Block]) -> list[Block]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _turn(message: Block, where: str) -> tuple[str, list[Block]]:
    """Who says it, and its blocks."""
    role = message.get("role")
    if role == "user":
        return "user", _parts(message.get("content"), where) or [{"type": "text", "text": ""}]
    if role == "tool":
        content = _parts(message.get("content"), where)
        return "user", [{"type": "tool_result", "tool_use_id": str(message.get("tool_call_id", "")), "content": content}]
    if role != "assistant":
        raise _invalid(f"This model knows no role `{str(role)[:60]}`.", where)
    blocks = _parts(message.get("content") or message.get("refusal"), where)
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {}
        blocks.append({"type": "tool_use", "id": call.get("id", ""), "name": function.get("name", ""), "input": _input(function, where)})
    return "assistant", blocks


def _input(function: Block, where: str) -> Block:
    """Arguments of a call, which the other wire writes as a text."""
    try:
        given = msgspec.json.decode(function.get("arguments") or "{}")
    except (msgspec.DecodeError, TypeError) as error:
        raise _invalid("The arguments of a tool call are not JSON.", where) from error
    if not isinstance(given, dict):
        raise _invalid("The arguments of a tool call are no JSON object.", where)
    return given


def _parts(content: object, where: str) -> list[Block]:
    """Content as blocks; empty texts are left out, which this wire refuses."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise _invalid("The content of a message must be a text or a list of parts.", where)
    return [block for part in content if (block := _part(part, where)) is not None]


def _part(part: object, where: str) -> Block | None:
    if not isinstance(part, dict):
        raise _invalid("A part of a message must be an object.", where)
    kind = part.get("type")
    cached = {"cache_control": part["cache_control"]} if part.get("cache_control") else {}
    if kind in {"text", "refusal"}:
        text = part.get(kind) or ""
        return {"type": "text", "text": text, **cached} if text else None
    if kind == "image_url":
        image = part.get("image_url")
        return {"type": "image", "source": _source(str(image.get("url", "")) if isinstance(image, dict) else str(image)), **cached}
    file = part.get("file")
    if kind == "file" and isinstance(file, dict) and file.get("file_data"):
        title = {"title": file["filename"]} if file.get("filename") else {}
        return {"type": "document", "source": _source(str(file["file_data"])), **title, **cached}
    raise _invalid(f"This model takes no parts of the type `{str(kind)[:60]}`.", where)


def _source(url: str) -> Block:
    found = _MEDIA.fullmatch(url)
    if found is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": found[1], "data": found[2]}


def _invalid(message: str, param: str) -> RequestInvalid:
    return RequestInvalid(message, details={"param": param})
