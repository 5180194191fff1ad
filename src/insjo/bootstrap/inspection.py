"""What `insjo doctor` needs adapters for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.adapters.loopback.probe import why_not
from insjo.bootstrap.tls import https_host, https_port, present_certificates
from insjo.kernel.clock import SystemClock

if TYPE_CHECKING:
    from insjo.kernel.settings import Settings


def why_port_taken(settings: Settings) -> str:
    """Why the server could not listen on its port; empty when it could."""
    return why_not(settings.host, settings.port)


@dataclass(frozen=True, slots=True)
class HttpsState:
    """The HTTPS port, the names in its certificate, and how many days certificates still live; None where there is nothing."""

    host: str
    port: int | None
    names: str = ""
    server_days: int | None = None
    authority_days: int | None = None


def https_state(settings: Settings) -> HttpsState:
    """How HTTPS stands."""
    host, port = https_host(settings), https_port(settings)
    found = present_certificates(settings)
    if found is None:
        return HttpsState(host, port)
    now = SystemClock().now()
    return HttpsState(host, port, ", ".join(found.names), (found.server_ends - now).days, (found.authority_ends - now).days)
