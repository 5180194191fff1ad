"""The tree of securables and the grants on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from insjo.access.errors import AccessDenied, SecurableExists, SecurableNotFound, UnknownPrivilege
from insjo.access.store import tables
from insjo.access.types import METASTORE_ID, Grant, Label, Level, Privilege, SecurableKind
from insjo.kernel.context import system_context
from insjo.kernel.database import Database
from insjo.kernel.errors import InvalidArgument
from tests.support.access import Lake

K, P = SecurableKind, Privilege


def test_creating_needs_the_privilege_on_the_parent(lake: Lake) -> None:
    register = lake.access.securables.register
    with pytest.raises(SecurableNotFound):
        register(lake.anna, K.TABLE, "main.sales.mine", lake.sales.id)
    lake.grant(lake.main, "anna", P.USE_CATALOG, P.USE_SCHEMA)
    with pytest.raises(AccessDenied, match="CREATE TABLE"):
        register(lake.anna, K.TABLE, "main.sales.mine", lake.sales.id)
    lake.grant(lake.sales, "anna", P.CREATE_TABLE)
    mine = register(lake.anna, K.TABLE, "Main.Sales.Mine", lake.sales.id)
    assert (mine.full_name, mine.owner_id) == ("main.sales.mine", lake.anna.principal.id)
    assert lake.may(lake.anna, P.MANAGE, mine)
    with pytest.raises(AccessDenied):
        register(lake.anna, K.TABLE, "main.sales.his", lake.sales.id, lake.bo.principal.id)
    with pytest.raises(AccessDenied, match="CREATE CATALOG"):
        register(lake.anna, K.CATALOG, "mine")
    assert lake.access.securables.find(K.TABLE, "main.sales.his") is None


def test_names_are_unique_for_each_kind(lake: Lake) -> None:
    register = lake.access.securables.register
    with pytest.raises(SecurableExists, match=r"`main\.sales\.orders` exists already"):
        register(lake.admin, K.TABLE, "MAIN.sales.ORDERS", lake.sales.id)
    register(lake.admin, K.VOLUME, "main.sales.orders", lake.sales.id)


@pytest.mark.parametrize(
    ("kind", "name", "parent"),
    [
        (K.TABLE, "main.t", METASTORE_ID),
        (K.METASTORE, "m", None),
        (K.CATALOG, "", None),
        (K.CATALOG, "x" * 801, None),
        (K.SCHEMA, "s", None),
    ],
)
def test_nothing_stands_where_it_does_not_belong(lake: Lake, kind: SecurableKind, name: str, parent: str | None) -> None:
    with pytest.raises(InvalidArgument):
        lake.access.securables.register(lake.admin, kind, name, parent)


def test_a_broken_name_leaves_the_callers_transaction_usable(lake: Lake, database: Database) -> None:
    securables = lake.access.securables
    with database.write() as connection:
        with pytest.raises(SecurableExists):
            securables.register(lake.admin, K.TABLE, "main.sales.orders", lake.sales.id, connection=connection)
        new = securables.register(lake.admin, K.TABLE, "main.sales.lines", lake.sales.id, connection=connection)
    assert securables.get(new.id) == new


def test_what_a_rolled_back_transaction_registered_is_not_there(lake: Lake, database: Database) -> None:
    with database.write() as connection:
        lake.access.securables.register(lake.admin, K.TABLE, "main.sales.lines", lake.sales.id, connection=connection)
        connection.rollback()
    assert lake.access.securables.find(K.TABLE, "main.sales.lines") is None
    assert lake.access.audit.verify().intact


def test_of_many_who_register_one_name_one_succeeds(lake: Lake) -> None:
    def attempt(_: int) -> bool:
        try:
            lake.access.securables.register(lake.admin, K.TABLE, "main.sales.race", lake.sales.id)
        except SecurableExists:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1


def test_removing_takes_everything_below_and_what_hangs_on_it(lake: Lake, database: Database) -> None:
    lake.grant(lake.orders, "anna", P.SELECT)
    lake.access.labels.set(lake.admin, lake.orders.id, Label(Level.SECRET))
    lake.access.fingerprints.replace(lake.orders.id, Label(Level.SECRET), ["anna@example.se"])
    lake.access.securables.remove(lake.admin, lake.main.id)
    for each in (lake.main, lake.sales, lake.orders, lake.files):
        with pytest.raises(SecurableNotFound):
            lake.access.securables.get(each.id)
    assert lake.access.securables.get(lake.warehouse.id) == lake.warehouse
    with database.read() as connection:
        for table in (tables.grants, tables.labels, tables.fingerprints):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.ancestors)).scalar() == 1 + 2 + 2


def test_renaming_reaches_down_and_spares_names_that_only_begin_alike(lake: Lake) -> None:
    register = lake.access.securables.register
    other = register(lake.admin, K.SCHEMA, "main.sales_old", lake.main.id)
    lake.access.securables.rename(lake.admin, lake.sales.id, "main.Trade")
    assert lake.access.securables.get(lake.orders.id).full_name == "main.trade.orders"
    assert lake.access.securables.get(other.id).full_name == "main.sales_old"
    assert lake.access.securables.find(K.TABLE, "main.sales.orders") is None
    with pytest.raises(SecurableExists):
        lake.access.securables.rename(lake.admin, lake.sales.id, "main.hr")


def test_managing_needs_manage(lake: Lake) -> None:
    securables = lake.access.securables
    lake.grant(lake.sales, "anna", P.ALL_PRIVILEGES)
    for attempt in (securables.remove, lambda ctx, each: securables.rename(ctx, each, "main.sales.x")):
        with pytest.raises(AccessDenied):
            attempt(lake.anna, lake.orders.id)
    with pytest.raises(AccessDenied):
        securables.set_owner(lake.anna, lake.orders.id, lake.anna.principal.id)
    lake.grant(lake.orders, "anna", P.MANAGE)
    securables.remove(lake.anna, lake.orders.id)
    with pytest.raises(InvalidArgument):
        securables.remove(lake.admin, METASTORE_ID)
    with pytest.raises(InvalidArgument):
        securables.set_owner(lake.admin, lake.pay.id, "nobody")


def test_grants_need_manage_and_fit_the_kind(lake: Lake) -> None:
    grants = lake.access.grants
    with pytest.raises(SecurableNotFound):
        grants.grant(lake.anna, lake.pay.id, "anna", [P.SELECT])
    lake.grant(lake.pay, "anna", P.SELECT)
    with pytest.raises(AccessDenied):
        grants.grant(lake.anna, lake.pay.id, "bo", [P.SELECT])
    with pytest.raises(UnknownPrivilege, match="EXECUTE cannot be granted on a table"):
        grants.grant(lake.admin, lake.pay.id, "bo", [P.SELECT, P.EXECUTE])
    assert [each.principal for each in grants.list(lake.admin, lake.pay.id)] == ["anna"]
    lake.grant(lake.pay, "anna", P.MANAGE)
    grants.grant(lake.anna, lake.pay.id, "bo", [P.SELECT, P.SELECT])
    grants.grant(lake.anna, lake.pay.id, "bo", [P.SELECT])
    assert Grant("bo", (P.SELECT,)) in grants.list(lake.admin, lake.pay.id)
    grants.revoke(lake.anna, lake.pay.id, "bo", [P.SELECT, P.MODIFY])
    grants.revoke(lake.anna, lake.pay.id, "bo", [P.SELECT])
    assert [each.principal for each in grants.list(lake.admin, lake.pay.id)] == ["anna"]


def test_who_does_not_manage_sees_only_grants_that_reach_themselves(lake: Lake) -> None:
    lake.grant(lake.main, "analysts", P.USE_CATALOG)
    lake.grant(lake.main, "bo", P.USE_CATALOG)
    lake.grant(lake.orders, "anna", P.SELECT)
    grants = lake.access.grants
    assert grants.list(lake.anna, lake.main.id) == (Grant("analysts", (P.USE_CATALOG,)),)
    assert grants.list(lake.admin, lake.main.id, "bo") == (Grant("bo", (P.USE_CATALOG,)),)
    with pytest.raises(SecurableNotFound):
        grants.list(lake.bo, lake.orders.id)


def test_effective_grants_tell_from_where(lake: Lake) -> None:
    lake.grant(lake.main, "analysts", P.SELECT, P.USE_CATALOG)
    lake.grant(lake.orders, "anna", P.MODIFY)
    found = lake.access.grants.effective(lake.admin, lake.orders.id, "anna")
    assert [(each.principal, each.privilege, each.inherited_from_name, each.inherited) for each in found] == [
        ("anna", P.MODIFY, "main.sales.orders", False),
        ("analysts", P.SELECT, "main", True),
    ]
    assert lake.access.grants.effective(system_context(), lake.pay.id)[0].inherited_from_kind is K.CATALOG


def test_owners_are_told_by_name(lake: Lake) -> None:
    made = lake.access.securables.register(system_context(), K.JOB, "nightly")
    assert lake.access.authority.owners([lake.orders.id, made.id]) == {lake.orders.id: "admin", made.id: "system"}
    assert lake.access.authority.names([lake.anna.principal.id]) == {lake.anna.principal.id: "anna"}
