"""A question that only exchanges a value of the one before it: `and from LGA?` after `How many flights left from JFK?`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from insjo.agents.drafting.words import STOP, tokens_of, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.agents.drafting.tables import Value

WORDS_MAX: Final = 8
LEAD: Final = words("and what how about then also but or och men hur vad då gäller är det med för eller också")


def followed(question: str, previous_sql: str, values: Mapping[str, Sequence[Value]]) -> str | None:
    """The statement before with the question's one value in place of the old one of the same column.

    None when the question says more than a value, when the value stands in no column of the statement, or in several.
    """
    tokens = tokens_of(question)
    if not 0 < len(tokens) <= WORDS_MAX:
        return None
    for length in range(min(4, len(tokens)), 0, -1):
        for start in range(len(tokens) - length + 1):
            phrase = " ".join(token.folded for token in tokens[start : start + length])
            rest = [token.folded for token in (*tokens[:start], *tokens[start + length :])]
            if phrase in values and all(word in LEAD or word in STOP for word in rest):
                return _exchanged(previous_sql, values[phrase])
    return None


def _exchanged(sql: str, found: Sequence[Value]) -> str | None:
    """The statement with a literal exchanged, when exactly one condition of it is on a column that has the value."""
    places = []
    for each in found:
        condition = re.compile(rf"(?<![\w.])((?:\w+\.)?`?{re.escape(each.column)}`?\s*=\s*)'((?:[^'\\]|\\.|'')*)'", re.IGNORECASE)
        places += [(match, each.value) for match in condition.finditer(sql)]
    if len(places) != 1:
        return None
    match, value = places[0]
    literal = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{sql[: match.start(2)]}{literal}{sql[match.end(2) :]}"
