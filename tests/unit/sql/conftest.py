"""One pool of workers for all tests of this folder; each test has a lake of its own below the pool's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine
from tests.support.desk import Desk, open_desk, open_engine


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DuckDbEngine, Path]]:
    root = tmp_path_factory.mktemp("lake")
    with open_engine(root) as engine:
        yield engine, root


@pytest.fixture
def desk(shared_engine: tuple[DuckDbEngine, Path], request: pytest.FixtureRequest) -> Iterator[Desk]:
    engine, root = shared_engine
    folder = root / f"{abs(hash(request.node.nodeid)):x}"
    with open_desk(folder, engine) as desk:
        yield desk
