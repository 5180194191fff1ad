"""Ports of the gateway towards model servers; adapters implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from insjo.access.types import Cleared
    from insjo.gateway.types import Embedded, EmbeddingInput, LocalModel, ProviderRequest, RuntimeState, Upstream, UsageRecord


class ProviderResponse(Protocol):
    """An answer whose head has arrived and whose body may still be running."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    def header(self, name: str) -> str:
        """Value of a header by its lower-case name; empty when absent."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises `UpstreamFailed` kinds when it breaks off."""
        ...

    async def read(self) -> bytes:
        """The whole body; raises `ProviderGarbled` when it is longer than the limit."""
        ...

    async def aclose(self) -> None:
        """End the call: a body that is still running is cut, so that the provider stops working.  Can be repeated."""
        ...


class ChatProvider(Protocol):
    """Sends cleared requests in OpenAI's wire and keeps connections."""

    def check_address(self, base_url: str) -> None:
        """Refuse an address that no provider has; raises EndpointInvalid.  Opens no connection."""
        ...

    async def open(self, request: Cleared[ProviderRequest]) -> ProviderResponse:
        """Send the request and return when the head of the answer is there.

        Raises:
            ProviderUnreachable: No connection, or cut before the head.
            ProviderTimedOut: Too slow.
            ProviderBusy: All connections are taken.
            ProviderGarbled: The head is not HTTP.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class EmbeddingProvider(Protocol):
    """Embeds texts on this machine."""

    def models(self) -> tuple[LocalModel, ...]:
        """Embedding models that it offers; must not load them."""
        ...

    def state(self, model: str) -> RuntimeState:
        """State of one model; must not block."""
        ...

    async def embed(self, request: Cleared[EmbeddingInput]) -> Embedded:
        """Embed the texts, in their order.

        Raises:
            ModelNotLoaded: The model is not ready yet.
            ModelUnknown: This machine does not have it.
        """
        ...


class Turn(Protocol):
    """The right to run one generation on a local model."""

    def release(self) -> None:
        """Let the next one in.  Can be repeated."""
        ...


class ModelRuntime(Protocol):
    """Runs language models on this machine, one supervised child process a loaded model."""

    def models(self) -> tuple[LocalModel, ...]:
        """Language models that can be served here; must not load them and must not block for long."""
        ...

    def state(self, model: str) -> RuntimeState:
        """State of one model; must not block.  READY also for a model that loads on demand."""
        ...

    async def address(self, model: str) -> Upstream:
        """Where the model answers OpenAI's wire; loads it first when it is not loaded, and returns at once when it is.

        Raises:
            ModelNotLoaded: It cannot be loaded in time; the message says why.
            ModelUnknown: This machine does not have it.
        """
        ...

    async def admit(self, model: str) -> Turn:
        """Wait in line for a turn on the model; the turn is released when the answer has ended, however it ended.

        Raises:
            Unavailable: The line is full.
            ModelUnknown: This machine does not have it.
        """
        ...

    async def unload(self, model: str) -> None:
        """End the model's process, for example to free memory.  Nothing happens when it is not loaded."""
        ...


class UsageObserver(Protocol):
    """Counts requests for whoever watches the system."""

    content_type: str
    """Media type of what `render` gives."""

    def observe(self, records: Sequence[UsageRecord]) -> None:
        """Count some requests; called in batches, never on the way of one."""
        ...

    def render(self) -> bytes:
        """All counts since the process began."""
        ...


class Patterns(Protocol):
    """Regular expressions whose time grows with the text alone, whatever the expression."""

    def check(self, pattern: str) -> None:
        """Refuse an expression that cannot be used; raises EndpointInvalid."""
        ...

    def spans(self, pattern: str, text: str) -> list[tuple[int, int]]:
        """Beginning and end of each match, from left to right."""
        ...
