"""Rows of the gateway in the metadata database: endpoints, sealed provider keys, usage."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from insjo.gateway.types import Limit, UsageRecord
from insjo.kernel.database import Database, UtcDateTime, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from insjo.kernel.paging import PageRequest

endpoints = sa.Table(
    "gateway_endpoints",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("task", sa.String(32), nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("policy", sa.JSON, nullable=False),
    sa.Column("served", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("updated_by", sa.String(255), nullable=False),
)

keys = sa.Table(
    "gateway_keys",
    metadata,
    sa.Column("endpoint_id", sa.String(64), sa.ForeignKey("gateway_endpoints.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("served_name", sa.String(255), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

usage = sa.Table(
    "gateway_usage",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("principal_id", sa.String(64), nullable=False, index=True),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("on_behalf_of", sa.String(255), nullable=False),
    sa.Column("door", sa.String(32), nullable=False),
    sa.Column("endpoint_id", sa.String(64), nullable=False),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("served_by", sa.String(255), nullable=False),
    sa.Column("served_model", sa.String(255), nullable=False),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("task", sa.String(32), nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("error_code", sa.String(64), nullable=False),
    sa.Column("label", sa.String(1024), nullable=False),
    sa.Column("streamed", sa.Boolean, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("estimated", sa.Boolean, nullable=False),
    sa.Column("cost", sa.Float, nullable=True),
    sa.Column("currency", sa.String(8), nullable=False),
    sa.Column("first_byte_ms", sa.Float, nullable=False),
    sa.Column("duration_ms", sa.Float, nullable=False),
)

limits = sa.Table(
    "gateway_limits",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(16), nullable=False),
    sa.Column("principal_id", sa.String(64), nullable=False),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("level", sa.String(16), nullable=False),
    sa.Column("measure", sa.String(16), nullable=False),
    sa.Column("period", sa.String(16), nullable=False),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
)

limit_windows = sa.Table(
    "gateway_limit_windows",
    metadata,
    sa.Column("limit_id", sa.String(64), sa.ForeignKey("gateway_limits.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("subject_id", sa.String(64), primary_key=True),
    sa.Column("begins_s", sa.BigInteger, primary_key=True),
    sa.Column("taken", sa.BigInteger, nullable=False),
)

responses = sa.Table(
    "gateway_responses",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("principal_id", sa.String(64), nullable=False, index=True),
    sa.Column("previous_id", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
    sa.Column("response", sa.LargeBinary, nullable=False),
    sa.Column("items", sa.LargeBinary, nullable=False),
    sa.Column("provenance", sa.LargeBinary, nullable=False),
)

FETCH_ROWS = 1000
DatabaseAway = SQLAlchemyError
"""What a service catches when the metadata database takes or gives no rows."""

DAY_US = 86_400_000_000
_AT = UtcDateTime()
_NO_DIALECT = sqlite.dialect()


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One endpoint as it is stored."""

    id: str
    name: str
    task: str
    comment: str
    policy: Mapping[str, Any]
    served: Sequence[Mapping[str, Any]]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


class EndpointStore:
    """Endpoints and their sealed keys."""

    def __init__(self, database: Database) -> None:
        """Work on this database."""
        self._database = database

    def fetch_all(self) -> list[EndpointRow]:
        """All endpoints by name; there are at most as many as an admin makes by hand."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(endpoints).order_by(endpoints.c.name)).mappings().all()
        return [EndpointRow(**row) for row in rows]

    def fetch(self, endpoint_id: str) -> EndpointRow | None:
        """One endpoint."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(endpoints).where(endpoints.c.id == endpoint_id)).mappings().one_or_none()
        return EndpointRow(**row) if row else None

    def fetch_keys(self) -> dict[tuple[str, str], bytes]:
        """Sealed keys by endpoint and served model."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(keys)).all()
        return {(row.endpoint_id, row.served_name): row.sealed for row in rows}

    @staticmethod
    def insert(connection: sa.Connection, row: EndpointRow) -> None:
        """Add an endpoint."""
        connection.execute(sa.insert(endpoints).values(**_values(row)))

    @staticmethod
    def update(connection: sa.Connection, row: EndpointRow) -> None:
        """Replace an endpoint's row."""
        connection.execute(sa.update(endpoints).where(endpoints.c.id == row.id).values(**_values(row)))

    @staticmethod
    def delete(connection: sa.Connection, endpoint_id: str) -> None:
        """Remove an endpoint and its keys."""
        connection.execute(sa.delete(keys).where(keys.c.endpoint_id == endpoint_id))
        connection.execute(sa.delete(endpoints).where(endpoints.c.id == endpoint_id))

    @staticmethod
    def put_key(connection: sa.Connection, endpoint_id: str, served_name: str, sealed: bytes) -> None:
        """Store a sealed key in place of the one before."""
        EndpointStore.delete_key(connection, endpoint_id, served_name)
        connection.execute(sa.insert(keys).values(endpoint_id=endpoint_id, served_name=served_name, sealed=sealed))

    @staticmethod
    def delete_key(connection: sa.Connection, endpoint_id: str, served_name: str) -> None:
        """Remove a key."""
        connection.execute(sa.delete(keys).where(keys.c.endpoint_id == endpoint_id, keys.c.served_name == served_name))


def _values(row: EndpointRow) -> dict[str, object]:
    return {each.name: getattr(row, each.name) for each in fields(EndpointRow)}


@dataclass(frozen=True, slots=True)
class UsageScope:
    """Which usage rows somebody may see: all, or their own and those of the endpoints that they manage."""

    everything: bool
    principal_id: str
    principal: str
    managed: sa.Select[Any] | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        """The scope as a condition."""
        if self.everything:
            return sa.true()
        own = [usage.c.principal_id == self.principal_id, usage.c.on_behalf_of == self.principal]
        if self.managed is not None:
            own.append(usage.c.endpoint_id.in_(self.managed))
        return sa.or_(*own)


UsageGroup = Literal["endpoint", "principal", "model", "day", "door", "status"]


class UsageStore:
    """Usage rows; they are only added and read."""

    def __init__(self, database: Database) -> None:
        """Work on this database."""
        self._database = database

    def insert_new(self, records: Sequence[UsageRecord]) -> None:
        """Add rows; those that are there already (a journal that is read twice) are left alone.

        Written as SQL text, which both databases understand alike: it takes a third of the time of the expression language, and
        there is one row for every request to a model.
        """
        if not records:
            return
        mark = "?" if self._database.is_sqlite else "%s"
        columns = ", ".join(f'"{name}"' for name in UsageRecord._fields)
        marks = ", ".join([mark] * len(UsageRecord._fields))
        statement = f"INSERT INTO {usage.name} ({columns}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"  # noqa: S608  # Own names only.
        rows = [(each.id, _AT.process_bind_param(each.at, _NO_DIALECT), *each[2:]) for each in records]
        with self._database.write() as connection:
            connection.exec_driver_sql(statement, rows)

    def fetch_page(self, scope: UsageScope, page: PageRequest, endpoint: str = "", request_id: str = "") -> list[UsageRecord]:
        """Newest first, one more than the page holds."""
        query = sa.select(usage).where(scope.condition()).order_by(usage.c.id.desc()).limit(page.size + 1)
        if page.after():
            query = query.where(usage.c.id < page.after())
        if endpoint:
            query = query.where(usage.c.endpoint == endpoint)
        if request_id:
            query = query.where(usage.c.request_id == request_id)
        with self._database.read() as connection:
            return [UsageRecord(**row) for row in connection.execute(query).mappings()]

    def fetch_rows(self, scope: UsageScope, rows_max: int) -> Iterator[dict[str, object]]:
        """The newest rows as dicts, newest first."""
        query = sa.select(usage).where(scope.condition()).order_by(usage.c.id.desc()).limit(rows_max)
        with self._database.read() as connection:
            result = connection.execution_options(yield_per=FETCH_ROWS).execute(query)
            for row in result.mappings():
                yield dict(row)

    def fetch_groups(self, scope: UsageScope, group: UsageGroup, since: datetime | None, until: datetime | None) -> list[dict[str, Any]]:
        """Sums by group, the busiest first, at most a thousand."""
        key = sa.type_coerce(usage.c.at, sa.BigInteger) // DAY_US if group == "day" else usage.c[group]
        query = (
            sa.select(
                key.label("key"),
                sa.func.count().label("requests"),
                sa.func.sum(usage.c.input_tokens).label("input_tokens"),
                sa.func.sum(usage.c.output_tokens).label("output_tokens"),
                sa.func.sum(usage.c.cost).label("cost"),
                sa.func.sum(sa.case((usage.c.status == "error", 1), else_=0)).label("errors"),
                sa.func.sum(sa.case((usage.c.outcome == "rerouted", 1), else_=0)).label("rerouted"),
                sa.func.sum(sa.case((usage.c.status == "blocked", 1), else_=0)).label("blocked"),
                sa.func.avg(usage.c.duration_ms).label("duration_ms"),
            )
            .where(scope.condition())
            .group_by(key)
            .order_by(sa.desc("requests"))
            .limit(FETCH_ROWS)
        )
        if since is not None:
            query = query.where(usage.c.at >= since)
        if until is not None:
            query = query.where(usage.c.at < until)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def fetch_decisions(self, endpoint_id: str, since: datetime, limit: int) -> list[tuple[str, str, str, int, int]]:
        """Caller, label and outcome of the requests of an endpoint, with their number and tokens, the most frequent first."""
        keys = (usage.c.principal, usage.c.label, usage.c.outcome)
        count = sa.func.count()
        query = (
            sa.select(*keys, count, sa.func.sum(usage.c.input_tokens + usage.c.output_tokens))
            .where(usage.c.endpoint_id == endpoint_id, usage.c.at >= since, usage.c.label != "")
            .group_by(*keys)
            .order_by(sa.desc(count), *keys)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], int(row[3]), int(row[4] or 0)) for row in connection.execute(query)]

    def fetch_latest(self, endpoint_id: str, since: datetime, kinds: Sequence[tuple[str, str, str]], limit: int) -> list[UsageRecord]:
        """The newest requests of an endpoint of one of these kinds (caller, label, outcome)."""
        wanted = [sa.and_(usage.c.principal == who, usage.c.label == label, usage.c.outcome == way) for who, label, way in kinds]
        query = sa.select(usage).where(usage.c.endpoint_id == endpoint_id, usage.c.at >= since, sa.or_(*wanted))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(usage.c.id.desc()).limit(limit)).mappings()
            return [UsageRecord(**row) for row in rows]


class LimitStore:
    """Limits, and what is taken of each in each window.  One row of the database decides for all servers."""

    def __init__(self, database: Database) -> None:
        """Work on this database."""
        self._database = database

    def fetch_all(self, limit: int) -> list[Limit]:
        """Limits in the order in which they were made."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(limits).order_by(limits.c.id).limit(limit)).mappings().all()
        return [Limit(**row) for row in rows]

    @staticmethod
    def insert(connection: sa.Connection, limit: Limit) -> None:
        """Add a limit."""
        connection.execute(sa.insert(limits).values(**{each.name: getattr(limit, each.name) for each in fields(Limit)}))

    @staticmethod
    def delete(connection: sa.Connection, limit_id: str) -> bool:
        """Remove a limit and what was taken of it; tells whether it was there."""
        connection.execute(sa.delete(limit_windows).where(limit_windows.c.limit_id == limit_id))
        return connection.execute(sa.delete(limits).where(limits.c.id == limit_id)).rowcount > 0

    @staticmethod
    def delete_of(connection: sa.Connection, endpoint: str) -> None:
        """Remove the limits of one endpoint, so that a later one of its name does not inherit them."""
        gone = sa.select(limits.c.id).where(limits.c.endpoint == endpoint)
        connection.execute(sa.delete(limit_windows).where(limit_windows.c.limit_id.in_(gone)))
        connection.execute(sa.delete(limits).where(limits.c.endpoint == endpoint))

    def take(self, key: tuple[str, str, int], least: int, most: int, units: int | None) -> int:
        """Take at least `least` and at most `most` of a window that holds `units` (None: without an end); 0 when it holds too little.

        The update is its own check, so that however many servers ask at once no unit is given twice.
        """
        with self._database.write() as connection:
            limit_id, subject_id, begins_s = key
            if connection.execute(sa.select(limits.c.id).where(limits.c.id == limit_id)).scalar_one_or_none() is None:
                return most  # The limit was removed a moment ago.
            mine = sa.and_(
                limit_windows.c.limit_id == limit_id, limit_windows.c.subject_id == subject_id, limit_windows.c.begins_s == begins_s
            )
            known = connection.execute(sa.select(limit_windows.c.taken).where(mine).with_for_update()).scalar_one_or_none()
            given = most if units is None else min(most, units - (known or 0))
            if given < least:
                return 0
            if known is None:
                self._begin(connection, key)
            change = sa.update(limit_windows).where(mine).values(taken=limit_windows.c.taken + given)
            if units is not None:
                change = change.where(limit_windows.c.taken + given <= units)
            return given if connection.execute(change).rowcount else 0

    def give_back(self, key: tuple[str, str, int], units: int) -> None:
        """Return what was taken and not used; a negative number adds what was used beyond it."""
        limit_id, subject_id, begins_s = key
        with self._database.write() as connection:
            connection.execute(
                sa.update(limit_windows)
                .where(limit_windows.c.limit_id == limit_id, limit_windows.c.subject_id == subject_id, limit_windows.c.begins_s == begins_s)
                .values(taken=limit_windows.c.taken - units)
            )

    def fetch_taken(self, begins_s: Sequence[int], limit: int) -> dict[tuple[str, str, int], int]:
        """What is taken in windows that began at these moments."""
        query = sa.select(limit_windows).where(limit_windows.c.begins_s.in_(begins_s)).order_by(limit_windows.c.taken.desc()).limit(limit)
        with self._database.read() as connection:
            return {(row.limit_id, row.subject_id, row.begins_s): row.taken for row in connection.execute(query)}

    def prune(self, before_s: int) -> None:
        """Drop windows that began before a moment."""
        with self._database.write() as connection:
            connection.execute(sa.delete(limit_windows).where(limit_windows.c.begins_s < before_s))

    @staticmethod
    def _begin(connection: sa.Connection, key: tuple[str, str, int]) -> None:
        """An empty window, unless another server began it in this moment."""
        text = (
            f"INSERT INTO {limit_windows.name} (limit_id, subject_id, begins_s, taken) "  # noqa: S608  # Own names only.
            "VALUES (:limit_id, :subject_id, :begins_s, 0) ON CONFLICT (limit_id, subject_id, begins_s) DO NOTHING"
        )
        connection.execute(sa.text(text), {"limit_id": key[0], "subject_id": key[1], "begins_s": key[2]})


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response that can be gone on from: JSON of the answer, of the items that were given, and of their label with its origins."""

    id: str
    principal_id: str
    previous_id: str
    created_at: datetime
    response: bytes
    items: bytes
    provenance: bytes


class ResponseStore:
    """Stored responses."""

    def __init__(self, database: Database) -> None:
        """Work on this database."""
        self._database = database

    def insert(self, stored: StoredResponse, keep_from: datetime, most: int) -> None:
        """Add a response; what is older than `keep_from`, and what its owner has beyond `most`, makes room."""
        mine = responses.c.principal_id == stored.principal_id
        with self._database.write() as connection:
            connection.execute(sa.insert(responses).values(**{each.name: getattr(stored, each.name) for each in fields(StoredResponse)}))
            connection.execute(sa.delete(responses).where(responses.c.created_at < keep_from))
            edge = sa.select(responses.c.created_at).where(mine).order_by(responses.c.created_at.desc()).offset(most).limit(1)
            oldest = connection.execute(edge).scalar_one_or_none()
            if oldest is not None:
                connection.execute(sa.delete(responses).where(mine, responses.c.created_at <= oldest))

    def fetch(self, response_id: str) -> StoredResponse | None:
        """One stored response."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(responses).where(responses.c.id == response_id)).mappings().one_or_none()
        return StoredResponse(**row) if row else None

    def delete(self, response_id: str) -> None:
        """Remove one."""
        with self._database.write() as connection:
            connection.execute(sa.delete(responses).where(responses.c.id == response_id))
