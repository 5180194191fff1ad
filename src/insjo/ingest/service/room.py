"""The room as one object, made by bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.ingest.service.inspections import Inspections
from insjo.ingest.service.loads import Loads
from insjo.ingest.service.locations import Locations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.access.service.facade import Access
    from insjo.catalog.service.room import CatalogRoom
    from insjo.ingest.ports import RemoteSource
    from insjo.ingest.service.locations import ReadSecret
    from insjo.jobs.service import Jobs
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database
    from insjo.sql.service.room import SqlRoom


class IngestRoom:
    """All services of the room; made before the queue starts, because it registers kinds of work.

    Args:
        database: The metadata database.
        clock: Tells the time.
        access: Decides.
        catalog: Tables, volumes and files.
        sql: Runs the statements of loads.
        jobs: Does the work in the background.
        sources: What reads from each scheme of addresses.
        read_secret: Gives the value of a secret by scope and key.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        access: Access,
        catalog: CatalogRoom,
        sql: SqlRoom,
        jobs: Jobs,
        sources: Mapping[str, RemoteSource],
        read_secret: ReadSecret,
    ) -> None:
        self.inspections = Inspections(catalog=catalog, sql=sql)
        self.loads = Loads(access=access, catalog=catalog, sql=sql, jobs=jobs, inspections=self.inspections)
        self.locations = Locations(
            database=database, clock=clock, access=access, catalog=catalog, jobs=jobs, sources=sources, read_secret=read_secret
        )
