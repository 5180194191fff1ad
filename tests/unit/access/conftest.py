"""An access room on a real SQLite file and on a real PostgreSQL, and a clock that can be turned."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from insjo.access.service.facade import Access
from insjo.kernel.context import RequestContext
from insjo.kernel.database import Database, metadata
from insjo.kernel.settings import Settings
from tests.support.access import KEY, Lake, Turnable, ctx_of
from tests.support.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]


@pytest.fixture
def clock() -> Turnable:
    return Turnable()


def _tables() -> list[sa.Table]:
    return [table for table in metadata.sorted_tables if table.name.startswith("access_")]


def _make_schema(url: str) -> None:
    database = Database(url)
    metadata.create_all(database.engine, tables=_tables())
    database.close()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """A database with the schema, emptied after each test that used it."""
    url = postgres_server.url(postgres_server.create_database())
    _make_schema(url)
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, of which each test gets a copy."""
    path = tmp_path_factory.mktemp("template") / "insjo.db"
    _make_schema(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "insjo.db")
        yield f"sqlite:///{tmp_path / 'insjo.db'}"
        return
    url: str = request.getfixturevalue("postgres_url")
    yield url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for table in reversed(_tables()):
            connection.execute(sa.delete(table))
    engine.dispose()


@pytest.fixture
def open_access(url: str, clock: Turnable) -> Iterator[Callable[[], Access]]:
    """Makes rooms over the same database, as several servers or a command beside a server do."""
    opened: list[tuple[Access, Database]] = []

    def make() -> Access:
        database = Database(url)
        hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        access = Access(database=database, clock=clock, settings=Settings(), key=KEY, hasher=hasher)
        opened.append((access, database))
        access.bootstrap()
        return access

    yield make
    for access, database in opened:
        access.close()
        database.close()


@pytest.fixture
def access(open_access: Callable[[], Access]) -> Access:
    return open_access()


@pytest.fixture
def database(access: Access) -> Database:
    return access.authority._changes._database


@pytest.fixture
def admin(access: Access) -> RequestContext:
    found = access.bootstrap()
    assert found
    return ctx_of(found)


@pytest.fixture
def lake(access: Access, admin: RequestContext) -> Lake:
    return Lake(access, admin)
