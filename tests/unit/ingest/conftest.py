"""A desk with the room of ingest and a working queue beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.adapters.remote.databases import MySqlTables, PostgresTables
from insjo.adapters.remote.object_store import ObjectStores
from insjo.adapters.remote.web import WebFiles
from insjo.ingest.service.room import IngestRoom
from insjo.ingest.types import LoadSpec, Mode, Source
from insjo.jobs.service import Jobs
from insjo.jobs.types import Run
from insjo.kernel.clock import SystemClock
from tests.support.desk import Desk, open_desk, open_engine

WITHIN_S = 60.0
SECRETS: dict[str, bytes] = {}
"""Values by `scope/key`, for the tests of one module."""


@dataclass
class Dock:
    """Where sources come in."""

    desk: Desk
    jobs: Jobs
    room: IngestRoom

    def load(self, path: str, target: str = "main.desk.t", mode: Mode = Mode.CREATE, **more: object) -> Run:
        """A load that has ended; `options`, `types` and `format` belong to the source."""
        source = Source(path, *(more.pop(name, default) for name, default in (("format", ""), ("options", {}), ("types", {}))))  # type: ignore[arg-type]  # Each in its place.
        run = self.room.loads.load(self.desk.ctx, LoadSpec(source, target, mode, **more))  # type: ignore[arg-type]  # As above.
        return self.room.loads.wait(self.desk.ctx, run.id, WITHIN_S)


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DuckDbEngine, Path]]:
    root = tmp_path_factory.mktemp("lake")
    with open_engine(root) as engine:
        yield engine, root


@pytest.fixture
def dock(shared_engine: tuple[DuckDbEngine, Path], request: pytest.FixtureRequest) -> Iterator[Dock]:
    engine, root = shared_engine
    with open_desk(root / f"{abs(hash(request.node.nodeid)):x}", engine) as desk:
        jobs = Jobs(database=desk.lake.database, clock=SystemClock(), access=desk.lake.access)
        room = IngestRoom(
            database=desk.lake.database,
            clock=SystemClock(),
            access=desk.lake.access,
            catalog=desk.lake.room,
            sql=desk.room,
            jobs=jobs,
            sources={"http": WebFiles(), "https": WebFiles(), "postgresql": PostgresTables(), "mysql": MySqlTables(), "s3": ObjectStores()},
            read_secret=lambda _, scope, key: SECRETS[f"{scope}/{key}"],
        )
        jobs.start()
        try:
            yield Dock(desk, jobs, room)
        finally:
            jobs.close()
