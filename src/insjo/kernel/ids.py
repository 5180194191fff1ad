"""Identifiers: time-ordered for rows, unguessable for secrets."""

from __future__ import annotations

import os
import secrets
import time
import uuid


def new_id() -> str:
    """New time-ordered identifier (UUID version 7, RFC 9562), so that rows sort by creation."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80 | random_bits
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def new_secret(prefix: str, bytes_count: int = 32) -> str:
    """New unguessable text with a prefix that tells its kind (secret scanners look for it)."""
    return prefix + secrets.token_hex(bytes_count)


def short_id(length: int = 16) -> str:
    """New random hexadecimal identifier, for objects whose wire form is short (warehouses)."""
    return secrets.token_hex((length + 1) // 2)[:length]
