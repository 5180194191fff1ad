"""The clock as a port, so that tests can turn it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; everything that reads a clock takes one of these."""

    def now(self) -> datetime:
        """Current time, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970, the form in which the doors show times."""
    return int(moment.timestamp() * 1000)
