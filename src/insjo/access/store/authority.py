"""The two queries that decide: facts about some objects for one caller, and the objects that one caller may see."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from insjo.access.store.principals import effective_ids
from insjo.access.store.tables import ancestors, grants, principals, securables
from insjo.access.types import ADMINS_ID, GRANTABLE, Privilege, SecurableKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


GATES: Final[Mapping[SecurableKind, Privilege]] = {
    SecurableKind.CATALOG: Privilege.USE_CATALOG,
    SecurableKind.SCHEMA: Privilege.USE_SCHEMA,
}
"""What must be held on each catalog and schema on the way to an object before its contents can be used."""

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

    The sets of owned and of granted nodes are small and computed once; each object then looks up its few ancestors in them, so
    that a list which joins this query pays for the rows it shows and not for the whole tree.
    """
    objects = sa.select(securables.c.id).where(securables.c.kind == kind.value)
    if principal_id is None:
        return objects
    effective = effective_ids(principal_id)
    own = sa.select(effective.c.id)
    admin = sa.literal(ADMINS_ID).in_(own)
    owned = _on_the_way(sa.select(securables.c.id).where(securables.c.owner_id.in_(own)))
    if privilege is None or privilege is Privilege.BROWSE:
        if kind is SecurableKind.METASTORE:
            return objects
        return objects.where(sa.or_(admin, owned, _on_the_way(_granted(own, GRANTABLE[kind]))))
    if privilege not in GRANTABLE[kind]:
        return objects.where(sa.or_(admin, owned))
    held = _on_the_way(_granted(own, holding(privilege)))
    gates = [] if privilege in UNGATED else [_gate(own, gate, gate_kind) for gate_kind, gate in GATES.items()]
    return objects.where(sa.or_(admin, owned, sa.and_(held, *gates)))


def holding(privilege: Privilege) -> frozenset[Privilege]:
    """The grants that give the privilege."""
    return frozenset({privilege, Privilege.ALL_PRIVILEGES}) if privilege in _WITHIN_ALL else frozenset({privilege})


def _granted(own: sa.Select[tuple[str]], privileges: Iterable[Privilege]) -> sa.Select[tuple[str]]:
    """Nodes on which one of the privileges was granted to the caller."""
    words = sorted(privilege.value for privilege in privileges)
    return sa.select(grants.c.securable_id).where(grants.c.principal_id.in_(own), grants.c.privilege.in_(words))


def _on_the_way(nodes: sa.Select[tuple[str]]) -> sa.ColumnElement[bool]:
    """Whether one of the nodes is the object or above it."""
    way = ancestors.alias()
    return sa.exists(
        sa.select(sa.literal(1)).where(way.c.securable_id == securables.c.id, way.c.ancestor_id.in_(nodes)).correlate(securables)
    )


def _gate(own: sa.Select[tuple[str]], gate: Privilege, gate_kind: SecurableKind) -> sa.ColumnElement[bool]:
    """Whether the gate is open on the node of its kind on the way, or there is no such node."""
    way, node, above = ancestors.alias(), securables.alias(), ancestors.alias()
    opened = sa.exists(
        sa.select(sa.literal(1))
        .where(above.c.securable_id == node.c.id, above.c.ancestor_id.in_(_granted(own, holding(gate))))
        .correlate(node),
    )
    closed = sa.exists(
        sa.select(sa.literal(1))
        .select_from(way.join(node, node.c.id == way.c.ancestor_id))
        .where(way.c.securable_id == securables.c.id, node.c.kind == gate_kind.value, sa.not_(opened))
        .correlate(securables),
    )
    return sa.not_(closed)


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
