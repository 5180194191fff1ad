"""A token with which one thread asks another to stop."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class CancelToken:
    """Asks running work to stop; thread-safe, and once cancelled it stays so.

    Attributes:
        progress: How much of it the work says is done, from 0 to 1; None while it does not say.
    """

    def __init__(self) -> None:
        self.progress: float | None = None
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask to stop: calls what was registered, in this thread, once."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            with contextlib.suppress(Exception):
                callback()

    def wait(self, timeout_s: float) -> bool:
        """Wait until cancelled; whether it was in time."""
        return self._event.wait(timeout_s)

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within this block a cancellation calls `callback` (which must be quick); an earlier one calls it at once."""
        with self._lock:
            already = self._event.is_set()
            if not already:
                self._callbacks.append(callback)
        if already:
            callback()
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._callbacks.remove(callback)
