"""RESTORE, OPTIMIZE, VACUUM, REFRESH and ANALYZE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import Privilege
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.bound import Given
from insjo.sql.binding.scan import scan
from insjo.sql.binding.time_travel import moment
from insjo.sql.commands.execution import Outcome, nothing, table_outcome
from insjo.sql.commands.protected import require_all_rows
from insjo.sql.commands.writing import SOURCE, assigned, discarding, export, resolve_target
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from insjo.catalog.types import DataFile, NewFile
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Optimize, Refresh, Restore, Vacuum

_SMALL_BYTES = 64 * 1024 * 1024
"""Files smaller than this are put together."""

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
    if command.where is not None:
        message = "`OPTIMIZE ... WHERE` is not supported."
        raise UnsupportedFeature(message, hint="Leave the condition out.", details={"feature": "OPTIMIZE WHERE"})
    name = x.names.table(command.name)
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=False)
        require_all_rows(x, target, "OPTIMIZE")
        columns = target.table.columns
        removed: list[DataFile] = []
        added: list[NewFile] = []
        with discarding(write.location, added):
            for group in _groups(write.snapshot.files):
                sql = scan(target.table.full_name, write.snapshot, columns, files=group)
                shape = {f"c{at}": column.type_text for at, column in enumerate(columns)}
                source = Given(text.select(["*"], text.nested(sql, "q", shape)), shape)
                query = assigned({column.name.lower(): at for at, column in enumerate(columns)}, columns)
                bound = x.tools.binder.bind(x.ctx, query, x.names, given={SOURCE: source})
                added.extend(export(x, bound, columns, write.location, target.table.partition_columns))
                removed.extend(group)
            if removed:
                tables.commit(write, added, removed, "OPTIMIZE", {"predicate": "[]"}, blind=False)
    told = [("path", "string"), ("metrics", "struct<numFilesAdded:bigint,numFilesRemoved:bigint>")]
    metrics = {"numFilesAdded": len(added), "numFilesRemoved": len(removed)}
    return table_outcome(told, [(target.table.full_name, metrics)])


def _groups(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """Small files of one partition that become one file."""
    by_partition: dict[tuple[object, ...], list[DataFile]] = {}
    for file in files:
        if file.size_bytes < _SMALL_BYTES:
            by_partition.setdefault(tuple(sorted((key, str(value)) for key, value in file.partition_values.items())), []).append(file)
    for members in by_partition.values():
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
    """Refused: the catalog does not offer it yet."""
    del x, command
    message = "`VACUUM` is not supported."
    raise UnsupportedFeature(message, details={"feature": "VACUUM"})


def refresh(x: Execution, command: Refresh) -> Outcome:
    """Nothing to do, for a table that the caller may read: every statement sees the newest version and its statistics."""
    x.tools.catalog.tables.resolve_many(x.ctx, [x.names.table(command.name)], Privilege.SELECT)
    return nothing()
