"""The unmodified `databricks-sql-connector` against a running server: by Thrift and by its kernel, over HTTP and over TLS.

The connector lives in an environment of its own, since its kernel wants an older Arrow; tests/clients/drivers/connector.py runs there.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config

from tests.clients.conftest import NO_RETRY_S, Site
from tests.support.environments import connector_python
from tests.support.server import RunningServer, clean_environment, free_port

PROGRAM = Path(__file__).parent / "drivers" / "connector.py"
KINDS = ("thrift-http", "thrift-tls", "kernel-http", "kernel-tls", "sea-http")
CHECKS = (
    "types",
    "nested_types",
    "description",
    "parameters",
    "large_results",
    "changes",
    "session",
    "errors",
    "catalog_calls",
    "cancel",
    "asynchronous",
)


@dataclass(frozen=True)
class Tls:
    """A server with HTTPS, and the file with the certificate to trust."""

    site: Site
    authority: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    folder = tmp_path_factory.mktemp("connector")
    server = RunningServer(folder / "data", tls_port=free_port(), environment={"INSJO_LOCAL_MODELS": "0"})
    with server:
        server.insjo("ca", "export", "--data", str(server.data_dir), "--out", str(folder / "ca.pem"))
        yield Tls(Site(server), folder / "ca.pem")


class Connector:
    """The program of one kind of connection."""

    def __init__(self, tls: Tls, kind: str) -> None:
        """Start it; it connects at once."""
        server = tls.site.server
        warehouse = next(iter(tls.site.client().warehouses.list())).id
        config = {
            "kind": kind,
            "host": "127.0.0.1",
            "port": server.port,
            "tls_port": server.tls_port,
            "path": f"/sql/1.0/warehouses/{warehouse}",
            "token": tls.site.token("admin"),
            "ca": str(tls.authority),
        }
        self.kind = kind
        self.errors = (server.data_dir.parent / f"{kind}.log").open("w+")
        self.process = subprocess.Popen(
            [str(connector_python()), str(PROGRAM), json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=clean_environment(),
        )
        self.ready = set(self._line()["ready"])

    def check(self, name: str) -> str:
        """What went wrong with a check; empty when it held."""
        assert self.process.stdin is not None
        print(name, file=self.process.stdin, flush=True)
        failed: str = self._line()["failed"]
        return failed

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError(f"the program ended:\n{self.errors.read()[-4000:]}")
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


@pytest.fixture(scope="module", params=KINDS)
def connector(tls: Tls, request: pytest.FixtureRequest) -> Iterator[Connector]:
    started = Connector(tls, request.param)
    yield started
    started.close()


@pytest.mark.parametrize("check", CHECKS)
def test_the_connector_finds_what_it_expects(connector: Connector, check: str) -> None:
    if check == "cancel" and connector.kind in {"kernel-tls", "sea-http"}:
        pytest.skip("as with kernel-http: these can cancel only ten seconds after they began, which need not be waited for three times")
    failed = connector.check(check)
    assert not failed, failed


def test_no_check_is_left_out(connector: Connector) -> None:
    assert connector.ready == set(CHECKS)


def test_the_sdk_trusts_the_authority(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.authority))
    host = f"https://localhost:{tls.site.server.tls_port}"
    config = Config(host=host, token=tls.site.token("admin"), auth_type="pat", retry_timeout_seconds=NO_RETRY_S)
    client = WorkspaceClient(config=config)
    assert client.current_user.me().user_name == "admin"
    warehouse = next(iter(client.warehouses.list()))
    assert warehouse.id
    assert warehouse.odbc_params
    assert warehouse.odbc_params.protocol == "https"
    answer = client.statement_execution.execute_statement("SELECT 1 AS one", warehouse.id, wait_timeout="30s")
    assert answer.result
    assert answer.result.data_array == [["1"]]
