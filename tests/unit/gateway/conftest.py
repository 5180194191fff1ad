"""A gateway over a real database and recording providers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Installation, installation


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path) as found:
        yield found
