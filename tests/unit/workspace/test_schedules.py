"""Saved queries that run by themselves: once each time, with the rights that the owner then has, and only what the owner has seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from insjo.adapters.files.storage import LocalFiles
from insjo.jobs.errors import CronInvalid
from insjo.jobs.service import Jobs
from insjo.jobs.types import Run, RunState
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import NotFound, PermissionDenied
from insjo.workspace import store
from insjo.workspace.errors import ScheduleInvalid, ScheduleNotFound
from insjo.workspace.service.room import WorkspaceRoom
from tests.support.access import Turnable
from tests.support.desk import Desk, open_desk, open_engine

WITHIN_S = 60
HOUR_S = 3600


@dataclass
class Clockwork:
    """A desk, and a workspace whose clock is turned by hand."""

    desk: Desk
    room: WorkspaceRoom
    jobs: Jobs
    clock: Turnable
    anna: RequestContext
    bo: RequestContext

    def query(self, text: str, ctx: RequestContext | None = None) -> str:
        return self.room.queries.create(ctx or self.anna, "hourly", text, catalog="main", schema="desk", auto_resolve=True).id

    def ended(self, query_id: str, count: int = 1) -> list[Run]:
        """Runs of a query, the oldest first, once so many have ended."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            found = self.jobs.list(self.desk.ctx, securable_id=query_id).items
            if len(found) >= count and all(each.state.ended for each in found):
                return [*reversed(found)]
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clockwork]:
    root = tmp_path_factory.mktemp("clockwork")
    with open_engine(root) as engine, open_desk(root / "lake", engine) as desk:
        access, clock = desk.lake.access, Turnable()
        jobs = Jobs(database=desk.lake.database, clock=clock, access=access)
        room = WorkspaceRoom(
            database=desk.lake.database,
            clock=clock,
            access=access,
            contents=LocalFiles(),
            folder=root / "workspace",
            keys=root / "keys",
            jobs=jobs,
            statements=desk.room.statements,
        )
        room.start()
        jobs.start(ticks=False)
        anna, bo = desk.lake.person("anna"), desk.lake.person("bo")
        desk.run("CREATE TABLE facts AS SELECT 1 AS a")
        desk.run("CREATE TABLE heard (at TIMESTAMP)")
        for text in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.desk", "SELECT, MODIFY ON SCHEMA main.desk"):
            desk.run(f"GRANT {text} TO anna")
        try:
            yield Clockwork(desk, room, jobs, clock, anna, bo)
        finally:
            jobs.close()


def test_it_runs_when_it_is_due_and_once_for_all_times_that_were_missed(works: Clockwork) -> None:
    made = works.query("INSERT INTO heard VALUES (current_timestamp())")
    set_ = works.room.schedules.set(works.anna, made, "0 * * * *", "Europe/Stockholm")
    assert (set_.owner, set_.query_name, set_.paused, set_.outdated) == ("anna", "hourly", False, False)
    assert set_.next_at
    assert set_.next_at > works.clock.now()
    assert works.room.schedules.tick() == 0
    works.clock.turn(HOUR_S)
    assert works.room.schedules.tick() == 1
    assert works.room.schedules.tick() == 0, "it was queued already"
    (run,) = works.ended(made)
    assert (run.state, run.owner, run.result["rows"]) == (RunState.SUCCEEDED, "anna", 1), run.error
    works.clock.turn(5 * HOUR_S)
    assert works.room.schedules.tick() == 1
    assert len(works.ended(made, 2)) == 2
    assert works.desk.value("SELECT count(*) FROM heard") == 2
    told = works.room.schedules.get(works.anna, made)
    assert told.last_at == works.clock.now()
    assert told.next_at
    assert told.next_at > works.clock.now()
    assert [each.state for each in works.room.schedules.runs(works.anna, made).items] == [RunState.SUCCEEDED] * 2
    works.room.schedules.delete(works.anna, made)
    works.clock.turn(5 * HOUR_S)
    assert works.room.schedules.tick() == 0


def test_of_two_servers_that_look_one_queues(works: Clockwork) -> None:
    made = works.query("SELECT 1")
    works.room.schedules.set(works.anna, made, "0 * * * *")
    works.clock.turn(HOUR_S)
    with works.desk.lake.database.read() as connection:
        (seen,) = store.list_due_schedules(connection, works.clock.now(), 10)
    # Both servers have read the row before either writes.
    assert works.room.schedules._begin(seen)
    assert not works.room.schedules._begin(seen)
    works.ended(made)
    works.room.schedules.delete(works.anna, made)


def test_rights_are_those_at_the_time(works: Clockwork) -> None:
    made = works.query("SELECT a FROM facts")
    works.room.schedules.set(works.anna, made, "0 * * * *")
    works.desk.run("REVOKE SELECT, MODIFY ON SCHEMA main.desk FROM anna")
    works.clock.turn(HOUR_S)
    works.room.schedules.tick()
    (run,) = works.ended(made)
    assert (run.state, run.error_code) == (RunState.FAILED, "TABLE_OR_VIEW_NOT_FOUND")
    works.desk.run("GRANT SELECT, MODIFY ON SCHEMA main.desk TO anna")
    works.clock.turn(HOUR_S)
    works.room.schedules.tick()
    assert works.ended(made, 2)[1].state is RunState.SUCCEEDED
    works.room.schedules.delete(works.anna, made)


def test_what_another_changed_does_not_run_with_the_owners_rights(works: Clockwork) -> None:
    made = works.query("SELECT 1")
    works.room.permissions.update(works.anna, "queries", made, [("bo", "CAN_EDIT")])
    works.room.schedules.set(works.anna, made, "0 * * * *")
    works.room.queries.update(works.bo, made, text="DELETE FROM facts")
    assert works.room.schedules.get(works.bo, made).outdated
    works.clock.turn(HOUR_S)
    works.room.schedules.tick()
    (run,) = works.ended(made)
    assert (run.state, run.error_code) == (RunState.FAILED, "SCHEDULE_OUTDATED")
    assert works.desk.value("SELECT count(*) FROM facts") == 1
    with pytest.raises(PermissionDenied):
        works.room.schedules.set(works.bo, made, "* * * * *")
    with pytest.raises(PermissionDenied):
        works.room.schedules.delete(works.bo, made)
    with pytest.raises(ScheduleInvalid):
        works.room.schedules.run_now(works.bo, made)
    works.room.permissions.update(works.anna, "queries", made, [("bo", "CAN_MANAGE")])
    assert works.room.schedules.set(works.bo, made, "* * * * *", paused=True).owner == "bo"
    works.room.schedules.delete(works.anna, made)


def test_it_can_be_paused_and_run_at_once(works: Clockwork) -> None:
    made = works.query("SELECT :n AS n")
    with pytest.raises(ScheduleNotFound):
        works.room.schedules.run_now(works.anna, made)
    works.room.queries.update(works.anna, made, parameters=[{"name": "n", "numeric_value": {"value": 7}}])
    assert works.room.schedules.set(works.anna, made, "* * * * *", paused=True).next_at is None
    works.clock.turn(HOUR_S)
    assert works.room.schedules.tick() == 0
    assert works.room.schedules.run_now(works.anna, made).state is RunState.QUEUED
    (run,) = works.ended(made)
    assert run.state is RunState.SUCCEEDED, run.error
    statement = works.desk.room.statements.get(works.anna, str(run.result["statement_id"]))
    assert statement.row_count == 1
    with pytest.raises(NotFound):
        works.desk.room.statements.get(works.bo, statement.id)
    works.room.queries.trash(works.anna, made)
    works.room.schedules.run_now(works.anna, made)
    assert works.ended(made, 2)[1].state is RunState.FAILED


def test_what_cannot_run_by_itself_is_refused(works: Clockwork) -> None:
    made = works.query("SELECT :d")
    works.room.queries.update(works.anna, made, parameters=[{"name": "d", "date_range_value": {}}])
    with pytest.raises(ScheduleInvalid, match="`d` has no single value"):
        works.room.schedules.set(works.anna, made, "* * * * *")
    with pytest.raises(CronInvalid):
        works.room.schedules.set(works.anna, works.query("SELECT 1"), "whenever")
    with pytest.raises(ScheduleInvalid):
        works.room.schedules.set(works.anna, works.query(" "), "* * * * *")


def test_somebody_elses_schedule_does_not_exist(works: Clockwork) -> None:
    made = works.query("SELECT 1")
    works.room.schedules.set(works.anna, made, "0 * * * *")
    for ask in (works.room.schedules.get, works.room.schedules.delete, works.room.schedules.run_now, works.room.schedules.runs):
        with pytest.raises(NotFound):
            ask(works.bo, made)
    with pytest.raises(NotFound):
        works.room.schedules.set(works.bo, made, "* * * * *")
    assert made not in {each.query_id for each in works.room.schedules.list(works.bo)}
    assert made in {each.query_id for each in works.room.schedules.list(works.anna)}
    works.room.permissions.update(works.anna, "queries", made, [("bo", "CAN_READ")])
    assert works.room.schedules.get(works.bo, made).owner == "anna"
    assert works.room.schedules.runs(works.bo, made).items == ()
    with pytest.raises(PermissionDenied):
        works.room.schedules.set(works.bo, made, "* * * * *")
