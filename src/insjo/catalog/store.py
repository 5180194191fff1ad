"""All SQL on the catalog's rows in the metadata database.

The identifier of a row is that of its securable, so that a list is filtered by joining what the caller may see.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from insjo.catalog.types import Column, Identity, Key
from insjo.kernel.database import UtcDateTime, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Visible = sa.Select[tuple[str]]
    """Identifiers of what the caller may see; made by `Authority.visible`."""

_ID = sa.String(64)
_NAME = sa.String(255)


def _stamps() -> tuple[sa.Column[Any], ...]:
    """Who made the row and who changed it last, and when."""
    return (
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", _NAME, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", _NAME, nullable=False),
    )


catalogs: Final = sa.Table(
    "catalog_catalogs",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("name", _NAME, nullable=False, unique=True),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    *_stamps(),
)

schemas: Final = sa.Table(
    "catalog_schemas",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("catalog_id", _ID, sa.ForeignKey("catalog_catalogs.id"), nullable=False),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    *_stamps(),
    sa.UniqueConstraint("catalog_id", "name"),
)

tables: Final = sa.Table(
    "catalog_tables",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("schema_id", _ID, sa.ForeignKey("catalog_schemas.id"), nullable=False),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("table_type", sa.String(16), nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("partition_columns", sa.JSON, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("view_definition", sa.Text, nullable=False),
    sa.Column("view_catalog", _NAME, nullable=False),
    sa.Column("view_schema", _NAME, nullable=False),
    sa.Column("keys", sa.JSON, nullable=False, server_default="[]"),
    *_stamps(),
    sa.UniqueConstraint("schema_id", "name"),
)

volumes: Final = sa.Table(
    "catalog_volumes",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("schema_id", _ID, sa.ForeignKey("catalog_schemas.id"), nullable=False),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("volume_type", sa.String(16), nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    *_stamps(),
    sa.UniqueConstraint("schema_id", "name"),
)

# The path is hashed because it may be longer than what a database can index.
file_labels: Final = sa.Table(
    "catalog_file_labels",
    metadata,
    sa.Column("volume_id", _ID, sa.ForeignKey("catalog_volumes.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("path_hash", sa.String(64), primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("changed_by", _NAME, nullable=False),
)

models: Final = sa.Table(
    "catalog_models",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("schema_id", _ID, sa.ForeignKey("catalog_schemas.id"), nullable=False),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("last_version", sa.Integer, nullable=False),
    *_stamps(),
    sa.UniqueConstraint("schema_id", "name"),
)

model_versions: Final = sa.Table(
    "catalog_model_versions",
    metadata,
    sa.Column("model_id", _ID, sa.ForeignKey("catalog_models.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("run_id", _NAME, nullable=False),
    sa.Column("logged_model_id", _NAME, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    *_stamps(),
)

model_aliases: Final = sa.Table(
    "catalog_model_aliases",
    metadata,
    sa.Column("model_id", _ID, sa.ForeignKey("catalog_models.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("alias", _NAME, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)

# A dropped table or volume leaves a row here in the transaction that drops it; the folder is deleted afterwards, and a start of the
# server deletes what a killed one did not get to.
removals: Final = sa.Table(
    "catalog_removals",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("removed_at", UtcDateTime, nullable=False),
)

# A dropped table that can be brought back; its securable stays, out of sight, with the same identifier.
dropped_tables: Final = sa.Table(
    "catalog_dropped_tables",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("schema_id", _ID, sa.ForeignKey("catalog_schemas.id"), nullable=False, index=True),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("kept", sa.JSON, nullable=False),
    sa.Column("dropped_at", UtcDateTime, nullable=False, index=True),
    sa.Column("dropped_by", _NAME, nullable=False),
)

_TABLE_ROWS: Final = (
    sa.select(tables, catalogs.c.name.label("catalog_name"), schemas.c.name.label("schema_name"))
    .join_from(tables, schemas, schemas.c.id == tables.c.schema_id)
    .join(catalogs, catalogs.c.id == schemas.c.catalog_id)
)
_VOLUME_ROWS: Final = (
    sa.select(volumes, catalogs.c.name.label("catalog_name"), schemas.c.name.label("schema_name"))
    .join_from(volumes, schemas, schemas.c.id == volumes.c.schema_id)
    .join(catalogs, catalogs.c.id == schemas.c.catalog_id)
)
_MODEL_ROWS: Final = (
    sa.select(models, catalogs.c.name.label("catalog_name"), schemas.c.name.label("schema_name"))
    .join_from(models, schemas, schemas.c.id == models.c.schema_id)
    .join(catalogs, catalogs.c.id == schemas.c.catalog_id)
)
_SCHEMA_ROWS: Final = sa.select(schemas, catalogs.c.name.label("catalog_name")).join_from(
    schemas, catalogs, catalogs.c.id == schemas.c.catalog_id
)

_NAMED_TABLES: Final = _TABLE_ROWS.where(
    catalogs.c.name.in_(sa.bindparam("catalogs", expanding=True)),
    schemas.c.name.in_(sa.bindparam("schemas", expanding=True)),
    tables.c.name.in_(sa.bindparam("tables", expanding=True)),
)

Row = sa.RowMapping


def insert(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> None:
    """New row."""
    connection.execute(sa.insert(table).values(**values))


def update(connection: sa.Connection, table: sa.Table, row_id: str, values: Mapping[str, object]) -> None:
    """Change a row."""
    connection.execute(sa.update(table).where(table.c.id == row_id).values(**values))


def delete(connection: sa.Connection, table: sa.Table, row_id: str) -> None:
    """Remove a row."""
    connection.execute(sa.delete(table).where(table.c.id == row_id))


def fetch_catalog(connection: sa.Connection, row_id: str) -> Row | None:
    """Catalog by identifier."""
    return connection.execute(sa.select(catalogs).where(catalogs.c.id == row_id)).mappings().first()


def fetch_schema(connection: sa.Connection, row_id: str) -> Row | None:
    """Schema by identifier, with the name of its catalog."""
    return connection.execute(_SCHEMA_ROWS.where(schemas.c.id == row_id)).mappings().first()


def fetch_table(connection: sa.Connection, row_id: str) -> Row | None:
    """Table by identifier, with the names above it."""
    return connection.execute(_TABLE_ROWS.where(tables.c.id == row_id)).mappings().first()


def fetch_volume(connection: sa.Connection, row_id: str) -> Row | None:
    """Volume by identifier, with the names above it."""
    return connection.execute(_VOLUME_ROWS.where(volumes.c.id == row_id)).mappings().first()


def find_tables(connection: sa.Connection, names: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], Row]:
    """Tables by name in one query; those that do not exist are missing."""
    wanted = set(names)
    if not wanted:
        return {}
    parts = [sorted(set(each)) for each in zip(*wanted, strict=True)]
    parameters = dict(zip(("catalogs", "schemas", "tables"), parts, strict=True))
    found = {
        (row["catalog_name"], row["schema_name"], row["name"]): row for row in connection.execute(_NAMED_TABLES, parameters).mappings()
    }
    # The query finds every combination of the names; only those asked for are given.
    return {name: row for name, row in found.items() if name in wanted}


def list_catalogs(connection: sa.Connection, visible: Visible, after: str, limit: int) -> Sequence[Row]:
    """Visible catalogs by name."""
    query = sa.select(catalogs).where(catalogs.c.id.in_(visible), catalogs.c.name > after)
    return connection.execute(query.order_by(catalogs.c.name).limit(limit)).mappings().all()


def list_schemas(connection: sa.Connection, visible: Visible, catalog_id: str, after: str, limit: int) -> Sequence[Row]:
    """Visible schemas of a catalog by name."""
    query = _SCHEMA_ROWS.where(schemas.c.id.in_(visible), schemas.c.catalog_id == catalog_id, schemas.c.name > after)
    return connection.execute(query.order_by(schemas.c.name).limit(limit)).mappings().all()


def list_tables(connection: sa.Connection, visible: Visible, schema_id: str, after: str, limit: int) -> Sequence[Row]:
    """Visible tables and views of a schema by name."""
    query = _TABLE_ROWS.where(tables.c.id.in_(visible), tables.c.schema_id == schema_id, tables.c.name > after)
    return connection.execute(query.order_by(tables.c.name).limit(limit)).mappings().all()


def list_volumes(connection: sa.Connection, visible: Visible, schema_id: str, after: str, limit: int) -> Sequence[Row]:
    """Visible volumes of a schema by name."""
    query = _VOLUME_ROWS.where(volumes.c.id.in_(visible), volumes.c.schema_id == schema_id, volumes.c.name > after)
    return connection.execute(query.order_by(volumes.c.name).limit(limit)).mappings().all()


def survey_schemas(connection: sa.Connection, visible: Visible, catalog_name: str, limit: int) -> Sequence[Row]:
    """Visible schemas of one catalog, or of all when no name is given."""
    query = _SCHEMA_ROWS.where(schemas.c.id.in_(visible))
    if catalog_name:
        query = query.where(catalogs.c.name == catalog_name)
    return connection.execute(query.order_by(catalogs.c.name, schemas.c.name).limit(limit)).mappings().all()


def survey_tables(connection: sa.Connection, visible: Visible, catalog_name: str, schema_name: str, limit: int) -> Sequence[Row]:
    """Visible tables and views of one catalog and schema, or of all of them for empty names."""
    query = _within(_TABLE_ROWS.where(tables.c.id.in_(visible)), catalog_name, schema_name)
    return connection.execute(query.order_by(catalogs.c.name, schemas.c.name, tables.c.name).limit(limit)).mappings().all()


def fetch_visible_tables(connection: sa.Connection, visible: Visible, ids: Iterable[str]) -> Sequence[Row]:
    """Rows of those tables among some that the caller may see."""
    return connection.execute(_TABLE_ROWS.where(tables.c.id.in_(list(ids)), tables.c.id.in_(visible))).mappings().all()


def survey_volumes(connection: sa.Connection, visible: Visible, catalog_name: str, schema_name: str, limit: int) -> Sequence[Row]:
    """Visible volumes of one catalog and schema, or of all of them for empty names."""
    query = _within(_VOLUME_ROWS.where(volumes.c.id.in_(visible)), catalog_name, schema_name)
    return connection.execute(query.order_by(catalogs.c.name, schemas.c.name, volumes.c.name).limit(limit)).mappings().all()


def _within(query: sa.Select[Any], catalog_name: str, schema_name: str) -> sa.Select[Any]:
    if catalog_name:
        query = query.where(catalogs.c.name == catalog_name)
    if schema_name:
        query = query.where(schemas.c.name == schema_name)
    return query


def ids_of_schemas(connection: sa.Connection, catalog_id: str) -> list[tuple[str, str]]:
    """Identifier and name of every schema of a catalog, whoever may see it."""
    rows = connection.execute(sa.select(schemas.c.id, schemas.c.name).where(schemas.c.catalog_id == catalog_id).order_by(schemas.c.name))
    return [(row.id, row.name) for row in rows]


def contents_of_schema(connection: sa.Connection, schema_id: str) -> tuple[list[Row], list[Row]]:
    """Every table and every volume of a schema, whoever may see it."""
    inside = connection.execute(_TABLE_ROWS.where(tables.c.schema_id == schema_id).order_by(tables.c.name)).mappings().all()
    folders = connection.execute(_VOLUME_ROWS.where(volumes.c.schema_id == schema_id).order_by(volumes.c.name)).mappings().all()
    return list(inside), list(folders)


def find_volume_at(connection: sa.Connection, location: str) -> str | None:
    """Identifier of the volume whose folder this is."""
    return connection.execute(sa.select(volumes.c.id).where(volumes.c.location == location)).scalar_one_or_none()


def all_locations(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    """Location by identifier of every table or volume that has one."""
    rows = connection.execute(sa.select(table.c.id, table.c.location).where(table.c.location != ""))
    return {row.id: row.location for row in rows}


def columns_to_json(columns: Iterable[Column]) -> list[list[object]]:
    """Columns as they are kept."""
    kept: list[list[object]] = []
    for each in columns:
        nature: dict[str, object] = {key: value for key, value in (("default", each.default), ("generated", each.generated)) if value}
        if each.identity is not None:
            nature["identity"] = [each.identity.start, each.identity.step, each.identity.explicit, each.identity.last]
        kept.append([each.name, each.type_text, each.nullable, each.comment, *([nature] if nature else [])])
    return kept


def columns_from_json(value: Sequence[Sequence[Any]]) -> tuple[Column, ...]:
    """Columns as they were kept."""
    found: list[Column] = []
    for position, each in enumerate(value):
        nature = each[4] if len(each) > 4 else {}  # noqa: PLR2004  # Name, type, NULL, comment; then what few columns have.
        identity = Identity(*nature["identity"]) if "identity" in nature else None
        default, generated = str(nature.get("default", "")), str(nature.get("generated", ""))
        found.append(Column(each[0], each[1], each[2], each[3], position, default, generated, identity))
    return tuple(found)


def keys_to_json(keys: Iterable[Key]) -> list[list[object]]:
    """Keys as they are kept."""
    return [[each.name, each.kind, list(each.columns), each.parent_id, list(each.parent_columns), each.rely] for each in keys]


def keys_from_json(value: Sequence[Sequence[Any]]) -> tuple[Key, ...]:
    """Keys as they were kept."""
    return tuple(Key(each[0], each[1], tuple(each[2]), each[3], tuple(each[4]), each[5]) for each in value)


def insert_removal(connection: sa.Connection, row_id: str, kind: str, location: str, now: datetime) -> None:
    """Remember that a folder has to be deleted."""
    connection.execute(sa.insert(removals).values(id=row_id, kind=kind, location=location, removed_at=now))


def delete_removal(connection: sa.Connection, row_id: str) -> None:
    """The folder is gone."""
    connection.execute(sa.delete(removals).where(removals.c.id == row_id))


def list_removals(connection: sa.Connection, limit: int) -> list[tuple[str, str, str]]:
    """Folders that have to be deleted: identifier, kind, location."""
    rows = connection.execute(sa.select(removals.c.id, removals.c.kind, removals.c.location).order_by(removals.c.id).limit(limit))
    return [(row.id, row.kind, row.location) for row in rows]


_MOMENTS: Final = ("created_at", "updated_at")


def set_table_aside(connection: sa.Connection, row: Row, now: datetime, by: str) -> None:
    """Keep the row of a table that is dropped among those that can be brought back."""
    kept = {key: row[key].isoformat() if key in _MOMENTS else row[key] for key in tables.c.keys()}  # noqa: SIM118  # Names, not columns.
    named = {"id": row["id"], "schema_id": row["schema_id"], "name": row["name"], "location": row["location"]}
    connection.execute(sa.insert(dropped_tables).values(**named, kept=kept, dropped_at=now, dropped_by=by))
    delete(connection, tables, row["id"])


def bring_table_back(connection: sa.Connection, dropped: Row) -> None:
    """Make a kept row a table again."""
    row = {key: datetime.fromisoformat(value) if key in _MOMENTS else value for key, value in dropped["kept"].items()}
    insert(connection, tables, row)
    delete(connection, dropped_tables, dropped["id"])


def list_dropped(
    connection: sa.Connection, visible: Visible, since: datetime, limit: int, *, schema_id: str = "", name: str = "", table_id: str = ""
) -> Sequence[Row]:
    """Visible tables that were dropped since a moment, the last one first: of one schema, name or identifier where that is not empty."""
    query = (
        sa.select(dropped_tables, catalogs.c.name.label("catalog_name"), schemas.c.name.label("schema_name"))
        .join_from(dropped_tables, schemas, schemas.c.id == dropped_tables.c.schema_id)
        .join(catalogs, catalogs.c.id == schemas.c.catalog_id)
        .where(dropped_tables.c.dropped_at >= since, dropped_tables.c.id.in_(visible))
    )
    for column, value in ((dropped_tables.c.schema_id, schema_id), (dropped_tables.c.name, name), (dropped_tables.c.id, table_id)):
        if value:
            query = query.where(column == value)
    return connection.execute(query.order_by(dropped_tables.c.dropped_at.desc(), dropped_tables.c.id).limit(limit)).mappings().all()


def list_expired(connection: sa.Connection, before: datetime, limit: int) -> Sequence[Row]:
    """Dropped tables whose time to be brought back is over."""
    query = sa.select(dropped_tables).where(dropped_tables.c.dropped_at < before).order_by(dropped_tables.c.dropped_at).limit(limit)
    return connection.execute(query).mappings().all()


def dropped_of_schema(connection: sa.Connection, schema_id: str) -> Sequence[Row]:
    """All dropped tables of a schema."""
    return connection.execute(sa.select(dropped_tables).where(dropped_tables.c.schema_id == schema_id)).mappings().all()


def put_file_label(
    connection: sa.Connection,
    key: tuple[str, str],
    path: str,
    label: Mapping[str, object],
    stamp: tuple[datetime, str],
) -> None:
    """Set the label of a path; `key` is the volume and the hash of the path."""
    delete_file_labels(connection, key[0], [key[1]])
    values = {"volume_id": key[0], "path_hash": key[1], "path": path, "label": dict(label), "changed_at": stamp[0], "changed_by": stamp[1]}
    connection.execute(sa.insert(file_labels).values(**values))


def delete_file_labels(connection: sa.Connection, volume_id: str, hashes: Iterable[str]) -> None:
    """Forget the labels of paths."""
    connection.execute(sa.delete(file_labels).where(file_labels.c.volume_id == volume_id, file_labels.c.path_hash.in_(list(hashes))))


def delete_file_labels_below(connection: sa.Connection, volume_id: str, path: str) -> None:
    """Forget the labels of a directory and of all that was in it."""
    below = sa.or_(file_labels.c.path == path, file_labels.c.path.startswith(path + "/", autoescape=True))
    connection.execute(sa.delete(file_labels).where(file_labels.c.volume_id == volume_id, below))


def fetch_file_labels(connection: sa.Connection, volume_id: str, limit: int) -> dict[str, Mapping[str, object]]:
    """Label by path of everything in a volume that has its own."""
    query = sa.select(file_labels.c.path, file_labels.c.label).where(file_labels.c.volume_id == volume_id).limit(limit)
    return {row.path: row.label for row in connection.execute(query)}


def fetch_labels_of_paths(connection: sa.Connection, volume_id: str, hashes: Iterable[str]) -> list[Mapping[str, object]]:
    """Labels of some paths of a volume."""
    query = sa.select(file_labels.c.label).where(file_labels.c.volume_id == volume_id, file_labels.c.path_hash.in_(list(hashes)))
    return list(connection.execute(query).scalars())


def fetch_model(connection: sa.Connection, row_id: str) -> Row | None:
    """Registered model by identifier, with the names above it."""
    return connection.execute(_MODEL_ROWS.where(models.c.id == row_id)).mappings().first()


def list_models(connection: sa.Connection, visible: Visible, within: tuple[str, str], after: tuple[str, ...], limit: int) -> Sequence[Row]:
    """Visible models by full name, of one catalog and schema, or of all of them for empty names."""
    query = _within(_MODEL_ROWS.where(models.c.id.in_(visible)), *within)
    order = (catalogs.c.name, schemas.c.name, models.c.name)
    if after:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*(sa.literal(each) for each in after)))
    return connection.execute(query.order_by(*order).limit(limit)).mappings().all()


def models_of_schema(connection: sa.Connection, schema_id: str) -> Sequence[Row]:
    """Every model of a schema, whoever may see it."""
    return connection.execute(_MODEL_ROWS.where(models.c.schema_id == schema_id).order_by(models.c.name)).mappings().all()


def take_version(connection: sa.Connection, model_id: str) -> int:
    """The next number, which is never given again; the row stays locked until the transaction ends."""
    connection.execute(sa.update(models).where(models.c.id == model_id).values(last_version=models.c.last_version + 1))
    return int(connection.execute(sa.select(models.c.last_version).where(models.c.id == model_id)).scalar_one())


def fetch_version(connection: sa.Connection, model_id: str, version: int) -> Row | None:
    """One version of a model."""
    mine = model_versions.c.model_id == model_id
    return connection.execute(sa.select(model_versions).where(mine, model_versions.c.version == version)).mappings().first()


def list_versions(connection: sa.Connection, model_id: str, before: int | None, limit: int) -> Sequence[Row]:
    """Versions of a model, the newest first."""
    query = sa.select(model_versions).where(model_versions.c.model_id == model_id)
    if before is not None:
        query = query.where(model_versions.c.version < before)
    return connection.execute(query.order_by(model_versions.c.version.desc()).limit(limit)).mappings().all()


def update_version(connection: sa.Connection, model_id: str, version: int, values: Mapping[str, object]) -> None:
    """Change a version."""
    mine = model_versions.c.model_id == model_id
    connection.execute(sa.update(model_versions).where(mine, model_versions.c.version == version).values(**values))


def delete_version(connection: sa.Connection, model_id: str, version: int) -> None:
    """Remove a version and the aliases that stand for it."""
    connection.execute(sa.delete(model_aliases).where(model_aliases.c.model_id == model_id, model_aliases.c.version == version))
    connection.execute(sa.delete(model_versions).where(model_versions.c.model_id == model_id, model_versions.c.version == version))


def aliases_of(connection: sa.Connection, model_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Aliases of some models, by model."""
    found: dict[str, dict[str, int]] = {each: {} for each in model_ids}
    query = sa.select(model_aliases).where(model_aliases.c.model_id.in_(list(found))).order_by(model_aliases.c.alias)
    for row in connection.execute(query):
        found[row.model_id][row.alias] = row.version
    return found


def put_alias(connection: sa.Connection, model_id: str, alias: str, version: int) -> None:
    """Let an alias stand for a version."""
    delete_alias(connection, model_id, alias)
    connection.execute(sa.insert(model_aliases).values(model_id=model_id, alias=alias, version=version))


def delete_alias(connection: sa.Connection, model_id: str, alias: str) -> None:
    """Forget an alias."""
    connection.execute(sa.delete(model_aliases).where(model_aliases.c.model_id == model_id, model_aliases.c.alias == alias))
