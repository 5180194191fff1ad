"""Who may do what, why, and what they see; on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insjo.access.errors import AccessDenied, SecurableNotFound, TableNotFound
from insjo.access.service.facade import Access
from insjo.access.store import principals as principal_store
from insjo.access.store import securables as securable_store
from insjo.access.store import tables
from insjo.access.types import (
    ADMINS_ID,
    EVERYBODY_ID,
    GRANTABLE,
    METASTORE_ID,
    PARENT_KIND,
    AuditFilter,
    Principal,
    Privilege,
    Securable,
    SecurableKind,
)
from insjo.kernel.context import SYSTEM, RequestContext, system_context
from insjo.kernel.database import Database
from tests.support.access import Lake, ctx_of

pytestmark = pytest.mark.slow

K, P = SecurableKind, Privilege


def seen(lake: Lake, who: RequestContext, kind: SecurableKind, privilege: Privilege | None = None) -> set[str]:
    names = {
        each.id: each.full_name
        for each in (lake.main, lake.sales, lake.hr, lake.orders, lake.pay, lake.files, lake.warehouse, lake.endpoint)
    }
    with lake.access.authority._changes.reading() as connection:
        return {names[str(each)] for (each,) in connection.execute(lake.access.authority.visible(who, kind, privilege))}


def test_reading_a_table_needs_select_and_the_way_to_it(lake: Lake) -> None:
    lake.grant(lake.orders, "anna", P.SELECT)
    decision = lake.access.authority.decide(lake.anna, P.SELECT, lake.orders.id)
    assert not decision.allowed
    assert decision.missing == ("USE CATALOG on the catalog `main`", "USE SCHEMA on the schema `main.sales`")
    lake.grant(lake.main, "anna", P.USE_CATALOG)
    assert not lake.may(lake.anna, P.SELECT, lake.orders)
    lake.grant(lake.sales, "analysts", P.USE_SCHEMA)
    decision = lake.access.authority.decide(lake.anna, P.SELECT, lake.orders.id)
    assert decision.allowed
    assert decision.reason == "SELECT is granted on the table `main.sales.orders`."
    assert not lake.may(lake.anna, P.MODIFY, lake.orders)
    assert not lake.may(lake.bo, P.SELECT, lake.orders)


def test_a_grant_reaches_down_and_says_from_where(lake: Lake) -> None:
    lake.grant(lake.main, "analysts", P.USE_CATALOG, P.USE_SCHEMA, P.SELECT)
    decision = lake.access.authority.decide(lake.anna, P.SELECT, lake.pay.id)
    assert decision.allowed
    assert decision.via == "SELECT to analysts on catalog main"
    assert decision.reason == "SELECT is granted to `analysts` on the catalog `main`, inherited."
    lake.revoke(lake.main, "analysts", P.SELECT)
    assert not lake.may(lake.anna, P.SELECT, lake.pay)


def test_all_privileges_open_everything_but_manage(lake: Lake) -> None:
    lake.grant(lake.main, "anna", P.ALL_PRIVILEGES)
    for privilege in (P.SELECT, P.MODIFY, P.APPLY_TAG, P.BROWSE):
        assert lake.may(lake.anna, privilege, lake.orders)
    assert lake.may(lake.anna, P.CREATE_TABLE, lake.sales)
    assert not lake.may(lake.anna, P.MANAGE, lake.orders)
    assert not lake.may(lake.anna, P.EXECUTE, lake.warehouse)


def test_manage_is_not_reading(lake: Lake) -> None:
    lake.grant(lake.main, "anna", P.MANAGE, P.USE_CATALOG, P.USE_SCHEMA)
    assert lake.may(lake.anna, P.MANAGE, lake.orders)
    assert not lake.may(lake.anna, P.SELECT, lake.orders)


def test_a_privilege_that_the_kind_does_not_know_is_nobodys(lake: Lake) -> None:
    lake.grant(lake.main, "anna", P.USE_CATALOG, P.USE_SCHEMA, P.SELECT)
    assert not lake.may(lake.anna, P.SELECT, lake.files)
    assert not lake.may(lake.anna, P.READ_VOLUME, lake.orders)


def test_an_owner_may_all_below(lake: Lake) -> None:
    lake.access.securables.set_owner(lake.admin, lake.sales.id, lake.analysts.id)
    assert lake.may(lake.anna, P.SELECT, lake.orders)
    assert lake.may(lake.anna, P.MANAGE, lake.files)
    assert not lake.may(lake.anna, P.SELECT, lake.pay)
    decision = lake.access.authority.decide(lake.anna, P.MODIFY, lake.orders.id)
    assert (decision.via, decision.reason) == ("owner", "`anna` owns the schema `main.sales`.")


def test_metastore_admins_and_the_system_may_all(lake: Lake) -> None:
    second = lake.user("second")
    lake.access.principals.add_member(lake.admin, ADMINS_ID, second.id)
    lake.access.securables.set_owner(lake.admin, lake.main.id, lake.bo.principal.id)
    assert lake.access.authority.decide(ctx_of(second), P.SELECT, lake.pay.id).via == "admin"
    assert lake.access.authority.decide(system_context(), P.SELECT, lake.pay.id).via == "system"


def test_everybody_is_in_account_users(lake: Lake) -> None:
    lake.grant(lake.warehouse, "account users", P.EXECUTE)
    assert lake.may(lake.bo, P.EXECUTE, lake.warehouse)
    assert not lake.may(RequestContext(replace(SYSTEM, id="somebody unknown")), P.EXECUTE, lake.warehouse)


def test_what_is_invisible_says_nothing_about_itself(lake: Lake) -> None:
    decision = lake.access.authority.decide(lake.bo, P.SELECT, lake.pay.id)
    unknown = lake.access.authority.decide(lake.bo, P.SELECT, "no such object")
    assert (decision.visible, decision.reason, decision.missing, decision.hint) == (False, "The object does not exist.", (), "")
    assert (unknown.visible, unknown.reason, unknown.missing, unknown.hint) == (False, "The object does not exist.", (), "")
    assert "pay" not in repr(decision)


def test_authorize_hides_what_is_invisible_and_records_the_refusal(lake: Lake) -> None:
    with pytest.raises(SecurableNotFound) as hidden:
        lake.access.authority.authorize(lake.bo, P.SELECT, lake.pay.id)
    with pytest.raises(SecurableNotFound) as absent:
        lake.access.authority.authorize(lake.bo, P.SELECT, "0" * 36)
    assert str(hidden.value).replace(lake.pay.id, "") == str(absent.value).replace("0" * 36, "")
    lake.grant(lake.pay, "bo", P.BROWSE)
    with pytest.raises(AccessDenied, match=r"`bo` lacks SELECT on the table `main\.hr\.pay`") as denied:
        lake.access.authority.authorize(lake.bo, P.SELECT, lake.pay.id)
    assert denied.value.hint.endswith("GRANT SELECT ON TABLE main.hr.pay TO `bo`")
    rows = lake.access.audit.search(lake.admin, AuditFilter(principal="bo", outcome="denied")).items
    assert len(rows) == 3
    assert "lacks SELECT on the table `main.hr.pay`" in rows[2].reason


def test_resolve_suggests_only_what_the_caller_sees(lake: Lake) -> None:
    lake.grant(lake.sales, "anna", P.BROWSE)
    resolve = lake.access.securables.resolve
    assert resolve(lake.anna, K.TABLE, "MAIN.Sales.Orders").id == lake.orders.id
    with pytest.raises(TableNotFound, match=r"Did you mean `main\.sales\.orders`") as missing:
        resolve(lake.anna, K.TABLE, "main.sales.order", P.SELECT)
    assert missing.value.code == "TABLE_OR_VIEW_NOT_FOUND"
    with pytest.raises(TableNotFound) as hidden:
        resolve(lake.anna, K.TABLE, "main.hr.pay", P.SELECT)
    with pytest.raises(TableNotFound) as absent:
        resolve(lake.anna, K.TABLE, "main.hr.pax", P.SELECT)
    assert str(hidden.value).replace("pay", "pax") == str(absent.value)
    with pytest.raises(AccessDenied):
        resolve(lake.anna, K.TABLE, "main.sales.orders", P.SELECT)
    with pytest.raises(SecurableNotFound):
        resolve(lake.anna, K.VOLUME, "main.sales.orders")


def test_visible_lists_what_any_privilege_shows(lake: Lake) -> None:
    assert seen(lake, lake.bo, K.TABLE) == set()
    lake.grant(lake.sales, "bo", P.SELECT)
    assert seen(lake, lake.bo, K.TABLE) == {"main.sales.orders"}
    assert seen(lake, lake.bo, K.TABLE, P.SELECT) == set()
    assert seen(lake, lake.bo, K.VOLUME) == set()
    lake.grant(lake.main, "bo", P.USE_CATALOG, P.USE_SCHEMA)
    assert seen(lake, lake.bo, K.TABLE, P.SELECT) == {"main.sales.orders"}
    assert seen(lake, lake.bo, K.SCHEMA) == {"main.sales", "main.hr"}
    assert seen(lake, lake.admin, K.TABLE) == {"main.sales.orders", "main.hr.pay"}
    assert seen(lake, system_context(), K.TABLE, P.MODIFY) == {"main.sales.orders", "main.hr.pay"}


def test_many_decisions_are_one_query(lake: Lake, database: Database) -> None:
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    sa.event.listen(database.engine, "before_cursor_execute", count)
    questions = [(privilege, each.id) for each in (lake.orders, lake.pay, lake.files, lake.main) for privilege in (P.SELECT, P.MANAGE)]
    decisions = lake.access.authority.decide_many(lake.anna, questions)
    assert [(each.privilege, each.securable_id) for each in decisions] == questions
    assert len([each for each in statements if not each.startswith("BEGIN")]) == 1
    assert lake.access.authority.decide_many(lake.anna, []) == []


def test_explain_is_for_oneself_and_for_those_who_manage(lake: Lake) -> None:
    explain = lake.access.authority.explain
    lake.grant(lake.main, "analysts", P.USE_CATALOG, P.USE_SCHEMA, P.SELECT)
    assert "granted to `analysts`" in explain(lake.anna, "anna", P.SELECT, K.TABLE, "main.sales.orders").reason
    assert "`bo` lacks SELECT" in explain(lake.admin, "bo", P.SELECT, K.TABLE, "MAIN.sales.orders").reason
    with pytest.raises(AccessDenied):
        explain(lake.anna, "bo", P.SELECT, K.TABLE, "main.sales.orders")
    with pytest.raises(TableNotFound):
        explain(lake.bo, "bo", P.SELECT, K.TABLE, "main.sales.orders")


def test_a_revoked_grant_ends_access_at_the_next_question_also_in_another_server(lake: Lake, open_access: object) -> None:
    other: Access = open_access()  # type: ignore[operator]  # The fixture is a callable.
    lake.grant(lake.warehouse, "anna", P.EXECUTE)
    assert other.authority.decide(lake.anna, P.EXECUTE, lake.warehouse.id).allowed
    lake.revoke(lake.warehouse, "anna", P.EXECUTE)
    assert not other.authority.decide(lake.anna, P.EXECUTE, lake.warehouse.id).allowed


def test_decisions_stay_right_while_others_change_grants(lake: Lake) -> None:
    lake.grant(lake.endpoint, "bo", P.EXECUTE)

    def toggle(_: int) -> None:
        lake.grant(lake.warehouse, "anna", P.EXECUTE)
        lake.revoke(lake.warehouse, "anna", P.EXECUTE)

    def ask(_: int) -> tuple[bool, bool]:
        return lake.may(lake.bo, P.EXECUTE, lake.endpoint), lake.may(lake.bo, P.EXECUTE, lake.warehouse)

    with ThreadPoolExecutor(6) as pool:
        changes = [pool.submit(toggle, number) for number in range(6)]
        answers = list(pool.map(ask, range(60)))
        for each in changes:
            each.result()
    assert set(answers) == {(True, False)}
    assert not lake.may(lake.anna, P.EXECUTE, lake.warehouse)
    assert lake.access.audit.verify().intact


@dataclass(frozen=True)
class World:
    """A random organisation: numbers stand for places in the lists."""

    inactive: frozenset[int]
    membership: frozenset[tuple[int, int]]
    owners: tuple[int, ...]
    grants: frozenset[tuple[int, int, Privilege]]
    asked: frozenset[Privilege]
    askers: frozenset[int]


USERS, GROUPS = 3, 4
PRINCIPALS = USERS + GROUPS + 2
SHAPE: tuple[tuple[SecurableKind, int | None], ...] = (
    (K.CATALOG, None),
    (K.CATALOG, None),
    (K.SCHEMA, 0),
    (K.SCHEMA, 0),
    (K.SCHEMA, 1),
    (K.TABLE, 2),
    (K.TABLE, 2),
    (K.TABLE, 3),
    (K.TABLE, 4),
    (K.VOLUME, 2),
    (K.INDEX, 3),
    (K.AGENT, 4),
    (K.MODEL, 2),
    (K.FUNCTION, 3),
    (K.WAREHOUSE, None),
    (K.ENDPOINT, None),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    places = st.integers(-1, len(SHAPE) - 1)
    pairs = st.tuples(st.integers(0, USERS + GROUPS - 1), st.integers(USERS, USERS + GROUPS - 1))
    granted = draw(st.lists(st.tuples(places, st.integers(0, PRINCIPALS - 1), st.sampled_from(Privilege)), max_size=25))
    kinds = {place: SHAPE[place][0] if place >= 0 else K.METASTORE for place, _, _ in granted}
    return World(
        inactive=draw(st.frozensets(st.integers(0, USERS + GROUPS - 1), max_size=2)),
        membership=draw(st.frozensets(pairs, max_size=10)),
        owners=tuple(draw(st.lists(st.integers(0, PRINCIPALS - 1), min_size=len(SHAPE), max_size=len(SHAPE)))),
        grants=frozenset(each for each in granted if each[2] in GRANTABLE[kinds[each[0]]]),
        asked=draw(st.frozensets(st.sampled_from(Privilege), min_size=1, max_size=4)),
        askers=draw(st.frozensets(st.integers(0, USERS), min_size=1, max_size=2)),
    )


def build(connection: sa.Connection, world: World) -> tuple[list[Principal], list[Securable]]:
    """Write the world straight into the tables, also what the services would refuse (circles of groups)."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for table in (tables.grants, tables.members):
        connection.execute(sa.delete(table))
    connection.execute(sa.delete(tables.securables).where(tables.securables.c.id != METASTORE_ID))
    connection.execute(sa.delete(tables.principals).where(tables.principals.c.id.startswith("p")))
    people = [
        Principal(f"p{number}", "user" if number < USERS else "group", f"p{number}", "", number not in world.inactive, now)
        for number in range(USERS + GROUPS)
    ]
    ids = [*(each.id for each in people), EVERYBODY_ID, ADMINS_ID]
    for each in people:
        principal_store.insert(connection, each)
    for member, group in world.membership:
        principal_store.insert_member(connection, ids[group], ids[member])
    objects: list[Securable] = []
    for number, (kind, parent) in enumerate(SHAPE):
        above = METASTORE_ID if parent is None else objects[parent].id
        objects.append(Securable(f"s{number}", kind, f"s{number}", above, ids[world.owners[number]], now, "system"))
        securable_store.insert(connection, objects[-1])
    for place, principal, privilege in world.grants:
        where = METASTORE_ID if place < 0 else objects[place].id
        securable_store.insert_grants(connection, where, ids[principal], [privilege], "system", now)
    return people, objects


@given(worlds())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_visible_is_what_each_decision_says(access: Access, database: Database, world: World) -> None:
    with database.write() as connection:
        people, objects = build(connection, world)
    for person in (people[each] for each in world.askers):
        ctx = ctx_of(person)
        questions = [(privilege, each.id) for each in objects for privilege in Privilege]
        decisions = dict(zip(questions, access.authority.decide_many(ctx, questions), strict=True))
        for decision in decisions.values():
            assert not decision.allowed or decision.visible or decision.privilege not in GRANTABLE[K.TABLE]
        with database.read() as connection:
            for kind in {each.kind for each in objects}:
                for privilege in (None, *world.asked):
                    found = {str(each) for (each,) in connection.execute(access.authority.visible(ctx, kind, privilege))}
                    expected = {each.id for each in objects if each.kind is kind and decisions[privilege or P.BROWSE, each.id].allowed}
                    assert found == expected, (person.name, kind, privilege)
        browsable = {each.id for each in objects if decisions[P.BROWSE, each.id].allowed}
        assert browsable == {securable_id for (_, securable_id), decision in decisions.items() if decision.visible}


def test_the_tree_of_the_random_worlds_is_a_real_one() -> None:
    for kind, parent in SHAPE:
        assert PARENT_KIND[kind] is (K.METASTORE if parent is None else SHAPE[parent][0])
