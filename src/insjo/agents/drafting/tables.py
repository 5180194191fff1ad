"""What is known of tables when a statement is drafted, and which column or table a run of words means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from insjo.agents.drafting.words import ABBREVIATIONS, alike, meanings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insjo.agents.drafting.words import Token

NUMERIC = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
SPAN_WORDS_MAX = 4


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column that a statement may use."""

    name: str
    type_text: str
    comment: str = ""

    @property
    def is_number(self) -> bool:
        """Whether it can be summed."""
        return self.type_text.startswith(NUMERIC)

    @property
    def is_text(self) -> bool:
        """Whether values in words can stand in it."""
        return self.type_text in {"string", "varchar"} or self.type_text.startswith(("varchar", "char"))

    @property
    def is_moment(self) -> bool:
        """Whether it is a date or a moment."""
        return self.type_text.startswith(("date", "timestamp"))

    @property
    def parts(self) -> tuple[str, ...]:
        """Words of the name: `dep_delay` and `depDelay` are `dep`, `delay`."""
        return name_parts(self.name)


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table that a statement may use."""

    full_name: str
    columns: tuple[ColumnFacts, ...]
    comment: str = ""

    @property
    def name(self) -> str:
        """Last part of the full name."""
        return self.full_name.rsplit(".", 1)[-1]

    def column(self, name: str) -> ColumnFacts | None:
        """A column by name."""
        return next((each for each in self.columns if each.name == name), None)

    def named_like(self, *names: str) -> ColumnFacts | None:
        """The first column that bears one of these names."""
        return next((each for name in names for each in self.columns if each.name.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Value:
    """A value that stands in a column and was found in a question."""

    table: str
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class ColumnMatch:
    """Words of a question that mean a column.

    Attributes:
        start: First word; `end` is the one after the last.
        whole: Every part of the name was said, not only its last.
    """

    table: TableFacts
    column: ColumnFacts
    start: int
    end: int
    whole: bool
    words: int = field(default=0, compare=False)


def name_parts(name: str) -> tuple[str, ...]:
    """Words of a name."""
    spaced = re.sub(r"(?<=[a-zåäö0-9])(?=[A-ZÅÄÖ])", "_", name)
    return tuple(part.casefold() for part in re.split(r"[^\w]|_", spaced) if part)


def means(word: str, part: str) -> bool:
    """Whether a word of a question is a form, a translation or the full spelling of a part of a name."""
    spelled = (part, *ABBREVIATIONS.get(part, ()))
    return any(len(meaning) == 1 and any(alike(meaning[0], each) for each in spelled) for meaning in meanings_of(word))


def _means_all(words: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether these words, in their order, mean these parts; one Swedish compound can mean several."""
    if not words:
        return not parts
    if not parts:
        return False
    if means(words[0], parts[0]) and _means_all(words[1:], parts[1:]):
        return True
    for meaning in meanings_of(words[0]):
        count = len(meaning)
        said = 1 < count <= len(parts) and all(means(one, part) for one, part in zip(meaning, parts, strict=False))
        if said and _means_all(words[1:], parts[count:]):
            return True
    return False


def column_matches(tokens: Sequence[Token], tables: Iterable[TableFacts]) -> list[ColumnMatch]:
    """All readings of runs of words as columns, the longest and most complete first."""
    found: list[ColumnMatch] = []
    words = [token.folded for token in tokens]
    for table in tables:
        for column in table.columns:
            parts = column.parts
            for start in range(len(words)):
                for length in range(1, min(SPAN_WORDS_MAX, len(words) - start) + 1):
                    run = words[start : start + length]
                    if run == [column.name.lower()] or _means_all(run, parts):
                        found.append(ColumnMatch(table, column, start, start + length, whole=True, words=length))
                    elif length == 1 and len(parts) > 1 and means(run[0], parts[-1]):
                        found.append(ColumnMatch(table, column, start, start + 1, whole=False, words=1))
    return sorted(found, key=lambda each: (not each.whole, -each.words, each.start))


def table_matches(tokens: Sequence[Token], tables: Iterable[TableFacts]) -> list[tuple[TableFacts, int, int]]:
    """Runs of words that name a table: by its full name, its name, or its name in another form."""
    found = []
    for table in tables:
        parts = name_parts(table.name)
        for start, token in enumerate(tokens):
            if token.folded in {table.full_name, table.name, ".".join(table.full_name.split(".")[1:])}:
                found.append((table, start, start + 1))
                continue
            for length in range(1, min(SPAN_WORDS_MAX, len(tokens) - start) + 1):
                if _means_all([each.folded for each in tokens[start : start + length]], parts):
                    found.append((table, start, start + length))
                    break
    return found


def column_parts(table: TableFacts, column: str) -> tuple[str, ...]:
    """Words of a column's name; none when the table does not have it."""
    found = table.column(column)
    return found.parts if found is not None else ()
