"""What one document may cost, and the words in which a reader says that it cannot read it."""

from __future__ import annotations

FILE_BYTES_MAX = 200 * 1024 * 1024
MEMORY_BYTES_MAX = 1536 * 1024 * 1024
UNPACKED_BYTES_MAX = 400 * 1024 * 1024
TEXT_CHARS_MAX = 20_000_000
BLOCKS_MAX = 400_000
PAGES_MAX = 20_000
TIME_MAX_S = 120


class Unreadable(Exception):
    """The document is damaged or protected; the text is for people."""


class Empty(Exception):
    """The document holds no text."""


class TooHeavy(Exception):
    """The document is over a limit."""
