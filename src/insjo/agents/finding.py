"""Finds tables, volumes, indexes and apps by what somebody calls their contents.  Pure: it is given only what the caller may see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from insjo.agents.drafting.tables import means, name_parts
from insjo.agents.drafting.words import INTENTS, STOP, alike, tokens_of, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIND: Final = re.compile(
    r"\b(where (?:is|are|do i find|can i find)|find|look for|search for|which tables?|what tables?|is there|are there|do we have|"
    r"any tables?|tables? (?:with|about|for|on)|data (?:about|on|for)|which data ?sets?|var (?:finns|hittar|ligger|är)|"
    r"hitta|leta|sök|"
    r"vilken tabell|vilka tabeller|finns det|har vi|tabeller? (?:med|om|för)|data om|uppgifter om|vilka datamängder)\b",
    re.IGNORECASE,
)
"""How a search for something in the catalog begins."""

EMPTY: Final = words(
    "where find look search table tables data dataset datasets about any we our which what do have there is are columns column field "
    "volume index catalog schema called named information documents document files file store stored contains containing holds "
    "something anything "
    "var hitta hittar leta sök söka tabell tabeller tabellen tabellerna data datamängd datamängder om finns det har vi vår våra vilken "
    "vilka kolumn kolumner katalog fält uppgifter någon något dokument filer fil lagrar lagras innehåller heter ligger",
)
NAME_WEIGHT, COLUMN_WEIGHT, COMMENT_WEIGHT = 3.0, 2.0, 1.0
SHARE_MIN: Final = 0.6
OBJECTS_MAX: Final = 5000


@dataclass(frozen=True, slots=True)
class Findable:
    """Something that can be found."""

    kind: Literal["table", "view", "volume", "index", "agent"]
    full_name: str
    comment: str = ""
    columns: tuple[str, ...] = ()

    @property
    def href(self) -> str:
        """Address of its page."""
        if self.kind in {"table", "view", "volume"}:
            return "/catalog/" + "/".join(self.full_name.split("."))
        return f"/knowledge/{self.full_name}" if self.kind == "index" else f"/apps/{self.full_name}"


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was found, and the columns because of which."""

    thing: Findable
    score: float
    columns: tuple[str, ...]


def terms_of(question: str) -> tuple[str, ...]:
    """The words that say what is looked for."""
    found = [token.folded for token in tokens_of(question)]
    return tuple(
        dict.fromkeys(word for word in found if word not in EMPTY and word not in STOP and word not in INTENTS and word[0].isalpha())
    )


def find(question: str, things: Iterable[Findable], count: int = 5, *, share_min: float = SHARE_MIN) -> list[Found]:
    """What fits best, of all to which at least this share of the words fits."""
    terms = terms_of(question)
    if not terms:
        return []
    found = []
    for number, thing in enumerate(things):
        if number >= OBJECTS_MAX:
            break
        each = _judged(terms, thing, share_min)
        if each is not None:
            found.append(each)
    return sorted(found, key=lambda each: (-each.score, each.thing.full_name))[:count]


def _judged(terms: Sequence[str], thing: Findable, share_min: float) -> Found | None:
    """How well a thing fits, or None."""
    score, hit, columns = 0.0, 0, dict[str, None]()
    names = [part for level in thing.full_name.split(".") for part in name_parts(level)]
    comment = [word for word in re.findall(r"\w+", thing.comment.casefold()) if word not in STOP]
    for term in terms:
        if term in {thing.full_name, thing.full_name.rsplit(".", 1)[-1]}:
            best = 2 * NAME_WEIGHT
        elif any(means(term, part) for part in names):
            best = NAME_WEIGHT
        else:
            best = 0.0
        of_columns = [name for name in thing.columns if any(means(term, part) for part in name_parts(name))]
        if of_columns:
            best = max(best, COLUMN_WEIGHT)
            columns.update(dict.fromkeys(of_columns))
        if not best and any(alike(term, word) or means(term, word) for word in comment):
            best = COMMENT_WEIGHT
        hit += best > 0
        score += best
    if not hit or hit < share_min * len(terms):
        return None
    return Found(thing, score / len(terms), tuple(columns)[:6])
