"""What every command is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from insjo.access.types import UNLABELLED, Provenance
from insjo.sql.binding.heat import Heat
from insjo.sql.dialect.spark.results import fitted, fitted_schema
from insjo.sql.dialect.types import parse_type, to_arrow_type
from insjo.sql.errors import ArithmeticOverflow
from insjo.sql.types import ResultColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from insjo.access.service.facade import Access
    from insjo.access.types import Origin
    from insjo.catalog.service.room import CatalogRoom
    from insjo.catalog.types import LocalFile, TableName
    from insjo.kernel.cancellation import CancelToken
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.binder import Binder
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.binding.functions import SqlFunction
    from insjo.sql.binding.names import NameSpace
    from insjo.sql.binding.needs import Need
    from insjo.sql.binding.virtual import VirtualTables
    from insjo.sql.parsing.constants import ParameterValues, ValueSource
    from insjo.sql.ports import Engine, EngineLimits, EngineRows, Models, WrittenFile
    from insjo.sql.types import TemporaryView


class FunctionRegistry(Protocol):
    """Where SQL functions are kept."""

    def create(self, ctx: RequestContext, made: SqlFunction, *, replace: bool, if_not_exists: bool) -> None:
        """Keep a new function."""
        ...

    def drop(self, ctx: RequestContext, name: TableName, *, if_exists: bool) -> None:
        """Remove a function."""
        ...

    def list(self, ctx: RequestContext, catalog: str, schema: str) -> Sequence[SqlFunction]:
        """Functions of a schema that the caller may see."""
        ...

    def get(self, ctx: RequestContext, name: TableName) -> SqlFunction:
        """One function that the caller may see."""
        ...


class CopyLedger(Protocol):
    """Remembers which files were copied into which table."""

    def unseen(self, table_id: str, files: Sequence[LocalFile], current_version: int, copies_of: Callable[[int], str]) -> list[LocalFile]:
        """Those of the files that were not copied yet, or have changed since."""
        ...

    def intend(self, table_id: str, files: Sequence[LocalFile], copy_id: str, version: int) -> None:
        """The files will be committed with this version."""
        ...

    def settle(self, table_id: str, copy_id: str, version: int | None) -> None:
        """The commit stands at this version, or not at all."""
        ...


class SessionState(Protocol):
    """What a statement may change for those that follow in its session."""

    def use(self, catalog: str, schema: str) -> None:
        """Change the current catalog and schema."""
        ...

    def put_view(self, view: TemporaryView) -> None:
        """Keep a temporary view."""
        ...

    def drop_view(self, name: str) -> bool:
        """Forget a temporary view; whether there was one."""
        ...

    def put_variable(self, name: str, type_text: str, value: object, source: ValueSource | None = None) -> None:
        """Keep a session variable, and where its value comes from."""
        ...

    def drop_variable(self, name: str) -> bool:
        """Forget a session variable; whether there was one."""
        ...

    def settings(self) -> Mapping[str, str]:
        """Settings of the session."""
        ...

    def put_setting(self, key: str, value: str | None) -> None:
        """Change a setting; None takes it back."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """The services and ports that commands use."""

    access: Access
    catalog: CatalogRoom
    engine: Engine
    binder: Binder
    virtual: VirtualTables
    functions: FunctionRegistry
    ledger: CopyLedger
    clock: Clock
    heat: Heat = field(default_factory=Heat)
    models: Models | None = None
    model_inputs_max: int = 0


@dataclass(frozen=True, slots=True)
class ForeignEngine:
    """The engine of a warehouse that has one of its own, and its name among the destinations that are cleared."""

    engine: Engine
    destination: str


@dataclass(frozen=True, slots=True)
class Execution:
    """One statement while it runs."""

    ctx: RequestContext
    names: NameSpace
    session: SessionState
    parameters: ParameterValues
    cancel: CancelToken
    limits: EngineLimits
    tools: Tools
    on_queue: Callable[[int], None]
    sessionless: bool = True
    foreign: ForeignEngine | None = None

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.tools.clock.now()

    def query(self, bound: BoundQuery) -> EngineRows:
        """Run a bound query."""
        return self.tools.engine.query(
            bound.sql,
            tables=bound.tables,
            cancel=self.cancel,
            limits=self.limits,
            on_queue=self.on_queue,
            scans=self.tools.heat.note(bound.scans),
        )

    def foreign_query(self, bound: BoundQuery, foreign: ForeignEngine) -> EngineRows:
        """Run a query that was bound for it on the engine of the warehouse.

        Its server gets to see what the query reads and what stands in it, so it is a destination like any other.

        Raises:
            FlowBlocked: That may not go there.
        """
        access = self.tools.access
        clearance = access.clearances.get(foreign.destination)
        provenance = bound.provenance.join(access.fingerprints.label_text(bound.foreign))
        cleared = access.flows.clear(self.ctx, bound.foreign, provenance, clearance, "statement")
        return foreign.engine.query(cleared.content, tables=bound.tables, cancel=self.cancel, limits=self.limits, on_queue=self.on_queue)

    def export(self, sql: str, location: str, partition_columns: Sequence[str], tables: Mapping[str, bytes]) -> list[WrittenFile]:
        """Write the rows of a query below a table's folder."""
        from pathlib import Path

        return self.tools.engine.export(
            sql,
            Path(location),
            partition_columns=partition_columns,
            tables=tables,
            cancel=self.cancel,
            limits=self.limits,
            on_queue=self.on_queue,
        )

    def rows(self, sql: str, tables: Mapping[str, bytes] | None = None) -> list[dict[str, object]]:
        """All rows of a small query of the engine."""
        found: list[dict[str, object]] = []
        with self.tools.engine.query(sql, tables=tables or {}, cancel=self.cancel, limits=self.limits, on_queue=self.on_queue) as rows:
            for batch in rows:
                found.extend(batch.to_pylist())
        return found


@dataclass(slots=True)
class Outcome:
    """What a statement gives: columns, rows, and what they rest on.

    Attributes:
        schema: The columns as Arrow has them.
        batches: Rows; read once, and closed with `close` if they are not read to the end.
        needs: Rights that it rests on.
        hidden: Origins that the caller may not know of.
    """

    columns: tuple[ResultColumn, ...]
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    provenance: Provenance = field(default_factory=lambda: Provenance(UNLABELLED))
    needs: tuple[Need, ...] = ()
    close: Callable[[], None] = lambda: None
    hidden: frozenset[Origin] = frozenset()


_TYPE_NAMES = {
    "tinyint": "BYTE",
    "smallint": "SHORT",
    "bigint": "LONG",
    "void": "NULL",
}


def result_column(name: str, type_text: str, position: int) -> ResultColumn:
    """Column with its type in the words of the statement execution API."""
    base = type_text.partition("(")[0].partition("<")[0].partition(" ")[0].lower()
    precision = scale = None
    if base == "decimal":
        kind = parse_type(type_text)
        precision, scale = kind.precision, kind.scale
    return ResultColumn(name, type_text, _TYPE_NAMES.get(base, base.upper()), position, precision, scale)


def columns_of(shape: Iterable[tuple[str, str]]) -> tuple[ResultColumn, ...]:
    """Columns from names and Databricks types."""
    return tuple(result_column(name, type_text, position) for position, (name, type_text) in enumerate(shape))


def table_outcome(
    shape: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[object]],
    *,
    provenance: Provenance | None = None,
    needs: tuple[Need, ...] = (),
    hidden: frozenset[Origin] = frozenset(),
) -> Outcome:
    """Rows that a command has in hand."""
    import pyarrow as pa

    listed = list(rows)
    schema = pa.schema([pa.field(name, to_arrow_type(parse_type(kind))) for name, kind in shape])
    arrays = [pa.array([row[at] for row in listed], type=each.type) for at, each in enumerate(schema)]
    batches = [pa.record_batch(arrays, schema=schema)] if listed and shape else []
    return Outcome(columns_of(shape), schema, batches, provenance or Provenance(UNLABELLED), needs, hidden=hidden)


def nothing() -> Outcome:
    """A command that has no rows to show."""
    return table_outcome((), ())


def counted(*, provenance: Provenance | None = None, hidden: frozenset[Origin] = frozenset(), **counts: int) -> Outcome:
    """How many rows a change concerned."""
    return table_outcome([(name, "bigint") for name in counts], [tuple(counts.values())], provenance=provenance, hidden=hidden)


def foreign_outcome(rows: EngineRows, bound: BoundQuery) -> Outcome:
    """Rows of a query that runs on an engine of others: in the types that Databricks gives, or refused."""
    import pyarrow as pa

    try:
        schema = fitted_schema(bound.columns, rows.schema)
    except BaseException:
        rows.close()
        raise

    def read() -> Iterator[pa.RecordBatch]:
        with rows:
            for batch in rows:
                try:
                    made = fitted(batch, schema)
                except pa.ArrowInvalid as error:
                    message = "A number became too large for its type."
                    raise ArithmeticOverflow(message) from error
                yield made

    return Outcome(columns_of(bound.columns), schema, read(), bound.provenance, bound.needs, rows.close, bound.hidden)


def query_outcome(rows: EngineRows, bound: BoundQuery) -> Outcome:
    """Rows of a running query."""
    import pyarrow as pa

    names = [name for name, _ in bound.columns]
    columns = columns_of(bound.columns)
    schema = pa.schema([rows.schema.field(at).with_name(name) for at, name in enumerate(names)])

    def read() -> Iterator[pa.RecordBatch]:
        with rows:
            for batch in rows:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    return Outcome(columns, schema, read(), bound.provenance, bound.needs, rows.close, bound.hidden)
