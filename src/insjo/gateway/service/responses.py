"""The Responses API: asked as chat completions, with what was said before kept here under its label.

What is stored is its owner's alone, and its label goes along: a response that stood on confidential content makes the next one in its
chain confidential, whatever the caller says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from insjo.access.types import Label, Origin, Provenance, provenance_of
from insjo.gateway.errors import RequestInvalid, ResponseNotFound
from insjo.gateway.service import responses_wire as wire
from insjo.gateway.service import text
from insjo.gateway.service.wire import read_body
from insjo.gateway.store import ResponseStore, StoredResponse
from insjo.gateway.types import ChatRequest, Part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from insjo.access.service.facade import Access
    from insjo.gateway.service.completions import ChatResponse, Completions
    from insjo.gateway.types import Route
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.threads import Threads

OK: Final = 200
KEPT: Final = timedelta(days=30)
"""How long a stored response can be gone on from."""

STORED_MAX: Final = 10_000
"""Stored responses of one person; the oldest make room."""

CHAIN_MAX: Final = 200
"""Responses in one chain."""


@dataclass(frozen=True, slots=True)
class ResponseAnswer:
    """A response that is whole (`content`) or comes as events.

    Attributes:
        status: HTTP status; not 200 when the provider refused the request, which `content` then tells in OpenAI's form.
    """

    route: Route
    warnings: tuple[str, ...]
    status: int = OK
    content: bytes = b""
    events: AsyncGenerator[bytes, None] | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, ready to be answered."""

    fields: dict[str, Any]
    items: list[dict[str, Any]]
    provenance: Provenance
    shell: dict[str, Any]


class Responses:
    """Responses, and those that are stored."""

    def __init__(self, *, completions: Completions, access: Access, database: Database, clock: Clock, threads: Threads) -> None:
        """Everything by keyword."""
        self._completions = completions
        self._access = access
        self._store = ResponseStore(database)
        self._clock = clock
        self._threads = threads

    async def create(
        self,
        ctx: RequestContext,
        raw: bytes,
        *,
        endpoint: str = "",
        raise_to: Label | None = None,
        still_valid: Callable[[], Awaitable[None]] | None = None,
    ) -> ResponseAnswer:
        """Answer one request; raises what `Completions.create` raises.

        Raises:
            ResponseNotFound: The previous response is not there for this caller.
            NotBuilt: It asks for tools or items that Insjö does not have.
        """
        asked, body = await self._threads.run(self._prepare, ctx, raw, endpoint, raise_to)
        # Without a chain all of it was written by the caller, so that it can be redacted like any other request.
        parts = (Part("", asked.provenance),) if asked.fields.get("previous_response_id") else None
        request = ChatRequest(body, endpoint, parts, raise_to)
        response = await self._completions.create(ctx, request, still_valid=still_valid)
        if response.streamed:
            return ResponseAnswer(response.route, response.warnings, events=self._events(ctx, asked, response))
        try:
            if response.status != OK:
                return ResponseAnswer(response.route, response.warnings, response.status, response.content or b"")
            output, reason = wire.output_of(response.content or b"")
            content = await self._threads.run(self._finish, ctx, asked, output, reason, response)
            return ResponseAnswer(response.route, response.warnings, OK, msgspec.json.encode(content))
        finally:
            await response.finish()

    def get(self, ctx: RequestContext, response_id: str) -> dict[str, Any]:
        """A stored response of the caller."""
        found: dict[str, Any] = msgspec.json.decode(self._fetch(ctx, response_id).response)
        return found

    def input_items(self, ctx: RequestContext, response_id: str) -> list[dict[str, Any]]:
        """What was given to a stored response, the newest first."""
        items: list[dict[str, Any]] = msgspec.json.decode(self._fetch(ctx, response_id).items)
        return [{"id": wire.new_item_id("msg"), **each} for each in reversed(items)]

    def delete(self, ctx: RequestContext, response_id: str) -> None:
        """Forget a stored response of the caller."""
        self._fetch(ctx, response_id)
        self._store.delete(response_id)

    def _prepare(self, ctx: RequestContext, raw: bytes, endpoint: str, raise_to: Label | None) -> tuple[_Asked, bytes]:
        """Read, find what was said before, and label it all."""
        read = read_body(raw)
        fields = read.fields
        wire.check_fields(fields)
        items = wire.items_of(fields["input"])
        earlier, before = self._chain(ctx, fields.get("previous_response_id"))
        body = msgspec.json.encode(wire.chat_fields(fields, [*earlier, *items]))
        parts = [self._access.fingerprints.label_parts(read.texts)]
        parts += [before] if before is not None else []
        parts += [Provenance(raise_to)] if raise_to is not None else []
        created_s = int(self._clock.now().timestamp())
        shell = wire.shell_of(fields, wire.new_item_id("resp"), endpoint or read.model, created_s)
        return _Asked(fields, items, provenance_of(parts), shell), body

    def _chain(self, ctx: RequestContext, response_id: object) -> tuple[list[dict[str, Any]], Provenance | None]:
        """Everything said up to a stored response, and the label of it all."""
        if response_id is None:
            return [], None
        if not isinstance(response_id, str):
            raise RequestInvalid("The field `previous_response_id` must be a text.", details={"param": "previous_response_id"})
        links: list[StoredResponse] = []
        wanted = response_id
        while wanted:
            if len(links) >= CHAIN_MAX:
                raise RequestInvalid(f"A chain has at most {CHAIN_MAX} responses.", hint="Begin anew with what matters in `input`.")
            links.append(self._fetch(ctx, wanted))
            wanted = links[-1].previous_id
        said: list[dict[str, Any]] = []
        for link in reversed(links):
            said += [*msgspec.json.decode(link.items), *msgspec.json.decode(link.response)["output"]]
        return said, provenance_of([_provenance(link) for link in links])

    async def _events(self, ctx: RequestContext, asked: _Asked, response: ChatResponse) -> AsyncGenerator[bytes, None]:
        """The events of a stream; the response is stored before the last one."""
        writer = wire.EventWriter(asked.shell)
        try:
            yield writer.begin()
            async for piece in response.body():
                events = b"".join(writer.feed(chunk) for chunk in text.chunks(piece))
                if events:
                    yield events
            ending, output = writer.close_items()
            content = await self._threads.run(self._finish, ctx, asked, output, writer.finish_reason, response)
            yield ending + writer.end(content)
        finally:
            await response.finish()

    def _finish(
        self, ctx: RequestContext, asked: _Asked, output: list[dict[str, Any]], reason: str, response: ChatResponse
    ) -> dict[str, Any]:
        """The response object, stored unless the caller does not want that."""
        spent = response.usage
        usage = wire.usage_of(spent.input_tokens, spent.output_tokens, spent.cached_tokens)
        content = wire.finished(asked.shell, output, reason, usage)
        if content["store"]:
            stored = StoredResponse(
                content["id"],
                ctx.principal.id,
                asked.fields.get("previous_response_id") or "",
                self._clock.now(),
                msgspec.json.encode(content),
                msgspec.json.encode(asked.items),
                msgspec.json.encode(_written(asked.provenance)),
            )
            self._store.insert(stored, self._clock.now() - KEPT, STORED_MAX)
        return content

    def _fetch(self, ctx: RequestContext, response_id: str) -> StoredResponse:
        found = self._store.fetch(response_id[:100])
        if found is None or found.principal_id != ctx.principal.id or found.created_at < self._clock.now() - KEPT:
            hint = f"A response is kept for {KEPT.days} days, for whoever asked, unless `store` was false."
            raise ResponseNotFound(f"There is no response `{response_id[:100]}`.", hint=hint)
        return found


def _written(provenance: Provenance) -> dict[str, object]:
    """A provenance as it is stored."""
    origins = [[each.object, each.version, each.column, each.securable_id] for each in provenance.origins]
    return {"label": provenance.label.as_json(), "origins": origins}


def _provenance(stored: StoredResponse) -> Provenance:
    """A provenance from what is stored."""
    found = msgspec.json.decode(stored.provenance)
    origins = tuple(Origin(name, version, column, securable_id=place) for name, version, column, place in found["origins"])
    return Provenance(Label.from_json(found["label"]), origins)
