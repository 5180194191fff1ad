"""Row filters and column masks as part of the tree: what protects a table stands around its rows before any engine sees them.

The rows of the table get made-up column names, so that no name in a filter's own query can catch one of them by accident.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.binding import engine_text as text
from insjo.sql.binding.folding import fold, truth
from insjo.sql.dialect.types import parse_type as type_of
from insjo.sql.errors import ProtectionUnusable
from insjo.sql.parsing.constants import parse_type
from insjo.sql.parsing.grammar import parse_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from insjo.access.protection import Argument, Protection, RowFilter
    from insjo.catalog.types import Column
    from insjo.sql.binding.pruning import Condition
    from insjo.sql.dialect.session import SessionFacts

    Apply = Callable[[str, Sequence[tuple[exp.Expr, str]]], exp.Expr]
    """The value of a function (by identifier) for some arguments, each with its type if that is known."""

_PREFIX = "__insjo_c"
TRY = "__insjo_try"
"""The engine's function that gives NULL where its argument fails."""

_CALM = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
)
"""Parts that cannot fail; everything else is worked out behind `TRY`, because the words of an error would show a hidden value."""

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Between)
"""Parts that cannot fail where both sides are of one kind: otherwise a text would be read as a number."""

_CALM_TEXTS = frozenset({"concat", "upper", "lower", "md5", "trim", "left", "right", "reverse"})
"""Functions that give a text and cannot fail."""


@dataclass(slots=True)
class Guard:
    """A table behind its filter and masks.

    Attributes:
        tree: Query over a source with the table's rows, whose columns are called as `names` says.
        read: The columns that the query reads.
        names: Made-up name of each of them.
        hides: Whether rows may be missing.
    """

    tree: exp.Select
    read: list[Column] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    hides: bool = False


class Guards:
    """Builds the guard of one table.

    Args:
        columns: All columns of the table at the version that is read.
        apply: Puts arguments into a function's body.
        facts: Who asks.
    """

    def __init__(self, columns: Sequence[Column], apply: Apply, facts: SessionFacts) -> None:
        self._columns = columns
        self._apply = apply
        self._facts = facts
        self._names = {column.name.lower(): f"{_PREFIX}{at}" for at, column in enumerate(columns)}
        self._kinds = {self._names[column.name.lower()]: column.type_text for column in columns}

    def build(self, protection: Protection, shown: Sequence[Column], rows: str) -> Guard:
        """The query that gives the shown columns of those rows that the caller may see.

        Args:
            protection: What protects the table.
            shown: The columns that the statement may read.
            rows: Name of the source with the table's rows.

        Raises:
            ProtectionUnusable: A column that a filter or mask needs is not there.
        """
        conditions = [condition for each in protection.filters if (condition := self._condition(each)) is not None]
        outputs: list[exp.Expr] = [exp.alias_(self._output(column, protection), column.name, quoted=True) for column in shown]
        alias = exp.TableAlias(this=exp.to_identifier("__insjo_rows", quoted=True))
        source = exp.Table(this=exp.to_identifier(rows, quoted=True), alias=alias)
        where = exp.Where(this=functools.reduce(lambda one, other: exp.And(this=one, expression=other), conditions)) if conditions else None
        tree = exp.Select(expressions=outputs or [exp.alias_(exp.Null(), "__insjo_none")], from_=exp.From(this=source), where=where)
        used = {column.name for column in tree.find_all(exp.Column)}
        read = [column for column in self._columns if self._names[column.name.lower()] in used]
        return Guard(tree, read, {column.name: self._names[column.name.lower()] for column in read}, bool(conditions))

    def _condition(self, row_filter: RowFilter) -> exp.Expr | None:
        """What must hold of a row, or None where that is certain."""
        condition = fold(self._apply(row_filter.function_id, self._values(row_filter.arguments)), self._facts)
        known = truth(condition)
        if known is not None:
            return None if known else exp.Boolean(this=False)
        return exp.Paren(this=self._calmed(condition))

    def _output(self, column: Column, protection: Protection) -> exp.Expr:
        """The column's own value or what its mask makes of it, in the column's type."""
        own = exp.column(self._names[column.name.lower()], quoted=True)
        mask = protection.masks.get(column.name.lower())
        if mask is None:
            return own
        masked = fold(self._apply(mask.function_id, self._values(mask.arguments)), self._facts)
        if self._plain(masked) == own:
            return own
        return self._calmed(exp.Cast(this=masked, to=parse_type(column.type_text)))

    def _values(self, arguments: Sequence[Argument]) -> list[tuple[exp.Expr, str]]:
        """Arguments as expressions over the source."""
        return [self._value(argument) for argument in arguments]

    def _value(self, argument: Argument) -> tuple[exp.Expr, str]:
        if not argument.column:
            return parse_tree("SELECT " + argument.constant).expressions[0].unalias(), ""
        name = self._names.get(argument.column.lower())
        if name is None:
            message = f"There is no column `{argument.column}`."
            raise ProtectionUnusable(message)
        return exp.column(name, quoted=True), self._kinds[name]

    def _plain(self, node: exp.Expr) -> exp.Expr:
        """Without parentheses and casts that change nothing."""
        while True:
            same = isinstance(node, exp.Cast) and self._kind(node.this) == _kind_of(node.to)
            if not same and not isinstance(node, exp.Paren):
                return node
            node = node.this

    def _kind(self, node: exp.Expr) -> str:
        """Type of a column, or kind of a constant, as far as that can be seen; empty otherwise."""
        if isinstance(node, exp.Paren):
            return self._kind(node.this)
        if isinstance(node, exp.Column):
            return self._kinds.get(node.name, "")
        if isinstance(node, exp.Literal):
            return "string" if node.is_string else "number" if str(node.this).isdigit() else ""
        if isinstance(node, exp.Cast):
            return _kind_of(node.to)
        if isinstance(node, (*_COMPARISONS, exp.And, exp.Or, exp.Not, exp.Is, exp.Boolean)):
            return "boolean"
        if isinstance(node, exp.Case | exp.If):
            kinds = {self._kind(each) for each in _branches(node)}
            return kinds.pop() if len(kinds) == 1 else ""
        return "string" if isinstance(node, exp.Anonymous) and str(node.this).lower() in _CALM_TEXTS else ""

    def _calmed(self, value: exp.Expr) -> exp.Expr:
        """The value, behind TRY if it may fail.  The engine cannot try a query, so in one only the parts over the row are tried."""
        if all(self._is_calm(node) for node in value.walk()):
            return value
        if not value.find(exp.Query):
            return exp.Anonymous(this=TRY, expressions=[value])
        holder = exp.Paren(this=value)
        self._try_parts(holder)
        return holder.this.pop()  # type: ignore[no-any-return]  # sqlglot's args are untyped.

    def _try_parts(self, node: exp.Expr) -> None:
        """Put casts, arithmetic and calls over columns of the row behind TRY, the outermost of each."""
        for part in list(node.iter_expressions()):
            mentions = any(column.name in self._kinds for column in part.find_all(exp.Column))
            if not mentions:
                continue
            fails = isinstance(part, exp.Cast | exp.Binary | exp.Anonymous | exp.Neg) and not isinstance(
                part, (*_COMPARISONS, exp.Connector, exp.Is)
            )
            if fails and not part.find(exp.Query) and not all(self._is_calm(each) for each in part.walk()):
                part.replace(exp.Anonymous(this=TRY, expressions=[part.copy()]))
            else:
                self._try_parts(part)

    def _is_calm(self, node: exp.Expr) -> bool:
        """Whether a node cannot fail when its parts do not."""
        if isinstance(node, exp.Anonymous):
            return self._is_calm_call(node)
        if isinstance(node, exp.Cast):
            kind = _kind_of(node.to)
            return kind in {"string", self._kind(node.this)} or isinstance(_bare(node.this), exp.Null | exp.Boolean)
        if isinstance(node, exp.And | exp.Or):
            return self._kind(node.this) == self._kind(node.expression) == "boolean"
        if isinstance(node, exp.Not):
            return self._kind(node.this) == "boolean"
        if isinstance(node, exp.Is):
            return isinstance(node.expression, exp.Null)
        if isinstance(node, exp.Case | exp.If):
            return self._is_calm_choice(node)
        if isinstance(node, _COMPARISONS):
            sides = [node.this, *(each for key in ("expression", "low", "high") if (each := node.args.get(key))), *node.expressions]
            return self._alike(sides)
        return isinstance(node, (*_CALM, exp.DataType))

    def _is_calm_call(self, node: exp.Anonymous) -> bool:
        """Functions of texts, whose arguments are texts or turn into texts; how many characters must be a constant."""
        name = str(node.this).lower()
        given = list(node.expressions)
        if name in {"left", "right"} and (len(given) != _TWO or not isinstance(given.pop(), exp.Literal)):
            return False
        return name in _CALM_TEXTS and all(self._kind(each) for each in given)

    def _is_calm_choice(self, node: exp.Expr) -> bool:
        """A choice whose conditions are conditions, and whose values need no cast."""
        if isinstance(node, exp.If) and isinstance(node.parent, exp.Case):
            return True  # The CASE around it has looked at it.
        branches = node.args.get("ifs") or [node]
        conditions = [each.this for each in branches]
        subject = node.this if isinstance(node, exp.Case) else None
        tested = self._alike([subject, *conditions]) if subject else all(self._kind(each) == "boolean" for each in conditions)
        return tested and (bool(self._kind(node)) or not _branches(node))

    def _alike(self, nodes: Sequence[exp.Expr]) -> bool:
        """Whether all are of one kind, so that none is cast to compare them."""
        kinds = {_family(self._kind(each)) for each in nodes}
        return len(kinds) == 1 and "" not in kinds


_TWO = 2


def _family(kind: str) -> str:
    """Types that compare without a cast that can fail; decimals of different scales are not among them."""
    return "number" if kind in {"tinyint", "smallint", "int", "bigint", "number", "float", "double"} else kind


def _kind_of(kind: exp.DataType) -> str:
    """A type in Databricks words, in lower case."""
    return type_of(str(kind.sql(dialect="databricks"))).text


def _branches(node: exp.Expr) -> list[exp.Expr]:
    """Values among which a node chooses, without NULL."""
    chosen = [each.args["true"] for each in node.args.get("ifs") or []] or [node.args.get("true")]
    chosen.append(node.args.get("default") or node.args.get("false"))
    return [each for each in chosen if each is not None and not isinstance(_bare(each), exp.Null)]


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def guarded_rows(
    guard: Guard,
    columns: Sequence[Column],
    rows: Callable[[Sequence[Column]], str],
    simple: Sequence[Condition],
) -> str:
    """The table's rows under the made-up names of the columns; `rows` gives the query for some columns."""
    wanted = {condition.column for condition in simple}
    listed = [column for column in columns if column.name in guard.names or column.name.lower() in wanted]
    kinds = {column.name.lower(): column for column in listed}
    tests = []
    for condition in simple:
        column = kinds[condition.column]
        values = [text.typed(value, column.type_text) for value in condition.values]
        right = f"({', '.join(values)})" if condition.operator == "in" else values[0]
        tests.append(f"{text.name(column.name)} {condition.operator} {right}")
    outputs = [f"{text.name(own)} AS {text.name(made)}" for own, made in guard.names.items()]
    return text.select(outputs, text.nested(rows(listed), "__insjo_rows"), where=" AND ".join(tests))
