"""The unmodified dbt-databricks on a project with a view, tables, incremental models, a seed, a snapshot, tests and documentation.

It goes over HTTP first, where the models change between two runs, and then over TLS, with the authority of the server, from the start.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Site
from tests.support.environments import environment

PROJECT = Path(__file__).parent / "project"
WITHIN_S = 600
_RUNNER = """
import json, sys
from dbt.cli.main import dbtRunner
for words in json.loads(sys.argv[1]):
    print("=====", words, flush=True)
    if not dbtRunner().invoke(words).success:
        sys.exit(1)
"""

pytestmark = pytest.mark.timeout(1500)  # The environment is made by the first run, which loads some fifty packages.
_OUTPUT = """    {target}:
      type: databricks
      host: "{url}"
      http_path: /sql/1.0/warehouses/{warehouse}
      token: "{token}"
      catalog: shop
      schema: {target}
      threads: 2
      connect_retries: 0
      connection_parameters:
        _connection_uri: "{url}/sql/1.0/warehouses/{warehouse}"
        enable_telemetry: false
"""
_TRUSTED = """        _tls_trusted_ca_file: "{authority}"
"""


@dataclass
class Dbt:
    """dbt in an environment of its own, on a copy of the project, against a running server."""

    python: Path
    folder: Path
    site: Site
    warehouse: str

    def run(self, *commands: str) -> str:
        """Commands one after the other, which must succeed; what they printed."""
        places = ["--project-dir", str(self.folder / "project"), "--profiles-dir", str(self.folder)]
        environment_ = {
            **os.environ,
            "HOME": str(self.folder),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
            "REQUESTS_CA_BUNDLE": str(self.folder / "ca.pem"),
        }
        lines = json.dumps([[*shlex.split(each), *places] for each in commands])
        command = [str(self.python), "-c", _RUNNER, lines]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S, env=environment_)
        assert done.returncode == 0, f"{commands}: {done.stdout[-4000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def rows(self, statement: str, schema: str = "dev") -> list[list[str | None]]:
        """What the server says by its own API."""
        body = {"statement": statement, "warehouse_id": self.warehouse, "catalog": "shop", "schema": schema, "wait_timeout": "30s"}
        answer = _call(self.site, "/api/2.0/sql/statements", body)
        assert answer["status"]["state"] == "SUCCEEDED", answer["status"]
        found: list[list[str | None]] = answer["result"].get("data_array", [])
        return found


def _call(site: Site, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {site.token('admin')}", "Content-Type": "application/json"}
    request = urllib.request.Request(site.server.url + path, data=json.dumps(body).encode() if body else None, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: dict[str, Any] = json.loads(reply.read())
    return answer


@pytest.fixture(scope="module")
def dbt(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """One whose profile names the server of these tests."""
    python = environment("dbt", "dbt-databricks==1.12.*", "dbt-core<1.12")
    folder = tmp_path_factory.mktemp("dbt")
    shutil.copytree(PROJECT, folder / "project")
    warehouse = str(_call(site, "/api/2.0/sql/warehouses")["warehouses"][0]["id"])
    _call(site, "/api/2.1/unity-catalog/catalogs", {"name": "shop"})
    authority = folder / "ca.pem"
    site.server.insjo("ca", "export", "--data", str(site.server.data_dir), "--out", str(authority))
    known = {"warehouse": warehouse, "token": site.token("admin"), "authority": authority}
    plain = _OUTPUT.format(target="dev", url=site.server.url, **known)
    secured = (_OUTPUT + _TRUSTED).format(target="secured", url=f"https://127.0.0.1:{site.server.tls_port}", **known)
    (folder / "profiles.yml").write_text(f"insjo:\n  target: dev\n  outputs:\n{plain}{secured}", encoding="utf-8")
    return Dbt(python, folder, site, warehouse)


def test_a_project_lives_through_its_whole_life(dbt: Dbt) -> None:
    """`debug`, `seed`, `run`, `run` again with a new column, `test`, two snapshots and `docs generate`."""
    assert "All checks passed!" in dbt.run("debug", "seed", "run")
    assert dbt.rows("SELECT customer, orders, total FROM customers ORDER BY customer") == [
        ["Anna", "2", "107.75"],
        ["Björn", "1", "20.00"],
        ["Li", "1", "0.99"],
    ]
    assert "PASS=6" in dbt.run("run --vars '{run: second, wide: true}'", "test", "snapshot")
    assert dbt.rows("SELECT id, run, shouted FROM events ORDER BY id") == [
        ["1", "first", None],
        ["2", "first", None],
        ["3", "second", "ANNA"],
        ["4", "second", "LI"],
    ]
    assert dbt.rows("SELECT n, run FROM appended ORDER BY run") == [["4", "first"], ["4", "second"]]
    assert dbt.rows("SELECT count(*) FROM replaced") == [["4"]]
    dbt.rows("UPDATE raw_orders SET amount = 21 WHERE id = 2")
    dbt.run("snapshot", "docs generate")
    assert dbt.rows("SELECT id, amount, dbt_valid_to IS NULL FROM orders_snapshot WHERE id = 2 ORDER BY dbt_valid_from") == [
        ["2", "20.00", "false"],
        ["2", "21.00", "true"],
    ]
    catalog = json.loads((dbt.folder / "project" / "target" / "catalog.json").read_text(encoding="utf-8"))
    customers = catalog["nodes"]["model.shop.customers"]
    assert customers["metadata"]["comment"] == "What each customer bought."
    assert {name: column["type"] for name, column in customers["columns"].items()} == {
        "customer": "string",
        "orders": "bigint",
        "total": "decimal(20,2)",
        "last_order": "date",
    }
    assert ("customer", "string", "Who bought.") in {tuple(row) for row in dbt.rows("DESCRIBE TABLE customers")}


def test_the_same_goes_over_tls(dbt: Dbt) -> None:
    """All commands with the authority of the server, in one process of dbt, so that it is loaded once."""
    told = dbt.run(*(f"{each} --target secured" for each in ("debug", "seed", "run", "test", "snapshot", "docs generate")))
    assert "All checks passed!" in told
    assert "PASS=6" in told
    assert dbt.rows("SELECT customer, orders, total FROM customers ORDER BY customer", "secured") == [
        ["Anna", "2", "107.75"],
        ["Björn", "1", "20.00"],
        ["Li", "1", "0.99"],
    ]
    assert dbt.rows("SELECT count(*) FROM orders_snapshot WHERE dbt_valid_to IS NULL", "secured") == [["4"]]
    catalog = json.loads((dbt.folder / "project" / "target" / "catalog.json").read_text(encoding="utf-8"))
    assert catalog["nodes"]["model.shop.customers"]["metadata"]["schema"] == "secured"


def test_what_dbt_declares_is_enforced(dbt: Dbt) -> None:
    """Constraints and properties of the project stand in the table itself."""
    assert dbt.rows(
        "SELECT constraint_type FROM information_schema.table_constraints WHERE table_name = 'customers' AND table_schema = 'dev'"
    ) == [["PRIMARY KEY"]]
    assert ["team", "shop"] in dbt.rows("SHOW TBLPROPERTIES customers")
    statement = "INSERT INTO customers VALUES ('x', 1, -1, NULL)"
    body = {"statement": statement, "warehouse_id": dbt.warehouse, "catalog": "shop", "schema": "dev", "wait_timeout": "30s"}
    answer = _call(dbt.site, "/api/2.0/sql/statements", body)
    assert "positive" in answer["status"]["error"]["message"]
