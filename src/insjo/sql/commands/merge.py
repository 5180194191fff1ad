"""MERGE in all its forms: the engine computes the new contents of the files that change, and the rows to insert."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.binder import table_provenance
from insjo.sql.binding.bound import Given
from insjo.sql.binding.scan import FILE_MARK, ROW_MARK
from insjo.sql.binding.virtual import stream_bytes
from insjo.sql.commands import feed, traces
from insjo.sql.commands.changes import localised, path_of
from insjo.sql.commands.computing import bind_source
from insjo.sql.commands.execution import Outcome, counted
from insjo.sql.commands.hidden import protection_of
from insjo.sql.commands.inserts import evolved
from insjo.sql.commands.protected import RAW, marked
from insjo.sql.commands.rules import completed, counted_up, default_of, recomputed
from insjo.sql.commands.writing import (
    SOURCE,
    TARGET,
    cast,
    discarding,
    export,
    is_default,
    raise_label,
    refuse_volatile,
    resolve_target,
    row_count,
    source_table,
)
from insjo.sql.errors import ColumnCountMismatch, MergeAmbiguous, UnresolvedColumn, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import Column, DataFile, NewFile, ResolvedTable
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Merge

TOUCHED = "__insjo_touched"
_HELD_BYTES_MAX = 64 * 1024 * 1024
"""A source that is a query is computed once and held if it is not larger than this."""

_UPDATE, _DELETE = "U", "D"


@dataclass(slots=True)
class Clause:
    """One WHEN.

    Attributes:
        condition: None means always.
        deletes: Its rows go.
        values: New value by column in lower case; for an INSERT, of every column.
        given: Columns whose value the statement gives.
    """

    condition: exp.Expr | None
    deletes: bool = False
    values: dict[str, exp.Expr] = field(default_factory=dict)
    given: frozenset[str] = frozenset()


@dataclass(slots=True)
class Plan:
    """A MERGE after reading; `columns` are those of the target, with those that it gets.

    Attributes:
        masked: Columns, in lower case, that the caller sees behind a mask: what no clause sets stays as it is.
    """

    target: ResolvedTable
    target_alias: str
    source_alias: str
    on: exp.Expr
    columns: tuple[Column, ...]
    evolves: bool = False
    masked: frozenset[str] = frozenset()
    matched: list[Clause] = field(default_factory=list)
    missing_in_target: list[Clause] = field(default_factory=list)
    missing_in_source: list[Clause] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """What a MERGE did to rows that were there, and in which files."""

    updated: int = 0
    deleted: int = 0
    files: set[str] = field(default_factory=set)


def merge(x: Execution, command: Merge) -> Outcome:
    """Bring the rows of a source into a table."""
    tree = command.tree.copy()
    path, alias = path_of(tree.this, "MERGE")
    name = x.names.table(path)
    using = tree.args["using"]
    source_alias = _source_alias(using)
    localised(tree, path, alias)
    if isinstance(using, exp.Table) and isinstance(using.this, exp.Identifier):
        localised(tree, tuple(part.name for part in using.parts), source_alias)
    tables = x.tools.catalog.tables
    source = _source(x, using)
    with tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=True)
        columns = _evolved(tree, target, source) if command.evolves else target.table.columns
        plan = Plan(
            target,
            alias,
            source_alias,
            tree.args.get("on") or exp.Boolean(this=True),
            columns,
            command.evolves,
            frozenset(protection_of(x, target).masks),
        )
        _read_clauses(plan, tree, [each for each, _ in source.columns])
        given = {SOURCE: Given(source.sql, dict(source.columns)), TARGET: _marked(plan, write, write.snapshot.files)}
        with contextlib.ExitStack() as stack:
            staged = stack.enter_context(_staged(x, plan, given, source, write)) if feed.is_fed(write) else None
            counts = _count(x, plan, given, source, staged)
            touched = [file for file in write.snapshot.files if file.path in counts.files]
            inserted = _inserted(x, plan, given, source, write)
            with discarding(write.location, inserted):
                rewritten = _rewritten(x, plan, given, source, write, touched, staged)
            files = [*inserted, *rewritten]
            with discarding(write.location, files):
                told = _told(x, plan, write, touched, inserted, staged)
        with discarding(write.location, [*files, *told]):
            raise_label(x, write.table.id, target.label, source.provenance)
            if files or touched:
                parameters = {"predicate": plan.on.sql(dialect="databricks")[:1000]}
                if command.copy_id:
                    parameters["copyId"] = command.copy_id
                after = _columns_after(plan, row_count(inserted))
                tables.commit(write, files, touched, "MERGE", parameters, new_columns=after, blind=False, changes=told)
    traces.record(x, target.table.id, source, _traced(plan, source), "MERGE")
    new = row_count(inserted)
    provenance = table_provenance(target, target.table.columns).join(source.provenance)
    return counted(
        provenance=provenance,
        hidden=source.hidden,
        num_affected_rows=new + counts.updated + counts.deleted,
        num_updated_rows=counts.updated,
        num_deleted_rows=counts.deleted,
        num_inserted_rows=new,
    )


def _traced(plan: Plan, source: BoundQuery) -> dict[str, set[tuple[str, str]]]:
    """From which columns the source's columns come that a clause puts into each column of the target."""
    known = {name.lower(): sources for (name, _), sources in zip(source.columns, source.lineage, strict=False)}
    found: dict[str, set[tuple[str, str]]] = {}
    for clause in (*plan.matched, *plan.missing_in_target, *plan.missing_in_source):
        for name, value in clause.values.items():
            for column in value.find_all(exp.Column):
                if column.table.lower() in {"", plan.source_alias.lower()}:
                    found.setdefault(name, set()).update(known.get(column.name.lower(), ()))
    return found


# ------------------------------------------------------------------------------------------------------------------- reading


def _source_alias(using: exp.Expr) -> str:
    """Name by which the statement calls its source."""
    alias = using.alias_or_name
    if not alias:
        message = "The source of `MERGE` needs a name: `USING (...) AS s`."
        raise InvalidArgument(message)
    return str(alias)


def _source(x: Execution, using: exp.Expr) -> BoundQuery:
    """The source as a query with distinct column names; one that is computed is computed only once."""
    query = exp.Select(expressions=[exp.Star()], from_=exp.From(this=using.copy()))
    bound = bind_source(x, query)
    names = [name.lower() for name, _ in bound.columns]
    if len(set(names)) != len(names):
        message = "The source of `MERGE` has several columns of the same name."
        raise ColumnCountMismatch(message, hint="Name them differently in the query after `USING`.")
    if isinstance(using, exp.Table) and isinstance(using.this, exp.Identifier):
        return bound
    import pyarrow as pa

    batches = []
    size = 0
    with x.query(bound) as rows:
        for batch in rows:
            batches.append(batch)
            size += batch.nbytes
            if size > _HELD_BYTES_MAX:
                break
        schema = rows.schema
    if size > _HELD_BYTES_MAX:
        refuse_volatile(using, "MERGE")
        if using.find(exp.Limit, exp.TableSample):
            message = f"`MERGE` from a query with `LIMIT` or a sample of more than {_HELD_BYTES_MAX // 1024**2} MiB is not supported."
            raise UnsupportedFeature(message, hint="Write it into a table first.", details={"feature": "MERGE from a large limited query"})
        return bound
    held = pa.Table.from_batches(batches, schema=schema)
    outputs = (f"{text.cast(text.name(name), kind)} AS {text.name(name)}" for name, kind in bound.columns)
    return bound.replaced_by(text.select(outputs, text.name("__insjo_held")), {"__insjo_held": stream_bytes(held)})


def _evolved(tree: exp.Expr, target: ResolvedTable, source: BoundQuery) -> tuple[Column, ...]:
    """The columns of the target with those that the source has besides and that the clauses put into it."""
    wanted: set[str] = set()
    whens = tree.args.get("whens")
    for when in whens.expressions if whens is not None else []:
        action = when.args["then"]
        if isinstance(action, exp.Update):
            if len(action.expressions) == 1 and isinstance(action.expressions[0], exp.Star):
                wanted |= {name.lower() for name, _ in source.columns}
            wanted |= {each.this.name.lower() for each in action.expressions if isinstance(each, exp.EQ)}
        elif isinstance(action, exp.Insert):
            if isinstance(action.this, exp.Star):
                wanted |= {name.lower() for name, _ in source.columns}
            elif action.this is not None:
                wanted |= {each.name.lower() for each in action.this.expressions}
    return evolved(target.table.columns, source, by_name=True, among=frozenset(wanted)) if wanted else target.table.columns


def _marked(plan: Plan, write: TableWrite, files: Sequence[DataFile], *, raw: bool = False) -> Given:
    """Files of the target as a source that also tells where each row lies; in columns that it only gets now there is NULL."""
    found = marked(plan.target, write, files, raw=raw)
    added = plan.columns[len(plan.target.table.columns) :]
    if not added:
        return found
    outputs = ["*", *(f"{text.null_of(column.type_text)} AS {text.name(column.name)}" for column in added)]
    shape = {**found.columns, **{column.name: column.type_text for column in added}}
    return Given(text.select(outputs, text.nested(found.sql, "__insjo_evolved")), shape, found.guard)


def _columns_after(plan: Plan, rows: int) -> Sequence[Column] | None:
    """The columns after the statement, or None when they stay."""
    counters = {column.name.lower() for column in plan.columns if column.identity is not None}
    explicit = frozenset.intersection(*(clause.given for clause in plan.missing_in_target)) if plan.missing_in_target else frozenset()
    moved = counted_up(plan.columns, explicit, rows) if counters else None
    if moved is not None:
        return moved
    return plan.columns if len(plan.columns) != len(plan.target.table.columns) else None


def _read_clauses(plan: Plan, tree: exp.Expr, source_columns: Sequence[str]) -> None:
    """The clauses, checked against the columns of both sides."""
    if plan.target_alias.lower() == plan.source_alias.lower():
        message = f"Source and target of `MERGE` are both called `{plan.target_alias}`."
        raise InvalidArgument(message, hint="Give them different aliases.")
    if tree.args.get("on") is None:
        message = "`MERGE` needs a condition after `ON`."
        raise InvalidArgument(message)
    refuse_volatile(plan.on, "MERGE")
    whens = tree.args.get("whens")
    for when in whens.expressions if whens is not None else []:
        refuse_volatile(when.args.get("condition"), "MERGE")
        clause = _clause(when, plan, source_columns)
        if when.args.get("matched"):
            plan.matched.append(clause)
        elif when.args.get("source"):
            plan.missing_in_source.append(clause)
        else:
            plan.missing_in_target.append(clause)
    if not (plan.matched or plan.missing_in_source or plan.missing_in_target):
        message = "`MERGE` needs at least one `WHEN`."
        raise InvalidArgument(message)
    for clauses in (plan.matched, plan.missing_in_source, plan.missing_in_target):
        if any(each.condition is None for each in clauses[:-1]):
            message = "Only the last `WHEN` of a kind may stand without a condition."
            raise InvalidArgument(message)


def _clause(when: exp.Expr, plan: Plan, source_columns: Sequence[str]) -> Clause:
    """One WHEN with its action, and with the values that the table itself puts."""
    clause = _written(when, plan, source_columns)
    if clause.deletes:
        return clause
    given = frozenset(clause.values)
    if isinstance(when.args["then"], exp.Insert):
        return replace(clause, values=completed(clause.values, plan.columns), given=given)
    return replace(clause, values=recomputed(clause.values, plan.columns, plan.target_alias), given=given)


def _written(when: exp.Expr, plan: Plan, source_columns: Sequence[str]) -> Clause:
    """One WHEN as it is written."""
    condition, action = when.args.get("condition"), when.args["then"]
    if isinstance(action, exp.Var) and str(action.this).upper() == "DELETE":
        return Clause(condition, deletes=True)
    if isinstance(action, exp.Update):
        outputs = action.expressions
        if len(outputs) == 1 and isinstance(outputs[0], exp.Star):
            return Clause(condition, values=_all_columns(plan, source_columns))
        return Clause(condition, values=_set(outputs, plan))
    if isinstance(action, exp.Insert):
        if isinstance(action.this, exp.Star):
            return Clause(condition, values=_all_columns(plan, source_columns))
        return Clause(condition, values=_insert_values(action, plan))
    message = "A `WHEN` of `MERGE` ends in `UPDATE SET`, `DELETE` or `INSERT`."
    raise InvalidArgument(message)


def _all_columns(plan: Plan, source_columns: Sequence[str]) -> dict[str, exp.Expr]:
    """`SET *` and `INSERT *`: every column of the target from the source's column of that name."""
    known = {name.lower(): name for name in source_columns}
    values: dict[str, exp.Expr] = {}
    for column in plan.columns:
        if column.name.lower() not in known:
            if column.is_computed or column.identity is not None or plan.evolves:
                continue
            message = f"The source of `MERGE` has no column `{column.name}`, which `*` takes from it."
            raise UnresolvedColumn(message, hint=did_you_mean(column.name, source_columns))
        values[column.name.lower()] = exp.column(known[column.name.lower()], table=plan.source_alias, quoted=True)
    return values


def _set(outputs: Sequence[exp.Expr], plan: Plan) -> dict[str, exp.Expr]:
    """`SET a = 1, t.b = s.b`."""
    values: dict[str, exp.Expr] = {}
    for each in outputs:
        if not isinstance(each, exp.EQ) or not isinstance(each.this, exp.Column):
            message = "`UPDATE SET` of `MERGE` sets columns: `SET a = s.a`."
            raise InvalidArgument(message)
        if each.this.table and each.this.table.lower() != plan.target_alias.lower():
            message = f"`UPDATE SET` sets columns of the target `{plan.target_alias}`, not of `{each.this.table}`."
            raise InvalidArgument(message)
        _put(values, each.this.name, each.expression, plan)
    return values


def _insert_values(action: exp.Insert, plan: Plan) -> dict[str, exp.Expr]:
    """`INSERT (a, b) VALUES (1, 2)`, or `INSERT VALUES (...)` for all columns."""
    given = action.expression
    listed = list(given.expressions) if isinstance(given, exp.Tuple | exp.Values) else [given]
    if len(listed) == 1 and isinstance(listed[0], exp.Tuple):
        listed = list(listed[0].expressions)
    holder = action.this
    if holder is None:
        names = [column.name for column in plan.columns]
    else:
        names = [each.name for each in (holder.expressions if isinstance(holder, exp.Tuple | exp.Schema) else [holder])]
    if len(names) != len(listed):
        message = f"`INSERT` of `MERGE` names {len(names)} columns and gives {len(listed)} values."
        raise ColumnCountMismatch(message)
    values: dict[str, exp.Expr] = {}
    for name, value in zip(names, listed, strict=True):
        _put(values, name, value, plan)
    return values


def _put(values: dict[str, exp.Expr], name: str, value: exp.Expr, plan: Plan) -> None:
    """Keep the value of a column that exists and was not set before."""
    known = [column.name for column in plan.columns]
    if name.lower() not in {each.lower() for each in known}:
        message = f"The table `{plan.target.table.full_name}` has no column `{name}`."
        raise UnresolvedColumn(message, hint=did_you_mean(name, known))
    if name.lower() in values:
        message = f"The column `{name}` is set twice."
        raise InvalidArgument(message)
    column = next(each for each in plan.columns if each.name.lower() == name.lower())
    if is_default(value):
        if column.generated or column.identity is not None:
            return  # Left out, so that the table computes it.
        value = default_of(column)
    values[name.lower()] = value


# ----------------------------------------------------------------------------------------------------------------- computing


def _join(plan: Plan, target: str, *, kind: str) -> tuple[exp.From, exp.Join]:
    """Target and source side by side (`INNER`), rows of the target without a match (`ANTI`), or those of the source (`ANTI_SOURCE`)."""
    left, right = source_table(plan.target_alias, target), source_table(plan.source_alias, SOURCE)
    if kind == "INNER":
        return exp.From(this=left), exp.Join(this=right, kind="INNER", on=plan.on.copy())
    if kind == "ANTI":
        return exp.From(this=left), exp.Join(this=right, side="LEFT", kind="ANTI", on=plan.on.copy())
    return exp.From(this=right), exp.Join(this=left, side="LEFT", kind="ANTI", on=plan.on.copy())


def _choice(clauses: Sequence[Clause], values: Sequence[exp.Expr], default: exp.Expr | None) -> exp.Expr:
    """The value of the first clause whose condition holds."""
    ifs = [
        exp.If(this=clause.condition.copy() if clause.condition is not None else exp.Boolean(this=True), true=value)
        for clause, value in zip(clauses, values, strict=True)
    ]
    return exp.Case(ifs=ifs, default=default if default is not None else exp.Null())


def _changes(plan: Plan, target: str, clauses: Sequence[Clause], *, kind: str) -> exp.Select:
    """For each row of the target that a clause concerns: where it lies, what happens, and its new values."""
    alias = plan.target_alias
    happens = _choice(clauses, [exp.Literal.string(_DELETE if clause.deletes else _UPDATE) for clause in clauses], None)
    outputs: list[exp.Expr] = [
        exp.alias_(exp.column(FILE_MARK, table=alias, quoted=True), "f"),
        exp.alias_(exp.column(ROW_MARK, table=alias, quoted=True), "r"),
        exp.alias_(happens, "a"),
    ]
    for at, column in enumerate(plan.columns):
        old = exp.column(column.name, table=alias, quoted=True)
        news = [cast(clause.values[column.name.lower()].copy(), column.type_text) if column.name.lower() in clause.values else old.copy()
                for clause in clauses]  # fmt: skip
        outputs.append(exp.alias_(_choice(clauses, news, old.copy()), f"n{at}"))
        if column.name.lower() in plan.masked:
            sets = [exp.Boolean(this=column.name.lower() in clause.values) for clause in clauses]
            outputs.append(exp.alias_(_choice(clauses, list(sets), exp.Boolean(this=False)), f"s{at}"))
    from_, join = _join(plan, target, kind=kind)
    return exp.Select(
        expressions=outputs,
        from_=from_,
        joins=[join],
        where=exp.Where(this=exp.Not(this=exp.Is(this=happens.copy(), expression=exp.Null()))),
    )


def _every_change(plan: Plan, target: str) -> exp.Expr | None:
    """Changes of matched rows and of rows that the source lacks."""
    parts: list[exp.Expr] = []
    if plan.matched:
        parts.append(_changes(plan, target, plan.matched, kind="INNER"))
    if plan.missing_in_source:
        parts.append(_changes(plan, target, plan.missing_in_source, kind="ANTI"))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else exp.Union(this=parts[0], expression=parts[1], distinct=False)


def _staged(
    x: Execution, plan: Plan, given: Mapping[str, Given], source: BoundQuery, write: TableWrite
) -> AbstractContextManager[Given | None]:
    """What the clauses do to rows that are there, worked out once; None when they do nothing."""
    every = _every_change(plan, TARGET)
    if every is None or not write.snapshot.files:
        return contextlib.nullcontext()
    return feed.staged(x, x.tools.binder.bind(x.ctx, every, x.names, x.parameters, given=given).resting_on(source), write)


def _told(
    x: Execution, plan: Plan, write: TableWrite, touched: Sequence[DataFile], inserted: Sequence[NewFile], staged: Given | None
) -> list[NewFile]:
    """The files of changes; when rows only come, their data files tell it."""
    if staged is None or not touched:
        return []
    values = dict(zip((column.name for column in plan.columns), _values(plan), strict=True))
    changed = feed.Changed(staged, _marked(plan, write, touched, raw=True), values, inserted)
    return feed.record(x, plan.target, write, plan.columns, changed)


def _count(x: Execution, plan: Plan, given: Mapping[str, Given], source: BoundQuery, staged: Given | None) -> Counts:
    """Which files hold rows that change; raises MergeAmbiguous when two rows of the source want the same row."""
    counts = Counts()
    every = _every_change(plan, TARGET)
    if every is None or not plan.target.snapshot or not plan.target.snapshot.files:
        return counts
    if staged is not None:
        every, given = _from_staged(), {feed.STAGED: staged}
    number = exp.Anonymous(this="count", expressions=[exp.Star()])
    by_row = exp.Select(
        expressions=[exp.column("f"), exp.alias_(exp.Anonymous(this="max", expressions=[exp.column("a")]), "a"), exp.alias_(number, "n")],
        from_=exp.From(this=exp.Subquery(this=every, alias=exp.TableAlias(this=exp.to_identifier("c")))),
        group=exp.Group(expressions=[exp.column("f"), exp.column("r")]),
    )
    by_file = exp.Select(
        expressions=[
            exp.column("f"),
            exp.column("a"),
            exp.alias_(number.copy(), "rows"),
            exp.alias_(exp.Anonymous(this="max", expressions=[exp.column("n")]), "most"),
        ],
        from_=exp.From(this=exp.Subquery(this=by_row, alias=exp.TableAlias(this=exp.to_identifier("c")))),
        group=exp.Group(expressions=[exp.column("f"), exp.column("a")]),
    )
    bound = x.tools.binder.bind(x.ctx, by_file, x.names, x.parameters, given=given).resting_on(source)
    only_deletes = len(plan.matched) == 1 and plan.matched[0].deletes and plan.matched[0].condition is None
    for row in x.rows(bound.sql, bound.tables):
        if int(str(row["most"])) > 1 and not only_deletes:
            message = "Several rows of the source match the same row of the target, so it is not clear which of them should change it."
            raise MergeAmbiguous(message, hint="Make the source unique in the columns of the `ON` condition, for example with `QUALIFY`.")
        counts.files.add(str(row["f"]))
        if row["a"] == _DELETE:
            counts.deleted += int(str(row["rows"]))
        else:
            counts.updated += int(str(row["rows"]))
    return counts


def _inserted(x: Execution, plan: Plan, given: Mapping[str, Given], source: BoundQuery, write: TableWrite) -> list[NewFile]:
    """Files with the rows of the source that the target lacks."""
    clauses = plan.missing_in_target
    if not clauses:
        return []
    wanted = _choice(clauses, [exp.Boolean(this=True) for _ in clauses], exp.Boolean(this=False))
    outputs: list[exp.Expr] = []
    for column in plan.columns:
        news = [cast(clause.values[column.name.lower()].copy(), column.type_text) for clause in clauses]
        outputs.append(exp.alias_(_choice(clauses, news, cast(exp.Null(), column.type_text)), column.name, quoted=True))
    from_, join = _join(plan, TARGET, kind="ANTI_SOURCE")
    query = exp.Select(expressions=outputs, from_=from_, joins=[join], where=exp.Where(this=wanted))
    bound = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given=given).resting_on(source)
    return export(x, bound, plan.columns, write.location, plan.target.table.partition_columns, properties=write.snapshot.properties)


def _values(plan: Plan) -> list[exp.Expr]:
    """What each column of a row `t` is after the change `c`, if there is one."""
    found: list[exp.Expr] = []
    for at, column in enumerate(plan.columns):
        stays: exp.Expr = exp.Is(this=exp.column("a", table="c"), expression=exp.Null())
        if column.name.lower() in plan.masked:
            stays = exp.Or(this=stays, expression=exp.Not(this=exp.column(f"s{at}", table="c")))
        old = exp.column(column.name, table="t", quoted=True)
        found.append(exp.Case(ifs=[exp.If(this=stays, true=old)], default=exp.column(f"n{at}", table="c")))
    return found


def _from_staged() -> exp.Select:
    """The changes that were worked out before."""
    return exp.Select(expressions=[exp.Star()], from_=exp.From(this=source_table("s", feed.STAGED)))


def _rewritten(
    x: Execution,
    plan: Plan,
    given: Mapping[str, Given],
    source: BoundQuery,
    write: TableWrite,
    touched: Sequence[DataFile],
    staged: Given | None,
) -> list[NewFile]:
    """Files with the new contents of those that hold rows that change."""
    every = _every_change(plan, TOUCHED)
    if every is None or not touched:
        return []
    if staged is not None:
        every, given = _from_staged(), {**given, feed.STAGED: staged}
    happens = exp.column("a", table="c")
    outputs = [exp.alias_(value, column.name, quoted=True) for column, value in zip(plan.columns, _values(plan), strict=True)]
    changes = exp.Subquery(this=every, alias=exp.TableAlias(this=exp.to_identifier("c")))
    there = exp.Or(
        this=exp.Is(this=happens.copy(), expression=exp.Null()),
        expression=exp.EQ(this=happens.copy(), expression=exp.Literal.string(_UPDATE)),
    )
    query = exp.Select(
        expressions=outputs,
        from_=exp.From(this=source_table("t", RAW)),
        joins=[exp.Join(this=changes, side="LEFT", on=feed.same_row())],
        where=exp.Where(this=there),
    )
    files = {**given, TOUCHED: _marked(plan, write, touched), RAW: _marked(plan, write, touched, raw=True)}
    bound = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given=files).resting_on(source)
    return export(x, bound, plan.columns, write.location, plan.target.table.partition_columns, properties=write.snapshot.properties)
