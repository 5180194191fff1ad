"""One installation of the wheel for all tests of this suite; each test starts servers from it on folders of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.server import RunningServer
from tests.support.wheel import Installed, install_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this checkout in a fresh environment."""
    return install_wheel(repository, tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def installed_server(installed: Installed, tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Start servers from the installed wheel; all are stopped at the end of the test.

    `installed_server("name", verb="demo", flags=("--quick",))` returns when the server is ready.
    """
    started: list[RunningServer] = []

    def start(name: str = "data", **options: object) -> RunningServer:
        server = RunningServer(tmp_path / name, command=installed.command, **options)  # type: ignore[arg-type]  # Passed on as they are.
        started.append(server)
        return server.start()

    yield start
    for server in started:
        if server.process is not None:
            server.stop()
