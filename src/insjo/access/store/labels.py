"""SQL on labels, declassifications and clearances."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from insjo.access.store.tables import ancestors, clearances, declassifications, labels
from insjo.access.types import ALL, Clearance, Declassification, Label, Level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

SET = "set"
DERIVED = "derived"


class PlacedLabel(NamedTuple):
    """A label on a node, or on a column of it, on the way from an object to the root."""

    target_id: str
    distance: int
    column: str
    label: Label


class PlacedDeclassification(NamedTuple):
    """A declassification on the way from an object to the root."""

    target_id: str
    distance: int
    declassification: Declassification


def put(connection: sa.Connection, securable_id: str, column: str, source: str, label: Label, by: str, now: datetime) -> None:
    """Set or replace one label."""
    values = {"label": label.as_json(), "changed_by": by, "changed_at": now}
    here = sa.and_(labels.c.securable_id == securable_id, labels.c.column_name == column, labels.c.source == source)
    if connection.execute(sa.update(labels).where(here).values(**values)).rowcount == 0:
        connection.execute(sa.insert(labels).values(securable_id=securable_id, column_name=column, source=source, **values))


def delete(connection: sa.Connection, securable_id: str, column: str, source: str) -> bool:
    """Take one label away; false when there was none."""
    here = sa.and_(labels.c.securable_id == securable_id, labels.c.column_name == column, labels.c.source == source)
    return connection.execute(sa.delete(labels).where(here)).rowcount > 0


def rename_column(connection: sa.Connection, securable_id: str, column: str, new: str) -> None:
    """Let the labels and declassifications of a column follow its new name."""
    for table in (labels, declassifications):
        connection.execute(
            sa.update(table).where(table.c.securable_id == securable_id, table.c.column_name == column).values(column_name=new),
        )


def fetch_own(connection: sa.Connection, securable_id: str, column: str, source: str) -> Label | None:
    """One label."""
    query = sa.select(labels.c.label).where(
        labels.c.securable_id == securable_id,
        labels.c.column_name == column,
        labels.c.source == source,
    )
    found = connection.execute(query).scalar_one_or_none()
    return Label.from_json(found) if found else None


def fetch_on_the_way(connection: sa.Connection, targets: Sequence[str]) -> list[PlacedLabel]:
    """All labels on some nodes and above them; columns only of the nodes themselves."""
    query = (
        sa.select(ancestors.c.securable_id, ancestors.c.distance, labels.c.column_name, labels.c.label)
        .join(labels, labels.c.securable_id == ancestors.c.ancestor_id)
        .where(
            ancestors.c.securable_id.in_(sa.bindparam("targets", expanding=True)),
            sa.or_(ancestors.c.distance == 0, labels.c.column_name == ""),
        )
    )
    rows = connection.execute(query, {"targets": targets})
    return [PlacedLabel(row[0], row[1], row[2], Label.from_json(row[3])) for row in rows]


def fetch_declassifications(connection: sa.Connection, targets: Sequence[str], now: datetime) -> list[PlacedDeclassification]:
    """Declassifications on some nodes and above them that have not ended, the newest first."""
    query = (
        sa.select(ancestors.c.securable_id, ancestors.c.distance, declassifications)
        .join(declassifications, declassifications.c.securable_id == ancestors.c.ancestor_id)
        .where(
            ancestors.c.securable_id.in_(sa.bindparam("targets", expanding=True)),
            declassifications.c.expires_at > now,
            declassifications.c.ended_at.is_(None),
            sa.or_(ancestors.c.distance == 0, declassifications.c.column_name == ""),
        )
        .order_by(declassifications.c.signed_at.desc(), declassifications.c.id.desc())
    )
    rows = connection.execute(query, {"targets": targets}).mappings()
    return [
        PlacedDeclassification(
            row[ancestors.c.securable_id],
            row[ancestors.c.distance],
            Declassification(
                id=row[declassifications.c.id],
                securable_id=row[declassifications.c.securable_id],
                column=row[declassifications.c.column_name],
                covered=Label.from_json(row[declassifications.c.covered]),
                label=Label.from_json(row[declassifications.c.label]),
                reason=row[declassifications.c.reason],
                signed_by=row[declassifications.c.signed_by],
                signed_at=row[declassifications.c.signed_at],
                expires_at=row[declassifications.c.expires_at],
                signature=row[declassifications.c.signature],
            ),
        )
        for row in rows
    ]


def insert_declassification(connection: sa.Connection, signed: Declassification) -> None:
    """New declassification."""
    connection.execute(
        sa.insert(declassifications).values(
            id=signed.id,
            securable_id=signed.securable_id,
            column_name=signed.column,
            covered=signed.covered.as_json(),
            label=signed.label.as_json(),
            reason=signed.reason,
            signed_by=signed.signed_by,
            signed_at=signed.signed_at,
            expires_at=signed.expires_at,
            signature=signed.signature,
        ),
    )


def end_declassifications(connection: sa.Connection, securable_id: str, column: str, now: datetime) -> int:
    """End those that stand on a node or a column; gives how many there were."""
    here = sa.and_(
        declassifications.c.securable_id == securable_id,
        declassifications.c.column_name == column,
        declassifications.c.ended_at.is_(None),
    )
    return connection.execute(sa.update(declassifications).where(here).values(ended_at=now)).rowcount


def put_clearance(connection: sa.Connection, clearance: Clearance, by: str, now: datetime) -> None:
    """Set or replace what a destination may receive."""
    values = {
        "level": int(clearance.level),
        "categories": "*" if clearance.categories is ALL else sorted(clearance.categories),
        "zone": clearance.zone,
        "keeps": clearance.keeps,
        "trains": clearance.trains,
        "changed_by": by,
        "changed_at": now,
    }
    here = clearances.c.destination == clearance.destination
    if connection.execute(sa.update(clearances).where(here).values(**values)).rowcount == 0:
        connection.execute(sa.insert(clearances).values(destination=clearance.destination, **values))


def delete_clearance(connection: sa.Connection, destination: str) -> bool:
    """Forget a destination; false when nobody had cleared it."""
    return connection.execute(sa.delete(clearances).where(clearances.c.destination == destination)).rowcount > 0


def fetch_clearances(connection: sa.Connection, limit: int) -> list[Clearance]:
    """All clearances by destination."""
    rows = connection.execute(sa.select(clearances).order_by(clearances.c.destination).limit(limit)).mappings()
    return [
        Clearance(
            destination=row["destination"],
            level=Level(row["level"]),
            categories=ALL if row["categories"] == "*" else frozenset(row["categories"]),
            zone=row["zone"],
            keeps=row["keeps"],
            trains=row["trains"],
        )
        for row in rows
    ]
