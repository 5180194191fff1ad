"""Retrieval as one object, made by bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.retrieval.service.answers import Answers
from insjo.retrieval.service.building import Building
from insjo.retrieval.service.derived import Derived
from insjo.retrieval.service.indexes import JOB_KIND, Indexes
from insjo.retrieval.service.parts import Parts
from insjo.retrieval.service.passages import Passages
from insjo.retrieval.service.search import Search

if TYPE_CHECKING:
    from pathlib import Path

    from insjo.access.service.facade import Access
    from insjo.catalog.ports import TableStorage
    from insjo.catalog.service.room import CatalogRoom
    from insjo.gateway.service.room import GatewayRoom
    from insjo.jobs.service import Jobs
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database
    from insjo.kernel.threads import Threads
    from insjo.retrieval.ports import DocumentParser, VectorIndexes, WordIndexes


class RetrievalRoom:
    """All services of retrieval.

    Args:
        database: The metadata database.
        clock: Tells the time.
        threads: Where synchronous calls of asynchronous services run.
        access: Decides.
        catalog: Where documents lie.
        gateway: Makes vectors and words answers.
        jobs: Builds indexes in the background.
        storage: Where the tables of passages lie.
        parser: Reads documents.
        vector_indexes: Builds and opens indexes of vectors.
        word_indexes: Builds and opens indexes of words.
        root: Folder of all indexes.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        threads: Threads,
        access: Access,
        catalog: CatalogRoom,
        gateway: GatewayRoom,
        jobs: Jobs,
        storage: TableStorage,
        parser: DocumentParser,
        vector_indexes: VectorIndexes,
        word_indexes: WordIndexes,
        root: Path,
    ) -> None:
        parts = Parts(
            database=database,
            clock=clock,
            threads=threads,
            access=access,
            catalog=catalog,
            gateway=gateway,
            jobs=jobs,
            storage=storage,
            parser=parser,
            vector_indexes=vector_indexes,
            word_indexes=word_indexes,
            root=root,
        )
        self.parser = parser
        self.terms = word_indexes.terms
        derived = Derived(vector_indexes, word_indexes)
        self.indexes = Indexes(parts, Building(parts, derived), derived)
        self.search = Search(parts, derived)
        self.passages = Passages(parts, derived)
        self.answers = Answers(parts, self.search)
        jobs.register(JOB_KIND, self.indexes.build, resumable=True)
        catalog.files.on_change(self.indexes.file_changed)

    def start(self) -> None:
        """Forget what went with deleted schemas."""
        self.indexes.sweep()
