"""One demo server and one browser for all journeys; each journey has a window of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


EXPECTED_WITHIN_MS = 20_000
"""Nothing is timed here: a busy machine may take longer than people would wait."""


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    expect.set_options(timeout=EXPECTED_WITHIN_MS)


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("browser") / "data", verb="demo") as server:
        yield server


@pytest.fixture
def link_for(demo_server: RunningServer) -> Callable[[str], str]:
    """A new sign-in link for a person."""

    def make(name: str) -> str:
        made = demo_server.insjo("user", "link", name, "--json", "--data", str(demo_server.data_dir))
        secret = json.loads(made.stdout)["signin_link"].rsplit("/", 1)[1]
        return f"{demo_server.url}/sign-in/{secret}"

    return make
