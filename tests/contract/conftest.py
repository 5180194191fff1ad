"""The places where tables and files may lie, each started once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stores import Store, azure, s3

PLACES = ("local", "s3", "azure")


@pytest.fixture(scope="session")
def s3_store() -> Iterator[Store]:
    """S3, as moto plays it."""
    with s3() as store:
        yield store


@pytest.fixture(scope="session")
def azure_store(pytestconfig: pytest.Config) -> Iterator[Store]:
    """Azure Blob Storage, as Azurite plays it."""
    with azure(Path(pytestconfig.cache.mkdir("azurite"))) as store:
        yield store


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest) -> Store:
    """Each place in turn, with a folder of its own."""
    if request.param == "local":
        return Store("local")
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found.below(secrets.token_hex(6))
