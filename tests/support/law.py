"""Everything through which content moves, together: access, catalog, SQL on real workers, the gateway and its door, two recorders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from insjo.adapters.delta.copies import DeltaCopies
from insjo.adapters.delta.storage import DeltaStorage
from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.adapters.files.storage import LocalFiles
from insjo.bootstrap.asking import GatewayModels
from insjo.catalog.service.room import CatalogRoom
from insjo.kernel.clock import SystemClock
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InsjoError
from insjo.kernel.settings import Settings
from insjo.sql.service.room import SqlRoom
from insjo.sql.types import Result, StatementSpec
from tests.support.gateway import Installation, installation, served

TIMEOUT_S = 60.0


@dataclass
class LawLake:
    """The rooms; `made` holds access, the gateway and the recorders."""

    made: Installation
    catalog: CatalogRoom
    sql: SqlRoom

    def run(self, ctx: RequestContext, text: str) -> Result:
        """Run one statement as somebody."""
        return self.sql.statements.run(ctx, StatementSpec(text), timeout_s=TIMEOUT_S)

    def must(self, *texts: str) -> None:
        """Run statements as the admin."""
        for text in texts:
            self.run(self.made.admin, text)

    def told(self, ctx: RequestContext, text: str) -> tuple[str, object]:
        """What somebody gets: the error in full, or columns and rows."""
        try:
            result = self.run(ctx, text)
        except InsjoError as error:
            return error.code, str(error)
        columns = [(column.name, column.type_text) for column in result.statement.columns]
        return "rows", (columns, [list(row.values()) for row in result.table.to_pylist()])

    def recognised(self) -> None:
        """Return when the fingerprints of all tables are up to date."""
        assert self.sql.fingerprinting.wait_idle(TIMEOUT_S)


@contextlib.contextmanager
def law_lake(folder: Path) -> Iterator[LawLake]:
    """A served installation with a lake under it."""
    with installation(folder) as bare, served(bare) as made:
        for name in ("tables", "volumes"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        clock = SystemClock()
        catalog = CatalogRoom(
            database=made.database,
            clock=clock,
            access=made.access,
            storage=DeltaStorage(),
            copies=DeltaCopies(),
            files=LocalFiles(),
            root=folder,
        )
        engine = DuckDbEngine(root=folder, spill=folder / "spill", workers=1, memory_mb=512, threads=1).start()
        sql = SqlRoom(
            database=made.database,
            clock=clock,
            settings=Settings(),
            access=made.access,
            catalog=catalog,
            engine=engine,
            results=folder / "results",
            models=GatewayModels(made.gateway.batches, ""),
        )
        try:
            catalog.start()
            sql.start()
            yield LawLake(made, catalog, sql)
        finally:
            sql.close()
            engine.close()
