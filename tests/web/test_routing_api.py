"""Routing and health of an endpoint over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from insjo.testing.recorder import Recorder
from tests.support.server import RunningServer

DEFAULT = {"strategy": "order", "sticky": False, "retries": 1, "limits": None, "state": "READY"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("routing") / "data") as started:
        started.insjo("user", "create", "eva", "--data", str(started.data_dir))
        yield started


def call(server: RunningServer, method: str, path: str, body: object = None, user: str = "admin") -> tuple[int, Any]:
    sent = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {server.token(user)}", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, sent, headers, method=method), timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_routing_is_read_and_changed_while_the_server_runs(server: RunningServer) -> None:
    with Recorder().running() as one, Recorder().running() as other:
        entities = [
            {
                "name": name,
                "external_model": {
                    "provider": "custom",
                    "name": "recorder-1",
                    "task": "llm/v1/chat",
                    "custom_provider_config": {"custom_provider_url": recorder.base_url},
                },
            }
            for name, recorder in (("one", one), ("other", other))
        ]
        assert call(server, "POST", "/api/2.0/serving-endpoints", {"name": "writer", "config": {"served_entities": entities}})[0] == 200
        path = "/api/insjo/v1/endpoints/writer/routing"
        status, found = call(server, "GET", path)
        served = found.pop("served")
        assert (status, found) == (200, DEFAULT)
        assert served["one"] == {"share": 0, "shadow": 0, "places": 0, "waiting": 64, "state": "READY", "state_reason": ""}
        for name in ("one", "other"):
            clearance = {"destination": f"served_model:writer/{name}", "level": "internal", "categories": ["*"], "keeps": False}
            assert call(server, "PUT", "/api/insjo/v1/clearances", clearance)[0] == 200
        asked = {"model": "writer", "messages": [{"role": "user", "content": "hello"}]}
        assert call(server, "POST", "/v1/chat/completions", asked)[0] == 200
        assert (len(one.requests), len(other.requests)) == (1, 0)
        wanted = {"sticky": True, "limits": {"first_byte_s": 9}, "served": {"one": {}, "other": {"share": 100, "places": 3}}}
        status, found = call(server, "PUT", path, wanted)
        assert status == 200, found
        assert (found["sticky"], found["limits"]["first_byte_s"], found["limits"]["total_s"]) == (True, 9.0, 1800.0)
        assert call(server, "GET", path)[1] == found
        assert call(server, "POST", "/v1/chat/completions", asked)[0] == 200
        assert (len(one.requests), len(other.requests)) == (1, 1)
        refused: tuple[dict[str, object], ...] = (
            {"served": {"nobody": {}}},
            {"retries": 9},
            {"strategy": "best"},
            {"served": {"one": {"share": 7}}},
        )
        for wrong in refused:
            assert call(server, "PUT", path, wrong)[0] == 400, wrong
        assert call(server, "GET", path)[1] == found, "what was refused changed nothing"


def test_who_may_not_see_an_endpoint_sees_no_routing(server: RunningServer) -> None:
    for method, body in (("GET", None), ("PUT", {})):
        status, error = call(server, method, "/api/insjo/v1/endpoints/writer/routing", body, user="eva")
        nothing = call(server, method, "/api/insjo/v1/endpoints/nothing/routing", body, user="eva")
        assert (status, error["error_code"]) == (nothing[0], nothing[1]["error_code"])
        assert status == 404
    assert call(server, "PUT", "/api/insjo/v1/endpoints/insjo-chat/routing", {"retries": 0}, user="eva")[0] == 403
