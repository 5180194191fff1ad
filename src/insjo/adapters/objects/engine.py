"""An engine whose files are fetched before it needs them: its workers read the disk only, and have neither a network nor keys."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from insjo.sql.errors import UnsupportedFeature
from insjo.sql.ports import Sifter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from insjo.catalog.ports import Mirror
    from insjo.kernel.cancellation import CancelToken
    from insjo.sql.ports import Conversions, Converted, Engine, EngineColumn, EngineLimits, EngineRows, EngineStats, Scan, WrittenFile

_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_ESCAPED = re.compile(r"\[([*?\[])\]")


class FetchingEngine:
    """The port `Engine` around another one.

    The port says that files stand in a statement as literals with absolute paths; those that lie in the data folder and are not there
    are fetched, and stay as long as the statement runs.
    """

    def __init__(self, engine: Engine, mirror: Mirror, root: Path) -> None:
        self._engine = engine
        self._mirror = mirror
        self._prefix = f"{root}/"

    def query(
        self,
        sql: str,
        *,
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
        scans: Sequence[Scan] = (),
    ) -> EngineRows:
        """See the port."""
        ready = [self._loadable(scan) for scan in scans]
        with contextlib.ExitStack() as stack:
            stack.enter_context(
                self._mirror.held({*self._paths(sql), *(path for scan in ready for path in self._paths(scan.load))}, cancel)
            )
            rows = self._engine.query(sql, tables=tables, cancel=cancel, limits=limits, on_queue=on_queue, scans=ready)
            return _HoldingRows(rows, stack.pop_all())

    def export(
        self,
        sql: str,
        folder: Path,
        *,
        partition_columns: Sequence[str] = (),
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
    ) -> list[WrittenFile]:
        """See the port."""
        with self._mirror.held(self._paths(sql), cancel):
            return self._engine.export(
                sql, folder, partition_columns=partition_columns, tables=tables, cancel=cancel, limits=limits, on_queue=on_queue
            )

    def sift(
        self,
        sql: str,
        folder: Path,
        *,
        rejects_sql: str,
        rejects_folder: Path,
        partition_columns: Sequence[str] = (),
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
    ) -> tuple[list[WrittenFile], list[WrittenFile]]:
        """See `Sifter.sift`."""
        if not isinstance(self._engine, Sifter):
            message = "This engine does not tell good rows from bad ones."
            raise UnsupportedFeature(message, details={"feature": "quarantine"})
        with self._mirror.held(self._paths(sql), cancel):
            return self._engine.sift(
                sql, folder, rejects_sql=rejects_sql, rejects_folder=rejects_folder, partition_columns=partition_columns,
                tables=tables, cancel=cancel, limits=limits, on_queue=on_queue,
            )  # fmt: skip

    def bind(self, sql: str, *, tables: Mapping[str, bytes] | None = None) -> tuple[EngineColumn, ...]:
        """See the port."""
        with self._mirror.held(self._paths(sql)):
            return self._engine.bind(sql, tables=tables)

    def stats(self) -> EngineStats:
        """See the port."""
        return self._engine.stats()

    def close(self) -> None:
        """See the port."""
        self._engine.close()

    def _loadable(self, scan: Scan) -> Scan:
        """The part of a query; columns are only held of a table whose files are all at hand, because nobody waits for that reading."""
        if all(Path(path).exists() for path in self._paths(scan.load)):
            return scan
        return replace(scan, load="", load_columns=(), size_bytes=0)

    def _paths(self, sql: str) -> Iterator[str]:
        for match in _LITERAL.finditer(sql):
            if match[1].startswith(self._prefix):
                yield _ESCAPED.sub(r"\1", match[1].replace("''", "'"))


class _HoldingRows:
    """Rows whose files are held until they are closed."""

    def __init__(self, rows: EngineRows, stack: contextlib.ExitStack) -> None:
        self._rows = rows
        self._stack = stack

    @property
    def columns(self) -> tuple[EngineColumn, ...]:
        """See the port."""
        return self._rows.columns

    @property
    def schema(self) -> pa.Schema:
        """See the port."""
        return self._rows.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """See the port."""
        return iter(self._rows)

    def close(self) -> None:
        """See the port."""
        try:
            self._rows.close()
        finally:
            self._stack.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """As `close`."""
        self.close()


class FetchingConversions:
    """The port `Conversions` around another one: the file that it turns into another is fetched first."""

    def __init__(self, conversions: Conversions, mirror: Mirror) -> None:
        self._conversions = conversions
        self._mirror = mirror

    def convert(self, local_path: str, name: str, kind: str, options: Mapping[str, str], *, cancel: CancelToken | None = None) -> Converted:
        """See the port."""
        with self._mirror.held([local_path], cancel):
            return self._conversions.convert(local_path, name, kind, options, cancel=cancel)
