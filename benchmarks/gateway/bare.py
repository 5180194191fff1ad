"""A pass-through without any law, on the same server and the same client as the gateway: what they cost before a decision is made."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.gateway.types import ProviderRequest, TimeLimits, Upstream

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(slots=True)
class Uncleared:
    """Stands in the place of a cleared request: nothing is decided here."""

    content: ProviderRequest


def application(upstream_port: int) -> ASGIApp:
    """An application that passes each request on."""
    wire = OpenAIWire()
    upstream, limits = Upstream(f"http://127.0.0.1:{upstream_port}/v1", "sk-test"), TimeLimits()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        body = (await receive())["body"]
        wanted = ProviderRequest(upstream, "/chat/completions", body, stream=False, limits=limits)
        answer = await wire.open(cast("Any", Uncleared(wanted)))
        content = await answer.read()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


def serve(app: ASGIApp, **told: object) -> None:
    """Serve on a free port until standard input closes; tells the port and more in one line of JSON."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    # As `insjo serve` runs it.
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        sys.stdin.read()
        server.should_exit = True
        server.force_exit = True

    threading.Thread(target=stop, daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1], "pid": os.getpid(), **told}), flush=True)
    server.run(sockets=[listener])


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=int, required=True)
    serve(application(parser.parse_args().upstream), token="")


if __name__ == "__main__":
    main()
