"""What every installation has from its first start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.service.principals import normal_name
from insjo.access.store import principals as principal_store
from insjo.access.store import securables as securable_store
from insjo.access.types import ADMINS_ID, EVERYBODY_ID, METASTORE_ID, Principal, Securable, SecurableKind
from insjo.kernel.context import SYSTEM
from insjo.kernel.database import NameTaken, unique
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    import sqlalchemy as sa

    from insjo.access.store.changes import Changes
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database


def found(*, database: Database, clock: Clock, changes: Changes, admin_name: str) -> Principal | None:
    """Make what is missing; two servers that start at once make it once."""
    name = normal_name(admin_name)
    try:
        return _found_once(database, clock, changes, name)
    except NameTaken:
        return _found_once(database, clock, changes, name)


def _found_once(database: Database, clock: Clock, changes: Changes, admin_name: str) -> Principal | None:
    """One attempt in one transaction."""
    now = clock.now()
    with database.write() as connection:
        built_in = (
            Principal(SYSTEM.id, SYSTEM.kind, SYSTEM.name, "Insjö", active=True, created_at=now),
            Principal(ADMINS_ID, "group", "admins", "Metastore admins", active=True, created_at=now),
            Principal(EVERYBODY_ID, "group", "account users", "Everybody", active=True, created_at=now),
        )
        for principal in built_in:
            if principal_store.fetch(connection, principal.id) is None:
                with unique(connection):
                    principal_store.insert(connection, principal)
                changes.bump(connection)
        if securable_store.fetch(connection, METASTORE_ID) is None:
            securable_store.insert(
                connection, Securable(METASTORE_ID, SecurableKind.METASTORE, "metastore", None, ADMINS_ID, now, SYSTEM.id)
            )
        if principal_store.count(connection, "user") == 0:
            _make_admin(connection, clock, admin_name)
            changes.bump(connection)
        return principal_store.fetch_by_name(connection, admin_name)


def _make_admin(connection: sa.Connection, clock: Clock, name: str) -> None:
    """The first user, a metastore admin."""
    admin = Principal(new_id(), "user", name, name, active=True, created_at=clock.now())
    principal_store.insert(connection, admin)
    principal_store.insert_member(connection, ADMINS_ID, admin.id)
