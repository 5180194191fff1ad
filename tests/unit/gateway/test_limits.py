"""Limits and budgets are exact, whoever asks at once and through however many servers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from insjo.access.errors import FlowBlocked, PrincipalNotFound
from insjo.access.types import Label, Level, Provenance
from insjo.adapters.anthropic_wire.client import AnthropicWire
from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.gateway.errors import LimitInvalid, LimitNotFound, LimitReached, ProviderRefused
from insjo.gateway.service.limits import SLICES, Limits, window
from insjo.gateway.service.room import GatewayRoom
from insjo.gateway.types import ChatRequest, Limit, LimitSpec, Part
from insjo.kernel.clock import SystemClock
from insjo.kernel.errors import InsjoError, PermissionDenied
from insjo.kernel.paging import PageRequest
from insjo.testing.recorder import Fault, Script
from tests.support.gateway import OUTSIDE, Installation, until

pytestmark = pytest.mark.slow

LONG = "day"
"""A period that does not end during a test, but for one at midnight."""


def body(said: str = "one two three", **more: object) -> bytes:
    return json.dumps({"model": OUTSIDE, "messages": [{"role": "user", "content": said}], **more}).encode()


async def ask(room: GatewayRoom, made: Installation, name: str = "anna", asked: bytes = b"", label: Label | None = None) -> str:
    """`ok`, or the code of the error."""
    parts = (Part("one two three", Provenance(label)),) if label else None
    try:
        response = await room.completions.create(made.person(name), ChatRequest(asked or body(), parts=parts))
        async for _ in response.body():
            pass
        await response.finish()
    except InsjoError as error:
        return error.code
    return "ok"


async def many(rooms: list[GatewayRoom], made: Installation, count: int, name: str = "anna", asked: bytes = b"") -> list[str]:
    answers = await asyncio.gather(*(ask(rooms[number % len(rooms)], made, name, asked) for number in range(count)))
    for room in rooms:
        await room.completions._provider.close()
    return list(answers)


def taken(made: Installation) -> float:
    return sum(each.taken for each in made.gateway.limits.uses(made.admin))


@pytest.fixture
def open_door(made: Installation) -> Installation:
    made.make_outside()
    for name in ("anna", "bo"):
        made.grant(name, OUTSIDE)
    return made


def limit(made: Installation, **values: object) -> Limit:
    spec = LimitSpec(**{"subject": "everybody", "measure": "requests", "period": LONG, "amount": 3, **values})  # type: ignore[arg-type]  # Of the test.
    return made.gateway.limits.create(made.admin, spec)


def second_server(made: Installation, folder: Path) -> GatewayRoom:
    return GatewayRoom(
        database=made.database,
        clock=SystemClock(),
        access=made.access,
        threads=made.threads,
        chat_provider=(wire := OpenAIWire()),
        anthropic_provider=AnthropicWire(wire),
        embedding_provider=made.embedding,
        runtime=made.runtime,
        keys_dir=made.folder / "keys",
        journal_dir=folder / "second",
    )


@pytest.mark.parametrize("amount", [7, 3 * SLICES])
def test_two_servers_let_exactly_so_many_requests_through(open_door: Installation, tmp_path: Path, amount: int) -> None:
    limit(open_door, amount=amount)
    other = second_server(open_door, tmp_path)
    answers = asyncio.run(many([open_door.gateway, other], open_door, amount + 25))
    other.usage.close()
    assert sorted(set(answers)) == ["LIMIT_REACHED", "ok"]
    ahead = 2 * (amount // SLICES)
    assert amount - ahead <= answers.count("ok") <= amount
    assert len(open_door.outside.requests) == answers.count("ok")


def test_what_a_server_took_ahead_comes_back_when_it_ends(open_door: Installation) -> None:
    limit(open_door, amount=10 * SLICES)
    assert asyncio.run(many([open_door.gateway], open_door, 3)) == ["ok"] * 3
    open_door.gateway.limits.close()
    fresh = Limits(database=open_door.database, clock=SystemClock(), access=open_door.access, threads=open_door.threads)
    assert sum(each.taken for each in fresh.uses(open_door.admin)) == 3


def test_each_caller_has_an_amount_of_their_own(open_door: Installation) -> None:
    limit(open_door, subject="each", amount=2)
    assert asyncio.run(many([open_door.gateway], open_door, 5)).count("ok") == 2
    assert asyncio.run(many([open_door.gateway], open_door, 5, "bo")).count("ok") == 2


def test_a_group_shares_one_amount(open_door: Installation) -> None:
    people = [open_door.person(name).principal.id for name in ("anna", "bo")]
    open_door.access.principals.create_group_of(open_door.admin, "analysts", people)
    limit(open_door, subject="principal", principal="analysts", amount=3)
    assert asyncio.run(many([open_door.gateway], open_door, 2)).count("ok") == 2
    assert asyncio.run(many([open_door.gateway], open_door, 3, "bo")).count("ok") == 1


def test_a_limit_of_another_endpoint_or_person_does_not_hold(open_door: Installation) -> None:
    limit(open_door, endpoint="insjo-chat", amount=1)
    limit(open_door, subject="principal", principal="bo", amount=1)
    assert asyncio.run(many([open_door.gateway], open_door, 3)) == ["ok"] * 3


def test_a_limit_of_labelled_content_leaves_other_content_alone(open_door: Installation) -> None:
    limit(open_door, level="internal", amount=1)

    async def work() -> list[str]:
        labels = (Level.PUBLIC, Level.INTERNAL, Level.PUBLIC, Level.INTERNAL)
        return [await ask(open_door.gateway, open_door, label=Label(level)) for level in labels]

    assert asyncio.run(work()) == ["ok", "ok", "ok", "LIMIT_REACHED"]


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_settled_with_what_was_used(open_door: Installation, *, stream: bool) -> None:
    limit(open_door, measure="tokens", amount=1000)
    asked = body(stream=stream)
    assert asyncio.run(many([open_door.gateway], open_door, 2, asked=asked)) in (
        ["ok", "ok"],
        ["ok", "LIMIT_REACHED"],
        ["LIMIT_REACHED", "ok"],
    )
    open_door.gateway.usage.flush()
    used = sum(each.input_tokens + each.output_tokens for each in open_door.gateway.usage.list(open_door.admin).items)
    until(lambda: taken(open_door) == used)
    assert 0 < used < 200, "the recorder answers in a few words"


def test_the_length_that_a_request_names_is_what_it_reserves(open_door: Installation) -> None:
    limit(open_door, measure="tokens", amount=1000)
    open_door.outside.default = Script(text="word " * 380)
    answers = asyncio.run(many([open_door.gateway], open_door, 4, asked=body(max_tokens=400)))
    assert sorted(answers) == ["LIMIT_REACHED", "LIMIT_REACHED", "ok", "ok"], "two times 400 fit, three times do not"


def test_a_budget_of_money_is_kept_and_free_models_do_not_touch_it(open_door: Installation) -> None:
    open_door.grant("anna", "insjo-chat")
    limit(open_door, measure="cost", amount=0.000_5, period="month")
    answers = asyncio.run(many([open_door.gateway], open_door, 30, asked=body("word " * 20, max_tokens=20)))
    assert 0 < answers.count("ok") < 30
    free = json.dumps({"model": "insjo-chat", "messages": [{"role": "user", "content": "hello"}]}).encode()
    assert asyncio.run(many([open_door.gateway], open_door, 3, asked=free)) == ["ok"] * 3
    open_door.gateway.usage.flush()
    spent = sum(each.cost or 0 for each in open_door.gateway.usage.list(open_door.admin).items)
    assert 0 < spent <= 0.000_5


def test_what_was_not_sent_counts_nothing(open_door: Installation) -> None:
    limit(open_door, amount=2)
    open_door.outside.default = Script(fault=Fault.STATUS, status=500)
    assert asyncio.run(many([open_door.gateway], open_door, 2)) == [ProviderRefused.code] * 2
    secret = Label(Level.SECRET)
    assert asyncio.run(ask(open_door.gateway, open_door, label=secret)) == FlowBlocked.code
    until(lambda: taken(open_door) == 0)
    open_door.outside.default = Script()
    assert asyncio.run(many([open_door.gateway], open_door, 3)).count("ok") == 2


def test_a_limit_that_only_warns_lets_everything_through_and_says_so(open_door: Installation) -> None:
    limit(open_door, amount=1, action="warn")

    async def work() -> list[tuple[str, ...]]:
        found = []
        for _ in range(3):
            response = await open_door.gateway.completions.create(open_door.person("anna"), ChatRequest(body()))
            found.append(response.warnings)
            await response.finish()
        return found

    first, *rest = asyncio.run(work())
    assert first == ()
    assert rest == [("The limit of 1 requests a day for all callers together is used up.",)] * 2
    assert taken(open_door) == 3


def test_embeddings_count_too(open_door: Installation) -> None:
    limit(open_door, endpoint="insjo-embed", amount=1)
    open_door.grant("anna", "insjo-embed")
    embed = open_door.gateway.embeddings.embed_sync
    embed(open_door.person("anna"), "insjo-embed", ["a text"], "query")
    with pytest.raises(LimitReached, match="is used up") as refused:
        embed(open_door.person("anna"), "insjo-embed", ["a text"], "query")
    assert 0 < int(str(refused.value.details["retry_after_s"])) <= 86_401


def test_a_removed_limit_holds_no_longer(open_door: Installation) -> None:
    made = limit(open_door, amount=1)
    assert asyncio.run(many([open_door.gateway], open_door, 2)).count("ok") == 1
    open_door.gateway.limits.delete(open_door.admin, made.id)
    assert asyncio.run(many([open_door.gateway], open_door, 2)).count("ok") == 2
    with pytest.raises(LimitNotFound):
        open_door.gateway.limits.delete(open_door.admin, made.id)


def test_only_admins_set_limits_and_others_see_only_what_holds_for_them(open_door: Installation) -> None:
    spec = LimitSpec("everybody", "requests", "day", 5)
    with pytest.raises(PermissionDenied):
        open_door.gateway.limits.create(open_door.person("anna"), spec)
    made = limit(open_door, subject="principal", principal="bo")
    with pytest.raises(PermissionDenied):
        open_door.gateway.limits.delete(open_door.person("anna"), made.id)
    assert open_door.gateway.limits.uses(open_door.person("anna")) == []
    assert [each.limit.id for each in open_door.gateway.limits.uses(open_door.person("bo"))] == [made.id]


def test_a_limit_does_not_tell_of_an_endpoint_that_one_may_not_know_of(open_door: Installation) -> None:
    made = limit(open_door, endpoint=OUTSIDE)
    assert open_door.gateway.limits.uses(open_door.person("stranger")) == []
    assert [each.limit.id for each in open_door.gateway.limits.uses(open_door.person("anna"))] == [made.id]


@pytest.mark.parametrize(
    "values", [{"amount": 0}, {"amount": 1.5}, {"amount": float("nan")}, {"amount": 1e30}, {"principal": "anna"}, {"level": "huge"}]
)
def test_limits_that_make_no_sense_are_refused(open_door: Installation, values: dict[str, object]) -> None:
    with pytest.raises(LimitInvalid):
        limit(open_door, **values)


def test_a_limit_for_nobody_is_refused(open_door: Installation) -> None:
    with pytest.raises(PrincipalNotFound):
        limit(open_door, subject="principal", principal="nobody")


def test_windows_begin_anew() -> None:
    now = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC)
    assert window("minute", now) == (now.replace(second=0), datetime(2027, 1, 1, tzinfo=UTC))
    assert window("hour", now)[0] == now.replace(minute=0, second=0)
    assert window("day", now)[0] == datetime(2026, 12, 31, tzinfo=UTC)
    assert window("month", now) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_a_limit_begins_anew_with_its_window(open_door: Installation) -> None:
    @dataclasses.dataclass
    class Later(SystemClock):
        moment: datetime

        def now(self) -> datetime:
            return self.moment

    clock = Later(datetime(2026, 11, 1, 12, 0, tzinfo=UTC))
    open_door.gateway.limits._clock = clock
    limit(open_door, period="minute", amount=1)
    assert asyncio.run(many([open_door.gateway], open_door, 2)).count("ok") == 1
    clock.moment = clock.moment.replace(minute=1)
    assert asyncio.run(many([open_door.gateway], open_door, 2)).count("ok") == 1


def test_sixty_four_callers_stay_within_a_budget_of_tokens_through_two_servers(open_door: Installation, tmp_path: Path) -> None:
    budget, words = 4_000, 60
    limit(open_door, measure="tokens", amount=budget)
    open_door.outside.default = Script(text="word " * words)
    other = second_server(open_door, tmp_path)
    answers = asyncio.run(many([open_door.gateway, other], open_door, 64 * 3, asked=body(max_tokens=words)))
    for room in (open_door.gateway, other):
        room.usage.flush()
    other.usage.close()
    used = sum(each.input_tokens + each.output_tokens for each in open_door.gateway.usage.list(open_door.admin, PageRequest(1000)).items)
    assert answers.count("LIMIT_REACHED") > 0
    assert budget * 0.8 < used <= budget
