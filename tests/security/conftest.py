"""One server for the tests that look at the doors from outside: an admin with a lake full of canaries, and somebody without any right."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "kanarie7f3a9c21"
"""Stands in every name, cell, comment and file that somebody without rights must not learn of."""

OUTSIDE = "liggerutanfor5be81"
"""Stands in a file beside the data folder."""

FAILED = {"FAILED", "CANCELED"}

FOLLOW_NOTHING = urllib.request.build_opener(
    type("NoRedirect", (urllib.request.HTTPRedirectHandler,), {"redirect_request": lambda *_args, **_kwargs: None}),
)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:  # noqa: ANN401  # A decoded document.
        return json.loads(self.body)


@dataclass
class Door:
    """Calls the server as one person."""

    url: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None, *, raw: bytes | None = None, **headers: str) -> Answer:
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        sent = {"content-type": "application/json"} | self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, data=data, headers=sent, method=method)
        try:
            with FOLLOW_NOTHING.open(request, timeout=90) as answer:
                return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.headers.items()})
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), {k.lower(): v for k, v in error.headers.items()})

    def sql(self, text: str) -> dict[str, Any]:
        answer = self.call("POST", "/api/2.0/sql/statements", {"statement": text, "wait_timeout": "50s"})
        told: dict[str, Any] = answer.json()
        return told

    def must(self, text: str) -> dict[str, Any]:
        told = self.sql(text)
        assert told["status"]["state"] == "SUCCEEDED", told
        return told


@dataclass
class Guarded:
    """The server, who is at its doors, and the names of what is hidden."""

    server: RunningServer
    admin: Door
    outsider: Door
    stranger: Door
    ids: dict[str, str]


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with RunningServer(tmp_path_factory.mktemp("guarded") / "data", environment={"INSJO_LOCAL_MODELS": "0"}) as server:
        admin = Door(server.url, server.token("admin"))
        server.insjo("user", "create", "outsider", "--json", "--data", str(server.data_dir))
        outsider = Door(server.url, server.token("outsider"))
        yield Guarded(server, admin, outsider, Door(server.url), _fill(admin))


def _fill(admin: Door) -> dict[str, str]:
    """A lake of which the outsider must learn nothing."""
    admin.must(f"CREATE CATALOG {CANARY}_cat COMMENT '{CANARY}'")
    admin.must(f"CREATE SCHEMA {CANARY}_cat.{CANARY}_sch COMMENT '{CANARY}'")
    admin.must(f"CREATE TABLE {CANARY}_cat.{CANARY}_sch.{CANARY}_tab COMMENT '{CANARY}' AS SELECT '{CANARY}' AS {CANARY}_col, 1 AS n")
    admin.must(f"CREATE VOLUME {CANARY}_cat.{CANARY}_sch.{CANARY}_vol COMMENT '{CANARY}'")
    folder = f"/Volumes/{CANARY}_cat/{CANARY}_sch/{CANARY}_vol"
    stored = admin.call("PUT", f"/api/2.0/fs/files{folder}/{CANARY}.txt", raw=f"{CANARY} is written here".encode())
    assert stored.status == HTTPStatus.NO_CONTENT, stored.text
    _register(admin)
    statement = admin.must(f"SELECT * FROM {CANARY}_cat.{CANARY}_sch.{CANARY}_tab")
    target = f"{CANARY}_cat.{CANARY}_sch.{CANARY}_loaded"
    loading = {"path": f"{folder}/{CANARY}.txt", "target": target, "format": "csv", "options": {"header": "false"}}
    load = admin.call("POST", "/api/insjo/v1/ingest/loads", loading)
    assert load.status == HTTPStatus.ACCEPTED, load.text
    place = {"name": CANARY, "url": f"https://{CANARY}.example/{CANARY}/", "volume": f"{CANARY}_cat.{CANARY}_sch.{CANARY}_vol"}
    assert admin.call("POST", "/api/insjo/v1/ingest/locations", place).status == HTTPStatus.CREATED
    opener = {
        "name": CANARY,
        "comment": CANARY,
        "azure_service_principal": dict.fromkeys(("directory_id", "application_id", "client_secret"), CANARY),
    }
    assert admin.call("POST", "/api/2.1/unity-catalog/storage-credentials", opener).status == HTTPStatus.OK
    token = admin.call("POST", "/api/2.0/token/create", {"comment": CANARY}).json()
    me = admin.call("GET", "/api/2.0/preview/scim/v2/Me").json()
    return _furnish(admin) | {
        "catalog": f"{CANARY}_cat",
        "schema": f"{CANARY}_sch",
        "table": f"{CANARY}_tab",
        "volume": f"{CANARY}_vol",
        "model": f"{CANARY}_mod",
        "file": f"{folder}/{CANARY}.txt",
        "folder": folder,
        "statement_id": statement["statement_id"],
        "run_id": load.json()["run_id"],
        "token_id": token["token_info"]["token_id"],
        "user_id": me["id"],
    }


def _register(admin: Door) -> None:
    """A model with a version and an alias of which the outsider must learn nothing."""
    home, name = {"catalog_name": f"{CANARY}_cat", "schema_name": f"{CANARY}_sch"}, f"{CANARY}_mod"
    door = "/api/2.1/unity-catalog/models"
    assert admin.call("POST", door, home | {"name": name, "comment": CANARY}).status == HTTPStatus.OK
    assert admin.call("POST", f"{door}/versions", home | {"model_name": name, "source": CANARY}).status == HTTPStatus.OK
    alias = f"{door}/{CANARY}_cat.{CANARY}_sch.{name}/aliases/{CANARY}"
    assert admin.call("PUT", alias, {"version_num": 1}).status == HTTPStatus.OK


def _furnish(admin: Door) -> dict[str, str]:
    """A workspace of which the outsider must learn nothing."""
    home = f"/Users/admin/{CANARY}_folder"
    for path, body in (
        ("workspace/mkdirs", {"path": home}),
        ("workspace/import", {"path": f"{home}/{CANARY}_file", "content": "a2FuYXJpZTdmM2E5YzIx", "format": "AUTO"}),
    ):
        made = admin.call("POST", f"/api/2.0/{path}", body)
        assert made.status == HTTPStatus.OK, made.text
    document = json.dumps({"datasets": [{"name": CANARY}]})
    dashboard = {"display_name": f"{CANARY}_dash", "serialized_dashboard": document, "parent_path": home}
    query = {"display_name": f"{CANARY}_query", "query_text": f"SELECT '{CANARY}'", "parent_path": home}
    made_dashboard = admin.call("POST", "/api/2.0/lakeview/dashboards", dashboard).json()
    admin.call("POST", f"/api/2.0/lakeview/dashboards/{made_dashboard['dashboard_id']}/published", {})
    admin.call("POST", "/api/2.0/secrets/scopes/create", {"scope": f"{CANARY}_scope"})
    admin.call("POST", "/api/2.0/secrets/put", {"scope": f"{CANARY}_scope", "key": f"{CANARY}_key", "string_value": CANARY})
    query_id = admin.call("POST", "/api/2.0/sql/queries", {"query": query}).json()["id"]
    set_ = admin.call("PUT", f"/api/insjo/v1/queries/{query_id}/schedule", {"cron": "0 0 1 1 *"})
    assert set_.status == HTTPStatus.OK, set_.text
    assert admin.call("POST", f"/api/insjo/v1/queries/{query_id}/schedule/run").status == HTTPStatus.ACCEPTED
    return {
        "scope": f"{CANARY}_scope",
        "secret": f"{CANARY}_key",
        "home": home,
        "workspace_file": f"{home}/{CANARY}_file",
        "folder_number": str(admin.call("GET", f"/api/2.0/workspace/get-status?path={home}").json()["object_id"]),
        "dashboard_id": made_dashboard["dashboard_id"],
        "query_id": query_id,
    }


@dataclass
class Prisoner:
    """Somebody with rights on one schema and one volume, and everything that they might want."""

    door: Door
    guarded: Guarded
    data: Path
    outside: Path
    secrets: tuple[str, ...]
    volume: str = "/Volumes/cell/own/box"

    def told(self, answer: Answer, attempt: str, sent: str = "") -> None:
        """Nothing that is not theirs stands in an answer, and nothing broke; what they sent themselves may be said back."""
        assert answer.status < HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.NOT_IMPLEMENTED, (
            f"{attempt}: {answer.text[:500]}"
        )
        text = answer.text.replace(sent, "").replace(quote(sent), "") if sent else answer.text
        for secret in self.secrets:
            assert secret not in text, f"{attempt} told of {secret[:12]}: {text[:500]}"
        assert "Something inside failed" not in text, f"{attempt} broke something: {text[:500]}"

    def attempt(self, text: str, **options: object) -> str:
        """One statement; gives its state."""
        body = {"statement": text, "wait_timeout": "50s", "catalog": "cell", "schema": "own", **options}
        answer = self.door.call("POST", "/api/2.0/sql/statements", body)
        self.told(Answer(answer.status, without(answer.body, text), answer.headers), text)
        if answer.status != HTTPStatus.OK:
            return "FAILED"
        state: str = answer.json()["status"]["state"]
        return state

    def refused(self, text: str, **options: object) -> None:
        """One statement that must fail."""
        assert self.attempt(text, **options) in FAILED, text


def without(body: bytes, sent: str) -> bytes:
    """An answer without the names that the statement itself holds, which errors say back in lower case."""
    return body.replace(CANARY.encode(), b"") if CANARY in sent.lower() else body


@pytest.fixture(scope="session")
def prisoner(guarded: Guarded) -> Prisoner:
    """Mallory, with a schema, a table, functions and a volume of her own."""
    admin, data = guarded.admin, guarded.server.data_dir
    outside = data.parent / "outside"
    outside.mkdir()
    for name in ("plain.txt", "plain.csv", "plain.json"):
        (outside / name).write_text(f'{{"a": "{OUTSIDE}"}}\n', encoding="utf-8")
    guarded.server.insjo("user", "create", "mallory", "--json", "--data", str(data))
    admin.must("CREATE CATALOG cell")
    admin.must("CREATE SCHEMA cell.own")
    admin.must("CREATE VOLUME cell.own.box")
    admin.must("GRANT USE CATALOG ON CATALOG cell TO mallory")
    admin.must("GRANT USE SCHEMA, CREATE TABLE, CREATE FUNCTION, SELECT, MODIFY ON SCHEMA cell.own TO mallory")
    admin.must("GRANT READ VOLUME, WRITE VOLUME ON VOLUME cell.own.box TO mallory")
    door = Door(guarded.server.url, guarded.server.token("mallory"))
    door.must("CREATE TABLE cell.own.t AS SELECT 1 AS id, 'a' AS name")
    door.call("PUT", "/api/2.0/fs/files/Volumes/cell/own/box/in.csv", raw=b"id,name\n1,a\n")
    with sqlite3.connect(f"file:{data / 'insjo.db'}?mode=ro", uri=True) as database:
        hashes = [row[0] for row in database.execute("SELECT hash FROM access_tokens")]
    assert hashes
    secrets = (OUTSIDE, CANARY, "root:x:0", admin.token, *(str(each) for each in hashes))
    return Prisoner(door, guarded, data, outside, secrets)
