"""The bridge from asyncio to the synchronous services: one bounded pool of threads."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)


class Threads:
    """A bounded pool in which synchronous service calls run, so that they never block the event loop."""

    def __init__(self, count: int) -> None:
        """Make a pool of `count` threads; threads start on demand."""
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="service")

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call in the pool and wait for it without blocking the loop; errors pass through."""
        context = contextvars.copy_context()
        bound = functools.partial(context.run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, bound)

    def submit(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Let a call run in the pool without waiting for it; what goes wrong is logged.  Once the pool is closed it runs at once."""
        bound = functools.partial(call, *args, **kwargs)
        try:
            self._pool.submit(_logged, bound)
        except RuntimeError:
            _logged(bound)

    def close(self) -> None:
        """Wait for running calls and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _logged(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:  # noqa: BLE001  # Nobody waits for it who could be told.
        _log.exception("a call in the background failed")
