"""Kill -9 at random moments while tables are written: what was answered is there exactly once, and nothing is there by half.

Writers keep a model of what they sent.  A statement that was answered SUCCEEDED must be there, one that was answered FAILED must not,
and one that was never answered may be there as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.support.raw import Raw, children
from tests.support.server import RunningServer

SERVER_KILLS = 4
WORKER_KILLS = 3
ROWS = 40
KEYS = 100
BURST_S = (0.3, 2.0)
"""How long the writers run before the next kill."""

WITHIN_S = 90.0
SQL_WORKER = "insjo.adapters.duckdb.worker"
MODEL_WORKER = "insjo.adapters.llama.worker"
FOLDER = "/Volumes/main/default/landing"
COPY = f"COPY INTO main.default.landed FROM '{FOLDER}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true', 'inferSchema' = 'true')"


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@dataclass
class Model:
    """What the writers know: for each kind of write the numbers that were answered, refused, or never answered."""

    done: dict[str, list[int]] = field(default_factory=dict)
    failed: dict[str, list[int]] = field(default_factory=dict)
    open: dict[str, list[int]] = field(default_factory=dict)

    def note(self, kind: str, number: int, outcome: str) -> None:
        {"SUCCEEDED": self.done, "FAILED": self.failed}.get(outcome, self.open).setdefault(kind, []).append(number)

    def check(self, kind: str, found: dict[int, int], rows: int) -> None:
        """Each answered write has all its rows once, each refused one none, each open one all or none."""
        done, failed, unanswered = (set(each.get(kind, ())) for each in (self.done, self.failed, self.open))
        assert {number: found.get(number, 0) for number in done} == dict.fromkeys(done, rows), f"{kind}: an answered write is not whole"
        assert not failed & set(found), f"{kind}: a refused write left rows"
        halves = {number: found[number] for number in unanswered & set(found) if found[number] != rows}
        assert not halves, f"{kind}: a write is there by half"
        assert set(found) <= done | unanswered, f"{kind}: rows that nobody wrote"


@dataclass
class Site:
    """The server, its writers and their model."""

    raw: Raw
    model: Model = field(default_factory=Model)
    stop: threading.Event = field(default_factory=threading.Event)
    writers: list[threading.Thread] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)

    @property
    def server(self) -> RunningServer:
        return self.raw.server

    def write(self, kind: str, number: int, text: str) -> None:
        """One statement, sent once."""
        try:
            status = self.raw.sql(text)["status"]
        except (OSError, ValueError, KeyError):
            self.model.note(kind, number, "")
            time.sleep(0.05)
            return
        state = status["state"]
        if state == "FAILED":
            self.refusals[status["error"]["message"].partition("]")[0]] += 1
        self.model.note(kind, number, state)

    def burst(self, seconds: float) -> None:
        """Let all writers write for a moment; returns while they still do."""
        self.stop.clear()
        tasks = (self._insert, self._make, self._merge, self._land)
        self.writers = [threading.Thread(target=self._guarded, args=(task,)) for task in tasks]
        for thread in self.writers:
            thread.start()
        time.sleep(seconds)

    def rest(self) -> None:
        """Let the writers finish what they are at."""
        self.stop.set()
        for thread in self.writers:
            thread.join(WITHIN_S)
            assert not thread.is_alive(), "a statement never ended"
        assert not self.problems, self.problems

    def _guarded(self, task: Callable[[int], None]) -> None:
        try:
            while not self.stop.is_set():
                task(next(NUMBERS))
        except BaseException as error:  # A thread has nobody to tell; the test fails with it.
            self.problems.append(error)
            raise

    def _insert(self, number: int) -> None:
        self.write("insert", number, f"INSERT INTO main.default.log SELECT {number}, id FROM range({ROWS})")

    def _make(self, number: int) -> None:
        self.write("make", number, f"CREATE TABLE main.default.made_{number} AS SELECT {number} AS tag, id FROM range({ROWS})")
        self.write("count", number, "UPDATE main.default.counter SET n = n + 1")

    def _merge(self, number: int) -> None:
        source = f"(SELECT id AS k, {number} AS v FROM range({KEYS}))"
        match = "WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT *"
        self.write("merge", number, f"MERGE INTO main.default.state t USING {source} s ON t.k = s.k {match}")

    def _land(self, number: int) -> None:
        content = "tag,id\n" + "".join(f"{number},{row}\n" for row in range(ROWS))
        try:
            told = self.raw.send("PUT", f"/api/2.0/fs/files{FOLDER}/{number}.csv", content.encode())
        except OSError:
            self.model.note("file", number, "")
            return
        self.model.note("file", number, "SUCCEEDED" if told.status == 204 else "FAILED")
        self.write("copy", number, COPY)

    # ------------------------------------------------------------------------------------------------------------- checking

    def tags(self, table: str) -> dict[int, int]:
        """Rows of each tag; a row that is there twice counts twice and fails."""
        rows = self.raw.rows(f"SELECT tag, count(*), count(DISTINCT id) FROM {table} GROUP BY tag")
        assert all(count == distinct for _, count, distinct in rows), f"{table}: rows are there twice"
        return {int(tag): int(count) for tag, count, _ in rows}

    def check(self) -> None:
        """The tables hold what the model says."""
        self.model.check("insert", self.tags("main.default.log"), ROWS)
        made = [row[1] for row in self.raw.rows("SHOW TABLES IN main.default") if row[1].startswith("made_")]
        union = " UNION ALL ".join(f"SELECT tag, id FROM main.default.{name}" for name in made)
        found = self.tags(f"({union})") if made else {}
        assert set(found) == {int(name.removeprefix("made_")) for name in made}, "a table has no rows"
        self.model.check("make", found, ROWS)
        self._check_merges()
        self._check_counter()
        self._check_files()

    def _check_merges(self) -> None:
        rows = self.raw.rows("SELECT v, count(*), count(DISTINCT k) FROM main.default.state GROUP BY v")
        done, unanswered = self.model.done.get("merge", []), self.model.open.get("merge", [])
        if not rows:
            assert not done
            return
        assert [row[1:] for row in rows] == [[str(KEYS), str(KEYS)]], f"a merge is there by half: {rows}"
        assert int(rows[0][0]) in {*done[-1:], *(number for number in unanswered if number > max(done, default=-1))}

    def _check_counter(self) -> None:
        rows = self.raw.rows("SELECT n, count(*) FROM main.default.counter GROUP BY n")
        done, unanswered = len(self.model.done.get("count", [])), len(self.model.open.get("count", []))
        assert len(rows) == 1, f"an update is there by half: {rows}"
        assert rows[0][1] == str(KEYS)
        assert done <= int(rows[0][0]) <= done + unanswered

    def _check_files(self) -> None:
        landed = self.tags("main.default.landed")
        assert set(landed.values()) <= {ROWS}, "a file is there by half"
        listed: list[str] = []
        token = ""
        while True:
            told = self.raw.send("GET", f"/api/2.0/fs/directories{FOLDER}?page_token={token}").json()
            listed += [each["name"] for each in told["contents"]]
            token = told.get("next_page_token", "")
            if not token:
                break
        there = {int(name.removesuffix(".csv")) for name in listed}
        assert there >= set(self.model.done.get("file", ())), "an uploaded file is gone"
        assert set(landed) <= there


NUMBERS = iter(range(1, 2**31))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with RunningServer(tmp_path_factory.mktemp("crash") / "data") as server:
        site = Site(Raw(server, server.token()))
        for text in (
            "CREATE TABLE main.default.log (tag BIGINT, id BIGINT)",
            "CREATE TABLE main.default.state (k BIGINT, v BIGINT)",
            f"CREATE TABLE main.default.counter AS SELECT id, CAST(0 AS BIGINT) AS n FROM range({KEYS})",
            "CREATE TABLE main.default.landed (tag BIGINT, id BIGINT)",
            "CREATE VOLUME main.default.landing",
        ):
            site.raw.rows(text)
        yield site


def _kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _all_children(server: RunningServer) -> list[int]:
    assert server.process is not None
    return children(server.process.pid, "")


def _alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_sql_workers_killed_during_writes(site: Site) -> None:
    chance = random.Random(1)
    for _ in range(WORKER_KILLS):
        site.burst(chance.uniform(*BURST_S))
        assert site.server.process is not None
        workers = children(site.server.process.pid, SQL_WORKER)
        _kill([chance.choice(workers)])
        time.sleep(chance.uniform(0, 0.5))
        site.rest()
        site.check()
    assert site.server.process is not None
    assert site.server.process.poll() is None
    assert set(site.refusals) <= {"[SQL_WORKER_LOST"}, site.refusals
    assert sum(len(each) for each in site.model.done.values()) > WORKER_KILLS * 4
    assert not site.model.open, "a statement was not answered although the server lived"


def test_the_model_process_killed_during_writes_is_nobodys_concern(site: Site) -> None:
    body = {"model": "insjo-chat", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 2}
    assert site.raw.send("POST", "/v1/chat/completions", body).status == 200
    assert site.server.process is not None
    before = Counter(site.refusals)
    site.burst(0.5)
    models = children(site.server.process.pid, MODEL_WORKER)
    assert models
    _kill(models)
    time.sleep(0.5)
    site.rest()
    site.check()
    assert site.refusals == before
    until(lambda: site.raw.send("POST", "/v1/chat/completions", body).status == 200, "the model did not come back")


def test_the_server_killed_during_writes(site: Site) -> None:
    chance = random.Random(2)
    for _ in range(SERVER_KILLS):
        site.burst(chance.uniform(*BURST_S))
        family = _all_children(site.server)
        assert family
        site.server.kill9_server_only()
        until(lambda family=family: not any(_alive(pid) for pid in family), "child processes outlived the server")  # type: ignore[misc]  # Bound now.
        site.rest()
        site.server.start()
        site.check()
    site.burst(1.0)
    site.rest()
    site.check()
    assert sum(len(each) for each in site.model.open.values()) > 0, "no kill came while a statement ran"


def test_what_was_landed_is_completed_without_a_row_too_much(site: Site) -> None:
    site.raw.rows(COPY)
    landed = site.tags("main.default.landed")
    assert set(landed) >= set(site.model.done.get("file", ()))
    assert set(landed.values()) == {ROWS}
    assert site.raw.rows(COPY)[0][0] == "0"
    site.check()


def test_other_readers_and_the_audit_agree(site: Site) -> None:
    found: Counter[int] = Counter()
    for log in (site.server.data_dir / "tables").rglob("_delta_log"):
        if not any(log.iterdir()):
            continue  # A table that was being made when the server was killed: nobody can name it, and it is swept after a day.
        table = DeltaTable(str(log.parent))
        assert all(Path(uri.removeprefix("file://")).is_file() for uri in table.file_uris()), "a file of the log is missing"
        read = table.to_pyarrow_table()
        if read.column_names == ["tag", "id"]:
            found.update(read.column("tag").to_pylist())
    expected = Counter({int(tag): int(count) for tag, count in site.raw.rows("SELECT tag, count(*) FROM main.default.log GROUP BY tag")})
    expected.update({int(tag): int(count) for tag, count in site.raw.rows("SELECT tag, count(*) FROM main.default.landed GROUP BY tag")})
    assert {tag: found[tag] for tag in expected} == dict(expected)
    checked = site.server.insjo("audit", "verify", "--json", "--data", str(site.server.data_dir))
    assert json.loads(checked.stdout)["intact"] is True
    site.server.stop()
    said = site.server.log
    assert "Traceback" not in said, said[-3000:]
    site.server.start()
