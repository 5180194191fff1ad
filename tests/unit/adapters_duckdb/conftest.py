"""Engines with real worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


@pytest.fixture
def make_engine(tmp_path: Path, lake: Path) -> Iterator[Callable[..., DuckDbEngine]]:
    engines: list[DuckDbEngine] = []

    def make(*, workers: int = 1, memory_mb: int = 300, threads: int = 1, spill_mb: int = 500, queue_max: int = 10) -> DuckDbEngine:
        engine = DuckDbEngine(
            root=lake,
            spill=tmp_path / "spill",
            workers=workers,
            memory_mb=memory_mb,
            threads=threads,
            spill_mb=spill_mb,
            queue_max=queue_max,
        ).start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine: Callable[..., DuckDbEngine]) -> DuckDbEngine:
    return make_engine()
