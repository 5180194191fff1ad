"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import chromium
from tests.support.server import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_TESTS = Path(__file__).parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return _TESTS.parent


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all suites of a worker: Playwright's synchronous form can be started once in a process."""
    with chromium() as started:
        yield started


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Start servers from the environment of the tests; all are stopped at the end of the test.

    `start_server("data", verb="demo", environment={"INSJO_SQL_WORKERS": "1"})` returns when the server is ready.  For a server that
    lives longer than one test, write `with RunningServer(folder) as server: yield server` in a fixture of that scope.
    """
    started: list[RunningServer] = []

    def start(name: str = "data", **options: object) -> RunningServer:
        server = RunningServer(tmp_path / name, **options)  # type: ignore[arg-type]  # Passed on as they are.
        started.append(server)
        return server.start()

    yield start
    for server in started:
        if server.process is not None:
            server.stop()
