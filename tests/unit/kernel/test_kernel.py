from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from insjo.kernel.context import SYSTEM, RequestContext
from insjo.kernel.database import Database, UtcDateTime
from insjo.kernel.errors import DeadlineExceeded, InvalidArgument, did_you_mean
from insjo.kernel.ids import new_id
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest, page_of
from insjo.kernel.threads import Threads


def test_ids_are_unique_and_sort_by_creation() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids), "also those of the same millisecond"


def test_did_you_mean_ignores_case_and_stays_silent_when_nothing_is_near() -> None:
    assert did_you_mean("ORDRES", ["orders", "lines"]) == "Did you mean `orders`?"
    assert did_you_mean("xyz", ["orders"]) == ""


def test_pages_continue_after_the_last_item_and_end() -> None:
    first = page_of(["a", "b", "c"], 2, str)
    assert first.items == ("a", "b")
    assert PageRequest.of(2, first.next_token).after() == "b"
    assert page_of(["c"], 2, str).next_token == ""


def test_page_sizes_are_bounded_and_foreign_tokens_refused() -> None:
    assert PageRequest.of(10**9, None).size == PAGE_SIZE_MAX
    with pytest.raises(InvalidArgument):
        PageRequest.of(-1, None)
    with pytest.raises(InvalidArgument):
        PageRequest.of(1, "\N{BULLET}").after()


def test_a_deadline_that_has_passed_stops_the_request() -> None:
    context = RequestContext(principal=SYSTEM, deadline_s=10.0)
    assert context.remaining_s(9.0) == 1.0
    with pytest.raises(DeadlineExceeded):
        context.remaining_s(10.0)


def test_moments_come_back_as_they_went_in_and_naive_ones_are_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    table = sa.Table("moments", sa.MetaData(), sa.Column("at", UtcDateTime()))
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    with database.write() as connection:
        table.create(connection)
        connection.execute(table.insert().values(at=moment))
    with database.read() as connection:
        assert connection.execute(sa.select(table.c.at)).scalar_one() == moment
    with pytest.raises(sa.exc.StatementError), database.write() as connection:
        connection.execute(table.insert().values(at=datetime(2026, 1, 1)))  # noqa: DTZ001  # A naive moment is what is refused.
    database.close()


def test_writers_on_sqlite_wait_for_each_other_and_lose_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    table = sa.Table("counter", sa.MetaData(), sa.Column("n", sa.Integer))
    with database.write() as connection:
        table.create(connection)
        connection.execute(table.insert().values(n=0))

    def add() -> None:
        for _ in range(20):
            with database.write() as connection:
                n = connection.execute(sa.select(table.c.n)).scalar_one()
                connection.execute(table.update().values(n=n + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with database.read() as connection:
        assert connection.execute(sa.select(table.c.n)).scalar_one() == 80
    database.close()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    table = sa.Table("t", sa.MetaData(), sa.Column("n", sa.Integer))
    with database.write() as connection:
        table.create(connection)
    with pytest.raises(RuntimeError), database.write() as connection:  # noqa: PT012  # The failing write is the point.
        connection.execute(table.insert().values(n=1))
        raise RuntimeError
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
    database.close()


def test_threads_run_service_calls_off_the_loop_and_pass_errors_on() -> None:
    async def scenario() -> None:
        threads = Threads(2)
        assert await threads.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)
        threads.close()

    asyncio.run(scenario())


def test_a_call_in_the_background_is_done_and_its_failure_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    threads = Threads(1)
    threads.submit(done.append, 1)
    threads.submit(int, "no number")
    threads.submit(done.append, 2)
    asyncio.run(threads.run(len, ""))  # The pool has one thread, which comes to this last.
    threads.close()
    threads.submit(done.append, 3)
    assert done == [1, 2, 3]
    assert "a call in the background failed" in caplog.text
