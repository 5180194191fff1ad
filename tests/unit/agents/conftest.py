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


@pytest.fixture(autouse=True)
def unscripted(house: House) -> None:
    """What a test before this one scripted and the models did not say is said to nobody else."""
    house.made.outside.script.clear()
    house.made.inside.script.clear()
