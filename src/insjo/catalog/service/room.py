"""The catalog as one object, made by bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import SecurableKind
from insjo.catalog.service.catalogs import Catalogs
from insjo.catalog.service.dropped import Dropped
from insjo.catalog.service.files import Files
from insjo.catalog.service.information import Information
from insjo.catalog.service.models import Models
from insjo.catalog.service.parts import Parts
from insjo.catalog.service.removals import Removals
from insjo.catalog.service.resolution import Resolution
from insjo.catalog.service.schemas import Schemas
from insjo.catalog.service.snapshots import Snapshots
from insjo.catalog.service.tables import Tables
from insjo.catalog.service.volumes import Volumes
from insjo.catalog.service.writing import Writes
from insjo.catalog.types import SYSTEM_CATALOG
from insjo.kernel.context import system_context

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from insjo.access.service.facade import Access
    from insjo.catalog.ports import CleanableStorage, FileStorage, Mirror, PlainCopies
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database


class CatalogRoom:
    """All services of the catalog.

    Args:
        database: The metadata database.
        clock: Tells the time.
        access: Decides.
        storage: Where tables lie.
        copies: Reads tables whose files cannot be read as they are.
        files: Where files of volumes lie.
        mirror: Their local copies when they lie in an object store, else None.
        root: The data folder; tables go below `tables`, volumes below `volumes`.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        access: Access,
        storage: CleanableStorage,
        copies: PlainCopies,
        files: FileStorage,
        root: Path,
        mirror: Mirror | None = None,
    ) -> None:
        parts = Parts(database=database, clock=clock, access=access, storage=storage, copies=copies, files=files, root=root)
        snapshots = Snapshots(parts)
        removals = Removals(parts, snapshots)
        self._parts = parts
        self._removals = removals
        self.schemas = Schemas(parts, removals)
        self.catalogs = Catalogs(parts, self.schemas)
        self.volumes = Volumes(parts, removals)
        self.models = Models(parts, removals)
        self.files = Files(parts, self.volumes, self.models, mirror)
        resolution = Resolution(parts, snapshots, self.files)
        self.tables = Tables(parts, snapshots, resolution, Writes(parts, snapshots, resolution), removals, self.files)
        self.dropped = Dropped(parts)
        self.information = Information(parts)

    def start(self) -> None:
        """Delete what killed servers left: folders of dropped tables and volumes, and folders of tables that were never finished."""
        self._removals.sweep_expired()
        self._removals.sweep_noted()
        self._removals.sweep_strangers()

    def ensure_system_schemas(self, names: Iterable[str]) -> None:
        """Make the catalog `system` and these schemas in it, if they are not there; owned by Insjö itself."""
        ctx = system_context()
        access = self._parts.access
        if access.securables.find(SecurableKind.CATALOG, SYSTEM_CATALOG) is None:
            self.catalogs.create(ctx, SYSTEM_CATALOG, "Tables of Insjö itself")
        for name in names:
            if access.securables.find(SecurableKind.SCHEMA, f"{SYSTEM_CATALOG}.{name}") is None:
                self.schemas.create(ctx, f"{SYSTEM_CATALOG}.{name}")
