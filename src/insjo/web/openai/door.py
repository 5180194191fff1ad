"""The application of the door: its own paths are answered here, all others by the application inside."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from insjo.gateway.errors import NotBuilt, RequestTooLarge
from insjo.gateway.types import ChatRequest, EmbeddingRequest, Task
from insjo.kernel.errors import InvalidArgument, NotFound
from insjo.kernel.ids import new_id
from insjo.kernel.limits import BODY_BYTES_MAX
from insjo.web.openai.answers import (
    EVENTS,
    JSON,
    NO_BUFFER,
    NO_STORE,
    anthropic_error_event,
    cache_use,
    error_answer,
    error_event,
    raised_label,
    response_error_event,
    route_header,
    warning_headers,
    with_route,
)
from insjo.web.openai.callers import Callers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from insjo.access.types import Label
    from insjo.gateway.service.completions import ChatResponse
    from insjo.gateway.service.messages import MessageAnswer
    from insjo.gateway.service.responses import ResponseAnswer
    from insjo.gateway.service.snapshot import EndpointView
    from insjo.gateway.types import CacheUse
    from insjo.kernel.context import RequestContext
    from insjo.web.openai.answers import Headers
    from insjo.web.types import Services

WATCH_AFTER_S: Final = 0.05
"""A request that is answered sooner is not watched for a client that goes away."""

OK: Final = 200
ALIASES: Final = ("/v1", "/serving-endpoints", "/ai-gateway/mlflow/v1", "/ai-gateway/openai/v1")
"""Where clients look for OpenAI's paths."""

NOT_BUILT: Final = {
    "completions": "Text completions",
    "audio": "Audio",
    "images": "Images",
    "videos": "Videos",
    "files": "Files",
    "uploads": "Uploads",
    "batches": "Batches",
    "moderations": "Moderations",
    "fine_tuning": "Fine-tuning by this door",
    "vector_stores": "Vector stores",
    "assistants": "Assistants",
    "threads": "Threads",
    "realtime": "Realtime",
    "conversations": "Conversations",
    "evals": "Evaluations",
    "containers": "Containers",
    "organization": "The organization API",
}
"""Parts of OpenAI's API that are answered with 501 and their name."""


@dataclass(slots=True)
class _Asked:
    """One request at the door."""

    scope: Scope
    receive: Receive
    send: Send
    endpoint: str = ""
    form: Literal["openai", "databricks", "anthropic"] = "openai"
    authorization: bytes = b""
    label: str = ""
    include: bytes = b""
    length: int = 0
    cache: CacheUse = "use"
    started: bool = False

    @property
    def request_id(self) -> str:
        return str(self.scope["insjo.request_id"])

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        self.started = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def body(self) -> bytes:
        """The body of the request; raises RequestTooLarge before more than the limit is held."""
        if self.length > BODY_BYTES_MAX:
            raise _too_large()
        message = await self.receive()
        if not message.get("more_body"):
            return _part(message)
        parts, size = [_part(message)], 0
        while message.get("more_body"):
            message = await self.receive()
            parts.append(_part(message))
            size += len(parts[-1])
            if size > BODY_BYTES_MAX:
                raise _too_large()
        return b"".join(parts)

    def raised(self) -> Label | None:
        """The label that the caller adds by header."""
        return raised_label(self.label) if self.label else None


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """One route of the door."""

    method: str
    path: str
    call: Callable[[OpenAIDoor, _Asked], Awaitable[None]]
    door: str = "openai"
    needs: str = "user"


class OpenAIDoor:
    """Answers OpenAI's paths; passes everything else on."""

    def __init__(self, services: Services, inner: ASGIApp) -> None:
        """Take the services, and the application for all other paths."""
        self._gateway = services.gateway
        self._threads = services.threads
        self._callers = Callers(services)
        self._inner = inner
        self._routes = {(route.path, route.method): route.call for route in ROUTES if "{" not in route.path}
        self._paths = {path for path, _ in self._routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        call = self._routes.get((path, method))
        asked = _Asked(scope, receive, send)
        if call is None:
            call = self._find(path, method, asked)
            if call is None:
                await self._inner(scope, receive, send)
                return
        scope.setdefault("insjo.request_id", "")
        if not scope["insjo.request_id"]:
            scope["insjo.request_id"] = new_id()
        _read_headers(asked)
        await self._serve(call, asked)

    async def _serve(self, call: Callable[[OpenAIDoor, _Asked], Awaitable[None]], asked: _Asked) -> None:
        """Serve one request, and end it when the client goes away."""
        hangup = _Hangup(asked.receive)
        asked.receive = hangup.receive
        try:
            await call(self, asked)
        except asyncio.CancelledError:
            if not hangup.gone:
                raise
            hangup.forgive()
        except _ClientGone:
            pass
        except Exception as error:  # noqa: BLE001  # The last line: whatever happens, the caller gets an answer in the door's form.
            if asked.started:
                await asked.send({"type": "http.response.body", "body": error_event(error, asked.request_id)})
            else:
                await asked.answer(*error_answer(error, asked.request_id, asked.form))
        finally:
            hangup.stop()

    async def chat(self, asked: _Asked) -> None:
        """Chat completion, streamed or whole, by the endpoint that `model` names."""
        ctx, still_valid = await self._callers.context(asked.scope, asked.authorization)
        request = ChatRequest(await asked.body(), asked.endpoint, None, asked.raised(), cache=asked.cache)
        response = await self._gateway.completions.create(ctx, request, still_valid=still_valid)
        try:
            if response.content is None:
                await _stream(asked, response)
                return
            content = response.content
            if b"route" in asked.include and response.status == OK:
                content = with_route(content, response.route)
            headers = [JSON, (b"content-length", b"%d" % len(content)), route_header(response.route), NO_STORE]
            await asked.answer(response.status, [*headers, *warning_headers(response.warnings)], content)
        finally:
            await response.finish()

    async def embed(self, asked: _Asked) -> None:
        """Embeddings of texts by the endpoint that `model` names; `encoding_format` is `float` or `base64`."""
        ctx, _ = await self._callers.context(asked.scope, asked.authorization)
        request = EmbeddingRequest(await asked.body(), asked.endpoint, asked.raised())
        response = await self._gateway.embeddings.create(ctx, request)
        content = response.content
        if b"route" in asked.include and response.status == OK:
            content = with_route(content, response.route)
        headers = [JSON, (b"content-length", b"%d" % len(content)), route_header(response.route), NO_STORE]
        await asked.answer(response.status, headers, content)

    async def respond(self, asked: _Asked) -> None:
        """A response, whole or as events; what was said before is kept for its owner."""
        ctx, still_valid = await self._callers.context(asked.scope, asked.authorization)
        answer = await self._gateway.responses.create(ctx, await asked.body(), raise_to=asked.raised(), still_valid=still_valid)
        if answer.status != OK:
            await asked.answer(answer.status, [JSON, route_header(answer.route), NO_STORE], answer.content)
            return
        await _pass_on(asked, answer, response_error_event)

    async def message(self, asked: _Asked) -> None:
        """A message in Anthropic's wire, whole or as events."""
        asked.form = "anthropic"
        ctx, still_valid = await self._callers.context(asked.scope, asked.authorization)
        answer = await self._gateway.messages.create(ctx, await asked.body(), raise_to=asked.raised(), still_valid=still_valid)
        await _pass_on(asked, answer, anthropic_error_event)

    async def response(self, asked: _Asked) -> None:
        """A stored response of the caller: read, or forgotten."""
        ctx = await self._signed_in(asked)
        response_id, _, part = asked.endpoint.partition("/")
        responses, method = self._gateway.responses, asked.scope["method"]
        if (part, method) == ("", "GET"):
            await _send_json(asked, await self._threads.run(responses.get, ctx, response_id))
        elif (part, method) == ("", "DELETE"):
            await self._threads.run(responses.delete, ctx, response_id)
            await _send_json(asked, {"id": response_id, "object": "response", "deleted": True})
        elif (part, method) == ("input_items", "GET"):
            items = await self._threads.run(responses.input_items, ctx, response_id)
            edge = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
            await _send_json(asked, {"object": "list", "data": items, "has_more": False, **edge})
        elif part in {"", "input_items"}:
            await self.wrong_method(asked)
        else:
            raise NotBuilt(f"`{asked.scope['path']}` is not implemented by Insjö.", hint="Responses are answered at once or streamed.")

    async def invoke(self, asked: _Asked) -> None:
        """Query one endpoint: chat with `messages`, embeddings with `input`."""
        asked.form = "databricks"
        ctx, _ = await self._callers.context(asked.scope, asked.authorization)
        view = await self._gateway.snapshots.find(ctx, asked.endpoint)
        await (self.embed(asked) if view is not None and view.task is Task.EMBEDDINGS else self.chat(asked))

    async def models(self, asked: _Asked) -> None:
        """The endpoints that the caller may use."""
        ctx, _ = await self._callers.context(asked.scope, asked.authorization)
        views = await self._gateway.snapshots.usable(ctx)
        if asked.form == "anthropic":
            await _send_json(asked, _anthropic_models(views))
            return
        await _send_json(asked, {"object": "list", "data": [_model(view) for view in views]})

    async def model(self, asked: _Asked) -> None:
        """One endpoint that the caller may use."""
        ctx, _ = await self._callers.context(asked.scope, asked.authorization)
        view = await self._gateway.snapshots.find(ctx, asked.endpoint)
        if view is None:
            raise await self._gateway.snapshots.missing(ctx, asked.endpoint)
        await _send_json(asked, _model(view))

    async def not_built(self, asked: _Asked) -> None:
        """A part of OpenAI's API that Insjö does not have."""
        await self._signed_in(asked)
        path = asked.scope["path"]
        name = path.split("/v1/", 1)[-1].removeprefix("/serving-endpoints/").split("/")[0]
        what = NOT_BUILT.get(name) or ("This part of the Messages API" if name == "messages" else None)
        if what is None:
            raise NotFound(f"There is no `{asked.scope['method']} {path}`.", hint="Insjö has chat completions, embeddings and models.")
        raise NotBuilt(f"{what} (`{path}`) is not implemented by Insjö.", hint="Use `/v1/chat/completions` or `/v1/embeddings`.")

    async def wrong_method(self, asked: _Asked) -> None:
        """A path of ours with another method."""
        await self._signed_in(asked)
        raise MethodNotAllowed(f"`{asked.scope['path']}` does not take {asked.scope['method']}.")

    async def _signed_in(self, asked: _Asked) -> RequestContext:
        ctx, _ = await self._callers.context(asked.scope, asked.authorization)
        return ctx

    def _find(self, path: str, method: str, asked: _Asked) -> Callable[[OpenAIDoor, _Asked], Awaitable[None]] | None:
        """The call for a path that holds a name, or that is not built; None when it is not of this door."""
        parts = path.split("/")
        if path.startswith("/serving-endpoints/") and len(parts) == 4 and parts[3] == "invocations":  # noqa: PLR2004  # Two names between.
            asked.endpoint = parts[2]
            return OpenAIDoor.invoke if method == "POST" else OpenAIDoor.wrong_method
        if path in self._paths:
            return OpenAIDoor.wrong_method
        base = next((alias for alias in ALIASES if path.startswith(alias + "/")), None)
        if base is None:
            return None
        rest = path[len(base) + 1 :]
        if rest.startswith("models/") and len(rest) > len("models/"):
            asked.endpoint = rest[len("models/") :]
            return OpenAIDoor.model if method == "GET" else OpenAIDoor.wrong_method
        if rest.startswith("responses/") and len(rest) > len("responses/"):
            asked.endpoint = rest[len("responses/") :]
            return OpenAIDoor.response
        if base == "/serving-endpoints" and rest.split("/")[0] not in NOT_BUILT:
            return None
        return OpenAIDoor.not_built


ROUTES: tuple[ModelRoute, ...] = (
    *(ModelRoute("POST", f"{alias}/chat/completions", OpenAIDoor.chat) for alias in ALIASES),
    ModelRoute("POST", "/v1/messages", OpenAIDoor.message, "anthropic"),
    *(ModelRoute("POST", f"{alias}/embeddings", OpenAIDoor.embed) for alias in ALIASES),
    *(ModelRoute("POST", f"{alias}/responses", OpenAIDoor.respond) for alias in ALIASES),
    *(ModelRoute("GET", f"{alias}/responses/{{response}}", OpenAIDoor.response) for alias in ALIASES),
    *(ModelRoute("DELETE", f"{alias}/responses/{{response}}", OpenAIDoor.response) for alias in ALIASES),
    *(ModelRoute("GET", f"{alias}/responses/{{response}}/input_items", OpenAIDoor.response) for alias in ALIASES),
    *(ModelRoute("GET", f"{alias}/models", OpenAIDoor.models) for alias in ALIASES),
    *(ModelRoute("GET", f"{alias}/models/{{model}}", OpenAIDoor.model) for alias in ALIASES),
    ModelRoute("POST", "/serving-endpoints/{name}/invocations", OpenAIDoor.invoke),
    *(ModelRoute("POST", f"/v1/{name}", OpenAIDoor.not_built) for name in NOT_BUILT),
)
"""Every route of the door."""


class MethodNotAllowed(InvalidArgument):
    """The path exists and takes another method."""

    code = "METHOD_NOT_ALLOWED"


class _ClientGone(Exception):  # No error: the client hung up before its request was whole.
    """Nobody waits for an answer."""


class _Hangup:
    """Cancels the task that serves a request when its client goes away."""

    __slots__ = ("_receive", "_task", "_timer", "_watcher", "gone")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.gone = False

    async def receive(self) -> Message:
        """A part of the request; after the last one the client is watched."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        if not message.get("more_body") and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)
        return message

    def forgive(self) -> None:
        """The cancellation was ours and ends here."""
        if self._task is not None:
            self._task.uncancel()

    def stop(self) -> None:
        """The request is answered."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._task is not None:
            self._task.cancel()


async def _stream(asked: _Asked, response: ChatResponse) -> None:
    """Pass a stream on, event by event."""
    send = asked.send
    asked.started = True
    headers = [EVENTS, route_header(response.route), NO_STORE, NO_BUFFER, *warning_headers(response.warnings)]
    await send({"type": "http.response.start", "status": OK, "headers": headers})
    async for events in response.body():
        await send({"type": "http.response.body", "body": events, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _pass_on(asked: _Asked, answer: ResponseAnswer | MessageAnswer, last: Callable[[Exception, str], bytes]) -> None:
    """An answer of a translated wire; `last` makes the event of an error that comes up on the way."""
    shared = [route_header(answer.route), NO_STORE, *warning_headers(answer.warnings)]
    if answer.events is None:
        await asked.answer(answer.status, [JSON, (b"content-length", b"%d" % len(answer.content)), *shared], answer.content)
        return
    asked.started = True
    await asked.send({"type": "http.response.start", "status": OK, "headers": [EVENTS, NO_BUFFER, *shared]})
    rest = b""
    try:
        async for events in answer.events:
            await asked.send({"type": "http.response.body", "body": events, "more_body": True})
    except Exception as error:  # noqa: BLE001  # These wires have an event of their own for errors.
        rest = last(error, asked.request_id)
    finally:
        await answer.events.aclose()
    await asked.send({"type": "http.response.body", "body": rest})


async def _send_json(asked: _Asked, content: object) -> None:
    body = msgspec.json.encode(content)
    await asked.answer(OK, [JSON, (b"content-length", b"%d" % len(body)), NO_STORE], body)


def _model(view: EndpointView) -> dict[str, object]:
    """An endpoint as OpenAI lists models."""
    return {"id": view.name, "object": "model", "created": view.created_s, "owned_by": "insjo"}


def _anthropic_models(views: Sequence[EndpointView]) -> dict[str, object]:
    """Endpoints for chat as Anthropic lists models."""
    found = [
        {
            "type": "model",
            "id": view.name,
            "display_name": view.name,
            "created_at": datetime.fromtimestamp(view.created_s, UTC).isoformat().replace("+00:00", "Z"),
        }
        for view in views
        if view.task is Task.CHAT
    ]
    return {"data": found, "has_more": False, "first_id": found[0]["id"] if found else None, "last_id": found[-1]["id"] if found else None}


def _read_headers(asked: _Asked) -> None:
    """The headers that the door acts on."""
    for name, value in asked.scope["headers"]:
        if name == b"authorization":
            asked.authorization = value
        elif name == b"content-length":
            asked.length = int(value) if value.isdigit() else 0
        elif name == b"x-insjo-label":
            asked.label = f"{asked.label}; {value.decode('latin-1')}" if asked.label else value.decode("latin-1")
        elif name == b"x-insjo-include":
            asked.include = value
        elif name == b"cache-control":
            asked.cache = cache_use(value)
        elif name == b"anthropic-version":
            asked.form = "anthropic"
        elif name == b"x-api-key" and not asked.authorization:
            asked.authorization = b"Bearer " + value


def _part(message: Message) -> bytes:
    body: bytes = message.get("body", b"")
    return body


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(f"The request is larger than {BODY_BYTES_MAX // 1024**2} MiB.", hint="Send less, or refer to a document.")
