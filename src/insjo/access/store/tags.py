"""SQL on tags and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from insjo.access.policies import MatchColumn, Policy, PolicyKind
from insjo.access.protection import Argument
from insjo.access.store.tables import ancestors, policies, securables, tags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class PlacedTag(NamedTuple):
    """A tag on an object or on a column of it."""

    securable_id: str
    full_name: str
    column: str
    key: str
    value: str
    changed_by: str
    changed_at: datetime


_TAG = (
    tags.c.securable_id,
    securables.c.full_name,
    tags.c.column_name,
    tags.c.tag_key,
    tags.c.tag_value,
    tags.c.changed_by,
    tags.c.changed_at,
)


def put(connection: sa.Connection, securable_id: str, column: str, key: str, value: str, by: str, now: datetime) -> None:
    """Set or replace one tag."""
    delete(connection, securable_id, column, key)
    row = {"securable_id": securable_id, "column_name": column, "tag_key": key, "tag_value": value, "changed_by": by, "changed_at": now}
    connection.execute(sa.insert(tags).values(**row))


def delete(connection: sa.Connection, securable_id: str, column: str, key: str) -> bool:
    """Take one tag away; false when there was none."""
    here = sa.and_(tags.c.securable_id == securable_id, tags.c.column_name == column, tags.c.tag_key == key)
    return connection.execute(sa.delete(tags).where(here)).rowcount > 0


def count(connection: sa.Connection, securable_id: str, column: str) -> int:
    """How many tags an object or column has."""
    here = sa.and_(tags.c.securable_id == securable_id, tags.c.column_name == column)
    return int(connection.execute(sa.select(sa.func.count()).select_from(tags).where(here)).scalar_one())


def rename_column(connection: sa.Connection, securable_id: str, column: str, new: str) -> None:
    """Let the tags of a column follow its new name."""
    here = sa.and_(tags.c.securable_id == securable_id, tags.c.column_name == column)
    connection.execute(sa.update(tags).where(here).values(column_name=new))


def fetch(connection: sa.Connection, securable_id: str) -> list[PlacedTag]:
    """Tags of an object and of its columns."""
    query = sa.select(*_TAG).join(securables, securables.c.id == tags.c.securable_id).where(tags.c.securable_id == securable_id)
    return [PlacedTag(*row) for row in connection.execute(query.order_by(tags.c.column_name, tags.c.tag_key))]


def fetch_visible(connection: sa.Connection, visible: sa.Select[tuple[str]], limit: int) -> list[PlacedTag]:
    """Tags of all objects among these."""
    query = sa.select(*_TAG).join(securables, securables.c.id == tags.c.securable_id).where(tags.c.securable_id.in_(visible))
    ordered = query.order_by(securables.c.full_name, tags.c.column_name, tags.c.tag_key).limit(limit)
    return [PlacedTag(*row) for row in connection.execute(ordered)]


def fetch_on_the_way(connection: sa.Connection, securable_id: str) -> list[tuple[int, str, str, str]]:
    """Distance, column, key and value of the tags on an object and above it, the farthest first; columns only of the object itself."""
    query = (
        sa.select(ancestors.c.distance, tags.c.column_name, tags.c.tag_key, tags.c.tag_value)
        .join(tags, tags.c.securable_id == ancestors.c.ancestor_id)
        .where(ancestors.c.securable_id == securable_id, sa.or_(ancestors.c.distance == 0, tags.c.column_name == ""))
        .order_by(ancestors.c.distance.desc())
    )
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]


def fetch_ancestors(connection: sa.Connection, securable_id: str) -> list[str]:
    """Identifiers of an object and of all above it."""
    query = sa.select(ancestors.c.ancestor_id).where(ancestors.c.securable_id == securable_id)
    return list(connection.execute(query).scalars())


# ----------------------------------------------------------------------------------------------------------------- policies


def put_policy(connection: sa.Connection, policy: Policy) -> None:
    """Keep a new policy, or the new form of one that is there."""
    values: dict[str, Any] = {
        "name": policy.name,
        "kind": policy.kind.value,
        "function_id": policy.function_id,
        "definition": policy.definition(),
        "comment": policy.comment,
        "updated_at": policy.updated_at,
        "updated_by": policy.updated_by,
    }
    if connection.execute(sa.update(policies).where(policies.c.id == policy.id).values(**values)).rowcount == 0:
        made = {"id": policy.id, "securable_id": policy.securable_id, "created_at": policy.created_at, "created_by": policy.created_by}
        connection.execute(sa.insert(policies).values(**values, **made))


def delete_policy(connection: sa.Connection, policy_id: str) -> None:
    """Remove a policy."""
    connection.execute(sa.delete(policies).where(policies.c.id == policy_id))


def fetch_policies(connection: sa.Connection, securable_ids: Sequence[str] | None = None) -> list[Policy]:
    """All policies, or those on some objects, by name."""
    function = securables.alias("function")
    query = (
        sa.select(
            policies, securables.c.kind.label("on_kind"), securables.c.full_name.label("on_name"), function.c.full_name.label("called")
        )
        .join(securables, securables.c.id == policies.c.securable_id)
        .outerjoin(function, function.c.id == policies.c.function_id)
        .order_by(securables.c.full_name, policies.c.name)
    )
    if securable_ids is not None:
        query = query.where(policies.c.securable_id.in_(securable_ids))
    return [_policy_of(row) for row in connection.execute(query).mappings()]


def _policy_of(row: sa.RowMapping) -> Policy:
    """Policy from its row."""
    words = row["definition"]
    return Policy(
        name=row["name"],
        kind=PolicyKind(row["kind"]),
        securable_id=row["securable_id"],
        function_id=row["function_id"],
        to=tuple(words["to"]),
        exempt=tuple(words["except"]),
        when=words["when"],
        columns=tuple(MatchColumn(each["alias"], each["condition"]) for each in words["columns"]),
        arguments=tuple(Argument.from_json(each) for each in words["arguments"]),
        on_column=words["on_column"],
        comment=row["comment"],
        id=row["id"],
        on_kind=row["on_kind"],
        on_name=row["on_name"],
        function_name=row["called"] or "",
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )


def count_policies(connection: sa.Connection, function_id: str) -> int:
    """How many policies call a function."""
    query = sa.select(sa.func.count()).select_from(policies).where(policies.c.function_id == function_id)
    return int(connection.execute(query).scalar_one())
