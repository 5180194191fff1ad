"""Own API: a person's private conversations, and the stream of an answer (docs/reference/web-components.md, `<insjo-chat>`)."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import JSONResponse, Response, StreamingResponse

from insjo.agents.service.attachments import FILES_MAX
from insjo.agents.service.chat import TEXT_CHARS_MAX
from insjo.agents.types import (
    Answered,
    Began,
    Cited,
    Conversation,
    ConversationEvent,
    Delta,
    Failed,
    Message,
    Notice,
    Retrieved,
    Source,
    ToolCalled,
    ToolReturned,
)
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InsjoError, InvalidArgument
from insjo.kernel.paging import PageRequest
from insjo.web.insjo.governance import PREFIX
from insjo.web.pages.citations import render_answer
from insjo.web.types import Call, DoorRoute, too_large

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.datastructures import FormData
    from starlette.types import Receive, Scope, Send

NEW: Final = "new"
"""In place of an identifier: a conversation that begins with this message."""

JSON_BYTES_MAX: Final = 2 * 1024 * 1024
FORM_BYTES_MAX: Final = 128 * 1024 * 1024
FIELDS_MAX: Final = 40
HEARTBEAT: Final = b": still here\n\n"
FINISHED: Final = ("html", "label", "model", "sources", "notices", "partial", "sql")
"""What of a message its last event tells."""

NO_BUFFER: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


class SendBody(msgspec.Struct):
    """A message; with neither endpoint nor agent nor index it goes where the last one went."""

    text: str = ""
    endpoint: str = ""
    agent: str = ""
    indexes: list[str] = []


class RenameBody(msgspec.Struct):
    """Another title."""

    title: str


# ------------------------------------------------------------------------------------------------------------------ reading


async def list_all(call: Call) -> Response:
    """The caller's conversations, the last used first."""
    page = PageRequest.of(call.query_int("max_results"), call.query("page_token"))
    found = await call.run(call.services.agents.conversations.list, call.ctx, page)
    body: dict[str, object] = {"conversations": [conversation_body(each) for each in found.items]}
    if found.next_token:
        body["next_page_token"] = found.next_token
    return JSONResponse(body, headers=NO_BUFFER)


async def get(call: Call) -> Response:
    """One conversation."""
    found = await call.run(call.services.agents.conversations.get, call.ctx, call.path("id"))
    return JSONResponse(conversation_body(found), headers=NO_BUFFER)


async def messages(call: Call) -> Response:
    """The last messages, oldest first; `before` is the number of a message, for those before it."""
    limit = PageRequest.of(call.query_int("max_results"), "").size
    before = call.query_int("before")
    found = await call.run(call.services.agents.conversations.messages, call.ctx, call.path("id"), limit=limit, before=before)
    return JSONResponse({"messages": [message_body(each) for each in found]}, headers=NO_BUFFER)


async def rename(call: Call) -> Response:
    """Another title."""
    body = await call.json(RenameBody)
    renamed = await call.run(call.services.agents.conversations.rename, call.ctx, call.path("id"), body.title)
    return JSONResponse(conversation_body(renamed))


async def delete(call: Call) -> Response:
    """Delete a conversation with all its messages."""
    await call.run(call.services.agents.conversations.delete, call.ctx, call.path("id"))
    return JSONResponse({})


# ------------------------------------------------------------------------------------------------------------------ sending


async def send(call: Call) -> Response:
    """Say something: the answer comes as server-sent events, or as one document to whoever accepts JSON only."""
    body, files = await _read(call)
    conversation_id = call.path("id")
    events = call.services.agents.chat.send(
        call.ctx,
        None if conversation_id == NEW else conversation_id,
        body.text,
        endpoint=body.endpoint,
        agent=body.agent,
        indexes=body.indexes,
        attachments=files,
    )
    if _wants_json(call.request.headers.get("accept", "")):
        return await _whole(events)
    # The first event is waited for: what is refused before it is refused with a status.
    first = await anext(events)
    return EventStream(first, events)


async def _whole(events: AsyncGenerator[ConversationEvent, None]) -> Response:
    """The answer as one document; raises what the stream would tell as `error`."""
    conversation_id = ""
    async with aclosing(events):
        async for event in events:
            match event:
                case Began(conversation):
                    conversation_id = conversation.id
                case Failed(code, message, hint, error):
                    failed = error or InsjoError(message, hint=hint, details={"code": code})
                    failed.details["conversation_id"] = conversation_id
                    raise failed
                case Answered(conversation, message):
                    body = {"conversation": conversation_body(conversation), "message": message_body(message)}
                    return JSONResponse(body, headers=NO_BUFFER)
    raise InsjoError("The answer ended before it was complete.")


class EventStream(StreamingResponse):
    """Events as they come; when the client goes away the answer is stopped, and what had come of it is kept."""

    def __init__(self, first: ConversationEvent, events: AsyncGenerator[ConversationEvent, None]) -> None:
        """Take over the events after the first."""
        self._events = events
        super().__init__(self._body(first), media_type="text/event-stream", headers=NO_BUFFER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and close the events however that ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()

    async def _body(self, first: ConversationEvent) -> AsyncGenerator[bytes, None]:
        yield event_bytes(first)
        async for event in self._events:
            yield event_bytes(event)


def event_bytes(event: ConversationEvent) -> bytes:
    """One event as server-sent events write it; a comment when there is nothing to tell."""
    told = _told(event)
    if told is None:
        return HEARTBEAT
    name, content = told
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))


def _told(event: ConversationEvent) -> tuple[str, dict[str, object]] | None:
    """Name and content of an event; None when there is nothing to tell."""
    content: dict[str, object]
    match event:
        case Began(conversation):
            name, content = "started", {**_addresses(conversation), "title": conversation.title}
        case Retrieved(count):
            name, content = "retrieved", {"count": count}
        case ToolCalled(tool, sql):
            name, content = "tool", {"name": tool, "state": "called", **({"sql": sql} if sql else {})}
        case ToolReturned(tool, summary):
            name, content = "tool", {"name": tool, "state": "returned", **({"summary": summary} if summary else {})}
        case Delta(text):
            name, content = "delta", {"text": text}
        case Cited(source):
            name, content = "cited", source_body(source)
        case Notice(text, kind):
            name, content = "notice", {"text": text, "kind": kind}
        case Failed(code, message, hint):
            name, content = "error", {"message": message, "hint": hint, "code": code}
        case Answered(conversation, answer):
            whole = message_body(answer)
            content = {key: whole[key] for key in FINISHED if key in whole}
            name, content = "finished", content | {"message_id": answer.id, **_addresses(conversation), "title": conversation.title}
        case _:
            return None
    return name, content


def _wants_json(accept: str) -> bool:
    """Whether somebody asks for one document rather than for a stream."""
    return "application/json" in accept and "text/event-stream" not in accept


async def _read(call: Call) -> tuple[SendBody, list[tuple[str, bytes]]]:
    """The message and its files, from JSON or from a form."""
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raw = await call.body(JSON_BYTES_MAX)
        try:
            return msgspec.json.decode(raw or b"{}", type=SendBody), []
        except msgspec.ValidationError as error:
            raise InvalidArgument(f"The body is not as expected: {error}.") from error
        except msgspec.DecodeError as error:
            raise InvalidArgument("The body is neither JSON nor a form.", hint="Send JSON or multipart/form-data.") from error
    form = await _form(call)
    try:
        files = [(each.filename or "", await each.read()) for each in form.getlist("files") if isinstance(each, UploadFile)]
    finally:
        await form.close()
    # A file field that nothing was chosen for comes as a file without name and content.
    kept = [(name, content) for name, content in files if name or content]
    indexes = [*_texts(form, "index"), *_texts(form, "indexes")]
    return SendBody(_text(form, "text"), _text(form, "endpoint"), _text(form, "agent"), indexes), kept


async def _form(call: Call) -> FormData:
    """The parts of a form; files above a megabyte wait on disk.  No more is read than is allowed."""
    request = call.request
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > FORM_BYTES_MAX:
        raise too_large(FORM_BYTES_MAX)

    size = 0

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal size
        async for piece in request.stream():
            size += len(piece)
            if size > FORM_BYTES_MAX:
                # The parser's own error, since for that one it closes its files.
                raise MultiPartException("too large")
            yield piece

    parser = MultiPartParser(request.headers, pieces(), max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=4 * TEXT_CHARS_MAX)
    try:
        return await parser.parse()
    except MultiPartException as error:
        if size > FORM_BYTES_MAX:
            raise too_large(FORM_BYTES_MAX) from error
        raise InvalidArgument(f"The form cannot be read: {error.message}") from error


def _texts(form: FormData, name: str) -> list[str]:
    """All values of a field that say something."""
    return [value for value in form.getlist(name) if isinstance(value, str) and value]


def _text(form: FormData, name: str) -> str:
    """The first value of a field."""
    return next(iter(_texts(form, name)), "")


# ------------------------------------------------------------------------------------------------------------------- bodies


def conversation_body(conversation: Conversation) -> dict[str, object]:
    """A conversation as JSON; times are milliseconds since 1970."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "endpoint": conversation.endpoint,
        "indexes": list(conversation.indexes),
        "agent": conversation.agent,
        "created_at": epoch_ms(conversation.created_at),
        "updated_at": epoch_ms(conversation.updated_at),
        **_addresses(conversation),
    }


def message_body(message: Message) -> dict[str, object]:
    """A message as JSON; an answer has its text as safe HTML too."""
    body: dict[str, object] = {
        "id": message.id,
        "number": message.number,
        "role": message.role,
        "text": message.text,
        "files": list(message.files),
        "label": message.provenance.label.as_json(),
        "created_at": epoch_ms(message.created_at),
    }
    if message.role == "user":
        return body
    answer: dict[str, object] = {
        "html": str(render_answer(message.text, message.sources)),
        "sources": [source_body(each) for each in message.sources],
        "notices": list(message.notices),
        "model": message.model,
        "partial": message.partial,
    }
    return body | answer | ({"sql": message.sql} if message.sql else {})


def source_body(source: Source) -> dict[str, object]:
    """A source as JSON."""
    body: dict[str, object] = {"number": source.number, "title": source.title, "place": source.place, "href": source.href}
    return body | ({"quote": source.quote} if source.quote else {})


def _addresses(conversation: Conversation) -> dict[str, object]:
    """Where the conversation is shown, and where its next message goes."""
    return {"conversation_url": f"/chat/{conversation.id}", "send_url": f"{PREFIX}/conversations/{conversation.id}/messages"}


ROUTES: tuple[DoorRoute, ...] = (
    DoorRoute("GET", f"{PREFIX}/conversations", list_all, "insjo"),
    DoorRoute("GET", f"{PREFIX}/conversations/{{id}}", get, "insjo"),
    DoorRoute("PATCH", f"{PREFIX}/conversations/{{id}}", rename, "insjo"),
    DoorRoute("DELETE", f"{PREFIX}/conversations/{{id}}", delete, "insjo"),
    DoorRoute("GET", f"{PREFIX}/conversations/{{id}}/messages", messages, "insjo"),
    DoorRoute("POST", f"{PREFIX}/conversations/{{id}}/messages", send, "insjo"),
)
