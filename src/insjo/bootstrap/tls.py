"""HTTPS beside plain HTTP: whether it is wanted, where it listens, with which names, and the renewal of its certificate."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from insjo.adapters.tls.certificates import Certificates, ensure_certificates, read_certificates
from insjo.adapters.tls.context import reload, server_context
from insjo.bootstrap.folders import Folders, exclusive, prepare
from insjo.kernel.clock import SystemClock

if TYPE_CHECKING:
    import ssl
    from socket import socket

    from insjo.kernel.settings import Settings

log = logging.getLogger(__name__)

RENEW_CHECK_S = 6 * 3600.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # Nobody listens here: these words do not belong into a certificate.


@dataclass(frozen=True, slots=True)
class Https:
    """A port that is taken for HTTPS."""

    listener: socket
    context: ssl.SSLContext
    url: str


def https_port(settings: Settings) -> int | None:
    """The port for HTTPS: the one that is set, else the one after that of HTTP; None when HTTPS is switched off."""
    if settings.tls_port < 0:
        return None
    return settings.tls_port or (settings.port + 1 if settings.port else 0)


def https_host(settings: Settings) -> str:
    """The address on which HTTPS listens."""
    return settings.tls_host or settings.host


def names_of(settings: Settings) -> tuple[str, ...]:
    """Names that the server's certificate holds."""
    public = urlsplit(settings.public_url).hostname or ""
    wished = [each.strip() for each in settings.tls_names.split(",")]
    names = [*LOOPBACK, settings.host, settings.tls_host, public, *wished]
    return tuple(dict.fromkeys(each for each in names if each not in ANY_ADDRESS))


def certificates(settings: Settings, folders: Folders | None = None) -> Certificates:
    """The certificates of an installation, made at the first call and renewed when it is time."""
    folders = folders or prepare(settings.root)
    with exclusive(folders, "tls", wait=True):
        return ensure_certificates(folders.keys / "tls", names_of(settings), SystemClock().now())


def present_certificates(settings: Settings) -> Certificates | None:
    """The certificates if there are any; makes nothing."""
    return read_certificates(Folders.under(settings.root).keys / "tls")


def open_https(settings: Settings, folders: Folders, listener: socket) -> Https:
    """HTTPS on a port that is taken already."""
    context = server_context(certificates(settings, folders).server_path)
    host, port = https_host(settings), listener.getsockname()[1]
    shown = "localhost" if host in ANY_ADDRESS else host
    return Https(listener, context, f"https://{f'[{shown}]' if ':' in shown else shown}:{port}")


def renew(settings: Settings, folders: Folders, context: ssl.SSLContext) -> bool:
    """Make a new certificate if it is time, and use it; whether it was."""
    found = certificates(settings, folders)
    if found.renewed:
        reload(context, found.server_path)
        log.info("the certificate of the server was renewed and ends on %s", found.server_ends.date())
    return found.renewed


async def keep_renewed(settings: Settings, folders: Folders, context: ssl.SSLContext) -> None:
    """Look a few times a day, until cancelled; a failure is told in the log and tried again."""
    while True:
        await asyncio.sleep(RENEW_CHECK_S)
        try:
            await asyncio.to_thread(renew, settings, folders, context)
        except Exception:  # Whatever it was, the next look may succeed, and until then the old certificate serves.
            log.exception("the certificate of the server could not be renewed")
