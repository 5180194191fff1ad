"""Lineage of what a statement wrote; leaving it out would harm nobody, so it never makes a statement fail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from insjo.kernel.errors import InsjoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution

_log = logging.getLogger(__name__)


def by_position(bound: BoundQuery, places: Mapping[str, int]) -> dict[str, Iterable[tuple[str, str]]]:
    """What columns of a table are computed from, by the position of each in a query."""
    return {name: bound.lineage[at] for name, at in places.items() if at < len(bound.lineage) and bound.lineage[at]}


def in_order(bound: BoundQuery, names: Iterable[str]) -> dict[str, Iterable[tuple[str, str]]]:
    """The same for a table whose columns are those of the query."""
    return by_position(bound, {name.lower(): at for at, name in enumerate(names)})


def record(
    x: Execution,
    target_id: str,
    bound: BoundQuery,
    columns: Mapping[str, Iterable[tuple[str, str]]],
    kind: str,
    *,
    replaces: bool = False,
) -> None:
    """Keep from what a table was computed."""
    if not bound.named_tables and not replaces:
        return
    try:
        x.tools.access.lineage.record(x.ctx, target_id, bound.named_tables, columns, kind, replaces=replaces)
    except InsjoError:
        _log.exception("the lineage of a statement could not be kept")
