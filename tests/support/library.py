"""A lake with documents and indexes over them: real files, tables, queue and gateway; models are fakes unless a test asks for real ones."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.access.types import Privilege, SecurableKind
from insjo.adapters.anthropic_wire.client import AnthropicWire
from insjo.adapters.delta.storage import DeltaStorage
from insjo.adapters.documents.parser import BoundedParser
from insjo.adapters.faiss.indexes import FaissIndexes
from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.adapters.tantivy.indexes import TantivyIndexes
from insjo.gateway.service.room import GatewayRoom
from insjo.jobs.service import Jobs
from insjo.jobs.types import Run, RunState
from insjo.kernel.clock import SystemClock
from insjo.kernel.threads import Threads
from insjo.retrieval.service.room import RetrievalRoom
from insjo.testing.models import HashedEmbedding, RecordedRuntime
from insjo.testing.recorder import Recorder
from tests.support.lake import Lake, open_lake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from pathlib import Path
    from typing import Any

    from insjo.gateway.ports import EmbeddingProvider, ModelRuntime
    from insjo.kernel.context import RequestContext
    from insjo.retrieval.types import AnswerEvent, AnswerSpec, Hit

WITHIN_S = 120.0
SCHEMA = "main.docs"
VOLUME = f"{SCHEMA}.files"
INDEX = f"{SCHEMA}.handbook"


@dataclass
class Library:
    """The rooms, and what tests do with them."""

    lake: Lake
    gateway: GatewayRoom
    jobs: Jobs
    room: RetrievalRoom
    inside: Recorder
    outside: Recorder
    loop: asyncio.AbstractEventLoop

    @property
    def admin(self) -> RequestContext:
        return self.lake.admin

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401  # As the coroutine.
        """Run in the loop of the server."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WITHIN_S)

    def write(self, name: str, content: bytes, volume: str = VOLUME) -> str:
        """A file in a volume, made if it is not there; its path."""
        if self.lake.access.securables.find(SecurableKind.VOLUME, volume) is None:
            self.lake.room.volumes.create(self.admin, volume)
        path = f"/Volumes/{volume.replace('.', '/')}/{name}"
        self.lake.room.files.write(self.admin, path, iter([content]), overwrite=True)
        return path

    def build(self, name: str = INDEX) -> Run:
        """Bring an index up to date and wait for it."""
        return self.wait(self.room.indexes.sync(self.admin, name))

    def wait(self, run: Run) -> Run:
        """The run when it has ended."""
        ended = self.jobs.wait(self.admin, run.id, WITHIN_S)
        assert ended.state is RunState.SUCCEEDED, (ended.state, ended.error)
        return ended

    def grant(self, who: str, kind: SecurableKind, name: str, *privileges: Privilege) -> RequestContext:
        """Rights for somebody."""
        person = self.lake.person(who)
        found = self.lake.access.securables.find(kind, name)
        assert found is not None
        self.lake.access.grants.grant(self.admin, found.id, who, privileges)
        return person

    def reader(self, who: str, *volumes: str, index: str = INDEX) -> RequestContext:
        """Somebody who may ask an index and read these volumes."""
        self.grant(who, SecurableKind.CATALOG, "main", Privilege.USE_CATALOG)
        self.grant(who, SecurableKind.SCHEMA, SCHEMA, Privilege.USE_SCHEMA)
        for volume in volumes:
            self.grant(who, SecurableKind.VOLUME, volume, Privilege.READ_VOLUME)
        return self.grant(who, SecurableKind.INDEX, index, Privilege.SELECT)

    def search(self, ctx: RequestContext, query: str, index: str = INDEX, **options: Any) -> list[Hit]:  # noqa: ANN401  # As search takes.
        """Hits."""
        found: list[Hit] = self.run(self.room.search.search(ctx, [index], query, **options))
        return found

    def ask(self, ctx: RequestContext, spec: AnswerSpec) -> list[AnswerEvent]:
        """All events of an answer."""

        async def gather() -> list[AnswerEvent]:
            events: AsyncIterator[AnswerEvent] = self.room.answers.create(ctx, spec)
            return [event async for event in events]

        found: list[AnswerEvent] = self.run(gather())
        return found


@contextlib.contextmanager
def open_library(
    folder: Path, *, embedding: EmbeddingProvider | None = None, runtime: ModelRuntime | None = None, threads: int = 8
) -> Iterator[Library]:
    """A library with the schema `main.docs`; opened again in the same folder it is the same."""
    with contextlib.ExitStack() as stack:
        lake = stack.enter_context(open_lake(folder))
        inside, outside = (stack.enter_context(Recorder().running()) for _ in range(2))
        pool = Threads(threads)
        stack.callback(pool.close)
        clock = SystemClock()
        gateway = GatewayRoom(
            database=lake.database,
            clock=clock,
            access=lake.access,
            threads=pool,
            chat_provider=(wire := OpenAIWire()),
            anthropic_provider=AnthropicWire(wire),
            embedding_provider=embedding or HashedEmbedding(),
            runtime=runtime or RecordedRuntime(inside),
            keys_dir=folder / "keys",
            journal_dir=folder / "journal",
        )
        gateway.bootstrap()
        stack.callback(gateway.usage.close)
        jobs = Jobs(database=lake.database, clock=clock, access=lake.access)
        room = RetrievalRoom(
            database=lake.database,
            clock=clock,
            threads=pool,
            access=lake.access,
            catalog=lake.room,
            gateway=gateway,
            jobs=jobs,
            storage=DeltaStorage(),
            parser=BoundedParser(),
            vector_indexes=FaissIndexes(),
            word_indexes=TantivyIndexes(),
            root=folder / "indexes",
        )
        room.start()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        library = Library(lake, gateway, jobs, room, inside, outside, loop)
        library.run(gateway.start())
        jobs.start()
        if lake.access.securables.find(SecurableKind.CATALOG, "main") is None:
            lake.room.catalogs.create(lake.admin, "main")
            lake.room.schemas.create(lake.admin, SCHEMA)
        try:
            yield library
        finally:
            jobs.close()
            library.run(gateway.close())
            loop.call_soon_threadsafe(loop.stop)
            thread.join(WITHIN_S)
            loop.close()
