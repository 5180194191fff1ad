"""SQL on approvals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from insjo.access.store.tables import approvals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One approval as it is stored."""

    id: str
    principal_id: str
    principal: str
    asks: str
    purpose: str
    destination: str
    label: Mapping[str, Any]
    origins: list[list[str]]
    content_hash: str
    reason: str
    state: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str
    decided_at: datetime | None
    note: str


def insert(connection: sa.Connection, row: ApprovalRow) -> None:
    """Add one."""
    connection.execute(sa.insert(approvals).values(**{name: getattr(row, name) for name in ApprovalRow.__slots__}))


def fetch(connection: sa.Connection, approval_id: str) -> ApprovalRow | None:
    """One approval."""
    row = connection.execute(sa.select(approvals).where(approvals.c.id == approval_id)).mappings().one_or_none()
    return ApprovalRow(**row) if row else None


def fetch_call(
    connection: sa.Connection, principal_id: str, destination: str, content_hash: str, state: str, now: datetime
) -> ApprovalRow | None:
    """The approval of one call in a state, if it has not expired."""
    query = (
        sa.select(approvals)
        .where(
            approvals.c.principal_id == principal_id,
            approvals.c.destination == destination,
            approvals.c.content_hash == content_hash,
            approvals.c.state == state,
            approvals.c.expires_at > now,
        )
        .order_by(approvals.c.asked_at.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return ApprovalRow(**row) if row else None


def fetch_list(connection: sa.Connection, limit: int, principal_id: str | None = None) -> list[ApprovalRow]:
    """The newest approvals, of everybody or of one principal."""
    query = sa.select(approvals).order_by(approvals.c.asked_at.desc(), approvals.c.id.desc()).limit(limit)
    if principal_id is not None:
        query = query.where(approvals.c.principal_id == principal_id)
    return [ApprovalRow(**row) for row in connection.execute(query).mappings()]


def count_pending(connection: sa.Connection, principal_id: str, now: datetime) -> int:
    """How many of somebody's calls wait for a word."""
    here = sa.and_(approvals.c.principal_id == principal_id, approvals.c.state == "pending", approvals.c.expires_at > now)
    return int(connection.execute(sa.select(sa.func.count()).select_from(approvals).where(here)).scalar_one())


def move(connection: sa.Connection, approval_id: str, before: str, now: datetime, **values: object) -> bool:
    """Change an approval if it is still in that state and has not expired; false when somebody else was faster."""
    here = sa.and_(approvals.c.id == approval_id, approvals.c.state == before, approvals.c.expires_at > now)
    return connection.execute(sa.update(approvals).where(here).values(**values)).rowcount == 1


def prune(connection: sa.Connection, before: datetime) -> None:
    """Forget what expired long ago; the audit keeps what was decided."""
    connection.execute(sa.delete(approvals).where(approvals.c.expires_at < before))
