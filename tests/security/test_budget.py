"""Sixty-four callers and a budget of tokens: what is spent is at most the budget and one request for each caller.

`make stress` lets them call for three minutes; the tests of every day for some seconds.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from insjo.access.types import Privilege, SecurableKind
from insjo.gateway.types import LimitSpec
from insjo.testing.recorder import Script
from tests.support.gateway import until
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.whole import Whole, whole

assert postgres_server is not None, "a fixture of this module"

CALLERS = 64
SECONDS = float(os.environ.get("INSJO_TEST_BUDGET_S", "5"))
WORDS_IN, WORDS_OUT = 3, 50
ONE = WORDS_IN + WORDS_OUT
BUDGET = int(2000 * SECONDS)
JOINED_WITHIN_S = 120.0


@contextmanager
def servers(folder: Path, count: int, database_url: str) -> Iterator[list[Whole]]:
    """Servers over one database; their keys are those of one installation."""
    with ExitStack() as stack:
        found = [stack.enter_context(whole(folder / "0", "paid", database_url=database_url))]
        first = found[0]
        first.outside["paid"].default = Script(text=" ".join(["word"] * WORDS_OUT))
        first.endpoint("away", first.served("paid"))
        for number in range(CALLERS):
            first.allow(f"caller{number}", SecurableKind.ENDPOINT, "away", Privilege.EXECUTE)
        for number in range(1, count):
            shutil.copytree(folder / "0" / "keys", folder / str(number) / "keys")
            other = stack.enter_context(whole(folder / str(number), database_url=database_url))
            other.people, other.tokens = first.people, first.tokens
            found.append(other)
        yield found


def spend(here: list[Whole]) -> Counter[int]:
    """Let all call for as long as they may; gives how often each status came."""
    statuses: Counter[int] = Counter()
    lock, ends = threading.Lock(), time.monotonic() + SECONDS

    def call(number: int) -> None:
        draw, own = random.Random(number), Counter[int]()
        while time.monotonic() < ends:
            server = here[draw.randrange(len(here))]
            body = {"model": "away", "messages": [{"role": "user", "content": "one two three"}], "stream": draw.random() < 0.3}
            told = server.call(f"caller{number}", "POST", "/v1/chat/completions", body)
            own[told.status] += 1
            if told.status != 200:
                time.sleep(0.05)
        with lock:
            statuses.update(own)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    for each in callers:
        each.start()
    for each in callers:
        each.join(SECONDS + JOINED_WITHIN_S)
        assert not each.is_alive()
    return statuses


def _small(server: Whole) -> int:
    """Status of a call that needs little."""
    body = {"model": "away", "messages": [{"role": "user", "content": "one two three"}], "max_tokens": WORDS_OUT}
    return server.call("caller0", "POST", "/v1/chat/completions", body).status


@pytest.mark.parametrize("count", [1, 2])
def test_a_budget_is_kept(tmp_path: Path, postgres_server: PostgresServer, count: int) -> None:  # The fixture.
    name = postgres_server.create_database()
    url = postgres_server.url(name) if count > 1 else ""
    try:
        with servers(tmp_path, count, url) as here:
            limits = here[0].services.gateway.limits
            limits.create(here[0].admin, LimitSpec(subject="everybody", measure="tokens", period="day", amount=BUDGET))
            statuses = spend(here)
            sent = len(here[0].outside["paid"].requests)
            for each in here:
                each.services.gateway.usage.flush()
            told = sum(record.input_tokens + record.output_tokens for record in here[0].services.gateway.usage.list(here[0].admin).items)
            sys.stdout.write(f"\n{count} servers, {CALLERS} callers, {SECONDS:g} s: {dict(statuses)}; {sent * ONE} of {BUDGET} tokens\n")
            assert set(statuses) <= {200, 429}
            assert statuses[200] == sent
            assert sent * ONE <= BUDGET + CALLERS * ONE
            assert told <= BUDGET + CALLERS * ONE
            if sent * ONE + 10 * ONE < BUDGET:
                until(lambda: _small(here[-1]) == 200, within_s=60)  # What was set aside and not used came back.
    finally:
        postgres_server.drop_database(name)
