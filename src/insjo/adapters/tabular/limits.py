"""What one file may cost, and the words in which a reader says that it cannot read it."""

from __future__ import annotations

MEMORY_BYTES_MAX = 3 * 1024**3
"""Address space of the child: a packed file that unfolds to more than this ends the child, and nothing else."""

WRITTEN_BYTES_MAX = 64 * 1024**3
EXCEL_BYTES_MAX = 256 * 1024**2
"""Sheets are held in memory whole."""

CPU_S_MAX = 1800
TIME_S_MAX = 3600.0
BATCH_ROWS = 50_000
COLUMNS_MAX = 10_000


class Unreadable(Exception):
    """The file is damaged or protected, or is something else; the text is for people."""


class Wrong(Exception):
    """What was asked of the file does not fit it; the text is for people."""


class TooHeavy(Exception):
    """The file is over a limit."""
