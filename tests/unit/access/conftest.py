"""An access room on a real SQLite file, and a clock that can be turned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from insjo.access.service.facade import Access
from insjo.access.types import Principal
from insjo.kernel.context import RequestContext
from insjo.kernel.database import Database, metadata
from insjo.kernel.settings import Settings

KEY = b"a key for tests, thirty-two bytes"


@dataclass
class Turnable:
    """A clock that stands until it is turned."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Turnable:
    return Turnable()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'insjo.db'}")
    metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def access(database: Database, clock: Turnable) -> Iterator[Access]:
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    access = Access(database=database, clock=clock, settings=Settings(), key=KEY, hasher=hasher)
    access.bootstrap()
    yield access
    access.close()


def ctx_of(principal: Principal) -> RequestContext:
    """Context of somebody who comes in by the REST door."""
    return RequestContext(principal=principal.ref(), door="rest")


@pytest.fixture
def admin(access: Access) -> RequestContext:
    found = access.bootstrap()
    assert found
    return ctx_of(found)
