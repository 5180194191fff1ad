"""Users, groups, service principals and membership."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from insjo.access.errors import (
    AccessDenied,
    BuiltInPrincipal,
    InvalidPrincipalName,
    LastAdmin,
    MembershipCircle,
    PrincipalExists,
    PrincipalNotFound,
    WrongCredential,
)
from insjo.access.service.facade import Access
from insjo.access.types import ADMINS_ID, EVERYBODY_ID, METASTORE_ID, Privilege
from insjo.kernel.context import SYSTEM, RequestContext
from insjo.kernel.paging import PageRequest
from tests.support.access import Lake, ctx_of


def test_a_fresh_installation_has_a_metastore_its_groups_and_one_admin(access: Access, admin: RequestContext) -> None:
    assert access.securables.metastore().owner_id == ADMINS_ID
    assert access.principals.is_admin(admin.principal.id)
    assert [each.name for each in access.principals.list(admin, "group").items] == ["account users", "admins"]
    assert [each.name for each in access.principals.list(admin, "user").items] == ["admin"]
    assert access.principals.list(admin, "service_principal").items == ()


def test_bootstrap_changes_nothing_the_second_time(access: Access, admin: RequestContext) -> None:
    access.principals.create_user(admin, "anna")
    revision = access.refresh_revision()
    assert access.bootstrap("somebody") is None
    again = access.bootstrap()
    assert again
    assert again.id == admin.principal.id
    assert access.refresh_revision() == revision


def test_two_servers_that_start_at_once_make_one_installation(open_access: Callable[[], Access]) -> None:
    with ThreadPoolExecutor(4) as pool:
        rooms = list(pool.map(lambda _: open_access(), range(4)))
    names = [each.name for each in rooms[0].principals.list(RequestContext(SYSTEM)).items]
    assert names == ["account users", "admin", "admins"]


def test_names_are_one_in_every_case_and_unique_over_all_kinds(access: Access, admin: RequestContext) -> None:
    anna = access.principals.create_user(admin, " Anna@Example.SE ", "Anna", "anna@example.se")
    assert anna.name == "anna@example.se"
    assert access.principals.find(admin, "ANNA@example.se") == anna
    with pytest.raises(PrincipalExists):
        access.principals.create_group(admin, "anna@EXAMPLE.se")


@pytest.mark.parametrize("name", ["", "  ", "a`b", 'a"b', "a/b", "a\nb\x00", "x" * 256, "a;drop", "anna\u200b"])
def test_names_that_could_deceive_are_refused(access: Access, admin: RequestContext, name: str) -> None:
    with pytest.raises(InvalidPrincipalName):
        access.principals.create_user(admin, name)


def test_only_admins_change_principals(lake: Lake) -> None:
    principals = lake.access.principals
    with pytest.raises(AccessDenied):
        principals.create_user(lake.anna, "eve")
    with pytest.raises(AccessDenied):
        principals.add_member(lake.anna, ADMINS_ID, lake.anna.principal.id)
    with pytest.raises(AccessDenied):
        principals.update(lake.anna, lake.bo.principal.id, display_name="Nobody")
    with pytest.raises(AccessDenied):
        principals.update(lake.anna, lake.anna.principal.id, name="root")
    with pytest.raises(AccessDenied):
        principals.delete(lake.anna, lake.bo.principal.id)
    assert principals.update(lake.anna, lake.anna.principal.id, display_name="Anna A").display_name == "Anna A"


def test_membership_is_nested_and_never_a_circle(lake: Lake) -> None:
    principals = lake.access.principals
    staff = principals.create_group(lake.admin, "staff")
    company = principals.create_group(lake.admin, "company")
    principals.add_member(lake.admin, staff.id, lake.analysts.id)
    principals.add_member(lake.admin, company.id, staff.id)
    principals.add_member(lake.admin, company.id, staff.id)
    names = [each.name for each in principals.groups_of(lake.admin, lake.anna.principal.id, nested=True)]
    assert names == ["account users", "analysts", "company", "staff"]
    assert [each.name for each in principals.groups_of(lake.admin, lake.anna.principal.id)] == ["analysts"]
    with pytest.raises(MembershipCircle):
        principals.add_member(lake.admin, lake.analysts.id, company.id)
    with pytest.raises(MembershipCircle):
        principals.add_member(lake.admin, staff.id, staff.id)


def test_what_is_built_in_stays(access: Access, admin: RequestContext) -> None:
    for each in (ADMINS_ID, EVERYBODY_ID, SYSTEM.id):
        with pytest.raises(BuiltInPrincipal):
            access.principals.delete(admin, each)
        with pytest.raises(BuiltInPrincipal):
            access.principals.update(admin, each, active=False)
    with pytest.raises(BuiltInPrincipal):
        access.principals.add_member(admin, EVERYBODY_ID, admin.principal.id)
    with pytest.raises(BuiltInPrincipal):
        access.principals.add_member(admin, ADMINS_ID, EVERYBODY_ID)


def test_the_last_admin_cannot_go(access: Access, admin: RequestContext) -> None:
    changes: list[Callable[[], object]] = [
        lambda: access.principals.delete(admin, admin.principal.id),
        lambda: access.principals.update(admin, admin.principal.id, active=False),
        lambda: access.principals.remove_member(admin, ADMINS_ID, admin.principal.id),
    ]
    for change in changes:
        with pytest.raises(LastAdmin):
            change()
    assert access.principals.is_admin(admin.principal.id)
    second = access.principals.create_user(admin, "second")
    chiefs = access.principals.create_group(admin, "chiefs")
    access.principals.add_member(admin, chiefs.id, second.id)
    access.principals.add_member(admin, ADMINS_ID, chiefs.id)
    access.principals.remove_member(admin, ADMINS_ID, admin.principal.id)
    assert not access.principals.is_admin(admin.principal.id)
    with pytest.raises(LastAdmin):
        access.principals.delete(ctx_of(second), chiefs.id)


def test_a_deactivated_user_may_nothing_and_signs_in_nowhere(lake: Lake) -> None:
    access, anna = lake.access, lake.anna.principal
    lake.grant(lake.warehouse, "anna", Privilege.EXECUTE)
    token = access.tokens.create(lake.anna)
    session = access.sessions.create(anna.id)
    link = access.signin_links.create(anna.id)
    access.passwords.set(lake.anna, anna.id, "correct horse battery")
    access.principals.update(lake.admin, anna.id, active=False)
    assert not lake.may(lake.anna, Privilege.EXECUTE, lake.warehouse)
    attempts: list[Callable[[], object]] = [
        lambda: access.tokens.authenticate(token.value),
        lambda: access.sessions.authenticate(session),
        lambda: access.signin_links.redeem(link),
        lambda: access.passwords.verify(lake.anna, "anna", "correct horse battery"),
    ]
    for attempt in attempts:
        with pytest.raises(WrongCredential):
            attempt()
    access.principals.update(lake.admin, anna.id, active=True)
    assert lake.may(lake.anna, Privilege.EXECUTE, lake.warehouse)


def test_a_deactivated_group_gives_nothing_to_its_members(lake: Lake) -> None:
    lake.grant(lake.warehouse, "analysts", Privilege.EXECUTE)
    assert lake.may(lake.anna, Privilege.EXECUTE, lake.warehouse)
    lake.access.principals.update(lake.admin, lake.analysts.id, active=False)
    assert not lake.may(lake.anna, Privilege.EXECUTE, lake.warehouse)


def test_a_user_of_the_same_name_inherits_nothing_from_a_deleted_one(lake: Lake) -> None:
    access = lake.access
    lake.grant(lake.warehouse, "anna", Privilege.EXECUTE)
    access.principals.delete(lake.admin, lake.anna.principal.id)
    assert access.principals.find(lake.admin, "anna") is None
    again = lake.user("anna")
    assert again.id != lake.anna.principal.id
    assert not lake.may(ctx_of(again), Privilege.EXECUTE, lake.warehouse)
    assert [each.name for each in access.principals.groups_of(lake.admin, again.id)] == []
    assert access.principals.get(lake.admin, lake.anna.principal.id).display_name == "Anna"
    assert "deleted" not in " ".join(each.name for each in access.principals.list(lake.admin).items)


def test_what_a_deleted_group_owned_goes_to_the_admins(lake: Lake) -> None:
    lake.access.securables.set_owner(lake.admin, lake.orders.id, lake.analysts.id)
    lake.access.principals.delete(lake.admin, lake.analysts.id)
    assert lake.access.securables.get(lake.orders.id).owner_id == ADMINS_ID
    assert not lake.may(lake.anna, Privilege.SELECT, lake.orders)


def test_lists_are_pages_and_can_be_searched(access: Access, admin: RequestContext) -> None:
    for number in range(5):
        access.principals.create_user(admin, f"user{number}", f"Person {number}", f"p{number}@example.se")
    first = access.principals.list(admin, "user", PageRequest(size=4))
    rest = access.principals.list(admin, "user", PageRequest(size=4, token=first.next_token))
    assert [each.name for each in (*first.items, *rest.items)] == ["admin", *(f"user{number}" for number in range(5))]
    assert [each.name for each in access.principals.list(admin, filter="PERSON 3").items] == ["user3"]
    assert [each.name for each in access.principals.list(admin, filter="p2@").items] == ["user2"]
    assert access.principals.list(admin, filter="%").items == ()
    members = access.principals.members(admin, ADMINS_ID)
    assert [each.name for each in members.items] == ["admin"]
    assert len(access.principals.members(admin, EVERYBODY_ID).items) == 8


def test_unknown_principals_are_named_with_a_suggestion(access: Access, admin: RequestContext) -> None:
    access.principals.create_user(admin, "birgitta")
    with pytest.raises(PrincipalNotFound, match="Did you mean `birgitta`"):
        access.principals.by_name("brigitta")
    with pytest.raises(PrincipalNotFound):
        access.principals.get(admin, "nobody")
    with pytest.raises(PrincipalNotFound):
        access.grants.grant(admin, METASTORE_ID, "nobody", [Privilege.CREATE_CATALOG])
