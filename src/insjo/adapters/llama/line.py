"""The line in front of a model: few generations run at once, some wait and know their place, the rest are refused."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field

from insjo.kernel.errors import DeadlineExceeded, Unavailable


class ModelQueueFull(Unavailable):
    """So many wait for the model already that one more would wait too long."""

    code = "MODEL_QUEUE_FULL"


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody in line; the future is completed in the loop to which it belongs."""

    loop: asyncio.AbstractEventLoop
    ready: asyncio.Future[None]


@dataclass(slots=True)
class Turn:
    """The right to run one generation; to be given back, and giving it back twice is the same as once.

    Attributes:
        position: How many were in front when this one came; 0 means that it did not wait.
    """

    line: Line
    position: int
    _open: bool = field(default=True)

    def release(self) -> None:
        """Let the next one in."""
        if self._open:
            self._open = False
            self.line._leave()  # noqa: SLF001  # The two classes are one mechanism.


class Line:
    """First come, first served, with a limit; safe to use from several event loops.

    Args:
        name: Of the model, for messages.
        width: How many may run at once.
        waiting_max: How many may wait.
    """

    def __init__(self, name: str, *, width: int, waiting_max: int) -> None:
        self._name = name
        self._width = width
        self._waiting_max = waiting_max
        self._active = 0
        self._waiting: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    @property
    def active(self) -> int:
        """How many run."""
        return self._active

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def enter(self, timeout_s: float | None = None) -> Turn:
        """Wait for a turn.

        Raises:
            ModelQueueFull: The line is full.
            DeadlineExceeded: The time was not enough.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._active < self._width:
                self._active += 1
                return Turn(self, 0)
            if len(self._waiting) >= self._waiting_max:
                raise ModelQueueFull(
                    f"The model `{self._name}` is busy: {self._waiting_max} requests wait for it already.",
                    hint="Try again in a moment.",
                )
            waiter = _Waiter(loop, loop.create_future())
            self._waiting.append(waiter)
            position = len(self._waiting)
        try:
            await asyncio.wait_for(asyncio.shield(waiter.ready), timeout_s)
        except TimeoutError as error:
            self._withdraw(waiter)
            raise DeadlineExceeded(f"The model `{self._name}` was busy for the whole {timeout_s:g} s that this request had.") from error
        except BaseException:
            self._withdraw(waiter)
            raise
        return Turn(self, position)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Take somebody out of the line who no longer waits; a turn that was given at that very moment goes on to the next."""
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                return
        self._leave()

    def _leave(self) -> None:
        """Hand the turn to the next in line, or close it."""
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                if waiter.loop.is_closed():
                    continue
                waiter.loop.call_soon_threadsafe(_wake, waiter.ready)
                return
            self._active -= 1


def _wake(ready: asyncio.Future[None]) -> None:
    """Complete a future that may have been cancelled meanwhile."""
    if not ready.done():
        ready.set_result(None)
