"""Where in a text the sensitive values stand, and typed placeholders in their place.

Nobody relies on this finding everything: what is redacted is labelled anew from the beginning, and what was missed keeps its label.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from insjo.access.service.contacts import contact_spans
from insjo.access.service.detectors import detected_spans
from insjo.access.service.words import INVISIBLE, normal, number_forms, numbers_in, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from insjo.access.service.words import Index

_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER_RUN: Final = re.compile(r"\d+(?:[ -]\d+)*")


class Span(NamedTuple):
    """A sensitive value in a text: from `start` up to `end`."""

    start: int
    end: int
    kind: str


class Redactor:
    """Replaces the values of one request by placeholders; the same value has the same placeholder everywhere in it.

    Attributes:
        values: What each placeholder stands for.
    """

    def __init__(self, index: Index, hits: frozenset[int], whole: str) -> None:
        """Look for these hashes and for what the detectors know; `whole` is all text of the request."""
        self._index = index
        self._hits = hits
        self._whole = whole
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self.values: dict[str, str] = {}

    def text(self, text: str) -> str:
        """The text with placeholders; a text with sensitive values also loses invisible and compatibility characters."""
        plain = text if text.isascii() else unicodedata.normalize("NFKC", INVISIBLE.sub("", text))
        certain = [*itertools.starmap(Span, detected_spans(plain)), *_known_spans(self._index, self._hits, plain)]
        spans = _joined([*certain, *_beside(certain, itertools.starmap(Span, contact_spans(plain)))])
        if not spans:
            return text
        parts, at = [], 0
        for span in spans:
            parts += [plain[at : span.start], self._placeholder(span.kind, plain[span.start : span.end])]
            at = span.end
        return "".join([*parts, plain[at:]])

    def _placeholder(self, kind: str, value: str) -> str:
        key = " ".join(words_of(normal(value))) or value
        known = self._placeholders.get(key)
        if known is not None:
            return known
        while True:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            made = f"[{kind.upper()}_{self._counts[kind]}]"
            if made not in self._whole:
                break
        self._placeholders[key] = made
        self.values[made] = value
        return made


def _beside(certain: list[Span], others: Iterable[Span]) -> Iterator[Span]:
    """Those of the others that touch nothing that is certain."""
    for span in others:
        if not any(span.start < each.end and each.start < span.end for each in certain):
            yield span


def _joined(spans: list[Span]) -> list[Span]:
    """Spans in order; those that overlap are one, of the kind of the first."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start < found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end), found[-1].kind)
        else:
            found.append(span)
    return found


def _known_spans(index: Index, hits: frozenset[int], text: str) -> Iterator[Span]:
    """Places of values whose hashes are among the hits."""
    if not hits:
        return
    words: list[str] = []
    places: list[tuple[int, int]] = []
    for found in _WORD.finditer(text):
        for word in words_of(normal(found.group())):
            words.append(word)
            places.append(found.span())
    hashes = index.hashes(words)
    for word, (start, end) in zip(words, places, strict=True):
        if hashes[word] in hits:
            yield Span(start, end, "value")
    for at, (first, second) in enumerate(itertools.pairwise(words)):
        for length in index.lengths_of(hashes[first], hashes[second]):
            if at + length <= len(words) and index.hash_of(" ".join(words[at : at + length])) in hits:
                yield Span(places[at][0], places[at + length - 1][1], "value")
    for run in _NUMBER_RUN.finditer(text):
        numbers = {*numbers_in(run.group()), run.group()}
        if any(index.hash_of(form) in hits for number in numbers for form in (number, *number_forms(number))):
            yield Span(*run.span(), "value")
