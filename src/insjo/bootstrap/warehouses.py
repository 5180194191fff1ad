"""The warehouses alone, for commands that need no engine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from insjo.bootstrap.compose import open_access
from insjo.kernel.clock import SystemClock
from insjo.kernel.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.kernel.settings import Settings
    from insjo.sql.service.warehouses import Warehouses


@contextlib.contextmanager
def open_warehouses(settings: Settings) -> Iterator[Warehouses]:
    """Warehouses of a data folder; an empty folder is set up first, a running server sees the changes."""
    from insjo.sql.service.warehouses import Warehouses

    with open_access(settings) as access, contextlib.closing(Database(settings.metadata_url)) as database:
        yield Warehouses(database=database, clock=SystemClock(), access=access)
