"""The gateway as the SQL room asks for it: its functions that ask models go through the one door, as the person who runs the statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import PUBLIC, join_all
from insjo.gateway.errors import BatchCancelled, BatchTimedOut
from insjo.gateway.service.batches import Questions
from insjo.gateway.service.endpoints import CHAT_DEFAULT, EMBED_DEFAULT
from insjo.kernel.errors import InsjoError
from insjo.sql.errors import StatementCancelled, StatementTimedOut
from insjo.sql.ports import ModelAnswer, ModelVectors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from insjo.access.types import Provenance
    from insjo.gateway.service.batches import Batches
    from insjo.kernel.cancellation import CancelToken
    from insjo.kernel.context import RequestContext
    from insjo.sql.ports import ModelQuestions


class GatewayModels:
    """See `insjo.sql.ports.Models`.

    Args:
        batches: Asks.
        endpoint: The chat endpoint of functions that name none; empty means that of the packaged model.
    """

    def __init__(self, batches: Batches, endpoint: str) -> None:
        self._batches = batches
        self._endpoint = endpoint or CHAT_DEFAULT

    def complete(
        self, ctx: RequestContext, questions: ModelQuestions, *, cancel: CancelToken, timeout_s: float, on_done: Callable[[int], None]
    ) -> list[ModelAnswer]:
        """See `insjo.sql.ports.Models`."""
        asked = Questions(
            questions.endpoint or self._endpoint,
            questions.instruction,
            questions.texts,
            questions.provenance,
            questions.fields,
            questions.fails,
        )
        try:
            answers = self._batches.complete(ctx, asked, cancel=cancel, timeout_s=timeout_s, on_done=on_done)
        except (BatchCancelled, BatchTimedOut) as error:
            raise _told(error) from error
        return [
            ModelAnswer(error=each) if isinstance(each, InsjoError) else ModelAnswer(each.text, label=each.route.label) for each in answers
        ]

    def embed(
        self, ctx: RequestContext, endpoint: str, texts: Sequence[str], provenance: Provenance, *, cancel: CancelToken, timeout_s: float
    ) -> ModelVectors:
        """See `insjo.sql.ports.Models`."""
        try:
            found = self._batches.embed(ctx, endpoint or EMBED_DEFAULT, texts, provenance, cancel=cancel, timeout_s=timeout_s)
        except (BatchCancelled, BatchTimedOut) as error:
            raise _told(error) from error
        label = join_all([PUBLIC, *(each.route.label for each in found)])
        return ModelVectors(tuple(vector for each in found for vector in each.vectors), label)


def _told(error: InsjoError) -> InsjoError:
    """The error in the words of statements."""
    return StatementCancelled(error.message) if isinstance(error, BatchCancelled) else StatementTimedOut(error.message)
