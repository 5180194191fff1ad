"""Embeddings: the same way as chat, through the same check, to a model on this machine or to a provider."""

from __future__ import annotations

import asyncio
import base64
import binascii
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from insjo.access.service.flow import hash_of
from insjo.access.types import Provenance
from insjo.gateway.errors import ProviderGarbled, ProviderRefused, RequestInvalid
from insjo.gateway.service import text
from insjo.gateway.service.completions import ELSEWHERE, LONG_BYTES, OK, check_status
from insjo.gateway.service.limits import demand_of
from insjo.gateway.service.meter import Meter
from insjo.gateway.service.wire import INPUTS_MAX, estimate, read_body, read_embeddings, read_usage, with_model
from insjo.gateway.types import Embedded, EmbeddingAnswer, EmbeddingInput, ProviderRequest, ServedKind, Task, TokenUsage
from insjo.kernel.errors import InsjoError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from insjo.access.service.facade import Access
    from insjo.gateway.ports import ChatProvider, EmbeddingProvider
    from insjo.gateway.service.cached_vectors import VectorCache, VectorScope
    from insjo.gateway.service.limits import Limits
    from insjo.gateway.service.routing import Routed, Router
    from insjo.gateway.service.snapshot import Candidate, EndpointView, Snapshots
    from insjo.gateway.service.usage import Usage
    from insjo.gateway.service.wire import EmbeddingFields, ReadBody
    from insjo.gateway.types import EmbeddingKind, EmbeddingRequest, Route
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

PATH: Final = "/embeddings"
PURPOSE: Final = "embedding"
FLOAT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class EmbeddingResponse:
    """A whole answer in OpenAI's wire."""

    status: int
    content: bytes
    route: Route
    usage: TokenUsage


@dataclass(frozen=True, slots=True)
class _Given:
    """What a served model gave: a provider's bytes, or vectors made here."""

    spent: TokenUsage
    status: int = OK
    content: bytes = b""
    embedded: Embedded | None = None


class Embeddings:
    """Embeddings through endpoints."""

    def __init__(
        self,
        *,
        access: Access,
        clock: Clock,
        snapshots: Snapshots,
        router: Router,
        usage: Usage,
        limits: Limits,
        chat_provider: ChatProvider,
        embedding_provider: EmbeddingProvider | None,
        threads: Threads,
        cache: VectorCache | None = None,
    ) -> None:
        """Keep what a request passes through; without a cache every text is embedded anew."""
        self._cache = cache
        self._threads = threads
        self._access = access
        self._clock = clock
        self._snapshots = snapshots
        self._router = router
        self._usage = usage
        self._limits = limits
        self._provider = chat_provider
        self._embedding_provider = embedding_provider
        self._loop: asyncio.AbstractEventLoop | None = None

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which `embed_sync` lets requests run."""
        self._loop = loop

    async def create(self, ctx: RequestContext, request: EmbeddingRequest) -> EmbeddingResponse:
        """Answer a request in OpenAI's wire.

        Raises:
            RequestInvalid: The body is wrong.
            EndpointNotFound: No such endpoint for this caller.
            FlowBlocked: The content may go to none of the served models.
            UpstreamFailed: No provider answered.
        """
        read = read_body(request.body) if len(request.body) < LONG_BYTES else await self._threads.run(read_body, request.body)
        view = await self._snapshots.admit(ctx, request.endpoint or read.model, Task.EMBEDDINGS)
        wanted = read_embeddings(read)
        provenance = await self._label(read.text())
        if request.raise_to is not None:
            provenance = provenance.join(Provenance(request.raise_to))

        async def attempt(candidate: Candidate) -> _Given:
            if candidate.upstream is not None:
                return await self._ask(ctx, candidate, provenance, read)
            _check_dimensions(wanted, candidate)
            return await self._embed_here(ctx, candidate, provenance, EmbeddingInput(wanted.texts, request.kind, candidate.served.model))

        routed = await self._metered(ctx, view, provenance, read.raw, attempt)
        given = routed.result
        content = given.content if given.embedded is None else _render(given, view.name, wanted)
        return EmbeddingResponse(given.status, content, routed.route, given.spent)

    async def embed(
        self, ctx: RequestContext, endpoint: str, texts: Sequence[str], kind: EmbeddingKind, provenance: Provenance | None = None
    ) -> EmbeddingAnswer:
        """Vectors of texts, for callers inside Insjö; raises what `create` raises.

        Args:
            ctx: Who asks.
            endpoint: Name of the endpoint.
            texts: In any number; sent in groups.
            kind: Whether they are questions or passages.
            provenance: Of all of them together; None means that the caller typed them.
        """
        view = await self._snapshots.admit(ctx, endpoint, Task.EMBEDDINGS)
        if provenance is None:
            provenance = await self._label("\n".join(texts))
        vectors: list[bytes] = []
        answer: EmbeddingAnswer | None = None
        tokens = 0
        for begin in range(0, len(texts), INPUTS_MAX):
            answer = await self._embed_group(ctx, view, tuple(texts[begin : begin + INPUTS_MAX]), kind, provenance)
            vectors += answer.vectors
            tokens += answer.usage.input_tokens
        if answer is None:
            raise RequestInvalid("There is no text to embed.", details={"param": "input"})
        return EmbeddingAnswer(tuple(vectors), answer.dimensions, answer.route, TokenUsage(tokens))

    def embed_sync(
        self, ctx: RequestContext, endpoint: str, texts: Sequence[str], kind: EmbeddingKind, provenance: Provenance | None = None
    ) -> EmbeddingAnswer:
        """The same from a thread without an event loop, for example of a job; never call it in the loop itself."""
        asked = self.embed(ctx, endpoint, texts, kind, provenance)
        if self._loop is not None and self._loop.is_running():
            return asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        return asyncio.run(asked)

    async def _label(self, given: str) -> Provenance:
        """Label of text from outside; a long one is read in a thread, so that other requests do not wait."""
        label_text = self._access.fingerprints.label_text
        return label_text(given) if len(given) < LONG_BYTES else await self._threads.run(label_text, given)

    async def _embed_group(
        self, ctx: RequestContext, view: EndpointView, texts: tuple[str, ...], kind: EmbeddingKind, provenance: Provenance
    ) -> EmbeddingAnswer:
        async def attempt(candidate: Candidate) -> _Given:
            if candidate.upstream is None:
                return await self._embed_here(ctx, candidate, provenance, EmbeddingInput(texts, kind, candidate.served.model))
            if not view.policy.cache_s or self._cache is None:
                body = msgspec.json.encode({"model": view.name, "input": texts, "encoding_format": "base64"})
                return await self._ask(ctx, candidate, provenance, read_body(body))
            scope = self._cache.scope(ctx, candidate, provenance.label, kind, float(view.policy.cache_s))

            async def ask(missing: tuple[str, ...]) -> _Given:
                body = msgspec.json.encode({"model": view.name, "input": missing, "encoding_format": "base64"})
                given = await self._ask(ctx, candidate, provenance, read_body(body))
                if given.status != OK:
                    return given
                vectors = read_vectors(given.content, len(missing))
                return replace(given, embedded=Embedded(vectors, len(vectors[0]) // FLOAT_BYTES))

            return await self._kept_or_asked(scope, texts, ask)

        routed = await self._metered(ctx, view, provenance, "\n".join(texts).encode("utf-8", "replace"), attempt)
        given = routed.result
        if given.embedded is not None:
            return EmbeddingAnswer(given.embedded.vectors, given.embedded.dimensions, routed.route, given.spent)
        if given.status != OK:
            raise text.refused(given.content, given.status)
        vectors = read_vectors(given.content, len(texts))
        return EmbeddingAnswer(vectors, len(vectors[0]) // FLOAT_BYTES, routed.route, given.spent)

    async def _metered(
        self,
        ctx: RequestContext,
        view: EndpointView,
        provenance: Provenance,
        content: bytes,
        attempt: Callable[[Candidate], Awaitable[_Given]],
    ) -> Routed[_Given]:
        """Route, and write one usage record whatever happens."""
        meter = Meter(ctx, view, self._usage, self._clock)
        try:
            meter.reservation = await self._limits.reserve(ctx, view, provenance.label, lambda: demand_of(view, len(content), {}))
            routed = await self._router.route(ctx, view, provenance, content, meter, attempt, purpose=PURPOSE)
            routed.candidate.fares_well()
        except InsjoError as error:
            meter.settle("blocked" if error.code == "FLOW_BLOCKED" else "error", TokenUsage(), error)
            raise
        except BaseException as error:
            meter.settle("cancelled", TokenUsage(), error)
            raise
        meter.first_byte()
        given = routed.result
        meter.settle("ok" if given.status == OK else "error", given.spent)
        return routed

    async def _ask(self, ctx: RequestContext, candidate: Candidate, provenance: Provenance, read: ReadBody) -> _Given:
        """Ask a provider."""
        if candidate.upstream is None:  # pragma: no cover - the callers look.
            raise ProviderRefused("This served model has no address.")
        body = with_model(read, candidate.served.model)
        wanted = ProviderRequest(candidate.upstream, PATH, body, stream=False, limits=candidate.limits or ELSEWHERE)
        cleared = self._access.flows.clear(ctx, wanted, provenance, candidate.clearance, PURPOSE, content_hash=hash_of(body))
        gate = candidate.health.gate if candidate.health is not None else None
        place = await gate.enter() if gate is not None and gate.places else None
        response = None
        try:
            response = await self._provider.open(cleared)
            check_status(response)
            content = await response.read()
        finally:
            if response is not None:
                await response.aclose()
            if place is not None:
                place.release()
        if response.status != OK:
            text.check_refusal(content, response.status)
            return _Given(TokenUsage(), response.status, content)
        return _Given(read_usage(content) or estimate(read.chars, 0), OK, content)

    async def _kept_or_asked(
        self, scope: VectorScope, texts: tuple[str, ...], ask: Callable[[tuple[str, ...]], Awaitable[_Given]]
    ) -> _Given:
        """Vectors that were computed before, and those of the other texts, which are kept."""
        cache = self._cache
        if cache is None:
            return await ask(texts)
        held = await self._threads.run(cache.find, scope, texts)
        missing = tuple(dict.fromkeys(text for text, vector in zip(texts, held, strict=True) if vector is None))
        kept = estimate(sum(len(text) for text, vector in zip(texts, held, strict=True) if vector is not None), 0).input_tokens
        if not missing:
            vectors = tuple(vector for vector in held if vector is not None)
            return _Given(TokenUsage(kept, cached_tokens=kept, estimated=True), embedded=Embedded(vectors, scope.dimensions))
        given = await ask(missing)
        if given.embedded is None:
            return given
        made = dict(zip(missing, given.embedded.vectors, strict=True))
        await self._threads.run(cache.put, scope, missing, given.embedded.vectors)
        vectors = tuple(vector if vector is not None else made[text] for text, vector in zip(texts, held, strict=True))
        spent = replace(given.spent, input_tokens=given.spent.input_tokens + kept, cached_tokens=given.spent.cached_tokens + kept)
        return replace(given, spent=spent, embedded=replace(given.embedded, vectors=vectors))

    async def _embed_here(self, ctx: RequestContext, candidate: Candidate, provenance: Provenance, wanted: EmbeddingInput) -> _Given:
        """Ask a model on this machine, which gives the same vector for the same text for ever."""
        if self._cache is None:
            return await self._compute(ctx, candidate, provenance, wanted)
        scope = self._cache.scope(ctx, candidate, provenance.label, wanted.kind)

        async def ask(missing: tuple[str, ...]) -> _Given:
            return await self._compute(ctx, candidate, provenance, replace(wanted, texts=missing))

        return await self._kept_or_asked(scope, wanted.texts, ask)

    async def _compute(self, ctx: RequestContext, candidate: Candidate, provenance: Provenance, wanted: EmbeddingInput) -> _Given:
        """Let a model on this machine embed texts."""
        if candidate.served.kind is not ServedKind.EMBEDDING or self._embedding_provider is None:
            raise ProviderRefused("Models on this machine are switched off.", hint="Switch them on with the setting `local_models`.")
        hashed = hash_of("\n".join(wanted.texts))
        cleared = self._access.flows.clear(ctx, wanted, provenance, candidate.clearance, PURPOSE, content_hash=hashed)
        embedded = await self._embedding_provider.embed(cleared)
        spent = TokenUsage(embedded.tokens) if embedded.tokens else estimate(sum(map(len, wanted.texts)), 0)
        return _Given(spent, embedded=embedded)


def _check_dimensions(wanted: EmbeddingFields, candidate: Candidate) -> None:
    """A model on this machine has vectors of one length only."""
    known = candidate.served.profile.dimensions
    if wanted.dimensions is not None and known and wanted.dimensions != known:
        message = f"`{candidate.served.name}` gives vectors of {known} numbers, and {wanted.dimensions} were asked for."
        raise RequestInvalid(message, hint="Leave `dimensions` out.", details={"param": "dimensions"})


def _render(given: _Given, model: str, wanted: EmbeddingFields) -> bytes:
    """Vectors made here in OpenAI's wire."""
    if given.embedded is None:  # pragma: no cover - the caller looks.
        return given.content
    embedded = given.embedded
    form = f"<{embedded.dimensions}f"
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector).decode() if wanted.base64 else struct.unpack(form, vector),
        }
        for index, vector in enumerate(embedded.vectors)
    ]
    spent = given.spent.input_tokens
    return msgspec.json.encode({"object": "list", "data": rows, "model": model, "usage": {"prompt_tokens": spent, "total_tokens": spent}})


class _Row(msgspec.Struct):
    index: int
    embedding: str | list[float]


class _Rows(msgspec.Struct):
    data: list[_Row]


def read_vectors(content: bytes, count: int) -> tuple[bytes, ...]:
    """Vectors of a provider's answer, as float32 in the order of the inputs.

    Raises:
        ProviderGarbled: They are missing, of different lengths, or no vectors.
    """
    try:
        rows = msgspec.json.decode(content, type=_Rows).data
        found: dict[int, Any] = {row.index: _packed(row.embedding) for row in rows}
        vectors = tuple(found[index] for index in range(count))
    except (msgspec.DecodeError, KeyError, binascii.Error, struct.error, OverflowError) as error:
        raise ProviderGarbled("The provider's answer does not hold the vectors that were asked for.") from error
    if len({len(vector) for vector in vectors}) != 1 or not vectors[0] or len(vectors[0]) % FLOAT_BYTES:
        raise ProviderGarbled("The vectors in the provider's answer differ in length.")
    return vectors


def _packed(embedding: str | list[float]) -> bytes:
    if isinstance(embedding, str):
        return base64.b64decode(embedding, validate=True)
    return struct.pack(f"<{len(embedding)}f", *embedding)
