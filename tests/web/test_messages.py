"""Anthropic's Messages API through the official `anthropic` client, over a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from insjo.gateway.service.messages_wire import MessageEvents
from insjo.gateway.types import LimitSpec, TokenUsage
from insjo.testing.recorder import Fault, Script
from tests.support.gateway import OUTSIDE, Installation, installation, served

SECRET_TEXT = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"
HELLO: Any = [{"role": "user", "content": "hello lake"}]


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("messages")) as found, served(found) as running:
        running.make_outside(fallback="insjo-chat")
        running.grant("anna", OUTSIDE)
        yield running


def client_of(made: Installation, name: str = "anna") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=made.url, api_key=made.token(name), max_retries=0)


@pytest.fixture
def client(made: Installation) -> anthropic.Anthropic:
    return client_of(made)


def sent(made: Installation) -> Any:  # noqa: ANN401  # JSON is what it is.
    return made.outside.requests[-1].json()


def said(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message_is_answered(made: Installation, client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model=OUTSIDE, max_tokens=50, messages=HELLO, system="Be brief.", stop_sequences=["END"], extra_body={"temperature": 0.5}
    )
    assert (said(message), message.stop_reason, message.model, message.role) == ("Echo: hello lake", "end_turn", OUTSIDE, "assistant")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    body = sent(made)
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello lake"}]
    assert (body["max_tokens"], body["temperature"], body["stop"]) == (50, 0.5, ["END"])


def test_a_message_is_streamed(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model=OUTSIDE, max_tokens=50, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == said(final) == "Echo: hello lake"
    assert (final.stop_reason, final.usage.output_tokens > 0) == ("end_turn", True)


def test_pictures_tools_and_their_results_are_told_in_the_other_wire(made: Installation, client: anthropic.Anthropic) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    use = {"type": "tool_use", "id": "t1", "name": "depth", "input": {"lake": "Siljan"}}
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "How deep is this?"}, picture]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I look."}, use],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "134 m"}]}]},
    ]
    tools: Any = [{"name": "depth", "description": "Depth of a lake", "input_schema": {"type": "object"}}]
    client.messages.create(model=OUTSIDE, max_tokens=50, messages=messages, tools=tools, tool_choice={"type": "tool", "name": "depth"})
    body = sent(made)
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "tool"]
    assert body["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    (call,) = body["messages"][1]["tool_calls"]
    assert (call["id"], json.loads(call["function"]["arguments"])) == ("t1", {"lake": "Siljan"})
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "t1", "content": "134 m"}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "depth"}}


def test_a_call_of_a_tool_is_streamed_as_a_block_of_its_own() -> None:
    writer = MessageEvents(OUTSIDE)
    chunks: list[dict[str, Any]] = [
        {"choices": [{"delta": {"content": "I look."}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "depth", "arguments": ""}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}, "finish_reason": "tool_calls"}]},
    ]
    events = writer.begin(TokenUsage(3)) + b"".join(writer.feed(chunk) for chunk in chunks) + writer.end(TokenUsage(3, 5))
    told = [json.loads(line[5:]) for line in events.split(b"\n") if line.startswith(b"data:")]
    assert [each["type"] for each in told] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert [each["index"] for each in told if "index" in each] == [0, 0, 0, 1, 1, 1]
    assert told[-2]["delta"]["stop_reason"] == "tool_use"


def test_labelled_content_goes_to_the_model_in_the_house(made: Installation, client: anthropic.Anthropic) -> None:
    made.protect(SECRET_TEXT)
    asked: Any = [{"role": "user", "content": [{"type": "text", "text": f"Summarise: {SECRET_TEXT}"}]}]
    raw = client.messages.with_raw_response.create(model=OUTSIDE, max_tokens=50, messages=asked)
    assert raw.headers["x-insjo-route"].startswith("rerouted")
    assert not made.outside.requests
    result: Any = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": SECRET_TEXT}]}]
    assert (
        client.messages.with_raw_response.create(model=OUTSIDE, max_tokens=5, messages=result)
        .headers["x-insjo-route"]
        .startswith("rerouted")
    )
    assert not made.outside.requests


def test_errors_come_in_the_form_of_this_wire(made: Installation, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=made.url, api_key="wrong", max_retries=0).messages.create(model=OUTSIDE, max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.NotFoundError, match="nothing"):
        client.messages.create(model="nothing", max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.messages.create(model=OUTSIDE, max_tokens=0, messages=HELLO)
    document: Any = [{"role": "user", "content": [{"type": "document", "source": {}}]}]
    with pytest.raises(anthropic.APIStatusError, match="document") as missing:
        client.messages.create(model=OUTSIDE, max_tokens=5, messages=document)
    assert missing.value.status_code == 501
    with pytest.raises(anthropic.APIStatusError) as missing:
        client.messages.count_tokens(model=OUTSIDE, messages=HELLO)
    assert missing.value.status_code == 501
    made.outside.default = Script(fault=Fault.STATUS, status=400)
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model=OUTSIDE, max_tokens=5, messages=HELLO)
    made.gateway.limits.create(made.admin, LimitSpec("each", "requests", "day", 1))
    made.outside.default = Script()
    client.messages.create(model=OUTSIDE, max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.RateLimitError, match="used up"):
        client.messages.create(model=OUTSIDE, max_tokens=5, messages=HELLO)


def test_a_stream_that_is_cut_ends_with_an_error(made: Installation, client: anthropic.Anthropic) -> None:
    made.outside.default = Script(fault=Fault.RESET_MID_STREAM)
    with (
        pytest.raises(anthropic.APIError),
        client.messages.stream(model=OUTSIDE, max_tokens=50, messages=[{"role": "user", "content": "one two three four"}]) as stream,
    ):
        stream.until_done()


def test_models_are_listed(client: anthropic.Anthropic) -> None:
    assert [each.id for each in client.models.list()] == ["insjo-chat", OUTSIDE]
