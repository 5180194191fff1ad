"""The warehouses alone, for commands that need no engine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from insjo.bootstrap.compose import open_access
from insjo.kernel.clock import SystemClock
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.database import Database
from insjo.kernel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.kernel.settings import Settings
    from insjo.sql.service.warehouses import Warehouses


class UserUnknown(NotFound):
    """No user of the name that `--user` gave."""

    code = "PRINCIPAL_NOT_FOUND"


@contextlib.contextmanager
def open_warehouses(settings: Settings, user: str) -> Iterator[tuple[Warehouses, RequestContext]]:
    """Warehouses of a data folder, and the context of a user; an empty folder is set up first, a running server sees the changes.

    Raises:
        UserUnknown: There is no user of that name.
    """
    from insjo.sql.service.warehouses import Warehouses

    with open_access(settings) as access, contextlib.closing(Database(settings.metadata_url)) as database:
        principal = access.principals.find(system_context("cli"), user)
        if principal is None:
            message = f"There is no user `{user}`."
            raise UserUnknown(message, hint="`insjo user list` shows who there is.")
        yield Warehouses(database=database, clock=SystemClock(), access=access), RequestContext(principal=principal.ref(), door="cli")
