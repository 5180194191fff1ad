"""Doors: Unity Catalog's metastore, catalogs, schemas, tables and volumes (docs/reference/doors.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import METASTORE_ID
from insjo.catalog.types import Column, TableName, TableType
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.kernel.paging import PageRequest
from insjo.web.databricks.columns import column_body, columns_of
from insjo.web.databricks.keys import key_bodies
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.access.protection import Protection
    from insjo.catalog.types import Catalog, RegisteredModel, Schema, Table, Volume

PREFIX = "/api/2.1/unity-catalog"


class NamedBody(msgspec.Struct):
    """A catalog to create."""

    name: str
    comment: str = ""
    properties: dict[str, str] = {}
    storage_root: str = ""


class SchemaBody(msgspec.Struct):
    """A schema to create."""

    name: str
    catalog_name: str
    comment: str = ""
    properties: dict[str, str] = {}
    storage_root: str = ""


class ChangeBody(msgspec.Struct):
    """What can be changed of a catalog, schema, table or volume."""

    new_name: str | None = None
    owner: str | None = None
    comment: str | None = None
    properties: dict[str, str] | None = None


class TableBody(msgspec.Struct):
    """A table to create."""

    name: str
    catalog_name: str
    schema_name: str
    table_type: str = "MANAGED"
    data_source_format: str = "DELTA"
    columns: list[dict[str, Any]] = []
    comment: str = ""
    properties: dict[str, str] = {}
    storage_location: str = ""


class VolumeBody(msgspec.Struct):
    """A volume to create."""

    name: str
    catalog_name: str
    schema_name: str
    volume_type: str = "MANAGED"
    comment: str = ""
    storage_location: str = ""


def page_request(call: Call) -> PageRequest:
    """Page as the Unity Catalog API asks for it."""
    return PageRequest.of(call.query_int("max_results"), call.query("page_token"))


def listing(name: str, items: list[dict[str, object]], next_token: str) -> Response:
    """A page of a list; the token is left out on the last page."""
    body: dict[str, object] = {name: items}
    if next_token:
        body["next_page_token"] = next_token
    return JSONResponse(body)


def common(thing: Catalog | Schema | Table | Volume | RegisteredModel) -> dict[str, object]:
    """Fields that all objects share."""
    return {
        "name": thing.name,
        "full_name": thing.full_name,
        "owner": thing.owner,
        "comment": thing.comment,
        "metastore_id": METASTORE_ID,
        "created_at": epoch_ms(thing.created_at),
        "created_by": thing.created_by,
        "updated_at": epoch_ms(thing.updated_at),
        "updated_by": thing.updated_by,
    }


def catalog_body(catalog: Catalog) -> dict[str, object]:
    """A catalog on the wire."""
    kind = "SYSTEM_CATALOG" if catalog.name == "system" else "MANAGED_CATALOG"
    return common(catalog) | {"id": catalog.id, "properties": dict(catalog.properties), "catalog_type": kind, "isolation_mode": "OPEN"}


def schema_body(schema: Schema) -> dict[str, object]:
    """A schema on the wire."""
    return common(schema) | {"schema_id": schema.id, "catalog_name": schema.catalog_name, "properties": dict(schema.properties)}


def table_body(table: Table) -> dict[str, object]:
    """A table or view on the wire."""
    body = common(table) | {
        "table_id": table.id,
        "catalog_name": table.catalog,
        "schema_name": table.schema,
        "table_type": "MANAGED" if table.table_type is TableType.SYSTEM else table.table_type.value,
        "columns": [column_body(column, index) for index, column in enumerate(table.columns)],
        "properties": dict(table.properties),
    }
    if table.is_view:
        body["view_definition"] = table.view_definition
    else:
        body["data_source_format"] = "DELTA" if table.has_files else "UNKNOWN_DATA_SOURCE_FORMAT"
    if table.location:
        body["storage_location"] = f"insjo://tables/{table.id}"
    return body


def protected_body(table: Table, protection: Protection) -> dict[str, object]:
    """A table on the wire with its row filter and its masks."""
    body = table_body(table)
    for each in protection.filters:
        body["row_filter"] = {"function_name": each.function_name, "input_column_names": [a.column for a in each.arguments if a.column]}
    for column in cast("list[dict[str, object]]", body["columns"]):
        mask = protection.masks.get(str(column["name"]).lower())
        if mask is not None:
            using = [argument.column for argument in mask.arguments[1:] if argument.column]
            column["mask"] = {"function_name": mask.function_name, "using_column_names": using}
    return body


async def _shown_table(call: Call, table: Table) -> dict[str, object]:
    return protected_body(table, await call.run(call.services.access.protections.described, call.ctx, table.id))


def volume_body(volume: Volume) -> dict[str, object]:
    """A volume on the wire."""
    return common(volume) | {
        "volume_id": volume.id,
        "catalog_name": volume.catalog,
        "schema_name": volume.schema,
        "volume_type": volume.volume_type.value,
        "storage_location": f"insjo://volumes/{volume.id}",
    }


async def metastore_assignment(call: Call) -> Response:
    """The one metastore; clients ask for it first."""
    del call
    return JSONResponse({"metastore_id": METASTORE_ID, "workspace_id": 1, "default_catalog_name": "main"})


async def metastore_summary(call: Call) -> Response:
    """What clients show of the metastore."""
    del call
    return JSONResponse(
        {"metastore_id": METASTORE_ID, "name": "insjo", "cloud": "local", "region": "local", "global_metastore_id": METASTORE_ID}
    )


async def list_catalogs(call: Call) -> Response:
    """Catalogs that the caller may see."""
    page = await call.run(call.services.catalog.catalogs.list, call.ctx, page_request(call))
    return listing("catalogs", [catalog_body(each) for each in page.items], page.next_token)


async def create_catalog(call: Call) -> Response:
    """A new catalog."""
    body = await call.json(NamedBody)
    _refuse_location(body.storage_root)
    made = await call.run(call.services.catalog.catalogs.create, call.ctx, body.name, comment=body.comment, properties=body.properties)
    return JSONResponse(catalog_body(made))


def _refuse_location(location: str) -> None:
    """Places outside the data folder are not there yet."""
    if location:
        raise Unimplemented("A storage location of one's own is not implemented.", hint="Leave it out: Insjö keeps the data in its folder.")


async def get_catalog(call: Call) -> Response:
    """One catalog."""
    return JSONResponse(catalog_body(await call.run(call.services.catalog.catalogs.get, call.ctx, call.path("name"))))


async def update_catalog(call: Call) -> Response:
    """Change a catalog."""
    changes = changes_of(await call.json(ChangeBody))
    return JSONResponse(catalog_body(await call.run(call.services.catalog.catalogs.update, call.ctx, call.path("name"), **changes)))


async def delete_catalog(call: Call) -> Response:
    """Delete a catalog; with `force` also what it holds."""
    await call.run(call.services.catalog.catalogs.delete, call.ctx, call.path("name"), force=call.query_bool("force"))
    return JSONResponse({})


def changes_of(body: ChangeBody) -> dict[str, Any]:
    """The given fields only."""
    given = {"new_name": body.new_name, "owner": body.owner, "comment": body.comment, "properties": body.properties}
    return {name: value for name, value in given.items() if value is not None}


async def list_schemas(call: Call) -> Response:
    """Schemas of a catalog that the caller may see."""
    page = await call.run(call.services.catalog.schemas.list, call.ctx, _needed(call, "catalog_name"), page_request(call))
    return listing("schemas", [schema_body(each) for each in page.items], page.next_token)


def _needed(call: Call, name: str) -> str:
    """A query parameter that must be there."""
    value = call.query(name)
    if not value:
        raise InvalidArgument(f"The parameter `{name}` is missing.")
    return value


async def create_schema(call: Call) -> Response:
    """A new schema."""
    body = await call.json(SchemaBody)
    _refuse_location(body.storage_root)
    name = f"{body.catalog_name}.{body.name}"
    made = await call.run(call.services.catalog.schemas.create, call.ctx, name, comment=body.comment, properties=body.properties)
    return JSONResponse(schema_body(made))


async def get_schema(call: Call) -> Response:
    """One schema."""
    return JSONResponse(schema_body(await call.run(call.services.catalog.schemas.get, call.ctx, call.path("full_name"))))


async def update_schema(call: Call) -> Response:
    """Change a schema."""
    changes = changes_of(await call.json(ChangeBody))
    return JSONResponse(schema_body(await call.run(call.services.catalog.schemas.update, call.ctx, call.path("full_name"), **changes)))


async def delete_schema(call: Call) -> Response:
    """Delete a schema; with `force` also what it holds."""
    await call.run(call.services.catalog.schemas.delete, call.ctx, call.path("full_name"), force=call.query_bool("force"))
    return JSONResponse({})


async def list_tables(call: Call) -> Response:
    """Tables and views of a schema that the caller may see."""
    names = (_needed(call, "catalog_name"), _needed(call, "schema_name"))
    page = await call.run(call.services.catalog.tables.list, call.ctx, *names, page_request(call))
    bodies = [await _shown_table(call, each) for each in page.items]
    if call.query_bool("omit_columns"):
        for body in bodies:
            del body["columns"]
    return listing("tables", bodies, page.next_token)


async def create_table(call: Call) -> Response:
    """A new, empty table."""
    body = await call.json(TableBody)
    if body.table_type != "MANAGED" or body.data_source_format != "DELTA":
        raise Unimplemented(
            f"Tables of type `{body.table_type}` in format `{body.data_source_format}` are not implemented.", hint="Use MANAGED and DELTA."
        )
    columns: list[Column] = columns_of(body.columns)
    name = TableName(body.catalog_name, body.schema_name, body.name)
    made = await call.run(call.services.catalog.tables.create, call.ctx, name, columns, comment=body.comment, properties=body.properties)
    return JSONResponse(table_body(made))


async def get_table(call: Call) -> Response:
    """One table or view."""
    table = await call.run(call.services.catalog.tables.get, call.ctx, TableName.parse(call.path("full_name")))
    body = await _shown_table(call, table)
    keys = await key_bodies(call, table)
    return JSONResponse(body | ({"table_constraints": keys} if keys else {}))


async def table_exists(call: Call) -> Response:
    """Whether a table is there for the caller."""
    from insjo.kernel.errors import NotFound

    try:
        await call.run(call.services.catalog.tables.get, call.ctx, TableName.parse(call.path("full_name")))
    except NotFound:
        return JSONResponse({"table_exists": False})
    return JSONResponse({"table_exists": True})


async def update_table(call: Call) -> Response:
    """Change a table's owner, comment or properties."""
    changes = changes_of(await call.json(ChangeBody))
    made = await call.run(call.services.catalog.tables.update, call.ctx, TableName.parse(call.path("full_name")), **changes)
    return JSONResponse(await _shown_table(call, made))


async def delete_table(call: Call) -> Response:
    """Drop a table or view."""
    await call.run(call.services.catalog.tables.drop, call.ctx, TableName.parse(call.path("full_name")), keep=True)
    return JSONResponse({})


async def list_volumes(call: Call) -> Response:
    """Volumes of a schema that the caller may see."""
    names = (_needed(call, "catalog_name"), _needed(call, "schema_name"))
    page = await call.run(call.services.catalog.volumes.list, call.ctx, *names, page_request(call))
    return listing("volumes", [volume_body(each) for each in page.items], page.next_token)


async def create_volume(call: Call) -> Response:
    """A new volume."""
    body = await call.json(VolumeBody)
    if body.volume_type != "MANAGED" or body.storage_location:
        raise Unimplemented("External volumes are not implemented.", hint="Create a MANAGED volume.")
    name = f"{body.catalog_name}.{body.schema_name}.{body.name}"
    return JSONResponse(volume_body(await call.run(call.services.catalog.volumes.create, call.ctx, name, comment=body.comment)))


async def get_volume(call: Call) -> Response:
    """One volume."""
    return JSONResponse(volume_body(await call.run(call.services.catalog.volumes.get, call.ctx, call.path("full_name"))))


async def update_volume(call: Call) -> Response:
    """Change a volume's owner or comment."""
    changes = changes_of(await call.json(ChangeBody))
    return JSONResponse(volume_body(await call.run(call.services.catalog.volumes.update, call.ctx, call.path("full_name"), **changes)))


async def delete_volume(call: Call) -> Response:
    """Delete a volume and its files."""
    await call.run(call.services.catalog.volumes.delete, call.ctx, call.path("full_name"))
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/current-metastore-assignment", metastore_assignment, "databricks"),
    DoorRoute("GET", f"{PREFIX}/metastore_summary", metastore_summary, "databricks"),
    DoorRoute("GET", f"{PREFIX}/catalogs", list_catalogs, "databricks"),
    DoorRoute("POST", f"{PREFIX}/catalogs", create_catalog, "databricks"),
    DoorRoute("GET", f"{PREFIX}/catalogs/{{name}}", get_catalog, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/catalogs/{{name}}", update_catalog, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/catalogs/{{name}}", delete_catalog, "databricks"),
    DoorRoute("GET", f"{PREFIX}/schemas", list_schemas, "databricks"),
    DoorRoute("POST", f"{PREFIX}/schemas", create_schema, "databricks"),
    DoorRoute("GET", f"{PREFIX}/schemas/{{full_name}}", get_schema, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/schemas/{{full_name}}", update_schema, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/schemas/{{full_name}}", delete_schema, "databricks"),
    DoorRoute("GET", f"{PREFIX}/tables", list_tables, "databricks"),
    DoorRoute("POST", f"{PREFIX}/tables", create_table, "databricks"),
    DoorRoute("GET", f"{PREFIX}/tables/{{full_name}}", get_table, "databricks"),
    DoorRoute("GET", f"{PREFIX}/tables/{{full_name}}/exists", table_exists, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/tables/{{full_name}}", update_table, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/tables/{{full_name}}", delete_table, "databricks"),
    DoorRoute("GET", f"{PREFIX}/volumes", list_volumes, "databricks"),
    DoorRoute("POST", f"{PREFIX}/volumes", create_volume, "databricks"),
    DoorRoute("GET", f"{PREFIX}/volumes/{{full_name}}", get_volume, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/volumes/{{full_name}}", update_volume, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/volumes/{{full_name}}", delete_volume, "databricks"),
)
