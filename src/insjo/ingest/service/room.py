"""The room as one object, made by bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.ingest.service.inspections import Inspections
from insjo.ingest.service.loads import Loads

if TYPE_CHECKING:
    from insjo.access.service.facade import Access
    from insjo.catalog.service.room import CatalogRoom
    from insjo.jobs.service import Jobs
    from insjo.sql.service.room import SqlRoom


class IngestRoom:
    """All services of the room; made before the queue starts, because it registers a kind of work."""

    def __init__(self, *, access: Access, catalog: CatalogRoom, sql: SqlRoom, jobs: Jobs) -> None:
        """Everything by keyword."""
        self.inspections = Inspections(catalog=catalog, sql=sql)
        self.loads = Loads(access=access, catalog=catalog, sql=sql, jobs=jobs, inspections=self.inspections)
