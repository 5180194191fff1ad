"""The composition root: settings become adapters, adapters become services; the only importer of adapters."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from insjo.access.service.facade import Access
from insjo.bootstrap.folders import Folders, master_key, prepare
from insjo.bootstrap.migrate import migrate
from insjo.kernel.clock import SystemClock
from insjo.kernel.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.kernel.settings import Settings


@contextlib.contextmanager
def open_access(settings: Settings) -> Iterator[Access]:
    """The access room alone, for commands that need nothing else; an empty folder is set up first."""
    folders = prepare(settings.root)
    database = Database(settings.metadata_url)
    try:
        migrate(database, folders)
        access = Access(database=database, clock=SystemClock(), settings=settings, key=master_key(folders))
        try:
            access.bootstrap()
            yield access
        finally:
            access.close()
    finally:
        database.close()


def _unused(folders: Folders) -> None:
    del folders
