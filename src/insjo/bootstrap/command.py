"""Runs one statement or one load without a server, for `insjo sql` and `insjo ingest`."""

from __future__ import annotations

import contextlib
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
from insjo.jobs.types import RunState
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.errors import FailedPrecondition, NotFound
from insjo.sql.types import StatementSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from insjo.ingest.types import LoadSpec
    from insjo.kernel.settings import Settings
    from insjo.web.types import Services


_UPLOADS = "uploads"
_PIECE_BYTES = 1 << 20
_REPORT_EVERY_S = 0.5


class UnknownFile(NotFound):
    """No file of this machine has the path that was given."""

    code = "LOCAL_FILE_NOT_FOUND"


class LoadFailed(FailedPrecondition):
    """A load did not end well; its message says why, and nothing was written."""

    code = "LOAD_FAILED"


class UnknownUser(NotFound):
    """No user of the name that `--user` gave."""

    code = "PRINCIPAL_NOT_FOUND"


@contextlib.contextmanager
def opened(settings: Settings, user: str) -> Iterator[tuple[Services, RequestContext]]:
    """All services, and the context of a user; a server may use the same folder meanwhile."""
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
        yield services, RequestContext(principal=principal.ref(), door="cli")
    finally:
        closing.close()


def run_statement(
    settings: Settings, text: str, *, user: str, catalog: str | None, schema: str | None, timeout_s: float
) -> tuple[list[str], list[tuple[object, ...]]]:
    """Names of the columns and the rows."""
    with opened(settings, user) as (services, ctx):
        spec = StatementSpec(text, catalog=catalog, schema=schema)
        result = services.sql.statements.run(ctx, spec, timeout_s=timeout_s)
        names = [column.name for column in result.statement.columns]
        columns = [result.table.column(index).to_pylist() for index in range(len(names))]
        return names, list(zip(*columns, strict=True))


def run_load(settings: Settings, spec: LoadSpec, *, user: str, timeout_s: float, report: Callable[[str], None]) -> dict[str, str | int]:
    """Load a file into a table; a file of this machine is stored in the volume `uploads` of the table's schema first.

    Raises:
        LoadFailed: With what the load says.
    """
    with opened(settings, user) as (services, ctx):
        local = Path(spec.source.path)
        if not spec.source.path.startswith("/Volumes/"):
            spec = replace(spec, source=replace(spec.source, path=_stored(services, ctx, local, spec.target)))
        run = services.ingest.loads.load(ctx, spec)
        services.jobs.start(ticks=False)
        until_s = services.clock.monotonic_s() + timeout_s
        told = ""
        while not run.state.ended and services.clock.monotonic_s() < until_s:
            run = services.ingest.loads.wait(ctx, run.id, _REPORT_EVERY_S)
            if run.message and run.message != told:
                told = run.message
                report(told)
        if run.state is not RunState.SUCCEEDED:
            raise LoadFailed(run.error or "The load was stopped.", details={"code": run.error_code, "run_id": run.id})
        told_of = {name: str(run.result.get(name, "")) for name in ("target", "quarantine_table")}
        counts = {name: int(str(run.result.get(name, 0))) for name in ("rows", "quarantined")}
        return {"run_id": run.id, "path": spec.source.path, **told_of, **counts}


def _stored(services: Services, ctx: RequestContext, local: Path, target: str) -> str:
    """Path of a local file in a volume."""
    if not local.is_file():
        raise UnknownFile(f"There is no file `{local}`.")
    schema = target.rpartition(".")[0]
    try:
        volume = services.catalog.volumes.get(ctx, f"{schema}.{_UPLOADS}")
    except NotFound:
        volume = services.catalog.volumes.create(ctx, f"{schema}.{_UPLOADS}", comment="Files that were loaded into tables")
    path = f"{volume.path}/{local.name}"
    with local.open("rb") as file:
        services.catalog.files.write(ctx, path, iter(lambda: file.read(_PIECE_BYTES), b""), overwrite=True)
    return path
