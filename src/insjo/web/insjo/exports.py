"""Files that hold a result: CSV and Parquet are written while they are sent, Excel needs the whole file first."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Protocol

import pyarrow as pa

from insjo.kernel.errors import FailedPrecondition
from insjo.web.databricks.values import column_texts, csv_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xlsxwriter.format
    import xlsxwriter.worksheet

    from insjo.sql.types import ResultColumn

SHEET_ROWS_MAX = 1_048_575
"""Rows of an Excel sheet without its heading."""

SHEET_COLUMNS_MAX = 16_384
CELL_CHARACTERS_MAX = 32_767
EXACT_DIGITS = 15
"""Excel keeps numbers as doubles: a number with more digits is written as text rather than changed."""

EXCEL_YEAR_MIN = 1900
READ_BYTES = 256 * 1024
SPOOL_BYTES = 8 * 1024 * 1024
TITLE_WIDTH_MAX = 40
DATE_FORM, MOMENT_FORM = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of itself, where its format has a place for it."""

    label: str
    statement: str
    origins: tuple[str, ...]
    person: str
    moment: datetime


class Writer(Protocol):
    """Turns rows into a file."""

    def add(self, rows: pa.Table) -> bytes:
        """Take rows; gives what of the file is ready, which may be nothing."""
        ...

    def finish(self) -> Iterator[bytes]:
        """The rest of the file."""
        ...

    def close(self) -> None:
        """Remove what was kept meanwhile."""
        ...


class SheetTooLarge(FailedPrecondition):
    """Excel cannot hold the result."""

    code = "SHEET_TOO_LARGE"


def check_sheet(rows: int, columns: int) -> None:
    """Raise SheetTooLarge for a result that no Excel sheet holds; a part of it would be a wrong file."""
    if rows > SHEET_ROWS_MAX or columns > SHEET_COLUMNS_MAX:
        message = f"The result has {rows:,} rows, and an Excel sheet holds at most {SHEET_ROWS_MAX:,}."
        raise SheetTooLarge(message, hint="Download it as CSV or Parquet, or sum it up first.")


def writer(form: str, columns: Sequence[ResultColumn], about: About) -> Writer:
    """The writer of a format."""
    names = [column.name for column in columns]
    if form == "parquet":
        return ParquetFile(names, about)
    return ExcelFile(names, about) if form == "xlsx" else CsvFile(names)


class CsvFile:
    """RFC 4180 with a heading; NULL is an empty field."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._begun = False

    def add(self, rows: pa.Table) -> bytes:
        """The rows as lines."""
        header, self._begun = not self._begun, True
        return csv_bytes(rows.rename_columns(self._names), header=header)

    def finish(self) -> Iterator[bytes]:
        """The heading, when no row came."""
        if not self._begun:
            empty = pa.table({str(index): pa.array([], pa.string()) for index in range(len(self._names))})
            yield csv_bytes(empty.rename_columns(self._names), header=True)

    def close(self) -> None:
        """Nothing is kept."""


class _Drain:
    """Takes bytes of a writer that only goes forward, until they are fetched."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0
        self.closed = False

    def write(self, part: bytes) -> int:
        """Keep a part."""
        kept = bytes(part)
        self._parts.append(kept)
        self._position += len(kept)
        return len(kept)

    def tell(self) -> int:
        """Bytes so far."""
        return self._position

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Take no more."""
        self.closed = True

    def taken(self) -> bytes:
        """All parts since the last call."""
        whole, self._parts = b"".join(self._parts), []
        return whole


class ParquetFile:
    """Parquet with the exact types; the label stands in the file's metadata under `insjo.label`."""

    def __init__(self, names: Sequence[str], about: About) -> None:
        self._names = distinct(names)
        self._about = about
        self._drain = _Drain()
        self._writer: object | None = None

    def add(self, rows: pa.Table) -> bytes:
        """The rows as a group of rows of the file."""
        self._open(rows.schema)
        self._writer.write_table(_plain(rows).rename_columns(self._names))  # type: ignore[union-attr]  # Opened one line above.
        return self._drain.taken()

    def _open(self, schema: pa.Schema) -> None:
        """Begin the file at the first rows."""
        import pyarrow.parquet as pq  # Only those who download Parquet pay for it.

        if self._writer is None:
            plain = _plain(schema.empty_table()).rename_columns(self._names).schema
            plain = plain.with_metadata({"insjo.label": self._about.label, "insjo.statement": self._about.statement[:10_000]})
            self._writer = pq.ParquetWriter(pa.PythonFile(self._drain, mode="w"), plain, compression="zstd")

    def finish(self) -> Iterator[bytes]:
        """The footer."""
        if self._writer is None:
            self._open(pa.schema([pa.field(name, pa.string()) for name in self._names]))
        self._writer.close()  # type: ignore[union-attr]  # Opened above.
        yield self._drain.taken()

    def close(self) -> None:
        """Nothing is kept outside memory."""


def distinct(names: Sequence[str]) -> list[str]:
    """Names of which none comes twice: readers of Parquet find columns by name."""
    seen: set[str] = set()
    found: list[str] = []
    for name in names:
        unique, number = name, 1
        while unique.lower() in seen:
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique.lower())
        found.append(unique)
    return found


def _plain(rows: pa.Table) -> pa.Table:
    """Intervals as texts, since Parquet has no type for them that others read."""
    for index, field in enumerate(rows.schema):
        if pa.types.is_interval(field.type) or pa.types.is_duration(field.type):
            rows = rows.set_column(index, field.name, pa.array(column_texts(rows.column(index)), pa.string()))
    return rows


class ExcelFile:
    """An Excel workbook: the rows on one sheet, what they are and how they are labelled on a second one."""

    def __init__(self, names: Sequence[str], about: About) -> None:
        import xlsxwriter  # Only those who download Excel pay for it.

        self._names = list(names)
        self._about = about
        self._row = 0
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # It lives as long as the download; `close` ends it.
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        self._book = xlsxwriter.Workbook(self._file, options)
        self._sheet: xlsxwriter.worksheet.Worksheet = self._book.add_worksheet("Result")
        self._bold = self._book.add_format({"bold": True})
        self._forms = {date: self._book.add_format({"num_format": DATE_FORM}), datetime: self._book.add_format({"num_format": MOMENT_FORM})}
        self._sheet.freeze_panes(1, 0)
        for index, name in enumerate(self._names):
            self._sheet.set_column(index, index, min(max(len(name) + 3, 12), TITLE_WIDTH_MAX))
        for index, name in enumerate(self._names):
            self._sheet.write_string(0, index, name[:CELL_CHARACTERS_MAX], self._bold)

    def add(self, rows: pa.Table) -> bytes:
        """Take rows; the file is sent at the end."""
        columns = [_cells(rows.column(index)) for index in range(rows.num_columns)]
        for values in zip(*columns, strict=True):
            self._row += 1
            for index, value in enumerate(values):
                if value is not None:
                    self._write(index, value)
        return b""

    def _write(self, index: int, value: object) -> None:
        """One cell that is not empty."""
        if isinstance(value, bool):
            self._sheet.write_boolean(self._row, index, value)
        elif isinstance(value, int | float | Decimal):
            self._sheet.write_number(self._row, index, value)
        elif isinstance(value, date):
            form: xlsxwriter.format.Format = self._forms[type(value)]
            self._sheet.write_datetime(self._row, index, value, form)
        else:
            text = str(value)
            if len(text) > CELL_CHARACTERS_MAX:
                message = f"A value of `{self._names[index]}` has {len(text):,} characters; an Excel cell holds {CELL_CHARACTERS_MAX:,}."
                raise SheetTooLarge(message, hint="Download it as CSV or Parquet, or leave the column out.")
            self._sheet.write_string(self._row, index, text)

    def finish(self) -> Iterator[bytes]:
        """The whole file."""
        if self._row:
            self._sheet.autofilter(0, 0, self._row, len(self._names) - 1)
        facts = self._book.add_worksheet("About")
        facts.set_column(0, 0, 14)
        facts.set_column(1, 1, 100)
        about = self._about
        lines = {
            "Label": about.label,
            "Rows": f"{self._row}",
            "Made by": about.person,
            "Made at": about.moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            "From": "\n".join(about.origins)[:CELL_CHARACTERS_MAX],
            "Statement": about.statement[:CELL_CHARACTERS_MAX],
        }
        for row, (name, text) in enumerate(lines.items()):
            facts.write_string(row, 0, name, self._bold)
            facts.write_string(row, 1, text)
        self._book.close()
        self._file.seek(0)
        return iter(lambda: self._file.read(READ_BYTES), b"")

    def close(self) -> None:
        """The file goes away."""
        self._file.close()


def _cells(column: pa.ChunkedArray) -> list[object]:
    """Values as Excel takes them: numbers, booleans and times as such where it keeps them exactly, all else as text."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return list(column.to_pylist())
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return [value if value is None or _exact(value) else str(value) for value in column.to_pylist()]
    if pa.types.is_floating(kind):
        texts = column_texts(column)
        return [None if text is None else text if text[-1] in "yN" else float(text) for text in texts]
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        texts = column_texts(column)
        return [_moment(value, text) for value, text in zip(column.to_pylist(), texts, strict=True)]
    return list(column_texts(column))


def _exact(value: int | Decimal) -> bool:
    """Whether a double, as Excel has them, holds the number as it is."""
    return len(Decimal(value).normalize().as_tuple().digits) <= EXACT_DIGITS


def _moment(value: date | datetime | None, text: str | None) -> object:
    """A time without its zone (it is UTC), or its text where Excel's calendar does not reach or seconds are too coarse."""
    if value is None or value.year <= EXCEL_YEAR_MIN:
        return text
    if isinstance(value, datetime):
        return text if value.microsecond else value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return value
