"""SQL on the audit: append to the chain, search it, walk it."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from insjo.access.store.tables import audit, audit_head, revision
from insjo.access.types import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from insjo.access.types import AuditFilter

START = "0" * 64
"""What stands in place of the hash before the first row."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIELDS = tuple(column.name for column in audit.columns)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def chained(key: bytes, previous: str, row: Mapping[str, Any]) -> str:
    """Hash of a row: HMAC-SHA-256 over the hash before it and every field, so that nobody without the key can rewrite the chain."""
    fields = [(row[name] - _EPOCH) // _MICROSECOND if name == "at" else row[name] for name in _FIELDS if name != "hash"]
    text = _ENCODER.encode([previous, *fields])
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def append(connection: sa.Connection, key: bytes, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows at the end of the chain; the lock on the head makes several servers write one chain."""
    # Changes lock the revision before they are recorded: locking in one order keeps two transactions from waiting for each other.
    connection.execute(sa.select(revision.c.value).where(revision.c.id == 1).with_for_update())
    head = connection.execute(sa.select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.id == 1).with_for_update()).first()
    if head is None:
        connection.execute(sa.insert(audit_head).values(id=1, sequence=0, hash=START))
    sequence, previous = (int(head[0]), str(head[1])) if head else (0, START)
    for row in rows:
        sequence += 1
        row["sequence"] = sequence
        previous = row["hash"] = chained(key, previous, row)
    connection.execute(sa.insert(audit), list(rows))
    connection.execute(sa.update(audit_head).where(audit_head.c.id == 1).values(sequence=sequence, hash=previous))


def fetch_head(connection: sa.Connection) -> tuple[int, str]:
    """Sequence and hash of the last row."""
    row = connection.execute(sa.select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.id == 1)).first()
    return (int(row[0]), str(row[1])) if row else (0, START)


def walk(connection: sa.Connection, rows_at_once: int = 1000) -> Iterator[dict[str, Any]]:
    """All rows in order, read in slices."""
    after = -(2**62)
    while True:
        query = sa.select(audit).where(audit.c.sequence > after).order_by(audit.c.sequence).limit(rows_at_once)
        rows = connection.execute(query).mappings().all()
        if not rows:
            return
        for row in rows:
            yield dict(row)
        after = rows[-1]["sequence"]


def fetch_page(connection: sa.Connection, wanted: AuditFilter, before: int | None, limit: int) -> list[AuditEvent]:
    """The newest rows first, before a sequence number."""
    query = sa.select(audit)
    equal = {
        audit.c.principal: wanted.principal.lower(),
        audit.c.action: wanted.action,
        audit.c.outcome: wanted.outcome,
        audit.c.destination: wanted.destination,
        audit.c.request_id: wanted.request_id,
    }
    for column, value in equal.items():
        if value:
            query = query.where(column == value)
    if wanted.object:
        query = query.where(sa.func.lower(audit.c.object).contains(wanted.object.lower(), autoescape=True))
    if wanted.since:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.until:
        query = query.where(audit.c.at < wanted.until)
    if before is not None:
        query = query.where(audit.c.sequence < before)
    rows = connection.execute(query.order_by(audit.c.sequence.desc()).limit(limit)).mappings()
    return [event_of(dict(row)) for row in rows]


def event_of(row: Mapping[str, Any]) -> AuditEvent:
    """Event from a row."""
    return AuditEvent(**{**row, "origins": tuple(row["origins"])})
