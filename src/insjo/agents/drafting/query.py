"""A question as it was understood, and the SQL and the sentence that say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from insjo.agents.drafting.words import words

if TYPE_CHECKING:
    from insjo.agents.drafting.tables import ColumnFacts, TableFacts
    from insjo.agents.pages import Language

Operator = Literal["=", ">", ">=", "<", "<=", "is null"]
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
WORDS_OF_SQL = words(
    "select from where group order by limit table join on and or not null in is as left right full cross having union all distinct case "
    "when then else end date time timestamp year month day hour minute second interval values set using with true false",
)
ROWS_MAX = 100


@dataclass(frozen=True, slots=True)
class Measure:
    """What is computed: a function over a column, or over rows when there is no column."""

    function: str
    column: ColumnFacts | None = None
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition; `part` takes the year or the month out of a moment."""

    column: ColumnFacts
    operator: Operator
    value: str | float | None
    part: Literal["", "year", "month"] = ""


@dataclass(frozen=True, slots=True)
class Join:
    """A second table that names what the first one only has a key of."""

    table: TableFacts
    key: str


@dataclass(frozen=True, slots=True)
class Query:
    """One table, perhaps with one that names its keys; a measure or rows.

    Attributes:
        measure: None means that rows are listed.
        order: Column by which rows are ordered; with a measure and a group the measure orders.
        descending: The largest first.
        label_column: Column of the joined table that is shown instead of the key.
    """

    table: TableFacts
    measure: Measure | None = None
    filters: tuple[Filter, ...] = ()
    group: ColumnFacts | None = None
    join: Join | None = None
    order: ColumnFacts | None = None
    ordered: bool = False
    descending: bool = True
    limit: int | None = None
    show: tuple[ColumnFacts, ...] = ()
    distinct: bool = False

    def sql(self) -> str:
        """The statement."""
        clauses = [f"SELECT {'DISTINCT ' if self.distinct else ''}{', '.join(self._selected())}", f"FROM {self._source()}"]
        if self.filters:
            clauses.append("WHERE " + " AND ".join(self._condition(each) for each in self.filters))
        if self.group is not None and self.measure is not None:
            clauses.append(f"GROUP BY {self._group_text()}")
            direction = " DESC" if self.descending else ""
            clauses.append(f"ORDER BY {quoted(self._alias())}{direction}" if self.ordered else f"ORDER BY {self._group_text()}")
        elif self.order is not None:
            clauses.append(f"ORDER BY {self._named(self.order)}{' DESC NULLS LAST' if self.descending else ' NULLS LAST'}")
        elif self.distinct:
            clauses.append(f"ORDER BY {', '.join(self._named(each) for each in self.show)}")
        limit = self.limit if self.limit is not None else ROWS_MAX if self.measure is None else None
        if limit is not None:
            clauses.append(f"LIMIT {limit}")
        return "\n".join(clauses)

    def _selected(self) -> list[str]:
        """Expressions of the select list."""
        if self.measure is None:
            return [self._named(each) for each in self.show] or ["*"]
        measure = f"{self._measure_text()} AS {quoted(self._alias())}"
        return [self._group_text(), measure] if self.group is not None else [measure]

    def _measure_text(self) -> str:
        """The function over its column; averages are rounded to what a person reads."""
        measure = self.measure
        if measure is None or measure.column is None:
            return "count(*)"
        inside = ("DISTINCT " if measure.distinct else "") + self._named(measure.column)
        text = f"{measure.function}({inside})"
        return f"round({text}, 2)" if measure.function in {"avg", "median"} else text

    def _alias(self) -> str:
        """Name of the computed column."""
        measure = self.measure
        if measure is None or measure.column is None:
            return "rows"
        return f"{'distinct' if measure.distinct else measure.function}_{measure.column.name}"

    def _source(self) -> str:
        """The table, joined if needed."""
        name = dotted(self.table.full_name)
        if self.join is None:
            return name
        key = quoted(self.join.key)
        return f"{name} AS t\nLEFT JOIN {dotted(self.join.table.full_name)} AS n ON t.{key} = n.{key}"

    def _group_text(self) -> str:
        """The column that groups; from the joined table when there is one."""
        if self.group is None:
            return ""
        return f"n.{quoted(self.group.name)}" if self.join is not None else quoted(self.group.name)

    def _named(self, column: ColumnFacts) -> str:
        """A column of the first table."""
        return f"t.{quoted(column.name)}" if self.join is not None else quoted(column.name)

    def _condition(self, each: Filter) -> str:
        """One condition."""
        name = self._named(each.column)
        if each.part:
            name = f"{each.part}({name})"
        if each.operator == "is null":
            return f"{name} IS NULL"
        return f"{name} {each.operator} {literal(each)}"

    # ------------------------------------------------------------------------------------------------------------------ words

    def words(self, language: Language) -> str:
        """What the statement does, in a sentence for people."""
        return _swedish(self) if language == "sv" else _english(self)


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return name if PLAIN_NAME.fullmatch(name) and name not in WORDS_OF_SQL else "`" + name.replace("`", "``") + "`"


def dotted(full_name: str) -> str:
    """A full name as SQL writes it."""
    return ".".join(quoted(part) for part in full_name.split("."))


def literal(each: Filter) -> str:
    """The value of a condition as SQL writes it."""
    value = each.value
    if isinstance(value, str):
        text = value.replace("\\", "\\\\").replace("'", "\\'")
        prefix = "DATE " if each.column.is_moment and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) else ""
        return f"{prefix}'{text}'"
    number = float(value or 0)
    return str(int(number)) if number.is_integer() else repr(number)


_FUNCTIONS = {
    "en": {"avg": "the average", "sum": "the sum", "max": "the highest value", "min": "the lowest value", "median": "the median"},
    "sv": {"avg": "medelvärdet", "sum": "summan", "max": "det högsta värdet", "min": "det lägsta värdet", "median": "medianen"},
}
_OPERATORS = {
    "en": {"=": "is", ">": "is more than", ">=": "is at least", "<": "is less than", "<=": "is at most", "is null": "is missing"},
    "sv": {"=": "är", ">": "är mer än", ">=": "är minst", "<": "är mindre än", "<=": "är högst", "is null": "saknas"},
}
_PARTS = {"en": {"year": "the year of ", "month": "the month of "}, "sv": {"year": "året i ", "month": "månaden i "}}


def _conditions(query: Query, language: Language) -> str:
    """The conditions in words."""
    said = []
    for each in query.filters:
        part = _PARTS[language].get(each.part, "")
        shown = "" if each.value is None else f" {each.value}" if isinstance(each.value, str) else f" {literal(each)}"
        said.append(f"{part}`{each.column.name}` {_OPERATORS[language][each.operator]}{shown}")
    joint = {"en": (" where ", " and "), "sv": (" där ", " och ")}[language]
    return joint[0] + joint[1].join(said) if said else ""


def _english(query: Query) -> str:
    """The sentence in English."""
    table = f"`{query.table.full_name}`"
    where = _conditions(query, "en")
    if query.measure is None:
        shown = "values of " + ", ".join(f"`{each.name}`" for each in query.show) if query.distinct else "rows"
        order = f", ordered by `{query.order.name}` from the {'highest' if query.descending else 'lowest'}" if query.order else ""
        limit = f", the first {query.limit}" if query.limit else f", at most {ROWS_MAX}"
        return f"The {shown} of {table}{where}{order}{limit}." if not query.distinct else f"The different {shown} in {table}{where}{limit}."
    measure = query.measure
    if measure.column is None:
        what = f"The number of rows of {table}"
    elif measure.distinct:
        what = f"The number of different values of `{measure.column.name}` in {table}"
    else:
        what = f"{_FUNCTIONS['en'][measure.function].capitalize()} of `{measure.column.name}` in {table}"
    group = f", for each `{query.group.name}`" if query.group else ""
    if query.group and query.join:
        group = f", for each `{query.group.name}` of `{query.join.table.full_name}` (joined by `{query.join.key}`)"
    order = f", the {'highest' if query.descending else 'lowest'} first" if query.ordered else ""
    limit = f", {query.limit} of them" if query.limit and query.group else ""
    return f"{what}{where}{group}{order}{limit}."


def _swedish(query: Query) -> str:
    """The sentence in Swedish."""
    table = f"`{query.table.full_name}`"
    where = _conditions(query, "sv")
    if query.measure is None:
        columns = ", ".join(f"`{each.name}`" for each in query.show)
        order = f", ordnade efter `{query.order.name}` med {'högst' if query.descending else 'lägst'} först" if query.order else ""
        limit = f", de första {query.limit}" if query.limit else f", högst {ROWS_MAX}"
        return f"De olika värdena av {columns} i {table}{where}{limit}." if query.distinct else f"Raderna i {table}{where}{order}{limit}."
    measure = query.measure
    if measure.column is None:
        what = f"Antalet rader i {table}"
    elif measure.distinct:
        what = f"Antalet olika värden av `{measure.column.name}` i {table}"
    else:
        what = f"{_FUNCTIONS['sv'][measure.function].capitalize()} av `{measure.column.name}` i {table}"
    group = f", för varje `{query.group.name}`" if query.group else ""
    if query.group and query.join:
        group = f", för varje `{query.group.name}` i `{query.join.table.full_name}` (kopplad med `{query.join.key}`)"
    order = f", {'högst' if query.descending else 'lägst'} först" if query.ordered else ""
    limit = f", {query.limit} stycken" if query.limit and query.group else ""
    return f"{what}{where}{group}{order}{limit}."
