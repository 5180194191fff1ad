"""Pages below `/chat`: private conversations with a model, with documents, or with an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insjo.gateway.types import Task
from insjo.kernel.paging import PageRequest
from insjo.web.pages.citations import render_answer
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.agents.types import Message

CONVERSATIONS_SHOWN = 40
SEND = "/api/insjo/v1/conversations/{id}/messages"


async def show_new(call: Call) -> Response:
    """A conversation that begins with the first message."""
    return await _render(call, None)


async def show(call: Call) -> Response:
    """One of the person's own conversations."""
    return await _render(call, call.path("id"))


async def _render(call: Call, conversation_id: str | None) -> Response:
    """The page: conversations at the side, messages, and what to ask."""
    services = call.services
    conversations = await call.run(services.agents.conversations.list, call.ctx, PageRequest.of(CONVERSATIONS_SHOWN, ""))
    endpoints = await call.run(services.gateway.endpoints.list, call.ctx)
    indexes = await call.run(services.retrieval.indexes.list, call.ctx)
    conversation, messages = None, []
    if conversation_id is not None:
        conversation = await call.run(services.agents.conversations.get, call.ctx, conversation_id)
        messages = [bubble_of(each) for each in await call.run(services.agents.conversations.messages, call.ctx, conversation_id)]
    return await page(
        call,
        "pages/chat.html",
        conversation=conversation,
        messages=messages,
        conversations=conversations.items,
        endpoints=[each.name for each in endpoints if each.task is Task.CHAT],
        indexes=[each.full_name for each in indexes],
        endpoint=call.query("endpoint") or "insjo-chat",
        index=call.query("index"),
        send_url=SEND.format(id=conversation_id or "new"),
    )


def bubble_of(message: Message) -> dict[str, Any]:
    """A stored message as the template draws it."""
    if message.role == "user":
        return {"role": "person", "text": message.text, "files": list(message.files)}
    sources = [{"number": each.number, "title": each.title, "place": each.place, "href": each.href} for each in message.sources]
    return {
        "role": "assistant",
        "html": render_answer(message.text, message.sources),
        "sources": sources,
        "label": message.provenance.label.as_json(),
        "model": message.model,
        "notices": list(message.notices),
    }


async def rename(call: Call) -> Response:
    """Give a conversation another title."""
    form = await form_of(call)
    await call.run(call.services.agents.conversations.rename, call.ctx, call.path("id"), form.get("title", ""))
    return redirect(f"/chat/{call.path('id')}")


async def delete(call: Call) -> Response:
    """Delete a conversation with all its messages."""
    await call.run(call.services.agents.conversations.delete, call.ctx, call.path("id"))
    return redirect("/chat")


ROUTES = (
    DoorRoute("GET", "/chat", show_new, "page"),
    DoorRoute("GET", "/chat/{id}", show, "page"),
    DoorRoute("POST", "/chat/{id}/rename", rename, "page"),
    DoorRoute("POST", "/chat/{id}/delete", delete, "page"),
)
