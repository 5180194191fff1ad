"""A provider that records every byte it is sent, and answers in OpenAI's wire, or in Anthropic's where it is asked so (`/messages`).

It stands for "outside" wherever the law is proven or shown: in tests, in the demo, by hand
(`python -m insjo.testing.recorder --port 9000 --file sent.jsonl`).  It can also fail in all the ways in which real providers fail.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from insjo.kernel.processes import guard_against_orphanage, say_ready
from insjo.testing import anthropic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REQUESTS_MAX = 10_000
"""Requests kept in memory; the file keeps all."""

BODY_BYTES_MAX = 128 * 1024 * 1024
DIMENSIONS = 8
MODEL = "recorder-1"


class Fault(StrEnum):
    """A way to fail."""

    NONE = ""
    STATUS = "status"  # Answers with `Script.status` and an error body.
    RESET = "reset"  # Cuts the connection without an answer.
    RESET_MID_STREAM = "reset_mid_stream"  # Cuts it after half of the events or of the body.
    HANG = "hang"  # Never answers.
    HANG_MID_STREAM = "hang_mid_stream"  # Falls silent after half of the events.
    GARBAGE = "garbage"  # Bytes that are no HTTP.
    NO_JSON = "no_json"  # Status 200 and a page.
    NO_DONE = "no_done"  # A stream that ends cleanly without `[DONE]`.
    NO_USAGE = "no_usage"  # Never tells tokens.
    REDIRECT = "redirect"  # Sends the caller elsewhere.
    COMPRESSED = "compressed"  # Claims a compression that nobody asked for.
    LONG_HEAD = "long_head"  # A head that does not end.
    SPLIT = "split"  # A correct stream, cut into pieces of seven bytes.
    EXTRA = "extra"  # A correct answer with the head of a second one behind it.
    ENDLESS = "endless"  # A stream that repeats its middle for ever.


@dataclass(frozen=True, slots=True)
class Script:
    """What to do with one request.

    Attributes:
        text: The answer; empty means an echo of the last message.
        fault: How to fail.
        status: Of the fault `STATUS`.
        delay_s: Wait before the head.
        event_delay_s: Wait before each event of a stream.
        close: Close the connection after the answer, as servers do with idle ones.
    """

    text: str = ""
    fault: Fault = Fault.NONE
    status: int = 500
    delay_s: float = 0.0
    event_delay_s: float = 0.0
    close: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request, byte for byte."""

    at_s: float
    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        """Path of the request line."""
        return self.head.split(b" ", 2)[1].decode("latin-1")

    def header(self, name: str) -> str:
        """Value of a header, empty when absent."""
        wanted = name.lower().encode()
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == wanted:
                return value.strip().decode("latin-1")
        return ""

    def json(self) -> Any:  # noqa: ANN401  # JSON is what it is.
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Recorder:
    """The provider; `running()` starts it in a thread of its own.

    Attributes:
        file: Each request is added to it as one line of JSON.
        api_key: When set, another key is answered with 401.
        default: What to do when the script is used up.
        script: What to do with the next requests, in order.
    """

    file: Path | None = None
    api_key: str = ""
    default: Script = field(default_factory=Script)
    script: deque[Script] = field(default_factory=deque)
    requests: deque[Recorded] = field(default_factory=lambda: deque(maxlen=REQUESTS_MAX))
    cut_by_client: int = 0
    connections: int = 0
    port: int = 0

    @property
    def base_url(self) -> str:
        """What an endpoint takes as base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def received(self) -> bytes:
        """Every byte of all requests kept, heads and bodies."""
        return b"\n".join(each.head + each.body for each in list(self.requests))

    def holds(self, text: str) -> bool:
        """Whether the text arrived, as it is or in an encoding that is easy to undo."""
        haystack = self.received()
        return any(form in haystack for form in _encodings(text))

    def clear(self) -> None:
        """Forget what was recorded and what was planned."""
        self.requests.clear()
        self.script.clear()
        self.cut_by_client = 0

    async def start(self, port: int = 0) -> asyncio.Server:
        """Listen on the local address; port 0 takes a free one."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1024, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        return server

    @contextlib.contextmanager
    def running(self, port: int = 0) -> Iterator[Recorder]:
        """Run in a thread with an event loop of its own until the block ends."""
        ready = threading.Event()
        stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def serve() -> None:
            stop.append((asyncio.get_running_loop(), asyncio.Event()))
            server = await self.start(port)
            ready.set()
            await stop[0][1].wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="recorder", daemon=True)
        thread.start()
        if not ready.wait(10):  # pragma: no cover - the port is taken.
            message = "the recording provider did not start"
            raise RuntimeError(message)
        try:
            yield self
        finally:
            loop, event = stop[0]
            loop.call_soon_threadsafe(event.set)
            thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await _read_body(reader, head)
                if not await self._answer(head, body, writer):
                    break
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, asyncio.LimitOverrunError, ValueError):
            pass  # The client went away, sent no HTTP, or the recorder stops.
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False closes the connection."""
        recorded = Recorded(time.time(), head, body)
        method = head.split(b" ", 1)[0]
        if recorded.path.startswith("/recorded"):
            return await self._show(method, writer)
        self.requests.append(recorded)
        if self.file is not None:
            line = {"at_s": recorded.at_s, "head": head.decode("latin-1"), "body": body.decode("utf-8", "backslashreplace")}
            await asyncio.to_thread(_append, self.file, json.dumps(line, ensure_ascii=False))
        script = self.script.popleft() if self.script else self.default
        if script.delay_s:
            await asyncio.sleep(script.delay_s)
        given = recorded.header("authorization").removeprefix("Bearer ") or recorded.header("x-api-key") or recorded.header("api-key")
        if self.api_key and given != self.api_key:
            return await _send(writer, 401, _error(f"Incorrect API key provided: {given}.", "invalid_api_key"))
        if script.fault is not Fault.NONE and (failed := await _fail(script, writer)) is not None:
            return failed
        if recorded.path.endswith("/models") and method == b"GET":
            listed = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1_760_000_000, "owned_by": "recorder"}]}
            return await _send(writer, 200, json.dumps(listed).encode())
        return await self._model(recorded, script, writer)

    async def _model(self, recorded: Recorded, script: Script, writer: asyncio.StreamWriter) -> bool:
        """Answer a request to a model."""
        try:
            asked = recorded.json()
        except ValueError:
            return await _send(writer, 400, _error("The body is not JSON.", "invalid_json"))
        path = recorded.path.partition("?")[0]
        native = path.endswith("/messages")
        if path.endswith("/embeddings"):
            done = await _send(writer, 200, _embeddings(asked))
        elif not native and not path.endswith("/chat/completions"):
            done = await _send(writer, 404, _error(f"Unknown path {path}.", "not_found"))
        elif native and (problem := anthropic.problem_of(asked)):
            done = await _send(writer, 400, anthropic.error_body(problem, "invalid_request_error"))
        elif asked.get("stream"):
            try:
                done = await _stream(_events_of(asked, script, native=native), script, writer)
            except ConnectionError:
                self.cut_by_client += 1
                return False
        else:
            body = anthropic.message_body(asked, script.text or f"Echo: {anthropic.said(asked)}") if native else _completion(asked, script)
            done = await _complete(body, script, writer)
        return done and not script.close

    async def _show(self, method: bytes, writer: asyncio.StreamWriter) -> bool:
        """What was recorded, for people and for tests in another process."""
        if method == b"DELETE":
            self.clear()
        shown = [
            {"at_s": each.at_s, "path": each.path, "body": each.body.decode("utf-8", "backslashreplace")} for each in list(self.requests)
        ]
        return await _send(writer, 200, json.dumps({"requests": shown}, ensure_ascii=False).encode())


def _append(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(line + "\n")


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-length":
            length = int(value)
            if length > BODY_BYTES_MAX:
                message = "the body is too long for the recorder"
                raise ValueError(message)
            return await reader.readexactly(length)
    return b""


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, content_type: str = "application/json", extra: str = "") -> bool:
    head = f"HTTP/1.1 {status} Answer\r\ncontent-type: {content_type}\r\nx-request-id: req_recorded\r\nset-cookie: tracker=1\r\n{extra}"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}).encode()


async def _fail(script: Script, writer: asyncio.StreamWriter) -> bool | None:
    """Fail before or instead of the answer; None when the fault lies in the answer itself."""
    match script.fault:
        case Fault.STATUS:
            extra = "retry-after: 7\r\n" if script.status in {429, 503} else ""
            return await _send(writer, script.status, _error(f"The recorder was told to answer {script.status}.", "scripted"), extra=extra)
        case Fault.RESET:
            writer.transport.abort()
        case Fault.HANG:
            await asyncio.sleep(3600)
        case Fault.GARBAGE:
            writer.write(b"\x16\x03\x01 this is not HTTP at all\r\n\r\n")
            await writer.drain()
        case Fault.NO_JSON:
            return await _send(writer, 200, b"<html><body>Maintenance</body></html>", "text/html")
        case Fault.REDIRECT:
            return await _send(writer, 307, b"", extra="location: http://127.0.0.1:1/v1/chat/completions\r\n")
        case Fault.LONG_HEAD:
            writer.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %b\r\n" % (i, b"y" * 1000) for i in range(200)))
            await writer.drain()
            await asyncio.sleep(3600)
        case _:
            return None
    return False


def _said(asked: dict[str, Any]) -> str:
    """The last message as text."""
    messages = asked.get("messages") or [{}]
    content = messages[-1].get("content") or ""
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return str(content)


def _usage(asked: dict[str, Any], text: str) -> dict[str, Any]:
    tokens_in = sum(len(str(message.get("content", "")).split()) for message in asked.get("messages", []))
    tokens_out = len(text.split())
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _answer_text(asked: dict[str, Any], script: Script) -> str:
    return script.text or f"Echo: {_said(asked)}"


def _completion(asked: dict[str, Any], script: Script) -> bytes:
    text = _answer_text(asked, script)
    answer: dict[str, Any] = {
        "id": "chatcmpl-recorded",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": asked.get("model", MODEL),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": _usage(asked, text),
    }
    if script.fault is Fault.NO_USAGE:
        del answer["usage"]
    return json.dumps(answer, ensure_ascii=False).encode()


async def _complete(body: bytes, script: Script, writer: asyncio.StreamWriter) -> bool:
    if script.fault is Fault.RESET_MID_STREAM:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body[: len(body) // 2]
        )
        await writer.drain()
        return False
    extra = "content-encoding: br\r\n" if script.fault is Fault.COMPRESSED else ""
    if script.fault is Fault.EXTRA:
        smuggled = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        writer.write(head + body + smuggled)
        await writer.drain()
        return True
    return await _send(writer, 200, body, extra=extra)


def _events_of(asked: dict[str, Any], script: Script, *, native: bool) -> Iterable[bytes]:
    if native:
        text = script.text or f"Echo: {anthropic.said(asked)}"
        events = anthropic.message_events(asked, text, ended=script.fault is not Fault.NO_DONE)
    else:
        events = _events(asked, script)
    if script.fault is Fault.ENDLESS:
        half = len(events) // 2
        return itertools.chain(events[:half], itertools.repeat(events[half]))
    return events


async def _stream(events: Iterable[bytes], script: Script, writer: asyncio.StreamWriter) -> bool:
    half = len(events) // 2 if isinstance(events, list) else 0
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n")
    for number, event in enumerate(events):
        if number == half and script.fault is Fault.RESET_MID_STREAM:
            await writer.drain()
            writer.transport.abort()
            return False
        if number == half and script.fault is Fault.HANG_MID_STREAM:
            await asyncio.sleep(3600)
        if script.event_delay_s:
            await asyncio.sleep(script.event_delay_s)
        if script.fault is Fault.SPLIT:
            for begin in range(0, len(event), 7):
                piece = event[begin : begin + 7]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                await asyncio.sleep(0)
        else:
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
        if writer.transport.is_closing():
            raise ConnectionResetError
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _events(asked: dict[str, Any], script: Script) -> list[bytes]:
    text = _answer_text(asked, script)
    words = text.split(" ")
    deltas = [{"role": "assistant", "content": ""}, *({"content": word if not at else " " + word} for at, word in enumerate(words))]
    base = {"id": "chatcmpl-recorded", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": asked.get("model", MODEL)}
    chunks = [base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (asked.get("stream_options") or {}).get("include_usage") and script.fault is not Fault.NO_USAGE:
        chunks.append(base | {"choices": [], "usage": _usage(asked, text)})
    events = [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks]
    if script.fault is not Fault.NO_DONE:
        events.append(b"data: [DONE]\n\n")
    return events


def _embeddings(asked: dict[str, Any]) -> bytes:
    given = asked.get("input", "")
    texts = [given] if isinstance(given, str) else list(given)
    rows = []
    for index, text in enumerate(texts):
        digest = hashlib.sha256(str(text).encode()).digest()
        vector = [byte / 255 for byte in digest[:DIMENSIONS]]
        shown: object = vector
        if asked.get("encoding_format") == "base64":
            shown = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
        rows.append({"object": "embedding", "index": index, "embedding": shown})
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json.dumps({"object": "list", "data": rows, "model": asked.get("model", MODEL), "usage": usage}).encode()


def _encodings(text: str) -> list[bytes]:
    """The text in the forms in which it may hide in a request."""
    plain = text.encode()
    escaped = json.dumps(text)[1:-1].encode()
    forms = {plain, escaped, json.dumps(text.upper())[1:-1].encode(), plain.lower(), plain.upper(), plain[::-1]}
    forms |= {plain.hex().encode(), plain.hex().upper().encode(), quote(text).encode()}
    # Base64 depends on where the text begins: three offsets, without the characters that the neighbours decide.
    for offset in range(3):
        encoded = base64.b64encode(b"\x00" * offset + plain)
        forms.add(encoded[(offset * 8 + 5) // 6 : len(encoded) - 4])
    return [form for form in forms if len(form) > 3]  # noqa: PLR2004  # Shorter forms are found by chance.


def main() -> None:
    """Run as a program until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m insjo.testing.recorder", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--file", type=Path, default=None, help="add each request to this file as a line of JSON")
    parser.add_argument("--key", default="", help="answer other keys with 401")
    parser.add_argument("--supervised", action="store_true", help="end with the parent process, and tell it the address")
    chosen = parser.parse_args()
    if chosen.supervised:
        guard_against_orphanage()
    recorder = Recorder(file=chosen.file, api_key=chosen.key)

    async def serve() -> None:
        server = await recorder.start(chosen.port)
        if chosen.supervised:
            say_ready(recorder.base_url)
        else:
            sys.stdout.write(f"recording on {recorder.base_url}\n")
            sys.stdout.flush()
        await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
