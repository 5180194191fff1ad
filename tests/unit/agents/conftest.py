from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import House, open_house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """All rooms, made once for the suite."""
    folder: Path = tmp_path_factory.mktemp("house")
    with open_house(folder) as made:
        yield made
