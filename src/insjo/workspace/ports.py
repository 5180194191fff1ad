"""What the workspace needs from outside: a place for the contents of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ContentStorage(Protocol):
    """Contents by name in one folder; the file storage of the catalog is one."""

    def make_directory(self, folder: str, path: str) -> None:
        """Make the folder (`path` is empty) if it is not there."""
        ...

    def write(self, folder: str, path: str, chunks: Iterable[bytes], *, overwrite: bool, bytes_max: int) -> object:
        """Write a whole content or nothing.

        Raises:
            FileTooLarge: More than `bytes_max` bytes came.
            DiskFull: No room.
        """
        ...

    def read(self, folder: str, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        """A content in chunks."""
        ...

    def delete(self, folder: str, path: str, *, recursive: bool = False) -> None:
        """Forget a content."""
        ...
