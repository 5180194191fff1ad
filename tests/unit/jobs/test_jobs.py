from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from insjo.access.types import Privilege, SecurableKind
from insjo.jobs.errors import PayloadTooLarge, RunNotFound, UnknownKind
from insjo.jobs.identity import is_dead, own_identity
from insjo.jobs.ports import RunContext
from insjo.jobs.service import Jobs
from insjo.jobs.types import Run, RunState
from insjo.kernel.clock import SystemClock
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from tests.support.lake import Lake, open_lake

pytestmark = pytest.mark.slow

PATIENCE_S = 30.0


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with open_lake(tmp_path) as lake:
        yield lake


@pytest.fixture
def jobs(lake: Lake) -> Iterator[Jobs]:
    jobs = Jobs(database=lake.database, clock=SystemClock(), access=lake.access)
    yield jobs
    jobs.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def ended(jobs: Jobs, lake: Lake, run: Run) -> Run:
    found = jobs.wait(lake.admin, run.id, PATIENCE_S)
    assert found.state.ended, found
    return found


def test_a_run_is_done_with_the_rights_of_the_one_who_asked(lake: Lake, jobs: Jobs) -> None:
    seen: list[RunContext] = []

    def work(run: RunContext) -> dict[str, object]:
        seen.append(run)
        run.progress(3, 3, "all read")
        return {"rows": run.payload["rows"]}

    jobs.register("load", work)
    jobs.start()
    anna = lake.person("anna")
    run = jobs.submit(anna, "load", {"rows": 7}, title="Load 7 rows")
    assert (run.state, run.owner) == (RunState.QUEUED, "anna")
    done = ended(jobs, lake, run)
    assert (done.state, done.result, done.attempt) == (RunState.SUCCEEDED, {"rows": 7}, 1)
    assert (done.progress_done, done.progress_total, done.message) == (3, 3, "all read")
    assert done.started_at
    assert done.ended_at
    assert seen[0].ctx.principal == anna.principal
    assert (seen[0].ctx.door, seen[0].ctx.request_id) == ("job", run.id)


def test_failures_are_told_without_internal_words(lake: Lake, jobs: Jobs) -> None:
    def wrong(run: RunContext) -> None:
        raise InvalidArgument("The file `a.csv` is empty.", hint="Upload it again.")

    def broken(run: RunContext) -> None:
        raise ZeroDivisionError("secret path /srv/x")

    jobs.register("wrong", wrong)
    jobs.register("broken", broken)
    jobs.start()
    run = ended(jobs, lake, jobs.submit(lake.admin, "wrong", {}, title=""))
    assert (run.state, run.error, run.error_code) == (
        RunState.FAILED,
        "The file `a.csv` is empty. Upload it again.",
        "INVALID_PARAMETER_VALUE",
    )
    run = ended(jobs, lake, jobs.submit(lake.admin, "broken", {}, title=""))
    assert (run.state, run.error_code) == (RunState.FAILED, "INTERNAL_ERROR")
    assert "secret" not in run.error
    assert run.id in run.error


def test_progress_is_seen_while_it_runs_and_a_cancelled_run_stops(lake: Lake, jobs: Jobs) -> None:
    def work(run: RunContext) -> None:
        run.progress(1, 10, "first page")
        while True:
            run.check()
            time.sleep(0.005)

    jobs.register("long", work)
    jobs.start()
    run = jobs.submit(lake.admin, "long", {}, title="Long")
    until(lambda: jobs.get(lake.admin, run.id).message == "first page")
    found = jobs.get(lake.admin, run.id)
    assert (found.state, found.progress_done, found.progress_total) == (RunState.RUNNING, 1, 10)
    jobs.cancel(lake.admin, run.id)
    assert ended(jobs, lake, run).state is RunState.CANCELLED
    assert jobs.cancel(lake.admin, run.id).state is RunState.CANCELLED


def test_a_waiting_run_is_cancelled_at_once_and_never_begun(lake: Lake, jobs: Jobs) -> None:
    begun: list[str] = []
    jobs.register("work", lambda run: begun.append(run.run_id))
    first = jobs.submit(lake.admin, "work", {}, title="")
    second = jobs.submit(lake.admin, "work", {}, title="")
    assert jobs.cancel(lake.admin, first.id).state is RunState.CANCELLED
    jobs.start()
    assert ended(jobs, lake, second).state is RunState.SUCCEEDED
    assert begun == [second.id]


def test_only_so_many_runs_go_at_once_and_in_their_order(lake: Lake) -> None:
    jobs = Jobs(database=lake.database, clock=SystemClock(), access=lake.access, threads=2)
    gate, lock = threading.Event(), threading.Lock()
    running, most = 0, 0
    order: list[int] = []

    def work(run: RunContext) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append(int(str(run.payload["number"])))
        gate.wait(PATIENCE_S)
        with lock:
            running -= 1

    jobs.register("work", work)
    submitted = [jobs.submit(lake.admin, "work", {"number": number}, title="") for number in range(6)]
    jobs.start()
    until(lambda: running == 2)
    gate.set()
    for run in submitted:
        assert ended(jobs, lake, run).state is RunState.SUCCEEDED
    jobs.close()
    assert most == 2
    assert sorted(order[:2]) == [0, 1]
    assert sorted(order) == list(range(6))


def test_what_cannot_be_queued_is_refused(lake: Lake, jobs: Jobs) -> None:
    jobs.register("load", lambda _: None)
    with pytest.raises(UnknownKind, match="Did you mean `load`"):
        jobs.submit(lake.admin, "laod", {}, title="")
    with pytest.raises(PayloadTooLarge):
        jobs.submit(lake.admin, "load", {"text": "x" * 2_000_000}, title="")


def test_runs_are_private_to_their_owner_admins_and_who_manages_the_object(lake: Lake, jobs: Jobs) -> None:
    jobs.register("work", lambda _: None)
    lake.room.catalogs.create(lake.admin, "main")
    catalog = lake.access.securables.find(SecurableKind.CATALOG, "main")
    assert catalog
    anna, bo, eva = lake.person("anna"), lake.person("bo"), lake.person("eva")
    lake.access.grants.grant(lake.admin, catalog.id, "eva", [Privilege.MANAGE])
    own = jobs.submit(anna, "work", {}, title="own")
    on_catalog = jobs.submit(anna, "work", {}, title="on catalog", securable_id=catalog.id)
    assert jobs.get(anna, own.id).title == "own"
    assert jobs.get(eva, on_catalog.id).title == "on catalog"
    for who, run in ((bo, own), (bo, on_catalog), (eva, own)):
        with pytest.raises(RunNotFound):
            jobs.get(who, run.id)
        with pytest.raises(RunNotFound):
            jobs.cancel(who, run.id)
    assert [each.id for each in jobs.list(anna).items] == [on_catalog.id, own.id]
    assert [each.id for each in jobs.list(lake.admin, kind="work").items] == [on_catalog.id, own.id]
    assert [each.id for each in jobs.list(eva, securable_id=catalog.id).items] == [on_catalog.id]
    assert jobs.list(bo).items == ()
    assert jobs.list(bo, securable_id=catalog.id).items == ()
    page = jobs.list(anna, PageRequest(1))
    assert [each.id for each in jobs.list(anna, PageRequest(1, page.next_token)).items] == [own.id]


def test_work_of_somebody_who_left_is_not_done(lake: Lake, jobs: Jobs) -> None:
    jobs.register("work", lambda _: None)
    anna = lake.person("anna")
    run = jobs.submit(anna, "work", {}, title="")
    lake.access.principals.delete(lake.admin, anna.principal.id)
    jobs.start()
    found = ended(jobs, lake, run)
    assert (found.state, found.error_code) == (RunState.FAILED, "PRINCIPAL_NOT_ACTIVE")


def test_closing_puts_resumable_work_back_and_fails_the_rest(lake: Lake) -> None:
    def work(run: RunContext) -> None:
        run.progress(1, 2, "begun")
        while True:
            run.check()
            time.sleep(0.005)

    jobs = Jobs(database=lake.database, clock=SystemClock(), access=lake.access)
    jobs.register("again", work, resumable=True)
    jobs.register("once", work)
    jobs.start()
    again, once = (jobs.submit(lake.admin, kind, {}, title="") for kind in ("again", "once"))
    for run in (again, once):
        until(lambda run=run: jobs.get(lake.admin, run.id).message == "begun")  # type: ignore[misc]  # Bound at once on purpose.
    jobs.close()
    assert jobs.get(lake.admin, again.id).state is RunState.QUEUED
    lost = jobs.get(lake.admin, once.id)
    assert (lost.state, lost.error_code) == (RunState.FAILED, "JOB_LOST")
    later = Jobs(database=lake.database, clock=SystemClock(), access=lake.access)
    later.register("again", lambda _: {"ok": True}, resumable=True)
    later.start()
    assert ended(later, lake, again).result == {"ok": True}
    later.close()


@pytest.fixture
def child(tmp_path: Path, lake: Lake, repository: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": f"{repository}{os.pathsep}{repository / 'src'}"}
    command = [sys.executable, "-m", "tests.unit.jobs.worker", str(tmp_path)]
    process = subprocess.Popen(command, cwd=repository, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_runs_of_a_killed_server_are_begun_again_or_failed_at_the_next_start(lake: Lake, jobs: Jobs, child: subprocess.Popen[str]) -> None:
    jobs.register("hang", lambda _: None)
    jobs.register("again", lambda _: {"by": "successor"}, resumable=True)
    assert child.stdout is not None
    hang, again = (jobs.submit(lake.admin, kind, {}, title="") for kind in ("hang", "again"))
    assert {child.stdout.readline().strip(), child.stdout.readline().strip()} == {hang.id, again.id}
    assert jobs.recover() == 0  # The child lives: nothing of its is taken away.
    child.kill()
    child.wait()
    jobs.start()
    lost = ended(jobs, lake, hang)
    assert (lost.state, lost.error_code) == (RunState.FAILED, "JOB_LOST")
    resumed = ended(jobs, lake, again)
    assert (resumed.state, resumed.result, resumed.attempt) == (RunState.SUCCEEDED, {"by": "successor"}, 2)


def test_a_run_is_cancelled_through_another_server_and_done_by_one_alone(lake: Lake, jobs: Jobs, child: subprocess.Popen[str]) -> None:
    jobs.register("hang", lambda _: None)
    jobs.register("count", lambda _: {"by": "here"})
    assert child.stdout is not None
    run = jobs.submit(lake.admin, "hang", {}, title="")
    assert child.stdout.readline().strip() == run.id
    until(lambda: jobs.get(lake.admin, run.id).message == "begun")
    jobs.cancel(lake.admin, run.id)
    jobs.start()
    runs = [jobs.submit(lake.admin, "count", {}, title="") for _ in range(20)]
    outcomes = [ended(jobs, lake, each) for each in runs]
    assert all(each.state is RunState.SUCCEEDED and each.attempt == 1 for each in outcomes)
    # The handler in the child returns when it is told to stop, which is a success of its own.
    assert ended(jobs, lake, run).state.ended


def test_a_process_is_known_to_be_dead_only_for_sure() -> None:
    assert not is_dead(own_identity("a"))
    done = subprocess.run(
        [sys.executable, "-c", "from insjo.jobs.identity import own_identity; print(own_identity('a'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert is_dead(done.stdout.strip())
    assert not is_dead("another-machine|" + done.stdout.strip().partition("|")[2])
    assert not is_dead("")
