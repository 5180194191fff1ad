"""SQL on principals and membership."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from insjo.access.store.tables import client_secrets, grants, members, principals, sessions, signin_links, tokens
from insjo.access.types import ADMINS_ID, EVERYBODY_ID, Principal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.kernel.context import PrincipalKind

_COLUMNS = (
    principals.c.id,
    principals.c.kind,
    principals.c.name,
    principals.c.display_name,
    principals.c.active,
    principals.c.created_at,
    principals.c.email,
)


def principal_of(row: Sequence[Any]) -> Principal:
    """Principal from a row of `principal_columns()`."""
    return Principal(*row)


def principal_columns() -> tuple[sa.ColumnElement[object], ...]:
    """The columns from which `principal_of` makes a principal."""
    return cast("tuple[sa.ColumnElement[object], ...]", _COLUMNS)


def effective_ids(principal_id: str | sa.BindParameter[str]) -> sa.CTE:
    """Recursive query: the principal, every active group it is in by whatever way, and `account users`.

    Empty when the principal is deactivated or unknown, so that it holds no right at all.
    """
    me = principals.alias("me")
    chain = (
        sa.select(principals.c.id)
        .join(me, principals.c.id.in_([me.c.id, EVERYBODY_ID]))
        .where(me.c.id == principal_id, me.c.active.is_(sa.true()))
        .cte("effective", recursive=True)
    )
    group = principals.alias("member_group")
    return chain.union(
        sa.select(group.c.id)
        .select_from(members.join(chain, members.c.member_id == chain.c.id).join(group, group.c.id == members.c.group_id))
        .where(group.c.active.is_(sa.true())),
    )


def effective_select(principal_id: str, *, alone: bool = False) -> sa.Select[tuple[str]]:
    """Query of the principal and all its groups as `effective_ids` gives them, or of the principal alone."""
    if alone:
        return sa.select(sa.literal(principal_id))
    return sa.select(effective_ids(principal_id).c.id)


def insert(connection: sa.Connection, principal: Principal) -> None:
    """New principal; an IntegrityError tells that the name is taken."""
    connection.execute(
        sa.insert(principals).values(
            id=principal.id,
            kind=principal.kind,
            name=principal.name,
            display_name=principal.display_name,
            email=principal.email,
            active=principal.active,
            deleted=False,
            created_at=principal.created_at,
        ),
    )


def fetch(connection: sa.Connection, principal_id: str) -> Principal | None:
    """Principal by identifier, also a deactivated or deleted one."""
    row = connection.execute(sa.select(*_COLUMNS).where(principals.c.id == principal_id)).first()
    return principal_of(row) if row else None


def fetch_by_name(connection: sa.Connection, name: str) -> Principal | None:
    """Principal by its name in lower case."""
    row = connection.execute(sa.select(*_COLUMNS).where(principals.c.name == name)).first()
    return principal_of(row) if row else None


def fetch_names(connection: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    """Names of some principals."""
    rows = connection.execute(sa.select(principals.c.id, principals.c.name).where(principals.c.id.in_(ids)))
    return {str(row.id): str(row.name) for row in rows}


def fetch_page(connection: sa.Connection, kind: PrincipalKind | None, after: str, limit: int, text: str) -> list[Principal]:
    """Principals by name, after a name, whose name, shown name or address holds the text."""
    query = sa.select(*_COLUMNS).where(principals.c.deleted.is_(sa.false()), principals.c.id != "system", principals.c.name > after)
    if kind:
        query = query.where(principals.c.kind == kind)
    if text:
        wanted = text.lower()
        query = query.where(
            sa.or_(
                principals.c.name.contains(wanted, autoescape=True),
                sa.func.lower(principals.c.display_name).contains(wanted, autoescape=True),
                sa.func.lower(principals.c.email).contains(wanted, autoescape=True),
            ),
        )
    return [principal_of(row) for row in connection.execute(query.order_by(principals.c.name).limit(limit))]


def count(connection: sa.Connection, kind: PrincipalKind) -> int:
    """How many there are of a kind, deactivated ones included, deleted ones not."""
    query = sa.select(sa.func.count()).where(principals.c.kind == kind, principals.c.deleted.is_(sa.false()))
    return int(connection.execute(query).scalar_one())


def update(connection: sa.Connection, principal_id: str, values: Mapping[str, object]) -> None:
    """Change some columns; an IntegrityError tells that the name is taken."""
    connection.execute(sa.update(principals).where(principals.c.id == principal_id).values(**values))


def end_credentials(connection: sa.Connection, principal_id: str) -> None:
    """End all sessions, tokens, secrets of programs and unused sign-in links."""
    for table in (sessions, tokens, signin_links, client_secrets):
        connection.execute(sa.delete(table).where(table.c.principal_id == principal_id))


def strip(connection: sa.Connection, principal_id: str) -> None:
    """Take away membership (both ways) and grants."""
    connection.execute(sa.delete(members).where(sa.or_(members.c.member_id == principal_id, members.c.group_id == principal_id)))
    connection.execute(sa.delete(grants).where(grants.c.principal_id == principal_id))


def insert_member(connection: sa.Connection, group_id: str, member_id: str) -> bool:
    """Put a member into a group; false when it was there."""
    found = connection.execute(
        sa.select(members.c.group_id).where(members.c.group_id == group_id, members.c.member_id == member_id)
    ).first()
    if found:
        return False
    connection.execute(sa.insert(members).values(group_id=group_id, member_id=member_id))
    return True


def delete_member(connection: sa.Connection, group_id: str, member_id: str) -> bool:
    """Take a member out of a group; false when it was not there."""
    gone = connection.execute(sa.delete(members).where(members.c.group_id == group_id, members.c.member_id == member_id))
    return gone.rowcount > 0


def fetch_members(connection: sa.Connection, group_id: str, after: str, limit: int) -> list[Principal]:
    """Direct members of a group by name."""
    query = (
        sa.select(*_COLUMNS)
        .join(members, members.c.member_id == principals.c.id)
        .where(members.c.group_id == group_id, principals.c.name > after)
        .order_by(principals.c.name)
        .limit(limit)
    )
    return [principal_of(row) for row in connection.execute(query)]


def fetch_groups(connection: sa.Connection, principal_id: str, *, nested: bool) -> list[Principal]:
    """Groups that a principal is in: directly, or by every way and with `account users`."""
    if nested:
        effective = effective_ids(principal_id)
        query = sa.select(*_COLUMNS).where(principals.c.id.in_(sa.select(effective.c.id)), principals.c.id != principal_id)
    else:
        query = sa.select(*_COLUMNS).join(members, members.c.group_id == principals.c.id).where(members.c.member_id == principal_id)
    return [principal_of(row) for row in connection.execute(query.order_by(principals.c.name))]


def is_within(connection: sa.Connection, principal_id: str, group_id: str) -> bool:
    """Whether the principal is the group or in it by any way."""
    effective = effective_ids(principal_id)
    return connection.execute(sa.select(effective.c.id).where(effective.c.id == group_id)).first() is not None


def count_admins(connection: sa.Connection) -> int:
    """How many active users and service principals are metastore admins by any way."""
    down = sa.select(sa.literal(ADMINS_ID).label("id")).cte("down", recursive=True)
    group = principals.alias("down_group")
    down = down.union(
        sa.select(members.c.member_id)
        .select_from(members.join(down, members.c.group_id == down.c.id).join(group, group.c.id == down.c.id))
        .where(group.c.active.is_(sa.true())),
    )
    query = sa.select(sa.func.count()).where(
        principals.c.id.in_(sa.select(down.c.id)),
        principals.c.active.is_(sa.true()),
        principals.c.kind != "group",
    )
    return int(connection.execute(query).scalar_one())
