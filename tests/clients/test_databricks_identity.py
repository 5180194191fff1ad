"""Service principals, OAuth for programs and SCIM lists through the official `databricks-sdk`."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import (
    BadRequest,
    NotFound,
    NotImplemented,  # noqa: A004  # The SDK's name of the error for 501.
    PermissionDenied,
    ResourceConflict,
    Unauthenticated,
)
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from databricks.sdk.service.iam import AccessControlRequest, ComplexValue, ListSortOrder, Name, Patch, PatchOp, PatchSchema, PermissionLevel

from tests.clients.conftest import NO_RETRY_S, Site

SCHEMAS = [PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]


def fresh(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def machine(site: Site, client_id: str, secret: str) -> WorkspaceClient:
    """A client that signs in with OAuth, as a program does."""
    config = Config(
        host=site.server.url, client_id=client_id, client_secret=secret, auth_type="oauth-m2m", retry_timeout_seconds=NO_RETRY_S
    )
    return WorkspaceClient(config=config)


def exchange(site: Site, **fields: str) -> tuple[int, dict[str, Any]]:
    """One call of the token endpoint."""
    sent = urllib.request.Request(f"{site.server.url}/oidc/v1/token", data=urllib.parse.urlencode(fields).encode(), method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.covers(
    "service_principals.create",
    "service_principals.list",
    "service_principals.get",
    "service_principals.patch",
    "service_principals.update",
    "service_principals.delete",
)
def test_service_principals(w: WorkspaceClient, site: Site) -> None:
    name = fresh("Robot")
    made = w.service_principals.create(display_name=name, active=True)
    assert made.id
    assert (made.display_name, made.active, made.application_id) == (name, True, made.id)
    assert [each.id for each in w.service_principals.list(filter=f'displayName eq "{name}"')] == [made.id]
    assert [each.id for each in w.service_principals.list(filter=f'applicationId eq "{made.id}" and active eq true')] == [made.id]
    w.service_principals.patch(made.id, operations=[Patch(op=PatchOp.REPLACE, path="active", value=False)], schemas=SCHEMAS)
    assert w.service_principals.get(made.id).active is False
    w.service_principals.update(made.id, display_name="Renamed", active=True)
    assert (w.service_principals.get(made.id).display_name, w.service_principals.get(made.id).active) == ("Renamed", True)
    with pytest.raises(ResourceConflict):
        w.service_principals.create(display_name=name)
    with pytest.raises(NotImplemented, match="entitlements"):
        w.service_principals.create(display_name=fresh("x"), entitlements=[ComplexValue(value="workspace-access")])
    with pytest.raises(PermissionDenied):
        site.client("ida").service_principals.create(display_name=fresh("x"))
    with pytest.raises(PermissionDenied):
        site.client("ida").service_principals.delete(made.id)
    with pytest.raises(NotFound):
        w.users.get(made.id)
    w.service_principals.delete(made.id)
    with pytest.raises(NotFound):
        w.service_principals.get(made.id)


@pytest.mark.covers(
    "service_principal_secrets_proxy.create", "service_principal_secrets_proxy.list", "service_principal_secrets_proxy.delete"
)
def test_a_program_signs_in_and_has_only_its_own_rights(w: WorkspaceClient, site: Site) -> None:
    robot = w.service_principals.create(display_name=fresh("loader"))
    assert robot.id
    assert robot.application_id
    secret = w.service_principal_secrets_proxy.create(robot.id, lifetime="3600s")
    assert secret.id
    assert secret.secret
    assert [each.id for each in w.service_principal_secrets_proxy.list(robot.id)] == [secret.id]
    assert secret.secret not in str(list(w.service_principal_secrets_proxy.list(robot.id)))
    program = machine(site, robot.application_id, secret.secret)
    assert program.current_user.me().id == robot.id
    catalog = w.catalogs.create(fresh("m2m").replace("-", "_"))
    assert catalog.name
    with pytest.raises(NotFound):
        program.catalogs.get(catalog.name)
    change = PermissionsChange(principal=robot.application_id, add=[Privilege.USE_CATALOG])
    w.grants.update("catalog", catalog.name, changes=[change])
    assert program.catalogs.get(catalog.name).name == catalog.name
    entry = AccessControlRequest(service_principal_name=robot.application_id, permission_level=PermissionLevel.CAN_READ)
    program_home = w.workspace.get_status("/Shared").object_id
    w.permissions.update("directories", str(program_home), access_control_list=[entry])
    with pytest.raises(PermissionDenied):
        program.service_principal_secrets_proxy.create(robot.id)
    assert [each.id for each in program.service_principal_secrets_proxy.list(robot.id)] == [secret.id]
    with pytest.raises(PermissionDenied):
        list(site.client("ida").service_principal_secrets_proxy.list(robot.id))
    w.service_principal_secrets_proxy.delete(robot.id, secret.id)
    with pytest.raises(Unauthenticated):  # The token that it holds has ended with its secret.
        program.current_user.me()
    with pytest.raises(NotFound):
        w.service_principal_secrets_proxy.delete(robot.id, secret.id)
    w.catalogs.delete(catalog.name)


def test_what_ends_a_program(plain_client: WorkspaceClient, site: Site) -> None:
    robot = plain_client.service_principals.create(display_name=fresh("gone"))
    assert robot.id
    secrets = [plain_client.service_principal_secrets_proxy.create(robot.id).secret or "" for _ in range(5)]
    with pytest.raises(BadRequest, match="5 secrets"):
        plain_client.service_principal_secrets_proxy.create(robot.id)
    program = machine(site, robot.id, secrets[4])
    assert program.current_user.me().active
    plain_client.service_principals.patch(robot.id, operations=[Patch(op=PatchOp.REPLACE, path="active", value="false")], schemas=SCHEMAS)
    with pytest.raises(Unauthenticated):
        program.current_user.me()
    assert exchange(site, grant_type="client_credentials", client_id=robot.id, client_secret=secrets[4])[0] == 401


def test_the_token_endpoint_answers_as_oauth_does(plain_client: WorkspaceClient, site: Site) -> None:
    robot = plain_client.service_principals.create(display_name=fresh("form"))
    other = plain_client.service_principals.create(display_name=fresh("form"))
    assert robot.id
    assert other.id
    secret = plain_client.service_principal_secrets_proxy.create(robot.id).secret or ""
    status, body = exchange(site, grant_type="client_credentials", client_id=robot.id, client_secret=secret, scope="all-apis")
    assert (status, body["token_type"], body["expires_in"]) == (200, "Bearer", 3600)
    assert site.client(token=body["access_token"]).current_user.me().id == robot.id
    changed = body["access_token"][:-1] + ("0" if body["access_token"][-1] != "0" else "1")
    with pytest.raises(Unauthenticated):
        site.client(token=changed).current_user.me()
    for fields, expected in (
        ({"grant_type": "client_credentials", "client_id": other.id, "client_secret": secret}, (401, "invalid_client")),
        ({"grant_type": "client_credentials", "client_id": robot.id, "client_secret": secret[:-1]}, (401, "invalid_client")),
        ({"grant_type": "client_credentials"}, (401, "invalid_client")),
        ({"grant_type": "password", "client_id": robot.id, "client_secret": secret}, (400, "unsupported_grant_type")),
        ({"client_id": robot.id}, (400, "invalid_request")),
        ({"grant_type": "client_credentials", "client_id": robot.id, "client_secret": secret, "scope": "x"}, (400, "invalid_scope")),
        ({"grant_type": "client_credentials", "assume_group": "admins"}, (400, "invalid_request")),
    ):
        status, body = exchange(site, **fields)
        assert (status, body["error"]) == expected, fields
        assert secret not in str(body)


@pytest.mark.covers("token_management.list", "token_management.get", "token_management.delete", "token_management.create_obo_token")
def test_admins_see_and_end_the_tokens_of_all(w: WorkspaceClient, site: Site) -> None:
    robot = w.service_principals.create(display_name=fresh("obo"))
    assert robot.application_id
    made = w.token_management.create_obo_token(application_id=robot.application_id, comment="nightly", lifetime_seconds=600)
    assert made.token_info
    assert made.token_info.token_id
    assert made.token_value
    assert site.client(token=made.token_value).current_user.me().id == robot.id
    assert w.token_management.get(made.token_info.token_id).token_info is not None
    assert made.token_info.token_id in {each.token_id for each in w.token_management.list()}
    other = site.client("ida")
    with pytest.raises(PermissionDenied):
        list(other.token_management.list())
    with pytest.raises(PermissionDenied):
        other.token_management.delete(made.token_info.token_id)
    w.token_management.delete(made.token_info.token_id)
    with pytest.raises(Unauthenticated):
        site.client(token=made.token_value).current_user.me()
    with pytest.raises(NotFound):
        w.token_management.get(made.token_info.token_id)


def test_lists_of_people_can_be_filtered_ordered_and_cut(plain_client: WorkspaceClient) -> None:
    prefix = fresh("scim")
    for letter in "bca":
        plain_client.users.create(user_name=f"{prefix}.{letter}@example.com", display_name=f"Person {letter.upper()}")
    found = plain_client.users.list(filter=f'userName sw "{prefix}"', sort_by="displayName", sort_order=ListSortOrder.DESCENDING)
    assert [each.display_name for each in found] == ["Person C", "Person B", "Person A"]
    either = f'userName eq "{prefix}.a@example.com" or userName sw "{prefix}" and displayName ew "C"'
    assert {each.display_name for each in plain_client.users.list(filter=either)} == {"Person A", "Person C"}
    (only,) = plain_client.users.list(filter=f'userName eq "{prefix}.a@example.com"', attributes="id,userName")
    assert (only.user_name, only.display_name) == (f"{prefix}.a@example.com", None)
    (less,) = plain_client.users.list(filter=f'userName eq "{prefix}.a@example.com"', excluded_attributes="userName")
    assert (less.user_name, less.display_name) == (None, "Person A")
    assert [each.user_name for each in plain_client.users.list(filter=f'userName sw "{prefix}"', count=1)] == [
        f"{prefix}.{letter}@example.com" for letter in "abc"
    ]
    group = plain_client.groups.create(display_name=fresh("team"), members=[ComplexValue(value=only.id)])
    (shown,) = plain_client.groups.list(filter=f'id eq "{group.id}"', attributes="id,members")
    assert [each.value for each in shown.members or []] == [only.id]
    assert only.id
    assert group.id
    patches = [
        Patch(op=PatchOp.REPLACE, path="emails", value=[{"value": "new@example.com", "primary": True}]),
        Patch(op=PatchOp.REPLACE, path="userName", value=f"{prefix}.renamed@example.com"),
    ]
    plain_client.users.patch(only.id, operations=patches, schemas=SCHEMAS)
    renamed = plain_client.users.get(only.id)
    assert (renamed.user_name, [each.value for each in renamed.emails or []]) == (f"{prefix}.renamed@example.com", ["new@example.com"])
    plain_client.groups.patch(group.id, operations=[Patch(op=PatchOp.REPLACE, path="displayName", value=f"{prefix}-team")], schemas=SCHEMAS)
    assert plain_client.groups.get(group.id).display_name == f"{prefix}-team"
    with pytest.raises(NotImplemented, match="entitlements"):
        plain_client.users.create(user_name=fresh("x"), entitlements=[ComplexValue(value="workspace-access")])
    named = plain_client.users.create(user_name=fresh("named"), name=Name(given_name="Eva", family_name="Ek"))
    assert named.display_name == "Eva Ek"
    for wrong in ("userName", 'userName like "x"', 'password eq "x"', 'userName eq "x" xor active eq true', 'userName eq "x'):
        with pytest.raises(BadRequest, match="not supported"):
            list(plain_client.users.list(filter=wrong))
    with pytest.raises(BadRequest, match="ordered"):
        list(plain_client.users.list(sort_by="password"))
