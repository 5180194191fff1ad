"""Ingest over HTTP: looking into a source, loading it, following the load, stopping it, and who may do so."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import RunningServer
from tests.web.test_insjo_api import PREFIX, Door

WITHIN_S = 60.0
FOLDER = "/Volumes/main/default/uploads"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("ingest") / "data", environment={"INSJO_LOCAL_MODELS": "0"}) as started:
        yield started


@pytest.fixture(scope="module")
def admin(server: RunningServer) -> Door:
    door = Door(server.url, server.token("admin"))
    door.sql("CREATE VOLUME main.default.uploads")
    return door


@pytest.fixture(scope="module")
def eva(server: RunningServer, admin: Door) -> Door:
    server.insjo("user", "create", "eva", "--json", "--data", str(server.data_dir))
    return Door(server.url, server.token("eva"))


def put(door: Door, name: str, content: str) -> str:
    request = urllib.request.Request(
        f"{door.url}/api/2.0/fs/files{FOLDER}/{name}?overwrite=true",
        data=content.encode(),
        method="PUT",
        headers={"authorization": f"Bearer {door.token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 204
    return f"{FOLDER}/{name}"


def ended(door: Door, run_id: str) -> dict[str, Any]:
    """The load once it has ended."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        found = dict(door.call("GET", f"{PREFIX}/ingest/loads/{run_id}"))
        if found["state"] not in {"QUEUED", "RUNNING"}:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_from_a_file_to_a_table_with_its_quarantine(admin: Door) -> None:
    path = put(admin, "towns.csv", "town;people\nKiruna;17000\nÅre;many\n")
    found = admin.call("POST", f"{PREFIX}/ingest/inspect", {"path": path, "types": {"people": "int"}, "target": "main.default.towns"})
    assert found["options"] == {"delimiter": ";", "header": "true"}
    assert [(each["name"], each["type"], each["overridden"]) for each in found["columns"]] == [
        ("town", "string", False),
        ("people", "int", True),
    ]
    assert found["rows"][0] == ["Kiruna", "17000"]
    assert found["problems"][0]["line"] == 3
    assert not found["target_exists"]
    begun = admin.call(
        "POST", f"{PREFIX}/ingest/loads", {"path": path, "target": "main.default.towns", "types": {"people": "int"}}, status=202
    )
    done = ended(admin, begun["run_id"])
    assert (done["state"], done["rows"], done["quarantined"]) == ("SUCCEEDED", 1, 1)
    assert done["quarantine_table"] == "main.default.towns_quarantine"
    rows = admin.sql("SELECT line, row_text FROM main.default.towns_quarantine")["result"]["data_array"]
    assert rows == [["3", "Åre;many"]]
    assert begun["run_id"] in {each["run_id"] for each in admin.call("GET", f"{PREFIX}/ingest/loads")["loads"]}
    more = put(admin, "more.csv", "town,people,river\nLuleå,49000,Luleälven\n")
    drifted = admin.call("POST", f"{PREFIX}/ingest/inspect", {"path": more, "target": "main.default.towns"})
    assert [(each["kind"], each["column"]) for each in drifted["drift"]] == [("changed", "people"), ("added", "river")]
    body = {"path": more, "target": "main.default.towns", "mode": "append"}
    assert admin.call("POST", f"{PREFIX}/ingest/loads", body, status=400)["error_code"] == "SCHEMA_DRIFT_NOT_ACCEPTED"
    done = ended(admin, admin.call("POST", f"{PREFIX}/ingest/loads", {**body, "accept_drift": True}, status=202)["run_id"])
    assert done["rows"] == 1


def test_what_somebody_may_not_see_does_not_exist(admin: Door, eva: Door) -> None:
    path = put(admin, "hidden.csv", "id\n1\n")
    admin.sql("CREATE TABLE main.default.hidden (id INT)")
    there = eva.raw("POST", f"{PREFIX}/ingest/inspect", {"path": path})
    nowhere = eva.raw("POST", f"{PREFIX}/ingest/inspect", {"path": path.replace("uploads", "nothing")})
    assert there[0] == nowhere[0] == 404
    assert there[1] == nowhere[1].replace("nothing", "uploads")
    run = admin.call("POST", f"{PREFIX}/ingest/loads", {"path": path, "target": "main.default.hidden", "mode": "append"}, status=202)
    ended(admin, run["run_id"])
    assert eva.raw("GET", f"{PREFIX}/ingest/loads/{run['run_id']}")[0] == 404
    assert eva.raw("POST", f"{PREFIX}/ingest/loads/{run['run_id']}/cancel")[0] == 404
    assert eva.call("GET", f"{PREFIX}/ingest/loads")["loads"] == []


def test_a_load_can_be_stopped_and_nothing_is_left(admin: Door) -> None:
    lines = "\n".join(f"{number},{'x' * 50}" for number in range(400_000))
    path = put(admin, "big.csv", f"id,text\n{lines}\n")
    run = admin.call("POST", f"{PREFIX}/ingest/loads", {"path": path, "target": "main.default.big"}, status=202)
    admin.call("POST", f"{PREFIX}/ingest/loads/{run['run_id']}/cancel")
    done = ended(admin, run["run_id"])
    tables = {row[1] for row in admin.sql("SHOW TABLES IN main.default")["result"]["data_array"]}
    # It may have been faster than the cancelling; then all of it is there.
    assert ("big" in tables) == (done["state"] == "SUCCEEDED")


@pytest.mark.parametrize(
    "body", [{}, {"path": 1}, {"path": "/Volumes/main/default/uploads/a.csv", "mode": "other"}, {"path": "/etc/passwd"}]
)
def test_what_makes_no_sense_is_refused(admin: Door, body: dict[str, object]) -> None:
    status, text = admin.raw("POST", f"{PREFIX}/ingest/inspect", body)
    assert 400 <= status < 500, text


def test_a_load_whose_server_is_killed_comes_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Killed at several moments of a load, the next server does it to its end: all rows, good and bad, exactly once."""
    rows = 300_000
    with RunningServer(tmp_path_factory.mktemp("killed") / "data", environment={"INSJO_LOCAL_MODELS": "0"}) as server:
        door = Door(server.url, server.token("admin"))
        door.sql("CREATE VOLUME main.default.uploads")
        lines = "\n".join(f"{number},{'x' * 40}" if number % 1000 else f"bad{number},x" for number in range(1, rows + 1))
        path = put(door, "big.csv", f"id,text\n{lines}\n")
        for attempt, pause_s in enumerate((0.0, 0.3, 0.7)):
            target = f"main.default.big{attempt}"
            body = {"path": path, "target": target, "types": {"id": "int"}}
            run = door.call("POST", f"{PREFIX}/ingest/loads", body, status=202)
            time.sleep(pause_s)
            server.restart(kill=True)
            door = Door(server.url, server.token("admin"))
            done = ended(door, run["run_id"])
            assert (done["state"], done["error"]) == ("SUCCEEDED", "")
            counted = door.sql(f"SELECT count(*), count(DISTINCT id) FROM {target}")["result"]["data_array"][0]
            assert counted == [str(rows - rows // 1000)] * 2
            bad = door.sql(f"SELECT count(*), count(DISTINCT line) FROM {target}_quarantine")["result"]["data_array"][0]
            assert bad == [str(rows // 1000)] * 2


def test_locations_are_allowed_by_stewards_and_used_by_those_who_may_write(server: RunningServer, admin: Door, eva: Door) -> None:
    body = {"name": "own", "url": f"{server.url}/docs/", "volume": "main.default.uploads", "private": True}
    assert eva.raw("POST", f"{PREFIX}/ingest/locations", body)[0] == 403
    made = admin.call("POST", f"{PREFIX}/ingest/locations", body, status=201)
    assert made["url"] == body["url"]
    assert [each["name"] for each in admin.call("GET", f"{PREFIX}/ingest/locations")["locations"]] == ["own"]
    assert eva.call("GET", f"{PREFIX}/ingest/locations")["locations"] == []
    assert eva.raw("POST", f"{PREFIX}/ingest/locations/own/fetch", {"what": "x"})[0] == 404
    begun = admin.call("POST", f"{PREFIX}/ingest/locations/own/fetch", {"what": "nothing-here"}, status=202)
    deadline = time.monotonic() + WITHIN_S
    while (told := admin.call("GET", f"{PREFIX}/ingest/fetches/{begun['run_id']}"))["state"] in {"QUEUED", "RUNNING"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert told["error_code"] in {"LOCATION_UNREACHABLE", "LOCATION_REFUSED"}
    listed = json.loads(server.insjo("location", "list", "--json", "--data", str(server.data_dir)).stdout)
    assert [each["name"] for each in listed] == ["own"]
    assert eva.raw("DELETE", f"{PREFIX}/ingest/locations/own")[0] == 403
    assert admin.raw("DELETE", f"{PREFIX}/ingest/locations/own")[0] == 204


def test_the_command_loads_a_file_while_a_server_runs(server: RunningServer, admin: Door, tmp_path: Path) -> None:
    file = tmp_path / "seas.csv"
    file.write_text("sea;depth\nKattegatt;130\nSkagerrak;many\n", encoding="utf-8")
    words = ("ingest", str(file), "--table", "main.default.seas", "--type", "depth=int", "--json", "--data", str(server.data_dir))
    told = json.loads(server.insjo(*words).stdout)
    assert (told["rows"], told["quarantined"], told["quarantine_table"]) == (1, 1, "main.default.seas_quarantine")
    assert admin.sql("SELECT sea, depth FROM main.default.seas")["result"]["data_array"] == [["Kattegatt", "130"]]
    assert server.insjo(*words, check=False).returncode != 0
