"""The workspace's doors with whole bodies: somebody without rights neither reads nor changes what stands in another's folder."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tests.security.conftest import CANARY, Guarded

ACL = {"access_control_list": [{"user_name": "outsider", "permission_level": "CAN_MANAGE"}]}
CALLS: tuple[tuple[str, str, object], ...] = (
    ("GET", "workspace/list?path={home}", None),
    ("GET", "workspace/list?path={workspace_file}", None),
    ("GET", "workspace/get-status?path={workspace_file}", None),
    ("GET", "workspace/export?path={workspace_file}", None),
    ("GET", "workspace/export?path={workspace_file}&direct_download=true", None),
    ("POST", "workspace/mkdirs", {"path": "{home}/mine"}),
    ("POST", "workspace/delete", {"path": "{home}", "recursive": True}),
    ("POST", "workspace/delete", {"path": "{workspace_file}"}),
    ("POST", "workspace/import", {"path": "{workspace_file}", "content": "bWluZQ==", "format": "AUTO", "overwrite": True}),
    ("POST", "workspace/import", {"path": "{home}/mine", "content": "bWluZQ==", "format": "AUTO"}),
    ("POST", "workspace-files/import-file{workspace_file}?overwrite=true", {}),
    ("POST", "lakeview/dashboards", {"display_name": "x", "parent_path": "{home}"}),
    ("PATCH", "lakeview/dashboards/{dashboard_id}", {"display_name": "x"}),
    ("POST", "lakeview/dashboards/{dashboard_id}/published", {"warehouse_id": "x"}),
    ("POST", "lakeview/dashboards/{dashboard_id}/revert", {}),
    ("POST", "sql/queries", {"query": {"display_name": "x", "parent_path": "{home}"}}),
    ("PATCH", "sql/queries/{query_id}", {"query": {"query_text": "x"}, "update_mask": "query_text"}),
    ("GET", "permissions/directories/{folder_number}", None),
    ("GET", "permissions/directories/{folder_number}/permissionLevels", None),
    ("PUT", "permissions/directories/{folder_number}", ACL),
    ("PATCH", "permissions/directories/{folder_number}", ACL),
    ("PATCH", "permissions/dashboards/{dashboard_id}", ACL),
    ("PUT", "permissions/queries/{query_id}", ACL),
    ("GET", "secrets/get?scope={scope}&key={secret}", None),
    ("GET", "secrets/list?scope={scope}", None),
    ("POST", "secrets/put", {"scope": "{scope}", "key": "{secret}", "string_value": "mine"}),
    ("POST", "secrets/delete", {"scope": "{scope}", "key": "{secret}"}),
    ("POST", "secrets/scopes/delete", {"scope": "{scope}"}),
    ("GET", "secrets/acls/list?scope={scope}", None),
    ("GET", "secrets/acls/get?scope={scope}&principal=admin", None),
    ("POST", "secrets/acls/put", {"scope": "{scope}", "principal": "outsider", "permission": "MANAGE"}),
    ("POST", "secrets/acls/delete", {"scope": "{scope}", "principal": "admin"}),
)


def _filled(body: object, ids: dict[str, str]) -> object:
    if isinstance(body, str):
        return body.format(**ids) if "{" in body else body
    if isinstance(body, dict):
        return {name: _filled(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, ids) for value in body]
    return body


@pytest.mark.parametrize(("method", "path", "body"), [pytest.param(*call, id=f"{call[0]} {call[1]}") for call in CALLS])
def test_what_another_keeps_in_the_workspace_does_not_exist(guarded: Guarded, method: str, path: str, body: object) -> None:
    filled = path.format(**guarded.ids)
    answer = guarded.outsider.call(method, f"/api/2.0/{filled}", _filled(body, guarded.ids))
    # Nobody but Insjö makes homes, whether or not somebody of that name has one.
    expected = HTTPStatus.FORBIDDEN if path == "workspace/mkdirs" else HTTPStatus.NOT_FOUND
    assert answer.status == expected, answer.text
    sent = f"{filled} {_filled(body, guarded.ids)}"
    told = answer.text
    for part in sorted(set(guarded.ids.values()), key=len, reverse=True):
        if part in sent:
            told = told.replace(part, "")
    assert CANARY not in told.replace(guarded.ids["home"], "")


def test_lists_hold_nothing_of_it(guarded: Guarded) -> None:
    for path in (
        "workspace/list?path=/",
        "workspace/list?path=/Users",
        "lakeview/dashboards?show_trashed=true",
        "sql/queries",
        "secrets/scopes/list",
    ):
        answer = guarded.outsider.call("GET", f"/api/2.0/{path}")
        assert answer.status == HTTPStatus.OK
        assert CANARY not in answer.text
        assert CANARY in guarded.admin.call("GET", f"/api/2.0/{path}").text or path.startswith("workspace/list")


def test_what_was_not_given_is_the_same_as_what_is_not_there(guarded: Guarded) -> None:
    for hidden, missing in (
        ("lakeview/dashboards/{dashboard_id}", "0" * 32),
        ("sql/queries/{query_id}", "01932b1c-0000-7000-8000-000000000000"),
        ("permissions/directories/{folder_number}", "4711"),
        ("secrets/list?scope={scope}", "nothing"),
    ):
        there = guarded.outsider.call("GET", f"/api/2.0/{hidden.format(**guarded.ids)}")
        name = hidden.rpartition("{")[2][:-1]
        nowhere = guarded.outsider.call("GET", f"/api/2.0/{hidden.format(**guarded.ids | {name: missing})}")
        assert (there.status, there.text.replace(guarded.ids[name], "")) == (nowhere.status, nowhere.text.replace(missing, ""))
