"""The Responses API through the official client of OpenAI, over a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import openai
import pytest

from insjo.access.types import Privilege
from insjo.gateway.service import responses as room
from insjo.testing.recorder import Fault, Script
from tests.support.gateway import OUTSIDE, Installation, installation, served

SECRET_TEXT = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("responses")) as found, served(found) as running:
        running.make_outside(fallback="insjo-chat")
        running.grant("anna", OUTSIDE)
        running.grant("bo", OUTSIDE)
        yield running


def client_of(made: Installation, name: str = "anna") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{made.url}/v1", api_key=made.token(name), max_retries=0)


@pytest.fixture
def client(made: Installation) -> openai.OpenAI:
    return client_of(made)


def sent(made: Installation) -> Any:  # noqa: ANN401  # JSON is what it is.
    return made.outside.requests[-1].json()


def test_a_text_is_answered(made: Installation, client: openai.OpenAI) -> None:
    response = client.responses.create(model=OUTSIDE, input="hello lake", instructions="Be brief.", max_output_tokens=50, temperature=0.5)
    assert (response.output_text, response.status, response.model) == ("Echo: hello lake", "completed", OUTSIDE)
    assert response.usage
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    body = sent(made)
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello lake"}]
    assert (body["max_tokens"], body["temperature"]) == (50, 0.5)


def test_a_stream_has_all_its_events_in_order(client: openai.OpenAI) -> None:
    with client.responses.stream(model=OUTSIDE, input="hello lake") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert final.output_text == "Echo: hello lake"
    assert final.usage


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_goes_on_from_an_earlier_one(made: Installation, client: openai.OpenAI, *, stream: bool) -> None:
    first = client.responses.create(model=OUTSIDE, input="my name is Anna", instructions="Be brief.")
    if stream:
        with client.responses.stream(model=OUTSIDE, input="who am I?", previous_response_id=first.id) as events:
            events.until_done()
            second = events.get_final_response()
    else:
        second = client.responses.create(model=OUTSIDE, input="who am I?", previous_response_id=first.id)  # type: ignore[assignment]  # The same in use.
    assert [(each["role"], each["content"]) for each in sent(made)["messages"]] == [
        ("user", "my name is Anna"),
        ("assistant", "Echo: my name is Anna"),
        ("user", "who am I?"),
    ], "instructions hold for one response only"
    assert second.previous_response_id == first.id
    third = client.responses.create(model=OUTSIDE, input="go on", previous_response_id=second.id)
    assert len(sent(made)["messages"]) == 5
    assert client.responses.retrieve(third.id).output_text == "Echo: go on"
    (item,) = client.responses.input_items.list(third.id).data
    assert item.type == "message"


def test_what_is_stored_is_its_owners_alone_and_can_be_forgotten(made: Installation, client: openai.OpenAI) -> None:
    first = client.responses.create(model=OUTSIDE, input="mine")
    other = client_of(made, "bo")
    for attempt in (
        lambda: other.responses.retrieve(first.id),
        lambda: other.responses.delete(first.id),
        lambda: other.responses.input_items.list(first.id),
        lambda: other.responses.create(model=OUTSIDE, input="x", previous_response_id=first.id),
        lambda: client.responses.retrieve("resp_nothing"),
    ):
        with pytest.raises(openai.NotFoundError, match="There is no response"):
            attempt()
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    unkept = client.responses.create(model=OUTSIDE, input="do not keep", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unkept.id)


def test_old_responses_make_room(made: Installation, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "STORED_MAX", 3)
    kept = [client.responses.create(model=OUTSIDE, input=f"number {number}").id for number in range(5)]
    assert [len(client.responses.retrieve(each).output) for each in kept[2:]] == [1, 1, 1]
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(kept[0])
    monkeypatch.setattr(room, "KEPT", timedelta(0))
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(kept[4])


def test_a_chain_never_loses_the_label_of_what_it_stands_on(made: Installation, client: openai.OpenAI) -> None:
    made.protect(SECRET_TEXT)
    made.inside.default = Script(text="A short summary.")
    first = client.responses.with_raw_response.create(model=OUTSIDE, input=f"Summarise: {SECRET_TEXT}")
    assert first.headers["x-insjo-route"].startswith("rerouted")
    chain = first.parse().id
    for said in ("make it shorter", "and in Swedish"):
        raw = client.responses.with_raw_response.create(model=OUTSIDE, input=said, previous_response_id=chain)
        assert raw.headers["x-insjo-route"].startswith("rerouted"), "the answer stands on it, whatever it says"
        chain = raw.parse().id
    assert not [each for each in made.outside.requests if b"98765" in each.body or b"shorter" in each.body]


def test_functions_are_called_and_answered(made: Installation, client: openai.OpenAI) -> None:
    tool: Any = {
        "type": "function",
        "name": "depth",
        "parameters": {"type": "object", "properties": {"lake": {"type": "string"}}},
        "strict": False,
    }
    call = {"type": "function_call", "call_id": "call_1", "name": "depth", "arguments": '{"lake": "Siljan"}'}
    answer = {"type": "function_call_output", "call_id": "call_1", "output": "134 m"}
    said: Any = [{"role": "user", "content": "How deep is Siljan?"}, call, answer]
    response = client.responses.create(model=OUTSIDE, input=said, tools=[tool], tool_choice={"type": "function", "name": "depth"})
    body = sent(made)
    assert body["tools"] == [{"type": "function", "function": {name: tool[name] for name in ("name", "parameters", "strict")}}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "depth"}}
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "tool"]
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "depth", "arguments": '{"lake": "Siljan"}'}
    assert response.output_text == "Echo: 134 m"


def test_a_schema_for_the_answer_is_passed_on(made: Installation, client: openai.OpenAI) -> None:
    form: Any = {"format": {"type": "json_schema", "name": "lake", "schema": {"type": "object"}, "strict": True}}
    client.responses.create(model=OUTSIDE, input="x", text=form)
    assert sent(made)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "lake", "schema": {"type": "object"}, "strict": True},
    }


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"input": 5}, 400),
        ({"input": [{"role": "wizard", "content": "x"}]}, 400),
        ({"input": "x", "colour": "blue"}, 400),
        ({}, 400),
        ({"input": "x", "tools": [{"type": "web_search"}]}, 501),
        ({"input": "x", "background": True}, 501),
        ({"input": [{"type": "item_reference", "id": "x"}]}, 501),
        ({"input": "x", "previous_response_id": 7}, 400),
    ],
)
def test_what_cannot_be_answered_is_refused_in_openais_form(client: openai.OpenAI, wrong: dict[str, Any], status: int) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/responses", body={"model": OUTSIDE, **wrong}, cast_to=object)
    assert refused.value.status_code == status
    assert refused.value.message


def test_failures_of_the_provider_come_as_errors(made: Installation, client: openai.OpenAI) -> None:
    made.outside.default = Script(fault=Fault.STATUS, status=400)
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=OUTSIDE, input="x")
    made.outside.default = Script(fault=Fault.RESET_MID_STREAM)
    kinds = [event.type for event in client.responses.create(model=OUTSIDE, input="one two three four five", stream=True)]
    assert kinds[-1] == "error"
    assert "response.completed" not in kinds


def test_a_call_of_a_function_is_streamed(made: Installation, client: openai.OpenAI) -> None:
    from insjo.gateway.service.responses_wire import EventWriter, shell_of

    writer = EventWriter(shell_of({}, "resp_x", OUTSIDE, 0))
    chunks: list[dict[str, Any]] = [
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "depth", "arguments": ""}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"la'}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": 'ke":1}'}}]}, "finish_reason": "tool_calls"}]},
    ]
    events = writer.begin() + b"".join(writer.feed(chunk) for chunk in chunks)
    ending, items = writer.close_items()
    told = [json.loads(line[5:]) for line in (events + ending).split(b"\n") if line.startswith(b"data:")]
    assert [each["sequence_number"] for each in told] == list(range(len(told)))
    assert [each["type"].removeprefix("response.") for each in told[2:]] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert [(each["type"], each["name"], each["arguments"], each["call_id"]) for each in items] == [
        ("function_call", "depth", '{"lake":1}', "c1")
    ]


def test_nobody_without_rights_is_answered(made: Installation) -> None:
    made.person("eve")
    with pytest.raises(openai.NotFoundError):
        client_of(made, "eve").responses.create(model=OUTSIDE, input="x")
    made.grant("eve", OUTSIDE, Privilege.EXECUTE)
    assert client_of(made, "eve").responses.create(model=OUTSIDE, input="x").output_text == "Echo: x"
