"""`table_changes`: what it is asked for, and the files of changes as a query of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.types import ChangeKind, Column
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.scan import FILE_MARK, scan
from insjo.sql.binding.time_travel import moment
from insjo.sql.errors import ChangeBoundaryNull, FunctionArguments
from insjo.sql.parsing.cursor import split_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from insjo.catalog.types import ChangeFile, ResolvedTable
    from insjo.sql.parsing.nodes import NamePath

CHANGE_TYPE = "_change_type"
_VERSION, _MOMENT = "_commit_version", "_commit_timestamp"
_WHOLE = frozenset({exp.DataType.Type.INT, exp.DataType.Type.BIGINT, exp.DataType.Type.SMALLINT, exp.DataType.Type.TINYINT})
_ARGUMENTS_MIN, _ARGUMENTS_MAX = 2, 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of `table_changes`: a table, and a range of versions or moments with both its ends."""

    path: NamePath
    start: int | datetime
    end: int | datetime | None


def wanted(call: exp.Expr, now: datetime) -> Wanted:
    """Read the arguments; they are constants.

    Raises:
        FunctionArguments, ChangeBoundaryNull, SyntaxInvalid, UnsupportedFeature: They are not.
    """
    given = list(call.expressions)
    if not _ARGUMENTS_MIN <= len(given) <= _ARGUMENTS_MAX or not (isinstance(given[0], exp.Literal) and given[0].is_string):
        message = "`table_changes` takes the name of a table as a text, a first version or moment, and a last one if there is to be one."
        raise FunctionArguments(message, hint="`table_changes('main.sales.orders', 2, 5)`")
    ends = [_boundary(each, now) for each in given[1:]]
    return Wanted(split_name(str(given[0].this)), ends[0], ends[1] if len(ends) > 1 else None)


def _boundary(value: exp.Expr, now: datetime) -> int | datetime:
    """A version, or a moment."""
    inner, whole = value, False
    while isinstance(inner, exp.Paren | exp.Cast):
        whole = whole or (isinstance(inner, exp.Cast) and inner.to.this in _WHOLE)
        inner = inner.this
    if isinstance(inner, exp.Null):
        message = "The first and the last version of `table_changes` may not be NULL."
        raise ChangeBoundaryNull(message)
    if isinstance(inner, exp.Literal) and (whole or not inner.is_string):
        if not str(inner.this).isdigit():
            message = f"`{inner.this}` is not a version."
            raise FunctionArguments(message, hint="Versions are whole numbers; moments are texts such as '2026-01-31 12:00:00'.")
        return int(inner.this)
    if isinstance(inner, exp.Neg):
        message = "A version cannot be negative."
        raise FunctionArguments(message)
    return moment(value, now)


def change_columns(columns: Sequence[Column]) -> list[Column]:
    """The columns of a table with those that the feed adds."""
    added = ((CHANGE_TYPE, "string"), (_VERSION, "bigint"), (_MOMENT, "timestamp"))
    return [*columns, *(Column(name, kind, position=len(columns) + at) for at, (name, kind) in enumerate(added))]


def changed_rows(found: ResolvedTable, files: Sequence[ChangeFile], read: Sequence[Column]) -> str:
    """Query that gives some columns of all changed rows."""
    alike: dict[tuple[bool, tuple[str, ...]], list[ChangeFile]] = {}
    for each in files:
        alike.setdefault((each.kind is ChangeKind.TOLD, each.partition_columns), []).append(each)
    parts = [_rows(found, group, read, told=told) for (told, _), group in alike.items()]
    return "\nUNION ALL\n".join(parts) if parts else text.empty_rows({column.name: column.type_text for column in read})


def _rows(found: ResolvedTable, files: Sequence[ChangeFile], read: Sequence[Column], *, told: bool) -> str:
    """Rows of files that are partitioned alike: they tell the kind of change themselves, or all their rows came or went."""
    assert found.snapshot is not None  # noqa: S101  # The catalog gives files for tables with a snapshot only.
    kind = Column(CHANGE_TYPE, "string")
    own = [column for column in read if column.name not in {CHANGE_TYPE, _VERSION, _MOMENT}]
    opened = scan(
        found.table.full_name,
        replace(found.snapshot, uniform=False, partition_columns=files[0].partition_columns),
        [*own, kind] if told else own,
        files=list({each.file.path: each.file for each in files}.values()),
        marks=True,
    )
    sources = {CHANGE_TYPE: f'"p".{text.name(CHANGE_TYPE)}' if told else '"v"."k"', _VERSION: '"v"."n"', _MOMENT: '"v"."w"'}
    stored = {column.name: f'"p".{text.name(column.name)}' for column in own}
    shown = [f"{({**stored, **sources})[column.name]} AS {text.name(column.name)}" for column in read]
    # A file that came in one version and went in another one stands in the list twice, and so do its rows.
    listed = ", ".join(
        f"({text.literal(each.file.path)}, {text.literal(each.kind)}, {text.typed(each.version, 'bigint')}, "
        f"{text.typed(each.timestamp, 'timestamp')})"
        for each in files
    )
    by_file = f'{text.nested(opened, "p")} JOIN (VALUES {listed}) AS "v"("f", "k", "n", "w") ON "p".{text.name(FILE_MARK)} = "v"."f"'
    return text.select(shown, by_file)
