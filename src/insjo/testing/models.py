"""Models for tests that are no models: a runtime whose local models are a recording provider, and vectors made by hashing."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from insjo.gateway.errors import ModelNotLoaded, ModelUnknown
from insjo.gateway.types import Embedded, EndpointState, LocalModel, Profile, RuntimeState, Upstream

if TYPE_CHECKING:
    from insjo.access.types import Cleared
    from insjo.gateway.types import EmbeddingInput
    from insjo.testing.recorder import Recorder

LOCAL_MODEL = "recorded-local"
EMBEDDING_MODEL = "hashed"
DIMENSIONS = 32


class EndlessTurn:
    """A turn for which nobody waited."""

    def release(self) -> None:
        """Nobody waits for it either."""


@dataclass
class RecordedRuntime:
    """Port `ModelRuntime` over a recording provider that plays the models of this machine.

    Attributes:
        loading: While true, the models are said to load.
    """

    recorder: Recorder
    loading: bool = False

    def models(self) -> tuple[LocalModel, ...]:
        """The one model."""
        return (LocalModel(LOCAL_MODEL, "A recording provider on this machine", packaged=True, profile=Profile(context_tokens=4096)),)

    def state(self, model: str) -> RuntimeState:
        """READY, or LOADING while told so."""
        if model != LOCAL_MODEL:
            return RuntimeState(EndpointState.FAILED, f"This machine has no model `{model}`.")
        return RuntimeState(EndpointState.LOADING, "It loads.", 3) if self.loading else RuntimeState(EndpointState.READY)

    async def address(self, model: str) -> Upstream:
        """Address of the recorder."""
        if model != LOCAL_MODEL:
            raise ModelUnknown(f"This machine has no model `{model}`.")
        if self.loading:
            raise ModelNotLoaded(f"The model `{model}` is being loaded.", retry_after_s=3)
        return Upstream(self.recorder.base_url, self.recorder.api_key)

    async def admit(self, model: str) -> EndlessTurn:
        """A turn at once: a recording provider answers everybody at the same time."""
        del model
        return EndlessTurn()

    async def unload(self, model: str) -> None:
        """Nothing is loaded."""


@dataclass
class HashedEmbedding:
    """Port `EmbeddingProvider`: each word turns one number of the vector, so that texts with common words are near each other.

    Attributes:
        seen: What was embedded, in order.
    """

    seen: list[EmbeddingInput] = field(default_factory=list)

    def models(self) -> tuple[LocalModel, ...]:
        """The one model."""
        return (LocalModel(EMBEDDING_MODEL, "Vectors made by hashing", packaged=True, profile=Profile(dimensions=DIMENSIONS)),)

    def state(self, model: str) -> RuntimeState:
        """READY for the one model."""
        known = model == EMBEDDING_MODEL
        return RuntimeState(EndpointState.READY) if known else RuntimeState(EndpointState.FAILED, f"This machine has no model `{model}`.")

    async def embed(self, request: Cleared[EmbeddingInput]) -> Embedded:
        """Vectors of length one."""
        self.seen.append(request.content)
        vectors = tuple(_vector(text) for text in request.content.texts)
        return Embedded(vectors, DIMENSIONS, sum(len(text.split()) for text in request.content.texts))


def _vector(text: str) -> bytes:
    counts = [0.0] * DIMENSIONS
    for word in text.lower().split():
        counts[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    length = math.sqrt(sum(each * each for each in counts)) or 1.0
    return struct.pack(f"<{DIMENSIONS}f", *(each / length for each in counts))
