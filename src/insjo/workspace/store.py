"""All SQL on the objects of the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from insjo.kernel.database import UtcDateTime, metadata
from insjo.workspace.types import ObjectKind, Publication, SecretKey, State, WorkspaceObject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

objects: Final = sa.Table(
    "workspace_objects",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("object_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("parent_id", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("path", sa.String(2000), nullable=False),
    sa.Column("path_key", sa.String(2000), unique=True),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("content", sa.String(64)),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("home_of", sa.String(64), unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("updated_by", sa.String(64), nullable=False),
)
"""Everything that stands in folders; `path_key` is the path in lower case, and NULL for what was put into the trash from there."""

dashboards: Final = sa.Table(
    "workspace_dashboards",
    metadata,
    sa.Column("id", sa.String(64), sa.ForeignKey("workspace_objects.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("display_name", sa.String(255), nullable=False),
    sa.Column("serialized", sa.Text, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("warehouse_id", sa.String(64), nullable=False),
    sa.Column("trashed_at", UtcDateTime),
    sa.Column("published", sa.JSON),
    sa.Column("published_at", UtcDateTime),
)

queries: Final = sa.Table(
    "workspace_queries",
    metadata,
    sa.Column("id", sa.String(64), sa.ForeignKey("workspace_objects.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("display_name", sa.String(255), nullable=False),
    sa.Column("query_text", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("warehouse_id", sa.String(64), nullable=False),
    sa.Column("catalog_name", sa.String(255), nullable=False),
    sa.Column("schema_name", sa.String(255), nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("trashed_at", UtcDateTime),
)

schedules: Final = sa.Table(
    "workspace_schedules",
    metadata,
    sa.Column("query_id", sa.String(64), sa.ForeignKey("workspace_queries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("owner_id", sa.String(64), nullable=False, index=True),
    sa.Column("cron", sa.String(100), nullable=False),
    sa.Column("time_zone", sa.String(64), nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("query_hash", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("next_at", UtcDateTime, index=True),
    sa.Column("last_at", UtcDateTime),
    sa.Column("last_run_id", sa.String(64), nullable=False),
)
"""When saved queries run by themselves; `next_at` is NULL while one is paused."""

secrets: Final = sa.Table(
    "workspace_secrets",
    metadata,
    sa.Column("scope_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("updated_by", sa.String(64), nullable=False),
)
"""Secrets, each sealed with the key of the installation and bound to its scope and name."""


def insert_object(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """New object."""
    connection.execute(sa.insert(objects).values(**values))


def update_object(connection: sa.Connection, id_: str, values: Mapping[str, object]) -> None:
    """Change an object."""
    connection.execute(sa.update(objects).where(objects.c.id == id_).values(**values))


def fetch_by_path(connection: sa.Connection, path_key: str) -> WorkspaceObject | None:
    """Object at a path in lower case."""
    row = connection.execute(sa.select(objects).where(objects.c.path_key == path_key)).mappings().first()
    return object_of(row) if row else None


def fetch_object(connection: sa.Connection, id_: str) -> WorkspaceObject | None:
    """Object by identifier."""
    row = connection.execute(sa.select(objects).where(objects.c.id == id_)).mappings().first()
    return object_of(row) if row else None


def fetch_by_number(connection: sa.Connection, object_id: int) -> WorkspaceObject | None:
    """Object by the number that the Workspace API has for it."""
    row = connection.execute(sa.select(objects).where(objects.c.object_id == object_id)).mappings().first()
    return object_of(row) if row else None


def fetch_home(connection: sa.Connection, principal_id: str) -> WorkspaceObject | None:
    """Home folder of somebody."""
    row = connection.execute(sa.select(objects).where(objects.c.home_of == principal_id)).mappings().first()
    return object_of(row) if row else None


def fetch_content(connection: sa.Connection, id_: str) -> str | None:
    """Name under which the content of a file is stored."""
    return connection.execute(sa.select(objects.c.content).where(objects.c.id == id_)).scalar_one_or_none()


def list_children(connection: sa.Connection, parent_id: str, visible: Sequence[sa.Select[tuple[str]]], limit: int) -> list[WorkspaceObject]:
    """Entries of a folder among those that the queries name, by path; one query a kind, since each has the same subquery in it."""
    found: list[WorkspaceObject] = []
    for each in visible:
        query = sa.select(objects).where(objects.c.parent_id == parent_id, objects.c.path_key.is_not(None), objects.c.id.in_(each))
        found += [object_of(row) for row in connection.execute(query.order_by(objects.c.path_key).limit(limit)).mappings()]
    return sorted(found, key=lambda each: each.path.lower())[:limit]


def count_children(connection: sa.Connection, parent_id: str) -> int:
    """How many entries a folder holds, whoever may see them."""
    return int(connection.execute(sa.select(sa.func.count()).where(objects.c.parent_id == parent_id)).scalar_one())


def fetch_below(connection: sa.Connection, id_: str, path: str) -> list[tuple[str, str | None]]:
    """Identifier and stored content of an object and of everything that stands under it, in the trash too."""
    below = objects.c.path.startswith(path + "/", autoescape=True)
    rows = connection.execute(sa.select(objects.c.id, objects.c.content).where(sa.or_(objects.c.id == id_, below)))
    return [(row[0], row[1]) for row in rows]


def delete_objects(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Forget objects, with what their kind keeps."""
    for table in (dashboards, queries, objects):
        connection.execute(sa.delete(table).where(table.c.id.in_(ids)))


def insert_detail(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> None:
    """New row of a dashboard or query."""
    connection.execute(sa.insert(table).values(**values))


def update_dashboard(connection: sa.Connection, id_: str, values: Mapping[str, object], revision: int | None = None) -> bool:
    """Change a dashboard, if it still has the revision; whether it had."""
    change = sa.update(dashboards).where(dashboards.c.id == id_)
    if revision is not None:
        change = change.where(dashboards.c.revision == revision)
    return connection.execute(change.values(**values)).rowcount > 0


def update_query(connection: sa.Connection, id_: str, values: Mapping[str, object]) -> None:
    """Change a saved query."""
    connection.execute(sa.update(queries).where(queries.c.id == id_).values(**values))


def fetch_details(
    connection: sa.Connection,
    table: sa.Table,
    *,
    visible: sa.Select[tuple[str]] | None = None,
    id_: str = "",
    after: str = "",
    limit: int = 1,
    trashed: bool = False,
) -> list[Mapping[str, Any]]:
    """Rows of dashboards or queries beside those of their objects, by identifier; `object` is the object."""
    query = sa.select(table, *(column.label(f"object_{column.name}") for column in objects.c)).join(objects, objects.c.id == table.c.id)
    if id_:
        query = query.where(table.c.id == id_)
    if visible is not None:
        query = query.where(table.c.id.in_(visible))
        if not trashed:
            query = query.where(table.c.state == State.ACTIVE.value)
    if after:
        query = query.where(table.c.id > after)
    rows = connection.execute(query.order_by(table.c.id).limit(limit)).mappings()
    return [dict(row) | {"object": object_of(row, "object_")} for row in rows]


def fetch_expired(connection: sa.Connection, before: datetime, limit: int) -> list[str]:
    """Identifiers of what has been in the trash since before a moment."""
    old = [sa.select(table.c.id).where(table.c.trashed_at < before) for table in (dashboards, queries)]
    return list(connection.execute(sa.union_all(*old).limit(limit)).scalars())


def put_secret(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """New or changed secret."""
    here = sa.and_(secrets.c.scope_id == values["scope_id"], secrets.c.key == values["key"])
    if connection.execute(sa.update(secrets).where(here).values(**values)).rowcount == 0:
        connection.execute(sa.insert(secrets).values(**values))


def fetch_secret(connection: sa.Connection, scope_id: str, key: str) -> bytes | None:
    """A sealed secret."""
    query = sa.select(secrets.c.sealed).where(secrets.c.scope_id == scope_id, secrets.c.key == key)
    return connection.execute(query).scalar_one_or_none()


def list_secrets(connection: sa.Connection, scope_id: str, limit: int) -> list[SecretKey]:
    """Names of the secrets of a scope."""
    query = sa.select(secrets.c.key, secrets.c.updated_at).where(secrets.c.scope_id == scope_id)
    return [SecretKey(row[0], row[1]) for row in connection.execute(query.order_by(secrets.c.key).limit(limit))]


def count_secrets(connection: sa.Connection, scope_id: str) -> int:
    """How many secrets a scope holds."""
    return int(connection.execute(sa.select(sa.func.count()).where(secrets.c.scope_id == scope_id)).scalar_one())


def delete_secrets(connection: sa.Connection, scope_id: str, key: str | None = None) -> int:
    """Forget a secret, or all of a scope; how many they were."""
    gone = sa.delete(secrets).where(secrets.c.scope_id == scope_id)
    if key is not None:
        gone = gone.where(secrets.c.key == key)
    return connection.execute(gone).rowcount


def publication_of(row: Mapping[str, Any]) -> Publication | None:
    """What was published of a dashboard."""
    kept = row["published"]
    if not kept or row["published_at"] is None:
        return None
    return Publication(kept["display_name"], kept["serialized"], kept["warehouse_id"], row["published_at"], kept["published_by"])


def object_of(row: Mapping[str, Any] | sa.RowMapping, prefix: str = "") -> WorkspaceObject:
    """Object from a row."""
    return WorkspaceObject(
        id=row[f"{prefix}id"],
        object_id=row[f"{prefix}object_id"],
        kind=ObjectKind(row[f"{prefix}kind"]),
        path=row[f"{prefix}path"],
        parent_id=row[f"{prefix}parent_id"],
        language=row[f"{prefix}language"],
        size_bytes=row[f"{prefix}size_bytes"],
        created_at=row[f"{prefix}created_at"],
        created_by=row[f"{prefix}created_by"],
        updated_at=row[f"{prefix}updated_at"],
        updated_by=row[f"{prefix}updated_by"],
    )


def fetch_schedule(connection: sa.Connection, query_id: str) -> dict[str, Any] | None:
    """The schedule of a query."""
    row = connection.execute(sa.select(schedules).where(schedules.c.query_id == query_id)).mappings().first()
    return None if row is None else dict(row)


def list_schedules(connection: sa.Connection, visible: sa.Select[tuple[str]], limit: int) -> list[dict[str, Any]]:
    """Schedules of queries that are visible, by query."""
    query = sa.select(schedules).where(schedules.c.query_id.in_(visible)).order_by(schedules.c.query_id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def list_due_schedules(connection: sa.Connection, now: datetime, limit: int) -> list[dict[str, Any]]:
    """Schedules that are due, the oldest first."""
    query = sa.select(schedules).where(schedules.c.next_at <= now).order_by(schedules.c.next_at).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def count_schedules(connection: sa.Connection, owner_id: str) -> int:
    """How many schedules somebody owns."""
    return connection.execute(sa.select(sa.func.count()).where(schedules.c.owner_id == owner_id)).scalar_one()


def put_schedule(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """A schedule in the place of the one that the query had."""
    delete_schedule(connection, values["query_id"])
    connection.execute(schedules.insert().values(**values))


def update_schedule(connection: sa.Connection, query_id: str, next_at: datetime | None, values: Mapping[str, Any]) -> bool:
    """Change a schedule that is still due at `next_at`: of several servers that saw it so, one succeeds."""
    same = schedules.c.next_at.is_(None) if next_at is None else schedules.c.next_at == next_at
    return connection.execute(sa.update(schedules).where(schedules.c.query_id == query_id, same).values(**values)).rowcount > 0


def delete_schedule(connection: sa.Connection, query_id: str) -> int:
    """Forget the schedule of a query; how many there were."""
    return connection.execute(schedules.delete().where(schedules.c.query_id == query_id)).rowcount
