"""HTTPS beside plain HTTP: out of the box, under the names that are set, and no reason for a server not to start."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.support.server import RunningServer, clean_environment, free_port

ENVIRONMENT = {"INSJO_LOCAL_MODELS": "0", "INSJO_SQL_WORKERS": "1"}
NAME = "lake.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("https")
    with RunningServer(
        folder / "data", tls_port=free_port(), environment={**ENVIRONMENT, "INSJO_TLS_NAMES": f"{NAME}, 10.1.2.3"}
    ) as started:
        yield started


@pytest.fixture(scope="module")
def authority(server: RunningServer) -> dict[str, str]:
    told: dict[str, str] = json.loads(server.insjo("ca", "export", "--json", "--data", str(server.data_dir)).stdout)
    return told


def call(server: RunningServer, authority: dict[str, str], path: str, body: object = None, token: str = "") -> HTTPResponse:
    """One request over HTTPS."""
    context = ssl.create_default_context(cadata=authority["certificate"])
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"https://localhost:{server.tls_port}{path}", data=content, headers=headers)
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=60, context=context)
    return answer


def test_the_same_answers_come_over_https(server: RunningServer, authority: dict[str, str]) -> None:
    assert json.load(call(server, authority, "/health")) == {"status": "ok"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        call(server, authority, "/api/2.0/sql/warehouses")
    assert refused.value.status == HTTPStatus.UNAUTHORIZED
    token = server.token()
    (warehouse,) = json.load(call(server, authority, "/api/2.0/sql/warehouses", token=token))["warehouses"]
    assert warehouse["odbc_params"]["port"] == server.tls_port
    assert warehouse["odbc_params"]["protocol"] == "https"
    asked = {"statement": "SELECT 1 AS one", "disposition": "EXTERNAL_LINKS", "wait_timeout": "30s"}
    told = json.load(call(server, authority, "/api/2.0/sql/statements", asked, token))
    link = told["result"]["external_links"][0]["external_link"]
    assert link.startswith(f"https://localhost:{server.tls_port}/")
    assert json.load(call(server, authority, link.partition(f":{server.tls_port}")[2])) == [["1"]]


def test_the_certificate_holds_the_names_that_are_set(server: RunningServer, authority: dict[str, str]) -> None:
    assert set(authority["names"]) == {"localhost", "127.0.0.1", "::1", NAME, "10.1.2.3"}
    context = ssl.create_default_context(cadata=authority["certificate"])
    with socket.create_connection(("127.0.0.1", server.tls_port or 0)) as plain, context.wrap_socket(plain, server_hostname=NAME) as inside:
        assert inside.version() in {"TLSv1.2", "TLSv1.3"}


def test_old_protocols_and_plain_text_are_turned_away(server: RunningServer, authority: dict[str, str]) -> None:
    with socket.create_connection(("127.0.0.1", server.tls_port or 0)) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        plain.settimeout(10)
        with contextlib.suppress(ConnectionError):
            assert b"200 OK" not in plain.recv(1000)
    assert json.load(call(server, authority, "/health")) == {"status": "ok"}


def test_somebody_who_signs_in_over_https_gets_a_cookie_for_https_alone(server: RunningServer, authority: dict[str, str]) -> None:
    made = json.loads(server.insjo("user", "link", "admin", "--json", "--data", str(server.data_dir)).stdout)
    path = "/" + made["signin_link"].split("/", 3)[3]
    context = ssl.create_default_context(cadata=authority["certificate"])
    once = type("NoRedirect", (urllib.request.HTTPRedirectHandler,), {"redirect_request": lambda *_args, **_kwargs: None})
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), once)
    with pytest.raises(urllib.error.HTTPError) as signed_in:
        opener.open(f"https://localhost:{server.tls_port}{path}", timeout=60)
    assert signed_in.value.status == HTTPStatus.SEE_OTHER
    assert "secure" in signed_in.value.headers["set-cookie"].lower()


def test_the_authority_is_made_once_and_doctor_tells_of_it(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data")
    first = json.loads(server.insjo("ca", "export", "--json", "--data", str(server.data_dir)).stdout)
    second = server.insjo("ca", "export", "--data", str(server.data_dir), "--out", str(tmp_path / "ca.pem")).stdout
    assert first["fingerprint_sha256"] in second
    assert (tmp_path / "ca.pem").read_text() == first["certificate"]
    assert Path(first["path"]).read_text() == first["certificate"]
    checks = json.loads(server.insjo("doctor", "--json", "--data", str(server.data_dir), check=False).stdout)
    (https,) = [each for each in checks if each["name"] == "https"]
    assert https["state"] == "ok"
    assert "8788" in https["finding"]
    assert "localhost" in https["finding"]


def test_a_taken_port_keeps_nobody_from_starting_unless_it_was_asked_for(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port + 1)):
        number = port + 1
        by_itself = RunningServer(tmp_path / "data", port=port, environment={**ENVIRONMENT, "INSJO_TLS_PORT": "0"})
        with by_itself:
            assert "Without HTTPS" in by_itself.log
        words = [*by_itself.command, "serve", "--data", str(tmp_path / "data"), "--port", str(free_port()), "--tls-port", str(number)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=clean_environment(ENVIRONMENT))
        assert done.returncode == 1
        assert f"Port {number}" in done.stderr
