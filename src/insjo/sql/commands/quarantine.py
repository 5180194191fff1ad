"""Rows that could not be loaded: written to a table beside the target, with line and reason.

The table `<target>_quarantine` belongs to the owner of the target, has its label, and is granted to those who may read the target.
A target that hides rows or columns from somebody has none: bad rows lie there as they stood in the files.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.access.types import Privilege, SecurableKind, join_all
from insjo.catalog.types import Column
from insjo.kernel.context import system_context
from insjo.kernel.errors import NotFound
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.sifting import REJECT_SHAPE
from insjo.sql.commands.execution import Execution
from insjo.sql.commands.writing import discarding, new_file, row_count
from insjo.sql.errors import FileOptionInvalid, QuarantineRefused, UnsupportedFeature
from insjo.sql.ports import Sifter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from insjo.access.types import Provenance
    from insjo.catalog.types import NewFile, ResolvedTable, Table, TableName
    from insjo.sql.ports import WrittenFile

SUFFIX = "_quarantine"
MARK = "insjo.quarantine_of"
SHAPE = REJECT_SHAPE | {"load_id": "string", "loaded_at": "timestamp"}
_COPY_ID = "copyId"
_HISTORY_DEPTH = 100
_PASSED_ON = frozenset({Privilege.SELECT, Privilege.MANAGE, Privilege.ALL_PRIVILEGES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifting(Execution):
    """A statement whose exports leave bad rows out and write them to another folder.

    Attributes:
        rejects_sql: Query for the bad rows, in the shape of the quarantine table.
        rejects_folder: Where they are written.
        rejected: The files with bad rows, after an export.
    """

    rejects_sql: str
    rejects_folder: Path
    rejected: list[WrittenFile] = field(default_factory=list)

    def export(self, sql: str, location: str, partition_columns: Sequence[str], tables: Mapping[str, bytes]) -> list[WrittenFile]:
        """As of any statement, with the bad rows apart."""
        engine = self.tools.engine
        if not isinstance(engine, Sifter):
            message = "Loading with a quarantine is not supported on this engine."
            raise UnsupportedFeature(message, hint="Use a warehouse with the engine DuckDB.", details={"feature": "quarantine"})
        written, rejected = engine.sift(
            sql,
            Path(location),
            rejects_sql=self.rejects_sql,
            rejects_folder=self.rejects_folder,
            partition_columns=partition_columns,
            tables=tables,
            cancel=self.cancel,
            limits=self.limits,
            on_queue=self.on_queue,
        )
        self.rejected.extend(rejected)
        return written


class Quarantine:
    """The quarantine of one load into one table."""

    def __init__(self, x: Execution, target: ResolvedTable, load_id: str) -> None:
        """Finds the table, or makes it."""
        self._x = x
        self._load_id = load_id
        self._system = replace(system_context(), on_behalf_of=x.ctx.principal)
        self._refuse_hidden(target)
        self._name = replace(_name_of(target.table), name=target.table.name + SUFFIX)
        self._table = self._found(target) or self._made(target)

    @property
    def full_name(self) -> str:
        """Name of the table."""
        return self._table.full_name

    def sifting(self, rejects: str) -> Sifting:
        """The statement with its bad rows written here; `rejects` is `FileSource.rejects`."""
        outputs = [
            *(f"{text.cast(text.name(name), kind)} AS {text.name(name)}" for name, kind in REJECT_SHAPE.items()),
            f"{text.literal(self._load_id)} AS load_id",
            f"{text.typed(self._x.now, 'timestamp')} AS loaded_at",
        ]
        given = {each.name: getattr(self._x, each.name) for each in fields(self._x)}
        sql = text.select(outputs, text.nested(rejects, "__insjo_rejected"))
        return Sifting(**given, rejects_sql=sql, rejects_folder=Path(self._table.location))

    def commit(self, rejected: Sequence[WrittenFile], provenance: Provenance) -> int:
        """Keep the bad rows, once for a load that is begun again; gives how many there are."""
        new = [new_file(each) for each in rejected]
        if not new:
            return 0
        tables = self._x.tools.catalog.tables
        with discarding(self._table.location, new):
            tables.raise_label(self._system, self._table.id, provenance.label)
            with tables.begin_write(self._system, self._name) as write:
                if committed(self._x, self._name, self._load_id):
                    _remove(self._table.location, new)
                else:
                    tables.commit(write, new, (), "COPY INTO", {_COPY_ID: self._load_id})
        return row_count(new)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """A folder for rows that are not kept."""
        folder = Path(self._table.location) / f"_sifted_{self._load_id}"
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _found(self, target: ResolvedTable) -> Table | None:
        try:
            table = self._x.tools.catalog.tables.get(self._system, self._name)
        except NotFound:
            return None
        if table.properties.get(MARK) != target.table.id or {each.name for each in table.columns} != set(SHAPE):
            message = f"A table `{self._name.name}` stands where bad rows would go."
            raise FileOptionInvalid(message, hint="Rename it, or load without `quarantine`.")
        return table

    def _made(self, target: ResolvedTable) -> Table:
        """A new table with the label, the owner and the readers of the target."""
        access = self._x.tools.access
        columns = [Column(name, kind, position=at) for at, (name, kind) in enumerate(SHAPE.items())]
        label = join_all((target.label, *target.column_labels.values()))
        made = self._x.tools.catalog.tables.create(
            self._system,
            self._name,
            columns,
            comment=f"Rows that could not be loaded into {target.table.name}.",
            properties={MARK: target.table.id},
            label=label,
        )
        owner = access.securables.find(SecurableKind.TABLE, target.table.full_name)
        if owner is not None:
            access.securables.set_owner(self._system, made.id, owner.owner_id)
        for grant in access.grants.list(self._system, target.table.id):
            if passed := [each for each in grant.privileges if each in _PASSED_ON]:
                access.grants.grant(self._system, made.id, grant.principal, passed)
        return made

    def _refuse_hidden(self, target: ResolvedTable) -> None:
        """What the target hides from somebody must not lie open beside it: who may read the schema may read both."""
        access = self._x.tools.access
        own = access.protections.own(target.table.id)
        if own.filters or own.masks or access.policies.list(self._system, target.table.id, inherited=True):
            message = f"The table `{target.table.full_name}` hides rows or columns, and its bad rows would lie open in a quarantine."
            raise QuarantineRefused(message, hint="Correct the file, or load without `quarantine`.")


def committed(x: Execution, name: TableName, load_id: str) -> bool:
    """Whether the history of a table has this load."""
    entries = x.tools.catalog.tables.history(system_context(), name, _HISTORY_DEPTH)
    return any(str(entry.parameters.get(_COPY_ID, "")).strip('"') == load_id for entry in entries)


def _name_of(table: Table) -> TableName:
    from insjo.catalog.types import TableName

    return TableName(table.catalog, table.schema, table.name)


def _remove(location: str, files: Sequence[NewFile]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            (Path(location) / file.path).unlink(missing_ok=True)
