"""Calls of model functions in a statement that is bound: each SELECT that asks becomes a query of its own with a label of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from sqlglot import exp

from insjo.sql.asking.staging import cut
from insjo.sql.asking.tasks import is_call, unplaced
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.bound import Asking, Given
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from insjo.access.types import Provenance
    from insjo.sql.asking.staging import Stage
    from insjo.sql.binding.bound import Build

STREAM = "__insjo_asked_"

Scope_contra = TypeVar("Scope_contra", contravariant=True)


class Run(Protocol[Scope_contra]):
    """What is asked of the binder's run."""

    build: Build
    given: dict[str, Given]

    def tree(self, tree: exp.Expr, scope: Scope_contra) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Bind a query; it becomes a part of the statement."""
        ...

    def sources(self, tree: exp.Expr, scope: Scope_contra) -> Provenance:
        """Where the content of a query comes from."""
        ...

    def alone(self) -> Run[Scope_contra]:
        """A run beside this one, which leaves nothing in it."""
        ...


@dataclass(frozen=True, slots=True)
class Asker(Generic[Scope_contra]):
    """A run, and the scope of the tree that it binds."""

    run: Run[Scope_contra]
    scope: Scope_contra


def put_answers(tree: exp.Expr, asker: Asker[Scope_contra], views: tuple[str, ...], *, foreign: bool) -> None:
    """Put the rows with the answers of models in the place of the queries that ask them; the tree is changed.

    Raises:
        UnsupportedFeature: A call stands where no model can be asked.
    """
    name = next((str(each.this).lower() for each in tree.find_all(exp.Anonymous) if is_call(each)), "")
    if not name:
        return
    if any(each.startswith("guard:") for each in views):
        raise unplaced(name, "in a row filter or a column mask", "Write the answers into a column.")
    if foreign:
        raise unplaced(name, "on a warehouse with an engine of its own", "Run the statement on a warehouse on DuckDB.")
    cut(tree, partial(_registered, asker))


def refuse_askings(build: Build, *, allowed: bool) -> None:
    """Refuse to ask models for a statement that cannot wait for them."""
    if build.askings and not allowed:
        raise unplaced(build.askings[0].calls[0].task.name, "in this statement", "Write the answers into a table first.")


def _registered(asker: Asker[Scope_contra], stage: Stage) -> exp.Table:
    """Bind a stage, and give the source of its rows with the answers."""
    run = asker.run
    provenance = run.alone().sources(stage.inputs, asker.scope)
    sql, shape = run.tree(stage.tree, asker.scope)
    inputs = {each for call in stage.calls for each in call.inputs}
    columns = {name: kind for name, kind in shape if name not in inputs}
    lower = [name.lower() for name, _ in shape]
    twice = next((name for name in lower if lower.count(name) > 1), "")
    if twice:
        message = f"`{stage.calls[0].task.name}` stands beside two columns `{twice}`."
        raise UnsupportedFeature(message, hint="List the columns that you want instead of `*`.", details={"feature": "columns of one name"})
    columns |= {call.answer: call.task.shown.text for call in stage.calls}
    columns[stage.row] = "bigint"
    stream = f"{STREAM}{sum(each.startswith(STREAM) for each in run.given)}"
    run.build.askings.append(Asking(stream, sql, shape, stage.calls, stage.row, provenance, stage.constants))
    run.build.cacheable = False
    run.given[stream] = Given(text.select(text.typed_columns(columns), text.name(stream)), columns)
    return exp.Table(this=exp.to_identifier(stream, quoted=True))
