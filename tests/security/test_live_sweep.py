"""Every route is really called: by nobody, and by somebody without any right who knows all the names."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import pytest

from insjo.web.app import ROUTES
from insjo.web.openai.door import ROUTES as MODEL_ROUTES
from tests.security.conftest import CANARY, Guarded

PLACEHOLDER = re.compile(r"\{(\w+)(?::path)?\}")
IDS = {"/ingest/": "run_id", "/lakeview/": "dashboard_id", "/sql/queries": "query_id", "/v1/queries": "query_id", "/ui/queries": "query_id"}
"""Whose identifier stands for `{id}` in paths with this part."""
OPEN = {(each.method, each.path) for each in ROUTES if each.needs == "nobody"}
OWN = {"/sign-out", "/settings/password", "/settings/tokens", "/ui/language"}
"""Routes that change only what belongs to the caller; calling them would end the caller's own sign-in."""


def _all() -> list[tuple[str, str]]:
    return sorted({(each.method, each.path) for each in ROUTES} | {(each.method, each.path) for each in MODEL_ROUTES})


def _filled(path: str, ids: dict[str, str]) -> str:
    """The path with the names of hidden things in it."""
    full = f"{ids['catalog']}.{ids['schema']}"
    kinds = {"tables": f"{full}.{ids['table']}", "volumes": f"{full}.{ids['volume']}", "schemas": full, "catalogs": ids["catalog"]}
    kinds |= dict.fromkeys(("models", "securable-tags", "subentity-tags"), f"{full}.{ids['model']}")
    values = {
        "catalog": ids["catalog"],
        "schema": ids["schema"],
        "table": ids["table"],
        "volume": ids["volume"],
        "kind": "model" if "-tags/" in path else "table",
        "model": ids["model"],
        "full_name": next((name for kind, name in kinds.items() if f"/{kind}/" in path), f"{full}.{ids['table']}"),
        "path": ids["file"].lstrip("/") if "/fs/" in path else f"{CANARY}.txt",
        "statement_id": ids["statement_id"],
        "run_id": ids["run_id"],
        "chunk_index": "0",
        "version": "1",
        "alias": CANARY,
        "token_id": ids["token_id"],
        "target": f"dashboards/{ids['dashboard_id']}",
        "id": next((ids[name] for part, name in IDS.items() if part in path), ids["user_id"]),
    }
    name_of = ids["catalog"] if "/catalogs/" in path else full + "." + ids["table"]
    return PLACEHOLDER.sub(lambda match: values.get(match[1], name_of), path)


@pytest.mark.parametrize(("method", "path"), [pytest.param(*pair, id=" ".join(pair)) for pair in _all() if pair not in OPEN])
def test_without_a_credential_nothing_is_told(guarded: Guarded, method: str, path: str) -> None:
    filled = _filled(path, guarded.ids)
    answer = guarded.stranger.call(method, filled, None if method in {"GET", "HEAD", "DELETE"} else {})
    assert answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.SEE_OTHER}, answer.text[:500]
    if answer.status == HTTPStatus.SEE_OTHER:
        assert answer.headers["location"].startswith("/sign-in?next=")
    assert CANARY not in _without_echo(answer.text, filled)


@pytest.mark.parametrize(("method", "path"), [pytest.param(*pair, id=" ".join(pair)) for pair in _all() if pair[1] not in OWN])
def test_somebody_without_rights_learns_nothing_and_breaks_nothing(guarded: Guarded, method: str, path: str) -> None:
    filled = _filled(path, guarded.ids)
    answer = guarded.outsider.call(method, filled, None if method in {"GET", "HEAD", "DELETE"} else {})
    assert answer.status != HTTPStatus.INTERNAL_SERVER_ERROR, answer.text[:500]
    told = _without_echo(answer.text, filled)
    assert CANARY not in told, told[:2000]


def _without_echo(told: str, filled: str) -> str:
    """An answer without what the caller sent in the path: saying it back tells nothing."""
    for echoed in (filled, filled.lstrip("/"), *filled.strip("/").split("/"), *filled.strip("/").replace("/", ".").split(".")):
        told = told.replace(echoed, "")
    return told


def test_files_of_a_hidden_model_are_neither_told_nor_changed(guarded: Guarded) -> None:
    ids = guarded.ids
    folder = f"/Models/{ids['catalog']}/{ids['schema']}/{ids['model']}"
    for door in ("files", "directories"):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            for inside in ("", "/1", f"/1/{CANARY}.bin", "/2/x"):
                answer = guarded.outsider.call(method, f"/api/2.0/fs/{door}{folder}{inside}", raw=b"x" if method == "PUT" else None)
                assert answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}, (method, inside, answer.status, answer.text[:300])
                assert CANARY not in _without_echo(answer.text, f"{folder}{inside}")


def test_what_the_admin_made_is_still_there(guarded: Guarded) -> None:
    ids = guarded.ids
    rows = guarded.admin.must(f"SELECT * FROM {ids['catalog']}.{ids['schema']}.{ids['table']}")["result"]["data_array"]
    assert rows == [[CANARY, "1"]]
    assert CANARY in guarded.admin.call("GET", f"/api/2.0/fs/files{ids['file']}").text
    listed = guarded.admin.call("GET", "/api/2.0/token/list").json()["token_infos"]
    assert ids["token_id"] in {each["token_id"] for each in listed}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM {catalog}.{schema}.{table}",
        "SELECT count(*) FROM {catalog}.{schema}.{table}",
        "DESCRIBE TABLE {catalog}.{schema}.{table}",
        "SHOW CATALOGS",
        "SHOW TABLES IN {catalog}.{schema}",
        "SHOW SCHEMAS IN {catalog}",
        "SHOW GRANTS ON TABLE {catalog}.{schema}.{table}",
        "LIST '{folder}'",
        "SELECT * FROM read_files('{file}', format => 'csv')",
        "SELECT * FROM system.information_schema.tables",
        "SELECT * FROM system.query.history",
        "SELECT * FROM system.access.audit",
        "INSERT INTO {catalog}.{schema}.{table} VALUES ('x', 2)",
        "DROP TABLE {catalog}.{schema}.{table}",
        "GRANT SELECT ON TABLE {catalog}.{schema}.{table} TO `outsider`",
        "SELECT * FROM {catalog}.{schema}.{table}x",
    ],
)
def test_sql_tells_an_outsider_nothing(guarded: Guarded, text: str) -> None:
    statement = text.format(**guarded.ids)
    answer = guarded.outsider.call("POST", "/api/2.0/sql/statements", {"statement": statement, "wait_timeout": "30s"})
    told = answer.text
    for name in sorted(guarded.ids.values(), key=len, reverse=True):
        told = told.replace(name, "")
    assert CANARY not in told, told[:1000]
    if not text.startswith(("SHOW CATALOGS", "SELECT * FROM system")):
        state = answer.json()["status"]
        assert state["state"] == "FAILED", state
        hidden_as_absent = state["insjo_error"]["error_code"]
        assert "PERMISSION" not in hidden_as_absent, "what may not be seen does not exist"


def test_a_forged_form_is_refused(guarded: Guarded) -> None:
    made = guarded.server.insjo("user", "link", "admin", "--json", "--data", str(guarded.server.data_dir))
    path = json.loads(made.stdout)["signin_link"].split("/", 3)[3]
    signed_in = guarded.stranger.call("GET", f"/{path}")
    assert signed_in.status == HTTPStatus.SEE_OTHER
    cookie = signed_in.headers["set-cookie"].split(";")[0]
    forged = guarded.stranger.call("POST", "/settings/tokens", {}, raw=None, cookie=cookie, sec_fetch_site="cross-site")
    assert forged.status == HTTPStatus.FORBIDDEN
    silent = guarded.stranger.call("POST", "/settings/tokens", {}, cookie=cookie)
    assert silent.status == HTTPStatus.FORBIDDEN
    assert guarded.stranger.call("GET", f"/{path}").status == HTTPStatus.UNAUTHORIZED, "a sign-in link works once"
    attributes = signed_in.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=lax" in attributes
