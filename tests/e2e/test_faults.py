"""Bad input and broken parts: each gives a clear error in the form of its door, nothing is half-written, and the server lives."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.support.raw import Raw, children
from tests.support.server import RunningServer

SQL_WORKER = "insjo.adapters.duckdb.worker"
MODEL_WORKER = "insjo.adapters.llama.worker"
WITHIN_S = 90.0
SLOW = "SELECT count(*) FROM range(3000000) a JOIN range(3000000) b ON (a.id * b.id) % 1000003 = 17"
SURPRISES = ("Traceback", " ERROR ")
"""What the log must not hold after input that is merely wrong."""


def until(true: Callable[[], object], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    """A server with the packaged models."""
    with RunningServer(tmp_path_factory.mktemp("faults") / "data", environment={"INSJO_SQL_MEMORY_MB": "512"}) as server:
        yield Raw(server, server.token())


@pytest.fixture(autouse=True)
def alive(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the same process answers and runs statements, and its log holds no surprise."""
    if "raw" not in request.fixturenames:
        yield
        return
    raw: Raw = request.getfixturevalue("raw")
    assert raw.server.process is not None
    pid, before = raw.server.process.pid, len(raw.server.log)
    yield
    assert raw.server.process.poll() is None, raw.server.log[-3000:]
    assert raw.server.process.pid == pid
    assert raw.send("GET", "/health").status == 200
    assert raw.rows("SELECT 1") == [["1"]]
    said = raw.server.log[before:]
    assert not [word for word in SURPRISES if word in said], said


@pytest.fixture(scope="module")
def volume(raw: Raw) -> str:
    raw.rows("CREATE VOLUME IF NOT EXISTS main.default.faults")
    return "/Volumes/main/default/faults"


@pytest.fixture
def table(raw: Raw) -> str:
    """A table with one row, which every refused statement leaves as it is."""
    name = f"main.default.people_{uuid.uuid4().hex[:8]}"
    raw.rows(f"CREATE TABLE {name} (id INT, name STRING, born DATE)")
    raw.rows(f"INSERT INTO {name} VALUES (0, 'Zed', DATE'1990-01-01')")
    return name


def files_of(raw: Raw) -> set[Path]:
    """Data files of all tables."""
    return {path for path in (raw.server.data_dir / "tables").rglob("*.parquet") if path.is_file()}


# ---------------------------------------------------------------------------------------------------------------------- files

BROKEN_FILES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "a quote that is not closed": ("csv", b'id,name,born\n1,Anna,2000-01-01\n2,"Bo,1999-12-31\n', ("Line 3", "quote")),
    "a value of another type": ("csv", b"id,name,born\n1,Anna,2000-01-01\nx2,Bo,1999-12-31\n", ("Line 3", "`x2`", "`id`")),
    "too few values": ("csv", b"id,name,born\n1,Anna,2000-01-01\n2,Bo\n", ("Line 3", "2 columns")),
    "too many values": ("csv", b"id,name,born\n1,Anna,2000-01-01,more\n", ("Line 2", "4 columns")),
    "nothing at all": ("csv", b"", ("empty",)),
    "another encoding": ("csv", b"id,name,born\n1,Anna,2000-01-01\n2,\xc5sa,2000-01-01\n", ("Line 3", "UTF-8", "encoding")),
    "no text": ("csv", bytes(range(256)) * 8, ("faults/",)),
    "half a JSON line": ("json", b'{"id": 1, "name": "a"}\n{"id": 2, "name":\n', ("Line 2", "JSON")),
    "JSON of another type": ("json", b'{"id": 1, "name": "a"}\n{"id": {"x": 1}, "name": 7}\n', ("`",)),
    "a damaged Parquet file": ("parquet", b"PAR1 nothing that one could read PAR1", ("Parquet",)),
    "an empty Parquet file": ("parquet", b"", ("empty",)),
}


@pytest.mark.parametrize("what", BROKEN_FILES)
def test_a_broken_file_is_named_with_its_line_and_nothing_of_it_is_kept(raw: Raw, volume: str, table: str, what: str) -> None:
    kind, content, words = BROKEN_FILES[what]
    path = f"{volume}/{what.replace(' ', '_')}.{kind}"
    raw.put(path, content)
    before = files_of(raw)
    options = "FORMAT_OPTIONS ('header' = 'true', 'inferSchema' = 'true')" if kind == "csv" else ""
    message = raw.failure(f"COPY INTO {table} FROM '{path}' FILEFORMAT = {kind.upper()} {options}")
    assert all(word in message for word in words), message
    assert str(raw.server.data_dir.parent) not in message, "an internal path is shown"
    assert raw.rows(f"SELECT * FROM {table}") == [["0", "Zed", "1990-01-01"]]
    assert files_of(raw) == before, "files of a statement that failed were left behind"


def test_one_broken_file_among_good_ones_keeps_all_of_them_out(raw: Raw, volume: str, table: str) -> None:
    for number in range(5):
        raw.put(f"{volume}/mixed/{number}.csv", f"id,name,born\n{number},N{number},2000-01-0{number + 1}\n".encode())
    raw.put(f"{volume}/mixed/9.csv", b"id,name,born\n9,N9,tomorrow\n")
    copy = f"COPY INTO {table} FROM '{volume}/mixed' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true', 'inferSchema' = 'true')"
    assert "9.csv" in raw.failure(copy)
    assert raw.rows(f"SELECT count(*) FROM {table}") == [["1"]]
    raw.put(f"{volume}/mixed/9.csv", b"id,name,born\n9,N9,2000-02-01\n")
    assert raw.rows(copy)[0][0] == "6"
    assert raw.rows(copy)[0][0] == "0", "a file is loaded once"
    assert raw.rows(f"SELECT count(*), sum(id) FROM {table}") == [["7", "19"]]


def test_options_and_encodings_that_do_not_exist(raw: Raw, volume: str) -> None:
    raw.put(f"{volume}/plain.csv", b"id\n1\n")
    read = f"SELECT * FROM read_files('{volume}/plain.csv', format => 'csv'"
    assert "klingon" in raw.failure(f"{read}, encoding => 'klingon')")
    assert "pptx" in raw.failure(f"SELECT * FROM read_files('{volume}/plain.csv', format => 'pptx')")
    assert "headre" in raw.failure(f"{read}, headre => true)")
    assert "Did you mean `plain.csv`" in raw.failure(f"SELECT * FROM read_files('{volume}/plan.csv')")
    outside = ("/etc/passwd", f"{volume}/../../../../../etc/passwd", "file:///etc/passwd", "s3://b/x", "/proc/1/environ")
    for path in outside:
        assert "root:" not in raw.failure(f"SELECT * FROM read_files('{path}', format => 'csv')")


# ------------------------------------------------------------------------------------------------------------------------ SQL


def test_wrong_sql_says_where_and_what_was_meant(raw: Raw, table: str) -> None:
    short = table.rpartition(".")[2]
    told: dict[str, tuple[str, ...]] = {
        "SELEC 1": ("line 1, column 1", "Did you mean `SELECT`"),
        "SELECT 1\nFROM\n  WHERE x": ("line 3",),
        "SELECT (1 + 2": ("line 1",),
        "SELECT 1,\n 'open": ("line 2, column 2", "not closed"),
        "SELECT 1; SELECT 2": ("more than one statement",),
        "SELECT 1; DROP TABLE " + table: ("more than one statement",),
        "": ("no statement",),
        "-- only a comment": ("no statement",),
        f"SELECT nme FROM {table}": ("`nme`", "Did you mean `name`"),
        f"SELECT * FROM {table[:-1]}": ("does not exist", "Did you mean"),
        f"SELECT * FROM main.defalt.{short}": ("does not exist", "Did you mean"),
        f"SELECT * FROM mian.default.{short}": ("does not exist", "Did you mean"),
        "SELECT cuont(1)": ("`cuont`", "Did you mean `count`"),
        "SELECT 1 / 0": ("DIVIDE_BY_ZERO",),
        "SELECT CAST('x' AS INT)": ("CAST_INVALID_INPUT",),
        "SELECT 2147483647 + CAST(1 AS INT)": ("ARITHMETIC_OVERFLOW",),
        f"INSERT INTO {table} VALUES (1)": ("column",),
        f"INSERT INTO {table} VALUES ('many', 'x', DATE'2000-01-01')": ("CAST_INVALID_INPUT",),
        f"CREATE TABLE main.default.{'n' * 300} (a INT)": ("not a name",),
        "CREATE TABLE main.default.twice (a INT, A INT)": ("`A` appears twice",),
        f"CREATE TABLE {table} (a INT)": ("exists",),
        "SELECT * FROM range(10) LIMIT -1": ("",),
        "SELECT " + "(" * 3000 + "1" + ")" * 3000: ("",),
        "SELECT " + "1 + " * 60_000 + "1": ("",),
        "SELECT '\x00'": ("",),
        "COPY (SELECT 1) TO '/srv/x.csv'": ("[",),
        "ATTACH '/srv/x.db'": ("[",),
        "PRAGMA version": ("[",),
        "SELECT * FROM '/etc/passwd'": ("[",),
        "SELECT read_text('/etc/passwd')": ("[",),
    }
    for text, words in told.items():
        answer = raw.sql(text)
        state = answer.get("status", {}).get("state")
        if words == ("",):
            assert state in {"FAILED", "SUCCEEDED"}, (text[:80], answer)
            assert "root:" not in json.dumps(answer)
            continue
        assert state == "FAILED", (text[:80], answer)
        message = answer["status"]["error"]["message"]
        assert all(word in message for word in words), (text[:80], message)
        assert "duckdb" not in message.lower()
    assert raw.rows(f"SELECT * FROM {table}") == [["0", "Zed", "1990-01-01"]]


def test_a_text_longer_than_any_statement_is_refused(raw: Raw) -> None:
    answer = raw.sql("SELECT '" + "x" * 1_100_000 + "'")
    assert answer["status"]["state"] == "FAILED"
    assert "1100009 characters" in answer["status"]["error"]["message"]


def test_a_statement_that_needs_more_memory_than_there_is_fails_alone(raw: Raw) -> None:
    answer = raw.sql("SELECT length(string_agg(repeat('x', 1000), '')) FROM range(10000000)")
    assert answer["status"]["state"] == "FAILED", answer
    assert any(word in answer["status"]["error"]["message"] for word in ("OUT_OF_MEMORY", "SQL_WORKER_LOST")), answer


# --------------------------------------------------------------------------------------------------------------- killed children


def _start_slow(raw: Raw) -> str:
    told = raw.sql(SLOW, wait_timeout="0s")
    statement: str = told["statement_id"]
    until(lambda: _state(raw, statement)["state"] == "RUNNING")
    return statement


def _state(raw: Raw, statement: str) -> dict[str, object]:
    told: dict[str, object] = raw.send("GET", f"/api/2.0/sql/statements/{statement}").json()["status"]
    return told


def _workers(raw: Raw, module: str) -> list[int]:
    assert raw.server.process is not None
    return children(raw.server.process.pid, module)


def test_a_sql_worker_that_is_killed_takes_one_statement_with_it(raw: Raw) -> None:
    statement = _start_slow(raw)
    busy = max(_workers(raw, SQL_WORKER), key=_cpu_ticks)
    until(lambda: _cpu_ticks(busy) > 5)
    os.kill(busy, signal.SIGKILL)
    until(lambda: _state(raw, statement)["state"] == "FAILED")
    error = _state(raw, statement)["error"]
    assert isinstance(error, dict)
    assert "SQL_WORKER_LOST" in str(error["message"])
    for number in range(8):
        assert raw.rows(f"SELECT {number}") == [[str(number)]]
    until(lambda: len(_workers(raw, SQL_WORKER)) == 2)
    assert busy not in _workers(raw, SQL_WORKER)


def _cpu_ticks(pid: int) -> int:
    try:
        parts = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(parts[11]) + int(parts[12])


def test_all_sql_workers_killed_while_idle_are_not_noticed(raw: Raw) -> None:
    for _ in range(3):
        for pid in _workers(raw, SQL_WORKER):
            os.kill(pid, signal.SIGKILL)
        assert raw.rows("SELECT 42") == [["42"]]


def _openai(raw: Raw) -> OpenAI:
    return OpenAI(base_url=f"{raw.server.url}/v1", api_key=raw.token, max_retries=0, timeout=240)


def _say(client: OpenAI, model: str = "insjo-chat") -> str:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Say hi."}], max_tokens=3)
    return answer.choices[0].message.role


def test_a_model_process_killed_in_the_middle_of_a_stream_is_an_error_and_comes_back(raw: Raw) -> None:
    client = _openai(raw)
    for _ in range(2):
        stream = client.chat.completions.create(
            model="insjo-chat", messages=[{"role": "user", "content": "Tell a very long story about a fish."}], max_tokens=2000, stream=True
        )
        seen = 0
        with pytest.raises(openai.APIError) as failed:  # noqa: PT012  # The error comes while the stream is read.
            for event in stream:
                seen += bool(event.choices)
                if seen == 5:
                    for pid in _workers(raw, MODEL_WORKER):
                        os.kill(pid, signal.SIGKILL)
        assert seen >= 5
        assert "cut its answer off" in str(failed.value)
        until(lambda: _comes_back(client))


def _comes_back(client: OpenAI) -> bool:
    """Whether the model answers; while it loads the door says 503, which clients repeat by themselves."""
    try:
        return _say(client) == "assistant"
    except openai.InternalServerError as error:
        if error.status_code in {502, 503}:
            return False
        raise


def test_a_model_without_its_file_says_so(raw: Raw) -> None:
    from insjo.bootstrap.folders import Folders
    from insjo.bootstrap.models import packaged_models

    folders = Folders.under(raw.server.data_dir)
    packaged = next(each.path for each in packaged_models(folders) if each.path is not None)
    (raw.server.data_dir / "models").mkdir(exist_ok=True)
    copy = raw.server.data_dir / "models" / "second.gguf"
    shutil.copyfile(packaged, copy)
    (raw.server.data_dir / "models" / "broken.gguf").write_bytes(b"GGUF" + bytes(1000))
    form = {"name": "second", "kind": "local", "local_model": "second", "served_name": "here"}
    made = raw.send("POST", "/endpoints", urllib.parse.urlencode(form).encode(), content_type="application/x-www-form-urlencoded")
    assert made.status == 303, made
    copy.unlink()
    for _ in range(2):
        with pytest.raises(openai.InternalServerError) as missing:
            _say(_openai(raw), "second")
        assert missing.value.status_code in {502, 503}
        assert "second" in str(missing.value)
        assert str(raw.server.data_dir) not in str(missing.value)
    assert _say(_openai(raw)) == "assistant"


def test_without_local_models_the_endpoint_says_so(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(environment={"INSJO_LOCAL_MODELS": "0"})
    raw = Raw(server, server.token())
    with pytest.raises(openai.APIStatusError) as missing:
        _say(_openai(raw))
    assert missing.value.status_code in {404, 502, 503}, missing.value
    assert "Traceback" not in server.log


# ------------------------------------------------------------------------------------------------------------------- the disk


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A disk of its own that is soon full."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Raw]:
    """A server whose data folder has 96 MiB, and in it a table and a volume."""
    with small_disk(tmp_path / "disk", 96) as disk:
        environment = {"INSJO_LOCAL_MODELS": "0", "INSJO_SQL_WORKERS": "1"}
        with RunningServer(disk / "data", environment=environment) as server:
            raw = Raw(server, server.token())
            raw.rows("CREATE TABLE main.default.kept AS SELECT id, CAST(id AS STRING) AS a FROM range(1000)")
            raw.rows("CREATE VOLUME main.default.v")
            yield raw


def test_a_disk_that_gets_full_stops_the_write_and_nothing_else(tight: Raw) -> None:
    before = files_of(tight)
    hashes = ", ".join(f"md5(CAST(id + {number} AS STRING))" for number in (0, 1_000_000_007, 2_000_000_014, 3_000_000_021))
    wide = f"SELECT id, concat({hashes}) AS a FROM range(2000000)"
    writes = (
        f"CREATE TABLE main.default.wide AS {wide}",
        f"INSERT INTO main.default.kept {wide}",
        f"MERGE INTO main.default.kept t USING ({wide}) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
    )
    for text in writes:
        assert "DISK_FULL" in tight.failure(text)
        assert files_of(tight) == before, "files of a statement that failed were left behind"
    assert "does not exist" in tight.failure("SELECT count(*) FROM main.default.wide")
    told = tight.send("PUT", "/api/2.0/fs/files/Volumes/main/default/v/big.bin", random.Random(1).randbytes(120 * 2**20))
    assert told.status == 507, told
    assert told.json()["error_code"] == "DISK_FULL"
    assert tight.send("GET", "/api/2.0/fs/directories/Volumes/main/default/v").json()["contents"] == []
    tight.rows("INSERT INTO main.default.kept VALUES (5000, 'after')")
    assert tight.rows("SELECT count(*), max(id) FROM main.default.kept") == [["1001", "5000"]]
    assert tight.send("PUT", "/api/2.0/fs/files/Volumes/main/default/v/small.bin", b"x").status == 204


def test_not_one_byte_of_disk_is_enough_to_read_and_to_say_what_is_wrong(tight: Raw) -> None:
    ballast = tight.server.data_dir.parent / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    for text in (
        "INSERT INTO main.default.kept VALUES (1, 'x')",
        "DELETE FROM main.default.kept WHERE id = 5",
        "CREATE TABLE main.default.other (a INT)",
        "CREATE SCHEMA main.other",
        "GRANT SELECT ON TABLE main.default.kept TO `account users`",
        "DROP TABLE main.default.kept",
    ):
        assert "DISK_FULL" in tight.failure(text), text
    assert tight.rows("SELECT count(*) FROM main.default.kept") == [["1000"]]
    assert tight.send("GET", "/api/2.0/preview/scim/v2/Me").status == 200
    for path, body in (("/api/2.0/token/create", {"comment": "x"}), ("/api/2.1/unity-catalog/catalogs", {"name": "other"})):
        told = tight.send("POST", path, body)
        assert (told.status, told.json()["error_code"]) == (507, "DISK_FULL")
    ballast.unlink()
    tight.rows("INSERT INTO main.default.kept VALUES (5000, 'after')")
    tight.rows("CREATE SCHEMA main.other")
    assert tight.rows("SELECT count(*), max(id) FROM main.default.kept") == [["1001", "5000"]]
    assert tight.rows("SHOW TABLES IN main.default") == [["default", "kept", "false"]]
    checked = tight.server.insjo("audit", "verify", "--json", "--data", str(tight.server.data_dir))
    assert json.loads(checked.stdout)["intact"] is True
