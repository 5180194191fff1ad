"""Loads: runs in the background that bring a source into a table once, whenever the server is killed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from insjo.access.types import Privilege, SecurableKind
from insjo.catalog.types import TableName
from insjo.ingest import statements
from insjo.ingest.errors import DriftNotAccepted, LoadInvalid, LoadNotFound
from insjo.ingest.service.inspections import drift
from insjo.ingest.types import DriftKind, LoadResult, LoadSpec, Mode, Source, SourceColumn
from insjo.kernel.errors import InsjoError, NotFound
from insjo.sql.types import StatementSpec, StatementState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.access.service.facade import Access
    from insjo.catalog.service.room import CatalogRoom
    from insjo.catalog.types import Table
    from insjo.ingest.service.inspections import Inspections
    from insjo.ingest.types import Inspection
    from insjo.jobs.ports import RunContext
    from insjo.jobs.service import Jobs
    from insjo.jobs.types import Run
    from insjo.kernel.context import RequestContext
    from insjo.kernel.paging import Page, PageRequest
    from insjo.sql.service.room import SqlRoom

KIND = "ingest.load"
MADE_BY = "insjo.made_by_load"
_LOOK_EVERY_S = 0.1


class _Payload(msgspec.Struct):
    """A load as the queue keeps it."""

    path: str
    format: str
    options: dict[str, str]
    columns: list[tuple[str, str, str]]
    target: str
    mode: Mode
    keys: list[str]
    quarantine: bool
    accept_drift: bool


class Loads:
    """Begins and follows loads.

    Args:
        access: Decides who may write.
        catalog: The tables.
        sql: Runs the statements of a load, with the rights of whoever asked for it.
        jobs: Keeps and does the runs.
        inspections: Finds out what is not said.
    """

    def __init__(self, *, access: Access, catalog: CatalogRoom, sql: SqlRoom, jobs: Jobs, inspections: Inspections) -> None:
        self._access = access
        self._catalog = catalog
        self._sql = sql
        self._jobs = jobs
        self._inspections = inspections
        jobs.register(KIND, self._do, resumable=True)

    def load(self, ctx: RequestContext, spec: LoadSpec, *, inspected: Inspection | None = None) -> Run:
        """Begin a load; it runs by itself, with the caller's rights.

        Raises:
            FileNotFound, TableNotFound, AccessDenied: The caller may not read the source or write to the table.
            DriftNotAccepted: It would change the columns of the table.
            LoadInvalid: The parts do not fit together.
        """
        found = inspected or self._inspections.inspect(ctx, spec.source, spec.target, spec.mode)
        columns = found.columns
        table = self._target(ctx, spec)
        self._check(spec, columns, table)
        payload = _Payload(
            path=found.source.path,
            format=found.source.format,
            options=dict(found.source.options),
            columns=[(each.name, each.target, each.type_text) for each in columns],
            target=spec.target.lower(),
            mode=spec.mode,
            keys=list(spec.keys),
            quarantine=spec.quarantine and found.source.options.get("multiLine") != "true",
            accept_drift=spec.accept_drift,
        )
        title = f"Load {spec.source.path.rpartition('/')[2] or spec.source.path} into {spec.target}"
        securable_id = table.id if table is not None else None
        return self._jobs.submit(ctx, KIND, msgspec.to_builtins(payload), title=title, securable_id=securable_id)

    def get(self, ctx: RequestContext, run_id: str) -> Run:
        """A load as it stands."""
        run = self._jobs.get(ctx, run_id)
        if run.kind != KIND:
            message = f"The load `{run_id[:64]}` does not exist."
            raise LoadNotFound(message)
        return run

    def list(self, ctx: RequestContext, page: PageRequest | None = None) -> Page[Run]:
        """Loads, the newest first: one's own, and for admins all."""
        return self._jobs.list(ctx, page, kind=KIND)

    def cancel(self, ctx: RequestContext, run_id: str) -> Run:
        """Stop a load; nothing is half-written."""
        self.get(ctx, run_id)
        return self._jobs.cancel(ctx, run_id)

    def wait(self, ctx: RequestContext, run_id: str, timeout_s: float) -> Run:
        """The load once it has ended, or as it is when the time is over."""
        return self._jobs.wait(ctx, run_id, timeout_s)

    # ------------------------------------------------------------------------------------------------------------- checking

    def _target(self, ctx: RequestContext, spec: LoadSpec) -> Table | None:
        """The table, which the caller may write to; None for one that is to be made in a schema where the caller may."""
        statements.table_name(spec.target)
        name = TableName.parse(spec.target)
        if spec.mode is Mode.CREATE:
            schema = f"{name.catalog}.{name.schema}"
            self._access.securables.resolve(ctx, SecurableKind.SCHEMA, schema, Privilege.CREATE_TABLE)
            if self._inspections.target_columns(ctx, spec.target) is not None:
                message = f"The table `{spec.target}` exists already."
                raise LoadInvalid(message, hint="Append to it, replace it, merge into it, or choose another name.")
            return None
        (found,) = self._catalog.tables.resolve_many(ctx, [name], Privilege.MODIFY)
        return found.table

    def _check(self, spec: LoadSpec, columns: Sequence[SourceColumn], table: Table | None) -> None:
        """Keys, and the drift that a load would apply."""
        names = {each.target.lower() for each in columns}
        if (spec.mode is Mode.MERGE) != bool(spec.keys):
            message = "Merging needs the columns of the key, and nothing else takes them."
            raise LoadInvalid(message)
        for key in spec.keys:
            if key.lower() not in names:
                message = f"The key `{key}` is not a column of the source."
                raise LoadInvalid(message)
        if table is None or spec.accept_drift:
            return
        applied = [each for each in drift(columns, table.columns, spec.mode) if each.applied]
        if applied:
            told = ", ".join(f"`{each.column}` {'goes' if each.kind is DriftKind.MISSING else 'comes'}" for each in applied[:20])
            message = f"The load would change the columns of `{table.full_name}`: {told}."
            raise DriftNotAccepted(message, hint="Accept the drift, or leave the columns out.")

    # ---------------------------------------------------------------------------------------------------------------- doing

    def _do(self, run: RunContext) -> Mapping[str, object]:
        """Body of a run."""
        given = msgspec.convert(dict(run.payload), _Payload)
        columns = tuple(SourceColumn(name, target, kind) for name, target, kind in given.columns)
        spec = LoadSpec(
            source=Source(given.path, given.format, given.options),
            target=given.target,
            mode=given.mode,
            keys=tuple(given.keys),
            quarantine=given.quarantine,
            accept_drift=given.accept_drift,
        )
        made = spec.mode is Mode.CREATE and self._make(run, spec, columns)
        try:
            columns = self._fitting(run, spec, columns)
            run.progress(0, 0, "Reading and writing")
            (counts,) = self._run(run, statements.copy_into(spec, columns, run.run_id))
        except InsjoError:
            if made:
                self._unmake(run.ctx, spec)
            raise
        rows, bad = int(str(counts["num_affected_rows"])), int(str(counts.get("num_quarantined_rows", 0)))
        run.progress(rows, rows, f"{rows} rows loaded" + (f", {bad} set apart" if bad else ""))
        done = LoadResult(rows, bad, spec.target, f"{spec.target}_quarantine" if bad else "")
        return {"rows": done.rows, "quarantined": done.quarantined, "target": done.target, "quarantine_table": done.quarantine_table}

    def _make(self, run: RunContext, spec: LoadSpec, columns: Sequence[SourceColumn]) -> bool:
        """The table of the load; one that this very load made before it was interrupted is taken up."""
        try:
            table = self._catalog.tables.get(run.ctx, TableName.parse(spec.target))
        except NotFound:
            self._run(run, statements.create_table(spec.target, columns, {MADE_BY: run.run_id}))
            return True
        if table.properties.get(MADE_BY) != run.run_id:
            message = f"The table `{spec.target}` exists already."
            raise LoadInvalid(message, hint="Append to it, replace it, merge into it, or choose another name.")
        return True

    def _unmake(self, ctx: RequestContext, spec: LoadSpec) -> None:
        """A new table without rows is not left behind."""
        self._catalog.tables.drop(ctx, TableName.parse(spec.target), if_exists=True)

    def _fitting(self, run: RunContext, spec: LoadSpec, columns: Sequence[SourceColumn]) -> tuple[SourceColumn, ...]:
        """The columns in the types of the table, which count unless it takes those of the source."""
        if spec.mode is Mode.CREATE or (spec.mode is Mode.REPLACE and spec.accept_drift):
            return tuple(columns)
        present = self._inspections.target_columns(run.ctx, spec.target) or ()
        kinds = {column.name.lower(): column.type_text for column in present}
        return tuple(replace(each, type_text=kinds.get(each.target.lower(), each.type_text)) for each in columns)

    def _run(self, run: RunContext, text: str) -> Sequence[dict[str, object]]:
        """One statement of the load; cancelling the run cancels it."""
        room = self._sql.statements
        statement = room.submit(run.ctx, StatementSpec(text))
        while not statement.state.ended:
            if run.cancelled():
                room.cancel(run.ctx, statement.id)
                run.check()
            if statement.progress is not None:
                run.progress(round(statement.progress * 100), 100, "Reading and writing")
            elif statement.queue_position:
                run.progress(0, 0, f"Waiting for a worker, {statement.queue_position} before it")
            statement = room.wait(run.ctx, statement.id, _LOOK_EVERY_S)
        if statement.state is not StatementState.SUCCEEDED and statement.error is not None:
            raise statement.error
        rows: Sequence[dict[str, object]] = room.chunk(run.ctx, statement.id, 0).batches.to_pylist()
        room.close(run.ctx, statement.id)
        return rows
