"""Providers that fail in every way, by the hundred: the right error or another model's answer, usage settled, nothing left behind.

`make stress` asks 50,000 times (INSJO_TEST_STRESS_REQUESTS) and looks at the memory too.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from insjo.gateway.errors import ProviderBusy, ProviderGarbled, ProviderRefused, ProviderTimedOut, ProviderUnreachable
from insjo.gateway.service import health
from insjo.gateway.types import ChatRequest, EndpointSpec, Policy, Routing, Task, TimeLimits, UsageRecord
from insjo.kernel.errors import InsjoError
from insjo.testing.recorder import Fault, Recorder, Script
from tests.support.gateway import OUTSIDE, Installation, until

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("INSJO_TEST_STRESS_REQUESTS", "600"))
AT_ONCE = 16
LIMITS = TimeLimits(connect_s=10, first_byte_s=20, idle_s=20, total_s=60)
MEMORY_MB = 64
"""Growth of the process that 40,000 requests may leave, the recording provider in it included."""

BAD: tuple[tuple[Script, type[InsjoError] | None, type[InsjoError] | None], ...] = (
    # What the provider does, and what comes of it for a whole answer and for a stream; None is an answer.
    (Script(fault=Fault.RESET), ProviderUnreachable, ProviderUnreachable),
    (Script(fault=Fault.RESET_MID_STREAM), ProviderUnreachable, ProviderUnreachable),
    (Script(fault=Fault.GARBAGE), ProviderGarbled, ProviderGarbled),
    (Script(fault=Fault.NO_JSON), ProviderGarbled, ProviderGarbled),
    (Script(fault=Fault.STATUS, status=500), ProviderRefused, ProviderRefused),
    (Script(fault=Fault.STATUS, status=429), ProviderBusy, ProviderBusy),
    (Script(fault=Fault.STATUS, status=401), ProviderRefused, ProviderRefused),
    (Script(fault=Fault.REDIRECT), ProviderRefused, ProviderRefused),
    (Script(fault=Fault.NO_DONE), None, None),
    (Script(fault=Fault.NO_USAGE), None, None),
    (Script(fault=Fault.EXTRA), None, None),
    (Script(fault=Fault.SPLIT), None, None),
    (Script(text="drip " * 8, event_delay_s=0.002), None, None),
    (Script(text="x" * 300_000), None, None),
    (Script(close=True), None, None),
    (Script(), None, None),
)


@dataclass
class Counting:
    """Port `UsageObserver`: counts what was settled."""

    content_type: str = "text/plain"
    statuses: Counter[str] = field(default_factory=Counter)

    def observe(self, records: Sequence[UsageRecord]) -> None:
        self.statuses.update(each.status for each in records)

    def render(self) -> bytes:
        return b""


@pytest.fixture
def counted(made: Installation, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """An endpoint whose models never rest, so that every request meets its fault, and a count of what is settled."""
    monkeypatch.setattr(health, "FAILURES_MAX", 10**9)
    monkeypatch.setattr(health, "BUSY_S_MAX", 0.0)
    counting = Counting()
    monkeypatch.setattr(made.gateway.usage, "_observer", counting)
    return counting


@pytest.fixture
def spare() -> Iterator[Recorder]:
    with Recorder().running() as found:
        yield found


def make(made: Installation, *more: Recorder) -> None:
    served = (made.served(), *(made.served(f"spare{number}", recorder=each) for number, each in enumerate(more)))
    spec = EndpointSpec(OUTSIDE, Task.CHAT, served, Policy("block"), routing=Routing(retries=0, limits=LIMITS))
    made.gateway.endpoints.create(made.admin, spec)
    made.grant("anna", OUTSIDE)


async def ask(made: Installation, *, stream: bool) -> str:
    """What comes of a request: the outcome of its route, or the kind of the error."""
    body = json.dumps({"model": OUTSIDE, "stream": stream, "messages": [{"role": "user", "content": "one two three four"}]}).encode()
    try:
        response = await made.gateway.completions.create(made.person("anna"), ChatRequest(body))
        try:
            content = b"".join([piece async for piece in response.body()])
        finally:
            await response.finish()
        assert content.endswith(b"[DONE]\n\n") if stream else json.loads(content)["choices"]
    except InsjoError as error:
        return type(error).__name__
    return response.route.outcome


def sockets() -> int:
    """Open sockets of this process, the recording providers' included."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # Closed in this very moment.
            found += each.readlink().name.startswith("socket:")
    return found


def memory_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def test_each_fault_has_its_error_and_its_row(made: Installation, counted: Counting) -> None:
    make(made)
    asked = 0

    async def work() -> None:
        nonlocal asked
        for (script, whole, events), stream in itertools.product(BAD, (False, True)):
            made.outside.script.extend([script, script])  # A connection that lay idle is tried once more.
            expected = events if stream else whole
            assert await ask(made, stream=stream) == (expected.__name__ if expected else "direct"), (script, stream)
            made.outside.script.clear()
            asked += 1
        await made.gateway.completions._provider.close()

    asyncio.run(work())
    until(lambda: counted.statuses.total() == asked)
    failed = sum(1 for _, whole, events in BAD for each in (whole, events) if each is not None)
    assert (counted.statuses["ok"], counted.statuses["error"]) == (asked - failed, failed)


def test_a_provider_that_is_gone_or_silent(made: Installation, counted: Counting, spare: Recorder) -> None:
    with Recorder().running() as gone:
        make(made, gone, spare)
    made.outside.default = Script(fault=Fault.HANG)
    spec = EndpointSpec.of(made.gateway.endpoints.get(made.admin, OUTSIDE))
    limits = TimeLimits(connect_s=10, first_byte_s=2, idle_s=2, total_s=60)
    made.gateway.endpoints.update(
        made.admin, OUTSIDE, EndpointSpec(spec.name, spec.task, spec.served, spec.policy, routing=Routing(limits=limits))
    )

    async def work() -> None:
        assert [await ask(made, stream=stream) for stream in (False, True)] == ["failed_over"] * 2
        spare.default = Script(fault=Fault.HANG_MID_STREAM, text="one two three four")
        assert await ask(made, stream=True) == ProviderTimedOut.__name__
        await made.gateway.completions._provider.close()

    asyncio.run(work())
    until(lambda: counted.statuses == {"ok": 2, "error": 1})


def test_a_stream_without_end_is_ended_with_its_caller_or_its_time(made: Installation, counted: Counting) -> None:
    make(made)
    spec = EndpointSpec.of(made.gateway.endpoints.get(made.admin, OUTSIDE))
    limits = TimeLimits(connect_s=10, first_byte_s=10, idle_s=10, total_s=1.0)
    made.gateway.endpoints.update(
        made.admin, OUTSIDE, EndpointSpec(spec.name, spec.task, spec.served, spec.policy, routing=Routing(limits=limits))
    )
    made.outside.default = Script(fault=Fault.ENDLESS, event_delay_s=0.001)
    body = json.dumps({"model": OUTSIDE, "stream": True, "messages": [{"role": "user", "content": "one two three"}]}).encode()

    async def work() -> None:
        assert await ask(made, stream=True) == ProviderTimedOut.__name__
        response = await made.gateway.completions.create(made.person("anna"), ChatRequest(body))
        pieces = response.body()
        for _ in range(3):
            await anext(pieces)
        await pieces.aclose()
        await response.finish()
        await asyncio.to_thread(until, lambda: made.outside.cut_by_client == 2)
        await made.gateway.completions._provider.close()

    asyncio.run(work())
    until(lambda: counted.statuses == {"error": 1, "cancelled": 1})


@pytest.mark.timeout(240 + REQUESTS // 20)
def test_a_storm_leaves_nothing_behind(made: Installation, counted: Counting, spare: Recorder) -> None:
    make(made, spare)
    before = sockets()
    outcomes: Counter[str] = Counter()
    memory: list[float] = []

    async def caller(numbers: Iterator[int]) -> None:
        for number in numbers:
            made.outside.script.append(BAD[number % len(BAD)][0])
            outcomes[await ask(made, stream=number % 3 == 0)] += 1
            if number % 2000 == 0:
                made.outside.requests.clear()
                spare.requests.clear()
            if number == REQUESTS // 5:
                memory.append(memory_mb())

    async def work() -> None:
        numbers = iter(range(REQUESTS))
        await asyncio.gather(*(caller(numbers) for _ in range(AT_ONCE)))
        await made.gateway.completions._provider.close()

    asyncio.run(work())
    until(lambda: counted.statuses.total() == REQUESTS)
    assert outcomes.total() == REQUESTS
    assert set(outcomes) <= {"direct", "failed_over", ProviderUnreachable.__name__}, outcomes
    assert outcomes["failed_over"] > REQUESTS // 5, "before the first byte another model answers"
    assert outcomes[ProviderUnreachable.__name__] <= REQUESTS // 8, "only a stream that had begun is lost"
    assert counted.statuses["error"] == outcomes[ProviderUnreachable.__name__]
    until(lambda: sockets() <= before)
    if REQUESTS > 10_000:
        assert memory_mb() - memory[0] < MEMORY_MB
