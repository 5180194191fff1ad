"""Chat completions: read, authorise, label, route, relay, meter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from insjo.access.errors import FlowBlocked
from insjo.access.service.flow import hash_of, may_flow
from insjo.access.types import Provenance, provenance_of
from insjo.gateway.errors import AccessEnded, GuardrailBlocked, ProviderBusy, ProviderGarbled, ProviderRefused
from insjo.gateway.service import text
from insjo.gateway.service.cache import AnswerCache, NoResponse
from insjo.gateway.service.conflicts import Conflicts
from insjo.gateway.service.guarding import OutputGuard
from insjo.gateway.service.limits import demand_of
from insjo.gateway.service.messages_relay import PATH as NATIVE_PATH
from insjo.gateway.service.messages_relay import MessageRelay, read_message_usage, read_native
from insjo.gateway.service.meter import Meter
from insjo.gateway.service.providers import adapted
from insjo.gateway.service.redaction import Restorer
from insjo.gateway.service.shadows import Shadows, conversation_of
from insjo.gateway.service.turns import hold
from insjo.gateway.service.wire import CHARS_PER_TOKEN, EventRelay, check_chat, estimate, read_body, read_usage, with_model, with_usage
from insjo.gateway.types import ChatRequest, Part, ProviderRequest, Route, ServedKind, Task, TextAnswer, TimeLimits, TokenUsage
from insjo.kernel.errors import InsjoError, UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from insjo.access.service.facade import Access
    from insjo.access.types import Cleared, Label
    from insjo.gateway.ports import ChatProvider, ModelRuntime, ProviderResponse, Turn
    from insjo.gateway.service.conflicts import Settled
    from insjo.gateway.service.guardrails import Guardrails
    from insjo.gateway.service.limits import Limits
    from insjo.gateway.service.routing import Router
    from insjo.gateway.service.snapshot import Candidate, EndpointView, Snapshots
    from insjo.gateway.service.usage import Usage
    from insjo.gateway.service.wire import ReadBody
    from insjo.gateway.types import CacheUse, Message, Upstream
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

PATH: Final = "/chat/completions"
PURPOSE: Final = "completion"
LONG_BYTES: Final = 32 * 1024
"""Longer requests are read and labelled in a thread, so that the others do not wait."""

OK: Final = 200
TOO_MANY: Final = frozenset({429, 529})
"""Anthropic's servers say 529 when they are overloaded."""
CALLERS_FAULT: Final = frozenset({400, 409, 413, 415, 422})
"""Statuses of a provider that the caller can do something about; the body goes on as it came."""

ELSEWHERE: Final = TimeLimits()
HERE: Final = TimeLimits(connect_s=10.0, first_byte_s=900.0, idle_s=300.0, total_s=3600.0)
"""A model on this machine may first have to wait for its turn."""


@dataclass(slots=True)
class _Opened:
    """A provider's answer of which the first byte is here: whole, or as a stream that goes on."""

    response: ProviderResponse | NoResponse
    content: bytes | None = None
    spent: TokenUsage | None = None
    first: bytes = b""
    rest: AsyncIterator[bytes] | None = None
    native: bool = False
    cached: bool = False


class ChatResponse:
    """An answer that has begun.

    Attributes:
        status: HTTP status; 200, or one of the caller's faults as the provider told it.
        content: The whole answer, or None when it is streamed.
        route: Which served model answers and why.
        native: Whether it is in Anthropic's wire, as the request was.
    """

    __slots__ = ("_meter", "_opened", "_read", "_relay", "_restorer", "_watch", "content", "guard", "native", "route", "status")

    def __init__(self, opened: _Opened, *, route: Route, meter: Meter, read: ReadBody, watch: _Watch) -> None:
        """Take over the provider's answer; `finish` must be called in the end."""
        self.status = opened.response.status
        self.content = opened.content
        self.route = route
        self._opened = opened
        self._meter = meter
        self._read = read
        self._watch = watch
        self._restorer: Restorer | None = None
        self.guard: OutputGuard | None = None
        self.native = opened.native
        self._relay: EventRelay | MessageRelay | None = None
        if opened.content is None:
            self._relay = MessageRelay() if opened.native else EventRelay(wants_usage=read.wants_usage)

    def restore(self, values: Mapping[str, str]) -> None:
        """Put these values in the place of their placeholders in the answer."""
        self._restorer = Restorer(values)
        if self.content is not None:
            self.content = self._restorer.whole(self.content)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Limits that are used up and only warn."""
        reservation = self._meter.reservation
        return reservation.warnings if reservation is not None else ()

    @property
    def streamed(self) -> bool:
        """Whether the answer comes as server-sent events."""
        return self.content is None

    @property
    def usage(self) -> TokenUsage:
        """Tokens so far; estimated until the provider tells them."""
        if self._relay is None:
            return self._opened.spent or TokenUsage()
        return self._relay.usage or estimate(self._read.chars, self._relay.events)

    async def let_pass(self, guard: OutputGuard | None) -> None:
        """Let this guard look at the answer: at once when it is whole, else on its way out."""
        if self.content is None:
            self.guard = guard
        elif guard is not None and self.status == OK:
            try:
                self.content = await guard.whole(self.content)
            except InsjoError as error:
                self._meter.settle("cancelled", self.usage, error)
                raise

    def body(self) -> AsyncGenerator[bytes, None]:
        """The answer: whole events as they come, or all at once.

        An error that comes up on the way is raised here; whoever renders it ends the stream in the form of its door.
        """
        return self._pieces() if self.guard is None else self._guarded(self.guard)

    async def _guarded(self, guard: OutputGuard) -> AsyncGenerator[bytes, None]:
        """The answer as its guard lets it out; what was spent is counted also when nothing comes out."""
        pieces = self._pieces()
        try:
            async for piece in guard.stream(pieces):
                yield piece
        except InsjoError as error:
            self._meter.settle("cancelled", self.usage, error)
            raise
        finally:
            await pieces.aclose()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        """The answer as the provider gives it, with what was replaced put back."""
        relay, watch, opened = self._relay, self._watch, self._opened
        if relay is None:
            yield self.content or b""
            return
        shown = self._restorer.events if self._restorer is not None else bytes
        try:
            passed = relay.feed(opened.first)
            if passed:
                yield shown(passed)
            if opened.rest is not None:
                async for piece in opened.rest:
                    if watch.changed():
                        await watch.look()
                    passed = relay.feed(piece)
                    if passed:
                        yield shown(passed)
            passed = relay.finish()
            if passed:
                yield shown(passed)
            watch.candidate.fares_well()
            self._meter.settle("ok", self.usage)
        except InsjoError as error:
            if isinstance(error, UpstreamFailed) and watch.candidate.health is not None:
                watch.candidate.health.failed(error)
            self._meter.settle("error", self.usage, error)
            raise
        finally:
            await self.finish()

    async def finish(self) -> None:
        """End the call, and write usage if that was not done: then the caller went away.  Can be repeated."""
        if self._relay is not None:
            await self._opened.response.aclose()
            self._meter.settle("cancelled", self.usage)


class Completions:
    """Chat completions through endpoints."""

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
        anthropic_provider: ChatProvider,
        runtime: ModelRuntime | None,
        threads: Threads,
        guardrails: Guardrails,
    ) -> None:
        """Keep what a request passes through."""
        self._guardrails = guardrails
        self._threads = threads
        self._access = access
        self._clock = clock
        self._snapshots = snapshots
        self._router = router
        self._conflicts = Conflicts(access=access, router=router, threads=threads)
        self._cache = AnswerCache(clock)
        self._usage = usage
        self._limits = limits
        self._provider = chat_provider
        self._anthropic = anthropic_provider
        self._shadows = Shadows(self._copy)
        self._runtime = runtime

    async def create(
        self, ctx: RequestContext, request: ChatRequest, *, still_valid: Callable[[], Awaitable[None]] | None = None
    ) -> ChatResponse:
        """Answer a chat request.  `finish()` of what this gives must be called, whatever happens.

        Args:
            ctx: Who asks.
            request: What is asked.
            still_valid: Called while the answer runs and something about rights changed; raises when the caller's credential is gone.

        Raises:
            RequestInvalid: The body is wrong.
            EndpointNotFound: No such endpoint for this caller.
            LimitReached: A limit or a budget is used up.
            FlowBlocked: The content may go to none of the served models.
            ModelNotLoaded: The local model is not ready.
            UpstreamFailed: No provider answered.
        """
        read = read_body(request.body) if len(request.body) < LONG_BYTES else await self._threads.run(read_body, request.body)
        check_chat(read)
        view = await self._snapshots.admit(ctx, request.endpoint or read.model, Task.CHAT)
        if request.native and not view.policy.guardrails and any(each.served.kind is ServedKind.ANTHROPIC for each in view.candidates):
            read = await self._threads.run(_with_native, read, request.native)
        meter = Meter(ctx, view, self._usage, self._clock)
        meter.streamed = read.stream
        try:
            read, provenance = await self._taken_in(ctx, view, request, read)

            meter.label_text = self._router.plan(view, provenance.label).label_text
            settled = await self._conflicts.settle(ctx, view, read, provenance, request)
            read, provenance = settled.read, settled.provenance
            meter.reservation = await self._limits.reserve(ctx, view, provenance.label, lambda: demand_of(view, read.chars, read.fields))

            talk = conversation_of(ctx, view, read)

            async def attempt(candidate: Candidate) -> _Opened:
                return await self._attempt(ctx, view, candidate, settled, request.cache)

            routed = await self._router.route(
                ctx, view, provenance, read.raw, meter, attempt, purpose=PURPOSE, approved=settled.approved, conversation=talk
            )
            if view.shadows and not routed.result.cached:
                self._shadows.send(ctx, view, settled)
            if settled.outcome is not None:
                routed = self._router.mark(ctx, view, routed, settled.outcome, settled.reason, settled.about, meter)
            if routed.result.cached:
                routed = self._router.mark_cached(routed, meter)
            meter.first_byte()
            watch = _Watch(self._snapshots, ctx, view, routed.candidate, settled.watched, still_valid)
            answer = ChatResponse(routed.result, route=routed.route, meter=meter, read=read, watch=watch)
            if settled.values:
                answer.restore(settled.values)
            await answer.let_pass(OutputGuard.of(ctx, self._guardrails, view, provenance))
            if not answer.streamed:
                if self._access.revision() != view.revision:
                    await watch.rights()
                if not routed.result.cached:  # What is kept tells nothing of how the served model fares now.
                    routed.candidate.fares_well()
                refused = None if answer.status == OK else ProviderRefused("The provider refused the request.")
                meter.settle("error" if refused else "ok", answer.usage, refused)
        except InsjoError as error:
            meter.settle("blocked" if isinstance(error, FlowBlocked | GuardrailBlocked) else "error", TokenUsage(), error)
            raise
        except BaseException as error:
            meter.settle("cancelled", TokenUsage(), error)
            raise
        return answer

    async def _attempt(self, ctx: RequestContext, view: EndpointView, candidate: Candidate, settled: Settled, cache: CacheUse) -> _Opened:
        """One served model's answer."""
        if self._access.revision() != view.revision:  # Rights or clearances changed since, perhaps while another one failed.
            candidate = await self._snapshots.still(ctx, view, candidate)
        if not view.policy.cache_s or settled.read.stream or settled.approved is not None:
            return await self._open(ctx, candidate, settled)
        return await self._kept_or_opened(ctx, view, candidate, settled, cache)

    async def close(self) -> None:
        """End what runs in the background."""
        await self._shadows.close()

    async def complete_text(
        self,
        ctx: RequestContext,
        endpoint: str,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        json_schema: Mapping[str, object] | None = None,
        stop: Sequence[str] | None = None,
    ) -> TextAnswer:
        """A whole answer as text, for callers inside Insjö; raises what `create` raises.

        Messages without provenance count as typed by the caller.  With a schema the answer is JSON that fits it, if the model can.
        """
        request = self._text_request(endpoint, messages, text.options(max_tokens, temperature, json_schema, stop, stream=False))
        response = await self.create(ctx, request)
        try:
            if response.status != OK:
                raise text.refused(response.content or b"", response.status)
            return text.read_answer(response.content or b"", response.route, response.usage)
        finally:
            await response.finish()

    async def stream_text(
        self,
        ctx: RequestContext,
        endpoint: str,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] | None = None,
    ) -> AsyncIterator[str | Route | TokenUsage]:
        """The answer as it comes: first the route, then pieces of text, at last the tokens; raises what `create` raises."""
        request = self._text_request(endpoint, messages, text.options(max_tokens, temperature, None, stop, stream=True))
        response = await self.create(ctx, request)
        try:
            if not response.streamed:
                raise text.refused(response.content or b"", response.status)
            yield response.route
            async for piece in response.body():
                for delta in text.deltas(piece):
                    yield delta
            yield response.usage
        finally:
            await response.finish()

    async def _taken_in(self, ctx: RequestContext, view: EndpointView, request: ChatRequest, read: ReadBody) -> tuple[ReadBody, Provenance]:
        """The request after the guardrails of the endpoint, and its label."""
        if view.policy.guardrails:
            known = None if request.parts is None else provenance_of(part.provenance for part in request.parts)
            read = await self._guardrails.check_input(ctx, view, read, known)
        if len(request.body) < LONG_BYTES:
            return read, self.label(read, request.parts, request.raise_to)
        return read, await self._threads.run(self.label, read, request.parts, request.raise_to)

    def label(self, read: ReadBody, parts: Iterable[Part] | None, raise_to: Label | None) -> Provenance:
        """Label of everything that is sent.

        Text from outside is labelled by what the detectors and fingerprints find in it.  Callers inside hand over parts with
        provenance; what fingerprints find in the text is joined to that all the same.
        """
        fingerprints = self._access.fingerprints
        if parts is None:
            provenance = fingerprints.label_parts(read.texts)
        else:
            provenance = provenance_of(part.provenance for part in parts)
            for match in fingerprints.match_parts(read.texts):
                provenance = provenance.join(Provenance(match.label))
        if raise_to is not None:
            provenance = provenance.join(Provenance(raise_to))
        return provenance

    def _text_request(self, endpoint: str, messages: Sequence[Message], options: Mapping[str, object]) -> ChatRequest:
        """The request of a caller inside, with the provenance of each message."""
        typed = self._access.fingerprints.label_text
        parts = tuple(Part(each.content, each.provenance or typed(each.content)) for each in messages)
        return ChatRequest(text.body_of(endpoint, messages, options), endpoint, parts)

    async def _kept_or_opened(
        self, ctx: RequestContext, view: EndpointView, candidate: Candidate, settled: Settled, use: CacheUse
    ) -> _Opened:
        """The answer that this caller was given before to the same request, or a new one, which is kept."""
        read, cache = settled.read, self._cache
        key = cache.key(ctx, view, candidate, settled.provenance.label, read.native.raw if read.native is not None else read.raw)
        kept = cache.find(key) if use == "use" else None
        if kept is not None:
            spent = replace(kept.spent, cached_tokens=kept.spent.input_tokens)
            return _Opened(NoResponse(), kept.content, spent, native=kept.native, cached=True)
        opened = await self._open(ctx, candidate, settled)
        if use != "none" and opened.content is not None and opened.response.status == OK:
            spent = opened.spent or TokenUsage()
            cache.put(key, opened.content, spent, native=opened.native, ttl_s=float(view.policy.cache_s))
        return opened

    async def _open(self, ctx: RequestContext, candidate: Candidate, settled: Settled) -> _Opened:
        """Send the request to one served model and wait for the first byte of its answer, or for all of it when it is no stream."""
        here = candidate.upstream is None and candidate.served.kind is ServedKind.LOCAL
        turn: Turn | None = None
        if here and self._runtime is not None:
            turn = await self._runtime.admit(candidate.served.model)
        elif candidate.health is not None and candidate.health.gate.places:
            turn = await candidate.health.gate.enter()
        try:
            return await self._send(ctx, candidate, settled, turn)
        except BaseException:
            if turn is not None:
                turn.release()
            raise

    async def _send(self, ctx: RequestContext, candidate: Candidate, settled: Settled, turn: Turn | None) -> _Opened:
        """Send the request; the turn on a local model goes over to the answer."""
        read = settled.read
        upstream, limits = await self._address(candidate)
        there = candidate.served.kind is ServedKind.ANTHROPIC
        native = read.native if there else None
        body = with_model(native, candidate.served.model) if native is not None else adapted(read, candidate.served)
        if native is None and read.stream and not read.wants_usage:
            body = with_usage(read, body)
        wanted = ProviderRequest(upstream, PATH if native is None else NATIVE_PATH, body, read.stream, limits)
        cleared = await self._clear(ctx, wanted, candidate, settled)
        response = hold(await (self._anthropic if there else self._provider).open(cleared), turn)
        try:
            check_status(response)
            if read.stream and response.status == OK:
                return await _first_piece(response, native=native is not None)
            content = await response.read()
            if response.status != OK:
                text.check_refusal(content, response.status)
                return _Opened(response, content, TokenUsage(), native=native is not None)
            told = read_usage(content) if native is None else read_message_usage(content)
            return _Opened(response, content, told or estimate(read.chars, len(content) // CHARS_PER_TOKEN), native=native is not None)
        except BaseException:
            await response.aclose()
            raise

    async def _copy(self, ctx: RequestContext, view: EndpointView, shadow: Candidate, settled: Settled) -> None:
        """Let a shadow answer, and throw the answer away."""
        meter = Meter(ctx, view, self._usage, self._clock)
        meter.candidate, meter.outcome, meter.streamed = shadow, "shadow", settled.read.stream
        label = settled.provenance.label
        meter.label_text = label.text()
        route = Route(view.name, shadow.served.name, view.name, "shadow", "", label)
        watch = _Watch(self._snapshots, ctx, view, shadow, label, None)
        try:
            opened = await self._open(ctx, shadow, settled)
            meter.first_byte()
            answer = ChatResponse(opened, route=route, meter=meter, read=settled.read, watch=watch)
            async for _ in answer.body():
                pass
            meter.settle("ok" if answer.status == OK else "error", answer.usage)
        except InsjoError as error:
            meter.settle("error", TokenUsage(), error)
        except BaseException as error:
            meter.settle("cancelled", TokenUsage(), error)
            raise

    async def _clear(
        self, ctx: RequestContext, wanted: ProviderRequest, candidate: Candidate, settled: Settled
    ) -> Cleared[ProviderRequest]:
        """Ask `access` whether this may go there; an approval is used up in the database, and so in a thread."""
        clear, hashed = self._access.flows.clear, hash_of(wanted.body)
        if not settled.approved_hash:
            return clear(ctx, wanted, settled.provenance, candidate.clearance, PURPOSE, content_hash=hashed)
        return await self._threads.run(
            clear,
            ctx,
            wanted,
            settled.provenance,
            candidate.clearance,
            PURPOSE,
            content_hash=hashed,
            approved_hash=settled.approved_hash,
        )

    async def _address(self, candidate: Candidate) -> tuple[Upstream, TimeLimits]:
        if candidate.upstream is not None:
            return candidate.upstream, candidate.limits or ELSEWHERE
        if candidate.served.kind is not ServedKind.LOCAL or self._runtime is None:
            raise ProviderRefused("Models on this machine are switched off.", hint="Switch them on with the setting `local_models`.")
        return await self._runtime.address(candidate.served.model), HERE


class _Watch:
    """Looks, before each piece of a stream, whether something about rights changed since the last look."""

    __slots__ = ("_ctx", "_label", "_seen", "_snapshots", "_still_valid", "_view", "candidate")

    def __init__(
        self,
        snapshots: Snapshots,
        ctx: RequestContext,
        view: EndpointView,
        candidate: Candidate,
        label: Label,
        still_valid: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._snapshots = snapshots
        self._ctx = ctx
        self._view = view
        self.candidate = candidate
        self._label = label
        self._still_valid = still_valid
        self._seen = view.revision

    def changed(self) -> bool:
        """Whether `look` must be called before the next piece."""
        return self._snapshots.revision != self._seen

    async def look(self) -> None:
        """Decide again; raises AccessEnded when the caller or the served model lost what this answer needs."""
        now = self._snapshots.revision
        current = await self.rights()
        if not may_flow(self._label, current.clearance).allowed:
            raise AccessEnded(f"`{self.candidate.served.name}` may no longer receive content of this label.")
        self._seen = now

    async def rights(self) -> Candidate:
        """Decide again about the caller alone: a whole answer answers what has been received already."""
        if self._still_valid is not None:
            await self._still_valid()
        return await self._snapshots.still(self._ctx, self._view, self.candidate)


def _with_native(read: ReadBody, raw: bytes) -> ReadBody:
    """The request with its own wire beside it; every text that either of them holds is labelled."""
    native = read_native(raw)
    known = set(read.texts)
    return replace(read, native=native, texts=[*read.texts, *(each for each in native.texts if each not in known)])


async def _first_piece(response: ProviderResponse, *, native: bool) -> _Opened:
    """Wait until a stream has really begun: up to here another served model can still take over."""
    if not response.header("content-type").startswith("text/event-stream"):
        raise ProviderGarbled("The provider was asked for a stream and answered with something else.")
    rest = response.pieces()
    try:
        first = await anext(rest)
    except StopAsyncIteration:
        raise ProviderGarbled("The provider's stream ended before it began.") from None
    return _Opened(response, first=first, rest=rest, native=native)


def check_status(response: ProviderResponse) -> None:
    """Raise for an answer that is neither success nor the caller's fault.

    The provider's text is not passed on: it can repeat the key, and it is meant for whoever runs the gateway.

    Raises:
        ProviderBusy: Status 429.
        ProviderRefused: Any other.
    """
    status = response.status
    if status == OK or status in CALLERS_FAULT:
        return
    details: dict[str, object] = {"upstream_status": status}
    if status in TOO_MANY:
        wait = response.header("retry-after")
        if wait.isdigit():
            details["retry_after_s"] = int(wait)
        raise ProviderBusy("The provider takes no more requests just now.", hint="Try again later.", details=details)
    if status in {401, 403}:
        raise ProviderRefused(f"The provider refused Insjö's key ({status}).", hint="Tell whoever manages the endpoint.", details=details)
    raise ProviderRefused(f"The provider answered with status {status}.", hint="Try again; if it stays, tell an admin.", details=details)
