"""External locations by the official client: made, changed and ended by stewards, with a secret that nobody is told."""

from __future__ import annotations

import json
import urllib.request

import pytest
from databricks.sdk import WorkspaceClient, errors
from databricks.sdk.service.catalog import AwsIamRoleRequest, AzureServicePrincipal, CloudflareApiToken

from tests.clients.conftest import Site


@pytest.mark.covers(
    "external_locations.create",
    "external_locations.get",
    "external_locations.list",
    "external_locations.update",
    "external_locations.delete",
)
def test_external_locations(w: WorkspaceClient, site: Site) -> None:
    w.secrets.create_scope("clouds")
    w.secrets.put_secret("clouds", "exports", string_value=json.dumps({"access_key_id": "AKIAX", "secret_access_key": "hush"}))
    made = w.external_locations.create("exports", "s3://company-exports/daily/", "clouds/exports", comment="Each night")
    assert (made.name, made.credential_name, made.read_only, made.owner) == ("exports", "clouds/exports", True, "admin")
    assert made.created_at
    assert w.external_locations.get("exports").url == "s3://company-exports/daily/"
    assert [each.name for each in w.external_locations.list()] == ["exports"]
    changed = w.external_locations.update("exports", url="s3://company-exports/weekly/", comment="Each week")
    assert (changed.url, changed.comment, changed.credential_name) == ("s3://company-exports/weekly/", "Each week", "clouds/exports")
    request = urllib.request.Request(
        f"{site.server.url}/api/2.1/unity-catalog/external-locations/exports", headers={"Authorization": f"Bearer {site.token('admin')}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert b"hush" not in answer.read()
    for wrong in ("file:///etc", "s3://a:b@bucket/", "https://x.example/?a=b"):
        with pytest.raises(errors.BadRequest):
            w.external_locations.create("odd", wrong, "clouds/exports")
    with pytest.raises(errors.NotImplemented, match="enable_file_events"):
        w.external_locations.create("odd", "s3://bucket/x/", "clouds/exports", enable_file_events=True)
    other = site.client("locations_reader")
    assert list(other.external_locations.list()) == []
    with pytest.raises(errors.NotFound):
        other.external_locations.get("exports")
    with pytest.raises(errors.PermissionDenied):
        other.external_locations.update("exports", comment="mine")
    with pytest.raises(errors.PermissionDenied):
        other.external_locations.delete("exports")
    w.external_locations.delete("exports")
    with pytest.raises(errors.NotFound):
        w.external_locations.get("exports")


@pytest.mark.covers(
    "storage_credentials.create",
    "storage_credentials.get",
    "storage_credentials.list",
    "storage_credentials.update",
    "storage_credentials.delete",
)
def test_storage_credentials(w: WorkspaceClient, site: Site, plain_client: WorkspaceClient) -> None:
    principal = AzureServicePrincipal(directory_id="tenant-1", application_id="app-1", client_secret="hush hush".replace(" ", "-"))
    made = w.storage_credentials.create("lake", azure_service_principal=principal, comment="Of the old lake")
    assert (made.name, made.comment, made.owner) == ("lake", "Of the old lake", "admin")
    assert made.azure_service_principal
    assert (made.azure_service_principal.directory_id, made.azure_service_principal.application_id) == ("tenant-1", "app-1")
    w.storage_credentials.create("r2", cloudflare_api_token=CloudflareApiToken("key-1", "hush-hush", "account1"))
    assert [each.name for each in w.storage_credentials.list()] == ["lake", "r2"]
    assert "hush" not in str([each.as_dict() for each in plain_client.storage_credentials.list()])
    assert w.storage_credentials.update("r2", comment="Another word").comment == "Another word"
    told = w.storage_credentials.get("r2").cloudflare_api_token
    assert told
    assert told.as_dict() == {"access_key_id": "key-1", "account_id": "account1"}
    with pytest.raises(errors.ResourceConflict):
        w.storage_credentials.create("lake", azure_service_principal=principal)
    with pytest.raises(errors.BadRequest):
        w.storage_credentials.create("odd", cloudflare_api_token=CloudflareApiToken("key-1", "x", "evil.example/#"))
    with pytest.raises(errors.NotImplemented, match="aws_iam_role"):
        w.storage_credentials.create("odd", aws_iam_role=AwsIamRoleRequest("arn:aws:iam::1:role/x"))
    place = plain_client.external_locations.create("by_credential", "s3://bucket/x/", "r2")
    assert place.credential_name == "r2"
    with pytest.raises(errors.NotFound):
        plain_client.external_locations.create("odd", "s3://bucket/x/", "nobody")
    with pytest.raises(errors.BadRequest, match="uses this storage credential"):
        w.storage_credentials.delete("r2")
    with pytest.raises(errors.NotFound):
        plain_client.secrets.get_secret("insjo.storage-credentials", "r2")
    with pytest.raises(errors.NotFound):
        list(plain_client.secrets.list_secrets("insjo.storage-credentials"))
    assert "insjo.storage-credentials" not in {each.name for each in plain_client.secrets.list_scopes()}
    with pytest.raises(errors.BadRequest):
        plain_client.secrets.create_scope("insjo.mine")
    other = site.client("locations_reader")
    assert list(other.storage_credentials.list()) == []
    for refused, attempt in (
        (errors.NotFound, lambda: other.storage_credentials.get("lake")),
        (errors.NotFound, lambda: other.storage_credentials.delete("lake")),
        (errors.NotFound, lambda: other.storage_credentials.update("lake", comment="mine")),
        (errors.PermissionDenied, lambda: other.storage_credentials.create("lake", azure_service_principal=principal)),
    ):
        with pytest.raises(refused):
            attempt()
    w.storage_credentials.delete("r2", force=True)
    w.storage_credentials.delete("lake")
    plain_client.external_locations.delete("by_credential")
    assert list(plain_client.storage_credentials.list()) == []
