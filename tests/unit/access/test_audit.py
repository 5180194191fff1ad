"""The audit forgets nothing, and shows when somebody made it forget."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from insjo.access.errors import AuditOverflow, SecurableNotFound
from insjo.access.service import audit as audit_service
from insjo.access.service.facade import Access
from insjo.access.store import tables
from insjo.access.types import AuditFilter, Label, Level, Origin, Privilege
from insjo.kernel.context import RequestContext
from insjo.kernel.database import Database
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from tests.support.access import Lake, Turnable


def stored(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(tables.audit)).scalar_one())


def test_a_row_tells_everything_but_the_content(access: Access, admin: RequestContext, clock: Turnable) -> None:
    access.audit.record(
        admin,
        "sql.statement",
        outcome="allowed",
        object="main.hr.pay",
        securable_id="x",
        label=Label(Level.SECRET),
        destination="served_model:a/b",
        origins=[Origin("main.hr.pay", 3, "amount")],
        reason="why not",
        content_hash="abc",
    )
    row = access.audit.search(admin, AuditFilter(action="sql.statement")).items[0]
    assert (row.principal, row.principal_id, row.door, row.request_id) == ("admin", admin.principal.id, "rest", admin.request_id)
    assert (row.at, row.outcome, row.object, row.label, row.origins) == (
        clock.at,
        "allowed",
        "main.hr.pay",
        "secret",
        ("main.hr.pay@3.amount",),
    )
    assert (row.destination, row.reason, row.content_hash) == ("served_model:a/b", "why not", "abc")
    assert row.policy_version > 0


def test_refusals_are_written_at_once_and_the_rest_within_a_second(access: Access, admin: RequestContext, database: Database) -> None:
    before = stored(database)
    access.audit.record(admin, "a", outcome="denied")
    assert stored(database) == before + 1
    access.audit.record(admin, "b", outcome="allowed")
    until = time.monotonic() + 60
    while stored(database) < before + 2:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_closing_writes_what_waits(access: Access, admin: RequestContext, database: Database) -> None:
    before = stored(database)
    for number in range(700):
        access.audit.record(admin, f"a{number}", outcome="allowed")
    access.close()
    assert stored(database) == before + 700
    access.audit.record(admin, "late", outcome="allowed")
    assert stored(database) == before + 701
    assert access.audit.verify().intact


def test_a_refusal_inside_a_change_waits_for_no_lock(access: Access, admin: RequestContext, database: Database) -> None:
    before = stored(database)
    with database.write() as connection:
        access.audit.record(admin, "changed", outcome="changed", connection=connection)
        access.audit.record(admin, "denied", outcome="denied")
    access.audit.flush()
    assert stored(database) == before + 2
    assert access.audit.verify().intact


def test_many_threads_and_servers_write_one_chain(access: Access, admin: RequestContext, open_access: Callable[[], Access]) -> None:
    rooms = [access, open_access(), open_access()]
    before = access.audit.verify().rows

    def write(number: int) -> None:
        rooms[number % 3].audit.record(admin, "a", outcome="denied" if number % 2 else "allowed")

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(write, range(90)))
    for room in rooms:
        room.audit.flush()
    report = access.audit.verify()
    assert report.intact
    assert report.rows == before + 90


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (sa.update(tables.audit).where(tables.audit.c.sequence == 3).values(reason="nothing happened"), "row changed"),
        (sa.update(tables.audit).where(tables.audit.c.sequence == 3).values(origins=["x"]), "row changed"),
        (
            sa.update(tables.audit).where(tables.audit.c.sequence == 3).values(at=datetime(2020, 1, 1, tzinfo=UTC)),
            "row changed",
        ),
        (sa.delete(tables.audit).where(tables.audit.c.sequence == 3), "row missing or added"),
        (sa.delete(tables.audit).where(tables.audit.c.sequence > 5), "rows missing at the end"),
        (sa.delete(tables.audit), "rows missing at the end"),
        (sa.update(tables.audit_head).values(hash="0" * 64), "rows missing at the end"),
    ],
)
def test_verify_uncovers_damage(lake: Lake, database: Database, damage: sa.Delete | sa.Update, problem: str) -> None:
    assert lake.access.audit.verify().intact
    with database.write() as connection:
        connection.execute(damage)
    report = lake.access.audit.verify()
    assert (report.intact, report.problem) == (False, problem)


def test_swapped_rows_are_uncovered(lake: Lake, database: Database) -> None:
    with database.write() as connection:
        for old, new in ((3, -1), (4, 3), (-1, 4)):
            connection.execute(sa.update(tables.audit).where(tables.audit.c.sequence == old).values(sequence=new))
    assert lake.access.audit.verify().sequence == 3


def test_a_head_written_down_elsewhere_uncovers_a_cut_end(lake: Lake, database: Database) -> None:
    early = lake.access.audit.verify()
    lake.access.audit.record(lake.bo, "a", outcome="denied")
    late = lake.access.audit.verify()
    with database.write() as connection:
        connection.execute(sa.delete(tables.audit).where(tables.audit.c.sequence > early.sequence))
        connection.execute(sa.update(tables.audit_head).values(sequence=early.sequence, hash=early.head))
    assert lake.access.audit.verify().intact
    assert lake.access.audit.verify((early.sequence, early.head)).intact
    assert not lake.access.audit.verify((late.sequence, late.head)).intact
    assert not lake.access.audit.verify((early.sequence, late.head)).intact


def test_another_key_cannot_continue_or_verify_the_chain(lake: Lake, database: Database, clock: Turnable) -> None:
    from insjo.kernel.settings import Settings

    stranger = Access(database=database, clock=clock, settings=Settings(), key=b"another key of thirty-two bytes!!")
    assert not stranger.audit.verify().intact
    stranger.close()


def test_the_newest_rows_come_first_in_pages_and_filters_fit(lake: Lake, clock: Turnable) -> None:
    audit = lake.access.audit
    for number in range(5):
        clock.turn(60)
        audit.record(
            lake.anna,
            f"act{number}",
            outcome="allowed",
            object="Main.X" if number == 2 else "",
            destination="tool:t" if number == 3 else "",
        )
    first = audit.search(lake.admin, AuditFilter(principal="Anna"), PageRequest(size=3))
    rest = audit.search(lake.admin, AuditFilter(principal="anna"), PageRequest(size=3, token=first.next_token))
    assert [row.action for row in (*first.items, *rest.items)] == ["act4", "act3", "act2", "act1", "act0"]
    assert [row.action for row in audit.search(lake.admin, AuditFilter(destination="tool:t")).items] == ["act3"]
    assert [row.action for row in audit.search(lake.admin, AuditFilter(request_id=lake.anna.request_id, object="main.x")).items] == ["act2"]
    since, until = clock.at - timedelta(seconds=90), clock.at
    assert [row.action for row in audit.search(lake.admin, AuditFilter(since=since, until=until)).items] == ["act3"]
    with pytest.raises(InvalidArgument):
        audit.search(lake.admin, page=PageRequest(token="YQ=="))


def test_hostile_text_is_recorded_and_verifies(access: Access, admin: RequestContext) -> None:
    text = "\0\udcff'; drop table access_audit; --\n" + "ö" * 5000
    access.audit.record(admin, text, outcome="denied", object=text, reason=text, destination=text, origins=[Origin(text)] * 300)
    row = access.audit.search(admin, AuditFilter(outcome="denied")).items[0]
    assert len(row.reason) == 2000
    assert row.origins[-1] == "and 200 more"
    assert access.audit.verify().intact


def test_a_refusal_of_something_with_an_endless_name_keeps_nothing_else_from_being_recorded(access: Access, admin: RequestContext) -> None:
    with pytest.raises(SecurableNotFound):
        access.authority.authorize(admin, Privilege.SELECT, "x" * 5000)
    access.audit.record(admin, "after", outcome="denied")
    assert access.audit.search(admin).items[0].action == "after"
    assert access.audit.verify().intact


def test_a_database_that_is_away_makes_refusals_fail_and_keeps_the_rest(
    access: Access,
    admin: RequestContext,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_service, "QUEUE_MAX", 3)
    before = stored(database)
    with database.write() as connection:
        for _ in range(3):
            access.audit.record(admin, "waits", outcome="allowed")
        with pytest.raises(AuditOverflow):
            access.audit.record(admin, "too many", outcome="allowed")
        del connection
    access.audit.flush()
    assert stored(database) == before + 3
