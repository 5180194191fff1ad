"""Indexes of vectors: exact below some ten thousand rows, inverted lists with 8-bit codes above.

Vectors are kept less their mean: the order of inner products stays the same (each loses the same amount), while 8 bits and the cells of
the lists are spent on what differs.  All numbers come from the vectors of this one index, so that nothing of another one shows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

FaissIndex: TypeAlias = Any
"""An index of faiss, which brings no types."""

EXACT_ROWS_MAX = 10_000
FEW = 5
LISTS_PER_ROOT = 4
TRAINING_ROWS_PER_LIST = 64
TRAINING_ROWS_MIN = 40
PROBES_START = 8
RECALL_WANTED = 0.97
RECALL_AT = 10
RECALL_QUERIES = 64
SEED = 4711
INDEX_FILE = "vectors.faiss"
VECTORS_FILE = "vectors.npy"
NOTES_FILE = "vectors.json"


class FaissVectorIndex:
    """An open index (implements `retrieval.ports.VectorIndex`); safe to use from several threads."""

    def __init__(self, index: FaissIndex, vectors: np.ndarray, probes: int, few: int) -> None:
        self._index = index
        self._vectors = vectors
        self._probes = probes
        self._few = few

    @property
    def rows(self) -> int:
        """Number of vectors."""
        return int(self._vectors.shape[0])

    def search(self, direction: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """Row numbers with the largest inner products, largest first."""
        import faiss

        wanted = min(k, self.rows if allowed is None else len(allowed))
        if wanted <= 0:
            return np.empty(0, dtype=np.int64)
        if allowed is not None and self._probes and len(allowed) <= self._few:
            # So few are compared one by one faster and better than by lists of which most rows are passed over.
            scores = self.vectors(allowed) @ np.asarray(direction, dtype=np.float32)
            return np.asarray(allowed[np.argsort(-scores, kind="stable")[:wanted]], dtype=np.int64)
        selector = None if allowed is None else faiss.IDSelectorBatch(np.ascontiguousarray(allowed, dtype=np.int64))
        query = np.ascontiguousarray(direction, dtype=np.float32).reshape(1, -1)
        probes = self._probes
        while True:
            found = self._index.search(query, wanted, params=_parameters(selector, probes))[1][0]
            found = found[found >= 0]
            # Few allowed rows may all lie in cells that were not looked at: look at more, in the end at all.
            if len(found) >= wanted or not probes or probes >= self._index.nlist:
                return np.asarray(found, dtype=np.int64)
            probes = min(probes * 4, int(self._index.nlist))

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors as they were given, to half precision."""
        return np.asarray(self._vectors[np.asarray(rows, dtype=np.int64)], dtype=np.float32)


class FaissIndexes:
    """Builds and opens (implements `retrieval.ports.VectorIndexes`).

    Args:
        exact_rows_max: Up to this number of rows every vector is compared.
    """

    def __init__(self, *, exact_rows_max: int = EXACT_ROWS_MAX) -> None:
        self._exact_rows_max = exact_rows_max

    def build(self, folder: Path, vectors: np.ndarray) -> None:
        """Write an index of these vectors."""
        import faiss

        given = np.ascontiguousarray(vectors, dtype=np.float32)
        rows, dimensions = given.shape
        centred = given - given.mean(axis=0, dtype=np.float64).astype(np.float32) if rows else given
        if rows <= self._exact_rows_max:
            index = faiss.IndexFlatIP(dimensions)
            index.add(centred)
            probes = 0
        else:
            index, probes = _inverted(centred)
        faiss.write_index(index, str(folder / INDEX_FILE))
        np.save(folder / VECTORS_FILE, given.astype(np.float16))
        (folder / NOTES_FILE).write_text(json.dumps({"rows": rows, "dimensions": dimensions, "probes": probes}))

    def open(self, folder: Path) -> FaissVectorIndex:
        """Open what `build` wrote."""
        import faiss

        try:
            notes = json.loads((folder / NOTES_FILE).read_text())
            vectors = np.load(folder / VECTORS_FILE, mmap_mode="r", allow_pickle=False)
            index = faiss.read_index(str(folder / INDEX_FILE))
        except (RuntimeError, ValueError, EOFError, OSError) as error:
            message = f"the vector index in {folder} cannot be opened: {error}"
            raise OSError(message) from error
        if index.ntotal != notes["rows"] or vectors.shape != (notes["rows"], notes["dimensions"]):
            message = f"the vector index in {folder} is not whole"
            raise OSError(message)
        return FaissVectorIndex(index, vectors, int(notes["probes"]), self._exact_rows_max // FEW)


def _inverted(centred: np.ndarray) -> tuple[FaissIndex, int]:
    """Inverted lists with 8-bit codes, and the number of lists to look at for the recall that is wanted."""
    import faiss

    rows, dimensions = centred.shape
    lists = max(1, min(int(LISTS_PER_ROOT * np.sqrt(rows)), rows // TRAINING_ROWS_MIN))
    quantizer: FaissIndex = faiss.IndexFlatIP(dimensions)
    index = faiss.IndexIVFScalarQuantizer(quantizer, dimensions, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.own_fields = True
    quantizer.this.disown()
    chance = np.random.default_rng(SEED)
    sample = chance.choice(rows, size=min(rows, lists * TRAINING_ROWS_PER_LIST), replace=False)
    index.train(centred[sample])
    index.add(centred)
    return index, _probes(index, centred, chance.choice(rows, size=min(rows, RECALL_QUERIES), replace=False))


def _probes(index: FaissIndex, centred: np.ndarray, sample: np.ndarray) -> int:
    """Smallest doubling of the starting number with which the neighbours of a sample are found as an exact search finds them."""
    queries = centred[sample]
    exact = np.argsort(-(queries @ centred.T), axis=1)[:, :RECALL_AT]
    probes = min(PROBES_START, index.nlist)
    while probes < index.nlist:
        found = index.search(queries, RECALL_AT, params=_parameters(None, probes))[1]
        recall = np.mean([len(np.intersect1d(one, other)) / RECALL_AT for one, other in zip(found, exact, strict=True)])
        if recall >= RECALL_WANTED:
            break
        probes = min(probes * 2, index.nlist)
    return int(probes)


def _parameters(selector: object, probes: int) -> FaissIndex:
    """Search parameters of either kind of index."""
    import faiss

    parameters: FaissIndex = faiss.SearchParametersIVF() if probes else faiss.SearchParameters()
    if probes:
        parameters.nprobe = probes
    if selector is not None:
        parameters.sel = selector
    return parameters
