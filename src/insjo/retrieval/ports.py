"""Ports of retrieval: parsers of documents, and the two kinds of derived indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from insjo.retrieval.types import ParsedDocument, Terms


class DocumentParser(Protocol):
    """Reads documents; whatever a document does, the caller lives."""

    def parse(self, local_path: str, name: str) -> ParsedDocument:
        """Read one document; the end of `name` tells its kind.

        Raises:
            DocumentUnsupported, DocumentUnreadable, DocumentEmpty, DocumentTooHeavy: Each says what is wrong, for people.
            ParserLost: No process could be started.
        """
        ...

    def suffixes(self) -> frozenset[str]:
        """Ends of file names that can be read, lower case with the dot."""
        ...


class VectorIndex(Protocol):
    """An index of vectors that is open for search; row numbers are those at building."""

    @property
    def rows(self) -> int:
        """Number of vectors."""
        ...

    def search(self, direction: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """Row numbers of at most `k` vectors with the largest inner product, largest first.

        Args:
            direction: float32, one dimension.
            k: How many.
            allowed: Row numbers that may be found; None means all.  Others are passed over inside the search, so that there are
                `k` results whenever `k` rows are allowed.
        """
        ...

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows, float32."""
        ...


class VectorIndexes(Protocol):
    """Builds and opens indexes of vectors in a folder."""

    def build(self, folder: Path, vectors: np.ndarray) -> None:
        """Write an index of these vectors (float32, one a row) into an existing folder."""
        ...

    def open(self, folder: Path) -> VectorIndex:
        """Open what `build` wrote; OSError when it is not there or damaged."""
        ...


class WordIndex(Protocol):
    """An index of words that is open for search; row numbers are those at building."""

    def search(self, terms: Terms, field: str, k: int, allowed: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """Row numbers with their BM25 score, best first; `field` is `words` or `grams`, and `allowed` as for vectors."""
        ...

    def frequencies(self, terms: Iterable[str], field: str) -> Mapping[str, int]:
        """In how many rows each term stands."""
        ...


class WordIndexes(Protocol):
    """Builds and opens indexes of words in a folder, and knows how text becomes terms."""

    def build(self, folder: Path, rows: Iterable[Terms]) -> None:
        """Write an index of these rows into an existing folder."""
        ...

    def open(self, folder: Path) -> WordIndex:
        """Open what `build` wrote; OSError when it is not there or damaged."""
        ...

    def terms(self, text: str) -> Terms:
        """Terms of a text, in order and with repetitions."""
        ...
