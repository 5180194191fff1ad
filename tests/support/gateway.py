"""Access, gateway and the model door over a real SQLite file, two recording providers and a real HTTP server."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uvicorn
from argon2 import PasswordHasher
from starlette.types import Receive, Scope, Send

from insjo.access.service.facade import Access
from insjo.access.types import ALL, Clearance, Label, Level, Principal, Privilege, SecurableKind
from insjo.adapters.anthropic_wire.client import AnthropicWire
from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.adapters.patterns.re2 import Re2Patterns
from insjo.gateway.service.room import GatewayRoom
from insjo.gateway.types import Endpoint, EndpointSpec, Policy, Prices, Profile, ServedKind, ServedModelSpec, Task
from insjo.kernel.clock import SystemClock
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.database import Database, metadata
from insjo.kernel.settings import Settings
from insjo.kernel.threads import Threads
from insjo.testing.models import LOCAL_MODEL, HashedEmbedding, RecordedRuntime
from insjo.testing.recorder import Recorder
from insjo.web.openai.door import OpenAIDoor

KEY = b"a key for tests, thirty-two bytes"
STARTED_WITHIN_S = 20.0
OUTSIDE, INSIDE = "outside", "inside"


@dataclass
class Installation:
    """What a test of the gateway works with.

    Attributes:
        outside: Plays a provider elsewhere; every byte that leaves is here.
        inside: Plays the models of this machine.
        url: Base URL of the door, when it is served.
    """

    database: Database
    access: Access
    gateway: GatewayRoom
    threads: Threads
    outside: Recorder
    inside: Recorder
    runtime: RecordedRuntime
    embedding: HashedEmbedding
    folder: Path
    url: str = ""
    people: dict[str, Principal] = field(default_factory=dict)

    def person(self, name: str, *, admin: bool = False) -> RequestContext:
        """Context of somebody, made on first use."""
        if name not in self.people:
            self.people[name] = self.access.principals.create_user(system_context(), name)
            if admin:
                group = self.access.principals.find(system_context(), "admins")
                assert group is not None
                self.access.principals.add_member(system_context(), group.id, self.people[name].id)
        return RequestContext(principal=self.people[name].ref(), door="openai")

    @property
    def admin(self) -> RequestContext:
        """Context of a metastore admin."""
        return self.person("boss", admin=True)

    def token(self, name: str, lifetime_s: int | None = None) -> str:
        """A new token of somebody."""
        return self.access.tokens.create(self.person(name), comment="test", lifetime_s=lifetime_s).value

    def grant(self, name: str, endpoint: str, privilege: Privilege = Privilege.EXECUTE) -> None:
        """Let somebody use an endpoint."""
        self.person(name)
        self.access.grants.grant(self.admin, self.id_of(endpoint), name, [privilege])

    def id_of(self, endpoint: str) -> str:
        found = self.access.securables.find(SecurableKind.ENDPOINT, endpoint)
        assert found is not None
        return found.id

    def make_outside(
        self, name: str = OUTSIDE, *, level: Level = Level.INTERNAL, more: tuple[ServedModelSpec, ...] = (), **policy: str
    ) -> Endpoint:
        """An endpoint whose first model is elsewhere."""
        spec = EndpointSpec(name, Task.CHAT, (self.served(level=level), *more), Policy(**policy))  # type: ignore[arg-type]  # The service checks the words.
        return self.gateway.endpoints.create(self.admin, spec)

    def served(self, name: str = "paid", *, level: Level | None = Level.INTERNAL, recorder: Recorder | None = None) -> ServedModelSpec:
        """A served model elsewhere."""
        clearance = None if level is None else Clearance("", level=level, categories=ALL, zone="any", keeps=False)
        return ServedModelSpec(
            name,
            ServedKind.OPENAI,
            "recorder-1",
            (recorder or self.outside).base_url,
            api_key="sk-provider-key",
            profile=Profile(prices=Prices(2.0, 8.0, 1.0)),
            clearance=clearance,
        )

    @staticmethod
    def local(name: str = "here") -> ServedModelSpec:
        """A served model on this machine."""
        return ServedModelSpec(name, ServedKind.LOCAL, LOCAL_MODEL)

    def protect(self, *texts: str, label: Label | None = None) -> None:
        """Keep fingerprints of confidential texts."""
        found = self.access.securables.register(system_context(), SecurableKind.CATALOG, f"hr{len(texts)}")
        self.access.fingerprints.replace(found.id, label or Label(Level.CONFIDENTIAL, frozenset({"salary"})), texts)


@contextlib.contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """An installation with default endpoints; nothing is served."""
    folder.mkdir(parents=True, exist_ok=True)
    database = Database(f"sqlite:///{folder / 'insjo.db'}")
    metadata.create_all(database.engine)
    clock = SystemClock()
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    access = Access(database=database, clock=clock, settings=Settings(), key=KEY, hasher=hasher)
    access.bootstrap()
    threads = Threads(8)
    with contextlib.ExitStack() as stack:
        outside, inside = (stack.enter_context(Recorder().running()) for _ in range(2))
        runtime, embedding = RecordedRuntime(inside), HashedEmbedding()
        gateway = GatewayRoom(
            database=database,
            clock=clock,
            access=access,
            threads=threads,
            chat_provider=(wire := OpenAIWire()),
            anthropic_provider=AnthropicWire(wire),
            embedding_provider=embedding,
            runtime=runtime,
            keys_dir=folder / "keys",
            journal_dir=folder / "journal",
            patterns=Re2Patterns(),
        )
        gateway.bootstrap()
        try:
            yield Installation(database, access, gateway, threads, outside, inside, runtime, embedding, folder)
        finally:
            gateway.usage.close()
            access.close()
            threads.close()
            database.close()


@contextlib.contextmanager
def served(made: Installation) -> Iterator[Installation]:
    """The same with its door on a port of this machine."""
    services = cast("Any", SimpleNamespace(access=made.access, gateway=made.gateway, threads=made.threads, settings=Settings()))
    app = OpenAIDoor(services, _nothing)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="off", loop="uvloop", http="httptools", access_log=False, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        try:
            yield replace(made, url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join(STARTED_WITHIN_S)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The application inside, for paths of other doors."""
    del receive
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)
