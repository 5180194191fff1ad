"""All SQL on locations; loads are runs of the room of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from insjo.ingest.types import Location
from insjo.kernel.database import UtcDateTime, metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCATIONS_MAX = 1000

locations: Final = sa.Table(
    "ingest_locations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("url", sa.String(2000), nullable=False),
    sa.Column("volume", sa.String(800), nullable=False),
    sa.Column("volume_id", sa.String(64), nullable=False, index=True),
    sa.Column("secret", sa.String(300), nullable=False),
    sa.Column("private", sa.Boolean, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
)


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Keep a location."""
    connection.execute(locations.insert().values(**values))


def update(connection: sa.Connection, name: str, values: Mapping[str, Any]) -> int:
    """Change a location; how many there were."""
    return connection.execute(sa.update(locations).where(locations.c.name == name).values(**values)).rowcount


def delete(connection: sa.Connection, name: str) -> int:
    """Forget a location; how many there were."""
    return connection.execute(locations.delete().where(locations.c.name == name)).rowcount


def fetch(connection: sa.Connection, name: str) -> Location | None:
    """A location by name."""
    row = connection.execute(sa.select(locations).where(locations.c.name == name)).mappings().first()
    return None if row is None else Location(**row)


def list_all(connection: sa.Connection) -> list[Location]:
    """All locations by name."""
    rows = connection.execute(sa.select(locations).order_by(locations.c.name).limit(LOCATIONS_MAX)).mappings()
    return [Location(**row) for row in rows]
