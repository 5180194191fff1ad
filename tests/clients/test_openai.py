"""Models, chat and embeddings through the official `openai` package, with the models that Insjö carries."""

from __future__ import annotations

import base64
import json
import math
import struct
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, cast

import openai
import pytest
from openai import OpenAI

from insjo.testing.recorder import Recorder as Provider
from tests.clients.conftest import Recorder, Site
from tests.support.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT, EMBED = "insjo-chat", "insjo-embed"
MODEL_S = 240.0
"""The first answer waits for the model to load, on a machine that may be busy."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with the packaged models."""
    with RunningServer(tmp_path_factory.mktemp("models") / "data") as server:
        yield Site(server)


def connect(site: Site, name: str = "admin", *, base: str = "/v1", key: str | None = None) -> OpenAI:
    return OpenAI(base_url=site.server.url + base, api_key=site.token(name) if key is None else key, max_retries=0, timeout=MODEL_S)


@pytest.fixture
def client(models: Site, called: set[str]) -> OpenAI:
    return cast("OpenAI", Recorder(connect(models), called))


@pytest.fixture(scope="module")
def outside(models: Site) -> Iterator[Provider]:
    """A provider elsewhere that records what it is sent, behind the endpoint `outside`."""
    with Provider(api_key="sk-outside").running() as provider:
        form = {"name": "outside", "kind": "openai", "model": "recorder-1", "served_name": "away", "base_url": provider.base_url}
        form |= {"api_key": "sk-outside"}
        request = urllib.request.Request(f"{models.server.url}/endpoints", urllib.parse.urlencode(form).encode(), method="POST")
        request.add_header("authorization", f"Bearer {models.token('admin')}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.url.endswith("/endpoints/outside"), answer.read().decode()
        yield provider


def vector_of(text: str) -> list[float]:
    """Floats of a vector in base64, as the client itself decodes it."""
    raw = base64.b64decode(text)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


# --------------------------------------------------------------------------------------------------------------------- models


@pytest.mark.covers("models.list", "models.retrieve")
def test_models_are_the_endpoints_that_one_may_use(client: OpenAI, models: Site, outside: Provider) -> None:
    assert {each.id for each in client.models.list()} == {CHAT, EMBED, "outside"}
    one = client.models.retrieve(CHAT)
    assert (one.id, one.object, one.owned_by) == (CHAT, "model", "insjo")
    assert {each.id for each in connect(models, "openai.plain").models.list()} == {CHAT, EMBED}
    with pytest.raises(openai.NotFoundError, match="Did you mean `insjo-chat`"):
        client.models.retrieve("insjo-chatt")


# ----------------------------------------------------------------------------------------------------------------------- chat


@pytest.mark.covers("chat.completions.create")
def test_a_whole_answer_of_the_local_model(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=CHAT,
        messages=[{"role": "system", "content": "You answer in one short sentence."}, {"role": "user", "content": "What is a lake?"}],
        max_tokens=24,
        temperature=0,
    )
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert len((answer.choices[0].message.content or "").split()) > 2
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 10
    assert 0 < answer.usage.completion_tokens <= 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.covers("chat.completions.create")
def test_a_streamed_answer_is_the_same_answer_in_pieces(client: OpenAI) -> None:
    asked = {"model": CHAT, "messages": [{"role": "user", "content": "Count from one to five."}], "max_tokens": 20, "temperature": 0}
    whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]  # One dictionary for both calls.
    events = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))  # type: ignore[call-overload]  # As above.
    pieces = [event.choices[0].delta.content or "" for event in events if event.choices]
    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(pieces) == whole.choices[0].message.content
    assert [event.choices[0].finish_reason for event in events if event.choices][-1] in {"stop", "length"}
    assert events[-1].usage is not None
    assert events[-1].usage.completion_tokens > 0
    assert len({event.id for event in events}) == 1


def test_a_stream_can_be_left_in_the_middle(client: OpenAI) -> None:
    for _ in range(3):
        stream = client.chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "Tell a very long story about a fish."}], max_tokens=400, stream=True
        )
        with stream:
            next(iter(stream))
    after = client.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "Hi"}], max_tokens=2)
    assert after.choices


def test_the_other_addresses_of_the_door(models: Site) -> None:
    for base in ("/serving-endpoints", "/ai-gateway/mlflow/v1", "/ai-gateway/openai/v1"):
        answer = connect(models, base=base).chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "Say hi."}], max_tokens=3
        )
        assert answer.choices[0].message.role == "assistant"


# ----------------------------------------------------------------------------------------------------------------- embeddings


@pytest.mark.covers("embeddings.create")
def test_embeddings_as_floats_and_as_base64_are_the_same(client: OpenAI) -> None:
    texts = ["Sjön är djup.", "The lake is deep.", "Invoices are paid within thirty days."]
    floats = client.embeddings.create(model=EMBED, input=texts, encoding_format="float")
    vectors = [each.embedding for each in sorted(floats.data, key=lambda each: each.index)]
    assert {len(vector) for vector in vectors} == {384}
    encoded = client.embeddings.create(model=EMBED, input=texts, encoding_format="base64")
    raw = [cast("object", each.embedding) for each in encoded.data]
    assert all(isinstance(each, str) for each in raw)
    for vector, text in zip(vectors, raw, strict=True):
        assert vector == pytest.approx(vector_of(str(text)), abs=1e-6)
    default = client.embeddings.create(model=EMBED, input=texts[0])
    assert default.data[0].embedding == pytest.approx(vectors[0], abs=1e-5)
    assert floats.usage.total_tokens > 0

    def alike(one: list[float], other: list[float]) -> float:
        size = math.sqrt(sum(x * x for x in one)) * math.sqrt(sum(x * x for x in other))
        return sum(x * y for x, y in zip(one, other, strict=True)) / size

    assert alike(vectors[0], vectors[1]) > alike(vectors[0], vectors[2])


# --------------------------------------------------------------------------------------------------------------------- errors


def test_each_kind_of_error_is_the_class_that_people_catch(models: Site, outside: Provider) -> None:
    good = connect(models)
    messages = [{"role": "user", "content": "Hi"}]

    def ask(client: OpenAI, **changes: object) -> object:
        asked: dict[str, Any] = {"model": CHAT, "messages": messages, "max_tokens": 2} | changes
        return client.chat.completions.create(**asked)

    with pytest.raises(openai.AuthenticationError, match="wrong or expired"):
        ask(connect(models, key="sk-wrong"))
    with pytest.raises(openai.NotFoundError, match="Did you mean `insjo-chat`"):
        ask(good, model="insjo-chad")
    with pytest.raises(openai.NotFoundError):
        ask(connect(models, "openai.plain"), model="outside")
    with pytest.raises(openai.PermissionDeniedError) as blocked:
        ask(good, model="outside")
    assert blocked.value.code == "flow_blocked"
    assert not outside.requests, "content above its clearance reached the provider"
    wrongs: list[dict[str, object]] = [{"messages": []}, {"messages": "Hi"}, {"temperature": "hot"}, {"model": EMBED}, {"max_tokens": -5}]
    for wrong in wrongs:
        with pytest.raises(openai.BadRequestError) as refused:
            ask(good, **wrong)
        assert refused.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError):
        good.embeddings.create(model=CHAT, input="x")
    with pytest.raises(openai.BadRequestError):
        good.embeddings.create(model=EMBED, input=[])


@pytest.mark.covers("responses.create", "responses.retrieve", "responses.delete")
def test_the_packaged_model_answers_responses(client: OpenAI) -> None:
    first = client.responses.create(model=CHAT, input="Say hello.", max_output_tokens=12)
    assert first.output_text
    again = client.responses.create(model=CHAT, input="Say it again.", previous_response_id=first.id, max_output_tokens=12)
    assert client.responses.retrieve(again.id).previous_response_id == first.id
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=CHAT, input="And again.", previous_response_id=first.id)


def test_parts_of_the_api_that_are_not_there_say_so(client: OpenAI) -> None:
    for call in (
        lambda: client.completions.create(model=CHAT, prompt="Hi"),
        lambda: client.moderations.create(input="Hi"),
    ):
        with pytest.raises(openai.InternalServerError, match="not implemented") as missing:
            call()
        assert missing.value.status_code == 501


def test_what_was_used_is_found_by_sql(models: Site, client: OpenAI) -> None:
    client.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "Hi"}], max_tokens=2)
    body = json.dumps(
        {
            "statement": "SELECT count(*), min(output_tokens) FROM system.ai.usage WHERE endpoint = 'insjo-chat' AND output_tokens <= 2",
            "wait_timeout": "50s",
        }
    )
    request = urllib.request.Request(f"{models.server.url}/api/2.0/sql/statements", body.encode(), method="POST")
    request.add_header("authorization", f"Bearer {models.token('admin')}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        told = json.load(answer)
    assert told["status"]["state"] == "SUCCEEDED", told
    assert int(told["result"]["data_array"][0][0]) >= 1
