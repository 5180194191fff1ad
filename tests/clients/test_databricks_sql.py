"""Statement execution, warehouses and the query history through the official `databricks-sdk`."""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.error
import urllib.request
import uuid
from datetime import timedelta

import pyarrow as pa
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service.sql import (
    Disposition,
    ExecuteStatementRequestOnWaitTimeout,
    Format,
    QueryFilter,
    QueryStatus,
    State,
    StatementParameterListItem,
    StatementResponse,
    StatementState,
    TimeRange,
)

from tests.clients.conftest import Site

BIG_ROWS = 1_500_000
"""12 MB of bigint: more than one chunk, and within what an inline answer may hold."""


@pytest.fixture(scope="module")
def warehouse(plain_client: WorkspaceClient) -> str:
    found = next(iter(plain_client.warehouses.list()))
    assert found.id
    return found.id


def succeeded(answer: StatementResponse) -> StatementResponse:
    assert answer.status is not None
    assert answer.status.state is StatementState.SUCCEEDED, answer.status.error
    return answer


def failure(answer: StatementResponse) -> str:
    """Message of a statement that failed."""
    assert answer.status is not None
    assert answer.status.state is StatementState.FAILED, answer
    assert answer.status.error is not None
    assert answer.status.error.message
    return answer.status.error.message


def rows(answer: StatementResponse) -> list[list[str]]:
    result = succeeded(answer).result
    assert result is not None
    return result.data_array or []


def fetch(link: str) -> bytes:
    """What a signed link gives; it takes no credential."""
    with urllib.request.urlopen(link, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def links_of(w: WorkspaceClient, answer: StatementResponse) -> list[str]:
    """The link of each chunk, followed from the first to the last."""
    assert answer.statement_id
    assert answer.result is not None
    found: list[str] = []
    part = answer.result
    while True:
        following = None
        for link in part.external_links or ():
            assert link.external_link
            assert link.expiration
            found.append(link.external_link)
            following = link.next_chunk_index
        if following is None:
            return found
        part = w.statement_execution.get_statement_result_chunk_n(answer.statement_id, following)


@pytest.fixture(scope="module")
def numbers(plain_client: WorkspaceClient, warehouse: str) -> str:
    """A table whose rows are known."""
    name = f"main.default.numbers_{uuid.uuid4().hex[:8]}"
    text = f"CREATE TABLE {name} AS SELECT id, id % 7 AS rest, CAST(id AS STRING) AS text FROM range(100000)"
    succeeded(plain_client.statement_execution.execute_statement(text, warehouse, wait_timeout="50s"))
    return name


# -------------------------------------------------------------------------------------------------------------------- inline


@pytest.mark.covers("statement_execution.execute_statement")
def test_inline_json_has_every_type_as_text(w: WorkspaceClient, warehouse: str) -> None:
    answer = w.statement_execution.execute_statement(
        "SELECT 1 AS i, 9007199254740993 AS l, CAST(1.50 AS DECIMAL(10,2)) AS d, CAST(0.1 AS DOUBLE) AS f, true AS b, 'å\"x' AS s, "
        "CAST(NULL AS STRING) AS n, DATE'2024-02-29' AS day, TIMESTAMP'2024-02-29T12:30:00Z' AS t, array(1, 2) AS a, "
        "map('k', 1) AS m, named_struct('x', 1, 'y', 'z') AS st, unhex('00FF') AS bin",
        warehouse,
        wait_timeout="50s",
    )
    assert rows(answer) == [
        [
            *("1", "9007199254740993", "1.50", "0.1", "true", 'å"x', None, "2024-02-29", "2024-02-29T12:30:00.000Z"),
            *("[1,2]", '{"k":1}', '{"x":1,"y":"z"}', "AP8="),
        ]
    ]
    assert answer.manifest is not None
    assert answer.manifest.schema is not None
    columns = answer.manifest.schema.columns or []
    kinds = [(each.name, each.type_name.value if each.type_name else None) for each in columns]
    assert kinds == [
        *(("i", "INT"), ("l", "LONG"), ("d", "DECIMAL"), ("f", "DOUBLE"), ("b", "BOOLEAN"), ("s", "STRING"), ("n", "STRING")),
        *(("day", "DATE"), ("t", "TIMESTAMP"), ("a", "ARRAY"), ("m", "MAP"), ("st", "STRUCT"), ("bin", "BINARY")),
    ]
    assert [(each.type_precision, each.type_scale) for each in columns if each.name == "d"] == [(10, 2)]
    assert (answer.manifest.total_row_count, answer.manifest.truncated) == (1, False)


def test_a_result_without_rows_has_its_columns(w: WorkspaceClient, warehouse: str) -> None:
    answer = w.statement_execution.execute_statement("SELECT 1 AS one WHERE false", warehouse)
    assert rows(answer) == []
    assert answer.manifest is not None
    assert answer.manifest.schema is not None
    assert [each.name for each in answer.manifest.schema.columns or ()] == ["one"]
    links = w.statement_execution.execute_statement(
        "SELECT 1 AS one WHERE false", warehouse, disposition=Disposition.EXTERNAL_LINKS, format=Format.ARROW_STREAM
    )
    assert succeeded(links).manifest is not None
    assert not (links.result and links.result.external_links)


def test_parameters_are_values_and_never_sql(w: WorkspaceClient, warehouse: str, numbers: str) -> None:
    parameters = [
        StatementParameterListItem(name="low", value="10", type="BIGINT"),
        StatementParameterListItem(name="text", value="1' OR '1'='1"),
        StatementParameterListItem(name="none", value=None, type="INT"),
        StatementParameterListItem(name="day", value="2024-01-31", type="DATE"),
    ]
    text = f"SELECT count(*), :text, :none, date_add(:day, 1) FROM {numbers} WHERE id < :low AND :text <> 'x'"
    answer = w.statement_execution.execute_statement(text, warehouse, parameters=parameters)
    assert rows(answer) == [["10", "1' OR '1'='1", None, "2024-02-01"]]
    missing = w.statement_execution.execute_statement("SELECT :nothing", warehouse)
    assert "nothing" in failure(missing)
    wrong = [StatementParameterListItem(name="n", value="many", type="INT")]
    assert "many" in failure(w.statement_execution.execute_statement("SELECT :n", warehouse, parameters=wrong))


def test_catalog_and_schema_of_a_statement(w: WorkspaceClient, warehouse: str, numbers: str) -> None:
    short = numbers.rpartition(".")[2]
    answer = w.statement_execution.execute_statement(
        f"SELECT count(*), current_catalog(), current_schema() FROM {short}", warehouse, catalog="main", schema="default"
    )
    assert rows(answer) == [["100000", "main", "default"]]


def test_row_limit_and_byte_limit_cut_off_and_say_so(w: WorkspaceClient, warehouse: str, numbers: str) -> None:
    text = f"SELECT id FROM {numbers} ORDER BY id"
    limited = w.statement_execution.execute_statement(text, warehouse, row_limit=3)
    assert rows(limited) == [["0"], ["1"], ["2"]]
    assert limited.manifest is not None
    assert (limited.manifest.truncated, limited.manifest.total_row_count) == (True, 3)
    small = w.statement_execution.execute_statement(text, warehouse, byte_limit=800)
    assert small.manifest is not None
    assert small.manifest.truncated is True
    assert 0 < (small.manifest.total_row_count or 0) <= 100
    whole = w.statement_execution.execute_statement(text, warehouse, row_limit=100_000)
    assert whole.manifest is not None
    assert (whole.manifest.truncated, whole.manifest.total_row_count) == (False, 100_000)


def test_wrong_options_of_a_request_are_refused(w: WorkspaceClient, warehouse: str) -> None:
    with pytest.raises(BadRequest, match="wait_timeout"):
        w.statement_execution.execute_statement("SELECT 1", warehouse, wait_timeout="3s")
    with pytest.raises(BadRequest, match="EXTERNAL_LINKS"):
        w.statement_execution.execute_statement("SELECT 1", warehouse, format=Format.ARROW_STREAM, disposition=Disposition.INLINE)
    with pytest.raises(NotFound, match="no-such-warehouse"):
        w.statement_execution.execute_statement("SELECT 1", "no-such-warehouse")
    with pytest.raises(BadRequest, match="row limit"):
        w.statement_execution.execute_statement("SELECT 1", warehouse, row_limit=-1)


# ------------------------------------------------------------------------------------------------------------ larger results


@pytest.mark.covers("statement_execution.get_statement_result_chunk_n")
def test_a_result_of_several_chunks_inline(w: WorkspaceClient, warehouse: str) -> None:
    answer = succeeded(w.statement_execution.execute_statement(f"SELECT id FROM range({BIG_ROWS})", warehouse, wait_timeout="50s"))
    assert answer.statement_id
    assert answer.manifest is not None
    assert answer.result is not None
    chunks = answer.manifest.total_chunk_count or 0
    assert chunks > 1
    assert answer.manifest.total_row_count == BIG_ROWS
    seen, part = 0, answer.result
    while True:
        assert part.row_offset == seen
        data = part.data_array or []
        assert data[0] == [str(seen)]
        seen += len(data)
        if part.next_chunk_index is None:
            break
        part = w.statement_execution.get_statement_result_chunk_n(answer.statement_id, part.next_chunk_index)
    assert seen == BIG_ROWS
    with pytest.raises(NotFound, match="chunk"):
        w.statement_execution.get_statement_result_chunk_n(answer.statement_id, chunks)


def test_a_result_too_large_for_json_fails_and_names_the_way_out(w: WorkspaceClient, warehouse: str) -> None:
    text = f"SELECT id, id + 1 AS next FROM range({2 * BIG_ROWS})"
    message = failure(w.statement_execution.execute_statement(text, warehouse, wait_timeout="50s"))
    assert "EXTERNAL_LINKS" in message


def test_arrow_by_external_links(w: WorkspaceClient, warehouse: str, site: Site) -> None:
    count = BIG_ROWS // 4
    text = f"SELECT id, CAST(id AS DECIMAL(12,2)) AS d, array(id) AS a FROM range({count})"
    answer = succeeded(
        w.statement_execution.execute_statement(
            text, warehouse, wait_timeout="50s", disposition=Disposition.EXTERNAL_LINKS, format=Format.ARROW_STREAM
        )
    )
    links = links_of(w, answer)
    assert answer.manifest is not None
    assert len(links) == answer.manifest.total_chunk_count
    assert len(links) > 1
    assert all(link.startswith(site.server.url + "/") for link in links)
    table = pa.concat_tables([pa.ipc.open_stream(fetch(link)).read_all() for link in links])
    assert table.column("id").to_pylist() == list(range(count))
    assert table.schema.field("d").type == pa.decimal128(12, 2)


def test_csv_and_json_by_external_links(w: WorkspaceClient, warehouse: str) -> None:
    text = "SELECT id, concat('a,\"', id) AS t, CAST(NULL AS INT) AS n FROM range(3)"
    written = w.statement_execution.execute_statement(text, warehouse, disposition=Disposition.EXTERNAL_LINKS, format=Format.CSV)
    (link,) = links_of(w, succeeded(written))
    read = list(csv.reader(io.StringIO(fetch(link).decode())))
    assert read == [["id", "t", "n"], ["0", 'a,"0', ""], ["1", 'a,"1', ""], ["2", 'a,"2', ""]]
    plain = w.statement_execution.execute_statement(text, warehouse, disposition=Disposition.EXTERNAL_LINKS, format=Format.JSON_ARRAY)
    (link,) = links_of(w, succeeded(plain))
    assert json.loads(fetch(link)) == [["0", 'a,"0', None], ["1", 'a,"1', None], ["2", 'a,"2', None]]


def test_a_link_is_bound_to_its_chunk_and_to_the_rights_of_its_person(w: WorkspaceClient, site: Site, warehouse: str, numbers: str) -> None:
    reader = site.client("link.reader")
    for text in ("GRANT USE SCHEMA ON SCHEMA main.default TO `link.reader`", f"GRANT SELECT ON TABLE {numbers} TO `link.reader`"):
        succeeded(w.statement_execution.execute_statement(text, warehouse))
    answer = reader.statement_execution.execute_statement(
        f"SELECT id FROM {numbers}", warehouse, disposition=Disposition.EXTERNAL_LINKS, format=Format.ARROW_STREAM
    )
    (link,) = links_of(reader, succeeded(answer))
    assert pa.ipc.open_stream(fetch(link)).read_all().num_rows == 100_000
    head, _, query = link.partition("?")
    for forged in (
        f"{head[:-1]}1?{query}",
        link.replace("ARROW_STREAM", "CSV"),
        link.replace("expires=", "expires=9"),
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        head,
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(forged)
        assert refused.value.code in {400, 403}
    succeeded(w.statement_execution.execute_statement(f"REVOKE SELECT ON TABLE {numbers} FROM `link.reader`", warehouse))
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(link)
    assert refused.value.code == 403
    assert answer.statement_id
    with pytest.raises(PermissionDenied, match="no longer"):
        reader.statement_execution.get_statement_result_chunk_n(answer.statement_id, 0)
    with pytest.raises(NotFound):
        w.statement_execution.get_statement(answer.statement_id)


# ---------------------------------------------------------------------------------------------------------- async and cancel


@pytest.mark.covers("statement_execution.execute_statement", "statement_execution.get_statement")
def test_a_statement_runs_on_while_nobody_waits(w: WorkspaceClient, warehouse: str) -> None:
    answer = w.statement_execution.execute_statement("SELECT sum(id) FROM range(2000000)", warehouse, wait_timeout="0s")
    assert answer.statement_id
    deadline = time.monotonic() + 60
    while answer.status and answer.status.state in {StatementState.PENDING, StatementState.RUNNING}:
        assert time.monotonic() < deadline
        answer = w.statement_execution.get_statement(answer.statement_id)
    assert rows(answer) == [["1999999000000"]]


SLOW = "SELECT count(*) FROM range(3000000) a JOIN range(3000000) b ON (a.id * b.id) % 1000003 = 17"


@pytest.mark.covers("statement_execution.cancel_execution")
def test_a_running_statement_is_cancelled(w: WorkspaceClient, warehouse: str) -> None:
    answer = w.statement_execution.execute_statement(SLOW, warehouse, wait_timeout="0s")
    assert answer.statement_id
    w.statement_execution.cancel_execution(answer.statement_id)
    deadline = time.monotonic() + 30
    while (state := w.statement_execution.get_statement(answer.statement_id)).status:
        if state.status.state is StatementState.CANCELED:
            break
        assert time.monotonic() < deadline, state
    assert rows(w.statement_execution.execute_statement("SELECT 1", warehouse, wait_timeout="50s")) == [["1"]]


def test_a_statement_that_nobody_wants_to_wait_for_longer_is_cancelled(w: WorkspaceClient, warehouse: str) -> None:
    answer = w.statement_execution.execute_statement(
        SLOW, warehouse, wait_timeout="5s", on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CANCEL
    )
    assert answer.status is not None
    assert answer.status.state is StatementState.CANCELED


def test_a_failed_statement_says_why_and_where(w: WorkspaceClient, warehouse: str, numbers: str) -> None:
    def told(text: str) -> str:
        return failure(w.statement_execution.execute_statement(text, warehouse, wait_timeout="50s"))

    assert "line 2" in told("SELECT 1,\n  FRM x FROM")
    assert "Did you mean" in told(f"SELECT * FROM {numbers[:-1]}")
    assert "Did you mean `rest`" in told(f"SELECT resst FROM {numbers}")
    assert "DIVIDE_BY_ZERO" in told("SELECT 1 / 0")
    assert "CAST_INVALID_INPUT" in told("SELECT CAST('abc' AS INT)")


# ------------------------------------------------------------------------------------------------------------ warehouses


@pytest.mark.covers("warehouses.list", "warehouses.get", "warehouses.create", "warehouses.edit", "warehouses.start", "warehouses.stop")
@pytest.mark.covers("warehouses.delete")
def test_warehouses(w: WorkspaceClient) -> None:
    name = f"reports {uuid.uuid4().hex[:6]}"
    made = w.warehouses.create(name=name, cluster_size="Small", auto_stop_mins=30).result(timeout=timedelta(seconds=30))
    assert made.id
    got = w.warehouses.get(made.id)
    assert (got.name, got.cluster_size, got.auto_stop_mins, got.state, got.creator_name) == (name, "Small", 30, State.RUNNING, "admin")
    assert got.odbc_params
    assert got.odbc_params.path == f"/sql/1.0/warehouses/{made.id}"
    w.warehouses.edit(made.id, name=f"{name} 2")
    assert w.warehouses.get(made.id).cluster_size == "Small"
    stopped = w.warehouses.stop(made.id).result(timeout=timedelta(seconds=30))
    assert stopped.state is State.STOPPED
    with pytest.raises(BadRequest, match="stopped"):
        w.statement_execution.execute_statement("SELECT 1", made.id)
    assert w.warehouses.start(made.id).result(timeout=timedelta(seconds=30)).state is State.RUNNING
    assert rows(w.statement_execution.execute_statement("SELECT 1", made.id)) == [["1"]]
    with pytest.raises(ResourceConflict):
        w.warehouses.create(name=f"{name} 2", cluster_size="Small")
    with pytest.raises(BadRequest, match="Gigantic"):
        w.warehouses.create(name="x", cluster_size="Gigantic")
    w.warehouses.delete(made.id)
    assert made.id not in {each.id for each in w.warehouses.list()}
    with pytest.raises(NotFound):
        w.warehouses.get(made.id)


# --------------------------------------------------------------------------------------------------------------- history


@pytest.mark.covers("query_history.list")
def test_the_history_has_every_statement_and_can_be_filtered(w: WorkspaceClient, site: Site, warehouse: str) -> None:
    mark = uuid.uuid4().hex
    before_ms = int(time.time() * 1000) - 1
    good = w.statement_execution.execute_statement(f"SELECT '{mark}'", warehouse)
    bad = w.statement_execution.execute_statement(f"SELECT '{mark}' / nothing", warehouse)
    ids = [good.statement_id or "", bad.statement_id or ""]
    found = {each.query_id: each for each in w.query_history.list(filter_by=QueryFilter(statement_ids=ids)).res or ()}
    assert set(found) == set(ids)
    assert found[ids[0]].status is QueryStatus.FINISHED
    assert found[ids[0]].user_name == "admin"
    assert found[ids[0]].rows_produced == 1
    assert found[ids[1]].status is QueryStatus.FAILED
    assert "nothing" in (found[ids[1]].error_message or "")
    failed = w.query_history.list(filter_by=QueryFilter(statement_ids=ids, statuses=[QueryStatus.FAILED])).res or ()
    assert [each.query_id for each in failed] == [ids[1]]
    since = TimeRange(start_time_ms=before_ms)
    recent = w.query_history.list(filter_by=QueryFilter(query_start_time_range=since), max_results=1)
    assert [each.query_id for each in recent.res or ()] == [ids[1]]
    assert recent.has_next_page
    following = w.query_history.list(max_results=1, page_token=recent.next_page_token, filter_by=QueryFilter(query_start_time_range=since))
    assert [each.query_id for each in following.res or ()] == [ids[0]]
    other = site.client("history.other")
    assert not other.query_history.list(filter_by=QueryFilter(statement_ids=ids)).res
