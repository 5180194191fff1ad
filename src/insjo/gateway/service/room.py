"""The gateway as a whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from insjo.gateway.service.batches import Batches
from insjo.gateway.service.cached_vectors import VectorCache
from insjo.gateway.service.completions import Completions
from insjo.gateway.service.dryrun import DryRuns
from insjo.gateway.service.embeddings import Embeddings
from insjo.gateway.service.endpoints import Endpoints
from insjo.gateway.service.guardrails import Asks, Guardrails
from insjo.gateway.service.health import Healths
from insjo.gateway.service.limits import Limits
from insjo.gateway.service.messages import Messages
from insjo.gateway.service.responses import Responses
from insjo.gateway.service.routing import Router
from insjo.gateway.service.snapshot import Snapshots
from insjo.gateway.service.usage import Usage
from insjo.gateway.service.vault import Vault
from insjo.kernel.context import system_context

if TYPE_CHECKING:
    from pathlib import Path

    from insjo.access.service.facade import Access
    from insjo.gateway.ports import ChatProvider, EmbeddingProvider, ModelRuntime, Patterns, UsageObserver
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database
    from insjo.kernel.threads import Threads


class GatewayRoom:
    """All services of the gateway.

    Attributes:
        endpoints: Make and change endpoints.
        completions: Chat.
        messages: Chat in Anthropic's wire.
        responses: Chat in the wire of the Responses API, with what was said before.
        embeddings: Vectors of texts.
        batches: Many questions at once, from threads.
        usage: What was used by whom.
        limits: How much may be used.
        dry_runs: What another policy would have done.
        snapshots: What a caller may use, without reading the database.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        access: Access,
        threads: Threads,
        chat_provider: ChatProvider,
        anthropic_provider: ChatProvider,
        embedding_provider: EmbeddingProvider | None,
        runtime: ModelRuntime | None,
        keys_dir: Path,
        journal_dir: Path,
        vectors_mb: int = 0,
        observer: UsageObserver | None = None,
        patterns: Patterns | None = None,
    ) -> None:
        """Put the services together; nothing starts yet."""
        self._chat_provider = chat_provider
        self._vectors = VectorCache(journal_dir / "vectors", vectors_mb * 2**20) if vectors_mb else None
        vault, healths = Vault(keys_dir), Healths()
        self.endpoints = Endpoints(
            database=database,
            clock=clock,
            access=access,
            vault=vault,
            runtime=runtime,
            embedding_provider=embedding_provider,
            chat_provider=chat_provider,
            patterns=patterns,
            healths=healths,
        )
        self.usage = Usage(database=database, access=access, journal_dir=journal_dir, observer=observer)
        self.dry_runs = DryRuns(database=database, clock=clock, access=access, endpoints=self.endpoints, usage=self.usage)
        self.snapshots = Snapshots(access=access, endpoints=self.endpoints, vault=vault, threads=threads, healths=healths)
        self.limits = Limits(database=database, clock=clock, access=access, threads=threads)
        guardrails = Guardrails(access=access, patterns=patterns, threads=threads)
        router = Router(access=access, threads=threads)
        self.completions = Completions(
            access=access,
            clock=clock,
            snapshots=self.snapshots,
            router=router,
            usage=self.usage,
            limits=self.limits,
            chat_provider=chat_provider,
            anthropic_provider=anthropic_provider,
            runtime=runtime,
            threads=threads,
            guardrails=guardrails,
        )
        self.responses = Responses(completions=self.completions, access=access, database=database, clock=clock, threads=threads)
        self.messages = Messages(completions=self.completions, threads=threads)
        self.embeddings = Embeddings(
            access=access,
            clock=clock,
            snapshots=self.snapshots,
            router=router,
            usage=self.usage,
            limits=self.limits,
            chat_provider=chat_provider,
            embedding_provider=embedding_provider,
            threads=threads,
            cache=self._vectors,
        )
        guardrails.connect(Asks(self.embeddings.embed, self.completions.complete_text))

        self.batches = Batches(completions=self.completions, embeddings=self.embeddings)

    def bootstrap(self) -> None:
        """Make the endpoints over the packaged models if they are missing."""
        self.endpoints.create_defaults(system_context())

    async def start(self) -> None:
        """Remember the event loop, for calls that come from threads."""
        self.embeddings.use_loop(asyncio.get_running_loop())
        self.batches.use_loop(asyncio.get_running_loop())

    async def close(self) -> None:
        """End connections and write what waits."""
        self.snapshots.close()
        await self.completions.close()
        await self._chat_provider.close()
        if self._vectors is not None:
            await asyncio.to_thread(self._vectors.close)
        await asyncio.to_thread(self.usage.close)
        await asyncio.to_thread(self.limits.close)
