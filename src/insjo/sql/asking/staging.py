"""Cuts a SELECT that asks models in two: what is computed before the models are asked, and what is computed from their answers.

The first part (the stage) gives the inputs and everything else that the second part needs, so that nothing is computed twice: rows
of a LIMIT or of `rand()` are the same in both.  The tree is changed in place; what stood in FROM becomes the rows of the stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.asking.tasks import constant, is_call, read_call, unplaced
from insjo.sql.dialect.names import is_aggregate
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from insjo.sql.asking.tasks import ModelTask

PREFIX = "__insjo_"

_SOURCES = ("from_", "joins", "laterals", "sample", "prewhere")
_LATER = ("where", "group", "having", "qualify")
_KNOWN = (*_SOURCES, *_LATER, "expressions", "distinct", "order", "limit", "offset", "with_", "windows", "kind", "hint")


@dataclass(frozen=True, slots=True)
class StagedCall:
    """One call: what is asked, the columns of the stage that hold its inputs, and the column that its answer gets."""

    task: ModelTask
    inputs: tuple[str, ...]
    answer: str


@dataclass(slots=True)
class Stage:
    """One SELECT that was cut.

    Attributes:
        tree: Query of the rows before the models are asked.
        inputs: Query of the inputs alone, from which their label is computed.
        calls: What is asked about each row.
        row: Name of the column that gets the number of each row.
        constants: Texts in the statement that are sent along.
    """

    tree: exp.Select
    inputs: exp.Select
    calls: tuple[StagedCall, ...]
    row: str
    constants: str


def cut(tree: exp.Expr, register: Callable[[Stage], exp.Table]) -> None:
    """Cut all SELECTs of a tree that ask models, innermost first.

    Args:
        tree: A query; changed in place.
        register: Takes a stage and gives the source that stands for its rows, with the answers.

    Raises:
        UnsupportedFeature: A call stands where no model can be asked.
    """
    count = 0
    for select in list(_selects(tree)):
        while True:
            calls = [each for each in select.find_all(exp.Anonymous) if is_call(each) and each.parent_select is select]
            if not calls:
                break
            ready = [each for each in calls if not any(is_call(inner) for inner in each.find_all(exp.Anonymous) if inner is not each)]
            _Cut(select, ready, calls, f"{PREFIX}{count}_").apply(register)
            count += 1
    left = next((each for each in tree.find_all(exp.Anonymous) if is_call(each)), None)
    if left is not None:
        raise unplaced(str(left.this).lower(), "here")


def _selects(node: exp.Expr) -> Iterator[exp.Select]:
    """SELECTs in the order in which they are computed: CTEs first, and what is inside before what is around."""
    with_ = node.args.get("with_")
    if isinstance(with_, exp.With):
        for cte in with_.expressions:
            yield from _selects(cte)
    for key, value in node.args.items():
        if key == "with_":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, exp.Expr):
                yield from _selects(child)
    if isinstance(node, exp.Select):
        yield node


@dataclass(slots=True)
class _Cut:
    """One SELECT while it is cut; `calls` are asked now, `all_calls` also those that wait for their answers; `own` begins its names."""

    select: exp.Select
    calls: Sequence[exp.Anonymous]
    all_calls: Sequence[exp.Anonymous]
    own: str
    columns: list[exp.Expr] = field(default_factory=list)
    inputs: list[exp.Expr] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    named: list[exp.Expr] = field(default_factory=list)
    rest: exp.Star | None = None

    def apply(self, register: Callable[[Stage], exp.Table]) -> None:
        """Cut it."""
        select = self.select
        name = str(self.calls[0].this).lower()
        unknown = next((key for key, value in select.args.items() if value and key not in _KNOWN), None)
        if unknown is not None:
            raise unplaced(name, f"in a query with `{unknown.upper()}`")
        self._spell_out_groups()
        by_column = self._by_column()
        constants = "\n".join(str(each.this) for one in self.calls for each in one.find_all(exp.Literal) if each.is_string)
        staged = [self._staged(call) for call in self.calls]
        where = self._split_where() if by_column else None
        limits = {} if by_column else self._limits()
        self._take_pieces(by_column=by_column, moved=limits)
        row = f"{self.own}row"
        self._hide(staged, row)
        stage = exp.Select(expressions=[*self.columns, *self.named, *self.inputs])
        moved = [key for key in (*_SOURCES, "with_") if select.args.get(key)]
        if not by_column:
            moved += [key for key in (*_LATER, "windows") if select.args.get(key)]
        for key in moved:
            value = select.args[key]
            select.set(key, None)
            stage.set(key, value)
        if where is not None:
            stage.set("where", exp.Where(this=where))
        for key, value in limits.items():
            stage.set(key, value)
        _carry_ctes(select, stage, name)
        inputs = stage.copy()
        inputs.set("expressions", [each.copy() for each in (*self.named, *self.inputs)])
        source = register(Stage(stage, inputs, tuple(staged), row, constants))
        select.set("from_", exp.From(this=source))
        if "order" in limits:
            select.set("order", exp.Order(expressions=[exp.Ordered(this=_named(row))]))

    # ------------------------------------------------------------------------------------------------------------ where calls stand

    def _by_column(self) -> bool:
        """Whether answers are needed before rows are filtered and grouped; refuses what can be asked nowhere."""
        needed = False
        for call in self.all_calls:
            name = str(call.this).lower()
            node: exp.Expr = call
            while node.parent is not None and node.parent is not self.select:
                node = node.parent
                if isinstance(node, exp.Lambda):
                    raise unplaced(name, "inside a lambda function", "Take the array apart with `explode` first.")
                needed = needed or _groups(node)
            key = node.arg_key
            if key not in {"expressions", "order", *_LATER}:
                raise unplaced(name, "in a source of rows or a join condition")
            needed = needed or key in _LATER
        needed = needed or self._grouped_by_answers()
        if needed:
            self._check_by_column()
        return needed

    def _grouped_by_answers(self) -> bool:
        """Whether a name of an output that asks stands in GROUP BY, HAVING or QUALIFY."""
        asking = {each.alias.lower() for each in self.select.expressions if isinstance(each, exp.Alias) and _calls(each)}
        group = self.select.args.get("group")
        if group is not None and group.args.get("all"):
            return True
        nodes = [node for key in _LATER[1:] for node in _nodes(self.select.args.get(key))]
        return any(not each.table and each.name.lower() in asking for node in nodes for each in node.find_all(exp.Column))

    def _spell_out_groups(self) -> None:
        """Put names and expressions in the place of positions in GROUP BY."""
        group, outputs = self.select.args.get("group"), self.select.expressions
        for key in list(group.expressions) if group is not None else []:
            if isinstance(key, exp.Literal) and str(key.this).isdigit() and 0 < int(str(key.this)) <= len(outputs):
                if any(_is_star(each) for each in outputs):
                    raise unplaced(str(self.calls[0].this).lower(), "beside `*` and `GROUP BY` with positions")
                meant = outputs[int(str(key.this)) - 1]
                asks = isinstance(meant, exp.Alias) and _calls(meant)
                key.replace(exp.column(meant.alias, quoted=True) if asks else meant.unalias().copy())

    def _check_by_column(self) -> None:
        for call in self.calls:
            if any(_groups(each) for each in call.walk() if each is not call):
                raise unplaced(str(call.this).lower(), "over an aggregate or a window in a query that filters or groups by it")
        for key in ("expressions", "order", "windows", *_LATER[1:]):
            for each in _nodes(self.select.args.get(key)):
                if each.find(exp.Query):
                    raise unplaced(str(self.calls[0].this).lower(), "in a query that filters or groups by it and has subqueries")

    def _split_where(self) -> exp.Expr | None:
        """Take the conditions that ask no model out of WHERE, for the stage."""
        where = self.select.args.get("where")
        if where is None:
            return None
        condition = where.this
        while isinstance(condition, exp.Paren) and isinstance(condition.this, exp.And):
            condition = condition.this
        parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
        after = [each for each in parts if _calls(each) or self._answered(each)]
        before = [each for each in parts if each not in after]
        for each in after:
            if each.find(exp.Query):
                raise unplaced(str(self.calls[0].this).lower(), "in a condition with a subquery")
        self.select.set("where", exp.Where(this=_joined(after)) if after else None)
        return _joined(before) if before else None

    # ------------------------------------------------------------------------------------------------------------ columns of the stage

    def _staged(self, call: exp.Anonymous) -> StagedCall:
        """Put the inputs of a call into the stage, and its answer in its place."""
        task, inputs = read_call(call)
        names = []
        for each in inputs:
            names.append(f"{self.own}i{len(self.inputs)}")
            value = exp.Cast(this=exp.Paren(this=each.copy()), to=exp.DataType.build("string"))
            self.inputs.append(exp.alias_(value, names[-1], quoted=True))
        answer = f"{self.own}a{len(self.inputs)}"
        call.replace(_named(answer))
        return StagedCall(task, tuple(names), answer)

    def _take_pieces(self, *, by_column: bool, moved: dict[str, exp.Expr]) -> None:
        """Put everything that the rest of the SELECT needs into the stage, and names in its place."""
        select = self.select
        stars = [at for at, each in enumerate(select.expressions) if _is_star(each)]
        if stars:
            self._take_stars(stars)
        aliases = {each.alias.lower() for each in select.expressions if isinstance(each, exp.Alias)}
        mentioned = [*_nodes(select.args.get("expressions")), *_nodes(select.args.get("where")), *self.inputs]
        sources = {each.name.lower() for node in mentioned for each in node.find_all(exp.Column)}
        if not by_column:
            self._take_named([*(node for key in _LATER[1:] for node in _nodes(select.args.get(key))), *moved.values()])
        for key in ("expressions", "order", "windows", *_LATER) if by_column else ("expressions", "order"):
            # A name in GROUP BY means a column of the source before it means an output; in ORDER BY it is the other way round.
            kept = aliases if key == "order" else aliases - sources if key in _LATER[1:] else set()
            for node in _nodes(select.args.get(key)):
                if not (key == "expressions" and _is_star(node)):
                    self._take(node, by_column=by_column, kept=kept)

    def _take_named(self, nodes: Sequence[exp.Expr]) -> None:
        """Put outputs that other clauses of the stage name into it under their own names."""
        named = {each.name.lower() for node in nodes for each in node.find_all(exp.Column) if not each.table}
        for output in self.select.expressions:
            if isinstance(output, exp.Alias) and output.alias.lower() in named and not _calls(output) and not self._answered(output):
                self.named.append(output.copy())
                output.set("this", exp.column(output.alias, quoted=True))
                self.taken.add(id(output.this))

    def _take_stars(self, places: Sequence[int]) -> None:
        """`*` stays `*`, without the columns that were put beside it."""
        if list(places) != list(range(places[0], places[-1] + 1)):
            raise unplaced(str(self.calls[0].this).lower(), "between two `*`", "List the columns.")
        outputs = self.select.expressions
        if any(_calls(outputs[at]) or self._answered(outputs[at]) for at in places):
            raise unplaced(str(self.calls[0].this).lower(), "in `* REPLACE`")
        self.columns += [outputs[at].copy() for at in places]
        self.rest = exp.Star(except_=[])
        self.select.set("expressions", [*outputs[: places[0]], self.rest, *outputs[places[-1] + 1 :]])

    def _hide(self, calls: Sequence[StagedCall], row: str) -> None:
        """Keep what was put beside a `*` out of it."""
        if self.rest is not None:
            columns = [each.alias for each in (*self.columns, *self.named) if isinstance(each, exp.Alias)]
            names = [*columns, *(each.answer for each in calls), row]
            self.rest.set("except_", [exp.to_identifier(each, quoted=True) for each in names])

    def _take(self, node: exp.Expr, *, by_column: bool, kept: set[str]) -> None:
        """Take a node, or what is in it."""
        if isinstance(node, exp.Column) and (
            id(node) in self.taken or node.name.startswith(self.own) or (not node.table and node.name.lower() in kept)
        ):
            return
        if isinstance(node, exp.Aliases):
            raise unplaced(str(self.calls[0].this).lower(), "beside a function that gives several columns")
        if isinstance(node, exp.Column) or (not by_column and not _calls(node) and not self._answered(node) and _is_piece(node)):
            node.replace(self._piece(node))
            return
        for child in list(node.iter_expressions()):
            if not isinstance(child, exp.Identifier | exp.Var | exp.DataType | exp.TableAlias):
                self._take(child, by_column=by_column, kept=kept)

    def _piece(self, node: exp.Expr) -> exp.Column:
        """A column of the stage for an expression; the same text gets the same column."""
        text = node.sql(dialect="databricks")
        stable = isinstance(node, exp.Column)
        name = self.names.get(text) if stable else None
        if name is None:
            name = f"{self.own}c{len(self.columns)}"
            # Not by `alias_`, which gives a subquery an alias of its own and no output a name.
            self.columns.append(exp.Alias(this=node.copy(), alias=exp.to_identifier(name, quoted=True)))
            if stable:
                self.names[text] = name
        return _named(name)

    # ------------------------------------------------------------------------------------------------------------ order and limit

    def _limits(self) -> dict[str, exp.Expr]:
        """Take ORDER BY and LIMIT into the stage when no answer decides about them: then only those rows are asked about."""
        select = self.select
        present = {key: select.args[key] for key in ("order", "limit", "offset") if select.args.get(key)}
        if not present or select.args.get("distinct"):
            return {}
        if "order" in present and not self._orders_before(present["order"]):
            return {}
        for key in present:
            select.set(key, None)
        return present

    def _orders_before(self, order: exp.Expr) -> bool:
        """Whether the order rests on no answer; positions become what they stand for."""
        outputs = self.select.expressions
        meant = {each.alias.lower(): each for each in outputs if isinstance(each, exp.Alias)}
        if self._answered(order) or _calls(order):
            return False
        named = [meant[each.name.lower()] for each in order.find_all(exp.Column) if not each.table and each.name.lower() in meant]
        places: list[tuple[exp.Expr, exp.Expr]] = []
        for ordered in order.expressions:
            key = ordered.this
            if isinstance(key, exp.Literal) and not key.is_string:
                at = int(str(key.this)) - 1 if str(key.this).isdigit() else -1
                if any(_is_star(each) for each in outputs) or not 0 <= at < len(outputs):
                    return False
                places.append((ordered, outputs[at]))
        if any(_calls(each) or self._answered(each) for each in (*named, *(output for _, output in places))):
            return False
        for ordered, output in places:
            ordered.set("this", exp.Paren(this=output.unalias().copy()))
        return True

    def _answered(self, node: exp.Expr) -> bool:
        """Whether an answer of this cut stands in an expression."""
        begin = f"{self.own}a"
        return any(isinstance(each.this, exp.Identifier) and each.name.startswith(begin) for each in node.find_all(exp.Column))


def _named(name: str) -> exp.Column:
    return exp.column(name, quoted=True)


def _nodes(value: object) -> list[exp.Expr]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, exp.Expr)]


def _is_star(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))


def _calls(node: exp.Expr) -> bool:
    """Whether a model is asked in an expression."""
    return any(is_call(each) for each in node.find_all(exp.Anonymous))


def _groups(node: exp.Expr) -> bool:
    """Whether a node computes one value from several rows."""
    return isinstance(node, exp.Window | exp.Filter | exp.WithinGroup) or (isinstance(node, exp.Anonymous) and is_aggregate(str(node.this)))


def _is_piece(node: exp.Expr) -> bool:
    """Whether a node is an expression with a value of its own, which is no constant."""
    if isinstance(node, exp.Alias | exp.Ordered | exp.Order | exp.Kwarg | exp.Star | exp.Identifier):
        return False
    try:
        constant(node)
    except ValueError:
        return True
    return False


def _joined(parts: Sequence[exp.Expr]) -> exp.Expr:
    """Conditions that all hold."""
    whole = parts[0].copy()
    for each in parts[1:]:
        whole = exp.And(this=whole, expression=each.copy())
    return whole


def _carry_ctes(select: exp.Select, stage: exp.Select, name: str) -> None:
    """Give a stage the CTEs that its SELECT saw around it, as far as it names them."""
    seen: list[exp.CTE] = []
    node: exp.Expr | None = select
    while node is not None and node.parent is not None:
        parent = node.parent
        if isinstance(parent, exp.With):
            if parent.args.get("recursive"):
                raise unplaced(name, "inside a recursive CTE")
            seen = [*parent.expressions[: parent.expressions.index(node)], *seen]
            node = parent.parent
            continue
        with_ = parent.args.get("with_")
        if isinstance(with_, exp.With):
            seen = [*with_.expressions, *seen]
        node = parent
    own = stage.args.get("with_")
    listed = [*seen, *(own.expressions if own is not None else [])]
    wanted: list[exp.CTE] = []
    needed = {each.name.lower() for each in stage.find_all(exp.Table) if not each.db}
    for cte in reversed(listed):
        if cte.alias.lower() in needed:
            if any(cte.alias.lower() == each.alias.lower() for each in wanted):
                raise unplaced(name, f"where two CTEs are called `{cte.alias}`", "Give one of them another name.")
            wanted.insert(0, cte)
            needed |= {each.name.lower() for each in cte.find_all(exp.Table) if not each.db}
    if own is not None and own.args.get("recursive"):
        raise UnsupportedFeature(f"`{name}` in a query with a recursive CTE is not supported.", details={"feature": "model function"})
    stage.set("with_", exp.With(expressions=[each.copy() for each in wanted]) if wanted else None)
