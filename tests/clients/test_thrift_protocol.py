"""The Thrift protocol as drivers without Arrow and other languages use it: columns of values, parts, order, facts about the server."""

from __future__ import annotations

import base64
import struct
import time
import urllib.request

import pyarrow as pa
import pytest

from insjo.web.thrift import messages
from insjo.web.thrift.binary import Kind, MessageKind, Reader
from insjo.web.thrift.messages import OperationState, StatusCode
from tests.clients.conftest import Site
from tests.support.thrift import Driver, answer_of, columns_of, error_of, message, rows_of

WITHIN_S = 60


@pytest.fixture(scope="module")
def driver(site: Site) -> Driver:
    warehouse = next(iter(site.client().warehouses.list())).id
    assert warehouse
    return Driver(site.server.url, site.token("admin"), warehouse).open()


def state(driver: Driver, handle: messages.OperationHandle | None) -> messages.GetOperationStatusResp:
    """The state of an operation once it has ended."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        told = driver.about("GetOperationStatus", handle, messages.GetOperationStatusResp)
        if told.operation_state not in {OperationState.RUNNING, OperationState.PENDING}:
            return told
        assert time.monotonic() < deadline, "it does not end"


def test_columns_of_values_for_clients_without_arrow(driver: Driver) -> None:
    told = driver.execute(
        "SELECT * FROM VALUES (true, CAST(1 AS TINYINT), CAST(2 AS SMALLINT), 3, 4L, CAST(1.5 AS FLOAT), 2.5D, CAST(1.50 AS DECIMAL(5,2)),"
        " DATE'2024-01-31', TIMESTAMP'2024-01-31 12:30:00.5', TIMESTAMP_NTZ'2024-01-31 12:30:00', 'å', X'00FF', array(1, 2),"
        " named_struct('a', 1), INTERVAL '14' MONTH),"
        " (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS t"
    )
    first = [column[0] for column in rows_of(told)]
    times = ["2024-01-31", "2024-01-31 12:30:00.5", "2024-01-31 12:30:00"]
    assert first == [True, 1, 2, 3, 4, 1.5, 2.5, "1.50", *times, "å", b"\x00\xff", "[1,2]", '{"a":1}', "1-2"]
    assert {column[1] for column in rows_of(told)} == {None}
    assert told.direct_results is not None
    assert told.direct_results.close_operation is not None, "all rows are told, so the operation is closed"
    closed = driver.about("CloseOperation", told.operation_handle, messages.StatusResp)
    assert closed.status is not None
    assert closed.status.status_code == StatusCode.SUCCESS


def test_arrow_comes_plain_and_in_the_types_that_the_client_names(driver: Driver) -> None:
    text = "SELECT CAST(1.50 AS DECIMAL(5,2)) AS d, TIMESTAMP'2024-01-31 12:30:00' AS t, array(1) AS a"
    told = driver.execute(text, can_read_arrow_result=True)
    assert told.direct_results is not None
    metadata, rows = told.direct_results.result_set_metadata, told.direct_results.result_set
    assert metadata is not None
    assert rows is not None
    assert rows.results is not None
    assert metadata.arrow_schema is not None
    assert not metadata.lz4_compressed
    content = metadata.arrow_schema + b"".join(each.batch or b"" for each in rows.results.arrow_batches or ())
    table = pa.ipc.open_stream(content).read_all()
    assert table.to_pylist() == [{"d": "1.50", "t": "2024-01-31 12:30:00", "a": "[1]"}]
    types = messages.ArrowTypes(timestamp_as_arrow=True, decimal_as_arrow=True, complex_types_as_arrow=True)
    told = driver.execute(text, can_read_arrow_result=True, can_decompress_lz4_result=True, use_arrow_native_types=types)
    assert told.direct_results is not None
    assert told.direct_results.result_set_metadata is not None
    assert told.direct_results.result_set_metadata.lz4_compressed
    schema = pa.ipc.read_schema(pa.py_buffer(told.direct_results.result_set_metadata.arrow_schema or b""))
    assert schema.types == [pa.decimal128(5, 2), pa.timestamp("us", "UTC"), pa.list_(pa.int32())]
    assert schema.field("d").metadata[b"Spark:DataType:SqlName"] == b"DECIMAL(5,2)"


def test_rows_come_in_parts_forwards_and_again_from_the_start(driver: Driver) -> None:
    told = driver.execute("SELECT id FROM range(1000) ORDER BY id", get_direct_results=None)
    assert told.direct_results is None
    assert state(driver, told.operation_handle).operation_state == OperationState.FINISHED
    seen: list[int] = []
    more = True
    while more:
        part = driver.fetch(told.operation_handle, max_rows=300)
        assert part.results is not None
        assert part.results.start_row_offset == len(seen)
        seen += columns_of(part.results)[0]
        more = bool(part.has_more_rows)
    assert seen == list(range(1000))
    again = driver.fetch(told.operation_handle, orientation=messages.FETCH_FIRST, max_rows=2)
    assert columns_of(again.results)[0] == [0, 1]
    there = driver.fetch(told.operation_handle, start_row_offset=998, max_rows=10, include_result_set_metadata=True)
    assert columns_of(there.results)[0] == [998, 999]
    assert there.result_set_metadata is not None
    assert not there.has_more_rows
    small = driver.fetch(told.operation_handle, orientation=messages.FETCH_FIRST, max_bytes=1)
    assert len(columns_of(small.results)[0]) == 1, "one row always comes"
    back = driver.fetch(told.operation_handle, orientation=1)
    assert back.status is not None
    assert "[NOT_IMPLEMENTED]" in (back.status.error_message or "")
    driver.about("CloseOperation", told.operation_handle, messages.StatusResp)
    gone = driver.fetch(told.operation_handle)
    assert gone.status is not None
    assert gone.status.status_code == StatusCode.INVALID_HANDLE


def test_a_session_that_ends_takes_its_operations_with_it(site: Site, driver: Driver) -> None:
    other = Driver(site.server.url, driver.token, driver.warehouse_id).open()
    told = other.execute(
        "SELECT count(*) FROM range(1000000) AS a JOIN range(1000000) AS b ON a.id * b.id % 7 = 3", get_direct_results=None
    )
    closed = other.call("CloseSession", messages.CloseSessionReq(other.session), messages.StatusResp)
    assert closed.status is not None
    assert closed.status.status_code == StatusCode.SUCCESS
    after = other.about("GetOperationStatus", told.operation_handle, messages.GetOperationStatusResp)
    assert after.status is not None
    assert after.status.status_code == StatusCode.INVALID_HANDLE
    assert "INVALID_HANDLE" in error_of(other.execute("SELECT 1"))


def test_a_failure_has_its_class_and_its_state(driver: Driver) -> None:
    told = driver.execute("SELECT 1 / 0")
    assert told.direct_results is not None
    status = told.direct_results.operation_status
    assert status is not None
    assert status.operation_state == OperationState.ERROR
    assert status.sql_state == "22012"
    assert (status.display_message or "").startswith("[DIVIDE_BY_ZERO] ")
    assert (status.display_message or "").endswith("SQLSTATE: 22012")
    later = driver.execute("SELECT * FROM no_such_table", get_direct_results=None)
    ended = state(driver, later.operation_handle)
    assert (ended.operation_state, ended.sql_state) == (OperationState.ERROR, "42P01")
    fetched = driver.fetch(later.operation_handle)
    assert fetched.status is not None
    assert "TABLE_OR_VIEW_NOT_FOUND" in (fetched.status.error_message or "")


def test_settings_and_parameters_that_cannot_be_are_refused(driver: Driver) -> None:
    assert "INVALID_CONF_VALUE" in error_of(driver.execute("SELECT 1", conf_overlay={"no.such.setting": "1"}))
    assert rows_of(driver.execute("SELECT 1", conf_overlay={"spark.thriftserver.arrowBasedRowSet.timestampAsString": "false"})) == [[1]]
    told = driver.execute("SELECT id FROM range(10)", result_row_limit=3)
    assert len(rows_of(told)[0]) == 3


def test_parameters_with_several_values(driver: Driver) -> None:
    argument, parameter = messages.ParameterArgument, messages.StatementParameter
    numbers = [argument("INT", "1"), argument("VOID", "None"), argument("INT", "3")]
    nested = [argument("ARRAY", arguments=numbers), argument("ARRAY", arguments=[argument("INT", "4")])]
    prices = [argument("STRING", "'; DROP"), argument("DECIMAL(3,2)", "1.50"), argument("STRING", "b"), argument("DECIMAL(3,2)", "2.25")]
    given = [
        parameter(name="n", type="ARRAY", arguments=numbers),
        parameter(name="m", type="MAP", arguments=prices),
        parameter(name="d", type="ARRAY", arguments=nested),
        parameter(name="e", type="ARRAY", arguments=[]),
    ]
    told = driver.execute("SELECT :n, element_at(:m, 'b'), map_keys(:m), :d[1][0], size(:e), array_contains(:n, 3)", parameters=given)
    assert [column[0] for column in rows_of(told)] == ["[1,null,3]", "2.25", '["\'; DROP","b"]', 4, 0, True]
    deep = numbers
    for _ in range(6):
        deep = [argument("ARRAY", arguments=deep)]
    for kind, items in (("MAP", numbers), ("STRUCT", numbers), ("ARRAY", [argument("INT", "1")] * 1001), ("ARRAY", deep)):
        odd = parameter(name="p", type=kind, arguments=items)
        assert "INVALID_PARAMETER" in error_of(driver.execute("SELECT :p", parameters=[odd])), kind
    assert "must be a text" in error_of(
        driver.execute("SELECT * FROM IDENTIFIER(:p)", parameters=[parameter(name="p", type="ARRAY", arguments=[])])
    )


def test_what_jdbc_asks(driver: Driver) -> None:
    driver.execute("CREATE OR REPLACE FUNCTION main.default.one_more(x INT) RETURNS INT RETURN x + 1")
    driver.execute("CREATE TABLE IF NOT EXISTS main.default.jdbc_facts (a_b INT, axb INT)")
    assert rows_of(driver.ask("GetTableTypes", messages.SessionReq)) == [["TABLE", "VIEW"]]
    assert "DECIMAL" in rows_of(driver.ask("GetTypeInfo", messages.SessionReq))[0]
    assert "one_more" in rows_of(driver.ask("GetFunctions", schema_name="default"))[2]
    named = {"catalog_name": "main", "schema_name": "DEFAULT", "object_name": "jdbc%"}
    assert rows_of(driver.ask("GetColumns", messages.GetColumnsReq, column_name="a_b", **named))[3] == ["a_b", "axb"]
    assert rows_of(driver.ask("GetColumns", messages.GetColumnsReq, column_name="a\\_b", **named))[3] == ["a_b"]
    assert rows_of(driver.ask("GetTables", messages.GetTablesReq, table_types=["VIEW"], **named)) in ([], [[]] * 10)
    in_schema = driver.ask("GetTables", messages.GetTablesReq, catalog_name="main", schema_name="information_schema", object_name="col%")
    assert "columns" in rows_of(in_schema)[2]
    quote = driver.call("GetInfo", messages.GetInfoReq(driver.session, 29), messages.GetInfoResp)
    assert quote.info_value is not None
    assert quote.info_value.string_value == "`"


def test_keys_are_told(driver: Driver) -> None:
    parents, children = "main.default.key_parents", "main.default.key_children"
    own = "CONSTRAINT parents_key PRIMARY KEY (id, other)"
    other = f"CONSTRAINT to_parents FOREIGN KEY (a, b) REFERENCES {parents} (id, other)"
    for text in (
        f"CREATE OR REPLACE TABLE {parents} (id INT NOT NULL, other INT NOT NULL, {own})",
        f"CREATE OR REPLACE TABLE {children} (a INT, b INT, {other})",
    ):
        assert not error_of(driver.execute(text)), text
    keys = rows_of(driver.ask("GetPrimaryKeys", catalog_name="main", schema_name="default", object_name="key_parents"))
    assert keys[3:] == [["id", "other"], [1, 2], ["parents_key", "parents_key"]]
    wanted = {"foreign_catalog_name": "main", "foreign_schema_name": "default", "foreign_table_name": "KEY_CHILDREN"}
    found = rows_of(driver.ask("GetCrossReference", messages.GetCrossReferenceReq, **wanted))
    assert (found[2][0], found[3], found[6][0], found[7]) == ("key_parents", ["id", "other"], "key_children", ["a", "b"])
    assert (found[8], found[11][0], found[12][0]) == ([1, 2], "to_parents", "parents_key")
    absent = {"parent_table_name": "key_children"}
    assert not any(rows_of(driver.ask("GetCrossReference", messages.GetCrossReferenceReq, **absent)))


def test_a_token_may_come_as_the_password_of_the_user_token(site: Site, driver: Driver) -> None:
    basic = base64.b64encode(f"token:{driver.token}".encode()).decode()
    body = message("OpenSession", messages.OpenSessionReq())
    for path in ("warehouses/", "endpoints/"):
        address = f"{site.server.url}/sql/1.0/{path}{driver.warehouse_id}"
        request = urllib.request.Request(address, data=body, headers={"authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = answer_of(answer.read(), "OpenSession", messages.OpenSessionResp)
        assert told.session_handle is not None
    assert driver.post(body, f"/sql/protocolv1/o/0/{driver.warehouse_id}").status == 200


def test_a_method_that_is_not_served_is_named(driver: Driver) -> None:
    told = driver.post(message("GetDelegationToken", messages.SessionReq(driver.session)))
    name, kind, _ = Reader(told.body).header()
    assert (name, kind) == ("GetDelegationToken", MessageKind.EXCEPTION)
    assert b"`GetDelegationToken` is not implemented" in told.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"GET / HTTP/1.1",
        message("OpenSession", messages.OpenSessionReq())[:-3],
        message("OpenSession", messages.OpenSessionReq(configuration={"a": "b"})).replace(b"\x00\x00\x00\x01a", b"\x7f\xff\xff\xffa"),
        message("OpenSession", messages.OpenSessionReq(configuration={"a": "b"})).replace(b"\x00\x00\x00\x01a", b"\xff\xff\xff\xffa"),
        message("OpenSession", messages.OpenSessionReq())[:-2] + struct.pack("!bh", Kind.STRUCT, 9) * 200,
        message("OpenSession", messages.OpenSessionReq())[:-2] + struct.pack("!bhbi", Kind.LIST, 9, Kind.BOOL, 2**31 - 1),
        message("OpenSession", messages.OpenSessionReq())[:-2] + struct.pack("!bhbbi", Kind.MAP, 9, 99, 98, 1),
    ],
)
def test_what_is_no_message_is_refused_and_the_server_lives(driver: Driver, body: bytes) -> None:
    told = driver.post(body)
    assert told.status == 400, told
    assert "MALFORMED_REQUEST" in told.body.decode()
    assert told.headers["x-thriftserver-error-message"]
    assert rows_of(driver.execute("SELECT 1")) == [[1]]
