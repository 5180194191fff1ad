"""Secrets: sealed, shown to readers alone, and lost with the key and not before."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from insjo.access.errors import AccessDenied
from insjo.access.types import METASTORE_ID, Privilege
from insjo.workspace.errors import InvalidPermissionLevel, InvalidSecret, PathTaken, SecretNotFound, SecretUnreadable
from tests.unit.workspace.conftest import Desk

VALUE = b"hemligt-4711 \x00\xff"


@pytest.fixture
def scope(desk: Desk) -> str:
    desk.access.grants.grant(desk.admin, METASTORE_ID, "anna", [Privilege.CREATE_SECRET_SCOPE])
    name: str = desk.room.secrets.create_scope(desk.anna, "Prod").name
    desk.room.secrets.put(desk.anna, name, "db", VALUE)
    return name


def test_a_secret_is_for_those_who_may_read_its_scope(desk: Desk, scope: str) -> None:
    assert desk.room.secrets.get(desk.anna, "PROD", "db") == VALUE
    for call in (desk.room.secrets.list, desk.room.secrets.delete_scope, desk.room.secrets.levels):
        with pytest.raises(SecretNotFound):
            call(desk.bo, scope)
    with pytest.raises(SecretNotFound):
        desk.room.secrets.get(desk.bo, scope, "db")
    assert desk.room.secrets.list_scopes(desk.bo) == ()
    desk.room.secrets.put_level(desk.anna, scope, "bo", "READ")
    assert desk.room.secrets.get(desk.bo, scope, "db") == VALUE
    assert [each.key for each in desk.room.secrets.list(desk.bo, scope)] == ["db"]
    assert [each.name for each in desk.room.secrets.list_scopes(desk.bo)] == ["prod"]
    with pytest.raises(AccessDenied):
        desk.room.secrets.put(desk.bo, scope, "db", b"x")
    with pytest.raises(AccessDenied):
        desk.room.secrets.put_level(desk.bo, scope, "bo", "MANAGE")
    desk.room.secrets.put_level(desk.anna, scope, "bo", "MANAGE")
    desk.room.secrets.put_level(desk.bo, scope, "bo", "WRITE")
    desk.room.secrets.put(desk.bo, scope, "db", b"new")
    assert desk.room.secrets.levels(desk.anna, scope) == {"anna": "MANAGE", "bo": "WRITE"}
    desk.room.secrets.delete_level(desk.anna, scope, "bo")
    with pytest.raises(SecretNotFound):
        desk.room.secrets.get(desk.bo, scope, "db")
    with pytest.raises(SecretNotFound):
        desk.room.secrets.delete_level(desk.anna, scope, "bo")


def test_nothing_of_it_lies_readable_in_the_database(desk: Desk, scope: str) -> None:
    with desk.database.write() as connection:
        sealed = connection.execute(sa.text("SELECT sealed FROM workspace_secrets")).scalar_one()
        moved = "INSERT INTO workspace_secrets SELECT scope_id, 'moved', sealed, updated_at, updated_by FROM workspace_secrets"
        connection.execute(sa.text(moved))
    assert b"hemligt" not in bytes(sealed)
    for path in desk.folder.glob("insjo.db*"):
        assert b"hemligt-4711" not in path.read_bytes()
    with pytest.raises(SecretUnreadable):
        desk.room.secrets.get(desk.anna, scope, "moved")
    assert desk.open().secrets.get(desk.anna, scope, "db") == VALUE
    (desk.folder / "keys" / "secrets.key").unlink()
    with pytest.raises(SecretUnreadable):
        desk.open().secrets.get(desk.anna, scope, "db")


def test_names_and_limits(desk: Desk, scope: str) -> None:
    with pytest.raises(PathTaken):
        desk.room.secrets.create_scope(desk.anna, "PROD")
    with pytest.raises(AccessDenied):
        desk.room.secrets.create_scope(desk.bo, "mine")
    for wrong in ("", "a/b", "x" * 129, "å", "a b"):
        with pytest.raises(InvalidSecret):
            desk.room.secrets.create_scope(desk.anna, wrong)
        with pytest.raises(InvalidSecret):
            desk.room.secrets.put(desk.anna, scope, wrong, b"")
    with pytest.raises(InvalidSecret):
        desk.room.secrets.put(desk.anna, scope, "big", b"x" * (128 * 1024 + 1))
    with pytest.raises(InvalidPermissionLevel):
        desk.room.secrets.put_level(desk.anna, scope, "bo", "CAN_READ")
    with pytest.raises(SecretNotFound):
        desk.room.secrets.delete(desk.anna, scope, "nothing")
    desk.room.secrets.delete(desk.anna, scope, "db")
    desk.room.secrets.delete_scope(desk.anna, scope)
    assert desk.room.secrets.create_scope(desk.anna, scope).name == scope
    assert desk.room.secrets.list(desk.anna, scope) == []
