"""Registered models, their versions, aliases and files, through the official `databricks-sdk`."""

from __future__ import annotations

import io
import uuid

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service.catalog import ModelVersionInfoStatus

from tests.clients.conftest import Site


@pytest.fixture(scope="module")
def schema(plain_client: WorkspaceClient) -> str:
    name = f"models_{uuid.uuid4().hex[:8]}"
    plain_client.schemas.create(name, "main")
    return name


def _version(w: WorkspaceClient, schema: str, name: str, **more: str) -> int:
    """A version with one file; the SDK leaves creating one to MLflow, so this is the call that MLflow makes."""
    body = {"catalog_name": "main", "schema_name": schema, "model_name": name, "source": "dbfs:/runs/1", **more}
    made = w.api_client.do("POST", "/api/2.1/unity-catalog/models/versions", body=body)
    assert isinstance(made, dict)
    assert made["status"] == "PENDING_REGISTRATION"
    w.files.upload(f"/Models/main/{schema}/{name}/{made['version']}/MLmodel", io.BytesIO(b"flavors: {}"))
    done = w.api_client.do("PATCH", f"/api/2.1/unity-catalog/models/main.{schema}.{name}/versions/{made['version']}/finalize")
    assert isinstance(done, dict)
    assert done["status"] == "READY"
    return int(made["version"])


@pytest.mark.covers(
    "registered_models.create",
    "registered_models.get",
    "registered_models.list",
    "registered_models.update",
    "registered_models.delete",
)
def test_models(w: WorkspaceClient, schema: str) -> None:
    made = w.registered_models.create(catalog_name="main", schema_name=schema, name="Churn", comment="vem som går")
    assert (made.full_name, made.comment, made.owner) == (f"main.{schema}.churn", "vem som går", "admin")
    with pytest.raises(ResourceConflict):
        w.registered_models.create(catalog_name="main", schema_name=schema, name="churn")
    with pytest.raises(BadRequest):
        w.registered_models.create(catalog_name="main", schema_name=schema, name="other", storage_location="s3://elsewhere")
    w.registered_models.create(catalog_name="main", schema_name=schema, name="another")
    assert [each.name for each in w.registered_models.list(catalog_name="main", schema_name=schema, max_results=1)] == ["another", "churn"]
    changed = w.registered_models.update(f"main.{schema}.another", new_name="moved", comment="new")
    assert (changed.full_name, changed.comment) == (f"main.{schema}.moved", "new")
    w.registered_models.delete(f"main.{schema}.moved")
    with pytest.raises(NotFound):
        w.registered_models.get(f"main.{schema}.moved")
    assert w.registered_models.get(f"main.{schema}.churn").name == "churn"


@pytest.mark.covers(
    "model_versions.list",
    "model_versions.get",
    "model_versions.get_by_alias",
    "model_versions.update",
    "model_versions.delete",
    "registered_models.set_alias",
    "registered_models.delete_alias",
    "files.download",
    "files.list_directory_contents",
)
def test_versions_aliases_and_files(w: WorkspaceClient, schema: str) -> None:
    w.registered_models.create(catalog_name="main", schema_name=schema, name="price")
    name = f"main.{schema}.price"
    assert [_version(w, schema, "price", comment="one"), _version(w, schema, "price", run_id="r2")] == [1, 2]
    assert [each.version for each in w.model_versions.list(name, max_results=1)] == [2, 1]
    second = w.model_versions.get(name, 2)
    assert (second.status, second.run_id, second.source) == (ModelVersionInfoStatus.READY, "r2", "dbfs:/runs/1")
    assert w.model_versions.update(name, 1, comment="first").comment == "first"
    alias = w.registered_models.set_alias(name, "champion", 1)
    assert (alias.alias_name, alias.version_num) == ("champion", 1)
    w.registered_models.set_alias(name, "champion", 2)
    found = w.model_versions.get_by_alias(name, "champion")
    assert found.version == 2
    assert [each.alias_name for each in found.aliases or []] == ["champion"]
    folder = f"/Models/main/{schema}/price/2"
    assert [each.name for each in w.files.list_directory_contents(folder)] == ["MLmodel"]
    content = w.files.download(f"{folder}/MLmodel").contents
    assert content
    assert content.read() == b"flavors: {}"
    with pytest.raises(BadRequest, match="do not change"):
        w.files.upload(f"{folder}/MLmodel", io.BytesIO(b"other"), overwrite=True)
    w.registered_models.delete_alias(name, "champion")
    with pytest.raises(NotFound):
        w.model_versions.get_by_alias(name, "champion")
    w.model_versions.delete(name, 2)
    with pytest.raises(NotFound):
        w.model_versions.get(name, 2)
    with pytest.raises(NotFound):
        w.files.download(f"{folder}/MLmodel")


def test_somebody_else_sees_and_changes_nothing(site: Site, w: WorkspaceClient, schema: str) -> None:
    w.registered_models.create(catalog_name="main", schema_name=schema, name="secret")
    name = f"main.{schema}.secret"
    _version(w, schema, "secret")
    bo = site.client("bo")
    for call in (
        lambda: bo.registered_models.get(name),
        lambda: bo.model_versions.get(name, 1),
        lambda: bo.files.download(f"/Models/main/{schema}/secret/1/MLmodel"),
        lambda: bo.registered_models.delete(name),
    ):
        with pytest.raises((NotFound, PermissionDenied)) as caught:
            call()
        assert "MLmodel" not in str(caught.value) or "does not exist" in str(caught.value)
    assert name not in [each.full_name for each in bo.registered_models.list()]
