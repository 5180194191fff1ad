"""Mean vectors of the embedding model of an index, from texts about nothing in particular; made once and kept beside the index."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from insjo.access.types import PUBLIC, Provenance
from insjo.kernel.context import system_context
from insjo.retrieval import general

if TYPE_CHECKING:
    from insjo.gateway.types import EmbeddingAnswer, EmbeddingKind
    from insjo.retrieval.service.parts import Parts

FILE = "general.npz"


@dataclass(frozen=True, slots=True)
class Means:
    """Where questions and passages of this model lie on average."""

    question: np.ndarray
    passage: np.ndarray


def read_means(folder: Path) -> Means:
    """The means of an index; OSError when they were not made yet."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as stored:
            return Means(stored["question"], stored["passage"])
    except (ValueError, KeyError, EOFError) as error:
        message = f"the means in {folder} are damaged"
        raise OSError(message) from error


def ensure_means(parts: Parts, folder: Path, endpoint: str) -> Means:
    """The means of an index, made if they are not there."""
    try:
        return read_means(folder)
    except OSError:
        pass
    question = _mean(parts, endpoint, general.QUESTIONS, "query")
    passage = _mean(parts, endpoint, general.PASSAGES, "passage")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".npz")
    with os.fdopen(descriptor, "wb") as file:
        np.savez(file, question=question, passage=passage)
    Path(name).replace(folder / FILE)
    return Means(question, passage)


def _mean(parts: Parts, endpoint: str, texts: tuple[str, ...], kind: EmbeddingKind) -> np.ndarray:
    """Mean of the vectors of constant texts, which are no secret."""
    answer = parts.gateway.embeddings.embed_sync(system_context("job"), endpoint, texts, kind, Provenance(PUBLIC))
    return np.asarray(matrix_of(answer).mean(axis=0), dtype=np.float32)


def matrix_of(answer: EmbeddingAnswer) -> np.ndarray:
    """Vectors of an answer, one a row."""
    return np.stack([np.frombuffer(vector, dtype="<f4") for vector in answer.vectors])
