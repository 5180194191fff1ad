"""Resolving the same names again costs two small queries, and notices everything that has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from insjo.access.errors import TableNotFound
from insjo.access.types import Label, Level, Privilege, SecurableKind
from insjo.catalog.service.resolution import _Known
from insjo.catalog.types import TableName
from tests.support.lake import Lake, columns

NAME = TableName.parse("main.sales.orders")


@contextmanager
def counted(lake: Lake) -> Iterator[list[str]]:
    """The queries that the database gets until the block ends."""
    seen: list[str] = []

    def note(*words: object) -> None:
        seen.append(str(words[2]))

    event.listen(lake.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(lake.database.engine, "before_cursor_execute", note)


@pytest.fixture
def orders(lake: Lake) -> Lake:
    lake.room.tables.create(lake.admin, NAME, columns(id="int"))
    ulla = lake.person("ulla")
    for kind, name, privilege in (
        (SecurableKind.CATALOG, "main", Privilege.USE_CATALOG),
        (SecurableKind.SCHEMA, "main.sales", Privilege.USE_SCHEMA),
        (SecurableKind.TABLE, "main.sales.orders", Privilege.SELECT),
    ):
        found = lake.access.securables.find(kind, name)
        assert found
        lake.access.grants.grant(lake.admin, found.id, ulla.principal.name, [privilege])
    return lake


def test_asking_again_costs_one_query_beside_the_count_of_changes_and_gives_the_same(orders: Lake) -> None:
    ulla = orders.person("ulla")
    first = orders.room.tables.resolve_many(ulla, [NAME])
    with counted(orders) as seen:
        assert orders.room.tables.resolve_many(ulla, [NAME]) == first
    assert len([text for text in seen if text.startswith("SELECT")]) == 1


def test_a_right_that_was_taken_away_is_gone_at_once(orders: Lake) -> None:
    ulla = orders.person("ulla")
    table = orders.room.tables.resolve_many(ulla, [NAME])[0].table
    with pytest.raises(TableNotFound):
        orders.room.tables.resolve_many(orders.person("nobody"), [NAME])
    orders.access.grants.revoke(orders.admin, table.id, ulla.principal.name, [Privilege.SELECT])
    with pytest.raises(TableNotFound):
        orders.room.tables.resolve_many(ulla, [NAME])


def test_labels_and_other_tables_of_the_same_name_are_seen(orders: Lake) -> None:
    before = orders.room.tables.resolve_many(orders.admin, [NAME])[0]
    label = Label(Level.SECRET)
    orders.access.labels.set(orders.admin, before.table.id, label)
    assert orders.room.tables.resolve_many(orders.admin, [NAME])[0].label == label
    orders.room.tables.drop(orders.admin, NAME)
    with pytest.raises(TableNotFound):
        orders.room.tables.resolve_many(orders.admin, [NAME])
    orders.room.tables.create(orders.admin, NAME, columns(id="int", more="string"))
    after = orders.room.tables.resolve_many(orders.admin, [NAME])[0]
    assert (after.table.id, len(after.table.columns), after.label) != (before.table.id, 1, label)
    assert len(after.table.columns) == 2


def test_an_answer_ends_with_the_declassification_that_it_rests_on() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    known = _Known(1, {}, (), {}, now + timedelta(seconds=5))
    assert known.holds(1, {}, now)
    assert not known.holds(1, {}, now + timedelta(seconds=5))
    assert not known.holds(2, {}, now)
    assert not known.holds(1, {("a", "b", "c"): {}}, now)  # type: ignore[dict-item]  # Any row that is another.
    assert _Known(1, {}, (), {}, None).holds(1, {}, now + timedelta(days=999))
