"""How a function is defined, and what a definition sees of the call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sqlglot import exp

from insjo.sql.dialect.coercion import as_moment, as_wall, implicit, unified
from insjo.sql.dialect.fragments import AGGREGATE, WINDOW, Fragment, fill, made
from insjo.sql.dialect.types import BIGINT, BINARY, BOOLEAN, DATE, DOUBLE, INT, STRING, TIMESTAMP, VARIANT, Type
from insjo.sql.errors import ArgumentInvalid, UnsupportedFeature, WrongNumberOfArguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from insjo.sql.dialect.compiling import Compiler

FunctionKind = Literal["scalar", "aggregate", "window", "generator"]
MANY = 10_000
"""As the largest number of arguments: as many as one likes."""


@dataclass(slots=True)
class Call:
    """One call of a function.

    Attributes:
        compiler: Compiles the arguments.
        name: As the caller wrote it, in lower case.
        nodes: The arguments.
        distinct: DISTINCT stands before them.
        order: Sort keys inside the brackets, or of WITHIN GROUP.
        filter: Condition of the FILTER clause, already compiled.
        ignore_nulls: IGNORE NULLS stands behind, or the flag among the arguments is set.
        over: The OVER clause in the engine's words, or None.
    """

    compiler: Compiler
    name: str
    nodes: list[exp.Expr]
    distinct: bool = False
    order: list[exp.Expr] = field(default_factory=list)
    filter: Fragment | None = None
    ignore_nulls: bool = False
    over: Fragment | None = None
    _compiled: dict[int, Fragment] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def label(self) -> str:
        """The function as messages name it."""
        return f"`{self.name}`"

    def arg(self, index: int) -> Fragment:
        """An argument as it is."""
        if index not in self._compiled:
            self._compiled[index] = self.compiler.compile(self.nodes[index])
        return self._compiled[index]

    def args(self, start: int = 0) -> list[Fragment]:
        """All arguments from one on."""
        return [self.arg(index) for index in range(start, len(self.nodes))]

    def take(self, index: int, of_type: Type) -> Fragment:
        """An argument as the type that the function takes."""
        return implicit(self.arg(index), of_type, self.label)

    def texts(self) -> list[Fragment]:
        """All arguments as texts."""
        return [self.take(index, STRING) for index in range(len(self.nodes))]

    def unified(self, start: int = 0) -> tuple[list[Fragment], Type]:
        """Arguments from one on as their least common type."""
        return unified(self.args(start), self.label)

    def constant_text(self, index: int, meaning: str) -> str:
        """An argument that has to stand literally in the statement.

        Raises:
            UnsupportedFeature: It is computed.
        """
        text = self.arg(index).text
        if text is None:
            raise UnsupportedFeature(f"{self.label} needs a constant text as {meaning} here.")
        return text

    def constant_whole(self, index: int, meaning: str) -> int:
        """A whole number that has to stand literally in the statement."""
        fragment = self.arg(index)
        whole = fragment.whole
        if whole is None:
            raise UnsupportedFeature(f"{self.label} needs a constant whole number as {meaning} here.")
        return whole

    def constant_flag(self, index: int) -> bool:
        """TRUE or FALSE that has to stand literally in the statement."""
        constant = self.arg(index).constant
        if constant is None or not isinstance(constant.value, bool):
            raise ArgumentInvalid(f"{self.label} needs TRUE or FALSE as argument {index + 1}.")
        return constant.value

    def unit(self, index: int) -> str:
        """A unit of time such as MONTH, which is written as a word or as a text."""
        node = self.nodes[index]
        if isinstance(node, exp.Literal) and node.args.get("is_string"):
            return str(node.this).lower()
        if isinstance(node, exp.Column | exp.Identifier | exp.Var):
            return node.name.lower()
        raise ArgumentInvalid(f"{self.label} needs a unit such as `MONTH` as argument {index + 1}.")

    def aggregate(self, head: str, arguments: str, *parts: Fragment, of_type: Type, where: Fragment | None = None) -> Fragment:
        """Call of an aggregate of the engine, with DISTINCT, FILTER and OVER in their places."""
        conditions = [each for each in (self.filter, where) if each is not None]
        distinct = "DISTINCT " if self.distinct else ""
        sql = f"{head}({distinct}{arguments})"
        if conditions:
            sql += f" FILTER (WHERE {' AND '.join(each.sql for each in conditions)})"
        if self.over is not None:
            return made(f"{sql}{self.over.sql}", of_type, *parts, *conditions, self.over, flags=(WINDOW,))
        return made(sql, of_type, *parts, *conditions, flags=(AGGREGATE,))


@dataclass(frozen=True, slots=True)
class Definition:
    """A function.

    Attributes:
        names: All its names, in lower case.
        compile: Gives the fragment of a call.
        least: Smallest number of arguments.
        most: Largest number of arguments.
        kind: Whether it works on a value, a group, a window, or makes rows.
    """

    names: tuple[str, ...]
    compile: Callable[[Call], Fragment]
    least: int
    most: int
    kind: FunctionKind = "scalar"

    def check(self, call: Call) -> None:
        """Raise WrongNumberOfArguments."""
        if self.least <= len(call) <= self.most:
            return
        if self.least == self.most:
            wanted = str(self.least)
        else:
            wanted = f"at least {self.least}" if self.most >= MANY else f"{self.least} to {self.most}"
        raise WrongNumberOfArguments(f"{call.label} takes {wanted} arguments, and here are {len(call)}.")


def scalar(names: str, least: int, most: int | None = None) -> Callable[[Callable[[Call], Fragment]], Definition]:
    """Decorator: the function below defines these names."""
    return _decorator("scalar", names, least, most)


def aggregate(names: str, least: int, most: int | None = None) -> Callable[[Callable[[Call], Fragment]], Definition]:
    """Decorator for aggregates."""
    return _decorator("aggregate", names, least, most)


def window(names: str, least: int, most: int | None = None) -> Callable[[Callable[[Call], Fragment]], Definition]:
    """Decorator for functions that need an OVER clause."""
    return _decorator("window", names, least, most)


def _decorator(kind: FunctionKind, names: str, least: int, most: int | None) -> Callable[[Callable[[Call], Fragment]], Definition]:
    def define(compile_call: Callable[[Call], Fragment]) -> Definition:
        return Definition(tuple(names.split()), compile_call, least, least if most is None else most, kind)

    return define


_CODES: dict[str, Type] = {
    "s": STRING,
    "i": INT,
    "l": BIGINT,
    "d": DOUBLE,
    "b": BOOLEAN,
    "y": BINARY,
    "D": DATE,
    "T": TIMESTAMP,
    "v": VARIANT,
}


def by_code(call: Call, index: int, code: str) -> Fragment:
    """An argument by the letter of its type; `w` is a wall clock, `m` a moment of either kind, `*` anything."""
    if code == "*":
        return call.arg(index).seen()
    if code == "w":
        return as_wall(call.arg(index), call.label)
    if code == "m":
        return as_moment(call.arg(index), call.label)
    return call.take(index, _CODES[code])


def template(names: str, codes: str, of_type: Type, sql: str | Mapping[int, str], *, flags: Sequence[str] = ()) -> Definition:
    """Function whose result has a fixed type and whose SQL is a template.

    Args:
        names: All its names.
        codes: One letter an argument, see `by_code`.
        of_type: Type of the result; the template must give exactly it.
        sql: Template with `{0}` for the first argument, or one for each number of arguments.
        flags: Of the result.
    """
    by_count = {len(codes): sql} if isinstance(sql, str) else dict(sql)

    def compile_call(call: Call) -> Fragment:
        found = by_count.get(len(call))
        if found is None:
            raise WrongNumberOfArguments(f"{call.label} does not take {len(call)} arguments.")
        parts = [by_code(call, index, codes[index]) for index in range(len(call))]
        return fill(found, of_type, *parts, flags=flags)

    return Definition(tuple(names.split()), compile_call, min(by_count), max(by_count))
