"""Secrets at rest: sealed with a key that lies in a file beside the data, never in the database."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"


class Unsealable(Exception):
    """The key file is missing or another one, or the secret was moved here from another place; rooms tell it in their own words."""


class Vault:
    """Seals and opens small secrets (AES-256-GCM), each bound to the place where it belongs."""

    def __init__(self, key_file: Path) -> None:
        """Keep the path; the key is made on first use, readable by the owner alone."""
        self._path = key_file
        self._key = b""

    def seal(self, secret: bytes, place: str) -> bytes:
        """Encrypt a secret for one place."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + AESGCM(self._load(make=True)).encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt; raises Unsealable."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
            return AESGCM(self._load(make=False)).decrypt(nonce, body, place.encode())
        except (InvalidTag, OSError, ValueError) as error:
            raise Unsealable from error

    def _load(self, *, make: bool) -> bytes:
        if not self._key:
            if make:
                self._make()
            key = self._path.read_bytes()
            if len(key) != KEY_BYTES:
                message = "the key file has the wrong length"
                raise ValueError(message)
            self._key = key
        return self._key

    def _make(self) -> None:
        """Write a new key unless there is one; the link makes it appear whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._path.exists():
            return
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(os.urandom(KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, self._path)
        temporary.unlink()
