"""One import of every room's tables, so that migrations and their test see the whole schema."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from insjo.kernel.database import metadata

if TYPE_CHECKING:
    import sqlalchemy as sa

ROOMS_WITH_TABLES = ("access", "jobs", "catalog", "sql", "gateway", "retrieval", "workspace", "ingest", "agents")


def whole_schema() -> sa.MetaData:
    """The metadata with the tables of all rooms registered."""
    for room in ROOMS_WITH_TABLES:
        package = importlib.import_module(f"insjo.{room}.store")
        if hasattr(package, "__path__"):
            importlib.import_module(f"insjo.{room}.store.tables")
    return metadata
