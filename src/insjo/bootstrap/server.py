"""Runs the server: prepares the folder, builds the services, listens, and takes everything down again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from insjo.bootstrap.closing import Closing
from insjo.bootstrap.compose import build, start
from insjo.bootstrap.defaults import ensure_defaults, first_links
from insjo.bootstrap.folders import advertise, exclusive, prepare
from insjo.bootstrap.outside import prepare_demo
from insjo.bootstrap.tls import Https, https_host, https_port, keep_renewed, open_https
from insjo.kernel.errors import FailedPrecondition
from insjo.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from starlette.types import ASGIApp

    from insjo.bootstrap.folders import Folders
    from insjo.kernel.settings import Settings
    from insjo.web.types import Services

GRACE_S = 5
CONNECTIONS_MAX = 4096


@dataclass(frozen=True, slots=True)
class SigninLink:
    """A link that signs one person in, once."""

    user: str
    url: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """What is told when the server is ready; `tls_url` is empty when there is no HTTPS."""

    url: str
    links: tuple[SigninLink, ...]
    tls_url: str = ""


class PortTaken(FailedPrecondition):
    """Somebody else listens on the port."""

    code = "PORT_TAKEN"


def run(settings: Settings, *, with_demo: bool, announce: Callable[[Started], None], progress: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        FailedPrecondition: When another server uses the data folder, or the port is taken.
    """
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    folders = prepare(settings.root)
    closing = Closing()
    with exclusive(folders, "server", wait=False):
        listener = _listen(settings.host, settings.port)
        closing.add(listener.close)
        https = _https(settings, folders, closing, progress)
        advertise(folders, settings.base_url)
        progress("Opening the data folder ...")
        try:
            services = build(settings, folders, closing)
            ensure_defaults(services)
            start(services)
            if with_demo:
                prepare_demo(services, folders, closing, progress)
            links = first_links(services, with_demo=with_demo)
            named = tuple(SigninLink(each.user, f"{settings.base_url}/sign-in/{each.secret}", each.role) for each in links)
            server = _Server(_config(create_app(services), settings), services, folders, https)
            server.on_ready = lambda: announce(Started(settings.base_url, named, https.url if https else ""))
            server.run(sockets=[listener])
        finally:
            closing.close()


def _https(settings: Settings, folders: Folders, closing: Closing, progress: Callable[[str], None]) -> Https | None:
    """The port for HTTPS.  One that nobody asked for by its number and that is taken is told, and is no reason not to start."""
    port = https_port(settings)
    if port is None:
        return None
    try:
        listener = _listen(https_host(settings), port)
    except PortTaken as error:
        if settings.tls_port:
            raise
        progress(f"Without HTTPS: {error.message} Choose another port with --tls-port.")
        return None
    closing.add(listener.close)
    return open_https(settings, folders, listener)


def _listen(host: str, port: int) -> socket:
    """Take the port before anything slow happens, so that a taken port is told at once."""
    probe = uvicorn.Config("", host=host, port=port, log_config=None)
    try:
        return probe.bind_socket()
    except (OSError, SystemExit) as error:
        message = f"Port {port} on {host} is taken or not allowed."
        raise PortTaken(message, hint="Choose another with --port, or stop the program that uses it.") from error


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=CONNECTIONS_MAX,
    )


class _Server(uvicorn.Server):
    """Starts what needs the event loop before it listens, tells when it listens, and ends it in the same loop."""

    def __init__(self, config: uvicorn.Config, services: Services, folders: Folders, https: Https | None) -> None:
        super().__init__(config)
        self.services = services
        self.folders = folders
        self.https = https
        self.renewal: asyncio.Task[None] | None = None
        self.on_ready: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start listening, then tell."""
        await self.services.gateway.start()
        await super().startup(sockets=sockets)
        if self.started:
            await self._open_https()
            # What was made until here stays until the end: the collector need not look at it again with every request.
            gc.collect()
            gc.freeze()
            self.services.jobs.start()
            self.on_ready()

    async def _open_https(self) -> None:
        """Let the same application answer on the port for HTTPS."""
        if self.https is None:
            return
        config = self.config

        def protocol(_loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]  # As uvicorn itself calls it.
                config=config, server_state=self.server_state, app_state=self.lifespan.state, _loop=_loop
            )

        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(protocol, sock=self.https.listener, ssl=self.https.context, backlog=config.backlog))
        self.renewal = asyncio.create_task(keep_renewed(self.services.settings, self.folders, self.https.context))

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let running requests end, then close what hangs on the loop."""
        if self.renewal is not None:
            self.renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.renewal
        await super().shutdown(sockets=sockets)
        await self.services.agents.close()
        await self.services.gateway.close()
