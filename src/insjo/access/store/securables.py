"""SQL on the tree of securables and on grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import sqlalchemy as sa

from insjo.access.store.tables import ancestors, grants, principals, revision, securables
from insjo.access.types import Privilege, Securable, SecurableKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from insjo.kernel.database import Database

_COLUMNS = (
    securables.c.id,
    securables.c.kind,
    securables.c.full_name,
    securables.c.parent_id,
    securables.c.owner_id,
    securables.c.created_at,
    securables.c.created_by,
)


_REVISION = str(sa.select(revision.c.value).where(revision.c.id == 1).compile(compile_kwargs={"literal_binds": True}))


class PlacedGrant(NamedTuple):
    """One grant and the node on which it sits."""

    principal: str
    privilege: str
    kind: str
    full_name: str
    securable_id: str


def _securable_of(row: Sequence[Any]) -> Securable:
    """Securable from a row of `_COLUMNS`."""
    return Securable(row[0], SecurableKind(row[1]), *row[2:])


def bump_revision(connection: sa.Connection) -> None:
    """Count one change of what decides."""
    changed = connection.execute(sa.update(revision).where(revision.c.id == 1).values(value=revision.c.value + 1))
    if changed.rowcount == 0:
        connection.execute(sa.insert(revision).values(id=1, value=1))


def fetch_revision(connection: sa.Connection) -> int:
    """How many changes of what decides there were."""
    return int(connection.execute(sa.select(revision.c.value)).scalar_one_or_none() or 0)


def peek_revision(database: Database) -> int:
    """As `fetch_revision`, now and without a transaction: it is asked on every request."""
    return int(cast("int | None", database.peek(_REVISION)) or 0)


def insert(connection: sa.Connection, securable: Securable) -> None:
    """New node under its parent; an IntegrityError tells that the name is taken."""
    connection.execute(
        sa.insert(securables).values(
            id=securable.id,
            kind=securable.kind.value,
            full_name=securable.full_name,
            parent_id=securable.parent_id,
            owner_id=securable.owner_id,
            created_at=securable.created_at,
            created_by=securable.created_by,
        ),
    )
    above = sa.select(sa.literal(securable.id), ancestors.c.ancestor_id, ancestors.c.distance + 1).where(
        ancestors.c.securable_id == securable.parent_id,
    )
    connection.execute(sa.insert(ancestors).from_select(["securable_id", "ancestor_id", "distance"], above))
    connection.execute(sa.insert(ancestors).values(securable_id=securable.id, ancestor_id=securable.id, distance=0))


def fetch(connection: sa.Connection, securable_id: str) -> Securable | None:
    """Node by identifier."""
    row = connection.execute(sa.select(*_COLUMNS).where(securables.c.id == securable_id)).first()
    return _securable_of(row) if row else None


def fetch_by_name(connection: sa.Connection, kind: SecurableKind, full_name: str) -> Securable | None:
    """Node by kind and name in lower case."""
    row = connection.execute(sa.select(*_COLUMNS).where(securables.c.kind == kind.value, securables.c.full_name == full_name)).first()
    return _securable_of(row) if row else None


def fetch_owners(connection: sa.Connection, securable_ids: Sequence[str]) -> dict[str, str]:
    """Name of the owner by identifier of the object."""
    query = sa.select(securables.c.id, principals.c.name).join(principals, principals.c.id == securables.c.owner_id)
    return {row[0]: row[1] for row in connection.execute(query.where(securables.c.id.in_(securable_ids)))}


def has_children(connection: sa.Connection, securable_id: str) -> bool:
    """Whether other nodes stand under this one."""
    return connection.execute(sa.select(securables.c.id).where(securables.c.parent_id == securable_id).limit(1)).first() is not None


def fetch_below(connection: sa.Connection, securable_id: str, kind: SecurableKind) -> Sequence[str]:
    """Identifiers of the nodes of a kind that are this one or stand under it."""
    query = (
        sa.select(securables.c.id)
        .join(ancestors, ancestors.c.securable_id == securables.c.id)
        .where(ancestors.c.ancestor_id == securable_id, securables.c.kind == kind.value)
    )
    return connection.execute(query).scalars().all()


def delete(connection: sa.Connection, securable_id: str) -> None:
    """Remove a node with all under it; grants, labels and fingerprints go by the foreign keys."""
    below = sa.select(ancestors.c.securable_id).where(ancestors.c.ancestor_id == securable_id)
    connection.execute(sa.delete(securables).where(securables.c.id.in_(below)))


def set_kind(connection: sa.Connection, securable_id: str, kind: SecurableKind, full_name: str) -> None:
    """Make a node one of another kind under another name; an IntegrityError tells that the name is taken."""
    connection.execute(sa.update(securables).where(securables.c.id == securable_id).values(kind=kind.value, full_name=full_name))


def rename(connection: sa.Connection, securable: Securable, full_name: str) -> None:
    """Give a node a new name and all under it the new beginning; an IntegrityError tells that a name is taken."""
    connection.execute(sa.update(securables).where(securables.c.id == securable.id).values(full_name=full_name))
    below = sa.select(ancestors.c.securable_id).where(ancestors.c.ancestor_id == securable.id, ancestors.c.distance > 0)
    rest = sa.func.substr(securables.c.full_name, len(securable.full_name) + 1)
    connection.execute(sa.update(securables).where(securables.c.id.in_(below)).values(full_name=sa.literal(full_name).concat(rest)))


def set_owner(connection: sa.Connection, securable_id: str, owner_id: str) -> None:
    """Hand a node to another owner."""
    connection.execute(sa.update(securables).where(securables.c.id == securable_id).values(owner_id=owner_id))


def hand_over(connection: sa.Connection, owner_id: str, new_owner_id: str) -> None:
    """Hand everything that one principal owns to another."""
    connection.execute(sa.update(securables).where(securables.c.owner_id == owner_id).values(owner_id=new_owner_id))


def insert_grants(
    connection: sa.Connection,
    securable_id: str,
    principal_id: str,
    privileges: Iterable[Privilege],
    by: str,
    now: datetime,
) -> list[Privilege]:
    """Grant what is not granted yet; gives what is new."""
    held = connection.execute(
        sa.select(grants.c.privilege).where(grants.c.securable_id == securable_id, grants.c.principal_id == principal_id),
    ).scalars()
    present = set(held)
    new = [privilege for privilege in dict.fromkeys(privileges) if privilege.value not in present]
    if new:
        common = {"securable_id": securable_id, "principal_id": principal_id, "granted_by": by, "granted_at": now}
        connection.execute(sa.insert(grants), [{**common, "privilege": privilege.value} for privilege in new])
    return new


def delete_grants(connection: sa.Connection, securable_id: str, principal_id: str, privileges: Iterable[Privilege]) -> int:
    """Revoke; gives how many were there."""
    gone = connection.execute(
        sa.delete(grants).where(
            grants.c.securable_id == securable_id,
            grants.c.principal_id == principal_id,
            grants.c.privilege.in_([privilege.value for privilege in privileges]),
        ),
    )
    return gone.rowcount


def fetch_grants(
    connection: sa.Connection,
    securable_id: str,
    limits: Iterable[sa.Select[tuple[str]]],
    limit: int,
) -> list[PlacedGrant]:
    """Grants to principals within all the limits on a node and all above it, the nearest first."""
    query = (
        sa.select(principals.c.name, grants.c.privilege, securables.c.kind, securables.c.full_name, securables.c.id)
        .select_from(
            ancestors.join(grants, grants.c.securable_id == ancestors.c.ancestor_id)
            .join(securables, securables.c.id == ancestors.c.ancestor_id)
            .join(principals, principals.c.id == grants.c.principal_id),
        )
        .where(ancestors.c.securable_id == securable_id)
        .order_by(ancestors.c.distance, principals.c.name, grants.c.privilege)
        .limit(limit)
    )
    for principal_ids in limits:
        query = query.where(grants.c.principal_id.in_(principal_ids))
    return [PlacedGrant._make(row) for row in connection.execute(query)]
