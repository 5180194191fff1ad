"""Lineage: what was computed from what, told to those who may see both ends."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from insjo.access.store import lineage as store
from insjo.access.store.lineage import Edge, PlacedEdge
from insjo.access.types import Privilege

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from insjo.access.service.authority import Authority
    from insjo.access.store.changes import Changes
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

EDGES_MAX: Final = 5_000
"""Edges that one answer shows, and that one statement may leave."""

REPEATED_S: Final = 300.0
"""A statement that leaves the same edges again writes them no sooner than this, so that many small inserts cost nothing."""

_REMEMBERED: Final = 2_000


class Lineage:
    """Keeps one row for each edge."""

    def __init__(self, *, clock: Clock, changes: Changes, authority: Authority) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._authority = authority
        self._lock = threading.Lock()
        self._written: OrderedDict[frozenset[Edge], float] = OrderedDict()

    def record(
        self,
        ctx: RequestContext,
        target_id: str,
        tables: Iterable[str],
        columns: Mapping[str, Iterable[tuple[str, str]]],
        kind: str,
        *,
        replaces: bool = False,
    ) -> None:
        """Keep that a table was computed from others.

        Args:
            ctx: Who ran the statement.
            target_id: The table that was written, or the view that was made.
            tables: Identifiers of the tables that the statement names itself.
            columns: For a column of the target the columns (table, name) from which it is computed.
            kind: Of the statement.
            replaces: Forget what was known about the target.
        """
        edges = [Edge(source, "", target_id, "") for source in sorted(set(tables)) if source != target_id]
        for column, sources in columns.items():
            edges += [Edge(source, name.lower(), target_id, column.lower()) for source, name in sorted(set(sources))]
        edges = edges[:EDGES_MAX]
        if (not edges and not replaces) or (not replaces and self._is_repeated(frozenset(edges))):
            return
        with self._changes.writing() as writing:
            if replaces:
                store.delete_target(writing, target_id)
            store.put(writing, edges, statement_id=ctx.request_id, kind=kind, by=ctx.principal.id, now=self._clock.now())

    def _is_repeated(self, edges: frozenset[Edge]) -> bool:
        """Whether the same edges were written a moment ago."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            before = self._written.get(edges)
            if before is not None and now_s - before < REPEATED_S:
                return True
            self._written[edges] = now_s
            self._written.move_to_end(edges)
            while len(self._written) > _REMEMBERED:
                self._written.popitem(last=False)
        return False

    def sources(self, ctx: RequestContext, table_id: str, column: str | None = None) -> list[PlacedEdge]:
        """From what a table, or a column of it, was computed, as far as the caller may see that; it must see the table itself."""
        self._authority.authorize(ctx, Privilege.BROWSE, table_id)
        return self._fetch(ctx, columns=column is not None, target_id=table_id, column=column)

    def targets(self, ctx: RequestContext, table_id: str, column: str | None = None) -> list[PlacedEdge]:
        """What was computed from a table, or from a column of it; as `sources`."""
        self._authority.authorize(ctx, Privilege.BROWSE, table_id)
        return self._fetch(ctx, columns=column is not None, source_id=table_id, column=column)

    def all(self, ctx: RequestContext, *, columns: bool) -> list[PlacedEdge]:
        """All edges of which the caller may see both ends."""
        return self._fetch(ctx, columns=columns)

    def _fetch(
        self,
        ctx: RequestContext,
        *,
        columns: bool,
        source_id: str | None = None,
        target_id: str | None = None,
        column: str | None = None,
    ) -> list[PlacedEdge]:
        wanted = column.lower() if column is not None else None
        with self._changes.reading() as reading:
            edges = store.fetch(reading, columns=columns, source_id=source_id, target_id=target_id, column=wanted, limit=EDGES_MAX)
            ends = list({end for edge in edges for end in (edge.source_id, edge.target_id)})
            decisions = self._authority.decide_many(ctx, [(Privilege.BROWSE, end) for end in ends], connection=reading)
        seen = {decision.securable_id for decision in decisions if decision.allowed}
        return [edge for edge in edges if edge.source_id in seen and edge.target_id in seen]
