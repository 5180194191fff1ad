"""Which page somebody means, with the embedding model when it is at hand and by words alone when it is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from insjo.access.types import PUBLIC, Provenance
from insjo.agents.navigation import PROBE, QUESTION_CHARS_MAX, floats, learnt_weights, rank_pages
from insjo.kernel.errors import InsjoError

if TYPE_CHECKING:
    from array import array

    from insjo.agents.navigation import LearntWeights, RankedPage
    from insjo.gateway.service.room import GatewayRoom
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

EMBEDDING_ENDPOINT: Final = "insjo-embed"
EMBEDDING_WAIT_S: Final = 3.0
"""Longer nobody waits for a page: then words alone decide."""


class Navigator:
    """Ranks the pages of the registry."""

    def __init__(self, *, gateway: GatewayRoom, threads: Threads) -> None:
        self._gateway = gateway
        self._threads = threads
        self._vectors_fit: bool | None = None

    async def rank(self, ctx: RequestContext, text: str) -> list[RankedPage]:
        """All pages, the one that fits best first."""
        weights = await self._threads.run(learnt_weights)
        vector = None if weights is None or self._vectors_fit is False else await self._vector(ctx, text, weights)
        return await self._threads.run(rank_pages, text, vector)

    async def _vector(self, ctx: RequestContext, text: str, weights: LearntWeights) -> array[float] | None:
        """Embedding of a question, if the model is the one for which the weights were learnt and answers soon."""
        embed = self._gateway.embeddings.embed
        asking = ctx.through("assistant")
        try:
            async with asyncio.timeout(EMBEDDING_WAIT_S):
                if self._vectors_fit is None:
                    probe = await embed(asking, EMBEDDING_ENDPOINT, [PROBE], "query", Provenance(PUBLIC))
                    self._vectors_fit = weights.fits(floats(probe.vectors[0]))
                    if not self._vectors_fit:
                        return None
                answer = await embed(asking, EMBEDDING_ENDPOINT, [text[:QUESTION_CHARS_MAX]], "query")
        except (InsjoError, TimeoutError):  # The model loads, is missing, or may not see this text: words alone must do.
            return None
        return floats(answer.vectors[0])
