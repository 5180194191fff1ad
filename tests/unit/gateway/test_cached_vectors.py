"""Vectors on disk: found by those who may find them, never half, never more than the folder may hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from insjo.access.types import ALL, Clearance, Label, Level, Provenance
from insjo.gateway.service.cached_vectors import VectorCache, VectorScope
from insjo.gateway.types import EmbeddingAnswer, EndpointSpec, Policy, ServedKind, ServedModelSpec, Task
from tests.support.gateway import Installation, installation

INTERNAL = Provenance(Label(Level.INTERNAL))
SECRET = Provenance(Label(Level.CONFIDENTIAL))
SCOPE = VectorScope(b"one" * 10, 4, None)
OTHER = VectorScope(b"two" * 10, 4, None)


def vector(number: int) -> bytes:
    return number.to_bytes(4, "little") * 4


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "house") as made:
        cache = VectorCache(tmp_path / "vectors", 2**20)
        made.gateway.embeddings._cache = cache
        yield made
        cache.close()


def embed(made: Installation, name: str, *texts: str, endpoint: str = "insjo-embed", provenance: Provenance = INTERNAL) -> EmbeddingAnswer:
    async def inside() -> EmbeddingAnswer:
        try:
            return await made.gateway.embeddings.embed(made.person(name), endpoint, texts, "passage", provenance)
        finally:
            await made.gateway.completions._provider.close()

    return asyncio.run(inside())


def test_texts_that_did_not_change_are_not_embedded_again(made: Installation) -> None:
    first = embed(made, "anna", "one", "two", "one")
    asked = len(made.embedding.seen)
    second = embed(made, "anna", "two", "three", "one")
    assert [each.texts for each in made.embedding.seen[asked:]] == [("three",)]
    assert second.vectors == (first.vectors[1], second.vectors[1], first.vectors[0])
    assert first.vectors[0] == first.vectors[2]
    asked = len(made.embedding.seen)
    assert embed(made, "anna", "three", "two").vectors == (second.vectors[1], first.vectors[1])
    assert len(made.embedding.seen) == asked
    rows = made.gateway.usage.list(made.admin).items
    assert max(each.cached_tokens for each in rows) > 0


def test_other_people_labels_and_kinds_are_embedded_for_themselves(made: Installation) -> None:
    embed(made, "anna", "one")
    asked = len(made.embedding.seen)
    embed(made, "bert", "one")
    embed(made, "anna", "one", provenance=SECRET)
    assert len(made.embedding.seen) == asked + 2


def test_vectors_of_a_provider_are_kept_when_the_endpoint_says_so(made: Installation) -> None:
    for name, cache_s in (("kept", 600), ("anew", 0)):
        clearance = Clearance("", level=Level.INTERNAL, categories=ALL, zone="any", keeps=False)
        served = ServedModelSpec("paid", ServedKind.OPENAI, "recorder-1", made.outside.base_url, clearance=clearance)
        made.gateway.endpoints.create(made.admin, EndpointSpec(name, Task.EMBEDDINGS, (served,), Policy(cache_s=cache_s)))
    for endpoint, sent in (("kept", 2), ("anew", 3)):
        made.outside.clear()
        found = [embed(made, "boss", *texts, endpoint=endpoint).vectors for texts in (("a", "b"), ("b", "c"), ("c", "a"))]
        assert found[0][1] == found[1][0]
        assert found[1][1] == found[2][0]
        assert len(made.outside.requests) == sent
    made.outside.clear()
    embed(made, "boss", "c", "d", endpoint="kept")
    assert [each.json()["input"] for each in made.outside.requests] == [["d"]]


def test_a_vector_is_found_again_after_a_restart_and_by_nobody_else(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, 10_000)
    cache.put(SCOPE, ["a", "b"], [vector(1), vector(2)])
    cache.close()
    again = VectorCache(tmp_path, 10_000)
    assert again.find(SCOPE, ["b", "c", "a"]) == [vector(2), None, vector(1)]
    assert again.find(OTHER, ["a", "b"]) == [None, None]
    assert again.find(VectorScope(SCOPE.prefix, 4, -1.0), ["a"]) == [None], "it is too old"
    again.close()
    held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"one" not in held


def test_a_slot_that_was_half_written_is_empty(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, 10_000)
    cache.put(SCOPE, ["a"], [vector(7)])
    cache.close()
    path = tmp_path / "vectors-4"
    content = bytearray(path.read_bytes())
    content[content.index(vector(7)) + 3] ^= 1
    path.write_bytes(bytes(content))
    again = VectorCache(tmp_path, 10_000)
    assert again.find(SCOPE, ["a"]) == [None]
    again.put(SCOPE, ["a"], [vector(8)])
    assert again.find(SCOPE, ["a"]) == [vector(8)]
    again.close()


def test_its_size_has_a_limit_and_the_newest_stay(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, 4_800)
    texts = [str(number) for number in range(500)]
    for number, text in enumerate(texts):
        cache.put(SCOPE, [text], [vector(number)])
    found = cache.find(SCOPE, texts)
    assert sum(each is not None for each in found) <= 100
    assert found[-1] == vector(499)
    assert all(each in {None, vector(number)} for number, each in enumerate(found))
    assert (tmp_path / "vectors-4").stat().st_size <= 4_800
    cache.close()
    smaller = VectorCache(tmp_path, 2_400)
    assert smaller.find(SCOPE, texts[-1:]) == [None], "with another limit everything lies elsewhere"
    smaller.close()
