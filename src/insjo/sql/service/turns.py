"""Whose statement runs next: nobody's statements, however many, keep those of others waiting."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.sql.errors import WarehouseBusy

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A statement that waits for its turn."""

    user_id: str
    warehouse_id: str
    run: Callable[[], None]


class Turns:
    """A bounded line in front of a bounded number of threads.

    Of those that wait, the next is the first of the person with the fewest statements running, if neither the person nor the warehouse
    runs as many as they may.

    Args:
        threads: Statements that run at once.
        waiting_max: Statements that may wait.
        user_max: Statements of one person that run at once.
        warehouse_max: Statements of one warehouse that run at once.
    """

    def __init__(self, *, threads: int, waiting_max: int, user_max: int, warehouse_max: int) -> None:
        self._threads = threads
        self._waiting_max = waiting_max
        self._user_max = user_max
        self._warehouse_max = warehouse_max
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._users: Counter[str] = Counter()
        self._warehouses: Counter[str] = Counter()
        self._running = 0
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="statement")

    def take(self, statement_id: str, user_id: str, warehouse_id: str, run: Callable[[], None]) -> None:
        """Get into the line.

        Raises:
            WarehouseBusy: It is full.
        """
        with self._lock:
            if len(self._waiting) >= self._waiting_max:
                message = f"{len(self._waiting)} statements wait already."
                raise WarehouseBusy(message, hint="Try again in a moment.")
            self._waiting[statement_id] = _Waiting(user_id, warehouse_id, run)
            self._call()

    def position(self, statement_id: str) -> int:
        """Place in the line, 1 for the first; 0 for a statement that does not wait."""
        with self._lock:
            for place, each in enumerate(self._waiting, 1):
                if each == statement_id:
                    return place
        return 0

    def leave(self, statement_id: str) -> Callable[[], None] | None:
        """Leave the line, if it still stands there; gives what would have been run."""
        with self._lock:
            found = self._waiting.pop(statement_id, None)
        return found.run if found else None

    def close(self) -> None:
        """Wait for what runs; what waits is forgotten."""
        with self._lock:
            self._waiting.clear()
            self._waiting_max = 0
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _call(self) -> None:
        """Start all that may run now, with the lock held."""
        while self._running < self._threads:
            free = [
                (self._users[each.user_id], place, statement_id)
                for place, (statement_id, each) in enumerate(self._waiting.items())
                if self._users[each.user_id] < self._user_max and self._warehouses[each.warehouse_id] < self._warehouse_max
            ]
            if not free:
                return
            chosen = self._waiting.pop(min(free)[2])
            self._running += 1
            self._users[chosen.user_id] += 1
            self._warehouses[chosen.warehouse_id] += 1
            self._pool.submit(self._turn, chosen)

    def _turn(self, chosen: _Waiting) -> None:
        """Run one, then let others begin."""
        try:
            chosen.run()
        finally:
            with self._lock:
                self._running -= 1
                for counts, key in ((self._users, chosen.user_id), (self._warehouses, chosen.warehouse_id)):
                    counts[key] -= 1
                    if not counts[key]:
                        del counts[key]
                self._call()
