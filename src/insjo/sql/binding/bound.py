"""A query that is ready for the engine, with all that must be known about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from insjo.access.types import UNLABELLED, Origin, Provenance, provenance_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.access.types import Privilege
    from insjo.catalog.types import ResolvedTable, TableName
    from insjo.kernel.context import PrincipalRef
    from insjo.sql.asking.staging import StagedCall
    from insjo.sql.binding.finishing import Finish
    from insjo.sql.binding.heat import BoundScan
    from insjo.sql.binding.lineage import Sources
    from insjo.sql.binding.needs import Need


@dataclass(frozen=True, slots=True)
class Lookup:
    """Names that were resolved together, so that a cached plan can ask again whether they still mean the same."""

    principal: PrincipalRef
    names: tuple[TableName, ...]
    privilege: Privilege
    found: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A source that a command puts into its query by a name of its own, with all columns readable.

    Attributes:
        sql: Query of the engine.
        columns: Name to Databricks type.
        guard: The table whose rows these are; they are shown behind its row filter and its masks.
        foreign: The same in Spark SQL, or nothing.
    """

    sql: str
    columns: Mapping[str, str]
    guard: ResolvedTable | None = None
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A part of a statement that must be computed first, because models are asked about its rows.

    Attributes:
        stream: Name under which the rest of the statement reads the rows with the answers.
        sql: Query of the rows.
        columns: What it gives: first what the rest reads, then the inputs of the calls.
        calls: What is asked about each row.
        row: Name of the column with the number of the row.
        provenance: Of the inputs.
        constants: Texts of the statement that are sent along.
    """

    stream: str
    sql: str
    columns: tuple[tuple[str, str], ...]
    calls: tuple[StagedCall, ...]
    row: str
    provenance: Provenance
    constants: str


@dataclass(slots=True)
class Build:
    """What is collected while a statement is bound."""

    tables: dict[str, bytes] = field(default_factory=dict)
    provenances: list[Provenance] = field(default_factory=list)
    hidden: set[Origin] = field(default_factory=set)
    open: set[Origin] = field(default_factory=set)
    needs: list[Need] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    column_names: set[str] = field(default_factory=set)
    read_tables: set[str] = field(default_factory=set)
    scans: list[BoundScan] = field(default_factory=list)
    askings: list[Asking] = field(default_factory=list)
    cacheable: bool = True

    def read(self, provenance: Provenance, *, openly: bool = True) -> None:
        """Keep where content comes from; what a view or a function reads with its owner's rights is not for the caller to know."""
        self.provenances.append(provenance)
        if openly:
            self.hidden.difference_update(provenance.origins)
            self.open.update(provenance.origins)
        else:
            self.hidden.update(origin for origin in provenance.origins if origin not in self.open)

    def provenance(self) -> Provenance:
        """Of everything that was read; a result made of the statement's own constants counts as typed text."""
        return provenance_of(self.provenances) if self.provenances else Provenance(UNLABELLED)


@dataclass(frozen=True, slots=True)
class BoundQuery:
    """A query for the engine.

    Attributes:
        sql: In the engine's words; reads only what was authorised.
        tables: Arrow streams that it reads by name.
        needs: Rights that it rests on.
        columns: Names and Databricks types of what it gives.
        column_names: Columns that the caller may read, for hints.
        read_tables: Identifiers of the tables that it reads.
        reads_files: Whether it reads files of volumes, whose errors need other words.
        hidden: Origins that a view or a function reads with its owner's rights: part of the label and of the audit, nothing to show.
        scans: Parts of the text that read a version of a table.
        foreign: The same in Spark SQL, if it was bound for a warehouse on Spark.
        finish: What is left to compute here with the rows that `foreign` gives; without it they are the result.
        askings: What models must be asked before it can run, in this order.
        lineage: For each output from what it is computed, if that was asked for; `named_tables` are those that the statement names.
    """

    sql: str
    tables: Mapping[str, bytes]
    provenance: Provenance
    needs: tuple[Need, ...]
    lookups: tuple[Lookup, ...]
    columns: tuple[tuple[str, str], ...]
    column_names: tuple[str, ...]
    read_tables: frozenset[str]
    cacheable: bool
    reads_files: bool = False
    hidden: frozenset[Origin] = frozenset()
    scans: tuple[BoundScan, ...] = ()
    foreign: str = ""
    finish: Finish | None = None
    askings: tuple[Asking, ...] = ()
    lineage: tuple[Sources, ...] = ()
    named_tables: frozenset[str] = frozenset()

    @property
    def shown_origins(self) -> tuple[Origin, ...]:
        """Origins that the caller may know of."""
        return tuple(origin for origin in self.provenance.origins if origin not in self.hidden)

    def replaced_by(self, sql: str, tables: Mapping[str, bytes]) -> BoundQuery:
        """The same rows from elsewhere, with all that this query rests on."""
        return replace(self, sql=sql, tables=tables)

    def resting_on(self, source: BoundQuery) -> BoundQuery:
        """This query, which reads another one, with all that the other rests on."""
        return replace(
            self,
            tables={**source.tables, **self.tables},
            provenance=source.provenance,
            needs=tuple(dict.fromkeys((*source.needs, *self.needs))),
            lookups=(*source.lookups, *self.lookups),
            read_tables=source.read_tables | self.read_tables,
            reads_files=source.reads_files or self.reads_files,
            hidden=source.hidden | self.hidden,
            scans=(*source.scans, *self.scans),
        )


def finished(build: Build, body: str, columns: tuple[tuple[str, str], ...], *, reads_files: bool = False, foreign: str = "") -> BoundQuery:
    """The query from its body and what was collected."""
    return BoundQuery(
        columns=columns,
        sql=body,
        tables=dict(build.tables),
        provenance=build.provenance(),
        needs=tuple(dict.fromkeys(build.needs)),
        lookups=tuple(build.lookups),
        column_names=tuple(sorted(build.column_names)),
        read_tables=frozenset(build.read_tables),
        cacheable=build.cacheable,
        reads_files=reads_files,
        hidden=frozenset(build.hidden),
        scans=tuple(build.scans),
        foreign=foreign,
        askings=tuple(build.askings),
    )


def meaning(resolved: ResolvedTable) -> tuple[object, ...]:
    """What a cached plan depends on of a resolved table."""
    table = resolved.table
    columns = tuple((column.name, column.type_text) for column in table.columns)
    labels = tuple(sorted((name, label.text()) for name, label in resolved.column_labels.items()))
    version = resolved.version
    return (
        table.id,
        table.full_name,
        version,
        columns,
        resolved.label.text(),
        labels,
        table.view_definition,
        table.owner,
        table.updated_at,
    )
