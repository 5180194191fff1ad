"""Which page somebody wants, from what they typed: pure functions over the registry's example questions.

Two judges vote.  The first counts runs of characters (naive Bayes over n-grams of the examples); it knows inflected words,
compounds and most typing errors, needs no model and is ready at once.  The second is a linear classifier over the embedding of the
question; it knows words that no example holds.  Its weights are learnt from the same examples by `scripts/train_navigation.py` and
lie in `navigation.json`; they fit one embedding model, and a probe tells whether the vectors at hand come from that model.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
import re
import statistics
import zlib
from array import array
from dataclasses import dataclass
from importlib import resources
from operator import mul
from typing import TYPE_CHECKING, Final

from insjo.agents.pages import LANGUAGES, PAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insjo.agents.pages import Page

GRAMS: Final = range(2, 7)
"""Lengths of the runs of characters that are counted."""

BUCKETS: Final = 1 << 17
"""Runs are counted by a hash of this many values: two runs seldom share one, and the memory stays small."""

SMOOTHING: Final = 0.3
"""Added to every count, so that a run which a page has not seen does not rule the page out."""

EMBEDDING_WEIGHT: Final = 1.5
"""Weight of the second judge against the first; chosen by cross-validation on the examples alone."""

QUESTION_CHARS_MAX: Final = 400
"""A longer text is no search for a page; its beginning is enough."""

PROBE: Final = "insjo: where does this lead?"
"""Text whose vector tells which embedding model is at work."""

PROBE_COSINE_MIN: Final = 0.995


@dataclass(frozen=True, slots=True)
class RankedPage:
    """A page and how well it fits, in standard deviations above the average page."""

    page: Page
    score: float


def normalise(text: str) -> str:
    """Lower case, without punctuation, with single spaces."""
    return " ".join(re.sub(r"[^\w\s]|_", " ", text[:QUESTION_CHARS_MAX].casefold()).split())


def _runs(text: str) -> set[int]:
    """Buckets of all runs of characters in a text, words' borders included."""
    padded = f" {normalise(text)} "
    return {zlib.crc32(padded[start : start + length].encode()) % BUCKETS for length in GRAMS for start in range(len(padded) - length + 1)}


def page_texts(page: Page) -> tuple[str, ...]:
    """Everything that people may call a page: its examples, keywords and titles in all languages."""
    texts: dict[str, None] = {}
    for language in LANGUAGES:
        texts.update(dict.fromkeys(page.questions[language]))
        texts.update(dict.fromkeys(page.keywords[language]))
        texts[page.title[language]] = None
    return tuple(texts)


def examples_hash() -> str:
    """Hash of all examples, by which `navigation.json` knows whether it is up to date."""
    whole = json.dumps([[page.key, page_texts(page)] for page in PAGES], ensure_ascii=False)
    return hashlib.sha256(whole.encode()).hexdigest()


class CountedRuns:
    """Naive Bayes over runs of characters: each page against all others."""

    def __init__(self, texts_by_page: Sequence[Iterable[str]]) -> None:
        """Count the runs of each page's texts."""
        self._counts = [array("H", bytes(2 * BUCKETS)) for _ in texts_by_page]
        self._all = array("L", bytes(array("L").itemsize * BUCKETS))
        self._totals: list[int] = []
        for counts, texts in zip(self._counts, texts_by_page, strict=True):
            total = 0
            for text in texts:
                for bucket in _runs(text):
                    counts[bucket] += 1
                    self._all[bucket] += 1
                    total += 1
            self._totals.append(total)
        self._seen = sum(1 for count in self._all if count)

    def scores(self, text: str) -> list[float]:
        """One number a page: the log of how much more often the page uses these runs than the others do."""
        known = [bucket for bucket in _runs(text) if self._all[bucket]]
        everything = sum(self._totals)
        prior = SMOOTHING * self._seen
        scale = math.sqrt(len(known)) or 1.0
        scores = []
        for counts, total in zip(self._counts, self._totals, strict=True):
            evidence = sum(math.log((counts[each] + SMOOTHING) / (self._all[each] - counts[each] + SMOOTHING)) for each in known)
            balance = len(known) * math.log((total + prior) / (everything - total + prior))
            scores.append((evidence - balance) / scale)
        return scores


@dataclass(frozen=True, slots=True)
class LearntWeights:
    """The linear classifier over embeddings.

    Attributes:
        model: Name of the embedding model for which it was learnt, for people.
        mean: Average vector of the examples, subtracted from every question (models.md: centring).
        weights: One vector a page, in the order of the registry.
        probe: Vector of PROBE from that model.
    """

    model: str
    examples: str
    mean: array[float]
    weights: tuple[array[float], ...]
    bias: tuple[float, ...]
    probe: array[float]

    def fits(self, probe: Sequence[float]) -> bool:
        """Whether vectors of the model that made this probe can be judged."""
        return len(probe) == len(self.probe) and _cosine(probe, self.probe) >= PROBE_COSINE_MIN

    def scores(self, vector: Sequence[float]) -> list[float]:
        """One number a page."""
        centred = [value - middle for value, middle in zip(vector, self.mean, strict=True)]
        length = math.sqrt(sum(map(mul, centred, centred))) or 1.0
        return [sum(map(mul, centred, weights)) / length + bias for weights, bias in zip(self.weights, self.bias, strict=True)]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Cosine of the angle between two vectors."""
    lengths = math.sqrt(sum(map(mul, one, one)) * sum(map(mul, other, other)))
    return sum(map(mul, one, other)) / lengths if lengths else 0.0


def floats(packed: str | bytes) -> array[float]:
    """Little-endian float32 values, from base64 when it is a text."""
    values = array("f")
    values.frombytes(base64.b64decode(packed) if isinstance(packed, str) else packed)
    return values


def packed(values: Iterable[float]) -> str:
    """Float32 values as base64."""
    return base64.b64encode(array("f", values).tobytes()).decode()


@functools.cache
def counted_runs() -> CountedRuns:
    """The first judge; counting takes about a second, once."""
    return CountedRuns([page_texts(page) for page in PAGES])


@functools.cache
def learnt_weights() -> LearntWeights | None:
    """The second judge as it is shipped; None when it was learnt from other examples or pages than there are."""
    file = resources.files("insjo.agents") / "navigation.json"
    stored: Mapping[str, object] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if stored.get("examples") != examples_hash() or stored.get("pages") != [page.key for page in PAGES]:
        return None
    weights, bias = stored["weights"], stored["bias"]
    assert isinstance(weights, list)  # noqa: S101  # Tells the type checker what the training script writes.
    assert isinstance(bias, list)  # noqa: S101  # As above.
    return LearntWeights(
        model=str(stored["model"]),
        examples=str(stored["examples"]),
        mean=floats(str(stored["mean"])),
        weights=tuple(floats(str(each)) for each in weights),
        bias=tuple(float(each) for each in bias),
        probe=floats(str(stored["probe"])),
    )


def rank_pages(text: str, vector: Sequence[float] | None = None) -> list[RankedPage]:
    """All pages, the best first.

    Args:
        text: What somebody typed.
        vector: Its embedding as a query by the model of `learnt_weights()`; None while that model is not there.
    """
    judged = standardised(counted_runs().scores(text))
    learnt = learnt_weights()
    if vector is not None and learnt is not None:
        second = standardised(learnt.scores(vector))
        judged = [one + EMBEDDING_WEIGHT * other for one, other in zip(judged, second, strict=True)]
    ranked = [RankedPage(page, score) for page, score in zip(PAGES, standardised(judged), strict=True)]
    return sorted(ranked, key=lambda each: -each.score)


def standardised(scores: Sequence[float]) -> list[float]:
    """Scores with mean 0 and standard deviation 1, so that two judges can be added."""
    middle, spread = statistics.fmean(scores), statistics.pstdev(scores)
    return [(score - middle) / spread for score in scores] if spread else [0.0 for _ in scores]
