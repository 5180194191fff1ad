"""A workspace on real files, on SQLite and on a real PostgreSQL; Anna and Bo are users without grants."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from insjo.access.service.facade import Access
from insjo.adapters.files.storage import LocalFiles
from insjo.bootstrap.schema import whole_schema
from insjo.jobs.service import Jobs
from insjo.kernel.context import RequestContext
from insjo.kernel.database import Database
from insjo.kernel.settings import Settings
from insjo.workspace.service.room import WorkspaceRoom
from tests.support.access import KEY, Turnable, ctx_of
from tests.support.postgres import PostgresServer, postgres_server

if TYPE_CHECKING:
    from insjo.sql.service.statements import Statements

__all__ = ["postgres_server"]


class Desk:
    """The room and the people at it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.database = Database(url)
        self.clock = Turnable()
        self.access = Access(database=self.database, clock=self.clock, settings=Settings(data_dir=str(folder)), key=KEY)
        admin = self.access.bootstrap()
        assert admin is not None
        self.admin = ctx_of(admin)
        self.room = self.open()
        self.anna, self.bo = self.person("anna"), self.person("bo")

    def open(self) -> WorkspaceRoom:
        """The room as a started server has it."""
        room = WorkspaceRoom(
            database=self.database,
            clock=self.clock,
            access=self.access,
            contents=LocalFiles(),
            folder=self.folder / "workspace",
            keys=self.folder / "keys",
            jobs=Jobs(database=self.database, clock=self.clock, access=self.access),
            statements=cast("Statements", None),  # No query runs here.
        )
        room.start()
        return room

    def person(self, name: str) -> RequestContext:
        """A user without rights."""
        return ctx_of(self.access.principals.create_user(self.admin, name))

    def contents(self) -> set[str]:
        """Names of the stored contents."""
        return {each.name for each in (self.folder / "workspace").glob("*") if each.is_file()}


def _with_schema(url: str) -> None:
    database = Database(url)
    whole_schema().create_all(database.engine)
    database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, of which each test gets a copy."""
    path = tmp_path_factory.mktemp("template") / "insjo.db"
    _with_schema(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """Name of a database with the schema, of which each test gets a copy."""
    name = postgres_server.create_database()
    _with_schema(postgres_server.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "insjo.db")
        made = Desk(tmp_path, f"sqlite:///{tmp_path / 'insjo.db'}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made = Desk(tmp_path, server.url(server.create_database(request.getfixturevalue("postgres_template"))))
    yield made
    made.access.close()
    made.database.close()
