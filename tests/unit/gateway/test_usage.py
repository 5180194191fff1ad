"""Usage records survive a database that is away, and each sees only its own."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from insjo.access.types import Privilege
from insjo.gateway import store
from insjo.gateway.service.usage import Usage
from insjo.gateway.types import UsageRecord
from insjo.kernel.ids import new_id
from insjo.kernel.paging import PageRequest
from tests.support.gateway import OUTSIDE, Installation, until


def record(principal: str = "anna", **values: Any) -> UsageRecord:  # noqa: ANN401  # Fields of the record.
    blank = UsageRecord(
        id=new_id(),
        at=datetime.now(UTC),
        request_id="r",
        principal_id=principal,
        principal=principal,
        on_behalf_of="",
        door="openai",
        endpoint_id="e",
        endpoint="x",
        served_by="x",
        served_model="s",
        model="m",
        task="chat",
        outcome="direct",
        status="ok",
        error_code="",
        label="internal",
        streamed=False,
        input_tokens=10,
        output_tokens=5,
        cached_tokens=0,
        estimated=False,
        cost=0.5,
        currency="USD",
        first_byte_ms=1.0,
        duration_ms=2.0,
    )
    return blank._replace(**values)


def rows_in(made: Installation) -> int:
    with made.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(store.usage)).scalar_one())


def test_records_reach_the_database_by_themselves(made: Installation) -> None:
    made.gateway.usage.add(record())
    until(lambda: rows_in(made) == 1)
    made.gateway.usage.add(record())
    until(lambda: rows_in(made) == 2)


def test_records_come_back_as_they_went(made: Installation) -> None:
    given = record(principal="å", cost=None, label="confidential · salary", streamed=True)
    made.gateway.usage.add(given)
    assert made.gateway.usage.list(made.admin).items == (given,)
    (row,) = made.gateway.usage.rows(made.admin)
    assert row == given._asdict()
    assert list(row) == [name for name, _ in Usage.COLUMNS]


def test_many_writers_lose_nothing(made: Installation) -> None:
    def write() -> None:
        for _ in range(400):
            made.gateway.usage.add(record())

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.gateway.usage.flush()
    assert rows_in(made) == 2400


def test_the_journal_keeps_records_while_the_database_is_away(made: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = made.gateway.usage
    journal = made.folder / "journal" / "usage.jsonl"
    real = usage._store.insert_new

    def away(records: object) -> None:
        del records
        raise OperationalError("insert", None, RuntimeError("away"))

    monkeypatch.setattr(usage._store, "insert_new", away)
    given = [record() for _ in range(3)]
    for each in given:
        usage.add(each)
    usage.flush()
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 3
    with journal.open("a", encoding="utf-8") as out:
        out.write('{"id": "cut off')
    monkeypatch.setattr(usage._store, "insert_new", real)
    usage.flush()
    assert rows_in(made) == 3
    assert not list((made.folder / "journal").iterdir())


def test_a_journal_that_is_read_twice_counts_once(made: Installation) -> None:
    given = record()
    made.gateway.usage.add(given)
    made.gateway.usage.flush()
    left = made.folder / "journal" / "usage.replay"
    left.parent.mkdir(exist_ok=True)
    left.write_text(json.dumps({**given._asdict(), "at": given.at.isoformat()}) + "\n", encoding="utf-8")
    made.gateway.usage.flush()
    assert rows_in(made) == 1
    assert not left.exists()


def test_a_record_after_the_end_goes_to_the_journal(made: Installation) -> None:
    made.gateway.usage.close()
    made.gateway.usage.add(record())
    again = Usage(database=made.database, access=made.access, journal_dir=made.folder / "journal")
    again.flush()
    assert rows_in(made) == 1


def test_a_disk_that_fails_fails_no_request(made: Installation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    usage = Usage(database=made.database, access=made.access, journal_dir=tmp_path / "file")
    usage.close()
    usage.add(record())


def test_people_see_their_own_rows_managers_their_endpoints_and_admins_all(made: Installation) -> None:
    made.make_outside()
    endpoint_id = made.id_of(OUTSIDE)
    made.grant("manager", OUTSIDE, Privilege.MANAGE)
    anna, bo = made.person("anna").principal, made.person("bo").principal
    usage = made.gateway.usage
    usage.add(record(principal_id=anna.id, principal="anna"))
    usage.add(record(principal_id=bo.id, principal="bo", endpoint_id=endpoint_id))
    usage.add(record(principal_id="agent", principal="agent", on_behalf_of="anna"))

    def seen(name: str) -> list[str]:
        return sorted(row.principal for row in usage.list(made.person(name)).items)

    assert seen("anna") == ["agent", "anna"]
    assert seen("bo") == ["bo"]
    assert seen("manager") == ["bo"]
    assert seen("boss") == ["agent", "anna", "bo"]
    assert [row["principal"] for row in usage.rows(made.person("bo"))] == ["bo"]
    assert [row["key"] for row in usage.aggregate(made.person("bo"), "principal")] == ["bo"]


def test_pages_go_back_in_time(made: Installation) -> None:
    given = [record(endpoint="even" if number % 2 else "odd") for number in range(7)]
    for each in given:
        made.gateway.usage.add(each)
    first = made.gateway.usage.list(made.admin, PageRequest(3))
    second = made.gateway.usage.list(made.admin, PageRequest(10, first.next_token))
    assert {row.id for row in (*first.items, *second.items)} == {each.id for each in given}
    assert (len(first.items), second.next_token) == (3, "")
    assert {row.endpoint for row in made.gateway.usage.list(made.admin, endpoint="odd").items} == {"odd"}


def test_sums(made: Installation) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    given: tuple[dict[str, Any], ...] = (
        {"endpoint": "a", "at": now},
        {"endpoint": "a", "at": now, "status": "error", "cost": None},
        {"endpoint": "b", "at": now - timedelta(days=2), "outcome": "rerouted"},
    )
    for values in given:
        made.gateway.usage.add(record(**values))
    by_endpoint = {row["key"]: row for row in made.gateway.usage.aggregate(made.admin, "endpoint")}
    a, b = by_endpoint["a"], by_endpoint["b"]
    assert (a["requests"], a["input_tokens"], a["output_tokens"], a["cost"], a["errors"]) == (2, 20, 10, 0.5, 1)
    assert (b["requests"], b["rerouted"], b["blocked"]) == (1, 1, 0)
    days = {row["key"]: row["requests"] for row in made.gateway.usage.aggregate(made.admin, "day")}
    today = int(now.timestamp()) // 86_400
    assert days == {today: 2, today - 2: 1}
    since = made.gateway.usage.aggregate(made.admin, "endpoint", since=now - timedelta(hours=1))
    assert [row["key"] for row in since] == ["a"]
    until_then = made.gateway.usage.aggregate(made.admin, "endpoint", until=now - timedelta(hours=1))
    assert [row["key"] for row in until_then] == ["b"]
