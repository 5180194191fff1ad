"""The door of the drivers keeps the law: nobody's handles work for others, what may not be seen does not exist, rights are those of now."""

from __future__ import annotations

from typing import Any

import pytest

from insjo.web.thrift import messages
from insjo.web.thrift.messages import StatusCode
from tests.security.conftest import CANARY, Guarded
from tests.support.thrift import Driver, columns_of, error_of, message, rows_of

OPERATION_CALLS: tuple[tuple[str, type[Any]], ...] = (
    ("GetOperationStatus", messages.GetOperationStatusResp),
    ("GetResultSetMetadata", messages.GetResultSetMetadataResp),
    ("FetchResults", messages.FetchResultsResp),
    ("CancelOperation", messages.StatusResp),
    ("CloseOperation", messages.StatusResp),
)


def driver_of(guarded: Guarded, token: str) -> Driver:
    """Somebody at the default warehouse."""
    warehouse = guarded.admin.call("GET", "/api/2.0/sql/warehouses").json()["warehouses"][0]["id"]
    return Driver(guarded.server.url, token, warehouse)


@pytest.fixture
def admin(guarded: Guarded) -> Driver:
    return driver_of(guarded, guarded.admin.token).open()


@pytest.fixture
def outsider(guarded: Guarded) -> Driver:
    return driver_of(guarded, guarded.outsider.token).open()


def test_without_a_credential_nothing_is_told(guarded: Guarded) -> None:
    for token in ("", "insjo_wrong"):
        told = driver_of(guarded, token).post(message("OpenSession", messages.OpenSessionReq()))
        assert told.status == 401
        assert told.headers["x-thriftserver-error-message"]
        assert CANARY not in told.body.decode()


def test_what_an_outsider_may_not_see_does_not_exist(guarded: Guarded, outsider: Driver) -> None:
    told = [
        outsider.ask("GetCatalogs", messages.SessionReq),
        outsider.ask("GetSchemas"),
        outsider.ask("GetTables", messages.GetTablesReq),
        outsider.ask("GetColumns", messages.GetColumnsReq),
        outsider.ask("GetFunctions"),
        outsider.ask("GetPrimaryKeys"),
        outsider.ask("GetCrossReference", messages.GetCrossReferenceReq),
        outsider.ask("GetTables", messages.GetTablesReq, catalog_name=guarded.ids["catalog"]),
        outsider.ask("GetColumns", messages.GetColumnsReq, catalog_name=guarded.ids["catalog"], object_name=guarded.ids["table"]),
    ]
    for each in told:
        assert CANARY not in str(rows_of(each))
    table = "{catalog}.{schema}.{table}".format(**guarded.ids)
    hidden, absent = error_of(outsider.execute(f"SELECT * FROM {table}")), error_of(outsider.execute(f"SELECT * FROM {table}x"))
    assert "TABLE_OR_VIEW_NOT_FOUND" in hidden
    assert hidden.replace(table, "") == absent.replace(f"{table}x", "")


@pytest.mark.parametrize(("name", "wanted"), OPERATION_CALLS)
def test_a_handle_works_for_its_owner_alone(guarded: Guarded, admin: Driver, outsider: Driver, name: str, wanted: type[Any]) -> None:
    table = "{catalog}.{schema}.{table}".format(**guarded.ids)
    mine = admin.execute(f"SELECT * FROM {table}", get_direct_results=None).operation_handle
    stolen = outsider.post(message(name, messages.OperationReq(mine)))
    assert stolen.status == 200
    assert CANARY.encode() not in stolen.body
    told = outsider.about(name, mine, wanted)
    assert told.status.status_code == StatusCode.INVALID_HANDLE
    assert columns_of(admin.fetch(mine).results) == [[CANARY], [1]], "it was neither closed nor read"


def test_a_session_works_for_its_owner_alone(admin: Driver, outsider: Driver) -> None:
    outsider.session = admin.session
    assert "INVALID_HANDLE" in error_of(outsider.execute("SELECT current_user()"))
    assert "INVALID_HANDLE" in error_of(outsider.ask("GetCatalogs", messages.SessionReq))
    closed = outsider.call("CloseSession", messages.CloseSessionReq(admin.session), messages.StatusResp)
    assert closed.status is not None
    assert closed.status.status_code == StatusCode.INVALID_HANDLE
    assert rows_of(admin.execute("SELECT current_user()")) == [["admin"]]


def test_a_handle_that_nobody_gave_opens_nothing(admin: Driver) -> None:
    assert admin.session is not None
    known = admin.session.session_id
    assert known is not None
    for forged in (
        None,
        messages.HandleIdentifier(),
        messages.HandleIdentifier(known.guid, b""),
        messages.HandleIdentifier(known.guid, bytes(16)),
        messages.HandleIdentifier(b"short", known.secret),
        messages.HandleIdentifier(bytes(16), known.secret),
    ):
        told = admin.call("CloseSession", messages.CloseSessionReq(messages.SessionHandle(forged)), messages.StatusResp)
        assert told.status is not None
        assert told.status.status_code == StatusCode.INVALID_HANDLE
    elsewhere = admin.call(
        "CloseSession", messages.CloseSessionReq(admin.session), messages.StatusResp, path="/sql/1.0/warehouses/0123456789abcdef"
    )
    assert elsewhere.status is not None
    assert elsewhere.status.status_code == StatusCode.INVALID_HANDLE
    assert rows_of(admin.execute("SELECT 1")) == [[1]]


def test_a_right_that_is_taken_away_ends_what_was_begun(guarded: Guarded, admin: Driver, outsider: Driver) -> None:
    for text in (
        "CREATE CATALOG drivers_only",
        "CREATE SCHEMA drivers_only.s",
        "CREATE TABLE drivers_only.s.facts AS SELECT id FROM range(1000)",
        "GRANT USE CATALOG ON CATALOG drivers_only TO outsider",
        "GRANT USE SCHEMA ON SCHEMA drivers_only.s TO outsider",
        "GRANT SELECT ON TABLE drivers_only.s.facts TO outsider",
    ):
        assert not error_of(admin.execute(text)), text
    rows = outsider.execute("SELECT id FROM drivers_only.s.facts ORDER BY id", get_direct_results=None).operation_handle
    names = outsider.call(
        "GetTables",
        messages.GetTablesReq(session_handle=outsider.session, catalog_name="drivers_only", schema_name="s"),
        messages.OperationResp,
    ).operation_handle
    assert columns_of(outsider.fetch(rows, max_rows=10).results) == [list(range(10))]
    assert columns_of(outsider.fetch(names).results)[2] == ["facts"]
    guarded.admin.must("REVOKE SELECT ON TABLE drivers_only.s.facts FROM outsider")
    guarded.admin.must("REVOKE USE SCHEMA ON SCHEMA drivers_only.s FROM outsider")
    refused = outsider.fetch(rows, max_rows=10)
    assert refused.status is not None
    assert "RESULT_NO_LONGER_ALLOWED" in (refused.status.error_message or "")
    assert refused.results is None
    assert "facts" not in str(columns_of(outsider.fetch(names, start_row_offset=0).results))
    guarded.admin.must("DROP CATALOG drivers_only CASCADE")


def test_a_warehouse_that_somebody_may_not_use_opens_no_session(guarded: Guarded, outsider: Driver) -> None:
    made = guarded.admin.call("POST", "/api/2.0/sql/warehouses", {"name": f"{CANARY}_wh"}).json()["id"]
    other = Driver(outsider.url, outsider.token, made)
    told = other.call("OpenSession", messages.OpenSessionReq(), messages.OpenSessionResp)
    assert told.status is not None
    assert told.status.status_code == StatusCode.ERROR
    assert told.session_handle is None
    assert CANARY not in str(told)
    guarded.admin.call("DELETE", f"/api/2.0/sql/warehouses/{made}")
