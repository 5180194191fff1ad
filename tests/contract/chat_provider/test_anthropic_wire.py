"""The adapter for Anthropic's wire: the contract of every provider, and what each wire is told in the words of the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from insjo.access.types import PUBLIC, Cleared, Provenance
from insjo.adapters.anthropic_wire.answers import ChunkWriter, completion, refusal
from insjo.adapters.anthropic_wire.client import AnthropicWire
from insjo.adapters.anthropic_wire.requests import OUTPUT_TOKENS, messages_body
from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.gateway.errors import ProviderBusy, ProviderGarbled, ProviderRefused, ProviderUnreachable, RequestInvalid
from insjo.gateway.types import ProviderRequest, Upstream
from insjo.kernel.context import system_context
from insjo.testing.contracts.chat_provider import CHECKS, Subject
from insjo.testing.recorder import MODEL, Fault, Recorder, Script
from tests.support.gateway import installation

Clear = Callable[[ProviderRequest], Cleared[ProviderRequest]]
USER: Any = [{"role": "user", "content": "hello"}]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
TOOL: Any = {
    "type": "function",
    "function": {"name": "depth", "description": "Of a lake", "parameters": {"type": "object"}, "strict": True},
}


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clear]:
    with installation(tmp_path_factory.mktemp("access")) as home:
        clearance = home.access.clearances.get("served_model:anything/at-all")
        yield lambda wanted: home.access.flows.clear(system_context(), wanted, Provenance(PUBLIC), clearance, "completion")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder(api_key="sk-ant-right").running() as found:
        yield found


@pytest.fixture
def subject(clear: Clear, recorder: Recorder) -> Subject:
    upstream = Upstream(recorder.base_url, "sk-ant-right", "x-api-key", headers=(("anthropic-version", "2023-06-01"),))
    return Subject(AnthropicWire(OpenAIWire()), upstream, MODEL, clear)


def run(subject: Subject, work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401  # Whatever comes.
    async def inside() -> Any:  # noqa: ANN401  # Whatever comes.
        try:
            return await work()
        finally:
            await subject.provider.close()

    return asyncio.run(inside())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Subject], Awaitable[None]], subject: Subject) -> None:
    run(subject, lambda: check(subject))


def test_key_and_version_stand_in_their_own_headers(subject: Subject, recorder: Recorder) -> None:
    async def work() -> None:
        await (await subject.ask()).read()

    run(subject, work)
    (sent,) = recorder.requests
    assert (sent.path, sent.header("x-api-key"), sent.header("anthropic-version")) == ("/v1/messages", "sk-ant-right", "2023-06-01")
    assert not sent.header("authorization")
    assert sent.json() == {
        "model": MODEL,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Say hello to the lake."}],
        "stream": False,
    }


def test_a_request_in_its_own_wire_is_not_touched(subject: Subject, recorder: Recorder) -> None:
    raw = b'{"model":"m", "max_tokens" : 7,"messages":[{"role":"user","content":"h\\u00e5"}]}'

    async def work() -> bytes:
        response = await subject.provider.open(subject.clear(ProviderRequest(subject.upstream, "/messages", raw, stream=False)))
        return await response.read()

    answer = json.loads(run(subject, work))
    assert recorder.requests[0].body == raw
    assert (answer["type"], answer["stop_reason"]) == ("message", "end_turn")


def test_a_stream_that_breaks_off_is_an_error(subject: Subject, recorder: Recorder) -> None:
    async def work() -> None:
        for fault in (Fault.NO_DONE, Fault.RESET_MID_STREAM):
            recorder.script.append(Script(text="one two three", fault=fault))
            response = await subject.ask(stream=True)
            with pytest.raises(ProviderUnreachable):
                async for _ in response.pieces():
                    pass
            await response.aclose()

    run(subject, work)


def test_a_stream_in_tiny_pieces_is_whole(subject: Subject, recorder: Recorder) -> None:
    recorder.script.append(Script(text="ett två tre sjö", fault=Fault.SPLIT))

    async def work() -> bytes:
        response = await subject.ask(stream=True)
        return b"".join([piece async for piece in response.pieces()])

    found = run(subject, work)
    chunks = [json.loads(line[5:]) for line in found.decode().split("\n") if line.startswith("data:") and "[DONE]" not in line]
    assert "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]) == "ett två tre sjö"


def test_a_refusal_comes_in_the_words_of_the_caller(subject: Subject) -> None:
    async def work() -> tuple[int, bytes]:
        response = await subject.ask(messages=[])
        return response.status, await response.read()

    status, content = run(subject, work)
    assert status == 400
    assert json.loads(content)["error"] == {
        "message": "messages: at least one message is required",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert refusal(b"<html>") == b"<html>"


# Requests


def told(**chat: object) -> Any:  # noqa: ANN401  # JSON is what it is.
    return json.loads(messages_body({"model": "m", "messages": USER, **chat}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"max_tokens": OUTPUT_TOKENS}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
        ({"temperature": 1.7}, {"max_tokens": OUTPUT_TOKENS, "temperature": 1.0}),
        ({"temperature": 0, "top_p": 0.5, "top_k": 3}, {"max_tokens": OUTPUT_TOKENS, "temperature": 0, "top_p": 0.5, "top_k": 3}),
        ({"stop": "END"}, {"max_tokens": OUTPUT_TOKENS, "stop_sequences": ["END"]}),
        ({"stop": ["a", "\n\n"]}, {"max_tokens": OUTPUT_TOKENS, "stop_sequences": ["a"]}),
        ({"user": "u1", "seed": 4, "presence_penalty": 1, "store": False}, {"max_tokens": OUTPUT_TOKENS, "metadata": {"user_id": "u1"}}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"max_tokens": OUTPUT_TOKENS, "stream": True}),
        ({"reasoning_effort": "low"}, {"max_tokens": OUTPUT_TOKENS, "output_config": {"effort": "low"}}),
        ({"thinking": {"type": "disabled"}}, {"max_tokens": OUTPUT_TOKENS, "thinking": {"type": "disabled"}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "array"}}}},
            {"max_tokens": OUTPUT_TOKENS, "output_config": {"format": {"type": "json_schema", "schema": {"type": "array"}}}},
        ),
    ],
)
def test_options(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert told(**given) == {"model": "m", "messages": USER, **expected}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "depth"}}, {"type": "tool", "name": "depth"}),
    ],
)
def test_tools(given: object, expected: object) -> None:
    found = told(tools=[TOOL], tool_choice=given)
    assert found["tools"] == [{"name": "depth", "description": "Of a lake", "input_schema": {"type": "object"}}]
    assert found.get("tool_choice") == expected
    serial = told(tools=[TOOL], tool_choice=given, parallel_tool_calls=False)["tool_choice"]
    assert serial == (expected or {"type": "auto"}) | {"disable_parallel_tool_use": True}  # type: ignore[operator]  # A dict above.


def test_messages() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "depth", "arguments": '{"lake":"Siljan"}'}}
    found = told(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "text", "text": ""},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
                ],
            },
            {"role": "assistant", "content": "I look.", "tool_calls": [call, call | {"id": "t2"}]},
            {"role": "tool", "tool_call_id": "t1", "content": "134 m"},
            {"role": "tool", "tool_call_id": "t2", "content": [{"type": "text", "text": "135 m"}]},
            {"role": "user", "content": "So?"},
        ]
    )
    assert found["system"] == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
    ]
    use = {"type": "tool_use", "id": "t1", "name": "depth", "input": {"lake": "Siljan"}}
    assert found["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}, "title": "a.pdf"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, use, use | {"id": "t2"}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "134 m"}]},
                {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "135 m"}]},
                {"type": "text", "text": "So?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0]"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0]"),
        ({"messages": [*USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]}, "messages[1]"),
        ({"messages": [*USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]}]}, "messages[1]"),
    ],
)
def test_what_this_wire_has_no_words_for_is_refused(given: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        told(**given)
    assert caught.value.details["param"] == param


# Answers

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "depth", "input": {"lake": "Å"}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 7},
}
USAGE = {"prompt_tokens": 18, "completion_tokens": 7, "total_tokens": 25, "prompt_tokens_details": {"cached_tokens": 5}}


def test_a_message_as_a_completion() -> None:
    found = json.loads(completion(json.dumps(MESSAGE).encode()))
    (choice,) = found["choices"]
    assert (found["object"], found["id"], found["model"], found["usage"]) == ("chat.completion", "msg_1", "claude", USAGE)
    assert choice["finish_reason"] == "tool_calls"
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("I look.", "Hm.")
    (call,) = choice["message"]["tool_calls"]
    assert (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) == ("t1", "depth", {"lake": "Å"})


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("something new", "stop"),
    ],
)
def test_reasons(reason: str, finish: str) -> None:
    assert json.loads(completion(json.dumps(MESSAGE | {"stop_reason": reason}).encode()))["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"content":[{}]}', b'{"content":"text"}', b'{"content":[1]}'])
def test_what_is_no_message_is_garbled(content: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        completion(content)


def events(*found: dict[str, Any]) -> bytes:
    return b"".join(f"event: {each['type']}\r\ndata: {json.dumps(each)}\r\n\r\n".encode() for each in found)


def test_events_as_chunks() -> None:
    writer = ChunkWriter(wants_usage=True)
    stream = events(
        {
            "type": "message_start",
            "message": MESSAGE | {"content": [], "stop_reason": None, "usage": {"input_tokens": 10, "cache_read_input_tokens": 8}},
        },
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I look."}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": "depth", "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"lake":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '"Å"}'}},
        {"type": "a type of tomorrow"},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7, "input_tokens": None}},
        {"type": "message_stop"},
    )
    half = len(stream) // 2
    found = (writer.feed(stream[:half]) + writer.feed(stream[half:])).decode()
    *chunks, last = [line[6:] for line in found.split("\n\n") if line]
    read = [json.loads(each) for each in chunks]
    deltas = [choice["delta"] for chunk in read for choice in chunk["choices"]]
    assert last == "[DONE]"
    assert writer.ended
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(each.get("content") or "" for each in deltas) == "I look."
    assert "".join(each.get("reasoning_content") or "" for each in deltas) == "Hm."
    calls = [call for each in deltas for call in each.get("tool_calls", [])]
    assert (calls[0]["id"], calls[0]["function"]["name"], {call["index"] for call in calls}) == ("t1", "depth", {0})
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"lake": "Å"}
    assert [choice["finish_reason"] for chunk in read for choice in chunk["choices"]][-1] == "tool_calls"
    assert (read[-1]["choices"], read[-1]["usage"]["prompt_tokens"], read[-1]["usage"]["completion_tokens"]) == ([], 18, 7)
    assert not writer.feed(events({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "late"}}))


@pytest.mark.parametrize(
    ("told_event", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "sk-ant-key"}}, ProviderBusy),
        ({"type": "error", "error": {"type": "api_error", "message": "sk-ant-key"}}, ProviderRefused),
        ({"type": "content_block_delta", "index": 0}, ProviderGarbled),
        ({"type": "message_start", "message": 3}, ProviderGarbled),
    ],
)
def test_events_that_end_a_stream(told_event: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        ChunkWriter(wants_usage=False).feed(events(told_event))
    assert "sk-ant-key" not in str(caught.value), "a provider's words about its trouble can repeat the key"
