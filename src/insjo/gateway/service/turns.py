"""An answer of a local model holds its place in line until it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from insjo.gateway.ports import ProviderResponse, Turn


@dataclass(slots=True)
class _InTurn:
    """An answer of a local model; the next one in line may begin when it is closed."""

    response: ProviderResponse
    turn: Turn

    @property
    def status(self) -> int:
        """See the port."""
        return self.response.status

    def header(self, name: str) -> str:
        """See the port."""
        return self.response.header(name)

    def pieces(self) -> AsyncIterator[bytes]:
        """See the port."""
        return self.response.pieces()

    async def read(self) -> bytes:
        """See the port; a whole answer leaves nothing to generate, so the turn ends with it."""
        try:
            return await self.response.read()
        finally:
            self.turn.release()

    async def aclose(self) -> None:
        """See the port."""
        try:
            await self.response.aclose()
        finally:
            self.turn.release()


def hold(response: ProviderResponse, turn: Turn | None) -> ProviderResponse:
    """The answer together with the turn in which it is made."""
    return response if turn is None else _InTurn(response, turn)
