"""OpenAI's wire, as far as the gateway must read it.

A request is read once.  Every text in it is collected, also from fields that nobody here knows and from keys that appear twice, since
what is labelled must be all that is sent.  Apart from the model's name the bytes go on as they came.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from insjo.gateway.errors import ProviderGarbled, RequestInvalid, RequestTooLarge
from insjo.gateway.types import TokenUsage
from insjo.kernel.limits import BODY_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT_BYTES_MAX = 4 * 1024 * 1024
"""Longest server-sent event that is held until it is whole."""

CHARS_PER_TOKEN = 4
"""For estimates, when a provider does not tell the tokens."""

DONE = b"data: [DONE]\n\n"

_MODEL = re.compile(rb'("model"\s*:\s*)"(?:[^"\\]|\\.)*"')
_MEDIA = re.compile(r"data:(?:image|audio|video)/[\w+.;=-]{1,100},([A-Za-z0-9+/]{64})[A-Za-z0-9+/=\r\n]*")
_KNOWN_WORDS = frozenset(
    {
        "additionalProperties", "arguments", "content", "description", "encoding_format", "function", "id", "image_url",
        "include_usage", "input", "json_schema", "max_completion_tokens", "max_tokens", "messages", "model", "name",
        "parameters", "properties", "required", "response_format", "role", "schema", "seed", "stop", "stream", "stream_options",
        "strict", "temperature", "text", "tool_call_id", "tool_calls", "tool_choice", "tools", "top_p", "type", "url", "user",
        "assistant", "system", "tool", "object", "string", "number", "integer", "boolean", "array", "float", "base64", "auto",
        "none", "developer",
    }
)  # fmt: skip
"""Words of the wire itself; they carry nothing of the caller's and need no label."""


@dataclass(slots=True)
class ReadBody:
    """A request body with what the gateway acts on.

    Attributes:
        raw: The bytes as they came.
        fields: The top level; nested objects as dicts.
        texts: Every text in it that is not a word of the wire, in the order of reading.
        native: The request in Anthropic's wire, when it came so and nothing of it was changed: it may go on as it is to a provider of
            that wire.  Whoever changes a body makes a new one, without it.
    """

    raw: bytes
    fields: dict[str, Any]
    texts: list[str]
    native: ReadBody | None = None

    @property
    def model(self) -> str:
        """Value of `model`; empty when it is missing."""
        value = self.fields.get("model", "")
        if not isinstance(value, str):
            raise invalid("The field `model` must be a text.", "model")
        return value

    @property
    def stream(self) -> bool:
        """Whether server-sent events are asked for."""
        value = self.fields.get("stream")
        if value is not None and not isinstance(value, bool):
            raise invalid("The field `stream` must be true or false.", "stream")
        return bool(value)

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked for an event with the tokens at the end of the stream."""
        options = self.fields.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def chars(self) -> int:
        """Length of all texts together."""
        return sum(map(len, self.texts))

    def text(self) -> str:
        """All texts as one, in a form that can be encoded."""
        joined = "\n".join(self.texts)
        try:
            joined.encode()
        except UnicodeEncodeError:  # Half a surrogate pair, which JSON can write and UTF-8 cannot.
            return joined.encode("utf-8", "replace").decode()
        return joined


class _Reader:
    """Parses JSON and collects its texts on the way; one request at a time."""

    __slots__ = ("_scan", "repeated", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.repeated = ""
        self._scan = json.JSONDecoder(object_pairs_hook=self._collect).scan_once  # type: ignore[attr-defined]  # Set by its initialiser; typeshed leaves it out.

    def read(self, text: str) -> Any:  # noqa: ANN401  # JSON is what it is.
        """The parsed text, without white space around it; `texts` and `repeated` tell the rest."""
        self.texts = []
        self.repeated = ""
        try:
            found, end = self._scan(text, 0)
        except StopIteration as error:
            raise json.JSONDecodeError("Expecting value", text, error.value) from None
        if end != len(text):
            raise json.JSONDecodeError("Extra text", text, end)
        return found

    def _collect(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        texts = self.texts
        for key, value in pairs:
            if key not in _KNOWN_WORDS:
                texts.append(key)
            kind = value.__class__
            if kind is str:
                if value not in _KNOWN_WORDS:
                    texts.append(value)
            elif kind is list:
                _collect_items(value, texts)
        found = dict(pairs)
        # The outermost object is closed last, so that what remains here is its own repetition.
        self.repeated = "" if len(found) == len(pairs) else next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
        return found


_READERS: deque[_Reader] = deque(maxlen=64)
"""Readers that are not in use; making one costs as much as reading a short request."""


def read_body(raw: bytes) -> ReadBody:
    """Read a request body.

    Raises:
        RequestInvalid: It is not a JSON object, or a field of the top level appears twice.
        RequestTooLarge: It is longer than the limit.
    """
    if len(raw) > BODY_BYTES_MAX:
        raise RequestTooLarge(f"The request is larger than {BODY_BYTES_MAX // 1024**2} MiB.")
    reader = _READERS.pop() if _READERS else _Reader()
    try:
        parsed = reader.read(raw.decode().strip(" \t\n\r"))
    except (ValueError, RecursionError) as error:
        where = f"Look at line {error.lineno}, column {error.colno}." if isinstance(error, json.JSONDecodeError) else ""
        raise RequestInvalid("The body is not valid JSON.", hint=where) from error
    texts, repeated = reader.texts, reader.repeated
    _READERS.append(reader)
    if not isinstance(parsed, dict):
        raise RequestInvalid("The body must be a JSON object.")
    if repeated:
        raise invalid(f"The field `{repeated}` appears twice.", repeated)
    if b'"data:' in raw:
        texts = [text for text in texts if not _is_media(text)]
    return ReadBody(raw, parsed, texts)


def _collect_items(items: list[Any], texts: list[str]) -> None:
    """Texts that stand in arrays; objects in them were read already."""
    waiting = [items]
    while waiting:
        for item in waiting.pop():
            if item.__class__ is str:
                texts.append(item)
            elif item.__class__ is list:
                waiting.append(item)


def _is_media(text: str) -> bool:
    """Whether a text is an encoded picture, sound or film, in which no words can be found; encoded words are no picture."""
    found = _MEDIA.fullmatch(text) if text.startswith("data:") else None
    return found is not None and any(byte < 9 or 13 < byte < 32 for byte in base64.b64decode(found[1]))  # noqa: PLR2004  # ASCII.


def invalid(message: str, param: str) -> RequestInvalid:
    """The error for one field of a request."""
    return RequestInvalid(message, details={"param": param})


def check_chat(body: ReadBody) -> None:
    """Refuse what no provider could answer.

    Raises:
        RequestInvalid: `messages` is missing, empty or not a list of objects with a role.
    """
    messages = body.fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("The field `messages` must be a list with at least one message.", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise invalid(f"Message {number} needs a `role` and a `content`.", f"messages[{number}]")


@dataclass(frozen=True, slots=True)
class EmbeddingFields:
    """What a request for embeddings asks for."""

    texts: tuple[str, ...]
    base64: bool
    dimensions: int | None


INPUTS_MAX = 2048
"""Texts in one request for embeddings (OpenAI's limit)."""


def read_embeddings(body: ReadBody) -> EmbeddingFields:
    """The inputs of a request for embeddings.

    Raises:
        RequestInvalid: The input is missing, empty, or tokens, whose content the gateway could not label.
    """
    given = body.fields.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise invalid("The field `input` must be a text or a list of texts.", "input")
    if not all(isinstance(text, str) for text in texts):
        raise RequestInvalid(
            "The field `input` must hold texts, no token numbers: Insjö has to read what it sends.",
            hint="With LangChain, set `check_embedding_ctx_length=False`.",
            details={"param": "input"},
        )
    if len(texts) > INPUTS_MAX:
        raise invalid(f"At most {INPUTS_MAX} texts can be embedded at once, and these are {len(texts)}.", "input")
    form = body.fields.get("encoding_format") or "float"
    if form not in {"float", "base64"}:
        raise invalid("The field `encoding_format` must be `float` or `base64`.", "encoding_format")
    dimensions = body.fields.get("dimensions")
    if dimensions is not None and not isinstance(dimensions, int):
        raise invalid("The field `dimensions` must be a whole number.", "dimensions")
    return EmbeddingFields(tuple(texts), form == "base64", dimensions)


def with_model(body: ReadBody, model: str) -> bytes:
    """The body with another model's name; all other bytes stay as they came, unless keys are written in a way that hides them."""
    name = msgspec.json.encode(model)
    raw = body.raw
    if "model" not in body.fields:
        at = raw.index(b"{") + 1
        comma = b"," if body.fields else b""
        return b'%b"model":%b%b%b' % (raw[:at], name, comma, raw[at:])
    if raw.count(b'"model"') == 1 and b"\\u006" not in raw:  # `\u006d` can spell the m of a key.
        found = _MODEL.search(raw)
        if found is not None:
            return b"%b%b%b" % (raw[: found.end(1)], name, raw[found.end() :])
    return _rebuilt(raw, {"model": msgspec.Raw(name)})


def with_usage(body: ReadBody, raw: bytes) -> bytes:
    """The body of a stream that ends with an event that tells the tokens; `raw` is `body.raw` or derived from it."""
    if "stream_options" not in body.fields:
        return raw.rstrip()[:-1] + b',"stream_options":{"include_usage":true}}'
    options = body.fields["stream_options"]
    merged = (options if isinstance(options, dict) else {}) | {"include_usage": True}
    return _rebuilt(raw, {"stream_options": msgspec.Raw(msgspec.json.encode(merged))})


def without(raw: bytes, names: tuple[str, ...]) -> bytes:
    """The object without some fields of its top level; the others keep their bytes."""
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: value for name, value in fields.items() if name not in names})


def _rebuilt(raw: bytes, changes: dict[str, msgspec.Raw]) -> bytes:
    """The object with some fields of its top level replaced; the others keep their bytes."""
    return msgspec.json.encode(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]) | changes)


class _Details(msgspec.Struct):
    cached_tokens: int | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


class _Chunk(msgspec.Struct):
    usage: _Usage | None = None
    choices: list[msgspec.Raw] | None = None


_ANSWER: msgspec.json.Decoder[_Answer] = msgspec.json.Decoder(_Answer)
_CHUNK: msgspec.json.Decoder[_Chunk] = msgspec.json.Decoder(_Chunk)


def _told(found: _Usage) -> TokenUsage:
    cached = found.prompt_tokens_details.cached_tokens if found.prompt_tokens_details else 0
    return TokenUsage(max(found.prompt_tokens or 0, 0), max(found.completion_tokens or 0, 0), max(cached or 0, 0))


def read_usage(content: bytes) -> TokenUsage | None:
    """Tokens of a whole answer, or None when it does not tell them.

    Raises:
        ProviderGarbled: The answer is not a JSON object.
    """
    try:
        answer = _ANSWER.decode(content)
    except msgspec.ValidationError as error:
        if content.lstrip()[:1] != b"{":
            raise ProviderGarbled("The provider's answer is not a JSON object.") from error
        return None  # A JSON object whose tokens are written in a way of their own.
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProviderGarbled("The provider's answer is not valid JSON.") from error
    return _told(answer.usage) if answer.usage else None


def estimate(chars_in: int, events_out: int) -> TokenUsage:
    """Tokens when the provider does not tell them: four characters or one event a token."""
    return TokenUsage(chars_in // CHARS_PER_TOKEN, events_out, 0, estimated=True)


@dataclass(slots=True)
class EventRelay:
    """Passes server-sent events on: whole events, as they came, without the event of tokens that only the gateway asked for.

    Attributes:
        wants_usage: Whether the caller asked for the event with the tokens.
        usage: The tokens, once the provider told them.
        events: Events with content that were passed on.
    """

    wants_usage: bool
    usage: TokenUsage | None = None
    events: int = 0
    _held: bytes = b""
    _done: bool = False

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on after this piece.

        Raises:
            ProviderGarbled: An event is longer than the limit.
        """
        if self._held:
            piece = self._held + piece
            self._held = b""
        if not piece.endswith(b"\n\n"):
            whole = max(piece.rfind(b"\n\n") + 2, piece.rfind(b"\n\r\n") + 3)
            whole = whole if whole > 2 else 0  # noqa: PLR2004  # Not found gives 1 and 2.
            self._held = piece[whole:]
            if len(self._held) > EVENT_BYTES_MAX:
                raise ProviderGarbled("An event of the provider's answer is too long.")
            piece = piece[:whole]
        if b'"usage":{' in piece or b'"usage": {' in piece:
            return self._read_usage(piece)
        self.events += piece.count(b"data:")
        if b"[DONE]" in piece:
            self._end(piece)
        return piece

    def finish(self) -> bytes:
        """What is still to be passed on at the end, with `[DONE]` if the provider forgot it."""
        rest = self._held + b"\n\n" if self._held.strip() else b""
        self._held = b""
        passed = self.feed(rest) if rest else b""
        if self._done:
            return passed
        self._done = True
        return passed + DONE

    def _read_usage(self, piece: bytes) -> bytes:
        """Read the event of tokens, and take it out if the caller did not ask for it."""
        kept = []
        for event in split_events(piece):
            content = content_of(event)
            if b'"usage"' in content:
                try:
                    chunk = _CHUNK.decode(content)
                except (msgspec.DecodeError, RecursionError):
                    kept.append(event)  # Not ours to judge: the caller's client will.
                    continue
                if chunk.usage is not None:
                    self.usage = _told(chunk.usage)
                    if not chunk.choices and not self.wants_usage:
                        continue
            kept.append(event)
            if content == b"[DONE]":
                self._done = True
            else:
                self.events += 1
        return b"".join(kept)

    def _end(self, piece: bytes) -> None:
        """Look whether `[DONE]` is an event of its own, rather than a word in the answer."""
        for event in split_events(piece):
            if content_of(event) == b"[DONE]":
                self._done = True
                self.events -= 1


def split_events(piece: bytes) -> Iterator[bytes]:
    """Whole events with the blank line that ends each."""
    if b"\r" in piece:
        piece = piece.replace(b"\r\n", b"\n")
    for event in piece.split(b"\n\n"):
        if event:
            yield event + b"\n\n"


def content_of(event: bytes) -> bytes:
    """The data of an event."""
    if event.startswith(b"data:") and event.count(b"\n") == 2:  # noqa: PLR2004  # One line and the blank one.
        return event[5:].strip()
    return b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))


def named_event(kind: str, **fields: object) -> bytes:
    """A server-sent event with a name, whose data tell the name too: OpenAI's responses and Anthropic's messages are streamed so."""
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"
