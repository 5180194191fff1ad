"""Many questions at once, from threads inside Insjö: each is a request of its own, with its own label, limits and usage row."""

from __future__ import annotations

import asyncio
import concurrent.futures
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from insjo.access.errors import FlowBlocked
from insjo.access.types import PUBLIC, Provenance
from insjo.gateway.errors import BatchCancelled, BatchTimedOut, ProviderBusy
from insjo.gateway.service import text
from insjo.gateway.service.completions import OK
from insjo.gateway.types import ChatRequest, Message, Part
from insjo.kernel.errors import InsjoError, NotFound, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from insjo.gateway.service.completions import Completions
    from insjo.gateway.service.embeddings import Embeddings
    from insjo.gateway.types import EmbeddingAnswer, TextAnswer
    from insjo.kernel.cancellation import CancelToken
    from insjo.kernel.context import RequestContext

T = TypeVar("T")

PARALLEL: Final = 4
"""Questions of one batch that run at a time: others want their turn too."""

TRIES: Final = 3
"""How often a question is asked when the endpoint has no room for it just now."""

_WAIT_S: Final = 0.5
_GROUP: Final = 64
"""Texts that are embedded in one request."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Texts that one model is asked about.

    Attributes:
        endpoint: Name of the endpoint.
        instruction: What the model is told before each text, or nothing.
        texts: Each is a request of its own.
        provenance: Of each of the texts.
        fields: Of the request besides its messages.
        fails: Whether the first failure ends it.
    """

    endpoint: str
    instruction: str
    texts: Sequence[str]
    provenance: Provenance
    fields: Mapping[str, object]
    fails: bool = True


class Batches:
    """Asks many questions for callers without an event loop."""

    def __init__(self, *, completions: Completions, embeddings: Embeddings) -> None:
        """Keep what answers."""
        self._completions = completions
        self._embeddings = embeddings
        self._loop: asyncio.AbstractEventLoop | None = None

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which requests run."""
        self._loop = loop

    def complete(
        self, ctx: RequestContext, asked: Questions, *, cancel: CancelToken, timeout_s: float, on_done: Callable[[int], None]
    ) -> list[TextAnswer | InsjoError]:
        """Answers in the order of the texts; without `fails` an error stands in the place of an answer that there is not.

        Raises:
            NotFound, PermissionDenied: The caller may not use the endpoint.
            InsjoError: With `fails`, what went wrong with one of them.
            BatchCancelled, BatchTimedOut: As they say.
        """
        return self._run(self._complete(ctx, asked, on_done), cancel, timeout_s)

    def embed(
        self, ctx: RequestContext, endpoint: str, texts: Sequence[str], provenance: Provenance, *, cancel: CancelToken, timeout_s: float
    ) -> list[EmbeddingAnswer]:
        """Vectors of texts in groups, in their order; raises as `complete`."""
        return self._run(self._embed(ctx, endpoint, texts, provenance), cancel, timeout_s)

    def _run(self, asked: Coroutine[object, object, T], cancel: CancelToken, timeout_s: float) -> T:
        """Run in the loop of the server, or in one of its own where there is none."""
        whole = _stoppable(asked, cancel, timeout_s)
        try:
            if self._loop is not None and self._loop.is_running():
                return asyncio.run_coroutine_threadsafe(whole, self._loop).result()
            return asyncio.run(whole)
        except (asyncio.CancelledError, concurrent.futures.CancelledError):
            message = "The models are no longer asked: the statement was stopped."
            raise BatchCancelled(message) from None
        except TimeoutError:
            message = f"The models did not answer within {timeout_s:g} seconds."
            raise BatchTimedOut(message) from None

    async def _complete(self, ctx: RequestContext, asked: Questions, on_done: Callable[[int], None]) -> list[TextAnswer | InsjoError]:
        found: dict[int, TextAnswer | InsjoError] = {}
        places = iter(range(len(asked.texts)))

        async def work() -> None:
            for at in places:
                found[at] = await self._tried(ctx, asked, asked.texts[at])
                on_done(len(found))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARALLEL, len(asked.texts))):
                    group.create_task(work())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [found[at] for at in range(len(asked.texts))]

    async def _tried(self, ctx: RequestContext, asked: Questions, about: str) -> TextAnswer | InsjoError:
        """One question, asked again when there is no room just now."""
        for left in reversed(range(TRIES)):
            try:
                return await self._ask(ctx, asked, about)
            except (NotFound, PermissionDenied) as error:
                if asked.fails or not isinstance(error, FlowBlocked):
                    raise
                return error
            except (ProviderBusy, Unavailable) as error:
                if not left:
                    if asked.fails:
                        raise
                    return error
                await asyncio.sleep(_WAIT_S * 2 ** (TRIES - 1 - left))
            except InsjoError as error:
                if asked.fails:
                    raise
                return error
        raise AssertionError  # The last try answers or raises.

    async def _ask(self, ctx: RequestContext, asked: Questions, about: str) -> TextAnswer:
        told = [Message("system", asked.instruction)] if asked.instruction else []
        body = text.body_of(asked.endpoint, [*told, Message("user", about)], {**asked.fields, "stream": False})
        # The instruction is Insjö's own; what the caller put into it is a part of the provenance of the texts.
        parts = (*(Part(each.content, Provenance(PUBLIC)) for each in told), Part(about, asked.provenance))
        response = await self._completions.create(ctx, ChatRequest(body, asked.endpoint, parts))
        try:
            if response.status != OK:
                raise text.refused(response.content or b"", response.status)
            return text.read_answer(response.content or b"", response.route, response.usage)
        finally:
            await response.finish()

    async def _embed(self, ctx: RequestContext, endpoint: str, texts: Sequence[str], provenance: Provenance) -> list[EmbeddingAnswer]:
        groups = [texts[begin : begin + _GROUP] for begin in range(0, len(texts), _GROUP)]
        return [await self._embeddings.embed(ctx, endpoint, group, "query", provenance) for group in groups]


async def _stoppable(asked: Coroutine[object, object, T], cancel: CancelToken, timeout_s: float) -> T:
    """The same, until somebody stops it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    with cancel.calling(stop):
        async with asyncio.timeout(timeout_s):
            return await asked
