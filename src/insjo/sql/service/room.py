"""The SQL room as one object, made by bootstrap."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from insjo.catalog.types import Column, TableName
from insjo.kernel.context import system_context
from insjo.sql.asking.tasks import model_functions
from insjo.sql.binding.binder import Binder
from insjo.sql.binding.functions import Functions
from insjo.sql.binding.governance import GovernanceRows, lineage_rows, lineage_shape
from insjo.sql.binding.privileges import PrivilegeRows
from insjo.sql.binding.virtual import VirtualTables
from insjo.sql.commands.execution import Tools
from insjo.sql.dialect.names import all_functions
from insjo.sql.service.completions import completions
from insjo.sql.service.engines import Engines
from insjo.sql.service.fingerprinting import Fingerprinting
from insjo.sql.service.functions import FunctionStore
from insjo.sql.service.history import HISTORY_COLUMNS, History
from insjo.sql.service.ledger import Ledger
from insjo.sql.service.results import ResultStore
from insjo.sql.service.running import Runner
from insjo.sql.service.sessions import Sessions
from insjo.sql.service.statements import Statements
from insjo.sql.service.turns import Turns
from insjo.sql.service.warehouses import Warehouses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from insjo.access.service.facade import Access
    from insjo.catalog.service.room import CatalogRoom
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.settings import Settings
    from insjo.sql.ports import Conversions, Engine, Models
    from insjo.sql.types import Completions

_THREADS_MIN = 8
HISTORY_TABLE = "system.query.history"


class SqlRoom:
    """All services of the SQL room.

    Args:
        database: The metadata database.
        clock: Tells the time.
        settings: Workers, limits and times.
        access: Decides.
        catalog: Tables, volumes and files.
        engine: Runs what was bound.
        results: Folder for results that wait; it belongs to this room alone.
        conversions: Reads files that the engine does not.
        spark: Makes the engine for the address of a Spark Connect server.
        models: Answers functions that ask models.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        settings: Settings,
        access: Access,
        catalog: CatalogRoom,
        engine: Engine,
        results: Path,
        conversions: Conversions | None = None,
        spark: Callable[[str], Engine] | None = None,
        models: Models | None = None,
    ) -> None:
        self._access = access
        self._catalog = catalog
        self._results = ResultStore(results)
        self.engine = engine
        self.functions = FunctionStore(database=database, clock=clock, access=access)
        privileges = PrivilegeRows(access, catalog.information)
        self.virtual_tables = VirtualTables(catalog.information, privileges, GovernanceRows(access, self.functions))
        binder = Binder(
            access=access,
            catalog=catalog,
            engine=engine,
            virtual=self.virtual_tables,
            functions=Functions(self.functions),
            clock=clock,
            conversions=conversions,
        )
        tools = Tools(access, catalog, engine, binder, self.virtual_tables, self.functions, Ledger(database=database), clock)
        tools = replace(tools, models=models, model_inputs_max=settings.sql_model_inputs_max)
        self.warehouses = Warehouses(database=database, clock=clock, access=access)
        self._engines = Engines(self.warehouses, spark)
        self.sessions = Sessions(clock=clock, warehouses=self.warehouses)
        self.history = History(database=database, clock=clock, access=access)
        self.statements = Statements(
            runner=Runner(tools),
            engines=self._engines,
            access=access,
            warehouses=self.warehouses,
            sessions=self.sessions,
            history=self.history,
            results=self._results,
            clock=clock,
            turns=Turns(
                threads=max(_THREADS_MIN, settings.sql_workers * 2 + 4),
                waiting_max=settings.sql_queue_max,
                user_max=settings.sql_user_statements_max,
                warehouse_max=settings.sql_warehouse_statements_max,
            ),
            timeout_s=float(settings.sql_timeout_s),
            result_ttl_s=float(settings.result_ttl_s),
        )
        self.fingerprinting = Fingerprinting(access=access, catalog=catalog, engine=engine)

    def start(self) -> None:
        """Make what every installation has, and begin the work in the background."""
        self._results.start()
        self.warehouses.ensure_default()
        self.register_table(HISTORY_TABLE, HISTORY_COLUMNS, self.history.rows, "Statements that ended; everybody sees their own.")
        for columns, name in ((False, "system.access.table_lineage"), (True, "system.access.column_lineage")):
            rows = partial(lineage_rows, self._access, columns=columns)
            comment = "What was computed from what, as far as the caller may see both."
            self.register_table(name, lineage_shape(columns=columns), rows, comment)
        self.history.start()
        self.statements.start()
        self.fingerprinting.start()

    def register_table(
        self,
        full_name: str,
        shape: Iterable[tuple[str, str]],
        rows: Callable[[RequestContext], Iterable[Mapping[str, object]]],
        comment: str,
    ) -> None:
        """Make a table of the catalog `system` whose rows a room computes; who may read it is decided by grants as for any table."""
        name = TableName.parse(full_name)
        columns = tuple(Column(column, kind, position=at) for at, (column, kind) in enumerate(shape))
        self._catalog.ensure_system_schemas([name.schema])
        self._catalog.tables.register_system(system_context(), name, columns, comment)
        self.virtual_tables.register(full_name, columns, rows)

    def completions(self, ctx: RequestContext, catalog: str = "", schema: str = "") -> Completions:
        """Names that an editor may offer to this caller."""
        return completions(ctx, self._catalog, (*all_functions(), *model_functions()), catalog, schema)

    def close(self) -> None:
        """Stop what runs and write what waits; the engine is closed by whoever made it."""
        self.statements.shut_down()
        self.fingerprinting.close()
        self.history.close()
        self._engines.close()
