"""Which model answers, what it is sent, and what is written down about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import TypeVar

import pytest

from insjo.access.errors import EndpointNotFound, FlowBlocked
from insjo.access.types import ALL, PUBLIC, Clearance, Label, Level, Origin, Privilege, Provenance
from insjo.gateway.errors import (
    AccessEnded,
    EndpointInvalid,
    KeyUnreadable,
    ModelNotLoaded,
    ProviderBusy,
    ProviderGarbled,
    ProviderRefused,
    ProviderUnreachable,
    RequestInvalid,
    WrongTask,
)
from insjo.gateway.service.completions import ChatResponse
from insjo.gateway.service.meter import cost_of
from insjo.gateway.service.vault import FILE_NAME
from insjo.gateway.types import ChatRequest, EndpointSpec, Message, Policy, Prices, Route, Task, TextAnswer, TokenUsage, UsageRecord
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.errors import InsjoError, PermissionDenied
from insjo.testing.recorder import Fault, Recorder, Script
from tests.support.gateway import OUTSIDE, Installation

pytestmark = pytest.mark.slow

T = TypeVar("T")
CONFIDENTIAL = Provenance(Label(Level.CONFIDENTIAL), (Origin("main.hr.pay", 3, "salary"),))
SECRET_TEXT = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"


def run(made: Installation, work: Awaitable[T]) -> T:
    async def inside() -> T:
        try:
            return await work
        finally:
            await made.gateway.completions._provider.close()

    return asyncio.run(inside())


def ask(made: Installation, said: str, *, name: str = "anna", endpoint: str = OUTSIDE, provenance: Provenance | None = None) -> TextAnswer:
    messages = [Message("user", said, provenance)]
    return run(made, made.gateway.completions.complete_text(made.person(name), endpoint, messages))


def body(said: str = "hello", *, stream: bool = False, model: str = OUTSIDE) -> bytes:
    return json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": said}]}).encode()


async def drain(response: ChatResponse) -> bytes:
    return b"".join([piece async for piece in response.body()])


async def collect(pieces: ChatResponse | AsyncIterator[bytes], into: list[bytes]) -> None:
    async for piece in pieces.body() if isinstance(pieces, ChatResponse) else pieces:
        into.append(piece)  # noqa: PERF401  # What came before an error is wanted too.


def last_usage(made: Installation) -> UsageRecord:
    return made.gateway.usage.list(made.admin).items[0]


@pytest.fixture
def outside(made: Installation) -> Installation:
    """An endpoint elsewhere that anna may use; confidential content goes to the local model."""
    made.make_outside(fallback="insjo-chat")
    made.grant("anna", OUTSIDE)
    return made


def test_an_answer_comes_from_the_first_served_model(outside: Installation) -> None:
    answer = ask(outside, "hello you")
    assert answer.text == "Echo: hello you"
    assert answer.route == Route(OUTSIDE, "paid", OUTSIDE, "direct", "", Label(Level.INTERNAL))
    (sent,) = outside.outside.requests
    assert sent.json() == {"model": "recorder-1", "messages": [{"role": "user", "content": "hello you"}], "stream": False}
    assert (sent.path, sent.header("authorization")) == ("/v1/chat/completions", "Bearer sk-provider-key")


def test_the_bytes_go_on_as_they_came(outside: Installation) -> None:
    messages = b'"messages":[ {"role":"user","content":"h\\u00e5","x":1e2} ]'
    raw = b'{ "temperature" : 0.70 ,"model":"outside", %b , "seed":12345678901234567890}' % messages
    response = run(outside, outside.gateway.completions.create(outside.person("anna"), ChatRequest(raw)))
    assert response.status == 200
    assert outside.outside.requests[0].body == raw.replace(b'"outside"', b'"recorder-1"')


def test_usage_tells_who_what_and_how_much(outside: Installation) -> None:
    ask(outside, "one two three")
    row = last_usage(outside)
    assert (row.principal, row.endpoint, row.served_by, row.served_model, row.model) == ("anna", OUTSIDE, OUTSIDE, "paid", "recorder-1")
    assert (row.task, row.outcome, row.status, row.label, row.streamed) == ("chat", "direct", "ok", "internal", False)
    assert (row.input_tokens, row.output_tokens, row.estimated) == (3, 4, False)
    assert row.cost == pytest.approx((3 * 2.0 + 4 * 8.0) / 1e6)
    assert row.duration_ms >= row.first_byte_ms > 0


def test_an_unknown_cost_is_not_free() -> None:
    tokens = TokenUsage(1_000_000, 500_000, 400_000)
    assert cost_of(None, tokens) is None
    assert cost_of(Prices(1.0, None), tokens) is None
    assert cost_of(Prices(2.0, 8.0), tokens) == 6.0
    assert cost_of(Prices(2.0, 8.0, 0.5), tokens) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 4.0)


# The law


def test_labelled_parts_are_rerouted_and_not_a_byte_leaves(outside: Installation) -> None:
    answer = ask(outside, SECRET_TEXT, provenance=CONFIDENTIAL)
    assert (answer.route.outcome, answer.route.served_by) == ("rerouted", "insjo-chat")
    assert "confidential" in answer.route.reason
    assert not outside.outside.requests
    assert outside.inside.holds(SECRET_TEXT)
    row = last_usage(outside)
    assert (row.outcome, row.endpoint, row.served_by, row.cost, row.label) == ("rerouted", OUTSIDE, "insjo-chat", 0.0, "confidential")


def test_pasted_content_is_recognised(outside: Installation) -> None:
    outside.protect(SECRET_TEXT)
    assert ask(outside, f"Please polish: {SECRET_TEXT.upper()}!").route.outcome == "rerouted"
    assert not outside.outside.requests


def test_content_inside_parts_that_were_called_public_is_recognised_too(outside: Installation) -> None:
    outside.protect(SECRET_TEXT)
    assert ask(outside, SECRET_TEXT, provenance=Provenance(PUBLIC)).route.outcome == "rerouted"
    assert not outside.outside.requests


def test_a_reroute_goes_to_the_next_served_model_first(made: Installation) -> None:
    made.make_outside(more=(made.local(),), fallback="insjo-chat")
    made.grant("anna", OUTSIDE)
    assert ask(made, "x", provenance=CONFIDENTIAL).route.served_by == OUTSIDE
    assert last_usage(made).served_model == "here"


def test_a_policy_can_forbid_to_reroute(made: Installation) -> None:
    made.make_outside(more=(made.local(),), fallback="insjo-chat", on_conflict="block")
    made.grant("anna", OUTSIDE)
    with pytest.raises(FlowBlocked) as caught:
        ask(made, "x", provenance=CONFIDENTIAL)
    assert "confidential" in caught.value.message
    assert not made.outside.requests
    assert not made.inside.requests
    row = last_usage(made)
    assert (row.status, row.outcome, row.error_code, row.served_model, row.cost) == ("blocked", "blocked", "FLOW_BLOCKED", "", 0.0)


def test_a_refusal_names_no_source_that_the_caller_may_not_browse(made: Installation) -> None:
    made.make_outside()
    made.grant("anna", OUTSIDE)
    made.protect(SECRET_TEXT)
    with pytest.raises(FlowBlocked) as caught:
        ask(made, SECRET_TEXT)
    assert "hr1" not in str(caught.value)


def test_each_outcome_is_in_the_audit(outside: Installation) -> None:
    ask(outside, "hello")
    ask(outside, "x", provenance=CONFIDENTIAL)
    outside.gateway.endpoints.update(
        outside.admin, OUTSIDE, replace(EndpointSpec.of(outside.gateway.endpoints.get(outside.admin, OUTSIDE)), policy=Policy())
    )
    with pytest.raises(FlowBlocked):
        ask(outside, "x", provenance=CONFIDENTIAL)
    rows = outside.access.audit.search(system_context()).items
    seen = [(row.outcome, row.destination.split(":")[1], row.label) for row in rows if row.principal == "anna" and row.destination]
    assert ("allowed", "outside/paid", "internal") in seen
    assert ("rerouted", "insjo-chat/recorded-local", "confidential") in seen
    assert ("blocked", "outside/paid", "confidential") in seen


def test_a_lowered_clearance_counts_at_once(outside: Installation) -> None:
    assert ask(outside, "hello").route.outcome == "direct"
    outside.access.clearances.set(outside.admin, Clearance("served_model:outside/paid", level=Level.PUBLIC, categories=ALL, keeps=False))
    assert ask(outside, "hello").route.outcome == "rerouted"


def test_a_revoked_grant_counts_at_once(outside: Installation) -> None:
    ask(outside, "hello")
    outside.access.grants.revoke(outside.admin, outside.id_of(OUTSIDE), "anna", [Privilege.EXECUTE])
    with pytest.raises(EndpointNotFound):
        ask(outside, "hello")


def test_seeing_an_endpoint_is_not_using_it(outside: Installation) -> None:
    outside.grant("bo", OUTSIDE, Privilege.BROWSE)
    with pytest.raises(PermissionDenied):
        ask(outside, "hello", name="bo")
    assert not outside.outside.requests


def test_an_embedding_endpoint_does_not_chat(made: Installation) -> None:
    with pytest.raises(WrongTask):
        ask(made, "hello", endpoint="insjo-embed")


# Failures


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.GARBAGE, Fault.NO_JSON, Fault.REDIRECT, Fault.COMPRESSED, Fault.RESET_MID_STREAM])
def test_the_next_served_model_takes_over(made: Installation, fault: Fault) -> None:
    made.make_outside(more=(made.local(),))
    made.grant("anna", OUTSIDE)
    made.outside.default = Script(fault=fault)
    answer = ask(made, "hello")
    assert (answer.text, answer.route.outcome, answer.route.served_model) == ("Echo: hello", "failed_over", "here")
    assert last_usage(made).outcome == "failed_over"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503])
def test_the_next_served_model_takes_over_from_one_that_refuses(made: Installation, status: int) -> None:
    made.make_outside(more=(made.local(),))
    made.grant("anna", OUTSIDE)
    made.outside.default = Script(fault=Fault.STATUS, status=status)
    assert ask(made, "hello").route.outcome == "failed_over"


def test_a_failover_never_goes_to_a_model_that_is_not_cleared(made: Installation) -> None:
    with Recorder().running() as third:
        made.make_outside("mixed", level=Level.CONFIDENTIAL, more=(made.served("cheap", level=Level.PUBLIC, recorder=third),))
        made.grant("anna", "mixed")
        made.outside.default = Script(fault=Fault.RESET)
        with pytest.raises(ProviderUnreachable):
            ask(made, "internal words", endpoint="mixed")
        assert not third.requests


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(fault=Fault.RESET), ProviderUnreachable),
        (Script(fault=Fault.GARBAGE), ProviderGarbled),
        (Script(fault=Fault.LONG_HEAD), ProviderGarbled),
        (Script(fault=Fault.NO_JSON), ProviderGarbled),
        (Script(fault=Fault.REDIRECT), ProviderRefused),
        (Script(fault=Fault.STATUS, status=500), ProviderRefused),
        (Script(fault=Fault.STATUS, status=429), ProviderBusy),
    ],
)
def test_a_failure_without_anybody_to_take_over_is_told(made: Installation, script: Script, kind: type[InsjoError]) -> None:
    made.make_outside()
    made.grant("anna", OUTSIDE)
    made.outside.default = script
    with pytest.raises(kind) as caught:
        ask(made, "hello")
    assert caught.value.details["served_model"] == "outside/paid"
    row = last_usage(made)
    assert (row.status, row.error_code, row.input_tokens, row.output_tokens) == ("error", kind.code, 0, 0)


def test_a_provider_that_is_not_there_is_told(made: Installation) -> None:
    with Recorder().running() as gone:
        made.gateway.endpoints.create(
            made.admin, replace(EndpointSpec.of(made.make_outside("x")), name="gone", served=(made.served(recorder=gone),))
        )
    made.grant("anna", "gone")
    with pytest.raises(ProviderUnreachable):
        ask(made, "hello", endpoint="gone")


def test_the_callers_fault_is_told_in_the_providers_words(outside: Installation) -> None:
    outside.outside.default = Script(fault=Fault.STATUS, status=400)
    with pytest.raises(RequestInvalid, match="told to answer 400"):
        ask(outside, "hello")
    assert not outside.inside.requests
    assert last_usage(outside).status == "error"


def test_a_model_that_loads_is_told_with_a_time(made: Installation) -> None:
    made.runtime.loading = True
    with pytest.raises(ModelNotLoaded) as caught:
        ask(made, "hello", endpoint="insjo-chat")
    assert caught.value.retry_after_s == 3
    assert last_usage(made).error_code == "MODEL_NOT_LOADED"


def test_a_key_that_cannot_be_read_is_told_and_another_model_takes_over(outside: Installation) -> None:
    (outside.folder / "keys" / FILE_NAME).write_bytes(b"x" * 32)
    outside.gateway.snapshots._vault._vault._key = b""
    assert ask(outside, "hello").route.outcome == "failed_over"
    spec = EndpointSpec.of(outside.gateway.endpoints.get(outside.admin, OUTSIDE))
    outside.gateway.endpoints.update(outside.admin, OUTSIDE, replace(spec, policy=Policy()))
    with pytest.raises(KeyUnreadable):
        ask(outside, "hello")


def test_tokens_are_estimated_when_nobody_tells_them(outside: Installation) -> None:
    outside.outside.default = Script(text="word " * 40, fault=Fault.NO_USAGE)
    ask(outside, "x" * 400)
    row = last_usage(outside)
    assert row.estimated
    assert row.input_tokens >= 100
    assert row.output_tokens > 0


# Streams


def test_a_stream_tells_route_text_and_tokens(outside: Installation) -> None:
    async def listen() -> list[object]:
        messages = [Message("user", "one two three")]
        return [each async for each in outside.gateway.completions.stream_text(outside.person("anna"), OUTSIDE, messages)]

    route, *words, usage = run(outside, listen())
    assert isinstance(route, Route)
    assert "".join(map(str, words)) == "Echo: one two three"
    assert len(words) > 2
    assert usage == TokenUsage(3, 4)
    assert last_usage(outside).streamed


def test_tokens_of_a_stream_are_counted_though_nobody_asked_for_them(outside: Installation) -> None:
    async def listen() -> bytes:
        return await drain(await outside.gateway.completions.create(outside.person("anna"), ChatRequest(body("a b", stream=True))))

    passed = run(outside, listen())
    assert b'"usage"' not in passed
    assert passed.endswith(b"data: [DONE]\n\n")
    assert outside.outside.requests[0].json()["stream_options"] == {"include_usage": True}
    row = last_usage(outside)
    assert (row.input_tokens, row.output_tokens, row.estimated, row.status) == (2, 3, False, "ok")


def test_a_caller_that_goes_away_is_counted_and_the_provider_is_cut(outside: Installation) -> None:
    outside.outside.default = Script(text="word " * 400, event_delay_s=0.01)

    async def listen() -> None:
        response = await outside.gateway.completions.create(outside.person("anna"), ChatRequest(body("a b", stream=True)))
        pieces = response.body()
        for _ in range(3):
            await anext(pieces)
        await response.finish()
        for _ in range(500):
            if outside.outside.cut_by_client:
                return
            await asyncio.sleep(0.01)

    run(outside, listen())
    assert outside.outside.cut_by_client == 1
    row = last_usage(outside)
    assert (row.status, row.estimated) == ("cancelled", True)
    assert 2 <= row.output_tokens < 100


@pytest.mark.parametrize("fault", [Fault.STATUS, Fault.RESET, Fault.NO_JSON, Fault.GARBAGE])
def test_a_stream_that_did_not_begin_is_taken_over(made: Installation, fault: Fault) -> None:
    made.make_outside(more=(made.local(),))
    made.grant("anna", OUTSIDE)
    made.outside.default = Script(fault=fault)

    async def listen() -> tuple[bytes, str]:
        response = await made.gateway.completions.create(made.person("anna"), ChatRequest(body("a b", stream=True)))
        return await drain(response), response.route.outcome

    passed, outcome = run(made, listen())
    assert outcome == "failed_over"
    assert b"Echo:" in passed


def test_a_stream_that_is_cut_off_is_an_error_and_no_clean_end(outside: Installation) -> None:
    outside.outside.default = Script(text="word " * 40, fault=Fault.RESET_MID_STREAM, event_delay_s=0.002)

    async def listen() -> bytes:
        response = await outside.gateway.completions.create(outside.person("anna"), ChatRequest(body("a", stream=True)))
        passed: list[bytes] = []
        with pytest.raises(ProviderUnreachable):
            await collect(response, passed)
        return b"".join(passed)

    passed = run(outside, listen())
    assert b"word" in passed
    assert b"[DONE]" not in passed
    row = last_usage(outside)
    assert (row.status, row.error_code, row.estimated) == ("error", "PROVIDER_UNREACHABLE", True)
    assert not outside.inside.requests, "what has begun is not begun again elsewhere"


@pytest.mark.parametrize("change", ["grant", "clearance", "endpoint"])
def test_a_running_stream_ends_when_the_right_to_it_ends(outside: Installation, change: str) -> None:
    outside.outside.default = Script(text="word " * 2000, event_delay_s=0.005)
    boss = outside.admin

    def withdraw() -> None:
        if change == "grant":
            outside.access.grants.revoke(boss, outside.id_of(OUTSIDE), "anna", [Privilege.EXECUTE])
        elif change == "clearance":
            outside.access.clearances.set(boss, Clearance("served_model:outside/paid", level=Level.PUBLIC, categories=ALL, keeps=False))
        else:
            outside.gateway.endpoints.delete(boss, OUTSIDE)

    async def listen(ctx: RequestContext) -> None:
        response = await outside.gateway.completions.create(ctx, ChatRequest(body("a", stream=True)))
        rest = response.body()
        await anext(rest)
        await asyncio.to_thread(withdraw)
        with pytest.raises(AccessEnded):
            await collect(rest, [])

    run(outside, listen(outside.person("anna")))
    assert last_usage(outside).error_code == "ACCESS_ENDED"


def test_a_change_that_does_not_concern_a_stream_does_not_end_it(outside: Installation) -> None:
    outside.outside.default = Script(text="word " * 20, event_delay_s=0.005)

    async def listen() -> bytes:
        response = await outside.gateway.completions.create(outside.person("anna"), ChatRequest(body("a", stream=True)))
        passed = b""
        async for piece in response.body():
            if not passed:
                await asyncio.to_thread(outside.person, "somebody new")
            passed += piece
        return passed

    assert run(outside, listen()).endswith(b"data: [DONE]\n\n")


def test_a_long_request_is_labelled_like_a_short_one(outside: Installation) -> None:
    outside.protect(SECRET_TEXT)
    answer = ask(outside, "lorem ipsum " * 20_000 + SECRET_TEXT)
    assert answer.route.outcome == "rerouted"
    assert not outside.outside.requests


def test_shares_spread_the_requests_and_the_others_stand_by(made: Installation) -> None:
    with Recorder().running() as second:
        served = (replace(made.served("a"), share=70), replace(made.served("b", recorder=second), share=30))
        made.gateway.endpoints.create(made.admin, EndpointSpec("spread", Task.CHAT, served))
        made.grant("anna", "spread")

        async def work() -> list[str]:
            found = []
            for _ in range(200):
                answer = await made.gateway.completions.complete_text(made.person("anna"), "spread", [Message("user", "hello")])
                found.append(answer.route.served_model)
            second.default = Script(fault=Fault.STATUS)
            for _ in range(20):
                answer = await made.gateway.completions.complete_text(made.person("anna"), "spread", [Message("user", "hello")])
                assert answer.route.served_model == "a"
            return found

        found = run(made, work())
    assert 100 < found.count("a") < 180
    assert found.count("a") + found.count("b") == 200


@pytest.mark.parametrize("shares", [(50, 49), (-10, 110), (100, 1)])
def test_shares_are_a_hundred_in_all(made: Installation, shares: tuple[int, int]) -> None:
    served = tuple(replace(made.served(name), share=share) for name, share in zip("ab", shares, strict=True))
    with pytest.raises(EndpointInvalid, match="per cent"):
        made.gateway.endpoints.create(made.admin, EndpointSpec("spread", Task.CHAT, served))
