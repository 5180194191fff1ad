"""Runs the server: prepares the folder, builds the services, listens, and takes everything down again."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from insjo.bootstrap.compose import build
from insjo.bootstrap.defaults import set_up
from insjo.bootstrap.folders import exclusive, prepare
from insjo.kernel.errors import FailedPrecondition
from insjo.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from insjo.kernel.settings import Settings

GRACE_S = 5


@dataclass(frozen=True, slots=True)
class SigninLink:
    """A link that signs one person in, once."""

    user: str
    url: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """What is told when the server is ready."""

    url: str
    links: tuple[SigninLink, ...]


class PortTaken(FailedPrecondition):
    """Somebody else listens on the port."""

    code = "PORT_TAKEN"


def run(settings: Settings, *, with_demo: bool, announce: Callable[[Started], None], progress: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        FailedPrecondition: When another server uses the data folder, or the port is taken.
    """
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folders = prepare(settings.root)
    with exclusive(folders, "server", wait=False):
        listener = _listen(settings)
        progress("Opening the data folder ...")
        services, close = build(settings, folders)
        try:
            links = set_up(services, folders, with_demo=with_demo, progress=progress)
            named = tuple(SigninLink(each.user, f"{settings.base_url}/sign-in/{each.secret}", each.role) for each in links)
            server = _Server(uvicorn.Config(create_app(services), **_options(settings)))
            server.on_ready = lambda: announce(Started(settings.base_url, named))
            server.run(sockets=[listener])
        finally:
            close()
            listener.close()


def _listen(settings: Settings) -> socket:
    """Take the port before anything slow happens, so that a taken port is told at once."""
    probe = uvicorn.Config("", host=settings.host, port=settings.port, log_config=None)
    try:
        return probe.bind_socket()
    except (OSError, SystemExit) as error:
        message = f"Port {settings.port} on {settings.host} is taken or not allowed."
        raise PortTaken(message, hint="Choose another with --port, or stop the program that uses it.") from error


def _options(settings: Settings) -> dict[str, object]:
    """How uvicorn runs."""
    return {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "proxy_headers": False,
        "timeout_graceful_shutdown": GRACE_S,
        "limit_concurrency": 4096,
        "backlog": 2048,
    }


class _Server(uvicorn.Server):
    """Tells when it listens."""

    on_ready: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start listening, then tell."""
        await super().startup(sockets=sockets)
        if self.started:
            self.on_ready()
