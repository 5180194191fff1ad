from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from insjo.adapters.faiss.indexes import FaissIndexes

DIMENSIONS = 32


def clustered(rows: int, seed: int = 1) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(40, DIMENSIONS))
    vectors = centres[chance.integers(0, 40, size=rows)] + 0.4 * chance.normal(size=(rows, DIMENSIONS)) + 3.0
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(params=[10_000, 1000], ids=["exact", "inverted"])
def indexes(request: pytest.FixtureRequest) -> FaissIndexes:
    return FaissIndexes(exact_rows_max=request.param)


def test_search_finds_what_a_full_comparison_finds(indexes: FaissIndexes, tmp_path: Path) -> None:
    vectors = clustered(4000)
    indexes.build(tmp_path, vectors)
    opened = indexes.open(tmp_path)
    assert opened.rows == 4000
    recalls = []
    for number in range(0, 4000, 100):
        direction = vectors[number] - vectors.mean(axis=0)
        exact = np.argsort(-(vectors @ direction))[:10]
        recalls.append(len(np.intersect1d(opened.search(direction, 10), exact)) / 10)
    assert np.mean(recalls) >= 0.95


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
def test_recall_does_not_fall_when_few_rows_may_be_seen(indexes: FaissIndexes, tmp_path: Path, share: float) -> None:
    vectors = clustered(4000)
    indexes.build(tmp_path, vectors)
    opened = indexes.open(tmp_path)
    chance = np.random.default_rng(5)
    allowed = np.sort(chance.choice(4000, size=int(4000 * share), replace=False))
    recalls = []
    for number in range(0, 4000, 200):
        direction = vectors[number] - vectors.mean(axis=0)
        found = opened.search(direction, 10, allowed)
        assert set(found.tolist()) <= set(allowed.tolist())
        assert len(found) == min(10, len(allowed))
        exact = allowed[np.argsort(-(vectors[allowed] @ direction))[:10]]
        recalls.append(len(np.intersect1d(found, exact)) / len(exact))
    assert np.mean(recalls) >= 0.95


def test_vectors_come_back_and_empty_selections_are_empty(indexes: FaissIndexes, tmp_path: Path) -> None:
    vectors = clustered(150)
    indexes.build(tmp_path, vectors)
    opened = indexes.open(tmp_path)
    assert np.allclose(opened.vectors(np.array([3, 149])), vectors[[3, 149]], atol=1e-3)
    assert opened.search(vectors[0], 10, np.array([], dtype=np.int64)).size == 0
    assert opened.search(vectors[0], 0).size == 0


def test_an_index_of_nothing_finds_nothing(tmp_path: Path) -> None:
    FaissIndexes().build(tmp_path, np.empty((0, DIMENSIONS), dtype=np.float32))
    assert FaissIndexes().open(tmp_path).search(np.ones(DIMENSIONS, dtype=np.float32), 5).size == 0


@pytest.mark.parametrize("name", ["vectors.faiss", "vectors.npy", "vectors.json"])
def test_missing_and_damaged_files_are_told_apart_from_a_crash(tmp_path: Path, name: str) -> None:
    FaissIndexes().build(tmp_path, clustered(50))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match="vector index"):
        FaissIndexes().open(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(OSError, match="vector index"):
        FaissIndexes().open(tmp_path)
