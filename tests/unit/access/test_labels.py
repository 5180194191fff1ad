"""Labels are inherited, rise freely, and fall only by the word of an admin."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from insjo.access.errors import AccessDenied, DeclassificationNeeded, SecurableNotFound
from insjo.access.service.facade import Access
from insjo.access.service.labels import effective
from insjo.access.store import tables
from insjo.access.store.labels import PlacedLabel
from insjo.access.types import PUBLIC, UNLABELLED, AuditFilter, Label, LabelSet, Level, Privilege, SecurableKind
from insjo.kernel.context import system_context
from insjo.kernel.database import Database
from insjo.kernel.errors import InvalidArgument
from tests.support.access import Lake, Turnable
from tests.unit.access.test_types import labels as some_labels

CONFIDENTIAL, SECRET, INTERNAL = Label(Level.CONFIDENTIAL), Label(Level.SECRET), Label(Level.INTERNAL)
SALARY = Label(Level.CONFIDENTIAL, frozenset({"salary"}), frozenset({"eu"}))


def test_what_nobody_labelled_is_internal(lake: Lake) -> None:
    assert lake.access.labels.effective(lake.orders.id) == UNLABELLED
    assert lake.access.labels.effective(lake.orders.id, "anything") == UNLABELLED
    assert lake.access.labels.own(lake.orders.id) is None


def test_a_label_reaches_down_and_joins_on_the_way(lake: Lake) -> None:
    labels = lake.access.labels
    labels.set(lake.admin, lake.main.id, Label(Level.INTERNAL, zones=frozenset({"eu"})))
    labels.set(lake.admin, lake.hr.id, SALARY)
    labels.set(lake.admin, lake.pay.id, Label(Level.INTERNAL, frozenset({"personal"})))
    assert labels.effective(lake.pay.id).text() == "confidential · personal · salary · eu"
    assert labels.effective(lake.orders.id).text() == "internal · eu"
    assert labels.effective_many([lake.pay.id, lake.sales.id])[lake.sales.id].zone == "eu"
    assert labels.own(lake.pay.id) == Label(Level.INTERNAL, frozenset({"personal"}))


def test_columns_have_labels_of_their_own(lake: Lake) -> None:
    labels = lake.access.labels
    labels.set(lake.admin, lake.hr.id, CONFIDENTIAL)
    labels.set(lake.admin, lake.pay.id, SALARY, "Amount")
    assert labels.effective(lake.pay.id, "AMOUNT") == SALARY
    assert labels.effective(lake.pay.id, "name") == CONFIDENTIAL
    assert labels.columns(lake.pay.id) == {"amount": SALARY}
    assert labels.effective_sets([lake.pay.id]) == {lake.pay.id: LabelSet(CONFIDENTIAL, {"amount": SALARY})}
    assert labels.effective(lake.hr.id) == CONFIDENTIAL
    with lake.access.authority._changes.writing() as connection:
        labels.rename_column(lake.pay.id, "amount", "Sum", connection=connection)
    assert labels.columns(lake.pay.id) == {"sum": SALARY}


def test_many_tables_are_two_queries(lake: Lake, database: Database) -> None:
    statements: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *arguments: statements.append(str(arguments[2])))
    found = lake.access.labels.effective_sets([lake.orders.id, lake.pay.id, lake.files.id, "unknown"])
    assert set(found) == {lake.orders.id, lake.pay.id, lake.files.id, "unknown"}
    assert len([each for each in statements if each.startswith("SELECT")]) == 2


def test_raising_needs_the_right_to_tag(lake: Lake) -> None:
    labels = lake.access.labels
    with pytest.raises(SecurableNotFound):
        labels.set(lake.anna, lake.pay.id, SECRET)
    lake.grant(lake.pay, "anna", Privilege.SELECT)
    with pytest.raises(AccessDenied):
        labels.set(lake.anna, lake.pay.id, SECRET)
    lake.grant(lake.pay, "anna", Privilege.APPLY_TAG)
    assert labels.set(lake.anna, lake.pay.id, SECRET) == SECRET


@pytest.mark.parametrize(
    "lower",
    [
        INTERNAL,
        Label(Level.CONFIDENTIAL, frozenset({"salary"})),
        Label(Level.CONFIDENTIAL, zones=frozenset({"eu"})),
        Label(Level.SECRET),
        None,
    ],
)
def test_only_admins_let_a_label_fall_in_any_part(lake: Lake, lower: Label | None) -> None:
    labels = lake.access.labels
    lake.access.securables.set_owner(lake.admin, lake.pay.id, lake.anna.principal.id)
    labels.set(lake.anna, lake.pay.id, SALARY)
    with pytest.raises(DeclassificationNeeded):
        labels.set(lake.anna, lake.pay.id, lower) if lower else labels.clear(lake.anna, lake.pay.id)
    assert labels.effective(lake.pay.id) == SALARY
    after = labels.set(lake.admin, lake.pay.id, lower) if lower else labels.clear(lake.admin, lake.pay.id)
    assert after == (lower or UNLABELLED)
    rows = lake.access.audit.search(lake.admin, AuditFilter(action="label.set" if lower else "label.clear")).items
    assert rows[0].reason.startswith("lowered from confidential · salary · eu")


def test_public_must_be_said_by_an_admin(lake: Lake) -> None:
    lake.access.securables.set_owner(lake.admin, lake.orders.id, lake.anna.principal.id)
    with pytest.raises(DeclassificationNeeded):
        lake.access.labels.set(lake.anna, lake.orders.id, PUBLIC)
    assert lake.access.labels.set(lake.admin, lake.orders.id, PUBLIC) == PUBLIC


def test_a_refused_change_leaves_the_callers_transaction_as_it_was(lake: Lake, database: Database) -> None:
    labels = lake.access.labels
    lake.access.securables.set_owner(lake.admin, lake.pay.id, lake.anna.principal.id)
    labels.set(lake.anna, lake.pay.id, SECRET)
    with database.write() as connection, pytest.raises(DeclassificationNeeded):
        labels.set(lake.anna, lake.pay.id, INTERNAL, connection=connection)
    assert labels.effective(lake.pay.id) == SECRET


def test_what_the_platform_derived_cannot_be_taken_back_by_setting(lake: Lake) -> None:
    labels = lake.access.labels
    labels.raise_derived(lake.anna, lake.orders.id, SALARY)
    labels.raise_derived(lake.anna, lake.orders.id, INTERNAL)
    assert labels.raise_derived(lake.anna, lake.orders.id, Label(Level.INTERNAL, frozenset({"health"}))).categories == {"salary", "health"}
    labels.set(lake.admin, lake.orders.id, INTERNAL)
    labels.clear(lake.admin, lake.orders.id)
    assert labels.effective(lake.orders.id).level == Level.CONFIDENTIAL
    labels.raise_derived(lake.anna, lake.orders.id, SECRET, "total")
    assert labels.columns(lake.orders.id)["total"].level == Level.SECRET


def test_many_writers_of_derived_labels_lose_nothing(lake: Lake) -> None:
    def derive(number: int) -> None:
        lake.access.labels.raise_derived(lake.anna, lake.orders.id, Label(Level.INTERNAL, frozenset({f"c{number}"})))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(derive, range(8)))
    assert lake.access.labels.effective(lake.orders.id).categories == {f"c{number}" for number in range(8)}


def test_a_declassification_is_signed_expires_and_is_recorded(lake: Lake, clock: Turnable) -> None:
    labels = lake.access.labels
    labels.set(lake.admin, lake.hr.id, SALARY)
    signed = labels.declassify(lake.admin, lake.pay.id, INTERNAL, reason="averages only", lifetime_s=3600)
    assert labels.effective(lake.pay.id) == INTERNAL
    assert labels.effective(lake.hr.id) == SALARY
    assert labels.declassifications(lake.admin, lake.pay.id) == (signed,)
    (row,) = lake.access.audit.search(lake.admin, AuditFilter(action="label.declassify")).items
    assert (row.object, row.label, row.reason) == ("main.hr.pay", "internal", "averages only")
    assert labels.effective_until([lake.pay.id, lake.hr.id])[1] == signed.expires_at
    assert labels.effective_until([lake.hr.id])[1] is None
    clock.turn(3600)
    assert labels.effective(lake.pay.id) == SALARY


def test_a_declassified_schema_lowers_what_is_below_but_not_what_is_labelled_there(lake: Lake) -> None:
    labels = lake.access.labels
    labels.set(lake.admin, lake.main.id, SECRET)
    labels.set(lake.admin, lake.pay.id, SALARY, "amount")
    labels.declassify(lake.admin, lake.hr.id, PUBLIC, reason="published", lifetime_s=60)
    assert labels.effective_sets([lake.pay.id]) == {lake.pay.id: LabelSet(PUBLIC, {"amount": SALARY})}
    assert labels.effective(lake.orders.id) == SECRET


def test_a_column_can_be_declassified(lake: Lake) -> None:
    labels = lake.access.labels
    labels.set(lake.admin, lake.pay.id, SECRET)
    labels.declassify(lake.admin, lake.pay.id, PUBLIC, "Department", reason="known to all", lifetime_s=60)
    assert labels.effective(lake.pay.id, "department") == PUBLIC
    assert labels.effective(lake.pay.id, "amount") == SECRET


def test_a_declassification_ends_when_what_it_covers_rises(lake: Lake) -> None:
    labels = lake.access.labels
    labels.set(lake.admin, lake.hr.id, CONFIDENTIAL)
    labels.declassify(lake.admin, lake.pay.id, PUBLIC, reason="test data", lifetime_s=60)
    labels.set(lake.admin, lake.main.id, Label(Level.INTERNAL, frozenset({"health"})))
    assert labels.effective(lake.pay.id) == Label(Level.CONFIDENTIAL, frozenset({"health"}))


def test_setting_or_ending_takes_a_declassification_back(lake: Lake) -> None:
    labels = lake.access.labels
    lake.grant(lake.pay, "anna", Privilege.APPLY_TAG)
    labels.set(lake.admin, lake.hr.id, SECRET)
    labels.declassify(lake.admin, lake.pay.id, PUBLIC, reason="one", lifetime_s=60)
    assert labels.set(lake.anna, lake.pay.id, CONFIDENTIAL) == SECRET
    labels.declassify(lake.admin, lake.pay.id, PUBLIC, reason="two", lifetime_s=60)
    labels.end_declassification(lake.anna, lake.pay.id)
    assert labels.effective(lake.pay.id) == SECRET


def test_a_forged_declassification_counts_for_nothing(lake: Lake, database: Database) -> None:
    labels = lake.access.labels
    labels.set(lake.admin, lake.pay.id, SECRET)
    labels.declassify(lake.admin, lake.pay.id, INTERNAL, reason="a little", lifetime_s=60)
    with database.write() as connection:
        connection.execute(sa.update(tables.declassifications).values(label=PUBLIC.as_json()))
    assert labels.effective(lake.pay.id) == SECRET


def test_declassifying_is_for_admins_and_needs_a_reason_and_an_end(lake: Lake) -> None:
    labels = lake.access.labels
    lake.access.securables.set_owner(lake.admin, lake.pay.id, lake.anna.principal.id)
    with pytest.raises(AccessDenied):
        labels.declassify(lake.anna, lake.pay.id, PUBLIC, reason="please", lifetime_s=60)
    for reason, lifetime_s in ((" ", 60), ("why", 0), ("why", 10**9)):
        with pytest.raises(InvalidArgument):
            labels.declassify(lake.admin, lake.pay.id, PUBLIC, reason=reason, lifetime_s=lifetime_s)


def test_changes_of_labels_are_seen_by_other_servers(lake: Lake, open_access: Callable[[], Access]) -> None:
    other = open_access()
    before = other.refresh_revision()
    lake.access.labels.set(lake.admin, lake.pay.id, SECRET)
    assert other.refresh_revision() > before
    assert other.labels.effective(lake.pay.id) == SECRET
    assert other.labels.raise_derived(system_context(), lake.pay.id, SECRET) == SECRET


@given(st.lists(st.tuples(st.integers(0, 3), some_labels), max_size=6), some_labels)
def test_a_child_is_never_lower_than_its_parent(placed: list[tuple[int, Label]], more: Label) -> None:
    rows = [PlacedLabel("t", distance, "", label) for distance, label in placed]
    parent = [row._replace(distance=row.distance - 1) for row in rows if row.distance > 0]
    child = effective([*rows, PlacedLabel("t", 0, "c", more)], [])
    if parent:
        assert child.label.covers(effective(parent, []).label)
    if rows:
        assert child.of("c").covers(child.label)
    assert child.of("c").covers(more)


def test_listeners_hear_of_changed_labels_once_they_are_committed(lake: Lake, database: Database) -> None:
    heard: list[str] = []
    labels = lake.access.labels
    labels.on_change(heard.append)
    labels.set(lake.admin, lake.hr.id, SECRET)
    assert heard == [lake.hr.id]
    assert lake.access.securables.below(lake.hr.id, SecurableKind.TABLE) == (lake.pay.id,)
    assert lake.access.securables.below(lake.pay.id, SecurableKind.TABLE) == (lake.pay.id,)
    with database.write() as connection:
        labels.raise_derived(lake.admin, lake.orders.id, SECRET, connection=connection)
        assert heard == [lake.hr.id]
    assert heard == [lake.hr.id, lake.orders.id]
    labels.declassify(lake.admin, lake.pay.id, PUBLIC, reason="test", lifetime_s=60)
    labels.end_declassification(lake.admin, lake.pay.id)
    assert heard[2:] == [lake.pay.id, lake.pay.id]
