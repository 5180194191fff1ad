"""The workspace as one object, made by bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.kernel.context import system_context
from insjo.workspace import store
from insjo.workspace.service.credentials import StorageCredentials
from insjo.workspace.service.dashboards import Dashboards, trash_limit
from insjo.workspace.service.objects import Objects
from insjo.workspace.service.permissions import Permissions
from insjo.workspace.service.queries import Queries
from insjo.workspace.service.schedules import Schedules
from insjo.workspace.service.secrets import Secrets
from insjo.workspace.service.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from insjo.access.service.facade import Access
    from insjo.jobs.service import Jobs
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database
    from insjo.sql.service.statements import Statements
    from insjo.workspace.ports import ContentStorage

PURGED_AT_ONCE = 1000


class WorkspaceRoom:
    """All services of the workspace.

    Args:
        database: The metadata database.
        clock: Tells the time.
        access: Decides.
        contents: Where contents of files lie.
        folder: Their folder.
        keys: The folder of the installation's keys.
        jobs: Does what runs by itself.
        statements: Runs the texts of queries.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        access: Access,
        contents: ContentStorage,
        folder: Path,
        keys: Path,
        jobs: Jobs,
        statements: Statements,
    ) -> None:
        self._tree = Tree(database=database, clock=clock, access=access, contents=contents, folder=str(folder))
        self.dashboards = Dashboards(self._tree)
        self.queries = Queries(self._tree)
        self.schedules = Schedules(self._tree, self.queries, jobs=jobs, statements=statements)
        self.objects = Objects(self._tree, self.dashboards, self.queries)
        self.permissions = Permissions(self._tree)
        self.secrets = Secrets(self._tree, keys)
        self.credentials = StorageCredentials(self._tree, self.secrets)

    def start(self) -> None:
        """Make the shared folder, and empty the trash of what lies there too long."""
        self._tree.start()
        ctx = system_context()
        with self._tree.database.read() as connection:
            expired = store.fetch_expired(connection, self._tree.clock.now() - trash_limit(), PURGED_AT_ONCE)
        for id_ in expired:
            with self._tree.database.read() as connection:
                found = store.fetch_object(connection, id_)
            if found is not None:
                self._tree.remove(ctx, found)
