"""COPY INTO that merges by key: a MERGE from the files, after a look at their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.errors import did_you_mean
from insjo.kernel.ids import new_id
from insjo.sql.binding.file_failures import file_of, read_failure, tells_of_file
from insjo.sql.commands import merge
from insjo.sql.commands.execution import Outcome, counted
from insjo.sql.commands.quarantine import Quarantine, committed
from insjo.sql.commands.writing import resolve_target
from insjo.sql.errors import CopySchemaMismatch, FileOptionInvalid, FileReadFailed, MergeAmbiguous, StatementFailed, UnsupportedFeature
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.nodes import Merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.catalog.types import ResolvedTable
    from insjo.sql.commands.copy_options import CopyOptions
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import CopyInto


_COUNTS = ("num_affected_rows", "num_updated_rows", "num_deleted_rows", "num_inserted_rows")


def merge_files(x: Execution, command: CopyInto, options: CopyOptions) -> Outcome:
    """Update the rows whose key is there, and add the others.

    Raises:
        MergeAmbiguous: A key is NULL, or stands in the files more than once.
    """
    plain = command.tree is None or (all(_is_column(each) for each in command.tree.expressions) and not command.tree.args.get("where"))
    if not plain or command.files or command.pattern or command.columns is not None:
        message = "`COPY INTO` with `mode` = `merge` takes a path, or columns of it under other names, and nothing else."
        raise UnsupportedFeature(message, hint="Write a `MERGE INTO` from `read_files`.", details={"feature": "COPY INTO merge"})
    target = resolve_target(x, x.names.table(command.target), reads=True)
    if options.load_id and committed(x, x.names.table(command.target), options.load_id):
        counts = dict.fromkeys(_COUNTS if not options.quarantine else (*_COUNTS, "num_quarantined_rows"), 0)
        return counted(provenance=None, hidden=frozenset(), **counts)
    try:
        return _once(x, command, options, target, mode="FAILFAST")
    except (StatementFailed, FileReadFailed) as error:
        if not options.quarantine:
            if isinstance(error, StatementFailed) and not tells_of_file(error):
                raise
            files = x.tools.binder.files.resolve(x.ctx, command.path, command.format_options)
            raise (error if isinstance(error, FileReadFailed) else read_failure(error, file_of(error, files))) from error
    bad = _set_apart(x, command, options, target)
    return _once(x, command, options, target, mode="DROPMALFORMED", bad=bad)


def _once(x: Execution, command: CopyInto, options: CopyOptions, target: ResolvedTable, *, mode: str, bad: int = 0) -> Outcome:
    source = _call(command, target, mode)
    new = _columns(x, source, target, options)
    _check_keys(x, source, options)
    name = ".".join(_quoted(part) for part in (target.table.catalog, target.table.schema, target.table.name))
    condition = " AND ".join(f"t.{_quoted(key)} = s.{_quoted(key)}" for key in options.keys)
    keys = {key.lower() for key in options.keys}
    updates = ", ".join(f"t.{_quoted(each)} = s.{_quoted(each)}" for each in new if each.lower() not in keys)
    matched = f"WHEN MATCHED THEN UPDATE SET {updates} " if updates else ""
    listed, values = ", ".join(_quoted(each) for each in new), ", ".join(f"s.{_quoted(each)}" for each in new)
    evolves = any(each.lower() not in {column.name.lower() for column in target.table.columns} for each in new)
    if evolves:
        matched, listed, values = "WHEN MATCHED THEN UPDATE SET * ", "", ""
    inserts = f"({listed}) VALUES ({values})" if listed else "*"
    text = f"MERGE INTO {name} AS t USING (SELECT * FROM {source}) AS s ON {condition} {matched}WHEN NOT MATCHED THEN INSERT {inserts}"  # noqa: S608  # Names are quoted, and the binder authorises all.
    outcome = merge.merge(x, Merge(parse_tree(text), evolves=evolves, copy_id=options.load_id))
    (row,) = [batch.to_pylist()[0] for batch in outcome.batches]
    counts = {each: int(value) for each, value in row.items()}
    if options.quarantine:
        counts["num_quarantined_rows"] = bad
    return counted(provenance=outcome.provenance, hidden=outcome.hidden, **counts)


def _is_column(output: exp.Expr) -> bool:
    """Whether an output is a column, under whatever name."""
    return isinstance(output.unalias(), exp.Column) and not isinstance(output.unalias().this, exp.Star)


def _call(command: CopyInto, target: ResolvedTable, mode: str) -> str:
    """The files as a source of a query, in the types of the table."""
    given = {key: value for key, value in command.format_options.items() if key.lower() not in {"mode", "mergeschema"}}
    hints = ", ".join(f"{_quoted(column.name)} {column.type_text}" for column in target.table.columns)
    if not {key.lower() for key in given} & {"schema", "schemahints"}:
        given["schemaHints"] = hints
    options = {"format": command.file_format.lower(), "mode": mode, **given}
    call = f"read_files({_text(command.path)}, {', '.join(f'{key} => {_text(value)}' for key, value in options.items())})"
    if command.tree is None:
        return call
    outputs = ", ".join(f"{_quoted(each.unalias().name)} AS {_quoted(each.alias_or_name)}" for each in command.tree.expressions)
    return f"(SELECT {outputs} FROM {call})"  # noqa: S608  # As above.


def _columns(x: Execution, source: str, target: ResolvedTable, options: CopyOptions) -> list[str]:
    """Columns of the files, all of them known to the table unless they may be added."""
    bound = x.tools.binder.bind(x.ctx, parse_tree(f"SELECT * FROM {source}"), x.names)  # noqa: S608  # As above.
    names = [name for name, _ in bound.columns]
    known = {column.name.lower() for column in target.table.columns}
    folded = {name.lower() for name in names}
    for key in options.keys:
        if key.lower() not in known or key.lower() not in folded:
            message = f"The key `{key}` is not a column of {'the table' if key.lower() not in known else 'the files'}."
            raise FileOptionInvalid(message, hint=did_you_mean(key, sorted(known & folded)))
    for name in names:
        if name.lower() not in known and not options.merges_schema:
            message = f"The files have a column `{name}`, and the table `{target.table.full_name}` has none of that name."
            raise CopySchemaMismatch(message, hint="Add COPY_OPTIONS ('mergeSchema' = 'true') to add it.")
    return names


def _check_keys(x: Execution, source: str, options: CopyOptions) -> None:
    """A key that is missing or not unique would add rows twice."""
    keys = [_quoted(key) for key in options.keys]
    missing = " OR ".join(f"{key} IS NULL" for key in keys)
    query = f"SELECT count(*) AS a, count(DISTINCT {', '.join(keys)}) AS d, count_if({missing}) AS n FROM {source}"  # noqa: S608  # As above.
    bound = x.tools.binder.bind(x.ctx, parse_tree(query), x.names)
    (row,) = x.rows(bound.sql, bound.tables)
    counts = dict(zip(("all", "distinct", "null"), (int(str(value)) for value in row.values()), strict=True))
    if counts["null"]:
        message = f"{counts['null']} rows of the files have no value in the key `{', '.join(options.keys)}`."
        raise MergeAmbiguous(message, hint="Give every row a key, or append.")
    if counts["distinct"] != counts["all"]:
        message = (
            f"The key `{', '.join(options.keys)}` stands in the files more than once: {counts['all']} rows, {counts['distinct']} keys."
        )
        raise MergeAmbiguous(message, hint="Take a key that is unique, or remove the doubles.")


def _set_apart(x: Execution, command: CopyInto, options: CopyOptions, target: ResolvedTable) -> int:
    """Write the bad rows into the quarantine; how many there are."""
    kinds: Mapping[str, str] = {column.name.lower(): column.type_text for column in target.table.columns}
    reader = x.tools.binder.files
    files = reader.resolve(x.ctx, command.path, command.format_options)
    source = reader.source(x.ctx, files, command.file_format, command.format_options, types=kinds, sifts=True)
    quarantine = Quarantine(x, target, options.load_id or new_id())
    if not source.rejects:
        return 0
    sifting = quarantine.sifting(source.rejects)
    with quarantine.scratch() as folder:
        sifting.export(source.query(source.columns), folder, (), {})
    return quarantine.commit(sifting.rejected, source.provenance)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(value: str) -> str:
    """A text in quotes; a backslash means something in this dialect."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
