"""Trusted examples: a question that says the same as one of them gets its statement, also with another value in its place."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from insjo.agents.drafting.words import NUMBERS, number_of, stem, tokens_of, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.agents.drafting.tables import Value
    from insjo.agents.types import Example

SMALL: Final = words(
    "the a an is are was were be been did do does had has have there it please can you me tell show give and "
    "en ett den det de är var vara varit har hade finns fanns kan du mig visa ge tack och"
)
"""Words that two questions may differ in and still ask for the same."""

_TEXT_CONDITION = re.compile(r"([\w.`]+)\s*=\s*'((?:[^'\\]|\\.|'')*)'")
_NUMBER_CONDITION = re.compile(r"(?<![\w.'])(\d+(?:\.\d+)?)(?![\w.'])")
GRAM: Final = 3


@dataclass(frozen=True, slots=True)
class ExampleMatch:
    """The example that a question repeats, and the statement for this question; `filled` when a value was exchanged."""

    example: Example
    sql: str
    filled: bool


def match_example(question: str, examples: Sequence[Example], values: Mapping[str, Sequence[Value]]) -> ExampleMatch | None:
    """The example that asks for the same, word by word but for small words; values and numbers may be others."""
    asked = _content(question)
    for example in examples:
        if _stems(asked) == _stems(_content(example.question)):
            return ExampleMatch(example, example.sql, filled=False)
    for example in examples:
        sql = _filled(asked, example, values)
        if sql is not None:
            return ExampleMatch(example, sql, filled=True)
    return None


def nearest_examples(question: str, examples: Sequence[Example], count: int) -> list[Example]:
    """The examples most like a question, by the runs of characters that they share."""
    asked = _grams(question)

    def likeness(example: Example) -> float:
        other = _grams(example.question)
        return len(asked & other) / (len(asked | other) or 1)

    return sorted(examples, key=likeness, reverse=True)[:count]


def _grams(text: str) -> set[str]:
    """Runs of three characters."""
    folded = f" {text.casefold()} "
    return {folded[start : start + GRAM] for start in range(len(folded) - GRAM + 1)}


def _content(question: str) -> list[str]:
    """The words that count, in lower case and in their order."""
    return [token.folded for token in tokens_of(question) if token.folded not in SMALL]


def _stems(content: Sequence[str]) -> list[str]:
    """The words without their endings."""
    return [stem(word) for word in content]


def _filled(asked: Sequence[str], example: Example, values: Mapping[str, Sequence[Value]]) -> str | None:
    """The example's statement with the question's values in it; None when they differ in more than values."""
    known = _content(example.question)
    matcher = difflib.SequenceMatcher(a=_stems(known), b=_stems(asked), autojunk=False)
    sql = example.sql
    for kind, a1, a2, b1, b2 in matcher.get_opcodes():
        if kind == "equal":
            continue
        if kind != "replace":
            return None
        replaced = _replace(sql, known[a1:a2], asked[b1:b2], values)
        if replaced is None:
            return None
        sql = replaced
    return sql


def _replace(sql: str, old: Sequence[str], new: Sequence[str], values: Mapping[str, Sequence[Value]]) -> str | None:
    """The statement with one value exchanged for another of the same column, or one number for another."""
    old_number, new_number = _number(old), _number(new)
    if old_number is not None and new_number is not None:
        return _replace_number(sql, old_number, new_number)
    for match in _TEXT_CONDITION.finditer(sql):
        if match[2].casefold() != " ".join(old):
            continue
        column = match[1].rsplit(".", 1)[-1].strip("`").lower()
        fitting = {each.value for each in values.get(" ".join(new), ()) if each.column.lower() == column}
        if len(fitting) == 1:
            literal = fitting.pop().replace("\\", "\\\\").replace("'", "\\'")
            return f"{sql[: match.start(2)]}{literal}{sql[match.end(2) :]}"
    return None


def _replace_number(sql: str, old: float, new: float) -> str | None:
    """The statement with a number exchanged, if the old one stands in it exactly once."""
    places = [match for match in _NUMBER_CONDITION.finditer(sql) if float(match[1]) == old]
    if len(places) != 1:
        return None
    return f"{sql[: places[0].start(1)]}{int(new) if new.is_integer() else new}{sql[places[0].end(1) :]}"


def _number(content: Sequence[str]) -> float | None:
    """The number that these words are."""
    if len(content) != 1:
        return None
    word = content[0]
    if word in NUMBERS:
        return float(NUMBERS[word])
    return number_of(tokens_of(word)[0]) if tokens_of(word) else None
