"""SELECT, EXPLAIN and DESCRIBE QUERY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.commands.asking import answered
from insjo.sql.commands.execution import Outcome, foreign_outcome, query_outcome, table_outcome
from insjo.sql.commands.finishing import finished_outcome

if TYPE_CHECKING:
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import DescribeQuery, Explain


def run_bound(x: Execution, bound: BoundQuery) -> Outcome:
    """Rows of a query that was bound, or found bound in the cache."""
    bound = answered(x, bound)
    if x.foreign is not None and bound.foreign:
        rows = x.foreign_query(bound, x.foreign)
        return finished_outcome(x, rows, bound, bound.finish) if bound.finish else foreign_outcome(rows, bound)
    return query_outcome(x.query(bound), bound)


def explain(x: Execution, command: Explain) -> Outcome:
    """What the query reads and gives; Insjö has no plan of Spark to show."""
    bound = x.tools.binder.bind(x.ctx, command.tree, x.names, x.parameters, asks=True)
    lines = ["== Reads =="]
    lines += [origin.text() for origin in bound.shown_origins] or ["nothing but constants"]
    calls = [call.task for asking in bound.askings for call in asking.calls]
    if calls:
        lines += ["", "== Asks ==", *(f"{task.name} {task.endpoint}".strip() for task in calls)]
    lines += ["", "== Label ==", bound.provenance.label.text(), "", "== Output =="]
    lines += [f"{name} {kind}" for name, kind in bound.columns]
    return table_outcome([("plan", "string")], [("\n".join(lines),)], provenance=bound.provenance, needs=bound.needs, hidden=bound.hidden)


def describe_query(x: Execution, command: DescribeQuery) -> Outcome:
    """Columns of a query."""
    bound = x.tools.binder.bind(x.ctx, command.tree, x.names, x.parameters, asks=True)
    rows = [(name, kind, None) for name, kind in bound.columns]
    return table_outcome([("col_name", "string"), ("data_type", "string"), ("comment", "string")], rows, needs=bound.needs)
