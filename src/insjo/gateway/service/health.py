"""How served models elsewhere fare: which of them rest after failures, how fast they are, and how many requests they have now.

This is known in each process by itself and forgotten with it.  It decides only about the order and never about what may be sent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from insjo.gateway.errors import ProviderBusy
from insjo.gateway.types import EndpointState

if TYPE_CHECKING:
    from insjo.kernel.errors import InsjoError

FAILURES_MAX: Final = 5
"""Failures in a row after which a served model rests."""

REST_S: Final = 5.0
"""How long it rests first; doubled each time that the attempt after it fails too."""

REST_S_MAX: Final = 120.0
PROBE_S: Final = 2.0
"""Time between two attempts while nobody knows whether it is well again."""

BUSY_S_MAX: Final = 60.0
"""Longest rest that a provider can ask for with `Retry-After`."""

RETRIES_MAX: Final = 10.0
"""Retries that are ready at once; one comes back each second."""

SLOWNESS: Final = 0.2
"""Weight of the newest answer in the average time to the first byte."""

WAIT_S_MAX: Final = 30.0
"""Longest wait for one of a served model's places."""

KNOWN_MAX: Final = 10_000


class Place:
    """One of the places of a served model; implements the port `Turn`."""

    __slots__ = ("_gate", "_taken")

    def __init__(self, gate: Gate) -> None:
        """Take the place."""
        self._gate = gate
        self._taken = True

    def release(self) -> None:
        """Give the place to the next one.  Can be repeated."""
        if self._taken:
            self._taken = False
            self._gate.leave()


class Gate:
    """So many requests at the same time, and a line of so many that wait."""

    __slots__ = ("_inside", "_line", "places", "waiting_max")

    def __init__(self) -> None:
        """Open to everybody; `places` 0 means no limit."""
        self.places = 0
        self.waiting_max = 0
        self._inside = 0
        self._line: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> Place:
        """Wait for a place.

        Raises:
            ProviderBusy: The line is full, or the wait too long.
        """
        if self._inside >= self.places or self._line:
            await self._wait()  # Whoever left handed over the place.
        else:
            self._inside += 1
        return Place(self)

    def leave(self) -> None:
        """Hand the place over to whoever waits longest."""
        if self._inside <= self.places or not self.places:  # Else there are fewer places than before.
            while self._line:
                place = self._line.popleft()
                if not place.done():
                    place.set_result(None)
                    return
        self._inside -= 1

    async def _wait(self) -> None:
        if len(self._line) >= self.waiting_max:
            raise ProviderBusy("Too many requests wait for this served model.", hint="Try again in a moment.", details={"retry_after_s": 1})
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                await self._granted(place)
        except TimeoutError as error:
            raise ProviderBusy("The wait for this served model was too long.", hint="Try again later.") from error

    async def _granted(self, place: asyncio.Future[None]) -> None:
        try:
            await place
        except BaseException:
            if place in self._line:
                self._line.remove(place)
            elif not place.cancelled():  # It was granted in the very moment in which the caller went away.
                self.leave()
            raise


class Health:
    """How one served model fares.

    Attributes:
        troubled: Whether anything but good is known of it; the only thing that a request looks at when all is well.
        first_byte_s: Average time to the first byte; 0 means unknown.
        gate: Its places.
    """

    __slots__ = ("_failures", "_last", "_open", "_ready_s", "_refilled_s", "_rests", "_retries", "first_byte_s", "gate", "troubled")

    def __init__(self) -> None:
        """Well, as far as anybody knows."""
        self.troubled = False
        self.first_byte_s = 0.0
        self.gate = Gate()
        self._failures = 0
        self._rests = 0
        self._open = False
        self._ready_s = 0.0
        self._last = ""
        self._retries = RETRIES_MAX
        self._refilled_s = time.monotonic()

    def admits(self) -> bool:
        """Whether a request may be tried on it; after a rest one is let through each `PROBE_S` until one succeeds."""
        now_s = time.monotonic()
        if now_s < self._ready_s:
            return False
        if self._open:
            self._ready_s = now_s + PROBE_S
        return True

    def succeeded(self) -> None:
        """An answer came, whole."""
        self.troubled = self._open = False
        self._failures = self._rests = 0
        self._ready_s = 0.0

    def failed(self, error: InsjoError) -> None:
        """It failed: after some failures in a row it rests, each time longer, and at once when it failed again after a rest."""
        self.troubled = True
        self._failures += 1
        self._last = error.message
        if self._failures >= FAILURES_MAX:
            rest_s = min(REST_S * 2.0**self._rests, REST_S_MAX)
            if not self._open or time.monotonic() >= self._ready_s - PROBE_S:
                self._rests = min(self._rests + 1, 16)
                self._ready_s = time.monotonic() + rest_s * random.uniform(0.8, 1.2)  # noqa: S311  # No secret: it spreads load.
            self._open = True

    def asked_for_rest(self, error: ProviderBusy) -> None:
        """It said that it has too much to do, and perhaps for how long; that is no failure."""
        wait_s = retry_after_s(error)
        if wait_s > 0:
            self.troubled = True
            self._last = error.message
            self._ready_s = max(self._ready_s, time.monotonic() + min(wait_s, BUSY_S_MAX))

    def measured(self, first_byte_s: float) -> None:
        """An answer began after this time."""
        before_s = self.first_byte_s
        self.first_byte_s = first_byte_s if not before_s else before_s + SLOWNESS * (first_byte_s - before_s)

    def take_retry(self) -> bool:
        """Whether another attempt may be made: retries must not multiply the load on a provider that is in trouble."""
        now_s = time.monotonic()
        self._retries = min(self._retries + now_s - self._refilled_s, RETRIES_MAX)
        self._refilled_s = now_s
        if self._retries < 1:
            return False
        self._retries -= 1
        return True

    def state(self) -> tuple[EndpointState, str]:
        """For people: FAILED while it rests."""
        wait_s = self._ready_s - time.monotonic()
        if not self._open and wait_s <= 0:
            return EndpointState.READY, ""
        again = f"It is tried again in {wait_s:.0f} s." if wait_s > 0 else "It is tried again with the next request."
        what = f"It failed {self._failures} times in a row" if self._open else "It asked for a rest"
        return EndpointState.FAILED, f"{what}: {self._last} {again}"


class Healths:
    """All served models elsewhere; what stands at the same place under the same name keeps its health when an endpoint changes."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[tuple[str, ...], Health] = {}

    def of(self, *place: str) -> Health:
        """The health of a served model."""
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        return self._known.setdefault(place, Health())


def retry_after_s(error: InsjoError) -> float:
    """For how long a provider wants to be left alone; 0 when it does not say."""
    wait_s = error.details.get("retry_after_s", 0)
    return float(wait_s) if isinstance(wait_s, int | float) else 0.0
