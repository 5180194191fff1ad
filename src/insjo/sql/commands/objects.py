"""Catalogs, schemas and volumes; DROP, owners, names and comments of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import SecurableKind
from insjo.kernel.errors import AlreadyExists, InvalidArgument, NotFound
from insjo.sql.commands.execution import Outcome, nothing
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import AlterName, AlterOwner, CommentOn, CreateCatalog, CreateSchema, CreateVolume, Drop, NamePath, Undrop


def create_catalog(x: Execution, command: CreateCatalog) -> Outcome:
    """CREATE CATALOG."""
    try:
        x.tools.catalog.catalogs.create(x.ctx, command.name, command.comment, command.properties)
    except AlreadyExists:
        if not command.if_not_exists:
            raise
    return nothing()


def create_schema(x: Execution, command: CreateSchema) -> Outcome:
    """CREATE SCHEMA."""
    full_name = ".".join(x.names.schema_name(command.name))
    try:
        x.tools.catalog.schemas.create(x.ctx, full_name, command.comment, command.properties)
    except AlreadyExists:
        if not command.if_not_exists:
            raise
    return nothing()


def create_volume(x: Execution, command: CreateVolume) -> Outcome:
    """CREATE VOLUME."""
    name = x.names.table(command.name)
    x.tools.catalog.volumes.create(x.ctx, name.full_name, command.comment, if_not_exists=command.if_not_exists)
    return nothing()


def drop(x: Execution, command: Drop) -> Outcome:
    """DROP of anything; with IF EXISTS, what does not exist for the caller is no error."""
    try:
        _drop(x, command)
    except NotFound:
        if not command.if_exists:
            raise
    return nothing()


def _drop(x: Execution, command: Drop) -> None:
    catalog = x.tools.catalog
    if command.kind == "CATALOG":
        catalog.catalogs.delete(x.ctx, command.name[0], force=command.cascade)
    elif command.kind == "SCHEMA":
        catalog.schemas.delete(x.ctx, ".".join(x.names.schema_name(command.name)), force=command.cascade)
    elif command.kind == "VOLUME":
        catalog.volumes.delete(x.ctx, x.names.table(command.name).full_name)
    elif command.kind == "FUNCTION":
        x.tools.functions.drop(x.ctx, x.names.table(command.name), if_exists=command.if_exists)
    elif len(command.name) == 1 and x.session.drop_view(command.name[0].lower()):
        return
    else:
        catalog.tables.drop(
            x.ctx, x.names.table(command.name), if_exists=command.if_exists, view=command.kind == "VIEW", keep=not command.purge
        )


def undrop(x: Execution, command: Undrop) -> Outcome:
    """Bring a dropped table back."""
    name = x.names.table(command.name) if command.name else None
    x.tools.catalog.dropped.bring_back(x.ctx, name, command.table_id)
    return nothing()


def alter_owner(x: Execution, command: AlterOwner) -> Outcome:
    """OWNER TO."""
    catalog, owner = x.tools.catalog, command.owner
    if command.kind == "CATALOG":
        catalog.catalogs.update(x.ctx, command.name[0], owner=owner)
    elif command.kind == "SCHEMA":
        catalog.schemas.update(x.ctx, ".".join(x.names.schema_name(command.name)), owner=owner)
    elif command.kind == "VOLUME":
        catalog.volumes.update(x.ctx, x.names.table(command.name).full_name, owner=owner)
    elif command.kind == "FUNCTION":
        name = x.names.table(command.name)
        found = x.tools.access.securables.resolve(x.ctx, SecurableKind.FUNCTION, name.full_name)
        x.tools.access.securables.set_owner(x.ctx, found.id, x.tools.access.principals.by_name(owner).id)
    else:
        catalog.tables.update(x.ctx, x.names.table(command.name), owner=owner)
    return nothing()


def alter_name(x: Execution, command: AlterName) -> Outcome:
    """RENAME TO, within the same catalog and schema."""
    catalog, new = x.tools.catalog, command.new_name
    if command.kind == "CATALOG":
        catalog.catalogs.update(x.ctx, command.name[0], new_name=new[0])
        return nothing()
    if command.kind == "SCHEMA":
        old_schema = x.names.schema_name(command.name)
        new_schema = x.names.schema_name(new)
        _same_place(old_schema[:1], new_schema[:1])
        catalog.schemas.update(x.ctx, ".".join(old_schema), new_name=new_schema[1])
        return nothing()
    if command.kind == "FUNCTION":
        message = "`ALTER FUNCTION ... RENAME` is not supported."
        raise UnsupportedFeature(message, hint="Make it anew with `CREATE FUNCTION`.", details={"feature": "ALTER FUNCTION RENAME"})
    old_name, new_name = x.names.table(command.name), x.names.table(new)
    _same_place((old_name.catalog, old_name.schema), (new_name.catalog, new_name.schema))
    if command.kind == "VOLUME":
        catalog.volumes.update(x.ctx, old_name.full_name, new_name=new_name.name)
    else:
        catalog.tables.update(x.ctx, old_name, new_name=new_name.name)
    return nothing()


def _same_place(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Objects stay in their schema."""
    if old != new:
        message = f"A new name stays in `{'.'.join(old)}`; moving to `{'.'.join(new)}` is not supported."
        raise UnsupportedFeature(message, details={"feature": "RENAME to another schema"})


def comment_on(x: Execution, command: CommentOn) -> Outcome:
    """COMMENT ON."""
    catalog, comment = x.tools.catalog, command.comment
    if command.column:
        if "." in command.column:
            message = "Comments on parts of a struct are not supported."
            raise UnsupportedFeature(message, details={"feature": "COMMENT ON a field"})
        catalog.tables.comment_columns(x.ctx, x.names.table(command.name), {command.column: comment})
    elif command.kind == "CATALOG":
        catalog.catalogs.update(x.ctx, command.name[0], comment=comment)
    elif command.kind == "SCHEMA":
        catalog.schemas.update(x.ctx, ".".join(x.names.schema_name(command.name)), comment=comment)
    elif command.kind == "VOLUME":
        catalog.volumes.update(x.ctx, x.names.table(command.name).full_name, comment=comment)
    elif command.kind in {"TABLE", "VIEW"}:
        catalog.tables.update(x.ctx, x.names.table(command.name), comment=comment)
    else:
        message = f"`COMMENT ON {command.kind}` is not supported."
        raise UnsupportedFeature(message, details={"feature": f"COMMENT ON {command.kind}"})
    return nothing()


def full_name_of(x: Execution, kind: SecurableKind, path: NamePath) -> str:
    """Full name of an object of a kind as the statement means it."""
    if kind is SecurableKind.METASTORE:
        return ""
    if kind is SecurableKind.SCHEMA:
        return ".".join(x.names.schema_name(path))
    if kind in {
        SecurableKind.TABLE,
        SecurableKind.VOLUME,
        SecurableKind.FUNCTION,
        SecurableKind.MODEL,
        SecurableKind.INDEX,
        SecurableKind.AGENT,
    }:
        return x.names.table(path).full_name
    if len(path) != 1:
        message = f"`{'.'.join(path)}` is not the name of a {kind.noun}."
        raise InvalidArgument(message)
    return path[0].lower()
