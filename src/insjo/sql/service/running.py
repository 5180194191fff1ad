"""Runs one statement: reads it, binds it or takes a plan that was bound before, and hands it to its command."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from insjo.kernel.errors import InsjoError
from insjo.sql.binding.file_failures import read_failure, tells_of_file
from insjo.sql.commands import dispatch
from insjo.sql.commands.execution import Execution
from insjo.sql.commands.immediate import into_variables, read_inner
from insjo.sql.commands.queries import run_bound
from insjo.sql.errors import FileReadFailed, StatementFailed
from insjo.sql.parsing.constants import ParameterValues
from insjo.sql.parsing.nodes import ExecuteImmediate, Parsed, Query
from insjo.sql.parsing.parse import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from insjo.kernel.cancellation import CancelToken
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import ForeignEngine, Outcome, Tools
    from insjo.sql.ports import EngineLimits
    from insjo.sql.service.sessions import OpenSession
    from insjo.sql.types import StatementSpec

T = TypeVar("T")

PLANS_MAX = 500
TEXTS_MAX = 500
_CACHED_TEXT_CHARS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class _Plan:
    """A bound query, and the state of access under which it was bound."""

    bound: BoundQuery
    revision: int


class _Recent(Generic[T]):
    """The values that were used last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[tuple[str, ...], T] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> T | None:
        """The value, which becomes the newest."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def put(self, key: tuple[str, ...], value: T) -> None:
        """Keep a value; the oldest goes when there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def drop(self, key: tuple[str, ...]) -> None:
        """Forget a value."""
        with self._lock:
            self._values.pop(key, None)


class Runner:
    """Runs statements for one installation."""

    def __init__(self, tools: Tools) -> None:
        """Plans and texts are kept for all callers; a plan is found again only by the principal for whom it was bound."""
        self._tools = tools
        self._texts: _Recent[Parsed] = _Recent(TEXTS_MAX)
        self._plans: _Recent[_Plan] = _Recent(PLANS_MAX)

    def run(
        self,
        ctx: RequestContext,
        spec: StatementSpec,
        session: OpenSession,
        cancel: CancelToken,
        limits: EngineLimits,
        on_queue: Callable[[int], None],
        on_kind: Callable[[str], None],
        foreign: ForeignEngine | None = None,
    ) -> Outcome:
        """The outcome of a statement; its rows are still to be read.  `foreign` is the engine of a warehouse that has its own."""
        parsed = self._parsed(spec)
        on_kind(parsed.kind)
        execution = Execution(
            ctx=ctx,
            names=session.names(spec.catalog, spec.schema),
            session=session,
            parameters=ParameterValues(spec.parameters),
            cancel=cancel,
            limits=limits,
            tools=self._tools,
            on_queue=on_queue,
            sessionless=not session.id,
            foreign=foreign,
        )
        if isinstance(parsed.command, ExecuteImmediate):
            into = parsed.command.into
            parsed, execution = read_inner(execution, parsed.command)
            if into:
                return into_variables(execution, into, parsed)
            if isinstance(parsed.command, Query):
                return self._run_bound(execution, self._bind(execution, parsed.command))
        elif isinstance(parsed.command, Query):
            return self._query(execution, spec, parsed.command)
        return dispatch.run(execution, parsed.command)

    def _parsed(self, spec: StatementSpec) -> Parsed:
        """The statement, read once for all who send the same text; trees are never changed, only copied."""
        short = len(spec.text) <= _CACHED_TEXT_CHARS_MAX and not spec.parameters
        found = self._texts.get((spec.text,)) if short else None
        if found is None:
            found = parse(spec.text, spec.parameters)
            if short and isinstance(found.command, Query):
                self._texts.put((spec.text,), found)
        return found

    def _query(self, x: Execution, spec: StatementSpec, command: Query) -> Outcome:
        """A query, by a plan that still holds or by a new one."""
        plain = x.names.is_plain and not spec.parameters and len(spec.text) <= _CACHED_TEXT_CHARS_MAX
        key = (x.ctx.principal.id, spec.text, x.names.catalog, x.names.schema, "spark" if x.foreign else "")
        bound = self._held(x, key) if plain else None
        if bound is None:
            revision = self._tools.access.revision()
            bound = self._bind(x, command)
            if plain and bound.cacheable:
                self._plans.put(key, _Plan(bound, revision))
        return self._run_bound(x, bound)

    def _bind(self, x: Execution, command: Query) -> BoundQuery:
        """A query with its sources, also in the words of the warehouse's own engine if it has one."""
        return self._tools.binder.bind(x.ctx, command.tree, x.names, x.parameters, foreign=x.foreign is not None, asks=True)

    def _held(self, x: Execution, key: tuple[str, ...]) -> BoundQuery | None:
        """A plan of this principal that would come out the same now."""
        plan = self._plans.get(key)
        if plan is None:
            return None
        if plan.revision == self._tools.access.revision() and self._tools.binder.still_valid(x.ctx, plan.bound):
            return plan.bound
        self._plans.drop(key)
        return None

    def _run_bound(self, x: Execution, bound: BoundQuery) -> Outcome:
        """Rows of a bound query; errors of files get the words that people need."""
        if not bound.reads_files:
            return run_bound(x, bound)
        try:
            outcome = run_bound(x, bound)
        except StatementFailed as error:
            raise self._told(x, error) from error
        outcome.batches = self._reading(x, outcome.batches)
        return outcome

    def _reading(self, x: Execution, batches: object) -> Iterator[pa.RecordBatch]:
        """Batches whose errors are told as errors of files."""
        try:
            yield from batches  # type: ignore[misc]  # Iterable of batches; typed loosely to keep pyarrow out of this signature.
        except StatementFailed as error:
            raise self._told(x, error) from error

    def _told(self, x: Execution, error: StatementFailed) -> StatementFailed | FileReadFailed:
        """An error about a file in clear words; others stay.  A file behind somebody's view is named only to those who may read it."""
        if not tells_of_file(error):
            return error
        files = self._tools.catalog.files
        path = files.path_of_location(error.file)
        try:
            return read_failure(error, files.stat(x.ctx, path).path if path else "")
        except InsjoError:
            return read_failure(error)
