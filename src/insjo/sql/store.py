"""All SQL on the rows that the SQL room keeps in the metadata database: warehouses, history, functions, files that were copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from insjo.access.types import Label
from insjo.kernel.database import UtcDateTime, metadata
from insjo.sql.types import HistoryEntry, HistoryFilter, StatementState, Warehouse, WarehouseEngine, WarehouseState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

_ID = sa.String(64)
_NAME = sa.String(255)
_IN_MAX = 500
"""Values that one IN may hold; SQLite's limit is higher, PostgreSQL's parser slower."""

warehouses: Final = sa.Table(
    "sql_warehouses",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("name", _NAME, nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("size", sa.String(32), nullable=False),
    sa.Column("auto_stop_mins", sa.Integer, nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("engine", sa.String(16), nullable=False, server_default="duckdb"),
    sa.Column("url", sa.Text, nullable=False, server_default=""),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", _NAME, nullable=False),
)

history: Final = sa.Table(
    "sql_history",
    metadata,
    sa.Column("statement_id", _ID, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("error_code", sa.String(128), nullable=False),
    sa.Column("error_message", sa.Text, nullable=False),
    sa.Column("user_id", _ID, nullable=False),
    sa.Column("user_name", _NAME, nullable=False),
    sa.Column("on_behalf_of", _NAME, nullable=False),
    sa.Column("door", sa.String(32), nullable=False),
    sa.Column("warehouse_id", _ID, nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("origins", sa.JSON, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("byte_count", sa.BigInteger, nullable=False),
    sa.Column("duration_ms", sa.BigInteger, nullable=False),
    sa.Column("queued_ms", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime, nullable=False),
    sa.Index("ix_sql_history_user_id_statement_id", "user_id", "statement_id"),
)

functions: Final = sa.Table(
    "sql_functions",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("full_name", sa.String(800), nullable=False, unique=True),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("returns", sa.Text, nullable=False),
    sa.Column("returns_columns", sa.JSON, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", _NAME, nullable=False),
)

copied_files: Final = sa.Table(
    "sql_copied_files",
    metadata,
    sa.Column("table_id", _ID, primary_key=True),
    sa.Column("path_hash", sa.String(64), primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("modified_at", UtcDateTime, nullable=False),
    sa.Column("copy_id", _ID, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("confirmed", sa.Boolean, nullable=False),
)


# ------------------------------------------------------------------------------------------------------------------ warehouses


def insert_warehouse(connection: sa.Connection, warehouse: Warehouse) -> None:
    """New row."""
    connection.execute(
        warehouses.insert().values(
            id=warehouse.id,
            name=warehouse.name,
            state=warehouse.state.value,
            size=warehouse.size,
            auto_stop_mins=warehouse.auto_stop_mins,
            is_default=warehouse.is_default,
            engine=warehouse.engine.value,
            url=warehouse.url,
            created_at=warehouse.created_at,
            created_by=warehouse.created_by,
        ),
    )


def update_warehouse(connection: sa.Connection, warehouse_id: str, values: Mapping[str, object]) -> None:
    """Change columns."""
    if values:
        connection.execute(warehouses.update().where(warehouses.c.id == warehouse_id).values(**values))


def delete_warehouse(connection: sa.Connection, warehouse_id: str) -> None:
    """Remove the row."""
    connection.execute(warehouses.delete().where(warehouses.c.id == warehouse_id))


def fetch_warehouse(connection: sa.Connection, warehouse_id: str) -> sa.RowMapping | None:
    """One row."""
    return connection.execute(sa.select(warehouses).where(warehouses.c.id == warehouse_id)).mappings().first()


def fetch_default_warehouse(connection: sa.Connection) -> sa.RowMapping | None:
    """The row of the default warehouse."""
    return connection.execute(sa.select(warehouses).where(warehouses.c.is_default).order_by(warehouses.c.id).limit(1)).mappings().first()


def fetch_warehouses(connection: sa.Connection, visible: sa.Select[tuple[str]], limit: int) -> Sequence[sa.RowMapping]:
    """Rows that the caller may see, by name."""
    query = sa.select(warehouses).where(warehouses.c.id.in_(visible)).order_by(warehouses.c.name).limit(limit)
    return connection.execute(query).mappings().all()


def warehouse_of(row: sa.RowMapping, owner: str) -> Warehouse:
    """Warehouse from its row."""
    return Warehouse(
        id=row["id"],
        name=row["name"],
        state=WarehouseState(row["state"]),
        size=row["size"],
        auto_stop_mins=row["auto_stop_mins"],
        owner=owner,
        created_at=row["created_at"],
        created_by=row["created_by"],
        is_default=row["is_default"],
        engine=WarehouseEngine(row["engine"]),
        url=row["url"],
    )


# --------------------------------------------------------------------------------------------------------------------- history


def insert_history(connection: sa.Connection, entries: Iterable[HistoryEntry]) -> None:
    """New rows; statements that ended."""
    rows = [
        {
            "statement_id": entry.statement_id,
            "text": entry.text,
            "kind": entry.kind,
            "state": entry.state.value,
            "error_code": entry.error_code,
            "error_message": entry.error_message,
            "user_id": entry.user_id,
            "user_name": entry.user_name,
            "on_behalf_of": entry.on_behalf_of,
            "door": entry.door,
            "warehouse_id": entry.warehouse_id,
            "label": entry.label.as_json(),
            "origins": list(entry.origins),
            "row_count": entry.row_count,
            "byte_count": entry.byte_count,
            "duration_ms": entry.duration_ms,
            "queued_ms": entry.queued_ms,
            "created_at": entry.created_at,
            "ended_at": entry.ended_at,
        }
        for entry in entries
    ]
    if rows:
        connection.execute(history.insert(), rows)


def fetch_history(connection: sa.Connection, wanted: HistoryFilter, before: str, limit: int) -> list[HistoryEntry]:
    """Rows that fit, the newest first; identifiers sort by time."""
    query = sa.select(history).order_by(history.c.statement_id.desc()).limit(limit)
    if before:
        query = query.where(history.c.statement_id < before)
    if wanted.user_ids:
        query = query.where(history.c.user_id.in_(wanted.user_ids[:_IN_MAX]))
    if wanted.without_doors:
        query = query.where(history.c.door.not_in(wanted.without_doors[:_IN_MAX]))
    if wanted.states:
        query = query.where(history.c.state.in_([state.value for state in wanted.states]))
    if wanted.warehouse_ids:
        query = query.where(history.c.warehouse_id.in_(wanted.warehouse_ids[:_IN_MAX]))
    if wanted.statement_ids:
        query = query.where(history.c.statement_id.in_(wanted.statement_ids[:_IN_MAX]))
    if wanted.text_contains:
        query = query.where(history.c.text.icontains(wanted.text_contains, autoescape=True))
    if wanted.since is not None:
        query = query.where(history.c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(history.c.created_at < wanted.until)
    return [_history_of(row) for row in connection.execute(query).mappings()]


def delete_history(connection: sa.Connection, before: datetime, limit: int) -> int:
    """Remove rows older than this; how many."""
    old = sa.select(history.c.statement_id).where(history.c.created_at < before).limit(limit)
    return int(connection.execute(history.delete().where(history.c.statement_id.in_(old))).rowcount)


def _history_of(row: sa.RowMapping) -> HistoryEntry:
    return HistoryEntry(
        statement_id=row["statement_id"],
        text=row["text"],
        kind=row["kind"],
        state=StatementState(row["state"]),
        error_code=row["error_code"],
        error_message=row["error_message"],
        user_id=row["user_id"],
        user_name=row["user_name"],
        on_behalf_of=row["on_behalf_of"],
        door=row["door"],
        warehouse_id=row["warehouse_id"],
        label=Label.from_json(row["label"]),
        origins=tuple(row["origins"]),
        row_count=row["row_count"],
        byte_count=row["byte_count"],
        duration_ms=row["duration_ms"],
        queued_ms=row["queued_ms"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


# ------------------------------------------------------------------------------------------------------------------- functions


def put_function(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """New row in place of one of the same name."""
    connection.execute(functions.delete().where(functions.c.full_name == values["full_name"]))
    connection.execute(functions.insert().values(**values))


def fetch_function(connection: sa.Connection, securable_id: str) -> sa.RowMapping | None:
    """One row."""
    return connection.execute(sa.select(functions).where(functions.c.id == securable_id)).mappings().first()


def fetch_functions(connection: sa.Connection, visible: sa.Select[tuple[str]], beginning: str, limit: int) -> Sequence[sa.RowMapping]:
    """Rows that the caller may see and whose name begins so, by name."""
    query = sa.select(functions).where(functions.c.id.in_(visible)).order_by(functions.c.full_name).limit(limit)
    if beginning:
        query = query.where(functions.c.full_name.startswith(beginning, autoescape=True))
    return connection.execute(query).mappings().all()


def delete_function(connection: sa.Connection, securable_id: str) -> None:
    """Remove the row."""
    connection.execute(functions.delete().where(functions.c.id == securable_id))


# ---------------------------------------------------------------------------------------------------------------- copied files


def fetch_copied(connection: sa.Connection, table_id: str, hashes: Sequence[str]) -> list[sa.RowMapping]:
    """Rows of those files that were copied, or were about to be."""
    found: list[sa.RowMapping] = []
    for start in range(0, len(hashes), _IN_MAX):
        part = hashes[start : start + _IN_MAX]
        query = sa.select(copied_files).where(copied_files.c.table_id == table_id, copied_files.c.path_hash.in_(part))
        found.extend(connection.execute(query).mappings())
    return found


def put_copied(connection: sa.Connection, table_id: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of files that are about to be committed, in place of older ones of the same paths."""
    hashes = [str(row["path_hash"]) for row in rows]
    for start in range(0, len(hashes), _IN_MAX):
        part = hashes[start : start + _IN_MAX]
        connection.execute(copied_files.delete().where(copied_files.c.table_id == table_id, copied_files.c.path_hash.in_(part)))
    if rows:
        connection.execute(copied_files.insert(), [{**row, "table_id": table_id} for row in rows])


def confirm_copied(connection: sa.Connection, table_id: str, copy_id: str, version: int) -> None:
    """The commit of a copy stands."""
    condition = sa.and_(copied_files.c.table_id == table_id, copied_files.c.copy_id == copy_id)
    connection.execute(copied_files.update().where(condition).values(confirmed=True, version=version))


def forget_copied(connection: sa.Connection, table_id: str, copy_id: str) -> None:
    """The commit of a copy does not stand."""
    connection.execute(copied_files.delete().where(copied_files.c.table_id == table_id, copied_files.c.copy_id == copy_id))
