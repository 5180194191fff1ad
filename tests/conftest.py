"""What holds for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
_SIDE_BY_SIDE = frozenset({"arch", "unit"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread arch and unit over the workers, a file at a time, and keep all other suites together in one.

    The others start servers, model processes and browsers, which slow each other down tenfold when they compete for two cores; one
    worker also lets them share what is expensive to start.
    """
    for item in items:
        suite = item.path.relative_to(_TESTS).parts[0]
        group = str(item.path) if suite in _SIDE_BY_SIDE else "servers"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return _TESTS.parent
