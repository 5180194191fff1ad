"""What only drivers ask of the statement API: LZ4, results inline or by links as they fit, schemas without rows, sessions."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.clients.conftest import Site
from tests.support.raw import Raw

ARROW: dict[str, object] = {"format": "ARROW_STREAM", "disposition": "INLINE_OR_EXTERNAL_LINKS", "result_compression": "LZ4_FRAME"}


@pytest.fixture(scope="module")
def raw(site: Site) -> Raw:
    return Raw(site.server, site.token("admin"))


def table_of(packed: bytes) -> pa.Table:
    """Rows of a stream that is one frame of LZ4."""
    with pa.CompressedInputStream(pa.BufferReader(packed), "lz4") as stream:
        return pa.ipc.open_stream(stream.read()).read_all()


def succeeded(told: dict[str, Any]) -> dict[str, Any]:
    assert told["status"]["state"] == "SUCCEEDED", told
    return told


@pytest.mark.parametrize("disposition", ["INLINE_OR_EXTERNAL_LINKS", "HYBRID"])
def test_a_small_result_comes_with_the_answer(raw: Raw, disposition: str) -> None:
    told = succeeded(raw.sql("SELECT 1 AS one, CAST(2.50 AS DECIMAL(9,2)) AS two", **(ARROW | {"disposition": disposition})))
    assert told["manifest"]["result_compression"] == "LZ4_FRAME"
    decimal = told["manifest"]["schema"]["columns"][1]
    assert (decimal["type_name"], decimal["type_precision"], decimal["type_scale"]) == ("DECIMAL", 9, 2)
    rows = table_of(base64.b64decode(told["result"]["attachment"]))
    assert [list(row.values()) for row in rows.to_pylist()] == [[1, Decimal("2.50")]]
    again = raw.send("GET", f"/api/2.0/sql/statements/{told['statement_id']}/result/chunks/0").json()
    assert base64.b64decode(again["attachment"]) == base64.b64decode(told["result"]["attachment"])


def test_a_large_result_comes_by_links_and_each_is_signed_for_its_compression(raw: Raw) -> None:
    told = succeeded(raw.sql("SELECT id, CAST(id AS STRING) AS text FROM range(900000) ORDER BY id", **ARROW))
    assert told["manifest"]["total_chunk_count"] > 1
    seen, index = 0, 0
    while True:
        part = raw.send("GET", f"/api/2.0/sql/statements/{told['statement_id']}/result/chunks/{index}").json()
        (link,) = part["external_links"]
        path = link["external_link"].partition(f":{raw.server.port}")[2]
        rows = table_of(raw.send("GET", path, authorization="").body)
        assert rows.column("id")[0].as_py() == seen == link["row_offset"]
        seen += rows.num_rows
        for changed in (
            path.replace("LZ4_FRAME", "NONE"),
            path.replace("ARROW_STREAM", "CSV"),
            path.replace(f"/{index}?", f"/{index + 1}?"),
        ):
            assert raw.send("GET", changed, authorization="").status in {401, 403}, changed
        if "next_chunk_index" not in part:
            break
        index = part["next_chunk_index"]
    assert seen == 900_000


def test_a_result_without_rows_has_a_schema_with_the_types_of_sql(raw: Raw) -> None:
    told = succeeded(raw.sql("SELECT 1 AS n, parse_json('1') AS v, INTERVAL '1' DAY AS i, NULL AS u WHERE false", **ARROW))
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(told["manifest"]["arrow_schema"])))
    assert schema.types == [pa.int32(), pa.string(), pa.string(), pa.string()]
    names = [field.metadata[b"Spark:DataType:SqlName"] for field in schema]
    assert names == [b"INT", b"VARIANT", b"INTERVAL DAY", b"VOID"]


def test_parameters_without_a_name_and_without_a_type(raw: Raw) -> None:
    given = [{"value": "41", "type": "INT"}, {"value": "text", "type": None}, {"value": None, "type": "DATE"}]
    told = succeeded(raw.sql("SELECT ? + 1 AS a, ? AS b, ? AS c", parameters=given))
    assert told["result"]["data_array"] == [["42", "text", None]]


def test_intervals_are_text_as_drivers_show_them(raw: Raw) -> None:
    text = "SELECT INTERVAL '14' MONTH, INTERVAL '-14' MONTH, INTERVAL '1 02:03:04.5' DAY TO SECOND, -INTERVAL '90' MINUTE"
    assert raw.rows(text) == [["1-2", "-1-2", "1 02:03:04.500000000", "-0 01:30:00.000000000"]]


def test_what_is_no_compression_and_no_disposition_is_refused(raw: Raw) -> None:
    for wrong, status in (({"result_compression": "ZSTD"}, 501), ({"disposition": "BY_PIGEON"}, 400), ({"format": "ARROW_STREAM"}, 400)):
        told = raw.send("POST", "/api/2.0/sql/statements", {"statement": "SELECT 1", **wrong})
        assert told.status == status, told


def test_a_session_is_its_owners_alone(site: Site, raw: Raw) -> None:
    made = raw.send("POST", "/api/2.0/sql/sessions", {"catalog": "main", "schema": "default"}).json()["session_id"]
    succeeded(raw.sql("CREATE TEMPORARY VIEW seven AS SELECT 7 AS n", session_id=made))
    assert succeeded(raw.sql("SELECT n FROM seven", session_id=made))["result"]["data_array"] == [["7"]]
    other = Raw(site.server, site.token("driver-guest"))
    assert other.send("POST", "/api/2.0/sql/statements", {"statement": "SELECT n FROM seven", "session_id": made}).status == 404
    assert other.send("DELETE", f"/api/2.0/sql/sessions/{made}").status == 404
    assert raw.send("DELETE", f"/api/2.0/sql/sessions/{made}").status == 200
    assert raw.send("POST", "/api/2.0/sql/statements", {"statement": "SELECT 1", "session_id": made}).status == 404


def test_nothing_of_what_drivers_tell_about_themselves_is_kept(raw: Raw) -> None:
    told = raw.send("POST", "/telemetry-ext", b"not even JSON")
    assert told.status == 200
    assert told.json()["numProtoSuccess"] == 0
    assert raw.send("POST", "/telemetry-ext", b"{}", authorization="Bearer insjo_wrong").status == 401
    assert raw.send("GET", "/api/2.0/connector-service/feature-flags/PYTHON/4.9.0").json()["flags"] == []
