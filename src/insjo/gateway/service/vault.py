"""Provider keys at rest: sealed with a key that lies in a file beside the data, never in the database."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from insjo.gateway.errors import KeyUnreadable

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "provider-keys.key"
KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"


class Vault:
    """Seals and opens small secrets (AES-256-GCM), each bound to the place where it belongs."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder; the key is made on first use, readable by the owner alone."""
        self._path = folder / FILE_NAME
        self._key = b""

    def seal(self, secret: str, place: str) -> bytes:
        """Encrypt a secret for one place."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + AESGCM(self._load(make=True)).encrypt(nonce, secret.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """Decrypt.

        Raises:
            KeyUnreadable: The key file is missing or another one, or the secret was moved here from another place.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
            return AESGCM(self._load(make=False)).decrypt(nonce, body, place.encode()).decode()
        except (InvalidTag, OSError, ValueError) as error:
            message = "The stored provider key cannot be read with the key file of this installation."
            raise KeyUnreadable(message, hint="Give the provider key again.") from error

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
        temporary = self._path.with_name(f"{FILE_NAME}.{os.getpid()}.{os.urandom(4).hex()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(os.urandom(KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, self._path)
        temporary.unlink()
