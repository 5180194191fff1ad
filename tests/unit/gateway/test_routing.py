"""Which served model is asked: shares, conversations, speed, rests after failures, retries, copies; and the law at each attempt."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest

from insjo.access.errors import FlowBlocked
from insjo.access.types import ALL, Clearance, Label, Level, Origin, Privilege, Provenance
from insjo.gateway.errors import AccessEnded, EndpointInvalid, ProviderBusy, ProviderRefused, ProviderTimedOut, ProviderUnreachable
from insjo.gateway.service import health, routing
from insjo.gateway.service.health import Gate, Health
from insjo.gateway.service.routing import Router, in_order
from insjo.gateway.service.snapshot import EndpointView
from insjo.gateway.types import (
    ChatRequest,
    EndpointSpec,
    EndpointState,
    Load,
    Message,
    Policy,
    Route,
    Routing,
    ServedModelSpec,
    Task,
    TextAnswer,
    TimeLimits,
    UsageRecord,
)
from insjo.kernel.errors import InsjoError
from insjo.testing.recorder import Fault, Recorder, Script
from tests.support.gateway import OUTSIDE, Installation, until

pytestmark = pytest.mark.slow

T = TypeVar("T")
PAID = f"served_model:{OUTSIDE}/paid"
SPARE = f"served_model:{OUTSIDE}/spare"
CONFIDENTIAL = Provenance(Label(Level.CONFIDENTIAL), (Origin("main.hr.pay", 3, "salary"),))


@pytest.fixture
def spare() -> Iterator[Recorder]:
    """A second provider elsewhere."""
    with Recorder().running() as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rests and pauses that a test can wait for."""
    monkeypatch.setattr(health, "REST_S", 0.1)
    monkeypatch.setattr(health, "PROBE_S", 0.02)
    monkeypatch.setattr(routing, "PAUSE_S", 0.02)


def run(made: Installation, work: Awaitable[T]) -> T:
    async def inside() -> T:
        try:
            return await work
        finally:
            await made.gateway.completions.close()
            await made.gateway.completions._provider.close()

    return asyncio.run(inside())


def make(made: Installation, *served: ServedModelSpec, how: Routing | None = None, policy: Policy | None = None) -> None:
    spec = EndpointSpec(OUTSIDE, Task.CHAT, served, policy or Policy(), routing=how or Routing(retries=0))
    made.gateway.endpoints.create(made.admin, spec)
    made.grant("anna", OUTSIDE)


def two(made: Installation, spare: Recorder, how: Routing | None = None, shares: tuple[int, int] = (0, 0)) -> None:
    first, second = made.served(), made.served("spare", recorder=spare)
    make(made, replace(first, share=shares[0]), replace(second, share=shares[1]), how=how)


async def said(made: Installation, text: str = "hello", provenance: Provenance | None = None) -> TextAnswer:
    return await made.gateway.completions.complete_text(made.person("anna"), OUTSIDE, [Message("user", text, provenance)])


def ask(made: Installation, text: str = "hello", provenance: Provenance | None = None) -> TextAnswer:
    return run(made, said(made, text, provenance))


def streamed(made: Installation) -> bytes:
    async def work() -> bytes:
        body = json.dumps({"model": OUTSIDE, "stream": True, "messages": [{"role": "user", "content": "one two three four"}]}).encode()
        response = await made.gateway.completions.create(made.person("anna"), ChatRequest(body))
        try:
            return b"".join([piece async for piece in response.body()])
        finally:
            await response.finish()

    return run(made, work())


def rows(made: Installation) -> list[UsageRecord]:
    return list(made.gateway.usage.list(made.admin).items)


def shown(made: Installation) -> dict[str, EndpointState]:
    return {each.name: each.state for each in made.gateway.endpoints.get(made.admin, OUTSIDE).served}


# Rests


def test_a_model_that_fails_rests_and_is_tried_again_later(made: Installation, spare: Recorder) -> None:
    two(made, spare)
    made.outside.default = Script(fault=Fault.RESET)
    for _ in range(health.FAILURES_MAX):
        assert ask(made).route.outcome == "failed_over"
    asked = len(made.outside.requests)
    endpoint = made.gateway.endpoints.get(made.admin, OUTSIDE)
    paid = endpoint.served[0]
    assert (endpoint.state, paid.state, endpoint.served[1].state) == (EndpointState.READY, EndpointState.FAILED, EndpointState.READY)
    assert "5 times in a row" in paid.state_reason
    answer = ask(made)
    assert (answer.route.outcome, answer.route.served_model) == ("failed_over", "spare")
    assert len(made.outside.requests) <= asked + 2, "at most a probe, and its repetition on a new connection, once the short rest is over"
    made.outside.default = Script()
    until(lambda: ask(made).route.served_model == "paid")
    assert shown(made)["paid"] is EndpointState.READY
    assert ask(made).route.outcome == "direct"


def test_a_model_that_rests_is_better_than_none(made: Installation) -> None:
    make(made, made.served())
    made.outside.default = Script(fault=Fault.STATUS, status=500)
    for _ in range(health.FAILURES_MAX + 1):
        with pytest.raises(ProviderRefused):
            ask(made)
    assert shown(made)["paid"] is EndpointState.FAILED
    assert made.gateway.endpoints.get(made.admin, OUTSIDE).state is EndpointState.FAILED
    made.outside.default = Script()
    assert ask(made).text == "Echo: hello"
    assert shown(made)["paid"] is EndpointState.READY


def test_a_stream_that_breaks_off_counts_as_a_failure(made: Installation, spare: Recorder) -> None:
    two(made, spare)
    made.outside.default = Script(fault=Fault.RESET_MID_STREAM)
    for _ in range(health.FAILURES_MAX):
        with pytest.raises(ProviderUnreachable):
            streamed(made)
    assert shown(made)["paid"] is EndpointState.FAILED
    assert b"[DONE]" in streamed(made), "the spare one answers"


def test_retry_after_is_heeded_while_another_can_answer(made: Installation, spare: Recorder) -> None:
    two(made, spare)
    made.outside.script.append(Script(fault=Fault.STATUS, status=429))  # With `Retry-After: 7`.
    assert ask(made).route.served_model == "spare"
    assert "asked for a rest" in made.gateway.endpoints.get(made.admin, OUTSIDE).served[0].state_reason
    assert ask(made).route.served_model == "spare"
    assert len(made.outside.requests) == 1


def test_health_is_forgotten_with_the_address(made: Installation, spare: Recorder) -> None:
    make(made, made.served())
    made.outside.default = Script(fault=Fault.RESET)
    for _ in range(health.FAILURES_MAX):
        with pytest.raises(ProviderUnreachable):
            ask(made)
    spec = EndpointSpec.of(made.gateway.endpoints.get(made.admin, OUTSIDE))
    made.gateway.endpoints.update(made.admin, OUTSIDE, replace(spec, comment="changed"))
    assert shown(made)["paid"] is EndpointState.FAILED
    made.gateway.endpoints.update(made.admin, OUTSIDE, replace(spec, served=(made.served(recorder=spare),)))
    assert shown(made)["paid"] is EndpointState.READY
    assert ask(made).text == "Echo: hello", "changed while it runs"


# Retries


def test_a_passing_failure_is_tried_again(made: Installation) -> None:
    make(made, made.served(), how=Routing(retries=2))
    made.outside.script.extend([Script(fault=Fault.STATUS, status=503), Script(fault=Fault.STATUS, status=500)])
    made.outside.script[0] = Script(fault=Fault.STATUS, status=502)
    assert ask(made).text == "Echo: hello"
    assert len(made.outside.requests) == 3
    assert [(each.status, each.outcome) for each in rows(made)] == [("ok", "failed_over")], "one request, one row"


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(fault=Fault.STATUS, status=401), ProviderRefused),
        (Script(fault=Fault.STATUS, status=404), ProviderRefused),
        (Script(fault=Fault.HANG), ProviderTimedOut),
        (Script(fault=Fault.STATUS, status=429), ProviderBusy),  # `Retry-After: 7` is longer than Insjö lets its caller wait.
    ],
)
def test_what_will_not_pass_is_not_tried_again(made: Installation, script: Script, kind: type[InsjoError]) -> None:
    make(made, made.served(), how=Routing(retries=2, limits=TimeLimits(first_byte_s=0.3) if kind is ProviderTimedOut else None))
    made.outside.default = script
    with pytest.raises(kind) as caught:
        ask(made)
    assert len(made.outside.requests) == 1
    if kind is ProviderBusy:
        assert caught.value.details["retry_after_s"] == 7


def test_retries_do_not_multiply_the_load(made: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RETRIES_MAX", 3.0)
    make(made, made.served(), how=Routing(retries=5))
    made.outside.default = Script(fault=Fault.STATUS, status=500)
    well = Health()
    assert [well.take_retry() for _ in range(4)] == [True, True, True, False]
    for _ in range(10):
        with pytest.raises(ProviderRefused):
            ask(made)
    assert len(made.outside.requests) < 10 * 2, "ten requests with five retries each would be sixty"


# Order


def test_a_conversation_stays_with_its_model_and_conversations_are_shared_out(made: Installation, spare: Recorder) -> None:
    two(made, spare, Routing(sticky=True), (75, 25))

    async def work() -> tuple[EndpointView, list[Route]]:
        view = await made.gateway.snapshots.admit(made.person("anna"), OUTSIDE, Task.CHAT)
        return view, [(await said(made, "the same words")).route for _ in range(4)]

    view, routes = run(made, work())
    assert len({each.served_model for each in routes}) == 1, routes
    plan = Router.plan(view, Label(Level.INTERNAL))

    def firsts(shares: tuple[int, int]) -> list[str]:
        changed = replace(plan, shares=shares)
        return [in_order(view, changed, b"conversation %d" % number)[0][0].served.name for number in range(400)]

    before, after = firsts((75, 25)), firsts((50, 50))
    assert before == firsts((75, 25))
    assert 260 <= Counter(before)["paid"] <= 340
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {("paid", "spare")}, "only those move that must"


def test_shares_change_while_it_runs(made: Installation, spare: Recorder) -> None:
    two(made, spare, shares=(99, 1))
    spec = EndpointSpec.of(made.gateway.endpoints.get(made.admin, OUTSIDE))
    changed = tuple(replace(each, share=0 if each.name == "paid" else 100) for each in spec.served)
    made.gateway.endpoints.update(made.admin, OUTSIDE, replace(spec, served=changed))
    assert {ask(made).route.served_model for _ in range(5)} == {"spare"}


def test_the_faster_model_is_asked_first(made: Installation, spare: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "EXPLORED", 0.0)
    two(made, spare, Routing(strategy="latency"))
    made.outside.default = Script(delay_s=1.0)
    assert ask(made).route.served_model == "paid", "nothing is known yet"
    assert ask(made).route.served_model == "spare", "nothing is known of this one"
    assert {ask(made).route.served_model for _ in range(3)} == {"spare"}


def test_each_endpoint_has_its_own_time_limits(made: Installation, spare: Recorder) -> None:
    two(made, spare, Routing(limits=TimeLimits(connect_s=5, first_byte_s=2, idle_s=20, total_s=60), retries=0))
    made.outside.default = Script(fault=Fault.HANG)
    assert ask(made).route.outcome == "failed_over"
    read = made.gateway.endpoints.get(made.admin, OUTSIDE).routing
    assert read.limits is not None
    assert (read.limits.first_byte_s, read.retries) == (2, 0)


# Places


def test_places_are_limited_and_so_is_the_line(made: Installation) -> None:
    make(made, replace(made.served(), load=Load(1, 2)))
    made.outside.default = Script(delay_s=0.8)

    async def work() -> list[object]:
        await said(made)
        return list(await asyncio.gather(*(said(made) for _ in range(5)), return_exceptions=True))

    found = run(made, work())
    assert sorted(type(each).__name__ for each in found) == ["ProviderBusy"] * 2 + ["TextAnswer"] * 3


def test_who_finds_no_place_goes_to_the_next(made: Installation, spare: Recorder) -> None:
    make(made, replace(made.served(), load=Load(1, 0)), made.served("spare", recorder=spare))
    made.outside.default = Script(delay_s=0.8)

    async def work() -> list[str]:
        answers = await asyncio.gather(*(said(made) for _ in range(4)))
        return sorted(each.route.served_model for each in answers)

    assert run(made, work()) == ["paid", "spare", "spare", "spare"]


def test_a_place_comes_back_whatever_happens(made: Installation) -> None:
    make(made, replace(made.served(), load=Load(1, 0)))
    for fault in (Fault.RESET, Fault.GARBAGE, Fault.NO_JSON, Fault.RESET_MID_STREAM):
        made.outside.script.append(Script(fault=fault))
        with pytest.raises(InsjoError):
            ask(made)
        made.outside.script.clear()
        assert ask(made).text == "Echo: hello"
        made.outside.script.append(Script(fault=fault))
        with pytest.raises(InsjoError):
            streamed(made)
        made.outside.script.clear()


def test_whoever_gives_up_waiting_leaves_no_hole() -> None:
    async def work() -> None:
        gate = Gate()
        gate.places, gate.waiting_max = 1, 10
        place = await gate.enter()
        waiting = [asyncio.create_task(gate.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        place.release()
        place.release()
        waiting[1].cancel()  # The place was handed to this one a moment ago.
        last = await waiting[2]
        last.release()
        (await gate.enter()).release()
        assert gate._inside == 0

    asyncio.run(work())


# Copies


def copied(made: Installation, spare: Recorder, *, level: Level = Level.INTERNAL, per_cent: int = 100) -> None:
    make(made, made.served(level=Level.CONFIDENTIAL), replace(made.served("spare", level=level, recorder=spare), shadow=per_cent))


@pytest.mark.parametrize("stream", [False, True])
def test_a_shadow_gets_a_copy_and_never_answers(made: Installation, spare: Recorder, *, stream: bool) -> None:
    copied(made, spare)
    spare.default = Script(text="never shown")

    async def work() -> bytes:
        body = json.dumps({"model": OUTSIDE, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}).encode()
        response = await made.gateway.completions.create(made.person("anna"), ChatRequest(body))
        found = b"".join([piece async for piece in response.body()])
        await response.finish()
        await asyncio.to_thread(until, lambda: len(rows(made)) == 2)
        return found

    found = run(made, work())
    assert b"Echo" in found
    assert b"never" not in found
    assert spare.requests[0].json() == made.outside.requests[0].json()
    assert {(each.served_model, each.outcome, each.status) for each in rows(made)} == {("paid", "direct", "ok"), ("spare", "shadow", "ok")}


def test_a_shadow_is_a_destination(made: Installation, spare: Recorder) -> None:
    copied(made, spare)
    assert ask(made, "pay", CONFIDENTIAL).route.served_model == "paid"
    assert not spare.requests
    made.outside.default = Script(fault=Fault.RESET)
    with pytest.raises(ProviderUnreachable):
        ask(made)
    assert not spare.requests, "nor does it stand in for one that fails"


def test_a_shadow_that_fails_harms_nobody(made: Installation, spare: Recorder) -> None:
    copied(made, spare)
    spare.default = Script(fault=Fault.GARBAGE)
    assert ask(made).text == "Echo: hello"


# The law


def test_no_attempt_goes_to_a_model_that_is_not_cleared(made: Installation, spare: Recorder) -> None:
    first, second = made.served(level=Level.CONFIDENTIAL), made.served("spare", recorder=spare)
    make(made, first, second, how=Routing(retries=2))
    made.outside.default = Script(fault=Fault.STATUS, status=500)
    with pytest.raises(ProviderRefused):
        ask(made, "pay", CONFIDENTIAL)
    assert not spare.requests


@pytest.mark.parametrize(("change", "kind"), [("clearance", FlowBlocked), ("grant", AccessEnded), ("removal", AccessEnded)])
def test_what_is_withdrawn_while_one_fails_holds_for_the_next(
    made: Installation, spare: Recorder, change: str, kind: type[InsjoError]
) -> None:
    two(made, spare)
    made.outside.default = Script(fault=Fault.STATUS, status=500, delay_s=1.5)
    changes: dict[str, Callable[[], object]] = {
        "clearance": lambda: made.access.clearances.set(made.admin, Clearance(SPARE, level=Level.PUBLIC, categories=ALL, zone="any")),
        "grant": lambda: made.access.grants.revoke(made.admin, made.id_of(OUTSIDE), "anna", [Privilege.EXECUTE]),
        "removal": lambda: made.gateway.endpoints.delete(made.admin, OUTSIDE),
    }

    async def work() -> None:
        asked = asyncio.create_task(said(made))
        await asyncio.to_thread(until, lambda: len(made.outside.requests) == 1)
        await asyncio.to_thread(changes[change])
        await asked

    with pytest.raises(kind):
        run(made, work())
    assert not spare.requests


# What is refused


@pytest.mark.parametrize(
    ("how", "served"),
    [
        (Routing(strategy="best"), {}),  # type: ignore[arg-type]  # A wrong word.
        (Routing(retries=6), {}),
        (Routing(retries=-1), {}),
        (Routing(limits=TimeLimits(connect_s=0)), {}),
        (Routing(limits=TimeLimits(total_s=1e9)), {}),
        (Routing(), {"load": Load(-1)}),
        (Routing(), {"load": Load(1, 100_000)}),
        (Routing(), {"shadow": 101}),
        (Routing(), {"shadow": 50, "share": 100}),
        (Routing(), {"shadow": 50}),
    ],
)
def test_a_routing_that_cannot_work_is_refused(made: Installation, how: Routing, served: dict[str, object]) -> None:
    with pytest.raises(EndpointInvalid):
        make(made, replace(made.served(), **served), how=how)  # type: ignore[arg-type]  # Fields of the spec.


def test_a_model_of_this_machine_is_nobodys_shadow(made: Installation) -> None:
    with pytest.raises(EndpointInvalid):
        make(made, made.served(), replace(made.local(), shadow=10))
