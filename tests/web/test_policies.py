"""Policies of endpoints and approvals over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import RunningServer
from tests.web.test_insjo_api import PREFIX, Door


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("policies") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def admin(server: RunningServer) -> Door:
    return Door(server.url, server.token("admin"))


@pytest.fixture(scope="module")
def anna(server: RunningServer, admin: Door) -> Door:
    admin.call("POST", "/api/2.0/preview/scim/v2/Users", {"userName": "anna"}, status=201)
    return Door(server.url, server.token("anna"))


POLICY = {"on_conflict": "reroute", "fallback": "", "minimise": True, "redact": True, "ask": "steward", "cache_s": 60}


def test_the_policy_of_an_endpoint_is_read_and_set(admin: Door, anna: Door) -> None:
    path = f"{PREFIX}/endpoints/insjo-chat/policy"
    assert admin.call("PUT", path, POLICY).items() >= POLICY.items()
    assert anna.call("GET", path).items() >= POLICY.items()
    anna.call("PUT", path, {}, status=403)
    admin.call("PUT", path, {"ask": "nobody"}, status=400)
    admin.call("PUT", path, {"cache_s": -1}, status=400)
    admin.call("PUT", path, {"fallback": "insjo-chat"}, status=400)
    admin.call("GET", f"{PREFIX}/endpoints/nothing/policy", status=404)


def test_the_guardrails_of_databricks_wire_are_kept(admin: Door) -> None:
    path = "/api/2.0/serving-endpoints/insjo-chat"
    wanted = {"input": {"pii": {"behavior": "MASK"}, "invalid_keywords": ["blue heron"]}, "output": {"pii": {"behavior": "BLOCK"}}}
    assert admin.call("PUT", f"{path}/ai-gateway", {"guardrails": wanted})["guardrails"] == wanted
    assert admin.call("GET", path)["ai_gateway"]["guardrails"] == wanted
    asked = {"model": "insjo-chat", "messages": [{"role": "user", "content": "A blue heron."}]}
    assert admin.call("POST", "/v1/chat/completions", asked, status=403)["error"]["code"] == "guardrail_blocked"
    admin.call("PUT", f"{path}/ai-gateway", {"guardrails": {"input": {"safety": True}}}, status=501)
    assert admin.call("PUT", f"{path}/ai-gateway", {})["guardrails"] == {}


def test_approvals_are_listed_and_decided(admin: Door, anna: Door) -> None:
    assert anna.call("GET", f"{PREFIX}/approvals") == {"approvals": []}
    answer = admin.call("POST", f"{PREFIX}/approvals/nothing", {"grant": True}, status=404)
    assert answer["error_code"] == "APPROVAL_NOT_FOUND"
