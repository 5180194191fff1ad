"""Our own API over HTTP: labels, clearances, audit, usage, agents, and the assistant with its actions and the palette."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import RunningServer

PREFIX = "/api/insjo/v1"


@dataclass
class Door:
    """Somebody at the door of a running server."""

    url: str
    token: str

    def raw(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        """Status and text of the answer."""
        sent = None if body is None else json.dumps(body).encode()
        signed = {"authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(
            self.url + path, data=sent, method=method, headers={**signed, "content-type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def call(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:  # noqa: ANN401  # JSON is what it is.
        """The answer as JSON, when it has the status that is wanted."""
        found, text = self.raw(method, path, body)
        assert found == status, text
        return json.loads(text)

    def sql(self, text: str) -> dict[str, Any]:
        """Run a statement."""
        answer = self.call("POST", "/api/2.0/sql/statements", {"statement": text, "warehouse_id": self.warehouse, "wait_timeout": "50s"})
        assert answer["status"]["state"] == "SUCCEEDED", answer
        return dict(answer)

    @property
    def warehouse(self) -> str:
        """The default warehouse."""
        return str(self.call("GET", "/api/2.0/sql/warehouses")["warehouses"][0]["id"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("own") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def admin(server: RunningServer) -> Door:
    door = Door(server.url, server.token("admin"))
    door.sql("CREATE SCHEMA main.shop")
    door.sql(
        "CREATE TABLE main.shop.orders AS SELECT * FROM VALUES (1, 'Oslo', 10.5), (2, 'Lund', 4.5), (3, 'Oslo', 3.0) AS t(id, city, amount)"
    )
    return door


@pytest.fixture(scope="module")
def ulla(server: RunningServer, admin: Door) -> Door:
    server.insjo("user", "create", "ulla", "--data", str(server.data_dir))
    return Door(server.url, server.token("ulla"))


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Server-sent events."""
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n", 1)
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_statistics_do_not_tell_how_many_rows_are_hidden(admin: Door, ulla: Door) -> None:
    admin.sql("CREATE TABLE main.shop.big AS SELECT id FROM range(5100000)")
    admin.sql("CREATE FUNCTION main.shop.few(id BIGINT) RETURNS BOOLEAN RETURN id < 10 OR is_account_group_member('admins')")
    for grant in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.shop", "SELECT ON TABLE main.shop.big"):
        admin.sql(f"GRANT {grant} TO `ulla`")
    page = "/ui/catalog/statistics?table=main.shop.big"
    assert "98" in ulla.raw("GET", page)[1], "a sample of so many rows"
    admin.sql("ALTER TABLE main.shop.big SET ROW FILTER main.shop.few ON (id)")
    status, shown = ulla.raw("GET", page)
    assert status == 200
    assert "98" not in shown
    admin.sql("DROP TABLE main.shop.big")


def test_nobody_gets_in_without_a_credential(server: RunningServer) -> None:
    nobody = Door(server.url, "")
    for method, path in (("GET", f"{PREFIX}/agents"), ("POST", "/ui/assistant"), ("GET", "/ui/palette"), ("GET", f"{PREFIX}/audit")):
        status, text = nobody.raw(method, path, {} if method == "POST" else None)
        assert status == 401, (path, text)
        assert json.loads(text)["error_code"] == "UNAUTHENTICATED"


def test_labels_are_set_read_and_cleared(admin: Door) -> None:
    path = f"{PREFIX}/labels/table/main.shop.orders"
    assert admin.call("GET", path)["own"] is None
    told = admin.call("PUT", path, {"level": "confidential", "categories": ["sales"]})
    assert told["effective"] == {"level": "confidential", "categories": ["sales"], "zone": "any"}
    assert admin.raw("PUT", path, {"level": "enormous"})[0] == 400
    assert admin.call("DELETE", path)["own"] is None


def test_clearances_are_for_admins_to_give(admin: Door, ulla: Door) -> None:
    body = {"destination": "tool:somewhere", "level": "internal", "zone": "eu"}
    assert admin.call("PUT", f"{PREFIX}/clearances", body)["level"] == "internal"
    assert "tool:somewhere" in [each["destination"] for each in admin.call("GET", f"{PREFIX}/clearances")["clearances"]]
    assert ulla.raw("PUT", f"{PREFIX}/clearances", body)[0] == 403


def test_the_audit_is_searched_and_verified_by_admins_alone(admin: Door, ulla: Door) -> None:
    found = admin.call("GET", f"{PREFIX}/audit?action=clearance.set")["events"]
    assert found[0]["destination"] == "tool:somewhere"
    assert admin.call("POST", f"{PREFIX}/audit/verify", {})["intact"] is True
    assert ulla.raw("GET", f"{PREFIX}/audit")[0] == 403
    assert ulla.raw("POST", f"{PREFIX}/audit/verify", {})[0] == 403


def test_usage_is_summed(admin: Door) -> None:
    assert admin.call("GET", f"{PREFIX}/usage?group=model")["group"] == "model"
    assert admin.raw("GET", f"{PREFIX}/usage?group=moon")[0] == 400


def test_limits_are_set_by_admins_and_seen_by_those_for_whom_they_hold(admin: Door, ulla: Door) -> None:
    wanted = {"subject": "principal", "principal": "admin", "measure": "requests", "period": "day", "amount": 1_000_000}
    made = admin.call("POST", f"{PREFIX}/limits", wanted)
    assert made["amount"] == 1_000_000
    assert ulla.raw("POST", f"{PREFIX}/limits", wanted)[0] == 403
    assert admin.raw("POST", f"{PREFIX}/limits", {**wanted, "amount": -1})[0] == 400
    assert admin.raw("POST", f"{PREFIX}/limits", {**wanted, "period": "eon"})[0] == 400
    assert made["id"] in [each["id"] for each in admin.call("GET", f"{PREFIX}/limits")["limits"]]
    assert made["id"] not in [each["id"] for each in ulla.call("GET", f"{PREFIX}/limits")["limits"]]
    assert ulla.raw("DELETE", f"{PREFIX}/limits/{made['id']}")[0] == 403
    assert admin.call("DELETE", f"{PREFIX}/limits/{made['id']}") == {}
    assert admin.raw("DELETE", f"{PREFIX}/limits/{made['id']}")[0] == 404


def test_metrics_are_prometheus_text_for_admins_alone(server: RunningServer, admin: Door, ulla: Door) -> None:
    assert ulla.raw("GET", "/metrics")[0] == 403
    assert Door(server.url, "").raw("GET", "/metrics")[0] == 401
    body = {"model": "insjo-embed", "input": "a lake"}
    assert admin.raw("POST", "/v1/embeddings", body)[0] == 200
    status, text = admin.raw("GET", "/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counted = families["insjo_model_requests"].samples
    assert sum(each.value for each in counted if each.labels["endpoint"] == "insjo-embed") >= 1
    assert families["gen_ai_client_operation_duration_seconds"].type == "histogram"
    assert any(each.labels["gen_ai_token_type"] == "input" for each in families["gen_ai_client_token_usage"].samples)


def test_an_agent_lives_answers_and_ends(admin: Door, ulla: Door) -> None:
    agents = f"{PREFIX}/agents"
    body = {
        "full_name": "main.shop.desk",
        "instructions": "Answers questions about orders.",
        "tables": ["main.shop.orders"],
        "examples": [
            {"question": "How many orders came from Oslo?", "sql": "SELECT count(*) AS n FROM main.shop.orders WHERE city = 'Oslo'"}
        ],
    }
    made = admin.call("POST", agents, body, status=201)
    assert made["endpoint"] == "insjo-chat"
    assert admin.raw("POST", agents, body)[0] == 409
    assert "main.shop.desk" in [each["full_name"] for each in admin.call("GET", agents)["agents"]]
    status, text = admin.raw("POST", f"{agents}/main.shop.desk/run", {"question": "How many orders came from Lund?"})
    assert status == 200
    events = events_of(text)
    assert [name for name, _ in events] == ["tool", "tool", "delta", "finished"]
    assert events[0][1]["sql"].endswith("city = 'Lund'")
    assert events[-1][1]["table"]["rows"] == [["1"]]
    whole = admin.call("POST", f"{agents}/main.shop.desk/run", {"question": "total amount", "stream": False})
    assert whole["text"].startswith("**18**")
    assert ulla.raw("GET", f"{agents}/main.shop.desk")[0] == 404
    assert ulla.raw("POST", f"{agents}/main.shop.desk/run", {"question": "total amount"})[0] == 404
    assert admin.call("PATCH", f"{agents}/main.shop.desk", {"comment": "Orders"})["comment"] == "Orders"
    assert admin.call("DELETE", f"{agents}/main.shop.desk") == {}
    assert admin.raw("GET", f"{agents}/main.shop.desk")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"full_name": "x"},
        {"full_name": "main.shop.a", "tables": "main.shop.orders"},
        {"full_name": "main.shop.a", "examples": [{"question": "q"}]},
        {"full_name": "main.shop.a", "examples": [{"question": "q", "sql": "DROP TABLE main.shop.orders"}]},
        {"full_name": 3},
        [],
    ],
)
def test_bad_agents_are_refused_with_a_reason(admin: Door, body: object) -> None:
    status, text = admin.raw("POST", f"{PREFIX}/agents", body)
    assert status == 400
    assert json.loads(text)["message"]


def test_the_assistant_answers_with_links(admin: Door) -> None:
    told = admin.call("POST", "/ui/assistant", {"question": "load a spreadsheet", "page": "/", "context": {}})
    assert told["page"] == "/ingest"
    assert {"kind": "link", "label": "Open Add data", "href": "/ingest"} in told["actions"]
    assert told["html"].startswith("<p>")


def test_the_assistant_speaks_the_language_of_the_question(admin: Door) -> None:
    assert "Släpp en fil" in admin.call("POST", "/ui/assistant", {"question": "läs in ett kalkylark"})["text"]
    told = admin.call("POST", f"{PREFIX}/assistant", {"question": "Ingest", "lang": "sv"})
    assert "Släpp en fil" in told["text"]


def test_markup_in_what_is_shown_is_text(admin: Door) -> None:
    context = {"error": {"code": "X", "message": "<img src=x onerror=alert(1)> [a](javascript:alert(1))", "hint": ""}}
    html = admin.call("POST", "/ui/assistant", {"question": "why does it fail", "context": context})["html"]
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_an_action_is_confirmed_once_and_by_its_owner(admin: Door, ulla: Door) -> None:
    told = admin.call("POST", "/ui/assistant", {"question": "create a schema called main.confirmed"})
    (action,) = [each for each in told["actions"] if each["kind"] == "confirm"]
    assert action["changes"] == "Creates the schema main.confirmed. You become its owner."
    path = f"/ui/assistant/actions/{urllib.parse.quote(action['action_id'])}"
    assert ulla.raw("POST", path, {})[0] == 404
    assert admin.call("POST", path, {})["href"] == "/catalog/main/confirmed"
    assert admin.raw("POST", path, {})[0] == 404


def test_another_site_cannot_confirm(admin: Door, server: RunningServer) -> None:
    foreign = Door(server.url, "")
    status, _ = foreign.raw("POST", "/ui/assistant/actions/x", {}, cookie="insjo_session=stolen", **{"sec-fetch-site": "cross-site"})
    assert status in {401, 403}


def test_the_palette_offers_pages_tables_and_documents(admin: Door, ulla: Door) -> None:
    pages = [each["path"] for each in admin.call("GET", "/ui/palette")]
    assert "/sql" in pages
    assert "/admin/people" in pages
    assert "/admin/people" not in [each["path"] for each in ulla.call("GET", "/ui/palette")]
    found = admin.call("GET", "/ui/palette?q=orders")
    assert "/catalog/main/shop/orders" in [each["path"] for each in found]
    assert "/catalog/main/shop/orders" not in [each["path"] for each in ulla.call("GET", "/ui/palette?q=orders")]
    assert any(each["kind"] == "document" for each in admin.call("GET", "/ui/palette?q=share"))
    assert admin.call("GET", "/ui/palette?q=" + urllib.parse.quote("åtkomst"))[0]["path"] == "/settings/tokens"
