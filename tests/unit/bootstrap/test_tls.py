"""The names and the port of HTTPS, and a certificate that is renewed while the server runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from insjo.adapters.tls.context import server_context
from insjo.bootstrap.folders import prepare
from insjo.bootstrap.tls import LOOPBACK, certificates, https_host, https_port, keep_renewed, names_of, present_certificates, renew
from insjo.kernel.settings import Settings


@pytest.mark.parametrize(
    ("settings", "port", "host"),
    [
        (Settings(), 8788, "127.0.0.1"),
        (Settings(port=9000), 9001, "127.0.0.1"),
        (Settings(tls_port=9443, tls_host="0.0.0.0"), 9443, "0.0.0.0"),  # noqa: S104  # Nobody listens in this test.
        (Settings(tls_port=-1), None, "127.0.0.1"),
    ],
)
def test_where_https_listens(settings: Settings, port: int | None, host: str) -> None:
    assert https_port(settings) == port
    assert https_host(settings) == host


def test_names_are_those_that_clients_may_use() -> None:
    assert names_of(Settings()) == LOOPBACK
    everywhere = Settings(host="0.0.0.0", public_url="https://lake.example.org/", tls_names="a.example.org, ,10.0.0.7,localhost")  # noqa: S104  # As above.
    assert names_of(everywhere) == (*LOOPBACK, "lake.example.org", "a.example.org", "10.0.0.7")


def test_a_running_server_takes_a_renewed_certificate(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"))
    folders = prepare(settings.root)
    assert present_certificates(settings) is None
    first = certificates(settings, folders)
    context = server_context(first.server_path)
    assert not renew(settings, folders, context)
    first.server_path.unlink()
    assert renew(settings, folders, context)
    assert certificates(settings, folders).fingerprint == first.fingerprint


def test_the_watch_ends_when_it_is_told_to(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"))
    folders = prepare(settings.root)
    context = server_context(certificates(settings, folders).server_path)

    async def watch() -> object:
        task = asyncio.create_task(keep_renewed(settings, folders, context))
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        return (await asyncio.gather(task, return_exceptions=True))[0]

    assert isinstance(asyncio.run(watch()), asyncio.CancelledError)
