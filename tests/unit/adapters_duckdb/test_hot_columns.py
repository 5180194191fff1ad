"""Held columns: what is asked for often is answered from memory, and nothing else than the files would answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from insjo.adapters.duckdb import hot as columns
from insjo.adapters.duckdb.hot import HotColumns, attach

MIB = 1024**2
WITHIN_S = 30.0


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    yield connection
    connection.close()


def scan(path: Path, *, rows: str = "t@1", mark: str = "scan a", columns: tuple[str, ...] = ("a",), **options: Any) -> dict[str, Any]:  # noqa: ANN401  # Fields of a Scan.
    listed = ", ".join(columns) or "NULL AS none"
    text = f"/*{mark}*/ SELECT {listed} FROM read_parquet('{path}') /*{mark}*/"
    made = {"mark": mark, "table_id": "t", "rows": rows, "columns": columns, "load_columns": columns, "size_bytes": 1000, "text": text}
    return made | {"load": f"SELECT {', '.join(columns)} FROM read_parquet('{path}')"} | options


def write(database: duckdb.DuckDBPyConnection, path: Path, rows: int) -> None:
    database.execute(f"COPY (SELECT i AS a, i * 2 AS b FROM range({rows}) AS r(i)) TO '{path}' (FORMAT parquet)")


def ask(hot: HotColumns, database: duckdb.DuckDBPyConnection, each: dict[str, Any]) -> tuple[Any, bool]:
    """The sum that a statement would give, and whether it came from memory."""
    with hot.lock:
        text = hot.placed(f"SELECT sum(a) FROM ({each['text']})", [each])
        return database.execute(text).fetchone(), "read_parquet" not in text


def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def opened(database: duckdb.DuckDBPyConnection, bytes_max: int = 64 * MIB, load_bytes_max: int = 64 * MIB) -> HotColumns:
    return HotColumns(database, attach(database), bytes_max, load_bytes_max)


def test_what_is_worth_holding_is_answered_from_memory(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 1000)
    hot, each = opened(database), scan(tmp_path / "1.parquet")
    right = (sum(range(1000)),)
    assert ask(hot, database, each) == (right, False)
    until(lambda: bool(hot.state()))
    (tmp_path / "1.parquet").unlink()
    assert ask(hot, database, each) == (right, True)
    assert ask(hot, database, each | {"load": "", "load_columns": ()}) == (right, True)


def test_another_version_is_read_from_its_files_and_takes_the_place_of_the_old_one(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(database, tmp_path / "1.parquet", 10)
    write(database, tmp_path / "2.parquet", 20)
    hot = opened(database)
    ask(hot, database, scan(tmp_path / "1.parquet"))
    until(lambda: bool(hot.state()))
    newer = scan(tmp_path / "2.parquet", rows="t@2")
    assert ask(hot, database, newer) == ((sum(range(20)),), False)
    until(lambda: [held["rows"] for held in hot.state()] == ["t@2"])
    assert ask(hot, database, newer) == ((sum(range(20)),), True)


def test_more_columns_take_the_place_of_fewer(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 10)
    hot = opened(database)
    ask(hot, database, scan(tmp_path / "1.parquet"))
    until(lambda: bool(hot.state()))
    assert not ask(hot, database, scan(tmp_path / "1.parquet", columns=("a", "b")))[1]
    until(lambda: [held["columns"] for held in hot.state()] == [["a", "b"]])
    assert ask(hot, database, scan(tmp_path / "1.parquet")) == ((45,), True)


def test_what_fits_only_when_it_is_compressed_is_held_though_busy_readers_put_that_off(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, tmp_path / "1.parquet", 10)
    compress, put_off = columns._compress, iter([True, True])
    monkeypatch.setattr(columns, "_compress", lambda *given: None if next(put_off, False) else compress(*given))
    hot = opened(database, bytes_max=2 * MIB)
    ask(hot, database, scan(tmp_path / "1.parquet", load="SELECT 1::BIGINT AS a FROM range(2000000)"))
    until(lambda: bool(hot.state()))
    assert hot.state()[0]["bytes"] <= 2 * MIB  # type: ignore[operator]  # A number.


def test_what_is_too_big_is_not_held(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 300_000)
    hot = opened(database, bytes_max=1000)
    ask(hot, database, scan(tmp_path / "1.parquet"))
    small = scan(tmp_path / "1.parquet", rows="t@2", mark="scan b", load="SELECT 1 AS a")
    ask(hot, database, small)
    until(lambda: not hot._jobs.qsize())
    assert ask(hot, database, scan(tmp_path / "1.parquet"))[1] is False
    cautious = opened(database, load_bytes_max=100)
    ask(cautious, database, scan(tmp_path / "1.parquet"))
    assert cautious._jobs.qsize() == 0


def test_the_longest_unused_makes_room(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 200_000)
    hot = opened(database, bytes_max=MIB)
    for number in range(12):
        name = f"t{number}"
        ask(hot, database, scan(tmp_path / "1.parquet", rows=f"{name}@1", table_id=name, columns=("a", "b")))
        until(lambda wanted=f"{name}@1": any(held["rows"] == wanted for held in hot.state()))  # type: ignore[misc]  # A default binds the name.
    held = hot.state()
    assert sum(int(str(each["bytes"])) for each in held) <= MIB
    assert held[-1]["rows"] == "t11@1"
    assert len(held) < 12


def test_a_failed_load_is_no_matter(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 10)
    hot = opened(database)
    broken = scan(tmp_path / "1.parquet", load="SELECT a FROM read_parquet('/nowhere.parquet')")
    assert ask(hot, database, broken) == ((45,), False)
    other = scan(tmp_path / "1.parquet", rows="u@1", table_id="u")
    ask(hot, database, other)
    until(lambda: len(hot.state()) == 1)
    assert ask(hot, database, other) == ((45,), True)
    assert ask(hot, database, broken) == ((45,), False)


def test_everything_is_given_up_for_a_statement_that_needs_the_memory(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 10)
    hot = opened(database)
    assert not hot.give_up()
    ask(hot, database, scan(tmp_path / "1.parquet"))
    until(lambda: bool(hot.state()))
    assert hot.give_up()
    assert hot.state() == []
    assert ask(hot, database, scan(tmp_path / "1.parquet")) == ((45,), False)


def test_rows_are_counted_without_columns(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 10)
    hot = opened(database)
    ask(hot, database, scan(tmp_path / "1.parquet"))
    until(lambda: bool(hot.state()))
    bare = scan(tmp_path / "1.parquet", columns=(), load="")
    with hot.lock:
        assert database.execute(hot.placed(f"SELECT count(*) FROM ({bare['text']})", [bare])).fetchone() == (10,)


def test_nothing_is_held_when_it_is_turned_off(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(database, tmp_path / "1.parquet", 10)
    hot = opened(database, bytes_max=0)
    for _ in range(3):
        assert ask(hot, database, scan(tmp_path / "1.parquet")) == ((45,), False)
    assert hot.state() == []
