"""COPY INTO, which takes each file once, and LIST."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.errors import FileNotFound
from insjo.catalog.types import Column
from insjo.kernel.clock import epoch_ms
from insjo.kernel.context import system_context
from insjo.kernel.errors import InsjoError, InvalidArgument, did_you_mean
from insjo.kernel.ids import new_id
from insjo.kernel.paging import PageRequest
from insjo.sql.binding.bound import Given
from insjo.sql.binding.file_failures import file_of, read_failure, tells_of_file
from insjo.sql.binding.files import METADATA, METADATA_TYPE, glob_expression
from insjo.sql.commands.copy_merge import merge_files
from insjo.sql.commands.copy_options import copy_options
from insjo.sql.commands.execution import Outcome, counted, table_outcome
from insjo.sql.commands.quarantine import Quarantine, committed
from insjo.sql.commands.rules import counted_up
from insjo.sql.commands.writing import SOURCE, as_source, assigned, discarding, export, raise_label, resolve_target, row_count, source_table
from insjo.sql.errors import CopySchemaMismatch, FileOptionInvalid, FileReadFailed, StatementFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import LocalFile, NewFile, ResolvedTable, TableName
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.binding.files import FileSource
    from insjo.sql.commands.copy_options import CopyOptions
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import CopyInto, ListFiles

_COPY_ID = "copyId"
_HISTORY_DEPTH = 100
_LISTED_MAX = 100_000


def copy_into(x: Execution, command: CopyInto) -> Outcome:
    """Load files of a volume into a table; those that were loaded before are passed over."""
    options = copy_options(command.copy_options)
    if options.mode == "merge":
        return merge_files(x, command, options)
    name = x.names.table(command.target)
    resolve_target(x, name, reads=False)
    files = _files(x, command)
    with x.tools.catalog.tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=False)
        if options.load_id and committed(x, name, options.load_id):
            return _copied(0, options)
        again = options.force or bool(options.load_id) or options.mode == "replace"
        fresh = files if again else x.tools.ledger.unseen(write.table.id, files, write.snapshot.version, _Copies(x, name))
        if not fresh:
            return _copied(0, options)
        return _Load(x, command, options, target, write, fresh).run()


class _Load:
    """One load into a table whose lock is held."""

    def __init__(
        self,
        x: Execution,
        command: CopyInto,
        options: CopyOptions,
        target: ResolvedTable,
        write: TableWrite,
        files: Sequence[LocalFile],
    ) -> None:
        self._x = x
        self._command = command
        self._options = options
        self._target = target
        self._write = write
        self._files = files
        self._copy_id = options.load_id or new_id()

    def run(self) -> Outcome:
        """Read the files, fit them to the table, commit, and remember them; a second time with a quarantine if there are bad rows."""
        try:
            return self._once(self._x, quarantine=None)
        except (StatementFailed, FileReadFailed) as error:
            if not self._options.quarantine:
                if isinstance(error, StatementFailed) and not tells_of_file(error):
                    raise
                raise (error if isinstance(error, FileReadFailed) else read_failure(error, file_of(error, self._files))) from error
        return self._once(self._x, quarantine=Quarantine(self._x, self._target, self._copy_id))

    def _once(self, x: Execution, *, quarantine: Quarantine | None) -> Outcome:
        source = _source(x, self._command, self._target, self._files, self._options, sifts=quarantine is not None)
        columns, given, bound = _fitted(x, self._command, self._target, source, self._options)
        sifting = quarantine.sifting(source.rejects) if quarantine is not None and source.rejects else None
        properties = self._write.snapshot.properties
        new = export(sifting or x, bound, columns, self._write.location, self._target.table.partition_columns, properties=properties)
        with discarding(self._write.location, new):
            bad = quarantine.commit(sifting.rejected, source.provenance) if quarantine is not None and sifting is not None else 0
            self._commit(columns, given, new, source)
        return _copied(row_count(new), self._options, source, bad)

    def _commit(self, columns: tuple[Column, ...], given: frozenset[str], new: Sequence[NewFile], source: FileSource) -> None:
        """One entry of the table's log, which names the copy."""
        x, write = self._x, self._write
        raise_label(x, write.table.id, self._target.label, source.provenance)
        x.tools.ledger.intend(write.table.id, self._files, self._copy_id, write.snapshot.version + 1)
        changed = counted_up(columns, given, row_count(new)) or (columns if columns != tuple(self._target.table.columns) else None)
        removes = write.snapshot.files if self._options.mode == "replace" else ()
        parameters = {_COPY_ID: self._copy_id, "files": str(len(self._files)), "mode": self._options.mode}
        tables = x.tools.catalog.tables
        try:
            version = tables.commit(write, new, removes, "COPY INTO", parameters, new_columns=changed, blind=False, changes=())
        except InsjoError:
            x.tools.ledger.settle(write.table.id, self._copy_id, None)
            raise
        x.tools.ledger.settle(write.table.id, self._copy_id, version)


def _copied(rows: int, options: CopyOptions, source: FileSource | None = None, bad: int = 0) -> Outcome:
    counts = {"num_affected_rows": rows, "num_inserted_rows": rows, "num_skipped_corrupt_files": 0}
    if options.quarantine:
        counts["num_quarantined_rows"] = bad
    return counted(provenance=source.provenance if source is not None else None, hidden=frozenset(), **counts)


def _files(x: Execution, command: CopyInto) -> list[LocalFile]:
    """The files of the path that the statement names."""
    reader = x.tools.binder.files
    base = command.path.rstrip("/")
    if command.files:
        found: list[LocalFile] = []
        for each in command.files:
            if each.startswith("/") or ".." in each.split("/"):
                message = f"`{each}` in `FILES` must be a name below the path."
                raise FileOptionInvalid(message)
            found.extend(reader.resolve(x.ctx, f"{base}/{each}", {}))
        return list({each.path: each for each in found}.values())
    try:
        resolved = reader.resolve(x.ctx, command.path, command.format_options)
    except FileNotFound:
        if command.pattern:
            return []
        raise
    if not command.pattern:
        return resolved
    matches = re.compile(glob_expression(command.pattern))
    return [each for each in resolved if matches.fullmatch(each.path[len(base) + 1 :])]


def _source(
    x: Execution, command: CopyInto, target: ResolvedTable, files: Sequence[LocalFile], options: CopyOptions, *, sifts: bool
) -> FileSource:
    """The files as a source; without a query of its own the types are those of the table."""
    given = dict(command.format_options)
    folded = {key.lower() for key in given}
    if command.file_format == "CSV" and not folded & {"inferschema", "infercolumntypes"} and not options.replaces_schema:
        given["inferSchema"] = "false"
    given.pop("mergeSchema", None)
    plain = command.tree is None and not options.replaces_schema
    kinds = {column.name.lower(): column.type_text for column in target.table.columns} if plain else {}
    names = [column.name for column in target.table.columns] if plain else []
    reader = x.tools.binder.files
    return reader.source(x.ctx, files, command.file_format, given, types=kinds, names=names, sifts=sifts)


def _fitted(
    x: Execution,
    command: CopyInto,
    target: ResolvedTable,
    source: FileSource,
    options: CopyOptions,
) -> tuple[tuple[Column, ...], frozenset[str], BoundQuery]:
    """The columns of the table afterwards, those that the files give, and the query that fills all."""
    given = Given(source.query([*source.columns, METADATA]), {**source.columns, METADATA: METADATA_TYPE})
    if command.tree is None:
        outputs: list[exp.Expr] = [exp.column(name, quoted=True) for name in source.columns]
        tree: exp.Expr = exp.Select(expressions=outputs, from_=exp.From(this=source_table("s")))
    else:
        tree = _without_hidden(command.tree.copy())
    bound = x.tools.binder.bind(x.ctx, tree, x.names, x.parameters, given={SOURCE: given})
    columns = [] if options.replaces_schema else list(target.table.columns)
    known = {column.name.lower() for column in columns}
    places: dict[str, int] = {}
    wanted = [name.lower() for name in command.columns] if command.columns is not None else None
    if wanted is not None and len(wanted) != len(bound.columns):
        message = f"`COPY INTO` names {len(wanted)} columns, and its source gives {len(bound.columns)}."
        raise InvalidArgument(message)
    for at, (output, kind) in enumerate(bound.columns):
        name = wanted[at] if wanted is not None else output.lower()
        if name not in known:
            if not options.merges_schema and not options.replaces_schema:
                message = f"The files have a column `{output}`, and the table `{target.table.full_name}` has none of that name."
                hint = did_you_mean(output, (column.name for column in columns)) or "Add COPY_OPTIONS ('mergeSchema' = 'true') to add it."
                raise CopySchemaMismatch(message, hint=hint)
            columns.append(Column(output, "string" if kind == "void" else kind, position=len(columns)))
            known.add(name)
        places[name] = at
    if not places:
        message = "The files have no columns."
        raise CopySchemaMismatch(message)
    query = assigned(places, columns)
    fitted = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={SOURCE: as_source(bound)}).resting_on(bound)
    return tuple(columns), frozenset(places), fitted


def _without_hidden(tree: exp.Expr) -> exp.Expr:
    """Keep `_metadata` out of the stars of the query."""
    for output in tree.expressions:
        star = output.this if isinstance(output, exp.Column) else output
        if isinstance(star, exp.Star):
            star.set("except_", [*(star.args.get("except_") or []), exp.column(METADATA)])
    return tree


class _Copies:
    """Tells which copy a version of a table was made by, reading the history at most once."""

    def __init__(self, x: Execution, name: TableName) -> None:
        self._x = x
        self._name = name
        self._known: Mapping[int, str] | None = None

    def __call__(self, version: int) -> str:
        """Identifier of the copy, or an empty text."""
        if self._known is None:
            # The caller may write to the table; reading its history is Insjö's own business here.
            entries = self._x.tools.catalog.tables.history(system_context(), self._name, _HISTORY_DEPTH)
            self._known = {entry.version: str(entry.parameters.get(_COPY_ID, "")).strip('"') for entry in entries}
        return self._known.get(version, "")


def list_files(x: Execution, command: ListFiles) -> Outcome:
    """What a directory of a volume holds."""
    files = x.tools.catalog.files
    shape = [("path", "string"), ("name", "string"), ("size", "bigint"), ("modification_time", "bigint")]
    limit = min(command.limit if command.limit is not None else _LISTED_MAX, _LISTED_MAX)
    path = command.path.removeprefix("dbfs:")
    found = files.stat(x.ctx, path)
    if not found.is_directory:
        return table_outcome(shape, [(found.path, found.name, found.size_bytes, epoch_ms(found.modified_at))])
    rows: list[tuple[object, ...]] = []
    token = ""
    while len(rows) < limit:
        page = files.list(x.ctx, path, PageRequest(size=1000, token=token))
        for each in page.items:
            end = "/" if each.is_directory else ""
            rows.append((each.path + end, each.name + end, each.size_bytes, epoch_ms(each.modified_at)))
        token = page.next_token
        if not token:
            break
    return table_outcome(shape, rows[:limit])
