"""Choose what to quote, and judge whether a sentence of a model is borne out by what it was given.  Pure functions."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from insjo.retrieval.cutting import sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from insjo.retrieval.types import Terms

QUOTE_CHARS_MAX = 600
SUPPORT_MIN = 0.8
SENTENCE_WORDS_MIN = 2

_NUMBER = re.compile(r"\d+(?:[\d\s.,:]*\d)?")
_CITATION = re.compile(r"\s*\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\]")


def sentences_of(passage: str) -> list[str]:
    """Sentences and lines of a passage."""
    return [sentence for line in passage.split("\n") for sentence in sentences(line)]


def overlap(question: Terms, sentence: Terms) -> float:
    """How much of a question a sentence holds, 0 to 1: words and runs of letters count half each."""
    parts = [
        len(set(asked) & set(had)) / len(set(asked))
        for asked, had in ((question.words, sentence.words), (question.grams, sentence.grams))
        if asked
    ]
    return sum(parts) / len(parts) if parts else 0.0


def best_sentence(question: Terms, candidates: Sequence[str], terms: Callable[[str], Terms]) -> tuple[int, float]:
    """Number of the sentence that holds most of the question, and how much; the first of several alike."""
    scored = [(overlap(question, terms(sentence)), -number) for number, sentence in enumerate(candidates)]
    best = max(scored, default=(0.0, 0))
    return -best[1], best[0]


def quote_at(candidates: Sequence[str], number: int) -> str:
    """The sentence with its neighbour where it would be short alone; at most so long that one reads it."""
    quote = candidates[number] if candidates else ""
    if len(quote.split()) < 8 and number + 1 < len(candidates):  # noqa: PLR2004  # A stump says little.
        quote = f"{quote} {candidates[number + 1]}"
    return quote if len(quote) <= QUOTE_CHARS_MAX else quote[: QUOTE_CHARS_MAX - 1].rsplit(" ", 1)[0] + " …"


def is_supported(sentence: str, passage: str, terms: Callable[[str], Terms]) -> bool:
    """Whether a passage bears a sentence out, as far as words tell: most of its words, and every number, stand there."""
    said = set(terms(sentence).words)
    if len(said) < SENTENCE_WORDS_MIN:
        return False
    known = set(terms(passage).words)
    numbers = {_digits(number) for number in _NUMBER.findall(sentence)}
    known_numbers = {_digits(number) for number in _NUMBER.findall(passage)}
    return numbers <= known_numbers and len(said & known) >= SUPPORT_MIN * len(said)


def adds_something(sentence: str, quote: str, question: str, terms: Callable[[str], Terms]) -> bool:
    """Whether a sentence is worth showing below a quote: it is no copy of it, no copy of the question, and does not stammer."""
    words = terms(sentence).words
    pairs = list(itertools.pairwise(words))
    if len(set(pairs)) < len(pairs) or len(words) > len(set(words)) + 1:
        return False
    return set(words) != set(terms(quote).words) and bool(set(words) - set(terms(question).words))


def _digits(number: str) -> str:
    """A number without what separates its digits, since `1,450` and `1 450` are one."""
    return re.sub(r"\D", "", number)


def cited_numbers(text: str) -> list[int]:
    """Numbers of sources in a text, in order of appearance, each once."""
    found: dict[int, None] = {}
    for match in _CITATION.finditer(text):
        for number in re.findall(r"\d+", match.group(1)):
            found[int(number)] = None
    return list(found)


def without_wrong_citations(text: str, allowed: int) -> str:
    """The text without numbers of sources that do not exist."""

    def keep(match: re.Match[str]) -> str:
        numbers = [number for number in re.findall(r"\d+", match.group(1)) if 1 <= int(number) <= allowed]
        return f" [{', '.join(numbers)}]" if numbers else ""

    return _CITATION.sub(keep, text)
