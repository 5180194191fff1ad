"""A lake with a schema `main.sales`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lake import Lake, open_lake


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with open_lake(tmp_path) as lake:
        lake.room.catalogs.create(lake.admin, "main")
        lake.room.schemas.create(lake.admin, "main.sales")
        yield lake
