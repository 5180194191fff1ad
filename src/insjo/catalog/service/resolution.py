"""Names to tables: rights, labels, columns and snapshots of everything that a statement reads, in a handful of queries."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from insjo.access.errors import AccessDenied, TableNotFound
from insjo.access.types import LabelSet, Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.errors import WrongTableType
from insjo.catalog.service.parts import table_of
from insjo.catalog.types import ResolvedTable, Table, TableName, TableType
from insjo.kernel.errors import InsjoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from insjo.access.types import Label
    from insjo.catalog.service.files import Files
    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.snapshots import Snapshots
    from insjo.kernel.context import RequestContext

_WORD = re.compile(r"\w+")
NAMES_MAX = 500
"""Tables that one statement may name."""


KNOWN_MAX = 2000
"""Answers that are remembered."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was answered, and under which conditions it was."""

    revision: int
    rows: Mapping[tuple[str, str, str], store.Row]
    tables: tuple[Table, ...]
    labels: Mapping[str, LabelSet]
    until: datetime | None

    def holds(self, revision: int, rows: Mapping[tuple[str, str, str], store.Row], now: datetime) -> bool:
        """Whether asking again would give the same."""
        return self.revision == revision and self.rows == rows and (self.until is None or now < self.until)


class Resolution:
    """Resolves names of tables for a caller."""

    def __init__(self, parts: Parts, snapshots: Snapshots, files: Files) -> None:
        self._parts = parts
        self._snapshots = snapshots
        self._files = files
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[object, ...], _Known] = OrderedDict()

    def resolve_many(self, ctx: RequestContext, names: Sequence[TableName], privilege: Privilege = Privilege.SELECT) -> list[ResolvedTable]:
        """The tables in the order of their names, if the caller holds the privilege on every one.

        Raises:
            TableNotFound, AccessDenied: One error that lists all problems; one that lists any missing table is a TableNotFound.
        """
        if len(names) > NAMES_MAX:
            message = f"A statement may name at most {NAMES_MAX} tables, and this one names {len(names)}."
            raise WrongTableType(message)
        tables, labels = self._allowed(ctx, names, privilege)
        problems: list[InsjoError] = []
        resolved: list[ResolvedTable] = []
        for name, table in zip(names, tables, strict=True):
            try:
                resolved.append(self._with_snapshot(name, table, labels[table.id], reads=privilege is Privilege.SELECT))
            except InsjoError as error:
                problems.append(error)
        _raise_all(problems)
        return resolved

    def _allowed(self, ctx: RequestContext, names: Sequence[TableName], privilege: Privilege) -> tuple[list[Table], Mapping[str, LabelSet]]:
        """The tables, every one authorised, and their labels.

        An earlier answer holds for the same caller while access is as it was, the rows of the tables are as they were, and no label has
        risen by the end of a declassification: two small queries instead of five.
        """
        access = self._parts.access
        plain = tuple((name.catalog, name.schema, name.name) for name in names)
        key = (ctx.principal, plain, privilege)
        revision = access.refresh_revision()
        with self._parts.database.read() as connection:
            rows = store.find_tables(connection, plain)
            with self._lock:
                known = self._known.get(key)
            if known is not None and known.holds(revision, rows, self._parts.clock.now()):
                return list(known.tables), known.labels
            tables = self._authorised(ctx, names, privilege, connection, rows)
            labels, until = access.labels.effective_until([table.id for table in tables], connection=connection)
        with self._lock:
            self._known[key] = _Known(revision, rows, tuple(tables), labels, until)
            self._known.move_to_end(key)
            while len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        return tables, labels

    def find(self, ctx: RequestContext, name: TableName, privilege: Privilege | None = None) -> Table:
        """One table as the metadata knows it, without looking at its files."""
        with self._parts.database.read() as connection:
            rows = store.find_tables(connection, [(name.catalog, name.schema, name.name)])
            return self._authorised(ctx, [name], privilege or Privilege.BROWSE, connection, rows)[0]

    def _authorised(
        self,
        ctx: RequestContext,
        names: Sequence[TableName],
        privilege: Privilege,
        connection: sa.Connection,
        rows: Mapping[tuple[str, str, str], store.Row],
    ) -> list[Table]:
        """The tables of these rows, every one authorised; one query for the rights and one for the owners, however many names there are."""
        access = self._parts.access
        questions = [(privilege, str(row["id"])) for row in rows.values()]
        decisions = {each.securable_id: each for each in access.authority.decide_many(ctx, questions, connection=connection)}
        owners = access.authority.owners([securable_id for _, securable_id in questions], connection=connection)
        problems: dict[str, InsjoError] = {}
        found: list[Table] = []
        for name in names:
            row = rows.get((name.catalog, name.schema, name.name))
            try:
                if row is None:
                    # Asked by name, so that an absent table is refused in the same words and written down like a hidden one.
                    access.securables.resolve(ctx, SecurableKind.TABLE, name.full_name, privilege)
                    message = f"The table or view `{name.full_name}` was dropped just now."
                    raise TableNotFound(message)  # Collected with the problems of the other names.
                decision = decisions[row["id"]]
                if not decision.allowed:
                    hint = "" if decision.visible else access.authority.suggest(ctx, SecurableKind.TABLE, name.full_name)
                    access.authority.refuse(ctx, decision, name=name.full_name, kind=SecurableKind.TABLE, hint=hint)
                found.append(table_of(row, owners[row["id"]]))
            except InsjoError as error:
                problems[name.full_name] = error
        _raise_all(list(problems.values()))
        return found

    def _with_snapshot(self, name: TableName, table: Table, labels: LabelSet, *, reads: bool) -> ResolvedTable:
        """The table with the columns and files of the version asked for."""
        if not table.has_files:
            if name.version is not None or name.timestamp is not None:
                message = f"`{name.full_name}` is a {table.table_type.lower()} and has no versions to travel to."
                raise WrongTableType(message)
            return ResolvedTable(table, None, labels.label, labels.columns)
        snapshot = self._snapshots.at(table.id, table.location, name.version, name.timestamp)
        if reads:
            snapshot = self._snapshots.readable(table.id, table.location, snapshot)
        # The log tells the columns: another writer may have changed them, or an older version had others.
        table = replace(table, columns=snapshot.columns, partition_columns=snapshot.partition_columns)
        if table.table_type is TableType.EXTERNAL:
            labels = self._with_place(table, labels)
        return ResolvedTable(table, snapshot, labels.label, _with_computed(table, labels))

    def _with_place(self, table: Table, labels: LabelSet) -> LabelSet:
        """Labels joined with that of the directory in whose files the rows lie; whoever labels the files labels the table."""
        place = self._files.label_of_location(table.location)
        if place is None:
            return labels
        return LabelSet(labels.label.join(place), {name: each.join(place) for name, each in labels.columns.items()})


def _with_computed(table: Table, labels: LabelSet) -> Mapping[str, Label]:
    """Labels of columns, where a computed column has those of all columns that its expression names."""
    found = dict(labels.columns)
    for column in table.columns:
        if column.generated and labels.columns:
            words = {word.lower() for word in _WORD.findall(column.generated)}
            for name, label in labels.columns.items():
                if name in words:
                    found[column.name.lower()] = found.get(column.name.lower(), labels.label).join(label)
    return found


def _raise_all(problems: list[InsjoError]) -> None:
    """Raise what went wrong as one error."""
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0]
    kinds = {type(problem) for problem in problems}
    kind = next((each for each in (TableNotFound, AccessDenied) if each in kinds), type(problems[0]))
    message = " ".join(problem.message for problem in problems)
    hint = " ".join(dict.fromkeys(problem.hint for problem in problems if problem.hint))
    listed = [{"code": problem.code, "message": problem.message, "hint": problem.hint} for problem in problems]
    raise kind(message, hint=hint, details={"problems": listed})
