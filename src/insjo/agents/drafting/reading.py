"""Reads a question word by word against tables.  A word that stays without meaning makes the reading fail: a guess would be silent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from insjo.agents.drafting import words as w
from insjo.agents.drafting.conditions import YEARS, condition_on, measure_of
from insjo.agents.drafting.query import Filter, Join, Measure, Query
from insjo.agents.drafting.tables import ColumnMatch, column_matches, column_parts, means, name_parts, table_matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.agents.drafting.tables import ColumnFacts, TableFacts, Value

PHRASE_WORDS_MAX: Final = 4
TOP_DEFAULT: Final = 10
WHO_DISTANCE_MAX: Final = 2
LIMIT_MAX: Final = 1000
GAP_MAX: Final = 3
VALUE_CHARS_MIN: Final = 2
VALUE_WEIGHT: Final = 2.0
PARTLY: Final = 0.5
YEAR_DIGITS: Final = 4
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_KEY_PARTS = frozenset({"id", "no", "nr", "number", "key", "code"})
_DATE_PARTS = frozenset({"year", "month", "day", "hour", "minute", "week"})


@dataclass(frozen=True, slots=True)
class Unclear:
    """Why a question could not be turned into a statement.

    Attributes:
        reason: `table`: which one; `column`: which one; `words`: these have no meaning here; `nothing`: it asks for nothing computable.
        options: Names to choose from, or the words.
    """

    reason: Literal["table", "column", "words", "nothing"]
    options: tuple[str, ...] = ()


def phrases_of(question: str) -> tuple[str, ...]:
    """Runs of words of a question, in lower case, that may be values of a column."""
    tokens = w.tokens_of(question)
    found: dict[str, None] = {}
    for start in range(len(tokens)):
        for length in range(1, min(PHRASE_WORDS_MAX, len(tokens) - start) + 1):
            run = tokens[start : start + length]
            if run[0].folded in w.STOP or run[-1].folded in w.STOP:
                continue
            if length == 1 and (w.number_of(run[0]) is not None or run[0].folded in w.INTENTS or len(run[0].text) < VALUE_CHARS_MIN):
                continue
            phrase = " ".join(token.folded for token in run)
            found[phrase] = None
            if phrase.endswith("s"):  # Swedish genitive: `Boeings plan`.
                found[phrase[:-1]] = None
    return tuple(found)


def draft(question: str, tables: Sequence[TableFacts], values: Mapping[str, Sequence[Value]], prefer: str = "") -> Query | Unclear:
    """The question as a query over one of the tables.

    Args:
        question: In English or Swedish.
        tables: Those that may be used.
        values: Which of the question's phrases (`phrases_of`) are values of which columns.
        prefer: Full name of the table that the person looks at, if any.
    """
    first = _Reading(w.tokens_of(question), tuple(tables), values, prefer)
    read = first.read()
    if isinstance(read, Unclear) and first.named:
        # The word that named the table may have meant a column of the same name: `average salary` in the table `salaries`.
        again = _Reading(w.tokens_of(question), tuple(tables), values, prefer, name_is_column=True).read()
        if not isinstance(again, Unclear):
            return again
    return read


@dataclass(slots=True)
class _Reading:
    """A question half understood."""

    tokens: list[w.Token]
    tables: tuple[TableFacts, ...]
    values: Mapping[str, Sequence[Value]]
    prefer: str
    name_is_column: bool = False
    aggregate: str = ""
    superlative: str = ""
    distinct: bool = False
    lists: bool = False
    who: int | None = None
    common: bool = False
    limit: int | None = None
    filters: list[Filter] = field(default_factory=list)
    per: list[int] = field(default_factory=list)
    by_measure: int | None = None
    group: ColumnFacts | None = None
    join: Join | None = None
    rest: list[ColumnMatch] = field(default_factory=list)
    named: bool = False
    unclear: Unclear | None = None

    def read(self) -> Query | Unclear:
        """Everything in its order."""
        self._find_per()
        table = self._choose_table()
        if table is None:
            return self.unclear or Unclear("nothing")
        for step in (self._find_values, self._find_intents, self._find_comparisons, self._find_times, self._find_columns):
            step(table)
            if self.unclear is not None:
                return self.unclear
        query = self._query(table)
        left = tuple(token.text for token in self.tokens if not token.used and not self._is_stop(token))
        if left:
            return Unclear("words", left)
        return query

    # ------------------------------------------------------------------------------------------------------------------ parts

    def _take(self, start: int, length: int = 1) -> None:
        """These words are understood."""
        for token in self.tokens[start : start + length]:
            token.used = True

    def _at(self, start: int, phrase: Sequence[str]) -> bool:
        """Whether a phrase of words that are not understood yet stands here."""
        run = self.tokens[start : start + len(phrase)]
        return len(run) == len(phrase) and all(token.folded == word and not token.used for token, word in zip(run, phrase, strict=True))

    def _is_stop(self, token: w.Token) -> bool:
        """Whether a word may stay without meaning."""
        if token.folded in w.STOP:
            return True
        return token.folded in w.BEFORE_BY and any(each.folded in {"by", "av"} for each in self.tokens)

    def _find_per(self) -> None:
        """Places after which the column that groups must come."""
        for start in range(len(self.tokens)):
            for phrase in w.PER:
                if self._at(start, phrase):
                    self._take(start, len(phrase))
                    if self._measure_follows(start + len(phrase)):
                        self.by_measure = start
                    else:
                        self.per.append(start + len(phrase))
                    break

    def _measure_follows(self, start: int) -> bool:
        """Whether `by number of ...` or `by average ...` stands here, which orders and does not group."""
        words = [token.folded for token in self.tokens[start : start + 2]]
        return tuple(words) in w.COUNT_PHRASES or bool(words and words[0] in w.INTENTS)

    def _choose_table(self) -> TableFacts | None:
        """The table that is asked about: the first that is named, else the only one that has the columns."""
        found = [
            each for each in table_matches(self.tokens, self.tables) if not any(token.used for token in self.tokens[each[1] : each[2]])
        ]
        counted = [each for each in found if not self._follows_per(each[1])] or found
        if counted:
            table, start, end = counted[0]
            rivals = {each[0].full_name for each in counted if each[1] == start}
            if len(rivals) > 1 and self.prefer not in rivals:
                self.unclear = Unclear("table", tuple(sorted(rivals)))
                return None
            if len(rivals) > 1:
                table = next(each[0] for each in counted if each[0].full_name == self.prefer)
            if not self.name_is_column:
                self._take(start, end - start)
                self.named = True
            return table
        return self._table_of_columns()

    def _table_of_columns(self) -> TableFacts | None:
        """The table whose columns or values the question names."""
        open_tables = [each for each in self.tables if each.full_name == self.prefer] or list(self.tables)
        whole: dict[str, set[int]] = {}
        partly: dict[str, set[int]] = {}
        for match in column_matches(self.tokens, open_tables):
            (whole if match.whole else partly).setdefault(match.table.full_name, set()).update(range(match.start, match.end))
        scores = {each.full_name: 0.0 for each in open_tables if each.full_name in whole or each.full_name in partly}
        for name in scores:
            scores[name] = len(whole.get(name, ())) + PARTLY * len(partly.get(name, set()) - whole.get(name, set()))
        for each in (value for values in self.values.values() for value in values):
            scores[each.table] = scores.get(each.table, 0.0) + VALUE_WEIGHT
        best = [each for each in open_tables if scores.get(each.full_name, 0) == max(scores.values(), default=0)] if scores else []
        if len(best) == 1:
            return best[0]
        if not best and len(open_tables) == 1:
            return open_tables[0]
        self.unclear = Unclear("table", tuple(each.full_name for each in best)) if best else Unclear("nothing")
        return None

    def _follows_per(self, start: int) -> bool:
        """Whether only small words stand between a `per` and this place."""
        return any(place <= start and all(each.folded in w.STOP for each in self.tokens[place:start]) for place in self.per)

    # ----------------------------------------------------------------------------------------------------------------- values

    def _find_values(self, table: TableFacts) -> None:
        """Values of text columns become conditions."""
        for length in range(PHRASE_WORDS_MAX, 0, -1):
            for start in range(len(self.tokens) - length + 1):
                run = self.tokens[start : start + length]
                if any(token.used for token in run):
                    continue
                phrase = " ".join(token.folded for token in run)
                found = self._values_of(phrase, table)
                if not found or (self._is_column_word(start, table) and run[0].text.islower()):
                    continue
                chosen = self._column_of_value(start, found, table)
                if chosen is None:
                    return
                column = table.column(chosen.column)
                if column is not None:
                    self.filters.append(Filter(column, "=", chosen.value))
                    self._take(start, length)

    def _values_of(self, phrase: str, table: TableFacts) -> list[Value]:
        """Values of this table's columns that read like the phrase."""
        found = [*self.values.get(phrase, ()), *(self.values.get(phrase[:-1], ()) if phrase.endswith("s") else ())]
        return [each for each in found if each.table == table.full_name]

    def _is_column_word(self, start: int, table: TableFacts) -> bool:
        """Whether the word is also the name of a column; written small it means the column."""
        return any(match.start == start and match.whole for match in column_matches(self.tokens, [table]))

    def _column_of_value(self, start: int, found: Sequence[Value], table: TableFacts) -> Value | None:
        """Which of several columns is meant: the one that is named before it, or the one that fits `from` and `to`."""
        if len(found) == 1:
            return found[0]
        before = [token.folded for token in self.tokens[max(0, start - 3) : start]]
        for each in found:
            column = table.column(each.column)
            if column is not None and any(means(word, part) for word in before for part in column.parts):
                for offset, token in enumerate(self.tokens[max(0, start - 3) : start]):
                    if any(means(token.folded, part) for part in column.parts):
                        self._take(max(0, start - 3) + offset)
                return each
        for words, names in ((w.FROM, w.FROM_NAMES), (w.TO, w.TO_NAMES)):
            if before and before[-1] in words:
                fitting = [each for each in found if set(column_parts(table, each.column)) & names]
                if len(fitting) == 1:
                    return fitting[0]
        self.unclear = Unclear("column", tuple(each.column for each in found))
        return None

    # ---------------------------------------------------------------------------------------------------------------- intents

    def _find_intents(self, table: TableFacts) -> None:
        """What is to be computed."""
        del table
        for start in range(len(self.tokens)):
            for phrase in w.COUNT_PHRASES:
                if self._at(start, phrase):
                    self._take(start, 2)
                    self.aggregate = self.aggregate or w.COUNT
            self._read_word(start)

    def _read_word(self, start: int) -> None:
        """One word that may ask for something."""
        token = self.tokens[start]
        if token.used:
            return
        word = token.folded
        follows_number = start + 1 < len(self.tokens) and w.number_of(self.tokens[start + 1]) is not None
        if word in {"minst", "högst"} and follows_number:
            return
        if word in w.COMMON or word in w.MOST or word in w.FEWEST:
            self.common = self.common or word not in w.MOST or not self._next_is(start, w.COMMON)
            self.superlative = w.MINIMUM if word in w.FEWEST else self.superlative or w.MAXIMUM
            self._take(start)
            self._read_number_near(start)
        elif word in w.TOP:
            self.superlative = self.superlative or w.MAXIMUM
            self.limit = self.limit or TOP_DEFAULT
            self._take(start)
            self._read_number_near(start)
        elif word in w.INTENTS:
            self._read_function(start, w.INTENTS[word])
        elif word in w.DISTINCT:
            self.distinct = True
            self._take(start)
        elif word in w.LIST:
            self.lists = True
            self._take(start)
        elif word in w.WHO and self.who is None:
            self.who = start
            self._take(start)

    def _read_function(self, start: int, function: str) -> None:
        """A word for a function."""
        if function in {w.MAXIMUM, w.MINIMUM}:
            self.superlative = self.superlative or function
            self._read_number_near(start)
        elif not self.aggregate or (self.aggregate == w.SUM and function == w.COUNT):
            self.aggregate = function
        elif function != self.aggregate and w.COUNT not in {function, self.aggregate}:
            return
        self._take(start)

    def _next_is(self, start: int, words: frozenset[str]) -> bool:
        """Whether the next word is one of these."""
        return start + 1 < len(self.tokens) and self.tokens[start + 1].folded in words

    def _read_number_near(self, start: int) -> None:
        """`ten most`, `5 largest`, `top 10`."""
        for place in (start + 1, start - 1, start - 2):
            if not 0 <= place < len(self.tokens) or self.tokens[place].used:
                continue
            token = self.tokens[place]
            value = w.number_of(token)
            number = int(value) if value is not None and value.is_integer() else w.NUMBERS.get(token.folded)
            if number and 0 < number <= LIMIT_MAX:
                self.limit = number
                self._take(place)
                return

    # ------------------------------------------------------------------------------------------------------------ comparisons

    def _find_comparisons(self, table: TableFacts) -> None:
        """Conditions on numbers and dates."""
        for start in range(len(self.tokens)):
            for phrase, operator in w.COMPARISONS:
                if self._at(start, phrase):
                    self._compare(table, start, len(phrase), operator)
                    break
            if self.unclear is not None:
                return
        for start in range(len(self.tokens) - 1):
            if not self.tokens[start].used:
                self._count_of(table, start)
        self._find_missing(table)

    def _compare(self, table: TableFacts, start: int, length: int, operator: str) -> None:
        """`more than 60 minutes` next to a column."""
        place = start + length
        if place >= len(self.tokens):
            return
        value = self._number_or_date(self.tokens[place])
        if value is None:
            return
        end = place + 1
        if end < len(self.tokens) and (self.tokens[end].folded in w.UNITS or self.tokens[end].folded.rstrip("s") in w.UNITS):
            end += 1
        column = self._column_near(table, start, end, moment=isinstance(value, str))
        if column is None:
            return
        condition = condition_on(column, operator, value)
        if condition is None:
            return
        self.filters.append(condition)
        self._take(start, end - start)

    @staticmethod
    def _number_or_date(token: w.Token) -> float | str | None:
        """What a comparison compares with."""
        if token.used:
            return None
        if _DATE.fullmatch(token.text):
            return token.text
        value = w.number_of(token)
        return value if value is not None else w.NUMBERS.get(token.folded)

    def _column_near(self, table: TableFacts, start: int, end: int, *, moment: bool) -> ColumnFacts | None:
        """The column that stands right before or right after a comparison, or the only moment of the table for a date."""
        matches = [each for each in column_matches(self.tokens, [table]) if not self._touches_used(each)]
        fitting = [each for each in matches if (each.column.is_moment if moment else each.column.is_number or each.column.is_moment)]
        for after in (False, True):
            near = [each for each in fitting if self._gap(*((end, each.start) if after else (each.end, start)))]
            names = {each.column.name for each in near if each.whole} or {each.column.name for each in near}
            if len(names) > 1:
                self.unclear = Unclear("column", tuple(sorted(names)))
                return None
            if near:
                self._take(near[0].start, near[0].end - near[0].start)
                return near[0].column
        moments = [each for each in table.columns if each.is_moment]
        return moments[0] if moment and len(moments) == 1 else None

    def _gap(self, end: int, start: int) -> bool:
        """Whether only small words stand between two places."""
        return 0 <= start - end <= GAP_MAX and all(each.folded in w.STOP or each.used for each in self.tokens[end:start])

    def _touches_used(self, match: ColumnMatch) -> bool:
        """Whether a word of the match has another meaning already."""
        return any(token.used for token in self.tokens[match.start : match.end])

    def _count_of(self, table: TableFacts, start: int) -> None:
        """`two engines`: a number right before a column that holds numbers."""
        token = self.tokens[start]
        value = w.number_of(token)
        number = value if value is not None else w.NUMBERS.get(token.folded)
        if number is None:
            return
        for match in column_matches(self.tokens, [table]):
            if match.start == start + 1 and match.whole and match.column.is_number and not self._touches_used(match):
                self.filters.append(Filter(match.column, "=", float(number)))
                self._take(start, 1 + match.end - match.start)
                return

    def _find_missing(self, table: TableFacts) -> None:
        """`without a departure time`."""
        for start in range(len(self.tokens)):
            for phrase in w.WITHOUT:
                if not self._at(start, phrase):
                    continue
                place = start + len(phrase)
                for match in column_matches(self.tokens, [table]):
                    if match.whole and self._gap(place, match.start) and not self._touches_used(match):
                        self.filters.append(Filter(match.column, "is null", None))
                        self._take(start, match.end - start)
                        break

    def _find_times(self, table: TableFacts) -> None:
        """`in 2013` and `in January`."""
        moments = [each for each in table.columns if each.is_moment]
        years = table.named_like("year", "år", "yr")
        months = table.named_like("month", "månad")
        for token in self.tokens:
            if token.used:
                continue
            value = w.number_of(token)
            if value is not None and value.is_integer() and int(value) in YEARS and len(token.text) == YEAR_DIGITS:
                self._add_time(token, years, moments, "year", int(value))
            elif token.folded in w.MONTHS:
                self._add_time(token, months, moments, "month", w.MONTHS[token.folded])

    def _add_time(
        self, token: w.Token, plain: ColumnFacts | None, moments: Sequence[ColumnFacts], part: Literal["year", "month"], value: int
    ) -> None:
        """A condition on the column that holds the part, or on the only moment of the table."""
        if plain is not None and plain.is_number:
            self.filters.append(Filter(plain, "=", value))
        elif len(moments) == 1:
            self.filters.append(Filter(moments[0], "=", value, part))
        else:
            return
        token.used = True

    # ---------------------------------------------------------------------------------------------------------------- columns

    def _find_columns(self, table: TableFacts) -> None:
        """What words are left that mean columns, and what each is for."""
        matches = [each for each in column_matches(self.tokens, [table]) if not self._touches_used(each) and not self._is_entity(each)]
        partial: dict[tuple[int, int], set[str]] = {}
        for each in matches:
            if not each.whole:
                partial.setdefault((each.start, each.end), set()).add(each.column.name)
        for match in matches:
            if self._touches_used(match):
                continue
            rivals = partial.get((match.start, match.end), set())
            if not match.whole and len(rivals) > 1:
                self.unclear = Unclear("column", tuple(sorted(rivals)))
                return
            self._take(match.start, match.end - match.start)
            self._assign(match)
        self._find_entities(table)
        if self.group is None and self.per:
            self._group_by_other(table)

    def _is_entity(self, match: ColumnMatch) -> bool:
        """Whether the column only names what the table holds, as `flight` in `flights`: `the longest flight` does not mean it."""
        parts = name_parts(match.table.name)
        return self.name_is_column and len(parts) == len(match.column.parts) == 1 and w.alike(parts[0], match.column.parts[0])

    def _assign(self, match: ColumnMatch) -> None:
        """A column groups when it follows `per` or a superlative's `which`; otherwise it is measured or shown."""
        ordering = match.column.is_number and bool(self.superlative) and not self.aggregate and not self.rest
        groups = (
            (self._follows_per(match.start) and not ordering)
            or (self.by_measure is not None and match.start < self.by_measure)
            or (self._asked_for(match.start) and bool(self.aggregate or self.superlative))
        )
        if groups and self.group is None:
            self.group = match.column
        else:
            self.rest.append(match)

    def _asked_for(self, start: int) -> bool:
        """Whether the column follows `which` directly."""
        if self.who is None or not 0 < start - self.who <= WHO_DISTANCE_MAX:
            return False
        return all(each.folded in w.STOP or each.used for each in self.tokens[self.who + 1 : start])

    def _find_entities(self, table: TableFacts) -> None:
        """`how many employees` where a column is called `employee_id`."""
        if self.aggregate != w.COUNT or self.named or self.rest:
            return
        for start, token in enumerate(self.tokens):
            if token.used or token.folded in w.STOP:
                continue
            keys = [
                each
                for each in table.columns
                if each.parts[1:] and not each.parts[2:] and each.parts[1] in _KEY_PARTS and means(token.folded, each.parts[0])
            ]
            if len(keys) == 1:
                self.distinct = True
                self._take(start)
                self.rest.append(ColumnMatch(table, keys[0], start, start + 1, whole=True, words=1))
                return

    def _group_by_other(self, table: TableFacts) -> None:
        """`per airline`, where another table of that name shares one key with this one and has a name for it."""
        for other, start, end in table_matches(self.tokens, [each for each in self.tables if each is not table]):
            if not self._follows_per(start) or any(token.used for token in self.tokens[start:end]):
                continue
            shared = [each for each in table.columns if other.column(each.name) is not None and each.name not in _DATE_PARTS]
            label = other.named_like("name", "namn", "title", "titel")
            if len(shared) == 1 and label is not None:
                self._take(start, end - start)
                self.join, self.group = Join(other, shared[0].name), label
                return

    # ------------------------------------------------------------------------------------------------------------------ query

    def _query(self, table: TableFacts) -> Query | Unclear:
        """What was understood as a query."""
        columns = [each.column for each in self.rest]
        if self.common and self.group is None and len(columns) == 1:
            self.group, columns = columns[0], []
        if len(columns) > 1 and not self._is_listing():
            return Unclear("column", tuple(each.name for each in columns))
        column = columns[0] if columns else None
        filters = tuple(self.filters)
        if self.aggregate == w.COUNT and self.superlative and column is not None and column.is_number and self.group is None:
            self.aggregate = ""  # `the highest number of seats` asks for a value, not for a count.
        if self.group is not None:
            return self._grouped(table, column, filters)
        if self.aggregate:
            return self._aggregated(table, column, filters)
        if self.superlative and column is not None:
            return self._superlative(table, column, filters)
        if self._is_listing() and (self.named or columns):
            return Query(table, filters=filters, show=tuple(columns), distinct=bool(columns) and not filters, limit=self.limit)
        return Unclear("nothing")

    def _is_listing(self) -> bool:
        """Whether rows are asked for."""
        return (self.lists or self.who is not None) and not self.aggregate and not self.superlative

    def _grouped(self, table: TableFacts, column: ColumnFacts | None, filters: tuple[Filter, ...]) -> Query | Unclear:
        """A measure for each value of a column."""
        function = self.aggregate or (self.superlative if column is not None else w.COUNT)
        if not self.aggregate and not self.superlative and not (self.named and column is None):
            return Unclear("nothing")
        measure = measure_of(function, column)
        if measure is None:
            return Unclear("column", tuple(each.name for each in table.columns if each.is_number))
        ordered = bool(self.superlative)
        limit = self.limit
        if ordered and limit is None and not self.per:
            limit = 1 if self.who is not None or not self._is_plural() else TOP_DEFAULT
        descending = self.superlative != w.MINIMUM
        return Query(table, measure, filters, self.group, self.join, ordered=ordered, descending=descending, limit=limit)

    def _is_plural(self) -> bool:
        """Whether several are asked for: `the most common destinations`."""
        return any(token.folded.endswith(("s", "erna", "arna", "orna")) for token in self.tokens if token.used)

    def _aggregated(self, table: TableFacts, column: ColumnFacts | None, filters: tuple[Filter, ...]) -> Query | Unclear:
        """One number."""
        if self.superlative:
            return Unclear("nothing")
        measure = measure_of(self.aggregate, column)
        if measure is None:
            return Unclear("column", tuple(each.name for each in table.columns if each.is_number))
        return Query(table, measure, filters)

    def _superlative(self, table: TableFacts, column: ColumnFacts, filters: tuple[Filter, ...]) -> Query:
        """The highest value, or the rows that have it."""
        descending = self.superlative == w.MAXIMUM
        asks_for_rows = self.who is not None and (self.named or self.tokens[self.who].folded in {"who", "vem"})
        if asks_for_rows or (self.limit or 0) > 1:
            return Query(table, filters=filters, order=column, descending=descending, limit=self.limit or 1)
        return Query(table, Measure(self.superlative, column), filters)
