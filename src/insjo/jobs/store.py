"""All SQL on runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from insjo.jobs.types import Run, RunState
from insjo.kernel.database import UtcDateTime, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

runs: Final = sa.Table(
    "jobs_runs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("title", sa.String(500), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("owner_id", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("owner_kind", sa.String(32), nullable=False),
    sa.Column("securable_id", sa.String(64), index=True),
    sa.Column("progress_done", sa.BigInteger, nullable=False),
    sa.Column("progress_total", sa.BigInteger, nullable=False),
    sa.Column("message", sa.String(1000), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("error_code", sa.String(100), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("worker", sa.String(500), nullable=False),
    sa.Column("leased_until", UtcDateTime),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Index("ix_jobs_runs_state_id", "state", "id"),
    sa.Index("ix_jobs_runs_owner_id_id", "owner_id", "id"),
)


def insert(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """New run."""
    connection.execute(sa.insert(runs).values(**values))


def fetch(connection: sa.Connection, run_id: str) -> Run | None:
    """Run by identifier."""
    row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().first()
    return None if row is None else _run_of(row)


def list_runs(
    connection: sa.Connection,
    *,
    owner_id: str | None,
    kind: str,
    securable_id: str | None,
    before: str,
    limit: int,
) -> list[Run]:
    """Runs, the newest first; identifiers are ordered by time."""
    query = sa.select(runs)
    if owner_id is not None:
        query = query.where(runs.c.owner_id == owner_id)
    if kind:
        query = query.where(runs.c.kind == kind)
    if securable_id is not None:
        query = query.where(runs.c.securable_id == securable_id)
    if before:
        query = query.where(runs.c.id < before)
    return [_run_of(row) for row in connection.execute(query.order_by(runs.c.id.desc()).limit(limit)).mappings()]


def count_queued(connection: sa.Connection) -> int:
    """How many runs wait."""
    return connection.execute(sa.select(sa.func.count()).where(runs.c.state == RunState.QUEUED.value)).scalar_one()


def next_queued(connection: sa.Connection, kinds: Iterable[str]) -> str | None:
    """The run that waits longest, of kinds that can be done here."""
    query = sa.select(runs.c.id).where(runs.c.state == RunState.QUEUED.value, runs.c.kind.in_(list(kinds)))
    return connection.execute(query.order_by(runs.c.id).limit(1)).scalar_one_or_none()


def claim(connection: sa.Connection, run_id: str, worker: str, now: datetime, leased_until: datetime) -> Run | None:
    """Take a waiting run for a worker; None when somebody else was faster."""
    taken = connection.execute(
        sa.update(runs)
        .where(runs.c.id == run_id, runs.c.state == RunState.QUEUED.value)
        .values(
            state=RunState.RUNNING.value,
            worker=worker,
            leased_until=leased_until,
            started_at=now,
            attempt=runs.c.attempt + 1,
        ),
    )
    return fetch(connection, run_id) if taken.rowcount else None


def beat(connection: sa.Connection, run_id: str, worker: str, values: Mapping[str, object]) -> bool | None:
    """Renew the lease of a running run and note its progress; gives whether to cancel it, or None when it was taken away."""
    kept = connection.execute(_held(run_id, worker).values(**values))
    if not kept.rowcount:
        return None
    return bool(connection.execute(sa.select(runs.c.cancel_requested).where(runs.c.id == run_id)).scalar_one())


def finish(connection: sa.Connection, run_id: str, worker: str, values: Mapping[str, object]) -> bool:
    """End a run that the worker still holds."""
    return connection.execute(_held(run_id, worker).values(worker="", leased_until=None, **values)).rowcount > 0


def cancel_queued(connection: sa.Connection, run_id: str, now: datetime) -> bool:
    """End a run that did not begin."""
    waiting = sa.update(runs).where(runs.c.id == run_id, runs.c.state == RunState.QUEUED.value)
    values: dict[str, Any] = {"state": RunState.CANCELLED.value, "ended_at": now, "cancel_requested": True}
    return connection.execute(waiting.values(**values)).rowcount > 0


def request_cancel(connection: sa.Connection, run_id: str) -> None:
    """Ask whoever does a run to stop."""
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(cancel_requested=True))


def list_running(connection: sa.Connection, limit: int) -> list[tuple[Run, str, datetime | None]]:
    """Every run that somebody says to do, with who that is and until when it promised to be heard of."""
    query = sa.select(runs).where(runs.c.state == RunState.RUNNING.value).order_by(runs.c.id).limit(limit)
    return [(_run_of(row), row["worker"], row["leased_until"]) for row in connection.execute(query).mappings()]


def delete_ended(connection: sa.Connection, before: datetime) -> int:
    """Forget runs that ended long ago."""
    return connection.execute(sa.delete(runs).where(runs.c.ended_at < before)).rowcount


def _held(run_id: str, worker: str) -> sa.Update:
    return sa.update(runs).where(runs.c.id == run_id, runs.c.state == RunState.RUNNING.value, runs.c.worker == worker)


def _run_of(row: sa.RowMapping) -> Run:
    return Run(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        state=RunState(row["state"]),
        owner=row["owner"],
        owner_id=row["owner_id"],
        securable_id=row["securable_id"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        progress_done=row["progress_done"],
        progress_total=row["progress_total"],
        message=row["message"],
        error=row["error"],
        error_code=row["error_code"],
        attempt=row["attempt"],
        cancel_requested=row["cancel_requested"],
        payload=row["payload"],
        result=row["result"],
    )
