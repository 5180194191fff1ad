"""Secrets of programs and the signed tokens that they are exchanged for."""

from __future__ import annotations

import pytest

from insjo.access.errors import TokenNotFound, WrongCredential
from insjo.access.service.facade import Access
from insjo.kernel.errors import InvalidArgument
from tests.support.access import Lake, Turnable


def test_a_token_lives_an_hour_and_no_longer_than_its_secret(access: Access, lake: Lake, clock: Turnable) -> None:
    robot = access.principals.create_service_principal(lake.admin, "robot")
    made = access.client_secrets.create(lake.admin, robot.id, 5400)
    first = access.client_secrets.exchange(lake.admin, robot.id, made.value)
    assert (first.expires_in_s, access.tokens.authenticate(first.value)) == (3600, robot)
    clock.turn(3599)
    assert access.tokens.authenticate(first.value) == robot
    second = access.client_secrets.exchange(lake.admin, robot.id, made.value)
    assert second.expires_in_s == 5400 - 3599
    clock.turn(1)
    with pytest.raises(WrongCredential):
        access.tokens.authenticate(first.value)
    assert access.tokens.authenticate(second.value) == robot
    clock.turn(1800)
    for call in (
        lambda: access.tokens.authenticate(second.value),
        lambda: access.client_secrets.exchange(lake.admin, robot.id, made.value),
    ):
        with pytest.raises(WrongCredential):
            call()


def test_a_token_ends_with_its_secret_and_its_principal(access: Access, lake: Lake) -> None:
    robot = access.principals.create_service_principal(lake.admin, "robot")
    one, two = (access.client_secrets.create(lake.admin, robot.id) for _ in range(2))
    tokens = [access.client_secrets.exchange(lake.admin, robot.id, each.value).value for each in (one, two)]
    before = access.revision()
    access.client_secrets.delete(lake.admin, robot.id, one.token_id)
    assert access.revision() > before
    with pytest.raises(WrongCredential):
        access.tokens.authenticate(tokens[0])
    assert access.tokens.authenticate(tokens[1]) == robot
    access.principals.update(lake.admin, robot.id, active=False)
    assert access.client_secrets.list(lake.admin, robot.id) == ()
    access.principals.update(lake.admin, robot.id, active=True)
    with pytest.raises(WrongCredential):
        access.tokens.authenticate(tokens[1])


def test_only_service_principals_have_secrets(access: Access, lake: Lake) -> None:
    for somebody in (lake.anna.principal.id, lake.analysts.id, "nobody"):
        with pytest.raises(TokenNotFound):
            access.client_secrets.create(lake.admin, somebody)
    robot = access.principals.create_service_principal(lake.admin, "robot")
    for wrong in (0, -1):
        with pytest.raises(InvalidArgument):
            access.client_secrets.create(lake.admin, robot.id, wrong)


def test_no_part_of_a_token_can_be_changed(access: Access, lake: Lake) -> None:
    robot = access.principals.create_service_principal(lake.admin, "robot")
    value = access.client_secrets.exchange(lake.admin, robot.id, access.client_secrets.create(lake.admin, robot.id).value).value
    for at in range(len("insjo_oauth_"), len(value), 7):
        for letter in "0f-_":
            changed = value[:at] + letter + value[at + 1 :]
            if changed != value:
                with pytest.raises(WrongCredential):
                    access.tokens.authenticate(changed)
