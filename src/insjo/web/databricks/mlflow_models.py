"""Doors: the model registry as MLflow asks for it (`databricks-uc`): the calls of `UcModelRegistryService`, answered from the catalog.

Files of a version go through the Files API, which the client is told to use; nobody is given a credential of a store.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.web.databricks.models import Tag, checked_version, new_name_of, words
from insjo.web.databricks.unity import page_request
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.catalog.types import ModelVersion, RegisteredModel

PREFIX = "/api/2.0/mlflow/unity-catalog"
_NAME_FILTER = re.compile(r"\s*name\s*=\s*(['\"])(?P<name>[^'\"]+)\1\s*", re.IGNORECASE)


class ModelBody(msgspec.Struct):
    """A model to create or to change."""

    name: str
    description: str | None = None
    new_name: str | None = None
    tags: list[Tag] = []


class VersionBody(msgspec.Struct):
    """A version to create, to change or to finish."""

    name: str
    version: str | int = ""
    source: str = ""
    run_id: str = ""
    model_id: str = ""
    description: str | None = None
    tags: list[Tag] = []


class TagBody(msgspec.Struct):
    """A tag to set or to take away."""

    name: str
    key: str
    value: str = ""
    version: str | int = ""


class AliasBody(msgspec.Struct):
    """An alias to set or to forget."""

    name: str
    alias: str
    version: str | int = ""


def model_body(model: RegisteredModel) -> dict[str, object]:
    """A model on this wire."""
    return {
        "name": model.full_name,
        "creation_timestamp": epoch_ms(model.created_at),
        "last_updated_timestamp": epoch_ms(model.updated_at),
        "user_id": model.created_by,
        "description": model.comment,
        "aliases": [{"alias": alias, "version": str(version)} for alias, version in model.aliases.items()],
        "tags": [{"key": key, "value": value} for key, value in model.tags.items()],
    }


def version_body(version: ModelVersion) -> dict[str, object]:
    """A version on this wire."""
    return {
        "name": version.model,
        "version": str(version.version),
        "creation_timestamp": epoch_ms(version.created_at),
        "last_updated_timestamp": epoch_ms(version.updated_at),
        "user_id": version.created_by,
        "description": version.comment,
        "source": version.source,
        "run_id": version.run_id,
        "model_id": version.logged_model_id,
        "status": version.status.value,
        "storage_location": f"dbfs:{version.path}",
        "aliases": [{"alias": alias, "version": str(version.version)} for alias in version.aliases],
        "tags": [{"key": key, "value": value} for key, value in version.tags.items()],
    }


def _model(model: RegisteredModel) -> Response:
    return JSONResponse({"registered_model": model_body(model)})


def _version(version: ModelVersion) -> Response:
    return JSONResponse({"model_version": version_body(version)})


async def create_model(call: Call) -> Response:
    """A new model without versions."""
    body = await call.json(ModelBody)
    return _model(await call.run(call.services.catalog.models.create, call.ctx, body.name, body.description or "", words(body.tags)))


async def update_model(call: Call) -> Response:
    """Change a model's name or description; a new name stays in the schema."""
    body = await call.json(ModelBody)
    new_name = None if body.new_name is None else new_name_of(body.name, body.new_name)
    models = call.services.catalog.models
    return _model(await call.run(models.update, call.ctx, body.name, new_name=new_name, comment=body.description))


async def delete_model(call: Call) -> Response:
    """Delete a model with its versions."""
    await call.run(call.services.catalog.models.delete, call.ctx, (await call.json(ModelBody)).name)
    return JSONResponse({})


async def get_model(call: Call) -> Response:
    """One model."""
    return _model(await call.run(call.services.catalog.models.get, call.ctx, _needed(call, "name")))


async def search_models(call: Call) -> Response:
    """Models that the caller may see, by name."""
    page = await call.run(call.services.catalog.models.list, call.ctx, "", "", page_request(call))
    return _listing("registered_models", [model_body(each) for each in page.items], page.next_token)


async def create_version(call: Call) -> Response:
    """A version whose files come by the Files API; `finalize` ends that."""
    body = await call.json(VersionBody)
    found = await call.run(
        call.services.catalog.models.create_version,
        call.ctx,
        body.name,
        source=body.source,
        run_id=body.run_id,
        logged_model_id=body.model_id,
        comment=body.description or "",
        tags=words(body.tags),
    )
    return _version(found)


async def finalize_version(call: Call) -> Response:
    """The files of a version are all there."""
    body = await call.json(VersionBody)
    return _version(await call.run(call.services.catalog.models.finish, call.ctx, body.name, checked_version(body.version)))


async def update_version(call: Call) -> Response:
    """Change the description of a version."""
    body = await call.json(VersionBody)
    models, version = call.services.catalog.models, checked_version(body.version)
    return _version(await call.run(models.update_version, call.ctx, body.name, version, comment=body.description))


async def delete_version(call: Call) -> Response:
    """Delete a version and its files."""
    body = await call.json(VersionBody)
    await call.run(call.services.catalog.models.delete_version, call.ctx, body.name, checked_version(body.version))
    return JSONResponse({})


async def get_version(call: Call) -> Response:
    """One version."""
    return _version(await _found(call))


async def download_uri(call: Call) -> Response:
    """Where the files of a version are."""
    return JSONResponse({"artifact_uri": f"dbfs:{(await _found(call)).path}"})


async def _found(call: Call) -> ModelVersion:
    models, version = call.services.catalog.models, checked_version(_needed(call, "version"))
    return await call.run(models.version, call.ctx, _needed(call, "name"), version)


async def search_versions(call: Call) -> Response:
    """Versions of the one model that the filter names, the newest first."""
    named = _NAME_FILTER.fullmatch(call.query("filter"))
    if named is None:
        raise InvalidArgument("Versions are searched by the name of their model.", hint="Filter with `name = 'catalog.schema.model'`.")
    page = await call.run(call.services.catalog.models.versions, call.ctx, named["name"], page_request(call))
    return _listing("model_versions", [version_body(each) for each in page.items], page.next_token)


async def set_alias(call: Call) -> Response:
    """Let an alias stand for a version."""
    body = await call.json(AliasBody)
    await call.run(call.services.catalog.models.set_alias, call.ctx, body.name, body.alias, checked_version(body.version))
    return JSONResponse({})


async def delete_alias(call: Call) -> Response:
    """Forget an alias."""
    body = await call.json(AliasBody)
    await call.run(call.services.catalog.models.delete_alias, call.ctx, body.name, body.alias)
    return JSONResponse({})


async def get_by_alias(call: Call) -> Response:
    """The version for which an alias stands."""
    return _version(await call.run(call.services.catalog.models.by_alias, call.ctx, _needed(call, "name"), _needed(call, "alias")))


async def set_model_tag(call: Call) -> Response:
    """Tag a model."""
    body = await call.json(TagBody)
    await call.run(call.services.catalog.models.update, call.ctx, body.name, tags={body.key: body.value})
    return JSONResponse({})


async def delete_model_tag(call: Call) -> Response:
    """Take a tag off a model."""
    body = await call.json(TagBody)
    await call.run(call.services.catalog.models.update, call.ctx, body.name, tags={body.key: None})
    return JSONResponse({})


async def set_version_tag(call: Call) -> Response:
    """Tag a version."""
    return await _tag_version(call, remove=False)


async def delete_version_tag(call: Call) -> Response:
    """Take a tag off a version."""
    return await _tag_version(call, remove=True)


async def _tag_version(call: Call, *, remove: bool) -> Response:
    body = await call.json(TagBody)
    tags: dict[str, Any] = {body.key: None if remove else body.value}
    await call.run(call.services.catalog.models.update_version, call.ctx, body.name, checked_version(body.version), tags=tags)
    return JSONResponse({})


async def emit_lineage(call: Call) -> Response:
    """A client tells that it loaded a version; the audit keeps that.  For what purpose it did so nobody can check, and it is not kept."""
    body = await call.json(VersionBody)
    await call.run(call.services.catalog.models.note_use, call.ctx, body.name, checked_version(body.version))
    return JSONResponse({})


async def files_by_sdk(call: Call) -> Response:
    """Clients shall move the files of models by the Files API."""
    del call
    return JSONResponse({"is_databricks_sdk_models_artifact_repository_enabled": True})


async def credentials(call: Call) -> Response:
    """No client is given a credential of the store: it would be a way around rights and audit."""
    body = await call.json(VersionBody)
    await call.run(call.services.catalog.models.version, call.ctx, body.name, checked_version(body.version))
    raise Unimplemented("Credentials of the store are not given out.", hint="Move the files of a model by the Files API (`/Models/...`).")


def _needed(call: Call, name: str) -> str:
    """A parameter that must be there."""
    value = call.query(name)
    if not value:
        raise InvalidArgument(f"The parameter `{name}` is missing.")
    return value


def _listing(name: str, items: list[dict[str, object]], next_token: str) -> Response:
    return JSONResponse({name: items} | ({"next_page_token": next_token} if next_token else {}))


_MODELS, _VERSIONS = f"{PREFIX}/registered-models", f"{PREFIX}/model-versions"

ROUTES = (
    DoorRoute("POST", f"{_MODELS}/create", create_model, "databricks"),
    DoorRoute("PATCH", f"{_MODELS}/update", update_model, "databricks"),
    DoorRoute("DELETE", f"{_MODELS}/delete", delete_model, "databricks"),
    DoorRoute("GET", f"{_MODELS}/get", get_model, "databricks"),
    DoorRoute("GET", f"{_MODELS}/search", search_models, "databricks"),
    DoorRoute("POST", f"{_MODELS}/alias", set_alias, "databricks"),
    DoorRoute("DELETE", f"{_MODELS}/alias", delete_alias, "databricks"),
    DoorRoute("GET", f"{_MODELS}/alias", get_by_alias, "databricks"),
    DoorRoute("POST", f"{_MODELS}/set-tag", set_model_tag, "databricks"),
    DoorRoute("DELETE", f"{_MODELS}/delete-tag", delete_model_tag, "databricks"),
    DoorRoute("GET", f"{_MODELS}:is-databricks-sdk-models-artifact-repository-enabled", files_by_sdk, "databricks"),
    DoorRoute("POST", f"{_VERSIONS}/create", create_version, "databricks"),
    DoorRoute("POST", f"{_VERSIONS}/finalize", finalize_version, "databricks"),
    DoorRoute("PATCH", f"{_VERSIONS}/update", update_version, "databricks"),
    DoorRoute("DELETE", f"{_VERSIONS}/delete", delete_version, "databricks"),
    DoorRoute("GET", f"{_VERSIONS}/get", get_version, "databricks"),
    DoorRoute("GET", f"{_VERSIONS}/get-download-uri", download_uri, "databricks"),
    DoorRoute("GET", f"{_VERSIONS}/search", search_versions, "databricks"),
    DoorRoute("POST", f"{_VERSIONS}/set-tag", set_version_tag, "databricks"),
    DoorRoute("DELETE", f"{_VERSIONS}/delete-tag", delete_version_tag, "databricks"),
    DoorRoute("POST", f"{_VERSIONS}/emit-lineage", emit_lineage, "databricks"),
    DoorRoute("POST", f"{_VERSIONS}/generate-temporary-credentials", credentials, "databricks"),
)
