"""The adapter for OpenAI's wire: the contract, and every way in which a server can misbehave."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from insjo.access.types import PUBLIC, Cleared, Provenance
from insjo.adapters.openai_wire import client
from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.adapters.openai_wire.connection import Exchange
from insjo.gateway.errors import ProviderBusy, ProviderGarbled, ProviderTimedOut, ProviderUnreachable
from insjo.gateway.types import ProviderRequest, TimeLimits, Upstream
from insjo.kernel.context import system_context
from insjo.testing.contracts.chat_provider import CHECKS, Subject
from insjo.testing.recorder import MODEL, Fault, Recorder, Script
from tests.support.gateway import Installation, installation, until

Clear = Callable[[ProviderRequest], Cleared[ProviderRequest]]
SHORT = TimeLimits(connect_s=5.0, first_byte_s=0.3, idle_s=0.3, total_s=20.0)
WHOLE = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hello lake"}]}).encode()
STREAM = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hello lake"}]}).encode()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("access")) as made:
        yield made


@pytest.fixture(scope="module")
def clear(home: Installation) -> Clear:
    clearance = home.access.clearances.get("served_model:anything/at-all")
    return lambda wanted: home.access.flows.clear(system_context(), wanted, Provenance(PUBLIC), clearance, "completion")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder(api_key="sk-right").running() as found:
        yield found


class Wire:
    """The adapter with one recorder behind it."""

    def __init__(self, clear: Clear, recorder: Recorder) -> None:
        self.provider = OpenAIWire()
        self.clear = clear
        self.upstream = Upstream(recorder.base_url, "sk-right")

    async def open(self, body: bytes = WHOLE, limits: TimeLimits = SHORT) -> Exchange:
        wanted = ProviderRequest(self.upstream, "/chat/completions", body, body is STREAM, limits)
        return await self.provider.open(self.clear(wanted))

    async def read(self, body: bytes = WHOLE, limits: TimeLimits = SHORT) -> bytes:
        response = await self.open(body, limits)
        if body is STREAM:
            return b"".join([piece async for piece in response.pieces()])
        return await response.read()


@pytest.fixture
def wire(clear: Clear, recorder: Recorder) -> Wire:
    return Wire(clear, recorder)


def run(wire: Wire, work: Callable[[], Awaitable[None]]) -> None:
    async def inside() -> None:
        try:
            await work()
        finally:
            await wire.provider.close()

    asyncio.run(inside())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Subject], Awaitable[None]], wire: Wire) -> None:
    run(wire, lambda: check(Subject(wire.provider, wire.upstream, MODEL, wire.clear)))


def test_what_is_sent_is_the_request_and_nothing_else(wire: Wire, recorder: Recorder) -> None:
    async def work() -> None:
        await wire.read()

    run(wire, work)
    (sent,) = recorder.requests
    assert sent.body == WHOLE
    names = [line.split(b":")[0] for line in sent.head.split(b"\r\n")[1:] if line]
    assert names == [b"host", b"authorization", b"content-type", b"accept", b"user-agent", b"content-length"]


def test_connections_are_kept(wire: Wire, recorder: Recorder) -> None:
    async def work() -> None:
        for _ in range(20):
            await wire.read()
            await wire.read(STREAM)

    run(wire, work)
    assert recorder.connections == 1


def test_a_server_that_closes_idle_connections_is_asked_again(wire: Wire, recorder: Recorder) -> None:
    recorder.default = Script(close=True)

    async def work() -> None:
        for _ in range(20):
            assert b"Echo" in await wire.read()

    run(wire, work)
    assert len(recorder.requests) == 20


def test_a_connection_that_died_while_idle_is_replaced_once(wire: Wire, recorder: Recorder) -> None:
    async def work() -> None:
        await wire.read()
        recorder.script.append(Script(fault=Fault.RESET))
        assert b"Echo" in await wire.read()
        recorder.script.extend([Script(fault=Fault.RESET), Script(fault=Fault.RESET)])
        with pytest.raises(ProviderUnreachable):
            await wire.read()

    run(wire, work)
    assert len(recorder.requests) == 5


@pytest.mark.parametrize(
    ("fault", "body", "kind"),
    [
        (Fault.RESET, WHOLE, ProviderUnreachable),
        (Fault.RESET_MID_STREAM, WHOLE, ProviderUnreachable),
        (Fault.RESET_MID_STREAM, STREAM, ProviderUnreachable),
        (Fault.HANG, WHOLE, ProviderTimedOut),
        (Fault.HANG_MID_STREAM, STREAM, ProviderTimedOut),
        (Fault.GARBAGE, WHOLE, ProviderGarbled),
        (Fault.LONG_HEAD, WHOLE, ProviderGarbled),
        (Fault.COMPRESSED, WHOLE, ProviderGarbled),
    ],
)
def test_each_failure_has_its_error_and_the_next_request_is_served(
    wire: Wire, recorder: Recorder, fault: Fault, body: bytes, kind: type[Exception]
) -> None:
    recorder.script.append(Script(fault=fault))

    async def work() -> None:
        with pytest.raises(kind):
            await wire.read(body)
        assert b"Echo" in await wire.read()

    run(wire, work)


def test_redirects_are_not_followed(wire: Wire, recorder: Recorder) -> None:
    recorder.default = Script(fault=Fault.REDIRECT)

    async def work() -> None:
        response = await wire.open()
        assert (response.status, await response.read()) == (307, b"")

    run(wire, work)
    assert len(recorder.requests) == 1


def test_an_answer_nobody_asked_for_is_not_taken_for_the_next_one(wire: Wire, recorder: Recorder) -> None:
    recorder.script.append(Script(fault=Fault.EXTRA))

    async def work() -> None:
        assert b"Echo" in await wire.read()
        assert b"Echo" in await wire.read()

    run(wire, work)
    assert recorder.connections == 2


def test_a_stream_in_tiny_pieces_is_whole(wire: Wire, recorder: Recorder) -> None:
    recorder.script.append(Script(text="one two three", fault=Fault.SPLIT))

    async def work() -> None:
        found = await wire.read(STREAM)
        assert found.endswith(b"data: [DONE]\n\n")
        assert found.count(b"data: ") == 6

    run(wire, work)


def test_a_slow_stream_is_not_too_slow_while_it_lives(wire: Wire, recorder: Recorder) -> None:
    recorder.script.append(Script(text="word " * 12, event_delay_s=0.1))

    async def work() -> None:
        assert (await wire.read(STREAM)).endswith(b"[DONE]\n\n")

    run(wire, work)


def test_the_time_for_all_of_it_is_limited(wire: Wire, recorder: Recorder) -> None:
    recorder.script.append(Script(text="word " * 1000, event_delay_s=0.01))

    async def work() -> None:
        with pytest.raises(ProviderTimedOut):
            await wire.read(STREAM, TimeLimits(total_s=0.3))

    run(wire, work)


def test_a_slow_reader_is_no_fault_of_the_provider_and_costs_no_memory(wire: Wire, recorder: Recorder) -> None:
    recorder.script.append(Script(text="x" * 8_000_000))

    async def work() -> None:
        response = await wire.open(STREAM)
        pieces = response.pieces()
        first = await anext(pieces)
        await asyncio.sleep(0.5)
        assert response._buffered < 1_000_000
        rest = b"".join([piece async for piece in pieces])
        assert len(first) + len(rest) > 8_000_000

    run(wire, work)


def test_a_body_over_the_limit_is_not_read(wire: Wire, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insjo.adapters.openai_wire.connection.READ_BYTES_MAX", 100_000)
    recorder.script.append(Script(text="x" * 8_000_000))

    async def work() -> None:
        with pytest.raises(ProviderGarbled):
            await wire.read()
        assert b"Echo" in await wire.read()

    run(wire, work)


def test_a_stream_over_the_limit_is_cut(wire: Wire, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insjo.adapters.openai_wire.connection.STREAM_BYTES_MAX", 100_000)
    recorder.script.append(Script(text="word " * 2000))

    async def work() -> None:
        with pytest.raises(ProviderGarbled):
            await wire.read(STREAM, TimeLimits())

    run(wire, work)


def test_the_provider_is_cut_when_a_stream_is_given_up(wire: Wire, recorder: Recorder) -> None:
    recorder.script.append(Script(text="word " * 1000, event_delay_s=0.01))

    async def work() -> None:
        response = await wire.open(STREAM)
        await anext(response.pieces())
        await response.aclose()
        await asyncio.to_thread(until, lambda: recorder.cut_by_client == 1)

    run(wire, work)


def test_the_provider_is_cut_when_the_caller_is_cancelled(wire: Wire, recorder: Recorder) -> None:
    recorder.script.append(Script(delay_s=0.2, text="word " * 1000, event_delay_s=0.01))

    async def work() -> None:
        waiting = asyncio.create_task(wire.open(STREAM))
        await asyncio.to_thread(until, lambda: len(recorder.requests) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(until, lambda: recorder.cut_by_client == 1)

    run(wire, work)


def test_a_server_that_is_not_there_is_unreachable(clear: Clear) -> None:
    with Recorder().running() as gone:
        wire = Wire(clear, gone)

    async def work() -> None:
        with pytest.raises(ProviderUnreachable):
            await wire.read()

    run(wire, work)


def test_a_name_that_does_not_resolve_is_unreachable(wire: Wire) -> None:
    wire.upstream = Upstream("http://no-such-host.invalid/v1")

    async def work() -> None:
        with pytest.raises((ProviderUnreachable, ProviderTimedOut)):
            await wire.read()

    run(wire, work)


def test_connections_are_limited_and_those_who_wait_are_served(wire: Wire, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECTIONS_MAX", 3)
    recorder.default = Script(delay_s=0.02)

    async def work() -> None:
        answers = await asyncio.gather(*(wire.read() for _ in range(30)))
        assert len(answers) == 30

    run(wire, work)
    assert recorder.connections == 3


def test_those_who_would_wait_too_long_are_told_at_once(wire: Wire, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECTIONS_MAX", 1)
    monkeypatch.setattr(client, "WAITING_MAX", 2)
    recorder.default = Script(delay_s=0.1)

    async def work() -> None:
        answers = await asyncio.gather(*(wire.read() for _ in range(6)), return_exceptions=True)
        kinds = sorted(type(each).__name__ for each in answers)
        assert kinds == ["ProviderBusy"] * 3 + ["bytes"] * 3
        busy = next(each for each in answers if isinstance(each, ProviderBusy))
        assert busy.details["retry_after_s"] == 1

    run(wire, work)


def test_places_come_back_after_every_failure(wire: Wire, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECTIONS_MAX", 1)
    faults = [Fault.RESET, Fault.GARBAGE, Fault.HANG, Fault.LONG_HEAD, Fault.RESET_MID_STREAM, Fault.COMPRESSED, Fault.EXTRA]
    recorder.script.extend(Script(fault=fault) for fault in itertools.chain(faults, faults))

    async def work() -> None:
        for _ in range(14):
            await asyncio.gather(wire.read(), return_exceptions=True)
        recorder.script.clear()
        assert b"Echo" in await wire.read()

    run(wire, work)


def test_a_new_event_loop_begins_with_new_connections(wire: Wire) -> None:
    for _ in range(2):
        asyncio.run(wire.read())


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return key, cert


def test_https_is_checked_against_the_trust_store(clear: Clear, certificate: tuple[Path, Path]) -> None:
    recorder = Recorder()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate[1], certificate[0])

    async def work() -> None:
        server = await asyncio.start_server(recorder._serve, "127.0.0.1", 0, ssl=server_side)
        port = server.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=str(certificate[1]))
        for host, tls, good in (("localhost", trusting, True), ("127.0.0.1", trusting, False), ("localhost", None, False)):
            provider = OpenAIWire(tls=tls)
            wanted = ProviderRequest(Upstream(f"https://{host}:{port}/v1"), "/chat/completions", WHOLE, stream=False, limits=SHORT)
            if good:
                assert b"Echo" in await (await provider.open(clear(wanted))).read()
            else:
                with pytest.raises(ProviderUnreachable, match="certificate"):
                    await provider.open(clear(wanted))
            await provider.close()
        server.close()

    asyncio.run(work())
