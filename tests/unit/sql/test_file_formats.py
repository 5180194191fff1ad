"""Files that the engine does not read by itself, and rows that do not fit."""

from __future__ import annotations

import gzip
import io
import sqlite3
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import fastavro
import pyarrow as pa
import pytest
from pyarrow import orc

from insjo.adapters.tabular.converter import FileConversions
from insjo.sql.errors import FileOptionInvalid, FileReadFailed, FileTooHeavy, UnsupportedFeature
from tests.support.desk import Desk
from tests.support.workbook import workbook

pytestmark = pytest.mark.slow

TYPED = "schema => 'id INT, n STRUCT<x: INT>, m MAP<STRING, INT>, l ARRAY<INT>'"
LINES = (
    '{"id": 1, "n": {"x": 1}}',
    "nope",
    '{"id": "q", "n": {"x": 1}}',
    '{"id": 4, "n": {"x": "z"}}',
    "",
    '{"id": 6, "m": {"a": 1}, "l": [1, 2]}',
    '{"id": 7, "m": {"a": "x"}}',
    '{"id": 8, "l": ["x"]}',
    "[1]",
)


def test_excel_with_the_types_of_its_cells(desk: Desk) -> None:
    rows: list[list[object]] = [
        ["id", "zip", "price", "born", "ok", "mixed", ""],
        [1, "00123", 1.5, date(2020, 1, 2), True, 1, "x"],
        [2, "7", 2, None, False, "b", None],
    ]
    path = desk.put("a.xlsx", workbook({"People": rows, "Other": [["a"], [1]]}))
    assert desk.rows(f"SELECT * FROM read_files('{path}') ORDER BY id") == [
        (1, "00123", 1.5, date(2020, 1, 2), True, "1", "x"),
        (2, "7", 2.0, None, False, "b", None),
    ]
    assert desk.value(f"SELECT a FROM read_files('{path}', sheetName => 'Other')") == 1
    assert desk.rows(f"SELECT _c0 FROM read_files('{path}', sheet => 'Other', header => false)") == [("a",), ("1",)]
    assert desk.value(f"SELECT id FROM read_files('{path}', schemaHints => 'id STRING') WHERE ok") == "1"
    assert desk.value(f"SELECT count(*) FROM excel.`{path}`") == 2
    error = desk.error(f"SELECT * FROM read_files('{path}', sheetName => 'None')")
    assert isinstance(error, FileOptionInvalid)
    assert "`People`, `Other`" in error.message


def test_avro_with_nested_values(desk: Desk) -> None:
    fields = [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "cost", "type": {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "at", "type": {"type": "record", "name": "Place", "fields": [{"name": "x", "type": "double"}]}},
        {"name": "odd", "type": ["null", "int", "string"]},
    ]
    seen = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    row = {
        "id": 1,
        "name": None,
        "day": date(2020, 1, 2),
        "seen": seen,
        "cost": Decimal("12.50"),
        "tags": ["a"],
        "at": {"x": 0.5},
        "odd": 7,
    }
    file = io.BytesIO()
    fastavro.writer(file, {"type": "record", "name": "Row", "fields": fields}, [row])
    path = desk.put("a.avro", file.getvalue())
    assert desk.rows(f"SELECT id, name, day, seen, cost, tags[0], at.x, odd, _metadata.file_name FROM read_files('{path}')") == [
        (1, None, date(2020, 1, 2), seen, Decimal("12.50"), "a", 0.5, "7", "a.avro"),
    ]
    damaged = desk.put("d.avro", file.getvalue()[:-20] + b"x" * 4)
    assert isinstance(desk.error(f"SELECT * FROM read_files('{damaged}')"), FileReadFailed)


def test_orc_and_sqlite(desk: Desk, tmp_path: Path) -> None:
    orc.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), str(tmp_path / "a.orc"))
    path = desk.put("a.orc", (tmp_path / "a.orc").read_bytes())
    assert desk.rows(f"SELECT * FROM read_files('{path}') ORDER BY a") == [(1, "x"), (2, None)]
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER, name TEXT, born DATE, loose)")
        connection.execute("INSERT INTO t VALUES (1, 'é', '2020-01-02', 5), (2, NULL, NULL, 'x')")
    path = desk.put("s.db", (tmp_path / "s.db").read_bytes())
    assert desk.rows(f"SELECT * FROM read_files('{path}') ORDER BY id") == [(1, "é", date(2020, 1, 2), "5"), (2, None, None, "x")]
    assert "`t`" in desk.error(f"SELECT * FROM read_files('{path}', table => 'sqlite_schema')").message


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1252", "iso-8859-15", "utf-8-sig", "ISO-8859-1"])
def test_encodings(desk: Desk, encoding: str) -> None:
    said = "Åsa €" if encoding != "ISO-8859-1" else "Åsa"
    path = desk.put("e.csv", f"id,name\n1,{said}\n".encode(encoding))
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    assert desk.rows(f"SELECT id, name FROM read_files('{path}', header => true, encoding => '{name}')") == [(1, said)]
    lines = desk.put("e.jsonl", f'{{"name": "{said}"}}\n'.encode(encoding))
    assert desk.rows(f"SELECT name FROM read_files('{lines}', encoding => '{name}')") == [(said,)]


def test_a_wrong_encoding_is_told_with_its_line(desk: Desk) -> None:
    path = desk.put("e.csv", b"id,name\n1,x\n2,\x81\n")
    error = desk.error(f"SELECT * FROM read_files('{path}', header => true, encoding => 'windows-1252')")
    assert isinstance(error, FileReadFailed)
    assert "line 3" in error.message


def test_json_rows_that_do_not_fit(desk: Desk) -> None:
    path = desk.put("a.jsonl", "\n".join(LINES))
    dropped = desk.rows(f"SELECT id, n.x, m['a'], l FROM read_files('{path}', {TYPED}, mode => 'DROPMALFORMED')")
    assert dropped == [(1, 1, None, None), (6, None, 1, [1, 2])]
    kept = desk.rows(f"SELECT id, _rescued_data FROM read_files('{path}', {TYPED}, mode => 'PERMISSIVE')")
    assert kept == [
        (1, None),
        (None, "nope"),
        (None, '{"id":"q"}'),
        (4, '{"n":{"x":"z"}}'),
        (6, None),
        (7, '{"m":{"a":"x"}}'),
        (8, '{"l":["x"]}'),
        (None, "{}"),
    ]
    error = desk.error(f"SELECT * FROM read_files('{path}', {TYPED}, mode => 'DROPMALFORMED', multiLine => true)")
    assert isinstance(error, UnsupportedFeature)


def test_rescued_data_of_csv(desk: Desk) -> None:
    path = desk.put("a.csv", "id,born\n1,2020-01-02\nabc,never\n")
    source = f"read_files('{path}', header => true, schema => 'id INT, born DATE', mode => 'PERMISSIVE')"
    assert desk.rows(f"SELECT id, _rescued_data FROM {source}") == [(1, None), (None, '{"id":"abc","born":"never"}')]


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("crlf.csv", b"a,b\r\n1,x\r\n2,y", [(1, "x"), (2, "y")]),
        ("cr.csv", b"a,b\r1,x\r2,y", [(1, "x"), (2, "y")]),
        ("packed.csv.gz", gzip.compress(b"a,b\n1,x\n", mtime=0), [(1, "x")]),
        ("quoted.csv", b'a,b\n1,"x\ny"\n', [(1, "x\ny")]),
        ("wide.csv", (",".join(f"c{n}" for n in range(2000)) + "\n" + ",".join("1" * 2000) + "\n").encode(), [(1,) * 2000]),
    ],
)
def test_odd_files_are_read(desk: Desk, name: str, content: bytes, rows: list[tuple[object, ...]]) -> None:
    assert desk.rows(f"SELECT * FROM read_files('{desk.put(name, content)}', header => true) ORDER BY 1") == rows


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("long.csv", b"a\n" + b"x" * 3_000_000 + b"\n", "is longer than the 2 MB"),
        ("bomb.csv.gz", gzip.compress(b"a\n" + b"x" * 200_000_000, mtime=0), "is longer than the 2 MB"),
        ("plain.csv.gz", b"a,b\n1,x\n", "is not a GZIP stream"),
        ("deep.jsonl", b'{"a":' * 3000 + b"\n", "is not valid JSON"),
    ],
)
def test_hostile_files_are_told_and_harm_nothing(desk: Desk, name: str, content: bytes, said: str) -> None:
    error = desk.error(f"SELECT count(*) FROM read_files('{desk.put(name, content)}'{', header => true' if '.csv' in name else ''})")
    assert isinstance(error, FileReadFailed)
    assert said in error.message
    assert desk.value("SELECT 1") == 1


def test_a_packed_workbook_that_unfolds_without_end_ends_alone(tmp_path: Path) -> None:
    """A zip bomb: 800 MB of one letter in a few megabytes."""
    honest = io.BytesIO(workbook({"A": [["a"], [1]]}))
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for name in source.namelist():
            if not name.startswith("xl/worksheets/"):
                target.writestr(name, source.read(name))
        with target.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            for number in range(1, 800):
                cell = f'<row r="{number}"><c r="A{number}" t="inlineStr"><is><t>{"x" * 1_000_000}</t></is></c></row>'
                sheet.write(cell.encode())
            sheet.write(b"</sheetData></worksheet>")
    conversions = FileConversions(tmp_path / "staging", memory_bytes_max=512 * 1024**2)
    conversions.start()
    with pytest.raises(FileTooHeavy):
        conversions.convert(str(path), "bomb.xlsx", "excel", {"header": "true"})
    assert list((tmp_path / "staging").iterdir()) == []
    (tmp_path / "good.xlsx").write_bytes(honest.getvalue())
    assert conversions.convert(str(tmp_path / "good.xlsx"), "good.xlsx", "excel", {"header": "true"}).types == ("bigint",)
