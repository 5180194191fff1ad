"""How passages are scored: centred cosines, and the share of a question's words that a passage has.

Pure functions.  Every number that goes in comes from passages that the caller may read, or from constants.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PRIOR_PASSAGES = 10
"""How many passages the general mean counts for, beside the mean of those that are visible."""


def mean_of(total: np.ndarray, count: int, prior: np.ndarray) -> np.ndarray:
    """Mean of the visible passages, drawn towards the general one when they are few."""
    return np.asarray((total + PRIOR_PASSAGES * prior) / (count + PRIOR_PASSAGES), dtype=np.float32)


def direction_of(question: np.ndarray, question_mean: np.ndarray) -> np.ndarray:
    """The centred question at length one: what passages are compared with."""
    centred = np.asarray(question - question_mean, dtype=np.float32)
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-9), dtype=np.float32)


def similarities(direction: np.ndarray, passages: np.ndarray, passage_mean: np.ndarray) -> np.ndarray:
    """Cosine of each centred passage with the centred question."""
    centred = passages - passage_mean
    lengths = np.maximum(np.linalg.norm(centred, axis=1), 1e-9)
    return np.asarray((centred @ direction) / lengths, dtype=np.float32)


def rarity(frequency: int, passages: int) -> float:
    """Weight of a term (the idf of BM25): large for one that stands in few passages."""
    return math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5))


def weights(frequencies: Mapping[str, int], passages: int) -> dict[str, float]:
    """Share of each of the question's terms in the whole question, the rare ones counting more; the shares add up to 1."""
    rarities = {term: rarity(frequency, passages) for term, frequency in frequencies.items()}
    total = sum(rarities.values())
    return {term: value / total for term, value in rarities.items()} if total > 0 else {}


def coverage(shares: Mapping[str, float], has: Callable[[str], bool]) -> float:
    """Share of the question that a passage has, 0 to 1."""
    return sum(share for term, share in shares.items() if has(term))
