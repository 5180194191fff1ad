"""The gateway alone, as the benchmark drives it: real access, real audit, real usage on SQLite, one worker.

Prints one line of JSON (port, token, process id) when the first request can come, and ends when its standard input closes.
"""

from __future__ import annotations

import argparse
import cProfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from benchmarks.gateway.bare import serve
from insjo.access.service.facade import Access
from insjo.access.types import Clearance, Label, Level, Privilege, SecurableKind
from insjo.adapters.anthropic_wire.client import AnthropicWire
from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.gateway.service.room import GatewayRoom
from insjo.gateway.types import EndpointSpec, ServedKind, ServedModelSpec, Task
from insjo.kernel.clock import SystemClock
from insjo.kernel.context import system_context
from insjo.kernel.database import Database, metadata
from insjo.kernel.settings import Settings
from insjo.kernel.threads import Threads
from insjo.web.openai.door import OpenAIDoor

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MODELS = ("gpt-fake", "gpt-fake-paced", "gpt-fake-hold")
FINGERPRINTS = 20_000


def build(folder: Path, upstream_port: int) -> tuple[Any, str]:
    """Access and gateway with one endpoint for each model of the upstream, and a token that may use them."""
    database = Database(f"sqlite:///{folder / 'insjo.db'}")
    metadata.create_all(database.engine)
    clock = SystemClock()
    access = Access(database=database, clock=clock, settings=Settings(), key=b"a key for the benchmark, 32 bytes")
    access.bootstrap()
    threads = Threads(8)
    gateway = GatewayRoom(
        database=database,
        clock=clock,
        access=access,
        threads=threads,
        chat_provider=(wire := OpenAIWire()),
        anthropic_provider=AnthropicWire(wire),
        embedding_provider=None,
        runtime=None,
        keys_dir=folder / "keys",
        journal_dir=folder / "journal",
    )
    ctx = system_context()
    caller = access.principals.create_user(ctx, "caller")
    clearance = Clearance("", level=Level.INTERNAL, zone="any", keeps=False)
    for model in MODELS:
        served = ServedModelSpec("fake", ServedKind.OPENAI, model, f"http://127.0.0.1:{upstream_port}/v1", "sk-test", clearance=clearance)
        endpoint = gateway.endpoints.create(ctx, EndpointSpec(model, Task.CHAT, (served,)))
        access.grants.grant(ctx, endpoint.id, "caller", [Privilege.EXECUTE])
    secret = access.securables.register(ctx, SecurableKind.CATALOG, "hr")
    values = (f"KF-{number * 7919:08X} {number * 104729 % 900000 + 100000}" for number in range(FINGERPRINTS))
    access.fingerprints.replace(secret.id, Label(Level.CONFIDENTIAL), values)
    token = access.tokens.create(ctx, caller.id).value
    services = SimpleNamespace(access=access, gateway=gateway, threads=threads, settings=Settings())
    return services, token


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Other paths."""
    del receive
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    parser.add_argument("--profile", type=Path, default=None, help="write a profile of the run here")
    chosen = parser.parse_args()
    services, token = build(chosen.folder, chosen.upstream)
    app = OpenAIDoor(cast("Any", services), nothing)
    if chosen.profile is None:
        serve(app, token=token)
    else:
        profile = cProfile.Profile()
        profile.runcall(serve, app, token=token)
        profile.dump_stats(chosen.profile)
    services.gateway.usage.close()
    services.access.close()


if __name__ == "__main__":
    main()
