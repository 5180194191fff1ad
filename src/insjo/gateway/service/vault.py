"""Provider keys at rest: sealed with a key that lies in a file beside the data, never in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.gateway.errors import KeyUnreadable
from insjo.kernel import vault

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "provider-keys.key"


class Vault:
    """Seals and opens provider keys, each bound to the served model to which it belongs."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder; the key is made on first use, readable by the owner alone."""
        self._vault = vault.Vault(folder / FILE_NAME)

    def seal(self, secret: str, place: str) -> bytes:
        """Encrypt a secret for one place."""
        return self._vault.seal(secret.encode(), place)

    def open(self, sealed: bytes, place: str) -> str:
        """Decrypt.

        Raises:
            KeyUnreadable: The key file is missing or another one, or the secret was moved here from another place.
        """
        try:
            return self._vault.open(sealed, place).decode()
        except (vault.Unsealable, ValueError) as error:
            message = "The stored provider key cannot be read with the key file of this installation."
            raise KeyUnreadable(message, hint="Give the provider key again.") from error
