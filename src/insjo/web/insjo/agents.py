"""Own API: agents, and running one."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.agents.types import Cited, Delta, Failed, Finished, Notice, Retrieved, ToolCalled, ToolReturned
from insjo.web.insjo.governance import PREFIX
from insjo.web.insjo.streams import event_stream
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from insjo.agents.types import Agent, ChatEvent, ResultTable, Source
    from insjo.web.insjo.streams import Event


class ExampleBody(msgspec.Struct):
    """A question and the statement that answers it."""

    question: str
    sql: str


class AgentBody(msgspec.Struct):
    """An agent to create."""

    full_name: str
    instructions: str = ""
    endpoint: str = ""
    tables: list[str] = []
    indexes: list[str] = []
    examples: list[ExampleBody] = []
    comment: str = ""


class AgentChange(msgspec.Struct):
    """What to change of an agent; what is absent stays."""

    instructions: str | None = None
    endpoint: str | None = None
    tables: list[str] | None = None
    indexes: list[str] | None = None
    examples: list[ExampleBody] | None = None
    comment: str | None = None


class RunBody(msgspec.Struct):
    """A question to an agent; with `stream` false the answer comes as one JSON document."""

    question: str
    stream: bool = True


def agent_body(agent: Agent) -> dict[str, object]:
    """An agent as JSON."""
    return {
        "id": agent.id,
        "full_name": agent.full_name,
        "instructions": agent.instructions,
        "endpoint": agent.endpoint,
        "tables": list(agent.tables),
        "indexes": list(agent.indexes),
        "examples": [{"question": each.question, "sql": each.sql} for each in agent.examples],
        "comment": agent.comment,
        "owner": agent.owner,
        "created_at": agent.created_at.isoformat(),
        "created_by": agent.created_by,
        "updated_at": agent.updated_at.isoformat(),
        "updated_by": agent.updated_by,
    }


async def list_agents(call: Call) -> Response:
    """Agents that the caller may see."""
    found = await call.run(call.services.agents.agents.list, call.ctx)
    return JSONResponse({"agents": [agent_body(each) for each in found]})


async def create_agent(call: Call) -> Response:
    """A new agent."""
    body = await call.json(AgentBody)
    made = await call.run(
        call.services.agents.agents.create,
        call.ctx,
        body.full_name,
        instructions=body.instructions,
        endpoint=body.endpoint,
        tables=body.tables,
        indexes=body.indexes,
        examples=[(each.question, each.sql) for each in body.examples],
        comment=body.comment,
    )
    return JSONResponse(agent_body(made), status_code=201)


async def get_agent(call: Call) -> Response:
    """One agent."""
    return JSONResponse(agent_body(await call.run(call.services.agents.agents.get, call.ctx, call.path("full_name"))))


async def update_agent(call: Call) -> Response:
    """Change an agent."""
    body = await call.json(AgentChange)
    changed = await call.run(
        call.services.agents.agents.update,
        call.ctx,
        call.path("full_name"),
        instructions=body.instructions,
        endpoint=body.endpoint,
        tables=body.tables,
        indexes=body.indexes,
        examples=None if body.examples is None else [(each.question, each.sql) for each in body.examples],
        comment=body.comment,
    )
    return JSONResponse(agent_body(changed))


async def delete_agent(call: Call) -> Response:
    """Delete an agent."""
    await call.run(call.services.agents.agents.delete, call.ctx, call.path("full_name"))
    return JSONResponse({})


async def run_agent(call: Call) -> Response:
    """Ask an agent: its events as they come, or the end of them as one document."""
    body = await call.json(RunBody)
    events = call.services.agents.agents.run(call.ctx, call.path("full_name"), body.question)
    if body.stream:
        return await event_stream(_named(events), call)
    finished: Finished | None = None
    async with aclosing(events) as running:
        async for event in running:
            finished = event if isinstance(event, Finished) else finished
    return JSONResponse(finished_body(finished) if finished else {})


async def _named(events: AsyncGenerator[ChatEvent, None]) -> AsyncGenerator[Event, None]:
    """Events with the names and data that go over the wire."""
    async with aclosing(events) as running:
        async for event in running:
            named = wire_event(event)
            if named is not None:
                yield named


def wire_event(event: ChatEvent) -> Event | None:
    """Name and data of one event."""
    if isinstance(event, Retrieved):
        return "retrieved", {"count": event.count}
    if isinstance(event, ToolCalled):
        return "tool", {"name": event.name, "state": "called", "sql": event.sql}
    if isinstance(event, ToolReturned):
        return "tool", {"name": event.name, "state": "returned", "summary": event.summary, "label": event.label and event.label.as_json()}
    if isinstance(event, Delta):
        return "delta", {"text": event.text}
    if isinstance(event, Cited):
        return "cited", source_body(event.source)
    if isinstance(event, Notice):
        return "notice", {"text": event.text, "kind": event.kind}
    if isinstance(event, Failed):
        return "error", {"code": event.code, "message": event.message, "hint": event.hint}
    return "finished", finished_body(event)


def source_body(source: Source) -> dict[str, object]:
    """A source as JSON."""
    return {"number": source.number, "title": source.title, "place": source.place, "href": source.href, "quote": source.quote}


def finished_body(finished: Finished) -> dict[str, object]:
    """A whole answer as JSON."""
    return {
        "text": finished.text,
        "answered": finished.answered,
        "worded_by": finished.worded_by,
        "sql": finished.sql,
        "table": table_body(finished.table) if finished.table else None,
        "sources": [source_body(each) for each in finished.sources],
        "label": finished.provenance.label.as_json(),
        "model": finished.route.served_model if finished.route else "",
    }


def table_body(table: ResultTable) -> dict[str, object]:
    """Rows of a result as JSON."""
    return {
        "columns": list(table.columns),
        "rows": [list(row) for row in table.rows],
        "row_count": table.row_count,
        "truncated": table.truncated,
    }


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/agents", list_agents, "insjo"),
    DoorRoute("POST", f"{PREFIX}/agents", create_agent, "insjo"),
    DoorRoute("GET", f"{PREFIX}/agents/{{full_name}}", get_agent, "insjo"),
    DoorRoute("PATCH", f"{PREFIX}/agents/{{full_name}}", update_agent, "insjo"),
    DoorRoute("DELETE", f"{PREFIX}/agents/{{full_name}}", delete_agent, "insjo"),
    DoorRoute("POST", f"{PREFIX}/agents/{{full_name}}/run", run_agent, "insjo"),
)
