"""Answers that were given before, for endpoints whose policy keeps them.

The same bytes, sent by the same person to the same served model with the same label, get the same answer for a while.  Nobody ever gets
the answer that somebody else was given, and a change of the endpoint's policy or of the served model's clearance makes all that was kept
before useless.  Whether the caller may use the endpoint, which label the content has now, and whether it may go to that served model, is
decided as for any other request before anybody looks here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from insjo.access.types import Label
    from insjo.gateway.service.snapshot import Candidate, EndpointView
    from insjo.gateway.types import TokenUsage
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

BYTES_MAX: Final = 64 * 2**20
"""Answers that are kept in memory, together; the one that was not asked for longest goes first."""

ENTRY_BYTES_MAX: Final = 2**20
_ENTRY_COST = 512
"""About what an entry takes beside its answer."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A whole answer, as the provider gave it."""

    content: bytes
    spent: TokenUsage
    native: bool
    until_s: float

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        return len(self.content) + _ENTRY_COST


class AnswerCache:
    """Keeps answers; safe from several threads."""

    def __init__(self, clock: Clock, *, bytes_max: int = BYTES_MAX) -> None:
        """Nothing is kept yet."""
        self._clock = clock
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, KeptAnswer] = OrderedDict()
        self._size = 0

    def key(self, ctx: RequestContext, view: EndpointView, candidate: Candidate, label: Label, body: bytes) -> bytes:
        """Under what an answer is kept: who asks, what, by which door of rights, and to which model exactly."""
        served = candidate.served
        parts = (
            ctx.principal.id,
            ctx.on_behalf_of.id if ctx.on_behalf_of else "",
            view.id,
            repr(view.policy),
            repr(candidate.clearance),
            candidate.endpoint,
            served.name,
            served.kind.value,
            served.model,
            served.base_url,
            label.text(),
        )
        hashed = hashlib.blake2b(digest_size=32)
        for part in (*(each.encode() for each in parts), body):
            hashed.update(len(part).to_bytes(8, "little"))
            hashed.update(part)
        return hashed.digest()

    def find(self, key: bytes) -> KeptAnswer | None:
        """What is kept under a key, if its time is not over."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            if found.until_s <= self._clock.monotonic_s():
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return found

    def put(self, key: bytes, content: bytes, spent: TokenUsage, *, native: bool, ttl_s: float) -> None:
        """Keep an answer; one that is very long is not worth it."""
        if len(content) > ENTRY_BYTES_MAX:
            return
        with self._lock:
            self._drop(key)
            made = self._kept[key] = KeptAnswer(content, spent, native, self._clock.monotonic_s() + ttl_s)
            self._size += made.size_bytes
            while self._size > self._bytes_max:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._size -= found.size_bytes


class NoResponse:
    """Stands for the provider's response where none was asked for."""

    status = 200

    def header(self, name: str) -> str:
        """There are none."""
        del name
        return ""

    async def aclose(self) -> None:
        """Nothing is open."""
