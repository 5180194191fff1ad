"""Patterns of names with wildcards, matched in a time that no pattern can blow up: callers choose both pattern and names."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Wildcard(Enum):
    """What stands for characters that are not told."""

    ONE = "one character"
    MANY = "any characters, also none"


Token = str | Wildcard
"""One character as it is, or a wildcard."""


def fits(pattern: Sequence[Token], name: str) -> bool:
    """Whether the whole name fits, without regard to case; takes at most the product of both lengths."""
    text = name.lower()
    at, place, star, resume = 0, 0, -1, 0
    while place < len(text):
        token = pattern[at] if at < len(pattern) else None
        if token is Wildcard.MANY:
            star, resume = at, place
            at += 1
        elif token is Wildcard.ONE or (isinstance(token, str) and token.lower() == text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return all(token is Wildcard.MANY for token in pattern[at:])
