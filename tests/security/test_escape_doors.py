"""Ways out through the doors beside SQL: identity, workspace, files, ingest, secrets, permissions.  None gives rights, files or names."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from itertools import product
from urllib.parse import quote

import pytest

from tests.security.conftest import CANARY, Answer, Prisoner, without
from tests.security.test_escape import NASTY, targets_of

SCIM = "/api/2.0/preview/scim/v2"
CLIMBS = (
    *(
        "/Users/mallory/../admin/{0}_folder",
        "/Users/mallory/%2e%2e/admin/{0}_folder",
        "/Users/admin/{0}_folder",
        "//Users//admin/{0}_folder",
    ),
    *("/Users/ADMIN/{0}_folder", "/Users/admin/./{0}_folder", "/Workspace/Users/admin/{0}_folder", "/Users/mallory/../../../../etc/passwd"),
    *(
        "/etc/passwd",
        "../../etc/passwd",
        "/Users/mallory/\x00/../x",
        "/Users/mallory\\..\\admin",
        "/Users/admin%00",
        "/Users/mallory/....//",
    ),
    *("/Repos/../etc", "file:///etc/passwd", "dbfs:/etc/passwd", "/Shared/../Users/admin/{0}_folder", "~", "$HOME", "/Users/*/{0}_folder"),
)
FILTERS = (
    *('userName eq "admin"', 'userName sw "a"', 'userName co "%"', 'id eq "1" or 1 eq 1', 'userName eq "x" or true', "userName pr"),
    *('displayName eq "admins"', 'password sw "a"', 'emails.value co "@"', "userName eq 'x'; DROP TABLE access_principals", "((((((((("),
    *('userName eq "\\""', "not (userName eq 1)", 'meta.created gt "2000-01-01"', 'hash sw "0"', "userName eq " + '"' * 500),
)


def _document(prisoner: Prisoner, method: str, path: str, body: object = None, *, sent: str = "") -> Answer:
    """One call, whose answer tells nothing of others."""
    answer = prisoner.door.call(method, path, body)
    told = without(answer.body, f"{path} {json.dumps(body)} {sent}")
    prisoner.told(Answer(answer.status, told, answer.headers), f"{method} {path} {body}"[:300], sent)
    return answer


@pytest.fixture(scope="module")
def ids(prisoner: Prisoner) -> dict[str, str]:
    """Identifiers of principals, as an admin sees them."""
    admin = prisoner.guarded.admin
    users = {each["userName"]: each["id"] for each in admin.call("GET", f"{SCIM}/Users").json()["Resources"]}
    groups = {each["displayName"]: each["id"] for each in admin.call("GET", f"{SCIM}/Groups").json()["Resources"]}
    return users | {f"group {name}": found for name, found in groups.items()}


def test_nobody_makes_themselves_an_admin(prisoner: Prisoner, ids: dict[str, str]) -> None:
    me, admin = ids["mallory"], ids["admin"]
    member = {"value": me, "$ref": f"Users/{me}"}
    groups = [found for name, found in ids.items() if name.startswith("group ")]
    assert groups
    for group, operation in product(
        groups,
        (
            {"op": "add", "path": "members", "value": [member]},
            {"op": "add", "value": {"members": [member]}},
            {"op": "replace", "path": "members", "value": [member]},
            {"op": "replace", "path": "displayName", "value": "mine"},
            {"op": "remove", "path": f'members[value eq "{admin}"]'},
            {"op": "remove", "path": "members"},
        ),
    ):
        answer = _document(prisoner, "PATCH", f"{SCIM}/Groups/{group}", {"Operations": [operation]})
        assert answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}, (operation, answer.text)
    for name, value in (
        ("roles", "admin"),
        ("entitlements", "allow-cluster-create"),
        ("groups", "admins"),
        ("userName", "admin"),
        ("id", admin),
    ):
        for target in (me, admin):
            patch = {"Operations": [{"op": "add", "path": name, "value": [{"value": value}] if name != "userName" else value}]}
            _document(prisoner, "PATCH", f"{SCIM}/Users/{target}", patch)
            _document(prisoner, "PUT", f"{SCIM}/Users/{target}", {"userName": "mallory", name: [{"value": value}]})
    refused: tuple[tuple[str, str, dict[str, object] | None], ...] = (
        ("DELETE", f"{SCIM}/Users/{admin}", None),
        ("PATCH", f"{SCIM}/Users/{admin}", {"Operations": [{"op": "replace", "path": "active", "value": False}]}),
        ("POST", f"{SCIM}/Users", {"userName": "second_mallory", "groups": [{"value": groups[0]}]}),
        ("POST", f"{SCIM}/Groups", {"displayName": "conspiracy", "members": [member]}),
        ("POST", f"{SCIM}/ServicePrincipals", {"displayName": "ghost"}),
        ("POST", "/api/2.0/token-management/on-behalf-of/tokens", {"application_id": admin, "lifetime_seconds": 60}),
        ("POST", f"/api/2.0/accounts/servicePrincipals/{admin}/credentials/secrets", {}),
        ("POST", "/api/2.0/token/delete", {"token_id": prisoner.guarded.ids["token_id"]}),
        ("DELETE", f"/api/2.0/token-management/tokens/{prisoner.guarded.ids['token_id']}", None),
    )
    for method, path, body in refused:
        assert _document(prisoner, method, path, body).status >= HTTPStatus.BAD_REQUEST, (method, path)
    found = prisoner.guarded.admin.call("GET", f"{SCIM}/Users/{me}").json()
    assert (found["userName"], found.get("roles", []), found.get("groups", [])) == ("mallory", [], found.get("groups", []))
    assert "admins" not in str(prisoner.door.call("GET", f"{SCIM}/Me").json().get("groups"))
    assert prisoner.guarded.admin.call("GET", "/api/2.0/preview/scim/v2/Me").json()["active"]


def test_no_filter_of_the_identity_door_looks_into_the_database(prisoner: Prisoner) -> None:
    for text, kind in product((*FILTERS, *NASTY), ("Users", "Groups", "ServicePrincipals")):
        for query in (f"filter={quote(text)}", f"attributes={quote(text)}", f"sortBy={quote(text)}&startIndex={quote(text)}"):
            _document(prisoner, "GET", f"{SCIM}/{kind}?{query}", sent=text)


def test_no_path_of_the_workspace_leads_to_another(prisoner: Prisoner) -> None:
    content = base64.b64encode(b"evil").decode()
    for climb in (each.format(CANARY) for each in CLIMBS):
        for below in ("", f"/{CANARY}_file", "/new"):
            path = climb + below
            for call in ("list", "get-status", "export", "export?direct_download=true&format=SOURCE"):
                url = f"/api/2.0/workspace/{call}{'&' if '?' in call else '?'}path={quote(path)}"
                _document(prisoner, "GET", url, sent=path)
            for call, body in (
                ("mkdirs", {"path": path}),
                ("delete", {"path": path, "recursive": True}),
                ("import", {"path": path, "content": content, "format": "AUTO", "overwrite": True}),
            ):
                _document(prisoner, "POST", f"/api/2.0/workspace/{call}", body, sent=path)
            _document(prisoner, "POST", f"/api/2.0/workspace-files/import-file/{quote(path)}?overwrite=true", {}, sent=path)
    guarded = prisoner.guarded
    kept = guarded.admin.call("GET", f"/api/2.0/workspace/export?path={guarded.ids['workspace_file']}").json()
    assert base64.b64decode(kept["content"]).decode() == CANARY


def test_no_path_of_dbfs_leaves_the_volume(prisoner: Prisoner) -> None:
    content = base64.b64encode(b"evil").decode()
    targets = targets_of(prisoner)
    paths = [*targets, *(f"dbfs:{each}" for each in targets), *(f"/dbfs{each}" for each in targets[4:8]), "dbfs:/", "/", "//", "/Volumes/*"]
    paths += [f"{prisoner.volume}/{'../' * depth}etc/passwd" for depth in range(1, 9)]
    for path in paths:
        for call in ("read", "list", "get-status"):
            _document(prisoner, "GET", f"/api/2.0/dbfs/{call}?path={quote(path)}", sent=path)
        for call, body in (
            ("put", {"path": path, "contents": content, "overwrite": True}),
            ("mkdirs", {"path": path}),
            ("delete", {"path": path, "recursive": True}),
            ("create", {"path": path}),
            ("move", {"source_path": f"{prisoner.volume}/in.csv", "destination_path": path}),
        ):
            if path not in {"/", "//", "dbfs:/"}:
                _document(prisoner, "POST", f"/api/2.0/dbfs/{call}", body, sent=path)
    assert prisoner.guarded.admin.call("GET", f"/api/2.0/fs/files{prisoner.guarded.ids['file']}").status == HTTPStatus.OK


def test_no_source_of_a_load_lies_outside(prisoner: Prisoner) -> None:
    theirs = f"{prisoner.guarded.ids['catalog']}.{prisoner.guarded.ids['schema']}.{prisoner.guarded.ids['table']}"
    for target, kind in product(targets_of(prisoner), ("", "csv", "json", "parquet", "excel", "sqlite", "text")):
        body: dict[str, object] = {"path": target, "format": kind, "target": "cell.own.loaded"}
        answer = _document(prisoner, "POST", "/api/insjo/v1/ingest/inspect", body, sent=target)
        assert answer.status >= HTTPStatus.BAD_REQUEST, (target, kind)
        assert _document(prisoner, "POST", "/api/insjo/v1/ingest/loads", body, sent=target).status >= HTTPStatus.BAD_REQUEST
    own = f"{prisoner.volume}/in.csv"
    for value in NASTY:
        sources: tuple[dict[str, object], ...] = (
            {"path": own, "format": "csv", "options": {"delimiter": value}},
            {"path": own, "format": "csv", "options": {value: value}},
            {"path": own, "format": "csv", "options": {"encoding": value}},
            {"path": own, "format": "json", "options": {"encoding": value}},
            {"path": own, "format": value},
            {"path": own, "format": "csv", "types": {"id": value}},
            {"path": own, "format": "csv", "types": {value: "STRING"}},
            {"path": own, "format": "csv", "target": value},
            {"path": f"{prisoner.volume}/{value}"},
        )
        for body in sources:
            _document(prisoner, "POST", "/api/insjo/v1/ingest/inspect", body, sent=value)
    for mode in ("append", "replace", "merge", "create"):
        body = {"path": own, "format": "csv", "target": theirs, "mode": mode, "keys": ["n"], "accept_drift": True}
        assert _document(prisoner, "POST", "/api/insjo/v1/ingest/loads", body, sent=theirs).status >= HTTPStatus.BAD_REQUEST
    assert prisoner.guarded.admin.must(f"SELECT * FROM {theirs}")["result"]["data_array"] == [[CANARY, "1"]]


def test_nobody_allows_themselves_a_place_elsewhere(prisoner: Prisoner) -> None:
    for url in (
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/",
        "file:///etc/",
        "s3://bucket/",
        "postgresql://a@127.0.0.1/x",
        "gopher://x",
    ):
        body: dict[str, object] = {
            "name": "mine",
            "url": url,
            "volume": "cell.own.box",
            "private": True,
            "secret": f"{CANARY}_scope/{CANARY}_key",
        }
        assert _document(prisoner, "POST", "/api/insjo/v1/ingest/locations", body).status == HTTPStatus.FORBIDDEN
        place = {"name": "mine", "url": url, "credential_name": CANARY}
        assert _document(prisoner, "POST", "/api/2.1/unity-catalog/external-locations", place).status >= HTTPStatus.FORBIDDEN
    for kind in ("external-locations", "storage-credentials"):
        named = f"/api/2.1/unity-catalog/{kind}/{CANARY}"
        change = {"comment": "mine", "url": "https://x.example/"}
        for method, sent in (("GET", None), ("PATCH", change), ("DELETE", None)):
            assert _document(prisoner, method, named, sent).status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}, (method, kind)
    for scope in ("insjo.storage-credentials", "INSJO.storage-credentials"):
        for path in (f"get?scope={scope}&key={CANARY}", f"list?scope={scope}", f"acls/list?scope={scope}"):
            assert _document(prisoner, "GET", f"/api/2.0/secrets/{path}").status == HTTPStatus.NOT_FOUND
            assert prisoner.guarded.admin.call("GET", f"/api/2.0/secrets/{path}").status == HTTPStatus.NOT_FOUND
    for what in ("x.csv", "../x", "//other/x", "http://127.0.0.1/", "%2e%2e/x", *NASTY[:8]):
        answer = _document(prisoner, "POST", f"/api/insjo/v1/ingest/locations/{CANARY}/fetch", {"what": what}, sent=what)
        assert answer.status == HTTPStatus.NOT_FOUND
    assert _document(prisoner, "DELETE", f"/api/insjo/v1/ingest/locations/{CANARY}").status == HTTPStatus.FORBIDDEN


def test_nobody_gives_themselves_rights_by_a_list(prisoner: Prisoner) -> None:
    ids = prisoner.guarded.ids
    mine = {"access_control_list": [{"user_name": "mallory", "permission_level": "CAN_MANAGE"}]}
    objects = [
        ("directories", ids["folder_number"]),
        ("dashboards", ids["dashboard_id"]),
        ("queries", ids["query_id"]),
        ("warehouses", "default"),
    ]
    objects += [
        (kind, odd) for kind in ("directories", "queries", "authorization", "x", "..") for odd in ("0", "-1", "1e3", "%2e%2e", "tokens")
    ]
    for (kind, found), method in product(objects, ("GET", "PUT", "PATCH")):
        path = f"/api/2.0/permissions/{quote(kind)}/{found}"
        assert _document(prisoner, method, path, None if method == "GET" else mine).status >= HTTPStatus.BAD_REQUEST, path
    full = f"{ids['catalog']}.{ids['schema']}.{ids['table']}"
    change = {"changes": [{"principal": "mallory", "add": ["SELECT", "MANAGE", "ALL_PRIVILEGES"]}]}
    for kind, name in (
        ("table", full),
        ("catalog", ids["catalog"]),
        ("catalog", "system"),
        ("metastore", "main"),
        ("schema", "cell.own"),
        ("x", full),
    ):
        for prefix in ("permissions", "effective-permissions"):
            answer = _document(prisoner, "PATCH", f"/api/2.1/unity-catalog/{prefix}/{kind}/{name}", change)
            assert answer.status >= HTTPStatus.BAD_REQUEST, (prefix, kind)
    for value in NASTY:
        for path, body in (
            ("/api/2.0/secrets/scopes/create", {"scope": value}),
            ("/api/2.0/secrets/put", {"scope": f"{CANARY}_scope", "key": value, "string_value": value}),
            ("/api/2.0/secrets/acls/put", {"scope": f"{CANARY}_scope", "principal": value, "permission": "MANAGE"}),
        ):
            _document(prisoner, "POST", path, body, sent=value)
        _document(prisoner, "GET", f"/api/2.0/secrets/get?scope={quote(value)}&key={quote(value)}", sent=value)


def test_after_all_that_everything_stands(prisoner: Prisoner) -> None:
    log = prisoner.guarded.server.log
    assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
    assert prisoner.door.must("SELECT * FROM cell.own.t")["result"]["data_array"] == [["1", "a"]]
    assert prisoner.guarded.admin.call("GET", "/health").status == HTTPStatus.OK
    assert not list(prisoner.data.parent.rglob("*evil*"))
