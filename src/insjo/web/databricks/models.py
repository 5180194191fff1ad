"""Doors: registered models, their versions and aliases (Unity Catalog's models API)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import METASTORE_ID
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.web.databricks.unity import PREFIX, ChangeBody, changes_of, common, listing, page_request
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from insjo.catalog.types import ModelVersion, RegisteredModel

VERSION_MAX = 999_999_999


class Tag(msgspec.Struct):
    """A tag of a model."""

    key: str
    value: str = ""


class ModelBody(msgspec.Struct):
    """A model to create."""

    name: str
    catalog_name: str
    schema_name: str
    comment: str = ""
    storage_location: str = ""
    tags: list[Tag] = []


class VersionBody(msgspec.Struct):
    """A version to create."""

    model_name: str
    catalog_name: str
    schema_name: str
    source: str = ""
    run_id: str = ""
    model_id: str = ""
    comment: str = ""
    tags: list[Tag] = []


class CommentBody(msgspec.Struct):
    """What can be changed of a version."""

    comment: str | None = None


class TagChanges(msgspec.Struct):
    """Tags to set and keys of tags to take away."""

    add_tags: list[Tag] = []
    remove: list[str] = []


class TagsBody(msgspec.Struct):
    """The wrapping of changes of tags."""

    changes: TagChanges


class AliasBody(msgspec.Struct):
    """The version for which an alias shall stand."""

    version_num: int


def words(tags: Iterable[Tag]) -> dict[str, str]:
    """Tags by key."""
    return {each.key: each.value for each in tags}


def model_body(model: RegisteredModel) -> dict[str, object]:
    """A model on the wire."""
    return common(model) | {
        "id": model.id,
        "catalog_name": model.catalog,
        "schema_name": model.schema,
        "storage_location": f"dbfs:/Models/{model.full_name.replace('.', '/')}",
        "metastore_id": METASTORE_ID,
        "aliases": [{"alias_name": alias, "version_num": version} for alias, version in model.aliases.items()],
        "tags": [{"key": key, "value": value} for key, value in model.tags.items()],
    }


def version_body(version: ModelVersion) -> dict[str, object]:
    """A version on the wire."""
    catalog, schema, name = version.model.split(".")
    return {
        "catalog_name": catalog,
        "schema_name": schema,
        "model_name": name,
        "metastore_id": METASTORE_ID,
        "id": f"{version.model_id}/{version.version}",
        "version": version.version,
        "status": version.status.value,
        "source": version.source,
        "run_id": version.run_id,
        "model_id": version.logged_model_id,
        "comment": version.comment,
        "storage_location": f"dbfs:{version.path}",
        "aliases": [{"alias_name": alias, "version_num": version.version} for alias in version.aliases],
        "tags": [{"key": key, "value": value} for key, value in version.tags.items()],
        "created_at": epoch_ms(version.created_at),
        "created_by": version.created_by,
        "updated_at": epoch_ms(version.updated_at),
        "updated_by": version.updated_by,
    }


async def list_models(call: Call) -> Response:
    """Models that the caller may see, of one schema when it is named."""
    catalog, schema = call.query("catalog_name"), call.query("schema_name")
    if schema and not catalog:
        raise InvalidArgument("The parameter `catalog_name` is missing.", hint="Name the catalog in which the schema lies.")
    page = await call.run(call.services.catalog.models.list, call.ctx, catalog, schema, page_request(call))
    return listing("registered_models", [model_body(each) for each in page.items], page.next_token)


async def create_model(call: Call) -> Response:
    """A new model without versions."""
    body = await call.json(ModelBody)
    if body.storage_location:
        raise InvalidArgument("Files of models lie where Insjö keeps them.", hint="Leave out `storage_location`.")
    name = f"{body.catalog_name}.{body.schema_name}.{body.name}"
    return JSONResponse(model_body(await call.run(call.services.catalog.models.create, call.ctx, name, body.comment, words(body.tags))))


async def get_model(call: Call) -> Response:
    """One model."""
    return JSONResponse(model_body(await call.run(call.services.catalog.models.get, call.ctx, call.path("full_name"))))


async def update_model(call: Call) -> Response:
    """Change a model's name, owner or comment."""
    changes = changes_of(await call.json(ChangeBody))
    changes.pop("properties", None)
    if "new_name" in changes:
        changes["new_name"] = new_name_of(call.path("full_name"), changes["new_name"])
    return JSONResponse(model_body(await call.run(call.services.catalog.models.update, call.ctx, call.path("full_name"), **changes)))


async def delete_model(call: Call) -> Response:
    """Delete a model with its versions and their files."""
    await call.run(call.services.catalog.models.delete, call.ctx, call.path("full_name"))
    return JSONResponse({})


async def list_versions(call: Call) -> Response:
    """Versions of a model, the newest first."""
    page = await call.run(call.services.catalog.models.versions, call.ctx, call.path("full_name"), page_request(call))
    return listing("model_versions", [version_body(each) for each in page.items], page.next_token)


async def create_version(call: Call) -> Response:
    """A version whose files come by the Files API below its `storage_location`; `finalize` ends that."""
    body = await call.json(VersionBody)
    name = f"{body.catalog_name}.{body.schema_name}.{body.model_name}"
    found = await call.run(
        call.services.catalog.models.create_version,
        call.ctx,
        name,
        source=body.source,
        run_id=body.run_id,
        logged_model_id=body.model_id,
        comment=body.comment,
        tags=words(body.tags),
    )
    return JSONResponse(version_body(found))


async def get_version(call: Call) -> Response:
    """One version of a model."""
    found = await call.run(call.services.catalog.models.version, call.ctx, call.path("full_name"), _version(call))
    return JSONResponse(version_body(found))


async def update_version(call: Call) -> Response:
    """Change the comment of a version."""
    comment = (await call.json(CommentBody)).comment
    models = call.services.catalog.models
    return JSONResponse(
        version_body(await call.run(models.update_version, call.ctx, call.path("full_name"), _version(call), comment=comment))
    )


async def finalize_version(call: Call) -> Response:
    """The files of a version are all there; they never change from now on."""
    found = await call.run(call.services.catalog.models.finish, call.ctx, call.path("full_name"), _version(call))
    return JSONResponse(version_body(found))


async def delete_version(call: Call) -> Response:
    """Delete a version and its files."""
    await call.run(call.services.catalog.models.delete_version, call.ctx, call.path("full_name"), _version(call))
    return JSONResponse({})


async def get_by_alias(call: Call) -> Response:
    """The version for which an alias stands."""
    found = await call.run(call.services.catalog.models.by_alias, call.ctx, call.path("full_name"), call.path("alias"))
    return JSONResponse(version_body(found))


async def set_alias(call: Call) -> Response:
    """Let an alias stand for a version."""
    version, alias = (await call.json(AliasBody)).version_num, call.path("alias")
    model = await call.run(call.services.catalog.models.set_alias, call.ctx, call.path("full_name"), alias, checked_version(version))
    return JSONResponse({"alias_name": alias.lower(), "version_num": model.aliases[alias.lower()]})


async def delete_alias(call: Call) -> Response:
    """Forget an alias."""
    await call.run(call.services.catalog.models.delete_alias, call.ctx, call.path("full_name"), call.path("alias"))
    return JSONResponse({})


async def tag_model(call: Call) -> Response:
    """Set and take away tags of a model; MLflow says FUNCTION for models here, as the store behind Unity Catalog does."""
    name, tags = _tagged(call), await _tag_changes(call)
    await call.run(call.services.catalog.models.update, call.ctx, name, tags=tags)
    return JSONResponse({})


async def tag_version(call: Call) -> Response:
    """Set and take away tags of a version."""
    name, tags = _tagged(call), await _tag_changes(call)
    await call.run(call.services.catalog.models.update_version, call.ctx, name, _version(call), tags=tags)
    return JSONResponse({})


def _tagged(call: Call) -> str:
    """The model whose tags change."""
    if call.path("kind").upper() not in {"FUNCTION", "MODEL", "REGISTERED_MODEL"}:
        raise Unimplemented("Only tags of models are changed here.", hint="Use `entity-tag-assignments` for other objects.")
    return call.path("full_name")


async def _tag_changes(call: Call) -> dict[str, str | None]:
    changes = (await call.json(TagsBody)).changes
    return {**words(changes.add_tags), **dict.fromkeys(changes.remove)}


def new_name_of(full_name: str, new_name: str) -> str:
    """The last part of a new name; clients send it alone or in full.  Raises InvalidArgument for one in another schema."""
    if "." not in new_name:
        return new_name
    if new_name.rpartition(".")[0].lower() != full_name.rpartition(".")[0].lower():
        raise InvalidArgument("A model stays in its schema.", hint="Register it anew in the other schema.")
    return new_name.rpartition(".")[2]


def checked_version(version: object) -> int:
    """A number of a version, sent as a number or as a text; raises InvalidArgument for anything else."""
    text = str(version)
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) <= VERSION_MAX:
        raise InvalidArgument(f"`{text[:40]}` is no number of a version.", hint="Versions are counted from 1.")
    return int(text)


def _version(call: Call) -> int:
    return checked_version(call.path("version"))


MODEL = f"{PREFIX}/models/{{full_name}}"

ROUTES = (
    DoorRoute("GET", f"{PREFIX}/models", list_models, "databricks"),
    DoorRoute("POST", f"{PREFIX}/models", create_model, "databricks"),
    DoorRoute("POST", f"{PREFIX}/models/versions", create_version, "databricks"),
    DoorRoute("GET", MODEL, get_model, "databricks"),
    DoorRoute("PATCH", MODEL, update_model, "databricks"),
    DoorRoute("DELETE", MODEL, delete_model, "databricks"),
    DoorRoute("GET", f"{MODEL}/versions", list_versions, "databricks"),
    DoorRoute("GET", f"{MODEL}/versions/{{version}}", get_version, "databricks"),
    DoorRoute("PATCH", f"{MODEL}/versions/{{version}}", update_version, "databricks"),
    DoorRoute("DELETE", f"{MODEL}/versions/{{version}}", delete_version, "databricks"),
    DoorRoute("PATCH", f"{MODEL}/versions/{{version}}/finalize", finalize_version, "databricks"),
    DoorRoute("GET", f"{MODEL}/aliases/{{alias}}", get_by_alias, "databricks"),
    DoorRoute("PUT", f"{MODEL}/aliases/{{alias}}", set_alias, "databricks"),
    DoorRoute("DELETE", f"{MODEL}/aliases/{{alias}}", delete_alias, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/securable-tags/{{kind}}/{{full_name}}", tag_model, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/subentity-tags/{{kind}}/{{full_name}}/{{version}}", tag_version, "databricks"),
)
