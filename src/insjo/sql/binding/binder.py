"""Binds a tree: every name becomes a source that the caller may read, and nothing else is left for the engine to find.

A view is bound with the rights of its owner; the caller needs only the view.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from sqlglot import exp

from insjo.access.protection import UNPROTECTED
from insjo.access.types import Origin, Privilege, Provenance, join_all
from insjo.catalog.types import INFORMATION_SCHEMA, SYSTEM_CATALOG, Column, TableName, TableType
from insjo.kernel.context import SYSTEM, PrincipalRef
from insjo.kernel.errors import InsjoError, NotFound, PermissionDenied, did_you_mean
from insjo.sql.binding import engine_text as text
from insjo.sql.binding import feed
from insjo.sql.binding.asking import Asker, put_answers, refuse_askings
from insjo.sql.binding.bound import BoundQuery, Build, Given, Lookup, finished, meaning
from insjo.sql.binding.exposure import Exposure
from insjo.sql.binding.file_options import ALIASES, FORMATS
from insjo.sql.binding.files import METADATA, METADATA_TYPE, RESCUED, FileReader, refuse_delta_path
from insjo.sql.binding.foreign import Foreign, protected_on_spark, stored_columns
from insjo.sql.binding.functions import SCOPE_KEY, FunctionScope
from insjo.sql.binding.guards import Guards, guarded_rows
from insjo.sql.binding.heat import scan_of
from insjo.sql.binding.lineage import LINEAGE_KEY, outputs_of, tables_of
from insjo.sql.binding.names import NameSpace, group_names
from insjo.sql.binding.naming import name_outputs
from insjo.sql.binding.needs import Need
from insjo.sql.binding.pruning import conditions, prune
from insjo.sql.binding.qualifiers import exclude_hidden, give_aliases
from insjo.sql.binding.references import references
from insjo.sql.binding.scan import scan
from insjo.sql.binding.substitution import Substitution
from insjo.sql.binding.time_travel import travel
from insjo.sql.binding.virtual import arrow_table, stream_bytes
from insjo.sql.dialect.session import SessionFacts
from insjo.sql.dialect.spark.render import bind_relation
from insjo.sql.dialect.translate import bind_table, translate
from insjo.sql.errors import ProtectionUnusable, UnresolvedColumn, UnsupportedFeature, ViewRecursive, ViewUnreadable
from insjo.sql.parsing.constants import ParameterValues
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.rows import checked_query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from insjo.access.protection import Protection
    from insjo.access.service.facade import Access
    from insjo.catalog.service.room import CatalogRoom
    from insjo.catalog.types import ResolvedTable, Table
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.files import FileSource
    from insjo.sql.binding.functions import Functions
    from insjo.sql.binding.pruning import Condition
    from insjo.sql.binding.references import Reference
    from insjo.sql.binding.virtual import VirtualTables
    from insjo.sql.ports import Conversions, Engine
    from insjo.sql.types import TemporaryView, VirtualTable

Shape: TypeAlias = tuple[tuple[str, str], ...]
"""Names and Databricks types of the columns of a query."""

VIEWS_DEPTH_MAX = 20
_MEMBERSHIP = frozenset({"is_account_group_member", "is_member"})
_FILE_FORMATS = frozenset({*FORMATS, *ALIASES, "delta", "text", "binaryfile", "xml"})
_TABLE_FUNCTIONS = frozenset({"range", "explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer", "stack",
                              "sequence", "json_tuple", "variant_explode"})  # fmt: skip
"""Table functions that need nothing but their arguments; the dialect knows them."""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Whose rights and names count for a part of a statement; `views` are those that are being opened, outermost first."""

    ctx: RequestContext
    names: NameSpace
    views: tuple[str, ...] = ()


class Binder:
    """Binds queries for one installation."""

    def __init__(
        self,
        *,
        access: Access,
        catalog: CatalogRoom,
        engine: Engine,
        virtual: VirtualTables,
        functions: Functions,
        clock: Clock,
        conversions: Conversions | None = None,
    ) -> None:
        """Everything by keyword."""
        self._access = access
        self._catalog = catalog
        self._virtual = virtual
        self._functions = functions
        self._clock = clock
        self.files = FileReader(catalog.files, engine, conversions)
        self.stored = partial(stored_columns, engine)

    def bind(
        self,
        ctx: RequestContext,
        tree: exp.Expr,
        names: NameSpace,
        parameters: ParameterValues | None = None,
        *,
        given: Mapping[str, Given] | None = None,
        foreign: bool = False,
        lineage: bool = False,
        asks: bool = False,
    ) -> BoundQuery:
        """A query for the engine from a tree, which stays as it is.

        With `foreign` also in the words of Spark, if it reads a table; with `lineage` it tells from what each output is computed.
        With `asks` it may ask models; whoever runs it must have its `askings` answered first.

        Raises:
            NotFound, PermissionDenied: For what the caller may not read; one error lists all problems of the tables.
            UnsupportedFeature: For what Insjö does not compute as Databricks does.
        """
        run = _Run(self, ctx, parameters or ParameterValues(()), given or {})
        run.foreign.wanted = foreign
        copied = tree.copy()
        body, columns = run.tree(copied, Scope(ctx, names))
        refuse_askings(run.build, allowed=asks)
        if parameters is not None and len(parameters):
            run.build.cacheable = False
        words = run.foreign.words(reads_tables=bool(run.build.read_tables))
        bound = replace(finished(run.build, body, columns, reads_files=run.reads_files, foreign=words), finish=run.foreign.finish)
        if not lineage:
            return bound
        if bound.askings:
            copied = tree.copy()
            run.alone().sources(copied, Scope(ctx, names))
        return replace(bound, lineage=tuple(outputs_of(copied)), named_tables=tables_of(copied))

    def still_valid(self, ctx: RequestContext, bound: BoundQuery) -> bool:
        """Whether a bound query would come out the same now; asks for all rights anew.

        Raises:
            NotFound, PermissionDenied: As `bind`, when a right was lost.
        """
        for lookup in bound.lookups:
            asking = ctx if lookup.principal == ctx.principal else replace(ctx, principal=lookup.principal)
            found = self._catalog.tables.resolve_many(asking, lookup.names, lookup.privilege)
            if tuple(meaning(each) for each in found) != lookup.found:
                return False
        return True


class _Run:
    """One statement on its way through the binder."""

    def __init__(self, binder: Binder, ctx: RequestContext, parameters: ParameterValues, given: Mapping[str, Given]) -> None:
        self.binder = binder
        self.ctx = ctx
        self.parameters = parameters
        self.given = dict(given)
        self.build = Build()
        self.foreign = Foreign(binder.stored)
        self.reads_files = False
        self.function_scopes: dict[tuple[FunctionScope, tuple[str, ...]], Scope] = {}
        self.groups: frozenset[str] | None = None

    def tree(self, tree: exp.Expr, scope: Scope) -> tuple[str, Shape]:
        """Text of a tree in the engine's words, with the columns that it gives; its sources go into the build."""
        self._prepare(tree, scope)
        put_answers(tree, Asker(self, scope), scope.views, foreign=self.foreign.wanted)
        self._bind_sources(tree, scope)
        return self._translated(tree, scope)

    def sources(self, tree: exp.Expr, scope: Scope) -> Provenance:
        """Where the content of a tree comes from; nothing is translated."""
        self._prepare(tree, scope)
        self._bind_sources(tree, scope)
        return self.build.provenance()

    def alone(self) -> _Run:
        """A run beside this one, which leaves nothing in it."""
        return _Run(self.binder, self.ctx, self.parameters, self.given)

    def _prepare(self, tree: exp.Expr, scope: Scope) -> None:
        name_outputs(tree)
        putting = Substitution(scope.names, self.parameters)
        putting.apply(tree)
        for source in putting.sources:
            self.build.read(source.provenance, openly=source.openly)
        self.binder._functions.expand(scope.ctx, tree, scope.names, self.build)  # noqa: SLF001  # One class in two parts.

    def _bind_sources(self, tree: exp.Expr, scope: Scope) -> None:
        found = references(tree)
        exposure = Exposure()
        give_aliases(tree, found, scope.names)
        by_scope: dict[Scope, list[tuple[Reference, TableName]]] = {}
        for reference in found:
            own = self._scope_of(reference, scope)
            if not self._without_catalog(reference, own, exposure):
                by_scope.setdefault(own, []).append((reference, self._table_name(reference, own.names)))
        for own, by_name in by_scope.items():
            self._from_catalog(by_name, own, exposure)

    def _translated(self, tree: exp.Expr, scope: Scope) -> tuple[str, Shape]:
        """The tree in the engine's words; a column that is not found is compared with all that the caller may read."""
        facts = self._facts(tree, scope)
        try:
            translated = translate(tree, session=facts)
        except UnresolvedColumn as error:
            missing = re.search(r"`([^`]+)`[^`]*$", error.message)
            if error.hint or missing is None:
                raise
            raise UnresolvedColumn(error.message, hint=did_you_mean(missing[1], self.build.column_names), details=error.details) from error
        self.foreign.compiled(tree, facts, translated.columns)
        return translated.sql, tuple((column.name, column.type_text) for column in translated.columns)

    def _facts(self, tree: exp.Expr, scope: Scope) -> SessionFacts:
        """What functions like `current_user()` answer: about the caller, also in a view of somebody else."""
        groups: frozenset[str] = frozenset()
        if any(isinstance(node, exp.Anonymous) and str(node.this).lower() in _MEMBERSHIP for node in tree.walk()):
            groups = self._groups()
        return SessionFacts(self.ctx.principal.name, scope.names.catalog, scope.names.schema, groups)

    def _groups(self) -> frozenset[str]:
        """Groups of the caller, asked for once."""
        if self.groups is None:
            self.groups = group_names(self.ctx, self.binder._access)  # noqa: SLF001  # As above.
        return self.groups

    def _scope_of(self, reference: Reference, scope: Scope) -> Scope:
        """The scope of a table: that of the function whose body it stands in, else that of the tree."""
        function = reference.node.meta.get(SCOPE_KEY)
        if not isinstance(function, FunctionScope):
            return scope
        known = self.function_scopes.get((function, scope.views))
        if known is None:
            ctx = replace(scope.ctx, principal=function.owner, on_behalf_of=self.ctx.principal)
            known = self.function_scopes[function, scope.views] = Scope(ctx, NameSpace(function.catalog, function.schema), scope.views)
        return known

    # ------------------------------------------------------------------------------------------- sources without a table

    def _without_catalog(self, reference: Reference, scope: Scope, exposure: Exposure) -> bool:
        """Put in a source that is no table of the catalog; False when it is one."""
        if reference.function is not None:
            return self._table_function(reference, scope, exposure)
        parts = tuple(part.lower() for part in reference.parts)
        if len(parts) == 1 and parts[0] in self.given:
            given = self.given[parts[0]]
            self._point(reference, self._given(given, scope), given.columns, given.foreign)
            return True
        temporary = scope.names.temporary_views.get(parts[-1]) if len(parts) == 1 or parts[0] in {"session", "temp"} else None
        if temporary is not None:
            self.build.cacheable = False
            self._temporary_view(reference, temporary, scope, exposure)
            return True
        if len(parts) == 2 and parts[0] in _FILE_FORMATS and ("/" in parts[1] or ":" in parts[1]):  # noqa: PLR2004  # Format and path.
            if parts[0] == "delta":
                refuse_delta_path(reference.parts[1])
            self._files(reference, self.binder.files.from_format(scope.ctx, parts[0], reference.parts[1]), scope, exposure)
            return True
        return self._information_schema(reference, scope, exposure)

    def _table_function(self, reference: Reference, scope: Scope, exposure: Exposure) -> bool:
        """A table function: read_files, one that the dialect knows, or nothing."""
        call = reference.function
        name = str(call.this).lower() if isinstance(call, exp.Anonymous) else call.key.lower() if call is not None else ""
        if reference.node.args.get("version") is not None:
            message = "A table function has no versions to travel to."
            raise UnsupportedFeature(message, details={"feature": "time travel of a table function"})
        if name == "read_files" and call is not None and not reference.node.args.get("db"):
            self._files(reference, self.binder.files.from_call(scope.ctx, call, self.parameters), scope, exposure)
            return True
        if name == "table_changes" and call is not None and not reference.node.args.get("db"):
            self._changes(reference, feed.wanted(call, self.binder._clock.now()), scope, exposure)  # noqa: SLF001  # As above.
            return True
        if name in _TABLE_FUNCTIONS and not reference.node.args.get("db"):
            return True
        message = f"The table function `{name}` is not supported."
        hint = did_you_mean(name, [*_TABLE_FUNCTIONS, "read_files", "table_changes"])
        raise UnsupportedFeature(message, hint=hint, details={"feature": name})

    def _openly(self, scope: Scope) -> bool:
        """Whether the caller's own rights count here."""
        return scope.ctx.principal == self.ctx.principal

    def _files(self, reference: Reference, source: FileSource, scope: Scope, exposure: Exposure) -> None:
        """Files of volumes.  Two hidden columns exist for those who name them."""
        self.reads_files = True
        self.build.cacheable = False
        wanted = exposure.wanted(reference)
        mentioned = (
            exposure.mentions(reference.select).bare | set(exposure.mentions(reference.select).qualified) if reference.select else set()
        )
        columns = dict(source.columns)
        casts = dict(source.casts)
        hidden = {}
        if RESCUED in mentioned and RESCUED not in columns:
            columns[RESCUED] = "string"
            casts.setdefault(RESCUED, text.null_of("string"))
        if METADATA in mentioned and METADATA not in columns:
            hidden[METADATA] = METADATA_TYPE
            exclude_hidden(reference, METADATA)
        shown = {name: kind for name, kind in columns.items() if wanted is None or name.lower() in wanted} | hidden
        source = replace(source, columns=columns, casts=casts)
        self._point(reference, source.query(shown), shown)
        self.build.read(source.provenance, openly=self._openly(scope))
        own = None if self._openly(scope) else scope.ctx.principal
        self.build.needs.extend(replace(need, principal=own) for need in source.needs)
        self.build.column_names.update(columns)

    def _information_schema(self, reference: Reference, scope: Scope, exposure: Exposure) -> bool:
        """A table of an information_schema, which is computed for the caller."""
        parts = reference.parts
        is_one = len(parts) >= 2 and parts[-2].lower() == INFORMATION_SCHEMA  # noqa: PLR2004  # Schema and name.
        if not is_one and not (len(parts) == 1 and scope.names.schema.lower() == INFORMATION_SCHEMA):
            return False
        name = scope.names.table(parts)
        if name.catalog != SYSTEM_CATALOG:
            self.binder._catalog.catalogs.get(scope.ctx, name.catalog)  # noqa: SLF001  # Not found for those who may not see it.
        table = self.binder._virtual.information_schema(name.catalog, name.name)  # noqa: SLF001  # As above.
        if table is None:
            from insjo.access.errors import TableNotFound

            message = f"The table or view `{name.full_name}` does not exist."
            raise TableNotFound(message, hint=did_you_mean(name.name, self.binder._virtual.information_names()))  # noqa: SLF001  # As above.
        self._computed(reference, table, scope, exposure)
        return True

    def _computed(self, reference: Reference, table: VirtualTable, scope: Scope, exposure: Exposure) -> None:
        """Rows that a room computes for the caller."""
        self.build.cacheable = False
        columns = {column.name: column.type_text for column in table.columns}
        shown = {name: columns[name] for name in exposure.columns(reference, columns)}
        stream = f"__insjo_v{len(self.build.tables)}"
        self.build.tables[stream] = stream_bytes(arrow_table(table, scope.ctx))
        self._point(reference, text.select(text.typed_columns(shown), text.name(stream)), shown, self.foreign.stream(stream, shown))
        self.build.column_names.update(columns)

    # ---------------------------------------------------------------------------------------------- tables of the catalog

    def _table_name(self, reference: Reference, names: NameSpace) -> TableName:
        """Full name with version or moment."""
        version = reference.node.args.get("version")
        if version is None:
            return names.table(reference.parts)
        self.build.cacheable = False
        number, moment = travel(version, self.binder._clock.now())  # noqa: SLF001  # As above.
        return names.table(reference.parts, version=number, timestamp=moment)

    def _from_catalog(self, wanted: Sequence[tuple[Reference, TableName]], scope: Scope, exposure: Exposure) -> None:
        """All tables and views of one scope, resolved in one call."""
        if not wanted:
            return
        distinct = tuple(dict.fromkeys(name for _, name in wanted))
        resolved = self.binder._catalog.tables.resolve_many(scope.ctx, distinct, Privilege.SELECT)  # noqa: SLF001  # As above.
        self.build.lookups.append(
            Lookup(scope.ctx.principal, distinct, Privilege.SELECT, tuple(meaning(each) for each in resolved)),
        )
        by_name = dict(zip(distinct, resolved, strict=True))
        for reference, name in wanted:
            found = by_name[name]
            own = None if scope.ctx.principal == self.ctx.principal else scope.ctx.principal
            self.build.needs.append(Need(Privilege.SELECT, found.table.id, own))
            if not scope.views:
                listed = [column.name for column in found.table.columns]
                self.build.column_names.update(listed)
                reference.node.meta[LINEAGE_KEY] = (found.table.id, [name.lower() for name in listed])
            if found.table.table_type is TableType.VIEW:
                self._view(reference, found, scope, exposure)
            elif found.table.table_type is TableType.SYSTEM:
                self._system_table(reference, found, scope, exposure)
            else:
                self._table(reference, found, scope, exposure)

    def _table(self, reference: Reference, found: ResolvedTable, scope: Scope, exposure: Exposure) -> None:
        """A Delta table: its files become a query that gives the readable columns only."""
        snapshot = found.snapshot
        if snapshot is None:
            message = f"`{found.table.full_name}` has no files."
            raise UnsupportedFeature(message, details={"feature": "table without files"})
        shown = self._exposed(reference, found.table.columns, exposure)
        protection = self._protection(found)
        if protection and self.foreign.wanted:
            raise protected_on_spark(found.table.full_name)
        simple = conditions(reference, [column for column in found.table.columns if column.name.lower() not in protection.masks])
        files = prune(snapshot.files, simple)

        def rows(read: Sequence[Column]) -> str:
            part = scan_of(found, snapshot, read, partial(scan, found.table.full_name, snapshot))
            self.build.scans.append(part)
            return part.marked(scan(found.table.full_name, snapshot, read, files=files))

        if protection:
            sql, columns, foreign = *self._guarded(found, protection, found.table.columns, shown, scope, rows, simple), ""
        else:
            sql, columns = rows(shown), shown
            foreign = self.foreign.scan(found.table.full_name, snapshot, shown, files)
        self._point(reference, sql, {column.name: column.type_text for column in shown}, foreign)
        self.build.read(table_provenance(found, columns), openly=self._openly(scope))
        self.build.read_tables.add(found.table.id)

    def _changes(self, reference: Reference, wanted: feed.Wanted, scope: Scope, exposure: Exposure) -> None:
        """What some versions of a table changed: rows of the table, so they stand behind what protects it."""
        if self.foreign.wanted:
            message = "`table_changes` is read by warehouses on DuckDB."
            raise UnsupportedFeature(message, hint="Choose a warehouse on DuckDB.", details={"feature": "table_changes on Spark"})
        name = scope.names.table(wanted.path)
        found, files = self.binder._catalog.tables.changes(scope.ctx, name, wanted.start, wanted.end)  # noqa: SLF001  # As above.
        self.build.cacheable = False
        own = None if self._openly(scope) else scope.ctx.principal
        self.build.needs.append(Need(Privilege.SELECT, found.table.id, own))
        columns = feed.change_columns(found.table.columns)
        if not scope.views:
            self.build.column_names.update(column.name for column in columns)
            reference.node.meta[LINEAGE_KEY] = (found.table.id, [column.name.lower() for column in columns])
        shown = self._exposed(reference, columns, exposure)
        protection = self._protection(found)
        rows = partial(feed.changed_rows, found, files)
        sql, read = self._guarded(found, protection, columns, shown, scope, rows) if protection else (rows(shown), shown)
        self._point(reference, sql, {column.name: column.type_text for column in shown})
        self.build.read(table_provenance(found, read), openly=self._openly(scope))
        self.build.read_tables.add(found.table.id)

    def _protection(self, found: ResolvedTable) -> Protection:
        """What protects a table from the caller."""
        names = [column.name for column in found.table.columns]
        return self.binder._access.protections.of(self.ctx, found.table.id, names)  # noqa: SLF001  # As above.

    def _given(self, given: Given, scope: Scope) -> str:
        """A source of a command; one that holds the rows of a table stands behind what protects the table."""
        protection = self._protection(given.guard) if given.guard else UNPROTECTED
        if given.guard is None or not protection:
            return given.sql
        columns = [Column(name, kind, position=at) for at, (name, kind) in enumerate(given.columns.items())]
        return self._guarded(given.guard, protection, columns, columns, scope, lambda _: given.sql)[0]

    def _guarded(
        self,
        found: ResolvedTable,
        protection: Protection,
        columns: Sequence[Column],
        shown: Sequence[Column],
        scope: Scope,
        rows: Callable[[Sequence[Column]], str],
        simple: Sequence[Condition] = (),
    ) -> tuple[str, list[Column]]:
        """The shown columns of those rows that the caller may see, and the columns that are read for it.

        Args:
            found: The table.
            protection: What protects it.
            columns: All columns that there are.
            shown: The columns that the statement may read.
            scope: Where the table is named.
            rows: Query for some columns of all rows.
            simple: Conditions of the statement that cannot fail; they may stand before the filter, where the engine can use them.
        """
        key = f"guard:{found.table.id}"
        if key in scope.views or len(scope.views) >= VIEWS_DEPTH_MAX:
            message = f"What protects `{found.table.full_name}` reads that table itself."
            raise ViewRecursive(message)
        inner = Scope(scope.ctx, NameSpace(), (*scope.views, key))
        name = f"__insjo_rows_{len(self.given)}"
        try:
            facts = SessionFacts(self.ctx.principal.name, groups=self._groups())
            apply = partial(self.binder._functions.applied, inner.ctx, build=self.build)  # noqa: SLF001  # As above.
            guard = Guards(columns, apply, facts).build(protection, shown, name)
            kinds = {guard.names[column.name]: column.type_text for column in guard.read}
            self.given[name] = Given(guarded_rows(guard, columns, rows, simple if guard.hides else ()), kinds)
            body, _ = self.tree(guard.tree, inner)
        except InsjoError as error:
            raise self._unusable(found.table, error) from error
        return text.fenced(body) if guard.hides else body, guard.read

    def _unusable(self, table: Table, error: InsjoError) -> ProtectionUnusable:
        """What is wrong with a filter or mask is told to those who manage the table."""
        message = f"The row filter or a column mask of `{table.full_name}` cannot be applied."
        if self.binder._access.authority.decide(self.ctx, Privilege.MANAGE, table.id).allowed:  # noqa: SLF001  # As above.
            return ProtectionUnusable(f"{message} {error.message}", hint=error.hint)
        return ProtectionUnusable(message, hint="Ask the owner of the table.")

    def _system_table(self, reference: Reference, found: ResolvedTable, scope: Scope, exposure: Exposure) -> None:
        """A table of Insjö itself; whoever asks gets the rows that are for them, also through somebody's view."""
        table = self.binder._virtual.find(found.table.full_name)  # noqa: SLF001  # As above.
        if table is None:
            message = f"`{found.table.full_name}` gives no rows in this installation."
            raise UnsupportedFeature(message, details={"feature": found.table.full_name})
        self._computed(reference, table, replace(scope, ctx=self.ctx), exposure)
        columns = self._exposed(reference, found.table.columns, exposure)
        self.build.read(table_provenance(found, columns), openly=self._openly(scope))

    def _exposed(self, reference: Reference, columns: Sequence[Column], exposure: Exposure) -> list[Column]:
        wanted = exposure.wanted(reference)
        return [column for column in columns if wanted is None or column.name.lower() in wanted]

    def _view(self, reference: Reference, found: ResolvedTable, scope: Scope, exposure: Exposure) -> None:
        """A view: its query, bound with its owner's rights, as a source."""
        table = found.table
        if table.full_name in scope.views:
            message = f"The view `{table.full_name}` reads itself."
            raise ViewRecursive(message)
        if len(scope.views) >= VIEWS_DEPTH_MAX:
            message = f"Views are nested more than {VIEWS_DEPTH_MAX} levels deep."
            raise ViewRecursive(message)
        owner = self._owner(table)
        inner_names = replace(scope.names, catalog=table.view_catalog, schema=table.view_schema, temporary_views={}, variables={})
        inner = Scope(replace(scope.ctx, principal=owner, on_behalf_of=self.ctx.principal), inner_names, (*scope.views, table.full_name))
        tree = checked_query(parse_tree(table.view_definition))
        fenced = owner != self.ctx.principal and not _shows_all_rows(tree)
        body, _ = self._view_body(table, tree, inner, is_own=owner == self.ctx.principal)
        body = text.fenced(body) if fenced else body
        columns = self._exposed(reference, table.columns, exposure)
        shown = {column.name: column.type_text for column in columns}
        # A view that hides rows of somebody else's table is fenced off, which no engine of others promises.
        self._point_to_query(reference, body, list(shown), shown, "" if fenced else self.foreign.selected(list(shown)))
        self.build.read(table_provenance(found, columns), openly=self._openly(scope))
        self.build.read_tables.add(table.id)

    def _view_body(self, table: Table, tree: exp.Expr, inner: Scope, *, is_own: bool) -> tuple[str, Shape]:
        """The view's query in the engine's words.  What it reads is no business of somebody who may only read the view."""
        try:
            return self.tree(tree, inner)
        except (NotFound, PermissionDenied, ViewRecursive) as error:
            if is_own or isinstance(error, ViewRecursive):
                raise
            message = f"The view `{table.full_name}` cannot be read: something that it reads is gone, or its owner may no longer read it."
            raise ViewUnreadable(message, hint="Ask the owner of the view.") from error
        except InsjoError as error:
            if is_own:
                raise
            message = f"The view `{table.full_name}` cannot be read: its query is no longer valid."
            raise ViewUnreadable(message, hint="Ask the owner of the view.") from error

    def _owner(self, table: Table) -> PrincipalRef:
        """The owner of a view, whose rights it reads with."""
        access = self.binder._access  # noqa: SLF001  # As above.
        owner_id = access.securables.get(table.id).owner_id
        if owner_id == SYSTEM.id:
            return SYSTEM
        if owner_id == self.ctx.principal.id:
            return self.ctx.principal
        return PrincipalRef(owner_id, table.owner)

    def _temporary_view(self, reference: Reference, view: TemporaryView, scope: Scope, exposure: Exposure) -> None:
        """A temporary view: read with the rights of whoever asks, against the names of where it was made."""
        key = f"temp:{view.name}"
        if key in scope.views:
            message = f"The temporary view `{view.name}` reads itself."
            raise ViewRecursive(message)
        names = replace(scope.names, catalog=view.catalog, schema=view.schema)
        body, _ = self.tree(checked_query(parse_tree(view.definition)), Scope(scope.ctx, names, (*scope.views, key)))
        columns = dict(view.columns)
        shown = exposure.columns(reference, columns)
        self._point_to_query(reference, body, shown, {name: columns[name] for name in shown}, self.foreign.selected(list(shown)))
        self.build.column_names.update(columns)

    def _point_to_query(self, reference: Reference, body: str, shown: Sequence[str], columns: Mapping[str, str], foreign: str) -> None:
        """Put a whole query in the place of a name."""
        outputs = text.typed_columns({name: columns[name] for name in shown})
        self._point(reference, text.select(outputs, text.nested(body, "__insjo_view")), columns, foreign)

    def _point(self, reference: Reference, sql: str, columns: Mapping[str, str], foreign: str = "") -> None:
        """Bind a place in the tree to a query of the engine; the name that stood there means nothing any more."""
        node = reference.node
        node.set("this", exp.to_identifier("__insjo_source", quoted=True))
        for key in ("db", "catalog", "version"):
            node.set(key, None)
        bind_table(node, f"(\n{sql}\n)", tuple(columns.items()))
        if foreign:
            bind_relation(node, foreign)


def _shows_all_rows(tree: exp.Expr) -> bool:
    """Whether a query hides no row of what it reads: a list of columns of one table."""
    if not isinstance(tree, exp.Select):
        return False
    return not any(value for key, value in tree.args.items() if key not in {"expressions", "from_", "kind"}) and not tree.find(exp.Subquery)


def table_provenance(found: ResolvedTable, columns: Sequence[Column]) -> Provenance:
    """Label and origins of reading these columns; that a row exists already has the label of the table."""
    table = found.table
    marked = [column.name for column in columns if found.column_label(column.name) != found.label]
    label = join_all([found.label, *(found.column_label(name) for name in marked)])
    origins = [Origin(table.full_name, found.version, None, table.id)]
    origins += [Origin(table.full_name, found.version, name, table.id) for name in marked]
    return Provenance(label, tuple(origins))
