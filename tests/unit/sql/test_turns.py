"""The line in front of the statements: bounded, fair between people, and left at once by what is cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from insjo.kernel.settings import Settings
from insjo.sql.errors import WarehouseBusy
from insjo.sql.service.turns import Turns
from insjo.sql.types import StatementSpec, StatementState
from tests.support.desk import Desk

WITHIN_S = 30.0
ENDLESS = "SELECT count(*) FROM range(1000000000) AS a(x), range(100000) AS b(y) WHERE a.x + b.y = 7"


class Stage:
    """Statements that run until they are let go, and the order in which they began."""

    def __init__(self, **limits: int) -> None:
        self.turns = Turns(**{"threads": 4, "waiting_max": 100, "user_max": 2, "warehouse_max": 100} | limits)
        self.began: list[str] = []
        self.gates: dict[str, threading.Event] = {}

    def take(self, name: str, user: str, warehouse: str = "w") -> None:
        gate = self.gates[name] = threading.Event()

        def run() -> None:
            self.began.append(name)
            gate.wait(WITHIN_S)

        self.turns.take(name, user, warehouse, run)

    def let_go(self, name: str) -> None:
        self.gates[name].set()

    def close(self) -> None:
        for gate in self.gates.values():
            gate.set()
        self.turns.close()


def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_persons_statements_keep_nobody_else_waiting() -> None:
    stage = Stage()
    for number in range(20):
        stage.take(f"a{number}", "anna")
    stage.take("b0", "bo")
    until(lambda: len(stage.began) == 3)
    assert set(stage.began) == {"a0", "a1", "b0"}
    assert [stage.turns.position(f"a{number}") for number in (0, 2, 3)] == [0, 1, 2]
    stage.let_go("a0")
    until(lambda: len(stage.began) == 4)
    assert stage.began[3] == "a2"
    assert stage.turns.position("a3") == 1
    stage.close()


def test_whoever_has_least_running_is_next() -> None:
    stage = Stage(threads=2)
    for name, user in (("a0", "anna"), ("a1", "anna")):
        stage.take(name, user)
    until(lambda: len(stage.began) == 2)
    for name, user in (("a2", "anna"), ("b0", "bo"), ("b1", "bo")):
        stage.take(name, user)
    stage.let_go("a0")
    until(lambda: len(stage.began) == 3)
    assert stage.began[2] == "b0"
    stage.let_go("a1")
    until(lambda: len(stage.began) == 4)
    assert stage.began[3] == "a2"
    stage.close()


def test_a_warehouse_runs_no_more_than_it_may() -> None:
    stage = Stage(warehouse_max=1)
    stage.take("a", "anna", "small")
    stage.take("b", "bo", "small")
    stage.take("c", "cia", "large")
    until(lambda: len(stage.began) == 2)
    assert set(stage.began) == {"a", "c"}
    stage.let_go("a")
    until(lambda: "b" in stage.began)
    stage.close()


def test_the_line_is_bounded_and_can_be_left() -> None:
    stage = Stage(threads=1, waiting_max=2)
    for name in ("a", "b", "c"):
        stage.take(name, name)
    with pytest.raises(WarehouseBusy):
        stage.take("d", "d")
    assert stage.turns.leave("b") is not None
    assert stage.turns.leave("b") is None
    assert stage.turns.position("c") == 1
    stage.take("e", "e")
    stage.close()


def test_a_statement_that_fails_inside_gives_its_turn_back() -> None:
    turns = Turns(threads=1, waiting_max=10, user_max=1, warehouse_max=1)
    done = threading.Event()

    def broken() -> None:
        raise ValueError

    turns.take("a", "anna", "w", broken)
    turns.take("b", "anna", "w", done.set)
    assert done.wait(WITHIN_S)
    turns.close()


def test_a_waiting_statement_shows_its_place_and_is_cancelled_at_once(desk: Desk) -> None:
    statements = desk.room.statements
    limit = Settings().sql_user_statements_max
    ids = [statements.submit(desk.ctx, StatementSpec(ENDLESS)).id for _ in range(limit + 3)]
    until(lambda: sum(statements.get(desk.ctx, each).queue_position == 0 for each in ids) >= 1)
    last = statements.get(desk.ctx, ids[-1])
    assert (last.state, last.queue_position) == (StatementState.PENDING, 3)
    assert statements.cancel(desk.ctx, ids[-2]).state is StatementState.CANCELED
    assert statements.get(desk.ctx, ids[-1]).queue_position == 2
    other = desk.as_("somebody")
    waiting = other.room.statements.submit(other.ctx, StatementSpec("SELECT 7 AS n"))
    for each in ids:
        statements.cancel(desk.ctx, each)
    assert other.room.statements.wait(other.ctx, waiting.id, WITHIN_S).state is StatementState.SUCCEEDED
