"""Workspace files, dashboards, saved queries and permission levels through the official `databricks-sdk`."""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
import uuid
from urllib.parse import quote

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    NotFound,
    NotImplemented,  # noqa: A004  # The SDK's name of the error for 501.
    PermissionDenied,
    ResourceConflict,
)
from databricks.sdk.service.dashboards import Dashboard, LifecycleState
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.sql import CreateQueryRequestQuery, RunAsMode, UpdateQueryRequestQuery
from databricks.sdk.service.workspace import AclPermission, ExportFormat, ImportFormat, Language, ObjectType

from tests.clients.conftest import Site

DOCUMENT = json.dumps(
    {
        "datasets": [{"name": "d", "displayName": "Numbers", "queryLines": ["SELECT 1"]}],
        "pages": [{"name": "p", "displayName": "Översikt", "layout": []}],
    }
)


def fresh(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}_{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def folder(plain_client: WorkspaceClient) -> str:
    """A folder of this module in the admin's home."""
    path = f"/Users/admin/{fresh('wåre')}"
    plain_client.workspace.mkdirs(path)
    return path


@pytest.mark.covers(
    "workspace.mkdirs",
    "workspace.upload",
    "workspace.download",
    "workspace.import_",
    "workspace.export",
    "workspace.list",
    "workspace.get_status",
    "workspace.delete",
)
def test_files_and_notebooks(w: WorkspaceClient, folder: str) -> None:
    w.workspace.mkdirs(f"{folder}/a b/c")
    w.workspace.upload(f"{folder}/a b/c/data å.bin", b"\x00\xff" * 70_000, format=ImportFormat.AUTO)
    assert w.workspace.download(f"{folder}/a b/c/data å.bin").read() == b"\x00\xff" * 70_000
    w.workspace.upload(f"{folder}/load.py", io.BytesIO(b"print(1)"))
    status = w.workspace.get_status(f"{folder}/load.py")
    assert (status.object_type, status.language) == (ObjectType.NOTEBOOK, Language.PYTHON)
    w.workspace.import_(f"{folder}/q", content="U0VMRUNUIDE=", format=ImportFormat.SOURCE, language=Language.SQL)
    assert w.workspace.export(f"{folder}/q", format=ExportFormat.SOURCE).content == "U0VMRUNUIDE="
    with pytest.raises(ResourceConflict):
        w.workspace.upload(f"{folder}/load.py", b"print(2)")
    w.workspace.upload(f"/Workspace{folder}/load.py", b"print(3)", overwrite=True)
    assert w.workspace.download(f"{folder}/load.py").read() == b"print(3)"
    found = {each.path: each for each in w.workspace.list(folder)}
    assert set(found) == {f"{folder}/a b", f"{folder}/load.py", f"{folder}/q"}
    assert [each.path for each in w.workspace.list(folder, recursive=True)][-1] == f"{folder}/a b/c/data å.bin"
    assert found[f"{folder}/q"].size == len("SELECT 1")
    with pytest.raises(BadRequest, match="not empty"):
        w.workspace.delete(f"{folder}/a b")
    w.workspace.delete(f"{folder}/a b", recursive=True)
    with pytest.raises(NotFound):
        w.workspace.get_status(f"{folder}/a b/c")
    with pytest.raises(NotImplemented, match="DBC"):
        w.workspace.upload(f"{folder}/x", b"", format=ImportFormat.DBC)
    with pytest.raises(NotImplemented, match="HTML"):
        w.workspace.export(f"{folder}/q", format=ExportFormat.HTML)


def test_what_bundles_deploy(site: Site, plain_client: WorkspaceClient, folder: str) -> None:
    raw = f"{site.server.url}/api/2.0/workspace-files/import-file{quote(folder)}/databricks.yml?overwrite=true"
    for text in (b"bundle: 1", b"bundle: 2"):
        sent = urllib.request.Request(raw, data=text, headers={"authorization": f"Bearer {site.token('admin')}"}, method="POST")
        with urllib.request.urlopen(sent, timeout=30) as answer:
            assert answer.status == 200
    assert plain_client.workspace.download(f"{folder}/databricks.yml").read() == b"bundle: 2"


@pytest.mark.covers("permissions.get", "permissions.set", "permissions.update", "permissions.get_permission_levels")
def test_a_home_is_private_until_a_level_is_given(w: WorkspaceClient, site: Site, folder: str) -> None:
    other = site.client("wera")
    w.workspace.upload(f"{folder}/shared.txt", b"one", format=ImportFormat.AUTO)
    for call in (other.workspace.get_status, other.workspace.download, other.workspace.delete, lambda p: list(other.workspace.list(p))):
        with pytest.raises(NotFound):
            call(f"{folder}/shared.txt")
    number = str(w.workspace.get_status(folder).object_id)
    levels = w.permissions.get_permission_levels("directories", number).permission_levels or []
    assert {each.permission_level for each in levels} >= {PermissionLevel.CAN_READ, PermissionLevel.CAN_EDIT, PermissionLevel.CAN_MANAGE}
    w.permissions.update(
        "directories", number, access_control_list=[AccessControlRequest(user_name="wera", permission_level=PermissionLevel.CAN_READ)]
    )
    assert other.workspace.download(f"{folder}/shared.txt").read() == b"one"
    with pytest.raises(PermissionDenied):
        other.workspace.upload(f"{folder}/shared.txt", b"two", format=ImportFormat.AUTO, overwrite=True)
    with pytest.raises(PermissionDenied):
        other.permissions.set("directories", number, access_control_list=[])
    file_number = str(w.workspace.get_status(f"{folder}/shared.txt").object_id)
    inherited = {each.user_name: each.all_permissions or [] for each in w.permissions.get("files", file_number).access_control_list or []}
    assert [(each.permission_level, each.inherited) for each in inherited["wera"]] == [(PermissionLevel.CAN_READ, True)]
    entry = AccessControlRequest(user_name="wera", permission_level=PermissionLevel.CAN_EDIT)
    w.permissions.set("directories", number, access_control_list=[entry])
    other.workspace.upload(f"{folder}/shared.txt", b"two", format=ImportFormat.AUTO, overwrite=True)
    w.permissions.set("directories", number, access_control_list=[])
    with pytest.raises(NotFound):
        other.workspace.get_status(f"{folder}/shared.txt")
    with pytest.raises(NotFound):
        other.permissions.get("directories", number)
    with pytest.raises(BadRequest, match="permission level"):
        w.permissions.set(
            "directories", number, access_control_list=[AccessControlRequest(user_name="wera", permission_level=PermissionLevel.CAN_USE)]
        )
    with pytest.raises(NotImplemented, match="clusters"):
        w.permissions.get("clusters", "1")


def test_levels_of_a_warehouse(plain_client: WorkspaceClient, site: Site) -> None:
    made = plain_client.warehouses.create(name=fresh("wh"), cluster_size="2X-Small", auto_stop_mins=10).result()
    assert made.id
    other = site.client("wera")
    with pytest.raises(NotFound):
        other.warehouses.get(made.id)
    entry = AccessControlRequest(user_name="wera", permission_level=PermissionLevel.CAN_USE)
    plain_client.permissions.update("warehouses", made.id, access_control_list=[entry])
    assert other.warehouses.get(made.id).id == made.id
    assert other.statement_execution.execute_statement("SELECT 1", made.id).status is not None
    with pytest.raises(PermissionDenied):
        other.permissions.update("warehouses", made.id, access_control_list=[entry])
    entry = AccessControlRequest(user_name="wera", permission_level=PermissionLevel.IS_OWNER)
    acl = plain_client.permissions.update("warehouses", made.id, access_control_list=[entry])
    owners = [
        each.user_name
        for each in acl.access_control_list or []
        for held in each.all_permissions or []
        if held.permission_level == PermissionLevel.IS_OWNER
    ]
    assert owners == ["wera"]
    other.warehouses.delete(made.id)


@pytest.mark.covers(
    "lakeview.create",
    "lakeview.get",
    "lakeview.list",
    "lakeview.update",
    "lakeview.publish",
    "lakeview.get_published",
    "lakeview.unpublish",
    "lakeview.revert",
    "lakeview.trash",
)
def test_dashboards(w: WorkspaceClient, site: Site, folder: str) -> None:
    name = fresh("Försäljning")
    made = w.lakeview.create(Dashboard(display_name=name, serialized_dashboard=DOCUMENT, parent_path=folder))
    assert made.dashboard_id
    assert (made.path, made.serialized_dashboard, made.lifecycle_state) == (f"{folder}/{name}.lvdash.json", DOCUMENT, LifecycleState.ACTIVE)
    assert w.lakeview.get(made.dashboard_id).as_dict() == made.as_dict()
    assert made.dashboard_id in {each.dashboard_id for each in w.lakeview.list(page_size=1)}
    with pytest.raises(ResourceConflict):
        w.lakeview.create(Dashboard(display_name=name, parent_path=folder))
    published = w.lakeview.publish(made.dashboard_id, warehouse_id="abc")
    assert (published.display_name, published.embed_credentials, published.warehouse_id) == (name, False, "abc")
    changed = w.lakeview.update(made.dashboard_id, Dashboard(serialized_dashboard="{}", etag=made.etag))
    assert changed.etag != made.etag
    with pytest.raises(ResourceConflict, match="changed the dashboard"):
        w.lakeview.update(made.dashboard_id, Dashboard(display_name="x", etag=made.etag))
    w.lakeview.revert(made.dashboard_id, etag=changed.etag)
    assert w.lakeview.get(made.dashboard_id).serialized_dashboard == DOCUMENT
    other = site.client("wera")
    with pytest.raises(NotFound):
        other.lakeview.get_published(made.dashboard_id)
    assert made.dashboard_id not in {each.dashboard_id for each in other.lakeview.list()}
    entry = AccessControlRequest(user_name="wera", permission_level=PermissionLevel.CAN_READ)
    w.permissions.update("dashboards", made.dashboard_id, access_control_list=[entry])
    assert other.lakeview.get_published(made.dashboard_id).display_name == w.lakeview.get_published(made.dashboard_id).display_name
    with pytest.raises(PermissionDenied):
        other.lakeview.trash(made.dashboard_id)
    with pytest.raises(NotImplemented, match="embed_credentials"):
        w.lakeview.publish(made.dashboard_id, embed_credentials=True)
    w.lakeview.unpublish(made.dashboard_id)
    with pytest.raises(NotFound):
        w.lakeview.get_published(made.dashboard_id)
    w.lakeview.trash(made.dashboard_id)
    assert made.dashboard_id not in {each.dashboard_id for each in w.lakeview.list()}
    assert made.dashboard_id in {each.dashboard_id for each in w.lakeview.list(show_trashed=True)}
    with pytest.raises(BadRequest, match="JSON"):
        w.lakeview.create(Dashboard(display_name=fresh("d"), serialized_dashboard="no"))


@pytest.mark.covers("queries.create", "queries.get", "queries.list", "queries.update", "queries.delete", "queries.list_visualizations")
def test_saved_queries(w: WorkspaceClient, site: Site, folder: str) -> None:
    name = fresh("Late")
    query = CreateQueryRequestQuery(display_name=name, query_text="SELECT 1", tags=["a"], parent_path=folder, catalog="main")
    made = w.queries.create(query=query)
    assert made.id
    assert (made.query_text, made.owner_user_name, made.run_as_mode, made.tags) == ("SELECT 1", "admin", RunAsMode.VIEWER, ["a"])
    with pytest.raises(ResourceConflict):
        w.queries.create(query=query)
    assert w.queries.create(query=query, auto_resolve_display_name=True).display_name == f"{name} (1)"
    changed = w.queries.update(made.id, "query_text,tags", query=UpdateQueryRequestQuery(query_text="SELECT 2"))
    assert (changed.query_text, changed.tags, changed.catalog) == ("SELECT 2", None, "main")
    assert w.queries.get(made.id).as_dict() == changed.as_dict()
    assert made.id in {each.id for each in w.queries.list(page_size=1)}
    assert list(w.queries.list_visualizations(made.id)) == []
    other = site.client("wera")
    for call in (other.queries.get, other.queries.delete):
        with pytest.raises(NotFound):
            call(made.id)
    with pytest.raises(NotImplemented, match="run_as_mode"):
        w.queries.create(query=CreateQueryRequestQuery(display_name=fresh("q"), run_as_mode=RunAsMode.OWNER))
    with pytest.raises(BadRequest, match="update_mask"):
        w.queries.update(made.id, "owner_user_name", query=UpdateQueryRequestQuery(query_text="SELECT 2"))
    w.queries.delete(made.id)
    assert made.id not in {each.id for each in w.queries.list()}


@pytest.mark.covers(
    "secrets.create_scope",
    "secrets.list_scopes",
    "secrets.delete_scope",
    "secrets.put_secret",
    "secrets.get_secret",
    "secrets.list_secrets",
    "secrets.delete_secret",
    "secrets.put_acl",
    "secrets.get_acl",
    "secrets.list_acls",
    "secrets.delete_acl",
)
def test_secrets(w: WorkspaceClient, site: Site) -> None:
    scope = fresh("scope")
    w.secrets.create_scope(scope)
    w.secrets.put_secret(scope, "token", string_value="hemligt å")
    w.secrets.put_secret(scope, "bytes", bytes_value=base64.b64encode(b"\x00\xff").decode())
    assert base64.b64decode(w.secrets.get_secret(scope, "token").value or "").decode() == "hemligt å"
    assert base64.b64decode(w.secrets.get_secret(scope, "bytes").value or "") == b"\x00\xff"
    assert w.dbutils.secrets.get(scope, "token") == "hemligt å"
    assert [each.key for each in w.secrets.list_secrets(scope)] == ["bytes", "token"]
    assert scope in {each.name for each in w.secrets.list_scopes()}
    other = site.client("wera")
    with pytest.raises(NotFound):
        other.secrets.get_secret(scope, "token")
    assert scope not in {each.name for each in other.secrets.list_scopes()}
    w.secrets.put_acl(scope, "wera", AclPermission.READ)
    assert other.secrets.get_secret(scope, "token").key == "token"
    with pytest.raises(PermissionDenied):
        other.secrets.put_secret(scope, "token", string_value="x")
    assert w.secrets.get_acl(scope, "wera").permission == AclPermission.READ
    assert {each.principal: each.permission for each in w.secrets.list_acls(scope)} == {
        "admin": AclPermission.MANAGE,
        "wera": AclPermission.READ,
    }
    w.secrets.delete_acl(scope, "wera")
    with pytest.raises(NotFound):
        other.secrets.get_secret(scope, "token")
    with pytest.raises(BadRequest):
        w.secrets.put_secret(scope, "token")
    with pytest.raises(ResourceConflict):
        w.secrets.create_scope(scope)
    w.secrets.delete_secret(scope, "token")
    w.secrets.delete_scope(scope)
    with pytest.raises(NotFound):
        list(w.secrets.list_secrets(scope))
