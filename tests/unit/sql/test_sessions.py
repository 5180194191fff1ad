"""Sessions end when nobody uses them, and forgotten ones make room for new ones of their owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from insjo.sql.errors import SessionNotFound, TooManySessions
from insjo.sql.service.sessions import FORGOTTEN_S_MIN, IDLE_S_MAX, SESSIONS_OF_ONE_MAX, Sessions
from tests.support.desk import Desk


@dataclass
class SetClock:
    """A clock that goes when it is told to."""

    passed_s: float = 0.0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        """The moment."""
        return self.began + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        """Seconds since some moment."""
        return self.passed_s


def test_forgotten_sessions_make_room_for_new_ones_of_the_same_owner(desk: Desk) -> None:
    clock = SetClock()
    sessions = Sessions(clock=clock, warehouses=desk.room.warehouses)
    made = [sessions.create(desk.ctx).id for _ in range(SESSIONS_OF_ONE_MAX)]
    with pytest.raises(TooManySessions):
        sessions.create(desk.ctx)
    clock.passed_s = FORGOTTEN_S_MIN + 1
    sessions.get(desk.ctx, made[0])
    sessions.create(desk.ctx)
    assert sessions.get(desk.ctx, made[0]).id == made[0], "it was used lately"
    with pytest.raises(SessionNotFound):
        sessions.get(desk.ctx, made[1])
    assert sessions.get(desk.ctx, made[2]).id == made[2], "one makes room for one"


def test_a_session_that_nobody_uses_ends(desk: Desk) -> None:
    clock = SetClock()
    sessions = Sessions(clock=clock, warehouses=desk.room.warehouses)
    made = sessions.create(desk.ctx)
    clock.passed_s = IDLE_S_MAX
    assert sessions.get(desk.ctx, made.id).used_at == clock.now()
    clock.passed_s += IDLE_S_MAX + 1
    with pytest.raises(SessionNotFound):
        sessions.get(desk.ctx, made.id)
