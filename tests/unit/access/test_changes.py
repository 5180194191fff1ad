"""The count of changes, by which caches know that they are stale."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from insjo.access.service.facade import Access
from insjo.access.types import Clearance, Label, Level, Privilege, SecurableKind
from insjo.kernel.context import RequestContext
from insjo.kernel.database import Database
from tests.support.access import Lake


def test_every_change_of_what_decides_raises_the_count(lake: Lake) -> None:
    access, admin = lake.access, lake.admin
    changes: list[Callable[[], object]] = [
        lambda: access.principals.create_user(admin, "new"),
        lambda: access.principals.update(admin, lake.bo.principal.id, active=False),
        lambda: access.principals.add_member(admin, lake.analysts.id, lake.bo.principal.id),
        lambda: access.principals.remove_member(admin, lake.analysts.id, lake.bo.principal.id),
        lambda: access.tokens.create(lake.anna),
        lambda: access.tokens.delete(lake.anna, access.tokens.list(lake.anna).items[0].id),
        lambda: lake.grant(lake.orders, "anna", Privilege.SELECT),
        lambda: lake.revoke(lake.orders, "anna", Privilege.SELECT),
        lambda: access.securables.register(admin, SecurableKind.CATALOG, "other"),
        lambda: access.securables.set_owner(admin, lake.orders.id, lake.anna.principal.id),
        lambda: access.securables.rename(admin, lake.orders.id, "main.sales.x"),
        lambda: access.securables.remove(admin, lake.orders.id),
        lambda: access.labels.set(admin, lake.pay.id, Label(Level.SECRET)),
        lambda: access.labels.raise_derived(admin, lake.pay.id, Label(Level.SECRET)),
        lambda: access.labels.declassify(admin, lake.pay.id, Label(Level.INTERNAL), reason="x", lifetime_s=9),
        lambda: access.labels.end_declassification(admin, lake.pay.id),
        lambda: access.labels.clear(admin, lake.pay.id),
        lambda: access.clearances.set(admin, Clearance("tool:x")),
        lambda: access.clearances.remove(admin, "tool:x"),
        lambda: access.fingerprints.replace(lake.pay.id, Label(Level.SECRET), ["anna@example.se"]),
        lambda: access.fingerprints.forget(lake.pay.id),
        lambda: access.principals.delete(admin, lake.bo.principal.id),
    ]
    for number, change in enumerate(changes):
        before, stored = access.revision(), lake.access._changes.policy_version
        change()
        assert access.revision() > before, number
        assert lake.access._changes.policy_version > stored, number


def test_reading_and_deciding_leave_the_count(lake: Lake) -> None:
    before = lake.access.refresh_revision()
    lake.may(lake.anna, Privilege.SELECT, lake.orders)
    lake.access.audit.record(lake.anna, "a", outcome="denied")
    lake.access.labels.effective(lake.orders.id)
    assert lake.access.refresh_revision() == before


def test_the_count_rises_only_after_the_commit(lake: Lake, database: Database) -> None:
    before = lake.access.revision()
    with database.write() as connection:
        lake.access.grants.grant(lake.admin, lake.orders.id, "anna", [Privilege.SELECT], connection=connection)
        assert lake.access.revision() == before
    assert lake.access.revision() == before + 1


def test_other_servers_see_that_something_changed(lake: Lake, open_access: Callable[[], Access]) -> None:
    other = open_access()
    before = other.refresh_revision()
    assert other.refresh_revision() == before
    lake.grant(lake.orders, "anna", Privilege.SELECT)
    assert other.revision() == before
    assert other.refresh_revision() == before + 1


def test_a_cache_that_reads_the_count_first_never_keeps_old_rows(lake: Lake) -> None:
    """Readers keep what they read under the count seen before reading; at rest the newest count has the newest rows."""
    kept: dict[int, Level] = {}

    def read(_: int) -> None:
        count = lake.access.revision()
        kept[count] = lake.access.labels.effective(lake.pay.id).level

    def change_often() -> None:
        for number in range(12):
            lake.access.labels.set(lake.admin, lake.pay.id, Label(Level.SECRET if number % 2 else Level.CONFIDENTIAL))

    with ThreadPoolExecutor(6) as pool:
        changes = pool.submit(change_often)
        list(pool.map(read, range(80)))
        changes.result()
    read(0)
    assert kept[lake.access.revision()] == lake.access.labels.effective(lake.pay.id).level == Level.SECRET


def test_a_refused_change_is_no_change_for_others(lake: Lake) -> None:
    from insjo.access.errors import SecurableNotFound

    before = lake.access.refresh_revision()
    with pytest.raises(SecurableNotFound):
        lake.access.grants.grant(lake.anna, lake.pay.id, "anna", [Privilege.SELECT])
    assert lake.access.refresh_revision() == before


def test_the_audit_is_read_by_admins_and_by_grant(lake: Lake, admin: RequestContext) -> None:
    from insjo.access.errors import AccessDenied

    register = lake.access.securables.register
    system = register(admin, SecurableKind.CATALOG, "system")
    schema = register(admin, SecurableKind.SCHEMA, "system.access", system.id)
    register(admin, SecurableKind.TABLE, "system.access.audit", schema.id)
    with pytest.raises(AccessDenied):
        lake.access.audit.search(lake.anna)
    lake.grant(system, "anna", Privilege.USE_CATALOG, Privilege.USE_SCHEMA, Privilege.SELECT)
    assert lake.access.audit.search(lake.anna).items
