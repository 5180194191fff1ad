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
from insjo.sql.commands.execution import Outcome, counted, table_outcome
from insjo.sql.commands.writing import SOURCE, as_source, assigned, discarding, export, raise_label, resolve_target, row_count, source_table
from insjo.sql.errors import CopySchemaMismatch, FileOptionInvalid, StatementFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import LocalFile, ResolvedTable, TableName
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.binding.files import FileSource
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import CopyInto, ListFiles

_COPY_ID = "copyId"
_HISTORY_DEPTH = 100
_LISTED_MAX = 100_000


def copy_into(x: Execution, command: CopyInto) -> Outcome:
    """Load files of a volume into a table; those that were loaded before are passed over."""
    force, merges = _copy_options(command)
    name = x.names.table(command.target)
    resolve_target(x, name, reads=False)
    files = _files(x, command)
    with x.tools.catalog.tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=False)
        fresh = files if force else x.tools.ledger.unseen(write.table.id, files, write.snapshot.version, _Copies(x, name))
        if not fresh:
            return _copied(0)
        return _load(x, command, target, write, fresh, merges=merges)


def _load(
    x: Execution,
    command: CopyInto,
    target: ResolvedTable,
    write: TableWrite,
    files: Sequence[LocalFile],
    *,
    merges: bool,
) -> Outcome:
    """Read the files, fit them to the table, commit, and remember them."""
    try:
        source = _source(x, command, target, files)
        columns, bound = _fitted(x, command, target, source, merges=merges)
        new = export(x, bound, columns, write.location, target.table.partition_columns)
    except StatementFailed as error:
        if tells_of_file(error):
            raise read_failure(error, file_of(error, files)) from error
        raise
    with discarding(write.location, new):
        raise_label(x, write.table.id, target.label, source.provenance)
        copy_id = new_id()
        x.tools.ledger.intend(write.table.id, files, copy_id, write.snapshot.version + 1)
        changed = columns if len(columns) != len(target.table.columns) else None
        parameters = {_COPY_ID: copy_id, "files": str(len(files))}
        try:
            version = x.tools.catalog.tables.commit(write, new, (), "COPY INTO", parameters, new_columns=changed, blind=False)
        except InsjoError:
            x.tools.ledger.settle(write.table.id, copy_id, None)
            raise
        x.tools.ledger.settle(write.table.id, copy_id, version)
    return _copied(row_count(new), source)


def _copied(rows: int, source: FileSource | None = None) -> Outcome:
    provenance = source.provenance if source is not None else None
    return counted(provenance=provenance, num_affected_rows=rows, num_inserted_rows=rows, num_skipped_corrupt_files=0)


def _copy_options(command: CopyInto) -> tuple[bool, bool]:
    """Whether to load files again, and whether new columns are added to the table."""
    options = {key.lower(): value.lower() for key, value in command.copy_options.items()}
    for key, value in options.items():
        if key not in {"force", "mergeschema"} or value not in {"true", "false"}:
            message = f"`{key}` = `{value}` is not a copy option."
            raise FileOptionInvalid(message, hint=did_you_mean(key, ["force", "mergeSchema"]) or "Use force or mergeSchema, true or false.")
    return options.get("force") == "true", options.get("mergeschema") == "true"


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


def _source(x: Execution, command: CopyInto, target: ResolvedTable, files: Sequence[LocalFile]) -> FileSource:
    """The files as a source; without a query of its own the types are those of the table."""
    options = dict(command.format_options)
    folded = {key.lower() for key in options}
    if command.file_format == "CSV" and not folded & {"inferschema", "infercolumntypes"}:
        options["inferSchema"] = "false"
    options.pop("mergeSchema", None)
    kinds = {column.name.lower(): column.type_text for column in target.table.columns} if command.tree is None else {}
    names = [column.name for column in target.table.columns] if command.tree is None else []
    return x.tools.binder.files.source(x.ctx, files, command.file_format, options, types=kinds, names=names)


def _fitted(
    x: Execution,
    command: CopyInto,
    target: ResolvedTable,
    source: FileSource,
    *,
    merges: bool,
) -> tuple[tuple[Column, ...], BoundQuery]:
    """The columns of the table afterwards, and the query that fills them."""
    given = Given(source.query([*source.columns, METADATA]), {**source.columns, METADATA: METADATA_TYPE})
    if command.tree is None:
        outputs: list[exp.Expr] = [exp.column(name, quoted=True) for name in source.columns]
        tree: exp.Expr = exp.Select(expressions=outputs, from_=exp.From(this=source_table("s")))
    else:
        tree = _without_hidden(command.tree.copy())
    bound = x.tools.binder.bind(x.ctx, tree, x.names, x.parameters, given={SOURCE: given})
    columns = list(target.table.columns)
    known = {column.name.lower() for column in columns}
    places: dict[str, int] = {}
    wanted = [name.lower() for name in command.columns] if command.columns is not None else None
    if wanted is not None and len(wanted) != len(bound.columns):
        message = f"`COPY INTO` names {len(wanted)} columns, and its source gives {len(bound.columns)}."
        raise InvalidArgument(message)
    for at, (output, kind) in enumerate(bound.columns):
        name = wanted[at] if wanted is not None else output.lower()
        if name not in known:
            if not merges:
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
    return tuple(columns), x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={SOURCE: as_source(bound)}).resting_on(bound)


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
