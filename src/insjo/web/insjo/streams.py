"""Answers as server-sent events (WHATWG HTML, 9.2): a name and one JSON document each."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from starlette.responses import StreamingResponse

from insjo.web.errors import shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.responses import Response

    from insjo.web.types import Call

Event: TypeAlias = "tuple[str, Mapping[str, object]]"


async def event_stream(events: AsyncGenerator[Event, None], call: Call) -> Response:
    """The events as they come.

    The first one is waited for: what is wrong before it is an error of the door with its own status.  What goes wrong later ends the
    stream with an event `error`.
    """
    try:
        first = await anext(events)
    except StopAsyncIteration:
        first = None
    except BaseException:
        await events.aclose()
        raise

    async def body() -> AsyncGenerator[bytes, None]:
        async with aclosing(events) as running:
            if first is not None:
                yield encoded(first)
            try:
                async for event in running:
                    yield encoded(event)
            except Exception as error:  # noqa: BLE001  # The head is sent: the error can only be an event.
                known = shown(error, call.ctx.request_id)
                yield encoded(("error", {"code": known.code, "message": known.message, "hint": known.hint}))

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


def encoded(event: Event) -> bytes:
    """One event as bytes."""
    name, data = event
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
