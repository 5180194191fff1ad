"""Where tables and files lie: in the data folder, or in an object store with the data folder as its cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.bootstrap.closing import Closing
    from insjo.bootstrap.folders import Folders
    from insjo.catalog.ports import CleanableStorage, FileStorage, Mirror, PlainCopies
    from insjo.kernel.settings import Settings
    from insjo.sql.ports import Conversions, Engine


@dataclass(frozen=True, slots=True)
class Storage:
    """The adapters that know where things lie; `mirror` is None for the data folder."""

    tables: CleanableStorage
    copies: PlainCopies
    files: FileStorage
    mirror: Mirror | None = None

    def fetching(self, engine: Engine, folders: Folders) -> Engine:
        """The engine, with its files fetched before it reads them."""
        if self.mirror is None:
            return engine
        from insjo.adapters.objects.engine import FetchingEngine

        return FetchingEngine(engine, self.mirror, folders.root)

    def spark(self, settings: Settings, folders: Folders) -> Callable[[str], Engine]:
        """What makes the engine for the address of a Spark Connect server."""

        def make(url: str) -> Engine:
            from insjo.adapters.spark.engine import SparkEngine

            return SparkEngine(url, root=folders.root, storage=settings.storage, token=settings.spark_token)

        return make

    def fetching_conversions(self, conversions: Conversions) -> Conversions:
        """The conversions likewise."""
        if self.mirror is None:
            return conversions
        from insjo.adapters.objects.engine import FetchingConversions

        return FetchingConversions(conversions, self.mirror)


def open_storage(settings: Settings, folders: Folders, closing: Closing) -> Storage:
    """The storage that the settings name.

    Raises:
        InvalidArgument: The address or the credentials are not understood.
        FailedPrecondition: The package for object stores is not installed.
    """
    if not settings.storage:
        from insjo.adapters.delta.copies import DeltaCopies
        from insjo.adapters.delta.storage import DeltaStorage
        from insjo.adapters.files.storage import LocalFiles

        return Storage(DeltaStorage(), DeltaCopies(), LocalFiles())
    from insjo.adapters.delta.mirrored import MirroredCopies, MirroredTables
    from insjo.adapters.objects.credentials import read_credentials
    from insjo.adapters.objects.files import ObjectFiles
    from insjo.adapters.objects.mirror import DiskMirror
    from insjo.adapters.objects.store import Objects

    objects = Objects(settings.storage, read_credentials(settings.storage_credentials))
    mirror = DiskMirror(folders.root, objects, settings.storage_cache_mb * 2**20)
    closing.add(mirror.close)
    mirror.start()
    tables = MirroredTables(mirror)
    closing.add(tables.close)
    return Storage(tables, MirroredCopies(mirror), ObjectFiles(mirror), mirror)
