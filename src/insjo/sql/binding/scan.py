"""The files of a snapshot as a query of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.binding import engine_text as text
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.catalog.types import Column, DataFile, Snapshot

FILE_MARK = "__insjo_file"
"""Column with the path of the file that a row comes from; only statements that change rows see it."""

ROW_MARK = "__insjo_row"
"""Column with the position of a row in its file."""

_BRANCHES_MAX = 200
"""Partitions up to this number become constants, which lets the engine skip whole branches; more are looked up by file name."""


def scan(
    table: str,
    snapshot: Snapshot,
    columns: Sequence[Column],
    *,
    files: Sequence[DataFile] | None = None,
    marks: bool = False,
) -> str:
    """Query that reads the columns from the files.

    Args:
        table: Name for messages.
        snapshot: What to read.
        columns: Those to read, in their order.
        files: Some of the snapshot's files; None reads all.
        marks: Add `__insjo_file` and `__insjo_row`.

    Raises:
        UnsupportedFeature: The files alone do not give the right rows.
    """
    if not snapshot.readable_as_files:
        reason = snapshot.unreadable_reason or "a feature of the Delta format"
        message = f"The table `{table}` uses {reason}, which Insjö cannot read."
        raise UnsupportedFeature(message, details={"feature": reason})
    chosen = snapshot.files if files is None else files
    if not chosen:
        kinds = {column.name: column.type_text for column in columns}
        return text.empty_rows(kinds | ({FILE_MARK: "string", ROW_MARK: "bigint"} if marks else {}))
    partition_names = {each.lower() for each in snapshot.partition_columns}
    stored = [column for column in columns if column.name.lower() not in partition_names]
    partitions = [column for column in columns if column.name.lower() in partition_names]
    if not partitions:
        return _branch(snapshot, stored, chosen, [], marks=marks, order=columns)
    groups: dict[tuple[str | None, ...], list[DataFile]] = {}
    for file in chosen:
        groups.setdefault(tuple(_constant(file, column) for column in partitions), []).append(file)
    if len(groups) <= _BRANCHES_MAX:
        branches = [
            _branch(snapshot, stored, members, list(zip(partitions, values, strict=True)), marks=marks, order=columns)
            for values, members in groups.items()
        ]
        return "\nUNION ALL\n".join(branches)
    return _looked_up(snapshot, stored, partitions, chosen, marks=marks, order=columns)


def _constant(file: DataFile, column: Column) -> str:
    """Value of a partition column in a file, as a constant."""
    folded = {key.lower(): value for key, value in file.partition_values.items()}
    return text.typed(folded.get(column.name.lower()), column.type_text)


def _branch(
    snapshot: Snapshot,
    stored: Sequence[Column],
    files: Sequence[DataFile],
    constants: Sequence[tuple[Column, str | None]],
    *,
    marks: bool,
    order: Sequence[Column],
) -> str:
    """Files that share their partition values."""
    values = {column.name: constant for column, constant in constants}
    shown = [f"{values[column.name]} AS {text.name(column.name)}" if column.name in values else _shown(column) for column in order]
    shown += _marks() if marks else []
    return text.select(shown, _reader(snapshot, stored, files, marks=marks))


def _looked_up(
    snapshot: Snapshot,
    stored: Sequence[Column],
    partitions: Sequence[Column],
    files: Sequence[DataFile],
    *,
    marks: bool,
    order: Sequence[Column],
) -> str:
    """Files of very many partitions: their values come from a list by file name."""
    keys = {column.name: f"k{at}" for at, column in enumerate(partitions)}
    shown = [f'"v".{keys[column.name]} AS {text.name(column.name)}' if column.name in keys else _shown(column, '"p".') for column in order]
    shown += _marks('"p".') if marks else []
    rows = ", ".join(f"({text.literal(file.path)}, {', '.join(_constant(file, column) for column in partitions)})" for file in files)
    listed = f'(VALUES {rows}) AS "v"("f", {", ".join(keys.values())})'
    opened = text.nested(text.select(["*"], _reader(snapshot, stored, files, marks=True)), "p")
    return text.select(shown, f'{opened} JOIN {listed} ON "p".{text.name(FILE_MARK)} = "v"."f"')


def _shown(column: Column, qualifier: str = "") -> str:
    """A stored column in its declared type; the cast costs nothing where the file has that type already."""
    return f"{text.cast(qualifier + text.name(column.name), column.type_text)} AS {text.name(column.name)}"


def _marks(qualifier: str = "") -> list[str]:
    return [f"{qualifier}{text.name(FILE_MARK)} AS {text.name(FILE_MARK)}", f"{qualifier}file_row_number AS {text.name(ROW_MARK)}"]


def _reader(snapshot: Snapshot, stored: Sequence[Column], files: Sequence[DataFile], *, marks: bool) -> str:
    """The call that opens the files; NULL stands for columns that older files lack."""
    options = "hive_partitioning = false"
    if marks:
        options += f", filename = {text.literal(FILE_MARK)}, file_row_number = true"
    paths = text.literals(file.path for file in files)
    if snapshot.uniform or not stored:
        return f"read_parquet({paths}, {options})"
    nothing = text.empty_rows({column.name: column.type_text for column in stored})
    everything = text.select(["*"], f"read_parquet({paths}, {options}, union_by_name = true)")
    return f"({nothing} UNION ALL BY NAME {everything})"
