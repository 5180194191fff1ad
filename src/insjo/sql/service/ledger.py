"""Which files COPY INTO has loaded into which table, so that each is loaded once, whenever the server was killed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from insjo.sql import store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from insjo.catalog.types import LocalFile
    from insjo.kernel.database import Database


class Ledger:
    """Rows are written before the commit of the table, with the version that it will have, and confirmed after it.

    A row that was never confirmed counts if the table has that version and it was made by that very copy; the history tells.
    """

    def __init__(self, *, database: Database) -> None:
        """Rows lie in the metadata database."""
        self._database = database

    def unseen(self, table_id: str, files: Sequence[LocalFile], current_version: int, copies_of: Callable[[int], str]) -> list[LocalFile]:
        """Those of the files that were not copied yet, or have changed since."""
        hashes = {_hash(file.path): file for file in files}
        with self._database.read() as connection:
            rows = store.fetch_copied(connection, table_id, list(hashes))
        seen: set[str] = set()
        for row in rows:
            file = hashes[row["path_hash"]]
            same = row["size_bytes"] == file.size_bytes and row["modified_at"] == file.modified_at
            if same and self._stands(row, table_id, current_version, copies_of):
                seen.add(row["path_hash"])
        return [file for key, file in hashes.items() if key not in seen]

    def intend(self, table_id: str, files: Sequence[LocalFile], copy_id: str, version: int) -> None:
        """The files will be committed with this version."""
        rows = [
            {
                "path_hash": _hash(file.path),
                "path": file.path,
                "size_bytes": file.size_bytes,
                "modified_at": file.modified_at,
                "copy_id": copy_id,
                "version": version,
                "confirmed": False,
            }
            for file in files
        ]
        with self._database.write() as connection:
            store.put_copied(connection, table_id, rows)

    def settle(self, table_id: str, copy_id: str, version: int | None) -> None:
        """The commit stands at this version, or not at all."""
        with self._database.write() as connection:
            if version is None:
                store.forget_copied(connection, table_id, copy_id)
            else:
                store.confirm_copied(connection, table_id, copy_id, version)

    def _stands(self, row: sa.RowMapping, table_id: str, current_version: int, copies_of: Callable[[int], str]) -> bool:
        """Whether the copy of a row was committed."""
        if row["confirmed"]:
            return True
        stands = bool(row["version"] <= current_version and copies_of(row["version"]) == row["copy_id"])
        self.settle(table_id, row["copy_id"], row["version"] if stands else None)
        return stands


def _hash(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()
