"""The chat over real access, gateway, retrieval and web; models are recording providers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import httpx2
import uvicorn

from insjo.access.types import ALL, Clearance, Label, Level, Privilege, Provenance, SecurableKind
from insjo.agents.service.chat import Chat
from insjo.agents.service.conversations import Conversations
from insjo.agents.types import Answered, Began, ChatEvent, Conversation, ConversationEvent, Delta, Failed, Message
from insjo.gateway.types import EndpointSpec, LocalModel, Policy, Profile, ServedKind, ServedModelSpec, Task
from insjo.kernel.clock import SystemClock
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.settings import Settings
from insjo.kernel.threads import Threads
from insjo.retrieval.types import Turn
from insjo.testing.models import RecordedRuntime
from insjo.testing.recorder import Recorder
from insjo.web.app import create_app
from tests.support.library import WITHIN_S, Library, open_library

OUTSIDE = "outside"


class SmallRuntime(RecordedRuntime):
    """A runtime whose model has the size of the packaged one."""

    def models(self) -> tuple[LocalModel, ...]:
        return tuple(replace(model, size_bytes=98_000_000) for model in super().models())


@dataclass
class ToldAgents:
    """Agents whose events a test writes down."""

    events: list[ChatEvent] = field(default_factory=list)
    asked: list[tuple[str, str, tuple[Turn, ...]]] = field(default_factory=list)
    hang: bool = False

    async def run(
        self,
        ctx: RequestContext,
        name: str,
        question: str,
        *,
        history: Sequence[Turn] = (),
        question_provenance: Provenance | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        del ctx, question_provenance
        self.asked.append((name, question, tuple(history)))
        for event in self.events:
            yield event
        if self.hang:
            await asyncio.Event().wait()


@dataclass
class Talk:
    """What a test of the chat works with."""

    library: Library
    conversations: Conversations
    chat: Chat
    agents: ToldAgents
    url: str = ""
    _protected: Iterator[int] = field(default_factory=itertools.count)

    @property
    def inside(self) -> Recorder:
        """Plays the model of this machine."""
        return self.library.inside

    @property
    def outside(self) -> Recorder:
        """Plays a provider elsewhere."""
        return self.library.outside

    @property
    def admin(self) -> RequestContext:
        return self.library.admin

    def person(self, name: str) -> RequestContext:
        return self.library.lake.person(name)

    def client(self, name: str, **headers: str) -> httpx2.Client:
        """Somebody at the own API."""
        token = self.library.lake.access.tokens.create(self.person(name), comment="test").value
        sent = {"authorization": f"Bearer {token}"} | {key.replace("_", "-"): value for key, value in headers.items()}
        return httpx2.Client(base_url=f"{self.url}/api/insjo/v1", headers=sent, timeout=60)

    def endpoint(
        self,
        name: str = OUTSIDE,
        *,
        level: Level = Level.INTERNAL,
        context_tokens: int = 0,
        users: Sequence[str] = (),
        on_conflict: Literal["reroute", "block"] = "reroute",
    ) -> str:
        """An endpoint elsewhere, which falls back on the model of this machine."""
        clearance = Clearance("", level=level, categories=ALL, zone="any", keeps=False)
        served = ServedModelSpec(
            "paid", ServedKind.OPENAI, "recorder-1", self.outside.base_url, "sk-key", Profile(context_tokens), clearance
        )
        made = self.library.gateway.endpoints.create(
            self.admin, EndpointSpec(name, Task.CHAT, (served,), Policy(on_conflict, "insjo-chat"))
        )
        for user in users:
            self.person(user)
            self.library.lake.access.grants.grant(self.admin, made.id, user, [Privilege.EXECUTE])
        return name

    def protect(self, *texts: str, level: Level = Level.CONFIDENTIAL) -> str:
        """Keep fingerprints of texts; gives the identifier of what holds them."""
        access = self.library.lake.access
        found = access.securables.register(system_context(), SecurableKind.CATALOG, f"hr{next(self._protected)}")
        access.fingerprints.replace(found.id, Label(level, frozenset({"salary"})), texts)
        return found.id

    def events(
        self,
        who: str,
        text: str,
        to: str | None = None,
        *,
        until: Callable[[ConversationEvent], bool] | None = None,
        **options: Any,  # noqa: ANN401  # As send takes.
    ) -> list[ConversationEvent]:
        """Send and gather; `until` stops the answer at the first event for which it is true."""

        async def gather() -> list[ConversationEvent]:
            found = []
            async with contextlib.aclosing(self.chat.send(self.person(who), to, text, **options)) as events:
                async for event in events:
                    found.append(event)
                    if until is not None and until(event):
                        break
            return found

        return cast("list[ConversationEvent]", self.library.run(gather()))

    def say(self, who: str, text: str, to: str | None = None, **options: Any) -> Said:  # noqa: ANN401  # As send takes.
        """Send and wait for the whole answer."""
        return Said(self, self.person(who), self.events(who, text, to, **options))


@dataclass(frozen=True)
class Said:
    """An answer with its events."""

    talk: Talk
    ctx: RequestContext
    events: list[ConversationEvent]

    @property
    def id(self) -> str:
        assert isinstance(self.events[0], Began)
        return self.events[0].conversation.id

    @property
    def answer(self) -> Message:
        assert isinstance(self.events[-1], Answered), self.events[-1]
        return self.events[-1].message

    @property
    def failure(self) -> Failed:
        assert isinstance(self.events[-1], Failed), self.events[-1]
        return self.events[-1]

    @property
    def streamed(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def conversation(self) -> Conversation:
        return self.talk.conversations.get(self.ctx, self.id)

    def kept(self) -> list[Message]:
        return list(self.talk.conversations.messages(self.ctx, self.id))


@contextlib.contextmanager
def open_talk(folder: Path, *, waiting_s: float = 15.0, renew_s: float = 15.0, small: bool = False) -> Iterator[Talk]:
    """The chat, served on a port of this machine; its model is a very small one if asked for."""
    threads = Threads(8)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(threads))
        here = stack.enter_context(Recorder().running())
        library = stack.enter_context(open_library(folder, runtime=SmallRuntime(here) if small else RecordedRuntime(here)))
        library.inside = here
        clock, lake = SystemClock(), library.lake
        conversations = Conversations(database=lake.database, clock=clock, access=lake.access)
        agents = ToldAgents()
        chat = Chat(
            conversations=conversations,
            access=lake.access,
            gateway=library.gateway,
            retrieval=library.room,
            agents=agents,
            parser=library.room.parser,
            threads=threads,
            clock=clock,
            waiting_s=waiting_s,
            renew_s=renew_s,
        )
        talk = Talk(library, conversations, chat, agents)
        with _served(talk, threads):
            yield talk
            library.run(chat.close())


@contextlib.contextmanager
def _served(talk: Talk, threads: Threads) -> Iterator[None]:
    library = talk.library
    services = SimpleNamespace(
        signing_key=b"key",
        settings=Settings(),
        clock=SystemClock(),
        database=library.lake.database,
        threads=threads,
        access=library.lake.access,
        catalog=library.lake.room,
        jobs=library.jobs,
        gateway=library.gateway,
        retrieval=library.room,
        agents=SimpleNamespace(conversations=talk.conversations, chat=talk.chat),
    )
    app = create_app(cast("Any", services))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False, ws="none"))
        running = asyncio.run_coroutine_threadsafe(server.serve(sockets=[listener]), library.loop)
        talk.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield
        finally:
            server.should_exit = True
            server.force_exit = True
            running.result(WITHIN_S)
