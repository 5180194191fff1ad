"""What `insjo doctor` needs adapters for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.adapters.loopback.probe import why_not

if TYPE_CHECKING:
    from insjo.kernel.settings import Settings


def why_port_taken(settings: Settings) -> str:
    """Why the server could not listen on its port; empty when it could."""
    return why_not(settings.host, settings.port)
