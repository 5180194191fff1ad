"""SQL on fingerprints: one row for each set of hashes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from insjo.access.store.tables import fingerprints, securables
from insjo.access.types import Label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class SetHead(NamedTuple):
    """A set of hashes without the hashes."""

    securable_id: str
    column: str
    full_name: str
    label: Label
    changed_at: datetime


def put(connection: sa.Connection, securable_id: str, column: str, kind: str, label: Label, hashes: bytes, now: datetime) -> None:
    """Set or replace one set; its time always rises, since readers know by it that the hashes are new."""
    here = sa.and_(fingerprints.c.securable_id == securable_id, fingerprints.c.column_name == column)
    before = connection.execute(sa.select(fingerprints.c.changed_at).where(here)).scalar_one_or_none()
    at = max(now, before + timedelta(microseconds=1)) if before else now
    values = {"kind": kind, "label": label.as_json(), "hashes": hashes, "changed_at": at}
    if connection.execute(sa.update(fingerprints).where(here).values(**values)).rowcount == 0:
        connection.execute(sa.insert(fingerprints).values(securable_id=securable_id, column_name=column, **values))


def delete(connection: sa.Connection, securable_id: str, column: str | None) -> bool:
    """Forget one set, or all of a securable; false when there was none."""
    query = sa.delete(fingerprints).where(fingerprints.c.securable_id == securable_id)
    if column is not None:
        query = query.where(fingerprints.c.column_name == column)
    return connection.execute(query).rowcount > 0


def fetch_heads(connection: sa.Connection, limit: int) -> list[SetHead]:
    """All sets, in a fixed order."""
    query = (
        sa.select(
            fingerprints.c.securable_id,
            fingerprints.c.column_name,
            securables.c.full_name,
            fingerprints.c.label,
            fingerprints.c.changed_at,
        )
        .join(securables, securables.c.id == fingerprints.c.securable_id)
        .order_by(fingerprints.c.securable_id, fingerprints.c.column_name)
        .limit(limit)
    )
    return [SetHead(row[0], row[1], row[2], Label.from_json(row[3]), row[4]) for row in connection.execute(query)]


def fetch_hashes(connection: sa.Connection, securable_id: str, column: str) -> bytes:
    """The hashes of one set; empty when it is gone."""
    query = sa.select(fingerprints.c.hashes).where(fingerprints.c.securable_id == securable_id, fingerprints.c.column_name == column)
    return bytes(connection.execute(query).scalar_one_or_none() or b"")


def columns_of(connection: sa.Connection, securable_id: str) -> Sequence[str]:
    """Names of the columns of a securable that have a set."""
    return connection.execute(sa.select(fingerprints.c.column_name).where(fingerprints.c.securable_id == securable_id)).scalars().all()
