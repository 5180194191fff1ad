from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.kernel.errors import PermissionDenied
from insjo.kernel.settings import Settings
from insjo.sql.errors import (
    ResultNoLongerAllowed,
    ResultUnavailable,
    StatementCancelled,
    StatementNotFound,
    StatementTimedOut,
    WarehouseBusy,
    WarehouseStopped,
    WorkerDied,
)
from insjo.sql.types import HistoryFilter, Statement, StatementSpec, StatementState
from tests.support.desk import Desk, open_desk

pytestmark = pytest.mark.slow

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.id + b.id < 0"


def _until(desk: Desk, statement_id: str, *states: StatementState) -> Statement:
    """The statement once it is in one of the states."""
    deadline = time.monotonic() + 60
    found = desk.room.statements.get(desk.ctx, statement_id)
    while found.state not in states and time.monotonic() < deadline:
        time.sleep(0.01)
        found = desk.room.statements.get(desk.ctx, statement_id)
    if found.state in states:
        return found
    message = f"the statement stayed {found.state}"
    raise AssertionError(message)


def test_a_statement_from_submission_to_close(desk: Desk) -> None:
    statements = desk.room.statements
    submitted = statements.submit(desk.ctx, StatementSpec("SELECT id FROM range(5) ORDER BY id"))
    assert submitted.owner == desk.ctx.principal
    ended = statements.wait(desk.ctx, submitted.id, 60)
    assert ended.state is StatementState.SUCCEEDED
    assert (ended.row_count, ended.chunk_count, ended.truncated) == (5, 1, False)
    assert ended.started_at
    assert ended.ended_at
    chunk = statements.chunk(desk.ctx, ended.id, 0)
    assert chunk.batches.column(0).to_pylist() == [0, 1, 2, 3, 4]
    assert chunk.next_index is None
    with pa.ipc.open_stream(statements.arrow_chunk(desk.ctx, ended.id, 0)) as stream:
        assert stream.read_all().num_rows == 5
    with pytest.raises(ResultUnavailable):
        statements.chunk(desk.ctx, ended.id, 1)
    assert statements.close(desk.ctx, ended.id).state is StatementState.CLOSED
    with pytest.raises(ResultUnavailable):
        statements.chunk(desk.ctx, ended.id, 0)


def test_a_failed_statement_tells_why(desk: Desk) -> None:
    submitted = desk.room.statements.submit(desk.ctx, StatementSpec("SELECT 1 / 0"))
    ended = desk.room.statements.wait(desk.ctx, submitted.id, 60)
    assert ended.state is StatementState.FAILED
    assert ended.error
    assert ended.error.code == "DIVIDE_BY_ZERO"
    with pytest.raises(ResultUnavailable):
        desk.room.statements.chunk(desk.ctx, ended.id, 0)


def test_large_results_come_in_chunks_and_spill_into_files(desk: Desk) -> None:
    statements = desk.room.statements
    text = "SELECT id, repeat('x', 100) AS pad FROM range(1500000)"
    ended = statements.wait(desk.ctx, statements.submit(desk.ctx, StatementSpec(text)).id, 120)
    assert ended.state is StatementState.SUCCEEDED, ended.error
    assert ended.chunk_count > 10
    assert ended.row_count == 1_500_000
    assert sum(chunk.row_count for chunk in ended.chunks) == ended.row_count
    assert max(chunk.byte_count for chunk in ended.chunks) < 30 * 1024 * 1024
    files = list((desk.lake.root / "results").rglob("*.arrow"))
    assert files
    seen = 0
    index: int | None = 0
    while index is not None:
        chunk = statements.chunk(desk.ctx, ended.id, index)
        assert chunk.row_offset == seen
        assert chunk.batches.column(0)[0].as_py() == seen
        seen += chunk.row_count
        index = chunk.next_index
    assert seen == 1_500_000
    statements.close(desk.ctx, ended.id)
    assert not list((desk.lake.root / "results").rglob("*.arrow"))


def test_limits_cut_a_result_off_and_say_so(desk: Desk) -> None:
    statements = desk.room.statements
    limited = statements.wait(desk.ctx, statements.submit(desk.ctx, StatementSpec("SELECT * FROM range(10000000)", row_limit=1000)).id, 60)
    assert (limited.row_count, limited.truncated) == (1000, True)
    exact = statements.wait(desk.ctx, statements.submit(desk.ctx, StatementSpec("SELECT * FROM range(10)", row_limit=10)).id, 60)
    assert (exact.row_count, exact.truncated) == (10, False)
    small = statements.wait(desk.ctx, statements.submit(desk.ctx, StatementSpec("SELECT * FROM range(1000000)", byte_limit=8000)).id, 60)
    assert small.truncated
    assert small.byte_count <= 8000
    assert desk.value("SELECT 1") == 1


def test_cancelling(desk: Desk) -> None:
    statements = desk.room.statements
    running = statements.submit(desk.ctx, StatementSpec(ENDLESS))
    _until(desk, running.id, StatementState.RUNNING)
    assert statements.cancel(desk.ctx, running.id).state is StatementState.CANCELED
    assert desk.value("SELECT 1") == 1
    ended = statements.wait(desk.ctx, statements.submit(desk.ctx, StatementSpec("SELECT 1")).id, 60)
    assert statements.cancel(desk.ctx, ended.id).state is StatementState.SUCCEEDED


def test_cancelling_a_change_leaves_the_table_as_it_was(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id BIGINT)")
    desk.run("INSERT INTO t VALUES (1)")
    statements = desk.room.statements
    spec = StatementSpec(
        "UPDATE t SET id = (SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.id + b.id < 0)", catalog="main", schema="desk"
    )
    running = statements.submit(desk.ctx, spec)
    _until(desk, running.id, StatementState.RUNNING)
    time.sleep(0.3)
    assert statements.cancel(desk.ctx, running.id).state is StatementState.CANCELED
    assert desk.rows("SELECT id FROM t") == [(1,)]
    desk.run("UPDATE t SET id = 2")  # The lock of the table is free.
    table = desk.lake.room.tables.get(desk.ctx, "main.desk.t")
    snapshot = desk.lake.room.tables.snapshot(table.id)
    assert {file.path for file in snapshot.files} <= {str(path) for path in Path(table.location).rglob("*.parquet")}


def test_running_out_of_time(desk: Desk) -> None:
    with pytest.raises(StatementTimedOut):
        desk.room.statements.run(desk.ctx, StatementSpec(ENDLESS), timeout_s=0.5)
    assert desk.value("SELECT 1") == 1


def test_a_killed_worker_fails_its_statement_and_nothing_else(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id BIGINT)")
    statements = desk.room.statements
    running = statements.submit(desk.ctx, StatementSpec(ENDLESS))
    writing = None
    _until(desk, running.id, StatementState.RUNNING)
    time.sleep(0.2)
    for pid in desk.engine.worker_pids():
        os.kill(pid, signal.SIGKILL)
    ended = statements.wait(desk.ctx, running.id, 60)
    assert ended.state is StatementState.FAILED
    assert isinstance(ended.error, WorkerDied)
    desk.engine.wait_ready()
    insert = "INSERT INTO t SELECT a.id FROM range(100000000) a, range(100000) b WHERE a.id + b.id >= 0"
    writing = statements.submit(desk.ctx, StatementSpec(insert, catalog="main", schema="desk"))
    _until(desk, writing.id, StatementState.RUNNING)
    table = desk.lake.room.tables.get(desk.ctx, "main.desk.t")
    deadline = time.monotonic() + 30
    while not list(Path(table.location).rglob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in desk.engine.worker_pids():
        os.kill(pid, signal.SIGKILL)
    ended = statements.wait(desk.ctx, writing.id, 60)
    assert isinstance(ended.error, WorkerDied)
    assert desk.rows("SELECT count(*) FROM t") == [(0,)]
    assert not list(Path(table.location).rglob("*.parquet"))
    desk.run("INSERT INTO t VALUES (1)")


def test_results_are_private(desk: Desk) -> None:
    ulla = desk.as_("ulla")
    submitted = desk.room.statements.submit(desk.ctx, StatementSpec("SELECT 1"))
    desk.room.statements.wait(desk.ctx, submitted.id, 60)
    for call in (desk.room.statements.get, desk.room.statements.cancel, desk.room.statements.close):
        with pytest.raises(StatementNotFound):
            call(ulla.ctx, submitted.id)
    with pytest.raises(StatementNotFound):
        desk.room.statements.chunk(ulla.ctx, submitted.id, 0)
    theirs = desk.room.statements.submit(ulla.ctx, StatementSpec("SELECT 1"))
    with pytest.raises(StatementNotFound):
        desk.room.statements.get(desk.ctx, theirs.id)


def test_a_right_that_is_taken_away_ends_a_result(desk: Desk) -> None:
    ulla = desk.as_("ulla")
    desk.run("CREATE TABLE t (id INT)")
    desk.run("INSERT INTO t VALUES (1)")
    desk.run("GRANT USE CATALOG ON CATALOG main TO ulla")
    desk.run("GRANT USE SCHEMA ON SCHEMA desk TO ulla")
    desk.run("GRANT SELECT ON TABLE t TO ulla")
    desk.run("GRANT READ VOLUME ON VOLUME files TO ulla")
    path = desk.put("a.csv", "x\n1\n")
    specs = [StatementSpec("SELECT * FROM main.desk.t"), StatementSpec(f"SELECT * FROM csv.`{path}`")]
    ids = [desk.room.statements.wait(ulla.ctx, desk.room.statements.submit(ulla.ctx, spec).id, 60).id for spec in specs]
    for statement_id in ids:
        assert desk.room.statements.chunk(ulla.ctx, statement_id, 0).row_count >= 1
    desk.run("REVOKE SELECT ON TABLE t FROM ulla")
    desk.run("REVOKE READ VOLUME ON VOLUME files FROM ulla")
    for statement_id in ids:
        with pytest.raises(ResultNoLongerAllowed):
            desk.room.statements.chunk(ulla.ctx, statement_id, 0)
    assert issubclass(ResultNoLongerAllowed, PermissionDenied)


def test_a_view_owner_who_loses_a_right_takes_it_from_all_readers(desk: Desk) -> None:
    ulla, bo = desk.as_("ulla"), desk.as_("bo")
    desk.run("CREATE TABLE t (id INT)")
    desk.run("CREATE SCHEMA ullas")
    for text in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA desk", "SELECT ON TABLE t"):
        desk.run(f"GRANT {text} TO ulla")
    desk.run("GRANT USE SCHEMA, CREATE TABLE ON SCHEMA ullas TO ulla")
    ulla.run("CREATE VIEW main.ullas.v AS SELECT id FROM main.desk.t")
    desk.run("GRANT USE CATALOG ON CATALOG main TO bo")
    desk.run("GRANT USE SCHEMA ON SCHEMA ullas TO bo")
    ulla.run("GRANT SELECT ON TABLE main.ullas.v TO bo")
    spec = StatementSpec("SELECT * FROM main.ullas.v")
    held = desk.room.statements.wait(bo.ctx, desk.room.statements.submit(bo.ctx, spec).id, 60)
    assert held.state is StatementState.SUCCEEDED
    desk.run("REVOKE SELECT ON TABLE t FROM ulla")
    with pytest.raises(ResultNoLongerAllowed):
        desk.room.statements.chunk(bo.ctx, held.id, 0)
    error = bo.error("SELECT * FROM main.ullas.v")
    assert error.code == "VIEW_UNREADABLE"
    assert "main.desk.t" not in str(error)


def test_results_are_removed_after_their_time(shared_engine: tuple[DuckDbEngine, Path]) -> None:
    engine, root = shared_engine
    with open_desk(root / "short", engine, Settings(result_ttl_s=1)) as desk:
        submitted = desk.room.statements.submit(desk.ctx, StatementSpec("SELECT 1"))
        desk.room.statements.wait(desk.ctx, submitted.id, 60)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                desk.room.statements.get(desk.ctx, submitted.id)
            except StatementNotFound:
                return
            time.sleep(0.05)
        pytest.fail("the result is still there")


def test_too_many_statements_are_refused(shared_engine: tuple[DuckDbEngine, Path]) -> None:
    engine, root = shared_engine
    with open_desk(root / "busy", engine, Settings(sql_queue_max=3, sql_workers=1)) as desk:
        ids: list[str] = []

        def crowd() -> None:
            for _ in range(60):
                ids.append(desk.room.statements.submit(desk.ctx, StatementSpec(ENDLESS)).id)  # noqa: PERF401  # The last one raises.

        with pytest.raises(WarehouseBusy):
            crowd()
        waiting = [desk.room.statements.get(desk.ctx, each) for each in ids]
        assert any(each.queue_position > 0 for each in waiting)
        for each in ids:
            desk.room.statements.cancel(desk.ctx, each)
        assert desk.value("SELECT 1") == 1


def test_the_history_is_everybodys_own(desk: Desk) -> None:
    ulla = desk.as_("ulla")
    ulla.room.statements.run(ulla.ctx, StatementSpec("SELECT 'ullas'"))
    desk.error("SELECT nope")
    own = desk.room.history.list(ulla.ctx)
    assert [(entry.text, entry.state, entry.kind, entry.row_count) for entry in own.items] == [
        ("SELECT 'ullas'", StatementState.SUCCEEDED, "SELECT", 1),
    ]
    assert not desk.room.history.list(ulla.ctx, HistoryFilter(user_ids=(desk.ctx.principal.id,))).items
    everything = desk.room.history.list(desk.ctx, HistoryFilter(states=(StatementState.FAILED,)))
    assert everything.items[0].error_code == "UNRESOLVED_COLUMN"
    rows = desk.rows("SELECT executed_by, statement_text, execution_status FROM system.query.history WHERE statement_text LIKE '%ullas%'")
    assert ("ulla", "SELECT 'ullas'", "FINISHED") in rows
    assert ulla.error("SELECT * FROM system.query.history").code == "TABLE_OR_VIEW_NOT_FOUND"
    desk.run("GRANT USE CATALOG ON CATALOG system TO ulla")
    desk.run("GRANT USE SCHEMA, SELECT ON SCHEMA system.query TO ulla")
    assert {row[0] for row in ulla.rows("SELECT executed_by FROM system.query.history", catalog="system", schema="query")} == {"ulla"}


def test_every_statement_is_audited_with_its_label_and_origins(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    desk.run("SELECT id FROM t")
    desk.lake.access.audit.flush()
    event = next(
        each for each in desk.lake.access.audit.search(desk.ctx).items if each.action == "statement.run" and "SELECT" in each.reason
    )
    assert (event.outcome, event.label, event.origins) == ("allowed", "internal", ("main.desk.t@0",))
    assert len(event.content_hash) == 64
    assert desk.lake.access.audit.verify().intact


def test_warehouses(desk: Desk) -> None:
    warehouses = desk.room.warehouses
    (default,) = warehouses.list(desk.ctx)
    assert (default.name, default.is_default) == ("starter", True)
    ulla = desk.as_("ulla")
    assert ulla.room.statements.run(ulla.ctx, StatementSpec("SELECT 1")).table.num_rows == 1
    made = warehouses.create(desk.ctx, "big", size="Small", auto_stop_mins=5)
    assert [each.name for each in warehouses.list(ulla.ctx)] == ["starter"]
    from insjo.access.errors import AccessDenied, WarehouseNotFound
    from insjo.sql.errors import WarehouseExists, WarehouseInvalid

    with pytest.raises(WarehouseNotFound):
        ulla.room.statements.submit(ulla.ctx, StatementSpec("SELECT 1", warehouse_id=made.id))
    with pytest.raises(WarehouseNotFound):
        ulla.room.statements.submit(ulla.ctx, StatementSpec("SELECT 1", warehouse_id="0000000000000000"))
    with pytest.raises(WarehouseExists):
        warehouses.create(desk.ctx, "BIG")
    with pytest.raises(AccessDenied):
        warehouses.create(ulla.ctx, "mine")
    with pytest.raises(WarehouseInvalid):
        warehouses.create(desk.ctx, "odd", size="Gigantic")
    warehouses.stop(desk.ctx, made.id)
    with pytest.raises(WarehouseStopped):
        desk.room.statements.submit(desk.ctx, StatementSpec("SELECT 1", warehouse_id=made.id))
    warehouses.start(desk.ctx, made.id)
    assert warehouses.edit(desk.ctx, made.id, name="bigger").name == "bigger"
    assert desk.room.statements.run(desk.ctx, StatementSpec("SELECT 1", warehouse_id=made.id)).statement.warehouse_id == made.id
    warehouses.delete(desk.ctx, made.id)
    with pytest.raises(WarehouseInvalid):
        warehouses.delete(desk.ctx, default.id)
    with pytest.raises(AccessDenied):
        warehouses.stop(ulla.ctx, default.id)


def test_completions_offer_only_what_may_be_seen(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    offered = desk.room.completions(desk.ctx, "main", "desk")
    assert "main.desk.t" in [table.full_name for table in offered.tables]
    assert "SELECT" in offered.keywords
    assert "coalesce" in offered.functions
    assert not desk.room.completions(desk.as_("ulla").ctx).tables


def test_a_statement_that_ran_leaves_no_thread_and_closes_with_the_room(shared_engine: tuple[DuckDbEngine, Path]) -> None:
    engine, root = shared_engine
    with open_desk(root / "closing", engine) as desk:
        running = desk.room.statements.submit(desk.ctx, StatementSpec(ENDLESS))
        _until(desk, running.id, StatementState.RUNNING)
    assert desk.room.statements.get(desk.ctx, running.id).state is StatementState.CANCELED
    with pytest.raises(WarehouseBusy):
        desk.room.statements.submit(desk.ctx, StatementSpec("SELECT 1"))
    assert isinstance(desk.room.statements.get(desk.ctx, running.id).error, StatementCancelled)
