"""Vectors, from this machine and from elsewhere, under the same law."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from insjo.access.errors import FlowBlocked
from insjo.access.types import Label, Level, Provenance
from insjo.gateway.errors import ProviderGarbled, RequestInvalid
from insjo.gateway.service.embeddings import read_vectors
from insjo.gateway.types import EmbeddingRequest, EndpointSpec, Task
from insjo.testing.models import DIMENSIONS
from tests.support.gateway import Installation

T = TypeVar("T")
CONFIDENTIAL = Provenance(Label(Level.CONFIDENTIAL))
EMBED = "embed-outside"


def run(made: Installation, work: Awaitable[T]) -> T:
    async def inside() -> T:
        try:
            return await work
        finally:
            await made.gateway.embeddings._provider.close()

    return asyncio.run(inside())


@pytest.fixture
def outside(made: Installation) -> Installation:
    made.gateway.endpoints.create(made.admin, EndpointSpec(EMBED, Task.EMBEDDINGS, (made.served(),)))
    made.grant("anna", EMBED)
    return made


def create(made: Installation, endpoint: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  # Fields of the wire.
    body = json.dumps({"model": endpoint, **fields}).encode()
    answer = run(made, made.gateway.embeddings.create(made.person("anna"), EmbeddingRequest(body)))
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_vectors_of_this_machine_in_both_forms(made: Installation) -> None:
    plain = create(made, "insjo-embed", input=["a b", "c"])
    packed = create(made, "insjo-embed", input=["a b", "c"], encoding_format="base64")
    assert [row["index"] for row in plain["data"]] == [0, 1]
    assert len(plain["data"][0]["embedding"]) == DIMENSIONS
    for left, right in zip(plain["data"], packed["data"], strict=True):
        numbers = struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(right["embedding"]))
        assert numbers == pytest.approx(left["embedding"])
    assert plain["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    row = made.gateway.usage.list(made.admin).items[0]
    assert (row.task, row.input_tokens, row.cost, row.served_model) == ("embeddings", 3, 0.0, "hashed")


def test_vectors_from_elsewhere_pass_as_they_are(outside: Installation) -> None:
    found = create(outside, EMBED, input="a b", encoding_format="base64")
    assert len(base64.b64decode(found["data"][0]["embedding"])) == 32
    assert outside.outside.requests[0].json() == {"model": "recorder-1", "input": "a b", "encoding_format": "base64"}
    assert outside.outside.requests[0].path == "/v1/embeddings"


def test_inside_callers_get_the_same_from_both(outside: Installation) -> None:
    for endpoint, dimensions in ((EMBED, 8), ("insjo-embed", DIMENSIONS)):
        answer = run(outside, outside.gateway.embeddings.embed(outside.person("anna"), endpoint, ["x", "y", "x"], "query"))
        assert answer.dimensions == dimensions
        assert answer.vectors[0] == answer.vectors[2] != answer.vectors[1]
        assert answer.floats()[0] == pytest.approx(struct.unpack(f"<{dimensions}f", answer.vectors[0]))
    assert outside.embedding.seen[-1].kind == "query"


def test_many_texts_go_in_groups_and_come_back_in_order(made: Installation) -> None:
    texts = [f"word{number}" for number in range(2500)]
    answer = run(made, made.gateway.embeddings.embed(made.person("anna"), "insjo-embed", texts, "passage"))
    assert len(answer.vectors) == 2500
    assert [len(each.texts) for each in made.embedding.seen] == [2048, 452]
    assert answer.usage.input_tokens == 2500


def test_nothing_cannot_be_embedded(made: Installation) -> None:
    with pytest.raises(RequestInvalid):
        run(made, made.gateway.embeddings.embed(made.person("anna"), "insjo-embed", [], "query"))


def test_labelled_texts_are_embedded_at_home_or_not_at_all(outside: Installation) -> None:
    embeddings = outside.gateway.embeddings
    with pytest.raises(FlowBlocked):
        run(outside, embeddings.embed(outside.person("anna"), EMBED, ["salary"], "passage", CONFIDENTIAL))
    outside.protect("Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund")
    with pytest.raises(FlowBlocked):
        create(outside, EMBED, input=["so", "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"])
    assert not outside.outside.requests
    assert run(outside, embeddings.embed(outside.person("anna"), "insjo-embed", ["salary"], "passage", CONFIDENTIAL)).vectors


def test_the_length_of_vectors_of_this_machine_is_fixed(made: Installation) -> None:
    assert create(made, "insjo-embed", input="a", dimensions=DIMENSIONS)
    with pytest.raises(RequestInvalid, match="`hashed` gives vectors of 32"):
        create(made, "insjo-embed", input="a", dimensions=7)


def test_a_thread_can_ask(made: Installation) -> None:
    found: list[int] = []

    async def main() -> None:
        await made.gateway.start()
        ctx = made.person("anna")
        thread = threading.Thread(
            target=lambda: found.append(made.gateway.embeddings.embed_sync(ctx, "insjo-embed", ["a"], "passage").dimensions)
        )
        thread.start()
        await asyncio.to_thread(thread.join)

    asyncio.run(main())
    found.append(made.gateway.embeddings.embed_sync(made.person("anna"), "insjo-embed", ["a"], "passage").dimensions)
    assert found == [DIMENSIONS, DIMENSIONS]


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"index":1,"embedding":[1]}]}',
        b'{"data":[{"index":0,"embedding":[]}]}',
        b'{"data":[{"index":0,"embedding":"!!"}]}',
        b'{"data":[{"index":0,"embedding":"AAA="}]}',
        b'{"data":[{"index":0,"embedding":[1e400]}]}',
        b'{"data":[{"index":0,"embedding":[1e39]}]}',
        b"nonsense",
    ],
)
def test_answers_without_the_vectors_are_garbled(content: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        read_vectors(content, 1)


def test_vectors_are_put_in_order() -> None:
    content = json.dumps({"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]}).encode()
    assert read_vectors(content, 2) == (struct.pack("<f", 1.0), struct.pack("<f", 2.0))
    with pytest.raises(ProviderGarbled):
        read_vectors(json.dumps({"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]}).encode(), 2)
