"""One server for the official clients, and a record of the methods that a test calls.

A test says with `@pytest.mark.covers("tables.list", ...)` which methods of the client it proves; after it a fixture checks that it
called each of them.  `scripts/generate_reference.py` writes docs/reference/clients.md from these marks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config

from tests.support.server import RunningServer, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

NO_RETRY_S = 5
"""A client that retries for its default five minutes would hide an error until the test is over."""


class Recorder:
    """Stands before a client and keeps the dotted names of the methods that are called."""

    def __init__(self, target: object, called: set[str], path: str = "") -> None:
        self._target = target
        self._called = called
        self._path = path

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # Whatever the client has.
        value = getattr(self._target, name)
        return Recorder(value, self._called, f"{self._path}.{name}".lstrip(".")) if _is_part(value) else value

    def __call__(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # Whatever the client takes.
        self._called.add(self._path)
        return cast("Callable[..., Any]", self._target)(*arguments, **named)


def _is_part(value: object) -> bool:
    """Whether it is a method or a group of methods of a client, and no answer."""
    module = type(value).__module__
    return callable(value) or module.startswith(("databricks.sdk.service", "databricks.sdk.mixins", "openai.resources"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(*methods): methods of an official client that the test proves")


@pytest.fixture
def called() -> set[str]:
    """Names of the methods that the test calls."""
    return set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test that passed has called each method that it claims."""
    yield
    claimed = {name for mark in item.iter_markers("covers") for name in mark.args}
    seen = getattr(item, "funcargs", {}).get("called", set())
    assert claimed <= seen, f"claimed and never called: {sorted(claimed - seen)}"


@dataclass(frozen=True)
class Site:
    """A running installation and the tokens of its people."""

    server: RunningServer
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, name: str) -> str:
        """Token of a user, who is created when missing."""
        if name not in self.tokens:
            if name != "admin":
                self.server.insjo("user", "create", name, "--json", "--data", str(self.server.data_dir))
            self.tokens[name] = self.server.token(name)
        return self.tokens[name]

    def client(self, name: str = "admin", *, token: str | None = None) -> WorkspaceClient:
        """Client of a user, or with any token."""
        value = self.token(name) if token is None else token
        config = Config(host=self.server.url, token=value, auth_type="pat", retry_timeout_seconds=NO_RETRY_S)
        return WorkspaceClient(config=config)

    def signin_link(self, name: str) -> str:
        """A link that signs a user in once."""
        made = self.server.insjo("user", "link", name, "--json", "--data", str(self.server.data_dir))
        link: str = json.loads(made.stdout)["signin_link"]
        return link


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server without models, over HTTP and over TLS."""
    data = tmp_path_factory.mktemp("clients") / "data"
    with RunningServer(data, tls_port=free_port(), environment={"INSJO_LOCAL_MODELS": "0"}) as server:
        yield Site(server)


@pytest.fixture(scope="session")
def plain_client(site: Site) -> WorkspaceClient:
    """The admin's client."""
    return site.client()


@pytest.fixture
def w(plain_client: WorkspaceClient, called: set[str]) -> WorkspaceClient:
    """The admin's client, recorded."""
    return cast("WorkspaceClient", Recorder(plain_client, called))
