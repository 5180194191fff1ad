"""Runs one statement without a server, for `insjo sql`."""

from __future__ import annotations

import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.bootstrap.closing import Closing
from insjo.bootstrap.compose import build, start
from insjo.bootstrap.defaults import ensure_defaults
from insjo.bootstrap.folders import prepare
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.errors import NotFound
from insjo.sql.types import StatementSpec

if TYPE_CHECKING:
    from insjo.kernel.settings import Settings


class UnknownUser(NotFound):
    """No user of the name that `--user` gave."""

    code = "PRINCIPAL_NOT_FOUND"


def run_statement(
    settings: Settings, text: str, *, user: str, catalog: str | None, schema: str | None, timeout_s: float
) -> tuple[list[str], list[tuple[object, ...]]]:
    """Names of the columns and the rows; a server may use the same folder meanwhile."""
    closing = Closing()
    folders = prepare(settings.root)
    try:
        own = Path(tempfile.mkdtemp(prefix="command-", dir=folders.run))
        closing.add(functools.partial(shutil.rmtree, own, ignore_errors=True))
        # A server that runs on the same folder keeps its results and its spilled rows for itself, and so do we.
        services = build(settings, replace(folders, spill=own / "spill", results=own / "results"), closing)
        ensure_defaults(services)
        start(services)
        principal = services.access.principals.find(system_context("cli"), user)
        if principal is None:
            raise UnknownUser(f"There is no user `{user}`.", hint="`insjo user list` shows who there is.")
        ctx = RequestContext(principal=principal.ref(), door="cli")
        spec = StatementSpec(text, catalog=catalog, schema=schema)
        result = services.sql.statements.run(ctx, spec, timeout_s=timeout_s)
        names = [column.name for column in result.statement.columns]
        columns = [result.table.column(index).to_pylist() for index in range(len(names))]
        return names, list(zip(*columns, strict=True))
    finally:
        closing.close()
