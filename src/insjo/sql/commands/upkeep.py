"""RESTORE, OPTIMIZE, VACUUM, REFRESH and ANALYZE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.types import Privilege
from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.binding.bound import Given
from insjo.sql.binding.scan import scan
from insjo.sql.binding.time_travel import moment
from insjo.sql.commands.changes import candidate_files
from insjo.sql.commands.execution import Outcome, nothing, table_outcome
from insjo.sql.commands.protected import require_all_rows
from insjo.sql.commands.rules import columns_in
from insjo.sql.commands.tables import clustering_of
from insjo.sql.commands.writing import SOURCE, discarding, export, resolve_target, source_table
from insjo.sql.errors import RetentionTooShort, UnresolvedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from insjo.catalog.types import DataFile, NewFile, ResolvedTable
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Optimize, Refresh, Restore, Vacuum

_SMALL_BYTES = 64 * 1024 * 1024
"""Files smaller than this are put together."""

_SHOWN_FILES_MAX = 1000

_GROUP_BYTES_MAX = 512 * 1024 * 1024
"""Source bytes of one new file, about."""


def restore(x: Execution, command: Restore) -> Outcome:
    """Bring back an earlier version of a table."""
    name = x.names.table(command.name)
    when = moment(command.timestamp, x.now) if command.timestamp is not None else None
    before = x.tools.catalog.tables.resolve_many(x.ctx, [name], Privilege.MODIFY)[0]
    require_all_rows(x, before, "RESTORE")
    x.tools.catalog.tables.restore(x.ctx, name, version=command.version, timestamp=when)
    after = x.tools.catalog.tables.resolve_many(x.ctx, [name], Privilege.MODIFY)[0]
    old = {file.path: file.size_bytes for file in before.snapshot.files} if before.snapshot else {}
    new = {file.path: file.size_bytes for file in after.snapshot.files} if after.snapshot else {}
    removed, restored = set(old) - set(new), set(new) - set(old)
    shape = [
        ("table_size_after_restore", "bigint"),
        ("num_of_files_after_restore", "bigint"),
        ("num_removed_files", "bigint"),
        ("num_restored_files", "bigint"),
        ("removed_files_size", "bigint"),
        ("restored_files_size", "bigint"),
    ]
    row = (
        sum(new.values()),
        len(new),
        len(removed),
        len(restored),
        sum(old[path] for path in removed),
        sum(new[path] for path in restored),
    )
    return table_outcome(shape, [row])


def optimize(x: Execution, command: Optimize) -> Outcome:
    """Put small files together, a partition at a time; the rows stay the same."""
    name = x.names.table(command.name)
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=False)
        require_all_rows(x, target, "OPTIMIZE")
        columns = target.table.columns
        sorting = _sorting(target, command)
        candidates = _chosen(target, command, write.snapshot.files)
        groups = _every(candidates) if sorting and (command.zorder or command.full) else _groups(candidates)
        removed: list[DataFile] = []
        added: list[NewFile] = []
        with discarding(write.location, added):
            for group in groups:
                sql = scan(target.table.full_name, write.snapshot, columns, files=group)
                shape = {column.name: column.type_text for column in columns}
                outputs = [exp.alias_(exp.column(each.name, table="s", quoted=True), each.name, quoted=True) for each in columns]
                query = exp.Select(expressions=list(outputs), from_=exp.From(this=source_table("s")))
                if sorting:
                    query.set(
                        "order", exp.Order(expressions=[exp.Ordered(this=exp.column(each, table="s", quoted=True)) for each in sorting])
                    )
                bound = x.tools.binder.bind(x.ctx, query, x.names, given={SOURCE: Given(sql, shape)})
                added.extend(export(x, bound, columns, write.location, target.table.partition_columns))
                removed.extend(group)
            if removed:
                parameters = {"predicate": "[]", **({"zOrderBy": ",".join(sorting)} if command.zorder else {})}
                tables.commit(write, added, removed, "OPTIMIZE", parameters, blind=False)
    told = [("path", "string"), ("metrics", "struct<numFilesAdded:bigint,numFilesRemoved:bigint>")]
    metrics = {"numFilesAdded": len(added), "numFilesRemoved": len(removed)}
    return table_outcome(told, [(target.table.full_name, metrics)])


def _sorting(target: ResolvedTable, command: Optimize) -> list[str]:
    """Columns by which the rows of a new file are sorted: those of ZORDER BY, or those by which the table is clustered."""
    known = {column.name.lower(): column.name for column in target.table.columns}
    if not command.zorder:
        return [known[each.lower()] for each in clustering_of(target.table.properties) if each.lower() in known]
    partitions = {each.lower() for each in target.table.partition_columns}
    for each in command.zorder:
        if each.lower() not in known:
            message = f"The table `{target.table.full_name}` has no column `{each}`."
            raise UnresolvedColumn(message, hint=did_you_mean(each, known.values()))
        if each.lower() in partitions:
            message = f"`{each}` partitions the table, so `ZORDER BY` cannot take it."
            raise InvalidArgument(message)
    return [known[each.lower()] for each in command.zorder]


def _chosen(target: ResolvedTable, command: Optimize, files: Sequence[DataFile]) -> Sequence[DataFile]:
    """The files of the partitions that the condition names; those that may hold a row for which it holds."""
    if command.where is None:
        return files
    named = columns_in(command.where)
    outside = sorted(named - {each.lower() for each in target.table.partition_columns})
    if outside or not named:
        message = "The condition of `OPTIMIZE` may name partition columns only."
        raise InvalidArgument(message, hint="Leave the condition out.")
    return candidate_files(command.where, target.table.name, target.table.columns, files)


def _by_partition(files: Sequence[DataFile]) -> list[list[DataFile]]:
    """Files that share their partition values, together."""
    found: dict[tuple[object, ...], list[DataFile]] = {}
    for file in files:
        found.setdefault(tuple(sorted((key, str(value)) for key, value in file.partition_values.items())), []).append(file)
    return list(found.values())


def _every(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """All files, a partition at a time and not too much at once."""
    for members in _by_partition(files):
        group: list[DataFile] = []
        size = 0
        for file in members:
            if group and size + file.size_bytes > _GROUP_BYTES_MAX:
                yield group
                group, size = [], 0
            group.append(file)
            size += file.size_bytes
        yield group


def _groups(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """Small files of one partition that become one file."""
    for members in _by_partition([file for file in files if file.size_bytes < _SMALL_BYTES]):
        group: list[DataFile] = []
        size = 0
        for file in members:
            group.append(file)
            size += file.size_bytes
            if size >= _GROUP_BYTES_MAX:
                if len(group) > 1:
                    yield group
                group, size = [], 0
        if len(group) > 1:
            yield group


def vacuum(x: Execution, command: Vacuum) -> Outcome:
    """Delete files that no version needs any more whose time to be kept is over; with DRY RUN tell which these are."""
    name = x.names.table(command.name)
    tables = x.tools.catalog.tables
    kept_s = max(tables.retention_s(x.ctx, name), int(x.limits.timeout_s + x.limits.queue_timeout_s))
    wanted_s = kept_s if command.retain_hours is None else command.retain_hours * 3600
    if wanted_s < kept_s:
        message = f"`VACUUM` must keep the files of the last {kept_s // 3600} hours, for queries that run and for older versions."
        hint = "Leave `RETAIN` out, or change the table property `delta.deletedFileRetentionDuration`."
        raise RetentionTooShort(message, hint=hint)
    gone = tables.vacuum(x.ctx, name, retain_s=wanted_s, dry_run=command.dry_run)
    # The folder of a table is Insjö's own business, so the files are told by their names below it.
    rows = [(each,) for each in gone[:_SHOWN_FILES_MAX]] if command.dry_run else [(name.full_name,)]
    return table_outcome([("path", "string")], rows)


def refresh(x: Execution, command: Refresh) -> Outcome:
    """Nothing to do, for a table that the caller may read: every statement sees the newest version and its statistics."""
    x.tools.catalog.tables.resolve_many(x.ctx, [x.names.table(command.name)], Privilege.SELECT)
    return nothing()
