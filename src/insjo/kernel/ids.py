"""Identifiers: time-ordered for rows, unguessable for secrets."""

from __future__ import annotations

import random
import secrets
import time


def new_id() -> str:
    """New time-ordered identifier (UUID version 7, RFC 9562), so that rows sort by creation.

    The twelve bits behind the milliseconds hold their fraction (section 6.2, method 3): what one thread makes in the same millisecond
    sorts by creation too, which the queue of jobs relies on.

    It is no secret: a model request needs several, and asking the system for randomness each time would give other threads the
    interpreter each time.  The generator is seeded by the system, again after a fork.
    """
    milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
    noise = random.getrandbits(62)  # No secret, see above.
    fraction = (rest_ns << 12) // 1_000_000
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{fraction:03x}-{0x8000 | noise >> 48:04x}-{noise & 0xFFFFFFFFFFFF:012x}"


def new_secret(prefix: str, bytes_count: int = 32) -> str:
    """New unguessable text with a prefix that tells its kind (secret scanners look for it)."""
    return prefix + secrets.token_hex(bytes_count)


def short_id(length: int = 16) -> str:
    """New random hexadecimal identifier, for objects whose wire form is short (warehouses)."""
    return secrets.token_hex((length + 1) // 2)[:length]
