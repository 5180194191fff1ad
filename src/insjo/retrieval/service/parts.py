"""What the services of retrieval share: the foreign parts, and rows as types."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.access.types import Label, Privilege, SecurableKind
from insjo.retrieval.types import Document, DocumentState

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

    from insjo.access.service.facade import Access
    from insjo.catalog.ports import TableStorage
    from insjo.catalog.service.room import CatalogRoom
    from insjo.gateway.service.room import GatewayRoom
    from insjo.jobs.service import Jobs
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.threads import Threads
    from insjo.retrieval import store
    from insjo.retrieval.ports import DocumentParser, VectorIndexes, WordIndexes


@dataclass(frozen=True, slots=True)
class Parts:
    """What the services are made of; `root` is the folder of all indexes."""

    database: Database
    clock: Clock
    threads: Threads
    access: Access
    catalog: CatalogRoom
    gateway: GatewayRoom
    jobs: Jobs
    storage: TableStorage
    parser: DocumentParser
    vector_indexes: VectorIndexes
    word_indexes: WordIndexes
    root: Path

    def folder(self, index_id: str) -> Path:
        """Folder of one index."""
        return self.root / index_id

    def readable_volumes(self, ctx: RequestContext) -> sa.Select[tuple[str]]:
        """Query of the volumes that the caller may read."""
        return self.access.authority.visible(ctx, SecurableKind.VOLUME, Privilege.READ_VOLUME)


def hash_of(text: str) -> str:
    """Key of a path in the database."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def document_of(row: store.Row) -> Document:
    """A row as a document."""
    return Document(
        path=row["path"],
        volume_id=row["volume_id"],
        state=DocumentState(row["state"]),
        error=row["error"],
        title=row["title"],
        pages=row["pages"],
        passages=row["passages"],
        size_bytes=row["size_bytes"],
        modified_at=row["modified_at"],
        label=Label.from_json(row["label"]),
        indexed_at=row["indexed_at"],
    )
