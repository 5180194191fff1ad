"""The two queries that decide: facts about some objects for one caller, and the objects that one caller may see."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from insjo.access.store.principals import effective_ids
from insjo.access.store.tables import ancestors, grants, principals, securables
from insjo.access.types import ADMINS_ID, GRANTABLE, PARENT_KIND, Privilege, SecurableKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


GATES: Final[Mapping[SecurableKind, Privilege]] = {
    SecurableKind.CATALOG: Privilege.USE_CATALOG,
    SecurableKind.SCHEMA: Privilege.USE_SCHEMA,
}
"""What must be held on each catalog and schema on the way to an object before its contents can be used."""

_ABOVE: Final[Mapping[SecurableKind, tuple[SecurableKind, ...]]] = {
    SecurableKind.CATALOG: (SecurableKind.CATALOG, SecurableKind.METASTORE),
    SecurableKind.SCHEMA: (SecurableKind.SCHEMA, SecurableKind.CATALOG, SecurableKind.METASTORE),
}
"""On which kinds a gate can be opened: a grant of all privileges on a table opens no schema."""

UNGATED: Final = frozenset({Privilege.MANAGE, Privilege.BROWSE, Privilege.APPLY_TAG, Privilege.USE_CATALOG})
"""Privileges that hold without the gates: they reach no contents."""

_WITHIN_ALL: Final = frozenset(Privilege) - {Privilege.MANAGE, Privilege.ALL_PRIVILEGES}
"""What ALL PRIVILEGES contains: everything but MANAGE, as in Unity Catalog."""


class Fact(NamedTuple):
    """One node on the way from an object to the root, with one grant that the caller holds on it, if any."""

    target_id: str
    distance: int
    node_id: str
    kind: str
    full_name: str
    owned: bool
    privilege: str | None
    grantee: str | None
    admin: bool


@functools.cache
def _facts_query(by_name: bool) -> sa.Select[tuple[object, ...]]:
    """Everything that bears on decisions about some objects."""
    effective = effective_ids(sa.bindparam("caller", type_=sa.String))
    own = sa.select(effective.c.id)
    target = securables.alias("target")
    query = (
        sa.select(
            ancestors.c.securable_id,
            ancestors.c.distance,
            securables.c.id,
            securables.c.kind,
            securables.c.full_name,
            securables.c.owner_id.in_(own),
            grants.c.privilege,
            principals.c.name,
            sa.literal(ADMINS_ID).in_(own),
        )
        .select_from(
            ancestors.join(securables, securables.c.id == ancestors.c.ancestor_id)
            .outerjoin(grants, sa.and_(grants.c.securable_id == securables.c.id, grants.c.principal_id.in_(own)))
            .outerjoin(principals, principals.c.id == grants.c.principal_id),
        )
        .order_by(ancestors.c.securable_id, ancestors.c.distance, grants.c.privilege, principals.c.name)
    )
    if by_name:
        named = sa.select(target.c.id).where(target.c.kind == sa.bindparam("kind"), target.c.full_name == sa.bindparam("full_name"))
        return query.where(ancestors.c.securable_id == named.scalar_subquery())
    return query.where(ancestors.c.securable_id.in_(sa.bindparam("targets", expanding=True)))


def fetch_facts(connection: sa.Connection, principal_id: str, securable_ids: Iterable[str]) -> dict[str, list[Fact]]:
    """Facts by object, the object itself first and the root last; objects that do not exist are missing."""
    rows = connection.execute(_facts_query(by_name=False), {"caller": principal_id, "targets": list(securable_ids)})
    facts: dict[str, list[Fact]] = {}
    for row in rows:
        fact = Fact._make(row)
        facts.setdefault(fact.target_id, []).append(fact)
    return facts


def fetch_facts_by_name(connection: sa.Connection, principal_id: str, kind: SecurableKind, full_name: str) -> list[Fact]:
    """Facts about one object; empty when it does not exist."""
    parameters = {"caller": principal_id, "kind": kind.value, "full_name": full_name}
    return [Fact._make(row) for row in connection.execute(_facts_query(by_name=True), parameters)]


def visible_ids(principal_id: str | None, kind: SecurableKind, privilege: Privilege | None) -> sa.Select[tuple[str]]:
    """Identifiers of the objects of a kind that the caller may see, or on which it holds the privilege; None means the system.

    Nothing in it refers to a single object: each part is a set that both databases compute once, from the few nodes that the caller
    owns or was granted downwards.
    """
    objects = sa.select(securables.c.id).where(securables.c.kind == kind.value)
    if principal_id is None:
        return objects
    own = sa.select(effective_ids(principal_id).c.id)
    admin = sa.literal(ADMINS_ID).in_(own)
    owned = _below(sa.select(securables.c.id).where(securables.c.owner_id.in_(own)))
    if privilege is None or privilege is Privilege.BROWSE:
        if kind is SecurableKind.METASTORE:
            return objects
        return objects.where(sa.or_(admin, owned, _below(_granted(own, GRANTABLE[kind]))))
    if privilege not in GRANTABLE[kind]:
        return objects.where(sa.or_(admin, owned))
    gates = () if privilege in UNGATED else _gates_of(kind)
    opened = [_below(_granted(own, holding(GATES[gate]), _ABOVE[gate])) for gate in gates]
    return objects.where(sa.or_(admin, owned, sa.and_(_below(_granted(own, holding(privilege))), *opened)))


def _gates_of(kind: SecurableKind) -> tuple[SecurableKind, ...]:
    """The kinds with a gate on the way from an object of the kind to the root, itself included."""
    way = [kind]
    while (above := PARENT_KIND.get(way[-1])) and above not in way:  # A folder stands in a folder.
        way.append(above)
    return tuple(each for each in way if each in GATES)


def holding(privilege: Privilege) -> frozenset[Privilege]:
    """The grants that give the privilege."""
    return frozenset({privilege, Privilege.ALL_PRIVILEGES}) if privilege in _WITHIN_ALL else frozenset({privilege})


def _granted(
    own: sa.Select[tuple[str]],
    privileges: Iterable[Privilege],
    kinds: Iterable[SecurableKind] = (),
) -> sa.Select[tuple[str]]:
    """Nodes, of some kinds, on which one of the privileges was granted to the caller."""
    words = sorted(privilege.value for privilege in privileges)
    query = sa.select(grants.c.securable_id).where(grants.c.principal_id.in_(own), grants.c.privilege.in_(words))
    if kinds:
        node = securables.alias()
        query = query.join(node, node.c.id == grants.c.securable_id).where(node.c.kind.in_([kind.value for kind in kinds]))
    return query


def _below(nodes: sa.Select[tuple[str]]) -> sa.ColumnElement[bool]:
    """Whether the object is one of the nodes or stands under one."""
    return securables.c.id.in_(sa.select(ancestors.c.securable_id).where(ancestors.c.ancestor_id.in_(nodes)))


def fetch_visible_names(
    connection: sa.Connection,
    visible: sa.Select[tuple[str]],
    beginning: str,
    limit: int,
) -> Sequence[str]:
    """Names of visible objects with this beginning, for suggestions."""
    query = sa.select(securables.c.full_name).where(securables.c.id.in_(visible))
    if beginning:
        query = query.where(securables.c.full_name.startswith(beginning, autoescape=True))
    return connection.execute(query.order_by(securables.c.full_name).limit(limit)).scalars().all()
