"""Looks into sources: how they are written, what columns and rows they have, and how they fit a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from insjo.access.types import Privilege
from insjo.catalog.types import TableName
from insjo.ingest import sniffing
from insjo.ingest.errors import LoadInvalid
from insjo.ingest.statements import column_names, read_files, table_name
from insjo.ingest.types import Drift, DriftKind, Inspection, Mode, Problem, Source, SourceColumn
from insjo.kernel.errors import NotFound
from insjo.sql.errors import FileReadFailed
from insjo.sql.types import StatementSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.service.room import CatalogRoom
    from insjo.catalog.types import Column, LocalFile
    from insjo.kernel.context import RequestContext
    from insjo.sql.service.room import SqlRoom
    from insjo.sql.types import Result

SAMPLE_ROWS = 50
WAIT_S = 120.0
RESCUED = "_rescued_data"
FORMATS = {
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "parquet": "parquet",
    "avro": "avro",
    "orc": "orc",
    "xlsx": "excel",
    "xlsm": "excel",
    "xls": "excel",
    "xlsb": "excel",
    "ods": "excel",
    "db": "sqlite",
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
}
_PACKED = (".gz", ".zst")


class Inspections:
    """Looks into sources with the caller's rights; nothing is written."""

    def __init__(self, *, catalog: CatalogRoom, sql: SqlRoom) -> None:
        """Files are looked at here, rows are read by statements."""
        self._catalog = catalog
        self._sql = sql

    def inspect(self, ctx: RequestContext, source: Source, target: str = "", mode: Mode = Mode.APPEND) -> Inspection:
        """Columns, first rows and problems of a source, and its drift against a table.

        Raises:
            FileNotFound, AccessDenied: The caller may not read it.
            FileReadFailed, FileOptionInvalid: It cannot be read at all.
        """
        files = list(self._catalog.files.resolve_local(ctx, source.path, Privilege.READ_VOLUME))
        found = self.understood(ctx, source, files)
        problems: list[Problem] = []
        try:
            result = self._sample(ctx, found)
        except FileReadFailed as error:
            line = error.details.get("line")
            problems.append(Problem(error.message, error.hint, line if isinstance(line, int) else 0))
            if found.format not in {"csv", "json"}:
                raise
            result = self._sample(ctx, found, mode="PERMISSIVE")
        names = [each.name for each in result.statement.columns]
        given = {name.lower() for name in source.types}
        columns = tuple(
            SourceColumn(each.name, clean, _storable(each.type_text), overridden=each.name.lower() in given)
            for each, clean in zip(result.statement.columns, column_names(names), strict=True)
        )
        present = self.target_columns(ctx, target) if target else None
        return Inspection(
            source=found,
            columns=columns,
            sample=result.table,
            problems=tuple(problems),
            drift=drift(columns, present, mode) if present is not None else (),
            size_bytes=sum(each.size_bytes for each in files),
            files=len(files),
            target=target,
            target_exists=present is not None,
        )

    def understood(self, ctx: RequestContext, source: Source, files: Sequence[LocalFile]) -> Source:
        """The source with its format and the options that were left to us."""
        file_format = source.format.lower() or _format(files)
        options = {key: value for key, value in source.options.items() if value != ""}
        folded = {key.lower() for key in options}
        first = next((each for each in files if each.size_bytes), None)
        if first is None or file_format not in {"csv", "json"} or first.path.lower().endswith(_PACKED):
            if file_format == "csv" and "header" not in folded:
                options["header"] = "true"
            return replace(source, format=file_format, options=options)
        beginning = b"".join(self._catalog.files.read(ctx, first.path, 0, sniffing.BYTES_MAX))
        given = {key.lower(): value for key, value in options.items()}
        encoding = given.get("encoding") or given.get("charset") or sniffing.encoding_of(beginning)
        if not folded & {"encoding", "charset"} and encoding != "utf-8":
            options["encoding"] = encoding
        if file_format == "json":
            if "multiline" not in folded and _is_one_document(beginning, encoding):
                options["multiLine"] = "true"
            return replace(source, format=file_format, options=options)
        asked = given.get("delimiter") or given.get("sep") or ""
        form = sniffing.form_of(beginning, delimiter={"\\t": "\t"}.get(asked, asked), encoding=encoding)
        if not folded & {"delimiter", "sep"}:
            options["delimiter"] = "\\t" if form.delimiter == "\t" else form.delimiter
        if "header" not in folded:
            options["header"] = str(form.header).lower()
        return replace(source, format=file_format, options=options)

    def target_columns(self, ctx: RequestContext, target: str) -> tuple[Column, ...] | None:
        """Columns of a table, or None when the caller knows of none by that name."""
        table_name(target)
        try:
            table = self._catalog.tables.get(ctx, TableName.parse(target))
        except NotFound:
            return None
        return tuple(table.columns)

    def _sample(self, ctx: RequestContext, source: Source, **more: str) -> Result:
        """The first rows."""
        text = f"SELECT * FROM {read_files(source, **more)} LIMIT {SAMPLE_ROWS}"  # noqa: S608  # Every part is quoted by read_files.
        return self._sql.statements.run(ctx, StatementSpec(text), WAIT_S)


def drift(columns: Sequence[SourceColumn], present: Sequence[Column], mode: Mode) -> tuple[Drift, ...]:
    """How the columns of a source differ from those of a table, and which of that a load would apply."""
    known: Mapping[str, Column] = {column.name.lower(): column for column in present}
    replaces = mode is Mode.REPLACE
    found: list[Drift] = []
    for each in columns:
        column = known.get(each.target.lower())
        if column is None:
            found.append(Drift(DriftKind.ADDED, each.target, each.type_text, "", applied=True))
        elif column.type_text != each.type_text:
            found.append(Drift(DriftKind.CHANGED, column.name, each.type_text, column.type_text, applied=False))
    given = {each.target.lower() for each in columns}
    found += [
        Drift(DriftKind.MISSING, column.name, "", column.type_text, applied=replaces)
        for column in present
        if column.name.lower() not in given
    ]
    return tuple(found)


def _format(files: Sequence[LocalFile]) -> str:
    """Format by the endings of the names."""
    names = {each.path.lower().removesuffix(".gz").removesuffix(".zst").rpartition(".")[2] for each in files}
    formats = {FORMATS.get(name, "") for name in names}
    if len(formats) == 1 and (only := formats.pop()):
        return only
    message = "The format of the files is not clear from their names."
    raise LoadInvalid(message, hint=f"Choose one: {', '.join(dict.fromkeys(FORMATS.values()))}.")


def _is_one_document(beginning: bytes, encoding: str) -> bool:
    """Whether JSON is one array or one object over several lines, and not one record a line."""
    text = sniffing.text_of(beginning, encoding).removeprefix("\ufeff").lstrip()
    first = text.partition("\n")[0].rstrip()
    return text.startswith("[") or (first.startswith("{") and not first.endswith("}"))


def _storable(type_text: str) -> str:
    """A type that a table can have."""
    return "string" if type_text == "void" else type_text
