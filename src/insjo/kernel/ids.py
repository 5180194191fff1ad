"""Identifiers: time-ordered for rows, unguessable for secrets."""

from __future__ import annotations

import random
import secrets
import time

_62_BITS = (1 << 62) - 1


def new_id() -> str:
    """New time-ordered identifier (UUID version 7, RFC 9562), so that rows sort by creation.

    It is no secret: a model request needs several, and asking the system for randomness each time would give other threads the
    interpreter each time.  The generator is seeded by the system, again after a fork.
    """
    noise = random.getrandbits(74)  # No secret, see above.
    value = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | (noise >> 62) << 64 | 0x2 << 62 | noise & _62_BITS
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_secret(prefix: str, bytes_count: int = 32) -> str:
    """New unguessable text with a prefix that tells its kind (secret scanners look for it)."""
    return prefix + secrets.token_hex(bytes_count)


def short_id(length: int = 16) -> str:
    """New random hexadecimal identifier, for objects whose wire form is short (warehouses)."""
    return secrets.token_hex((length + 1) // 2)[:length]
