"""A warehouse on Spark from its making to its end, by the command line and through REST, against a running server."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.support.raw import Raw
from tests.support.sail import sail
from tests.support.server import RunningServer


def test_a_warehouse_on_spark_answers_and_goes(start_server: Callable[..., RunningServer]) -> None:
    with sail() as url:
        server = start_server(environment={"INSJO_LOCAL_MODELS": "false"})
        raw, folder = Raw(server, server.token("admin")), ("--data", str(server.data_dir))
        made = json.loads(server.insjo("warehouse", "create", "big", "--engine", "spark", "--url", url, "--json", *folder).stdout)
        told = raw.send("POST", "/api/2.0/sql/warehouses", {"name": "other", "insjo": {"engine": "spark", "url": url}}).json()
        shown = raw.send("GET", f"/api/2.0/sql/warehouses/{told['id']}").json()
        assert shown["insjo"] == {"engine": "spark", "url": url}
        assert raw.send("POST", "/api/2.0/sql/warehouses", {"name": "odd", "insjo": {"engine": "abacus"}}).status == 400
        raw.rows("CREATE SCHEMA main.shop")
        raw.rows("CREATE TABLE main.shop.orders AS SELECT id, id * 2 AS amount FROM range(1000)")
        for warehouse in (made["id"], told["id"]):
            answer = raw.sql("SELECT count(*), sum(amount) FROM main.shop.orders WHERE id >= 10", warehouse_id=warehouse)
            assert answer.get("status", {}).get("state") == "SUCCEEDED", answer
            assert answer["result"]["data_array"] == [["990", str(sum(2 * each for each in range(10, 1000)))]]
        assert [each["name"] for each in json.loads(server.insjo("warehouse", "list", "--json", *folder).stdout)] == [
            "big",
            "other",
            "starter",
        ]
        server.insjo("warehouse", "delete", "big", *folder)
        assert raw.send("GET", f"/api/2.0/sql/warehouses/{made['id']}").status == 404
        assert server.insjo("warehouse", "delete", "big", *folder, check=False).returncode != 0
    gone = raw.sql("SELECT count(*) FROM main.shop.orders", warehouse_id=told["id"])
    assert gone["status"]["state"] == "FAILED"
    assert "does not answer" in gone["status"]["error"]["message"]
