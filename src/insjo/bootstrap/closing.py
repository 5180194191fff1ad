"""What must be taken down at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Closing:
    """What must be taken down at the end, in the reverse order of its making; one failure does not keep the others from closing."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def add(self, close: Callable[[], object]) -> None:
        """Remember to call this."""
        self._stack.callback(close)

    def close(self) -> None:
        """Take everything down."""
        self._stack.close()
