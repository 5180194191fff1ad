"""The same statement for an engine other than Insjö's own: what its sources are there.

A statement that is bound for a warehouse on Spark is compiled twice: once for DuckDB, which checks it and gives every node its type, and
once as Spark SQL.  A source that has no words there makes the whole statement refused, never half of it.  A statement that reads no table
has nothing to gain from a cluster: it stays on the workers of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from insjo.sql.binding import engine_text as text
from insjo.sql.binding.finishing import Finish, part
from insjo.sql.dialect.spark.render import render, text_literal
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlglot import exp

    from insjo.catalog.types import Column, DataFile, Snapshot
    from insjo.sql.dialect.session import SessionFacts
    from insjo.sql.dialect.translate import OutputColumn
    from insjo.sql.ports import Engine

    StoredColumns = Callable[[Sequence[str]], Mapping[str, frozenset[tuple[str, str]]]]

_FILES_MAX = 2000
_FOOTERS_MAX = 500
_BRANCHES_MAX = 200
_ODD = frozenset("{}*?[],`\\$")
"""Characters that mean something in a pattern of paths."""


@dataclass(slots=True)
class Foreign:
    """The statement's words for the other engine, while it is bound.

    Attributes:
        text: Of the tree that was compiled last.
        wanted: Whether anybody asked for them; without that nothing is worked out.
        refusal: Why there are none.
        refused: What was refused, if it was compiled last.
        finish: What is left to do here with the rows that the other engine gives.
        stored: Tells which columns files have, as names in lower case and types as they lie there.
    """

    stored: StoredColumns
    wanted: bool = False
    text: str = field(default="")
    refusal: UnsupportedFeature | None = None
    refused: tuple[exp.Expr, SessionFacts, Sequence[OutputColumn]] | None = None
    finish: Finish | None = None

    def compiled(self, tree: exp.Expr, facts: SessionFacts, outputs: Sequence[OutputColumn]) -> None:
        """Take the words of a tree that was just translated, with the columns that it gives."""
        self.text, self.refused = "", None
        if self.wanted and self.refusal is None:
            try:
                self.text = render(tree, facts)
            except UnsupportedFeature as error:
                # Whether it matters is known when the whole statement was read: it may turn out to read no table.
                self.refusal, self.refused = error, (tree, facts, outputs)

    def words(self, *, reads_tables: bool) -> str:
        """The whole statement for the other engine, or that part of it after which `finish` is left; nothing when it does not go there.

        Raises:
            UnsupportedFeature: It cannot be put into its words.
        """
        if not reads_tables or not self.wanted:
            return ""
        if self.refusal is None:
            return self.text
        # The outermost query is compiled last, so what was refused is all of it, or lies deeper.
        parted = part(*self.refused) if self.refused is not None else None
        if parted is None:
            raise self.refusal
        words, self.finish = parted
        return words

    def selected(self, shown: Sequence[str]) -> str:
        """Some columns of the tree that was compiled last."""
        names = ", ".join(quoted(name) for name in shown) or "1 AS insjo_none"
        return f"SELECT {names} FROM (\n{self.text}\n) AS insjo_view" if self.wanted else ""  # noqa: S608  # A compiled tree.

    def stream(self, name: str, columns: Mapping[str, str]) -> str:
        """Rows that are handed over with the statement."""
        return f"SELECT {_listed(columns)} FROM {quoted(name)}" if self.wanted else ""  # noqa: S608  # Names in backticks.

    def scan(self, table: str, snapshot: Snapshot, columns: Sequence[Column], files: Sequence[DataFile]) -> str:
        """Files of a table.

        Raises:
            UnsupportedFeature: They are too many.
        """
        if not self.wanted:
            return ""
        if not columns:
            # Counting rows reads no column; the first one stands in for them.
            columns = snapshot.columns[:1]
        partition_names = {name.lower() for name in snapshot.partition_columns}
        if len(files) > _FILES_MAX:
            raise _unable(table, f"has {len(files)} files to read", "Run `OPTIMIZE` on it, or filter on a partition.")
        if not files:
            nothing = ", ".join(f"CAST(NULL AS {column.type_text}) AS {quoted(column.name)}" for column in columns)
            return f"SELECT {nothing} WHERE 1 = 0"
        # A server takes the schema of whichever file it likes, so files that lack columns, or have others, are read apart.
        stored = {} if snapshot.uniform else self.stored([file.path for file in files])
        groups: dict[tuple[frozenset[tuple[str, str]], tuple[str, ...]], list[str]] = {}
        for file in files:
            values = {name.lower(): value for name, value in file.partition_values.items()}
            present = stored.get(file.path, frozenset())
            names = None if snapshot.uniform else {name for name, _ in present}
            shown = tuple(
                _constant(values.get(column.name.lower()), column.type_text)
                if column.name.lower() in partition_names
                else quoted(column.name)
                if names is None or column.name.lower() in names
                else "NULL"
                for column in columns
            )
            groups.setdefault((present, shown), []).append(file.path)
        branches = [_branch(shown, columns, source) for (_, shown), paths in groups.items() for source in _sources(paths)]
        if len(branches) > _BRANCHES_MAX:
            raise _unable(table, f"has {len(branches)} partitions to read", "Filter on a partition.")
        return "\nUNION ALL\n".join(branches)


def stored_columns(engine: Engine, paths: Sequence[str]) -> Mapping[str, frozenset[tuple[str, str]]]:
    """The columns of Parquet files, from their footers."""
    if len(paths) > _FOOTERS_MAX:
        message = f"A table whose columns were changed has {len(paths)} files, too many to look at one by one."
        raise UnsupportedFeature(message, hint="Run `OPTIMIZE` on it.", details={"feature": "many files of several schemas on Spark"})
    found: dict[str, set[tuple[str, str]]] = {path: set() for path in paths}
    below: dict[str, list[int]] = {}
    shown = "file_name, name, coalesce(duckdb_type, '') || ' ' || coalesce(type, '') AS kind, coalesce(num_children, 0) AS children"
    with engine.query(f"SELECT {shown} FROM parquet_schema({text.literals(paths)})") as rows:  # noqa: S608  # Paths in quotes.
        for batch in rows:
            for row in batch.to_pylist():
                # The nodes of a file come as a tree, written from the top down: the root, then each column with all that is in it.
                open_nodes = below.setdefault(row["file_name"], [])
                if len(open_nodes) == 1:
                    found[row["file_name"]].add((row["name"].lower(), row["kind"]))
                if open_nodes:
                    open_nodes[-1] -= 1
                open_nodes.append(row["children"])
                while len(open_nodes) > 1 and not open_nodes[-1]:
                    open_nodes.pop()
    return {path: frozenset(columns) for path, columns in found.items()}


def _branch(cells: Sequence[str], columns: Sequence[Column], source: str) -> str:
    shown = (f"CAST({cell} AS {column.type_text}) AS {quoted(column.name)}" for cell, column in zip(cells, columns, strict=True))
    return f"SELECT {', '.join(shown)} FROM {source}"  # noqa: S608  # Names in backticks, constants in quotes.


def _sources(paths: Sequence[str]) -> list[str]:
    """Files as few sources as there are folders."""
    folders: dict[str, list[str]] = {}
    found: list[str] = []
    for path in paths:
        if _ODD & set(path):
            if "`" in path:
                message = "A data file has a name that Spark cannot read."
                raise UnsupportedFeature(message, details={"feature": "names of data files on Spark"})
            found.append(f"parquet.`{path}`")
        else:
            folders.setdefault(str(PurePosixPath(path).parent), []).append(PurePosixPath(path).name)
    for folder, names in folders.items():
        found.append(f"parquet.`{folder}/{names[0]}`" if len(names) == 1 else f"parquet.`{folder}/{{{','.join(names)}}}`")
    return found


def quoted(name: str) -> str:
    """A name in backticks."""
    return f"`{name.replace('`', '``')}`"


def _listed(columns: Mapping[str, str]) -> str:
    return ", ".join(
        quoted(name) if kind == "void" else f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in columns.items()
    )


def _constant(value: object, kind: str) -> str:
    """A partition value; the cast that stands around it gives it its type."""
    if value is None:
        return "NULL"
    if kind.startswith("timestamp") or isinstance(value, float | bytes):
        message = f"A partition column of type `{kind}` is not supported by warehouses on Spark."
        raise UnsupportedFeature(
            message, hint="Run the statement on a warehouse on DuckDB.", details={"feature": f"partitions by `{kind}` on Spark"}
        )
    return text_literal(str(value).lower() if isinstance(value, bool) else str(value))


def protected_on_spark(table: str) -> UnsupportedFeature:
    """Insjö keeps the optimiser of its own engine from looking behind a row filter or a mask; no engine of others promises that."""
    message = f"`{table}` has a row filter or column masks; such tables are read by warehouses on DuckDB."
    return UnsupportedFeature(message, hint="Choose a warehouse on DuckDB.", details={"feature": "row filters and column masks on Spark"})


def _unable(table: str, why: str, hint: str) -> UnsupportedFeature:
    message = f"`{table}` {why}, which warehouses on Spark do not support."
    return UnsupportedFeature(message, hint=hint, details={"feature": f"`{table}` on Spark"})
