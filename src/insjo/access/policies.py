"""Policies: row filters and column masks that follow tags, and the little language of conditions on tags."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from insjo.access.errors import InvalidPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from insjo.access.protection import Argument

    Tags = Mapping[str, str]
    Condition = Callable[[Tags], bool]

CONDITION_CHARS_MAX: Final = 4_000
_DEPTH_MAX: Final = 50
_TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.|'')*')|([A-Za-z_]\w*)|([(),!]))")


class PolicyKind(StrEnum):
    """What a policy does."""

    ROW_FILTER = "ROW_FILTER"
    COLUMN_MASK = "COLUMN_MASK"


@dataclass(frozen=True, slots=True)
class MatchColumn:
    """A name for the columns whose tags fulfil a condition."""

    alias: str
    condition: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A filter or mask for all tables below a catalog, a schema, or for one table.

    Attributes:
        to: Names of those for whom it holds; the group `account users` means everybody.
        exempt: Names of those for whom it does not.
        when: Condition on the tags of a table; empty means always.
        arguments: A column in it is an alias of `columns`.
        on_column: Alias of the columns that are masked; empty for a row filter.
    """

    name: str
    kind: PolicyKind
    securable_id: str
    function_id: str
    to: tuple[str, ...]
    exempt: tuple[str, ...] = ()
    when: str = ""
    columns: tuple[MatchColumn, ...] = ()
    arguments: tuple[Argument, ...] = ()
    on_column: str = ""
    comment: str = ""
    id: str = ""
    on_kind: str = ""
    on_name: str = ""
    function_name: str = ""
    created_at: datetime | None = None
    created_by: str = ""
    updated_at: datetime | None = None
    updated_by: str = ""

    def definition(self) -> dict[str, Any]:
        """What the store keeps as JSON."""
        return {
            "to": list(self.to),
            "except": list(self.exempt),
            "when": self.when,
            "columns": [{"alias": each.alias, "condition": each.condition} for each in self.columns],
            "arguments": [each.as_json() for each in self.arguments],
            "on_column": self.on_column,
        }


def checked(policy: Policy) -> Policy:
    """The policy, if it is whole: its conditions can be read, and each alias is known.

    Raises:
        InvalidPolicy: With what is wrong.
    """
    if not policy.to:
        message = "A policy says for whom it holds."
        raise InvalidPolicy(message, hint="`TO `account users`` means everybody.")
    if policy.when:
        condition_of(policy.when)
    aliases = [each.alias.lower() for each in policy.columns]
    if len(set(aliases)) != len(aliases):
        message = "Two conditions on columns have the same alias."
        raise InvalidPolicy(message)
    for column in policy.columns:
        condition_of(column.condition)
    used = [each.column for each in policy.arguments if each.column]
    used += [policy.on_column] if policy.on_column else []
    for alias in used:
        if alias.lower() not in aliases:
            message = f"`{alias}` is no alias of `MATCH COLUMNS`."
            raise InvalidPolicy(message)
    if (policy.kind is PolicyKind.COLUMN_MASK) != bool(policy.on_column):
        message = "A column mask names the columns that it masks with `ON COLUMN`, and a row filter has none."
        raise InvalidPolicy(message)
    return policy


def condition_of(text: str) -> Condition:
    """A condition on tags: `has_tag('k')`, `has_tag_value('k', 'v')`, AND, OR, NOT, parentheses, TRUE and FALSE.

    Raises:
        InvalidPolicy: It cannot be read.
    """
    if len(text) > CONDITION_CHARS_MAX:
        message = f"A condition has at most {CONDITION_CHARS_MAX} characters."
        raise InvalidPolicy(message)
    words = _Words(text)
    found = _either(words)
    if words.at < len(words.tokens):
        raise words.error()
    return found


@dataclass(slots=True)
class _Words:
    """Tokens of a condition, and how far it was read."""

    text: str
    tokens: list[str] = field(init=False)
    at: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        """Cut the text into texts, words and marks."""
        self.tokens = []
        place = 0
        while place < len(self.text.rstrip()):
            found = _TOKEN.match(self.text, place)
            if found is None:
                raise self.error()
            self.tokens.append(found[0].strip())
            place = found.end()

    def error(self) -> InvalidPolicy:
        """What was expected."""
        message = f"`{self.text[:200]}` is no condition on tags."
        return InvalidPolicy(message, hint="Use has_tag('key'), has_tag_value('key', 'value'), AND, OR and NOT.")

    def accept(self, word: str) -> bool:
        """Move over this word if it comes next."""
        if self.at < len(self.tokens) and self.tokens[self.at].upper() == word:
            self.at += 1
            return True
        return False

    def expect(self, word: str) -> None:
        """Move over this word, or raise InvalidPolicy."""
        if not self.accept(word):
            raise self.error()

    def string(self) -> str:
        """A text in quotes."""
        if self.at >= len(self.tokens) or not self.tokens[self.at].startswith("'"):
            raise self.error()
        self.at += 1
        inner = self.tokens[self.at - 1][1:-1]
        return re.sub(r"\\(.)|''", lambda found: found[1] or "'", inner)


def _either(words: _Words) -> Condition:
    """Parts joined by OR."""
    parts = [_all(words)]
    while words.accept("OR"):
        parts.append(_all(words))
    return parts[0] if len(parts) == 1 else lambda tags: any(part(tags) for part in parts)


def _all(words: _Words) -> Condition:
    """Parts joined by AND."""
    parts = [_one(words)]
    while words.accept("AND"):
        parts.append(_one(words))
    return parts[0] if len(parts) == 1 else lambda tags: all(part(tags) for part in parts)


def _one(words: _Words) -> Condition:
    """One part."""
    words.depth += 1
    if words.depth > _DEPTH_MAX:
        raise words.error()
    if words.accept("NOT") or words.accept("!"):
        inner = _one(words)
        return lambda tags: not inner(tags)
    if words.accept("("):
        found = _either(words)
        words.expect(")")
        return found
    if words.accept("TRUE"):
        return lambda _: True
    if words.accept("FALSE"):
        return lambda _: False
    if words.accept("HAS_TAG_VALUE") or words.accept("HASTAGVALUE"):
        words.expect("(")
        key = words.string()
        words.expect(",")
        value = words.string()
        words.expect(")")
        return lambda tags: tags.get(key) == value
    if words.accept("HAS_TAG") or words.accept("HASTAG"):
        words.expect("(")
        only = words.string()
        words.expect(")")
        return lambda tags: only in tags
    raise words.error()


def holds_for(policy: Policy, names: Iterable[str]) -> bool:
    """Whether a policy concerns somebody who has these names: the own one and those of all groups."""
    folded = {name.casefold() for name in names}
    return any(each.casefold() in folded for each in policy.to) and not any(each.casefold() in folded for each in policy.exempt)
