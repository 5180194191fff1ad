"""Parts of results and their files, over HTTP against a running server: exact values, live rights, and a row of audit each."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from insjo.web.insjo.exports import SHEET_ROWS_MAX, SheetTooLarge, check_sheet, distinct
from insjo.web.insjo.results import disposition
from tests.support.raw import Raw, Told
from tests.support.server import RunningServer

MANY = 1_200_000
"""Enough rows for several chunks."""

KINDS = """
SELECT 1 AS whole, 9007199254740993 AS large, CAST(1.50 AS DECIMAL(10,2)) AS exact,
       CAST(123456789012345678.25 AS DECIMAL(30,2)) AS long_exact,
       0.1D AS double, true AS yes, DATE'2024-02-29' AS day, TIMESTAMP'2024-02-29T12:30:00Z' AS moment, '=1+1' AS formula,
       CAST(NULL AS STRING) AS nothing, array(1, 2) AS list, 'å"b,c' AS words, 1 AS whole
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    with RunningServer(tmp_path_factory.mktemp("results") / "data", environment={"INSJO_LOCAL_MODELS": "0"}) as server:
        yield Raw(server, server.token())


@pytest.fixture(scope="module")
def many(raw: Raw) -> str:
    return finished(raw, f"SELECT id, concat('row ', id) AS name FROM range({MANY})")


def finished(raw: Raw, text: str) -> str:
    """Id of a statement that has succeeded; its rows are not fetched."""
    told = raw.sql(text, disposition="EXTERNAL_LINKS")
    assert told["status"]["state"] == "SUCCEEDED", told
    return str(told["statement_id"])


def fetch(raw: Raw, statement_id: str, form: str, name: str = "") -> Told:
    told = raw.send("GET", f"/api/insjo/v1/statements/{statement_id}/download?format={form}&name={name}")
    assert told.status == 200, told.body[:300]
    return told


def sheets(content: bytes) -> tuple[list[list[tuple[str, str]]], str]:
    """Cells of the first sheet as (type, text), and all texts of the second one; read without the library that wrote them."""
    space = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        first = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314  # Our own server wrote it.
        second = book.read("xl/worksheets/sheet2.xml").decode()
    found = []
    for row in first.iterfind(".//m:row", space):
        cells = []
        for cell in row.iterfind("m:c", space):
            text = cell.find("m:is/m:t", space) if cell.get("t") == "inlineStr" else cell.find("m:v", space)
            assert cell.find("m:f", space) is None, "no value may become a formula"
            cells.append((cell.get("t", "n"), "" if text is None else text.text or ""))
        found.append(cells)
    return found, second


def test_rows_come_from_any_place_also_across_chunks(raw: Raw, many: str) -> None:
    for offset, count in ((0, 3), (499_998, 4), (MANY - 2, 100), (MANY, 5)):
        told = raw.send("GET", f"/api/insjo/v1/statements/{many}/rows?offset={offset}&count={count}").json()
        wanted = range(offset, min(offset + count, MANY))
        assert told == {"offset": offset, "total": MANY, "rows": [[str(each), f"row {each}"] for each in wanted]}


def test_too_many_rows_at_once_and_places_before_the_first_are_refused(raw: Raw, many: str) -> None:
    for query in ("offset=-1&count=5", "offset=0&count=5001", "offset=x"):
        assert raw.send("GET", f"/api/insjo/v1/statements/{many}/rows?{query}").status == 400


def test_csv_holds_all_rows(raw: Raw, many: str) -> None:
    told = fetch(raw, many, "csv", "my%20rows")
    assert told.headers["content-disposition"].startswith('attachment; filename="my rows.csv"')
    lines = told.body.decode().split("\r\n")
    assert lines[0] == "id,name"
    assert len(lines) == MANY + 2
    assert lines[MANY] == f"{MANY - 1},row {MANY - 1}"
    values = next(csv.DictReader(io.StringIO(fetch(raw, finished(raw, KINDS), "csv").body.decode())))
    assert (values["large"], values["words"], values["nothing"], values["list"]) == ("9007199254740993", 'å"b,c', "", "[1,2]")


def test_parquet_keeps_types_and_says_its_label(raw: Raw, many: str) -> None:
    assert pq.read_metadata(pa.BufferReader(fetch(raw, many, "parquet").body)).num_rows == MANY
    found = pq.read_table(pa.BufferReader(fetch(raw, finished(raw, KINDS), "parquet").body))
    assert found.column_names[-1] == "whole_2"
    row = found.to_pylist()[0]
    assert row["exact"] == Decimal("1.50")
    assert row["moment"] == datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    assert row["list"] == [1, 2]
    assert found.schema.metadata[b"insjo.label"] == b"internal"


def test_excel_keeps_every_digit_and_no_text_becomes_a_formula(raw: Raw) -> None:
    cells, about = sheets(fetch(raw, finished(raw, KINDS), "xlsx").body)
    heading, values = cells
    by_name = dict(zip([text for _, text in heading[:12]], values, strict=False))
    assert by_name["whole"] == ("n", "1")
    assert by_name["large"] == ("inlineStr", "9007199254740993")
    assert by_name["exact"] == ("n", "1.50")
    assert by_name["long_exact"] == ("inlineStr", "123456789012345678.25")
    assert by_name["double"] == ("n", "0.1")
    assert by_name["yes"] == ("b", "1")
    assert by_name["day"] == ("n", "45351")
    assert by_name["formula"] == ("inlineStr", "=1+1")
    assert "internal" in about
    assert "DATE" in about


def test_what_excel_cannot_hold_is_refused_and_not_cut_off(raw: Raw, many: str) -> None:
    told = raw.send("GET", f"/api/insjo/v1/statements/{many}/download?format=xlsx")
    assert told.status == 400
    assert told.json()["error_code"] == "SHEET_TOO_LARGE"
    long = finished(raw, "SELECT repeat('x', 40000) AS x")
    assert raw.send("GET", f"/api/insjo/v1/statements/{long}/download?format=xlsx").json()["error_code"] == "SHEET_TOO_LARGE"
    with pytest.raises(SheetTooLarge):
        check_sheet(SHEET_ROWS_MAX + 1, 1)


def test_an_empty_result_has_its_heading_in_every_format(raw: Raw) -> None:
    empty = finished(raw, "SELECT 1 AS a, 'x' AS b WHERE false")
    assert fetch(raw, empty, "csv").body == b"a,b\r\n"
    assert pq.read_table(pa.BufferReader(fetch(raw, empty, "parquet").body)).column_names == ["a", "b"]
    assert sheets(fetch(raw, empty, "xlsx").body)[0] == [[("inlineStr", "a"), ("inlineStr", "b")]]


def test_other_formats_and_statements_without_rows_are_refused(raw: Raw, many: str) -> None:
    assert raw.send("GET", f"/api/insjo/v1/statements/{many}/download?format=exe").status == 400
    failed = raw.sql("SELECT * FROM nowhere")["statement_id"]
    assert raw.send("GET", f"/api/insjo/v1/statements/{failed}/download").json()["error_code"] == "RESULT_MISSING"


def test_rights_are_those_of_now_and_each_download_is_in_the_audit(raw: Raw) -> None:
    server = raw.server
    server.insjo("user", "create", "reader", "--data", str(server.data_dir))
    reader = Raw(server, server.token("reader"))
    raw.sql("CREATE TABLE main.default.rivers AS SELECT 'Torne' AS name")
    for grant in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.default", "SELECT ON TABLE main.default.rivers"):
        assert raw.sql(f"GRANT {grant} TO `reader`")["status"]["state"] == "SUCCEEDED"
    mine = finished(reader, "SELECT * FROM main.default.rivers")
    assert b"Torne" in fetch(reader, mine, "csv").body
    assert raw.send("GET", f"/api/insjo/v1/statements/{mine}/rows").status == 404, "the result of somebody else"
    raw.sql("REVOKE SELECT ON TABLE main.default.rivers FROM `reader`")
    for path in ("rows", "download?format=csv", "download?format=parquet", "download?format=xlsx"):
        told = reader.send("GET", f"/api/insjo/v1/statements/{mine}/{path}")
        assert told.status in {403, 404}, path
        assert b"Torne" not in told.body
    rows = raw.rows("SELECT outcome, reason, label FROM system.access.audit WHERE action = 'statement.download' AND principal = 'reader'")
    assert rows == [["allowed", "csv", "internal"]]


def test_names_are_made_distinct_and_file_names_are_harmless() -> None:
    assert distinct(["a", "A", "b", "a"]) == ["a", "A_2", "b", "a_3"]
    assert disposition('x"; y\r\n../å', "csv") == "attachment; filename=\"x ; y .. _.csv\"; filename*=UTF-8''x%20%3B%20y%20..%20%C3%A5.csv"
