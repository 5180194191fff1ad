"""What the room asks of foreign systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from insjo.ingest.types import Fetched


class RemoteSource(Protocol):
    """Reads from one kind of location."""

    def open(self, url: str, what: str, secret: str, *, private: bool) -> Fetched:
        """Begin to read.

        Args:
            url: Of the location.
            what: Path below it, or name of a table.
            secret: Token, settings or password; empty for none.
            private: Addresses of this machine and its networks are allowed.

        Raises:
            LocationRefused: It is not below the location, leads elsewhere, or has an address that is not allowed.
            LocationUnreachable: It is not there, refuses, or breaks off; also while the content is read.
        """
        ...
