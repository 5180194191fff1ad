"""A SQL room on a real lake with real workers, for tests of several suites."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.adapters.objects.engine import FetchingConversions, FetchingEngine
from insjo.adapters.tabular.converter import FileConversions
from insjo.kernel.clock import SystemClock
from insjo.kernel.errors import InsjoError
from insjo.kernel.settings import Settings
from insjo.sql.service.room import SqlRoom
from insjo.sql.types import Parameter, Result, Session, StatementSpec
from tests.support.lake import Lake, open_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from insjo.kernel.context import RequestContext
    from insjo.sql.ports import Engine
    from tests.support.stores import Opened

TIMEOUT_S = 120.0


@dataclass
class Desk:
    """Runs statements as somebody; the current catalog and schema are `main.desk`."""

    lake: Lake
    room: SqlRoom
    engine: DuckDbEngine
    ctx: RequestContext
    session: Session | None = None

    def as_(self, name: str) -> Desk:
        """The same desk with another person at it."""
        return replace(self, ctx=self.lake.person(name), session=None)

    def in_session(self) -> Desk:
        """The same desk with a session of its own."""
        return replace(self, session=self.room.sessions.create(self.ctx, catalog="main", schema="desk"))

    def run(self, text: str, *, parameters: Mapping[str, Any] | None = None, **options: Any) -> Result:  # noqa: ANN401  # Fields of a StatementSpec.
        """One statement; what goes wrong is raised."""
        given = tuple(Parameter(name, value) for name, value in (parameters or {}).items())
        names = {} if self.session else {"catalog": "main", "schema": "desk"}
        spec = StatementSpec(text, parameters=given, session_id=self.session.id if self.session else None, **{**names, **options})
        return self.room.statements.run(self.ctx, spec, TIMEOUT_S)

    def rows(self, text: str, **options: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401  # Fields of a StatementSpec.
        """Rows of a query as tuples."""
        table = self.run(text, **options).table
        columns = [column.to_pylist() for column in table.columns]
        return list(zip(*columns, strict=True))

    def value(self, text: str, **options: Any) -> Any:  # noqa: ANN401  # Fields of a StatementSpec.
        """The only value of a query."""
        ((only,),) = self.rows(text, **options)
        return only

    def error(self, text: str, **options: Any) -> InsjoError:  # noqa: ANN401  # Fields of a StatementSpec.
        """What goes wrong with a statement that must fail."""
        try:
            self.run(text, **options)
        except InsjoError as error:
            return error
        message = f"this statement should have failed: {text}"
        raise AssertionError(message)

    def label(self, text: str) -> str:
        """Label of a result in words."""
        return self.run(text).statement.provenance.label.text()

    def put(self, path: str, content: str | bytes) -> str:
        """A file in the volume `main.desk.files`; gives its path."""
        whole = f"/Volumes/main/desk/files/{path}"
        self.lake.room.files.write(self.ctx, whole, [content.encode() if isinstance(content, str) else content], overwrite=True)
        return whole


@contextmanager
def open_desk(
    root: Path,
    engine: DuckDbEngine,
    settings: Settings | None = None,
    server: Opened | None = None,
    spark: Callable[[str], Engine] | None = None,
) -> Iterator[Desk]:
    """A desk in a folder below the engine's lake, with the schema `main.desk` and the volume `main.desk.files`."""
    conversions = FileConversions(root / "staging")
    conversions.start()
    mirror = server.mirror if server else None
    with open_lake(root, server=server) as lake:
        room = SqlRoom(
            database=lake.database,
            clock=SystemClock(),
            settings=settings or Settings(),
            access=lake.access,
            catalog=lake.room,
            engine=FetchingEngine(engine, mirror, root) if mirror else engine,
            results=root / "results",
            conversions=FetchingConversions(conversions, mirror) if mirror else conversions,
            spark=spark,
        )
        room.start()
        try:
            desk = Desk(lake, room, engine, lake.admin)
            for text in ("CREATE CATALOG IF NOT EXISTS main", "CREATE SCHEMA IF NOT EXISTS desk", "CREATE VOLUME IF NOT EXISTS files"):
                desk.run(text)
            yield desk
        finally:
            room.close()


@contextmanager
def open_engine(root: Path, *, workers: int = 1) -> Iterator[DuckDbEngine]:
    """Workers over a folder."""
    engine = DuckDbEngine(root=root, spill=root / "spill", workers=workers, memory_mb=512, threads=1, spill_mb=2048)
    engine.start()
    try:
        engine.wait_ready()
        yield engine
    finally:
        engine.close()
