"""Shadow traffic: copies of requests to served models whose answers nobody gets, to compare cost and speed before they answer for real.

A shadow is a destination like any other: what it may receive is decided by its clearance, each time, and written down.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from typing import TYPE_CHECKING, Final

from insjo.access.service.flow import may_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from insjo.gateway.service.conflicts import Settled
    from insjo.gateway.service.snapshot import Candidate, EndpointView
    from insjo.gateway.service.wire import ReadBody
    from insjo.kernel.context import RequestContext

    Copy = Callable[[RequestContext, EndpointView, Candidate, Settled], Coroutine[None, None, None]]

RUNNING_MAX: Final = 64
"""Copies that run at once; further ones are not made."""

PER_CENT: Final = 100
BEGINNING_CHARS: Final = 2000
"""What of the first words of a conversation tells it from others."""

_log = logging.getLogger(__name__)


class Shadows:
    """Sends copies, without anybody waiting for them."""

    def __init__(self, copy: Copy) -> None:
        """`copy` sends one request to one served model, reads its answer to the end and writes the usage."""
        self._copy = copy
        self._running: set[asyncio.Task[None]] = set()

    def send(self, ctx: RequestContext, view: EndpointView, settled: Settled) -> None:
        """Copy a request to the shadows that are cleared for it and whose turn it is; it never fails.  An approval is for no copy."""
        if settled.approved is not None:
            return
        for shadow in view.shadows:
            if shadow.unusable is not None or len(self._running) >= RUNNING_MAX:
                continue
            if random.randrange(PER_CENT) >= shadow.served.shadow:  # noqa: S311  # No secret: it spreads load.
                continue
            if may_flow(settled.provenance.label, shadow.clearance).allowed:
                task = asyncio.get_running_loop().create_task(self._copy(ctx, view, shadow, settled))
                self._running.add(task)
                task.add_done_callback(self._done)

    async def close(self) -> None:
        """Cut those that run."""
        running = [each for each in self._running if each.get_loop() is asyncio.get_running_loop()]
        self._running.clear()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a copy for a shadow failed", exc_info=task.exception())


def conversation_of(ctx: RequestContext, view: EndpointView, read: ReadBody) -> bytes:
    """What requests of one conversation have in common: who asks, and a key of the client's or else the first words.

    Nothing when the endpoint does not ask for it.
    """
    if not view.routing.sticky:
        return b""
    fields = read.fields
    given = fields.get("prompt_cache_key") or fields.get("user")
    if not isinstance(given, str):
        messages = fields.get("messages") or []
        begin = next((at for at, each in enumerate(messages) if each.get("role") == "user"), 0)
        given = repr([each.get("content") for each in messages[: begin + 1]])[:BEGINNING_CHARS]
    said = f"{ctx.principal.id}\n{given}".encode("utf-8", "replace")
    return hashlib.blake2b(said, digest_size=16).digest()
