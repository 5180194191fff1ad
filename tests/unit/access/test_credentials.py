"""Tokens, sessions, sign-in links and passwords."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from insjo.access.errors import AccessDenied, PrincipalNotFound, TokenNotFound, TooManyAttempts, WeakPassword, WrongCredential
from insjo.access.service.facade import Access
from insjo.access.store import tables
from insjo.access.types import Principal
from insjo.kernel.context import SYSTEM, RequestContext
from insjo.kernel.database import Database
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from tests.support.access import Lake, Turnable

PASSWORD = "correct horse battery"


def test_a_token_opens_the_door_until_it_expires_or_is_deleted(lake: Lake, clock: Turnable) -> None:
    tokens = lake.access.tokens
    short = tokens.create(lake.anna, comment="script", lifetime_s=60)
    long = tokens.create(lake.anna)
    assert short.value.startswith("insjo_")
    assert tokens.authenticate(short.value).ref() == lake.anna.principal
    assert long.value not in repr(long)
    clock.turn(61)
    with pytest.raises(WrongCredential):
        tokens.authenticate(short.value)
    tokens.delete(lake.anna, long.token_id)
    with pytest.raises(WrongCredential):
        tokens.authenticate(long.value)


def test_a_remembered_token_ends_at_once_also_when_another_process_ends_it(lake: Lake, open_access: Callable[[], Access]) -> None:
    tokens, elsewhere = lake.access.tokens, open_access()
    token = tokens.create(lake.anna)
    assert tokens.recognise(token.value) is None, "nobody used it yet"
    assert tokens.authenticate(token.value).name == "anna"
    known = tokens.recognise(token.value)
    assert known is not None
    assert known.name == "anna"
    elsewhere.tokens.delete(lake.anna, token.token_id)
    with pytest.raises(WrongCredential):
        tokens.authenticate(token.value)
    assert tokens.recognise(token.value) is None

    other = tokens.create(lake.anna)
    tokens.authenticate(other.value)
    elsewhere.principals.update(lake.admin, lake.anna.principal.id, active=False)
    with pytest.raises(WrongCredential):
        tokens.authenticate(other.value)


def test_a_token_is_not_recognised_after_its_time(lake: Lake, clock: Turnable) -> None:
    tokens = lake.access.tokens
    token = tokens.create(lake.anna, lifetime_s=60)
    tokens.authenticate(token.value)
    clock.turn(61)
    assert tokens.recognise(token.value) is None


@pytest.mark.parametrize(
    "value", ["", "insjo_", "insjo_" + "0" * 64, "dapi" + "0" * 32, "insjo_" + "x" * 10_000, "insjo_\udcff", "insjo_\0"]
)
def test_wrong_tokens_are_refused(access: Access, value: str) -> None:
    with pytest.raises(WrongCredential):
        access.tokens.authenticate(value)


def test_only_hashes_of_secrets_are_kept(lake: Lake, database: Database) -> None:
    token = lake.access.tokens.create(lake.anna)
    session = lake.access.sessions.create(lake.anna.principal.id)
    link = lake.access.signin_links.create(lake.anna.principal.id)
    lake.access.passwords.set(lake.anna, lake.anna.principal.id, PASSWORD)
    with database.read() as connection:
        for table in (tables.tokens, tables.sessions, tables.signin_links, tables.passwords, tables.audit):
            rows = repr(connection.execute(sa.select(table)).all())
            for secret in (token.value, session, link, PASSWORD, token.value[6:], session[2:], link[2:]):
                assert secret not in rows


def test_the_last_use_of_a_token_is_written_at_most_once_a_minute(lake: Lake, clock: Turnable) -> None:
    tokens = lake.access.tokens
    token = tokens.create(lake.anna)

    def used() -> float:
        (found,) = tokens.list(lake.anna).items
        assert found.last_used_at
        return found.last_used_at.timestamp()

    tokens.authenticate(token.value)
    first = used()
    clock.turn(30)
    tokens.authenticate(token.value)
    assert used() == first
    clock.turn(31)
    tokens.authenticate(token.value)
    assert used() == first + 61


def test_tokens_of_others_are_for_admins_only(lake: Lake) -> None:
    tokens = lake.access.tokens
    annas = tokens.create(lake.anna)
    with pytest.raises(AccessDenied):
        tokens.create(lake.bo, lake.anna.principal.id)
    with pytest.raises(AccessDenied):
        tokens.create(lake.bo, lifetime_s=0)
    with pytest.raises(AccessDenied):
        tokens.list(lake.bo, lake.anna.principal.id)
    with pytest.raises(TokenNotFound):
        tokens.delete(lake.bo, annas.token_id)
    assert [each.id for each in tokens.list(lake.admin, "*", PageRequest(size=1)).items] == [annas.token_id]
    for_service = tokens.create(lake.admin, lake.access.principals.create_service_principal(lake.admin, "loader").id, lifetime_s=0)
    assert for_service.expires_at is None
    assert tokens.authenticate(for_service.value).kind == "service_principal"
    tokens.delete(lake.admin, annas.token_id)


def test_groups_and_the_system_cannot_sign_in(lake: Lake) -> None:
    with pytest.raises(AccessDenied):
        lake.access.tokens.create(lake.admin, lake.analysts.id)
    with pytest.raises(PrincipalNotFound):
        lake.access.tokens.create(lake.admin, SYSTEM.id)
    with pytest.raises(PrincipalNotFound):
        lake.access.sessions.create(SYSTEM.id)
    with pytest.raises(InvalidArgument):
        lake.access.passwords.set(lake.admin, lake.access.principals.create_service_principal(lake.admin, "loader").id, PASSWORD)


def test_a_session_lasts_until_it_ends(lake: Lake, clock: Turnable) -> None:
    sessions = lake.access.sessions
    one, two = sessions.create(lake.anna.principal.id), sessions.create(lake.anna.principal.id)
    assert sessions.authenticate(one).ref() == lake.anna.principal
    sessions.end(one)
    with pytest.raises(WrongCredential):
        sessions.authenticate(one)
    clock.turn(43_201)
    with pytest.raises(WrongCredential):
        sessions.authenticate(two)


def test_a_signin_link_works_once_even_when_many_redeem_it_together(lake: Lake) -> None:
    links = lake.access.signin_links
    secret = links.create(lake.anna.principal.id)

    def redeem(_: int) -> Principal | None:
        try:
            return links.redeem(secret)
        except WrongCredential:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [each for each in pool.map(redeem, range(8)) if each]
    assert [each.ref() for each in winners] == [lake.anna.principal]


def test_a_signin_link_expires(lake: Lake, clock: Turnable) -> None:
    secret = lake.access.signin_links.create(lake.anna.principal.id, ttl_s=60)
    clock.turn(60)
    with pytest.raises(WrongCredential):
        lake.access.signin_links.redeem(secret)


def test_expired_credentials_are_swept(lake: Lake, clock: Turnable, database: Database) -> None:
    lake.access.sessions.create(lake.anna.principal.id)
    lake.access.signin_links.create(lake.anna.principal.id)
    clock.turn(10**6)
    lake.access.sessions.create(lake.anna.principal.id)
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.sessions)).scalar() == 1
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.signin_links)).scalar() == 0


def test_a_password_signs_in_and_ends_sessions_when_it_changes(lake: Lake) -> None:
    access, anna = lake.access, lake.anna.principal
    assert not access.passwords.exists(anna.id)
    access.passwords.set(lake.anna, anna.id, PASSWORD)
    assert access.passwords.exists(anna.id)
    session = access.sessions.create(anna.id)
    assert access.passwords.verify(lake.bo, " ANNA ", PASSWORD).ref() == anna
    access.passwords.set(lake.admin, anna.id, "another long secret")
    with pytest.raises(WrongCredential):
        access.sessions.authenticate(session)
    with pytest.raises(WrongCredential):
        access.passwords.verify(lake.bo, "anna", PASSWORD)
    with pytest.raises(AccessDenied):
        access.passwords.set(lake.bo, anna.id, "taken over by Bo")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025, "aaaaaaaaaaaaaa", "my name is ANNA ok"])
def test_weak_passwords_are_refused(lake: Lake, password: str) -> None:
    with pytest.raises(WeakPassword):
        lake.access.passwords.set(lake.anna, lake.anna.principal.id, password)


@pytest.mark.parametrize("name", ["anna", "nobody at all"])
def test_wrong_passwords_are_slowed_down_alike_for_known_and_unknown_names(lake: Lake, clock: Turnable, name: str) -> None:
    passwords = lake.access.passwords
    passwords.set(lake.anna, lake.anna.principal.id, PASSWORD)
    for _ in range(5):
        with pytest.raises(WrongCredential, match="The name or the password is wrong"):
            passwords.verify(lake.bo, name, "not the password")
    with pytest.raises(TooManyAttempts) as refused:
        passwords.verify(lake.bo, name, PASSWORD)
    assert refused.value.details["retry_after_s"] == 2
    clock.turn(2)
    with pytest.raises(WrongCredential):
        passwords.verify(lake.bo, name, "not the password")
    clock.turn(1)
    with pytest.raises(TooManyAttempts):
        passwords.verify(lake.bo, name, "not the password")
    clock.turn(86_401)
    with pytest.raises(WrongCredential):
        passwords.verify(lake.bo, name, "not the password")


def test_the_right_password_forgets_the_wrong_ones(lake: Lake) -> None:
    passwords = lake.access.passwords
    passwords.set(lake.anna, lake.anna.principal.id, PASSWORD)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(WrongCredential):
                passwords.verify(lake.bo, "anna", "not the password")
        passwords.verify(lake.bo, "anna", PASSWORD)


def test_many_guesses_at_once_are_no_way_around_the_delays(lake: Lake) -> None:
    passwords = lake.access.passwords
    passwords.set(lake.anna, lake.anna.principal.id, PASSWORD)

    def guess(number: int) -> type[Exception]:
        try:
            passwords.verify(lake.bo, "anna", f"guess number {number}")
        except (WrongCredential, TooManyAttempts) as error:
            return type(error)
        raise AssertionError

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(guess, range(12)))
    assert outcomes.count(WrongCredential) == 5


def test_the_door_of_passwords_survives_hostile_input(access: Access, admin: RequestContext) -> None:
    for name in ("", "\0", "\udcff", "x" * 100_000, "' or 1=1 --"):
        with pytest.raises(WrongCredential):
            access.passwords.verify(admin, name, "\udcff\0" + "y" * 5000)
