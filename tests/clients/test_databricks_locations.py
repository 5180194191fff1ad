"""External locations by the official client: made, changed and ended by stewards, with a secret that nobody is told."""

from __future__ import annotations

import json
import urllib.request

import pytest
from databricks.sdk import WorkspaceClient, errors

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
