"""What the official client gets through the gateway is what it gets from the provider itself, field by field."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from insjo.gateway.types import Policy
from insjo.testing.recorder import Fault, Script
from tests.support.gateway import OUTSIDE, Installation, installation, served

TEXTS = {
    "plain": "How deep is the lake?",
    "empty": "",
    "swedish": "Hur djup är sjön? ÅÄÖ åäö é ñ",
    "emoji": "🏔️ 👩‍👩‍👧 🇸🇪",
    "markup": '<b>"quoted" & \\ back\\slash</b> [link](http://x)',
    "lines": "one\n\ntwo\r\nthree\ttab data: x\n\ndata: [DONE]\n\n",
    "long": "word " * 3000,
    "right to left": "שלום العالم",
}
PARAMETERS = {"type": "object", "properties": {"lake": {"type": "string"}}}
TOOL: Any = {"type": "function", "function": {"name": "depth", "parameters": PARAMETERS}}
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "temperature": {"temperature": 0.25, "top_p": 0.9},
    "length": {"max_tokens": 7},
    "length, newer": {"max_completion_tokens": 7},
    "stops": {"stop": ["END", "\n\n"]},
    "seed": {"seed": 42, "user": "somebody"},
    "penalties": {"presence_penalty": 0.5, "frequency_penalty": -0.5, "logit_bias": {"50256": -100}},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "tools": {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    "a tool": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "depth"}}},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}},
    "json": {"response_format": {"type": "json_object"}},
    "metadata": {"metadata": {"team": "lakes"}, "store": False},
    "unknown": {"extra_body": {"min_p": 0.1, "chat_template_kwargs": {"deep": [1, {"er": None}]}}},
    "usage": {"stream_options": {"include_usage": True}},
}
CALL = {"id": "1", "type": "function", "function": {"name": "depth", "arguments": "{}"}}
MESSAGES: dict[str, list[Any]] = {
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    "turns": [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "C"}],
    "name": [{"role": "user", "content": "Hello", "name": "anna"}],
    "picture": [{"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]}],
    "tool result": [
        {"role": "user", "content": "How deep?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [CALL],
        },
        {"role": "tool", "tool_call_id": "1", "content": "134 m"},
    ],
}
FAULTS = [Fault.RESET, Fault.GARBAGE, Fault.NO_JSON, Fault.RESET_MID_STREAM]
STATUSES = [400, 404, 409, 422, 429, 500, 502, 503]
THOROUGH = ("plain", "swedish", "lines", "markup")


def cases() -> Iterator[tuple[dict[str, Any], str]]:
    """Every option with some texts, every text with no option, and every form of messages with some options."""
    for text, option in itertools.product(TEXTS, OPTIONS):
        if text in THOROUGH or option == "nothing":
            yield {"messages": [{"role": "user", "content": TEXTS[text]}], **OPTIONS[option]}, f"{text}, {option}"
    for (name, messages), option in itertools.product(MESSAGES.items(), ("nothing", "tools", "usage")):
        yield {"messages": messages, **OPTIONS[option]}, f"{name}, {option}"


CASES = list(cases())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("fidelity")) as found, served(found) as running:
        running.make_outside(on_conflict="block")
        running.grant("anna", OUTSIDE)
        yield running


@pytest.fixture(scope="module")
def clients(made: Installation) -> tuple[openai.OpenAI, openai.OpenAI]:
    """The provider itself, and the same through the gateway."""
    direct = openai.OpenAI(base_url=made.outside.base_url, api_key="sk-provider-key", max_retries=0)
    return direct, openai.OpenAI(base_url=f"{made.url}/v1", api_key=made.token("anna"), max_retries=0)


def told(client: openai.OpenAI, model: str, wanted: dict[str, Any], *, stream: bool) -> Any:  # noqa: ANN401  # Whatever the client makes of it.
    """The answer as plain data, or the kind of error."""
    options = {key: value for key, value in wanted.items() if stream or key != "stream_options"}
    try:
        answer = client.chat.completions.create(model=model, stream=stream, **options)
        return [chunk.model_dump() for chunk in answer] if stream else answer.model_dump()  # type: ignore[union-attr]  # A stream when asked for.
    except openai.APIError as error:
        return type(error).__name__, getattr(error, "status_code", None)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wanted", [pytest.param(case, id=name) for case, name in CASES])
def test_answers_are_the_same(clients: tuple[openai.OpenAI, openai.OpenAI], wanted: dict[str, Any], *, stream: bool) -> None:
    direct, gateway = clients
    expected = told(direct, "recorder-1", wanted, stream=stream)
    assert told(gateway, OUTSIDE, wanted, stream=stream) == expected
    assert not isinstance(expected, tuple), "the provider answers all of these"


@pytest.mark.parametrize("wanted", [pytest.param(case, id=name) for case, name in CASES[::9]])
def test_the_provider_gets_the_same_bytes(made: Installation, clients: tuple[openai.OpenAI, openai.OpenAI], wanted: dict[str, Any]) -> None:
    direct, gateway = clients
    told(direct, "recorder-1", wanted, stream=False)
    expected = made.outside.requests[-1].json()
    told(gateway, OUTSIDE, wanted, stream=False)
    assert made.outside.requests[-1].json() == expected


@pytest.mark.parametrize("status", STATUSES)
def test_errors_are_of_the_same_kind(made: Installation, clients: tuple[openai.OpenAI, openai.OpenAI], status: int) -> None:
    direct, gateway = clients
    made.outside.default = Script(fault=Fault.STATUS, status=status)
    try:
        kind, expected = told(direct, "recorder-1", {"messages": MESSAGES["system"]}, stream=False)
        found, code = told(gateway, OUTSIDE, {"messages": MESSAGES["system"]}, stream=False)
    finally:
        made.outside.default = Script()
    if status in {400, 409, 422, 429}:
        assert (found, code) == (kind, expected)
    else:  # The provider's trouble is a bad gateway to the caller, never a missing path or a refused key of the caller's own.
        assert (found, code) == ("InternalServerError", 502)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_broken_provider_is_an_error_and_never_half_an_answer(
    made: Installation, clients: tuple[openai.OpenAI, openai.OpenAI], fault: Fault, *, stream: bool
) -> None:
    made.outside.default = Script(fault=fault)
    try:
        found = told(clients[1], OUTSIDE, {"messages": [{"role": "user", "content": "one two three four five six"}]}, stream=stream)
    finally:
        made.outside.default = Script()
    assert isinstance(found, tuple), found
    assert told(clients[1], OUTSIDE, {"messages": MESSAGES["system"]}, stream=stream), "the next request is answered"


def test_embeddings_are_the_same(made: Installation, clients: tuple[openai.OpenAI, openai.OpenAI]) -> None:
    from insjo.gateway.types import EndpointSpec, Task

    made.gateway.endpoints.create(made.admin, EndpointSpec("vectors", Task.EMBEDDINGS, (made.served("paid"),), Policy()))
    made.grant("anna", "vectors")
    direct, gateway = clients
    for given in ("one text", ["two", "texts"], [TEXTS["swedish"], TEXTS["emoji"]]):
        for form in ("float", "base64"):
            asked: dict[str, Any] = {"input": given, "encoding_format": form}
            expected = [each.embedding for each in direct.embeddings.create(model="recorder-1", **asked).data]
            assert [each.embedding for each in gateway.embeddings.create(model="vectors", **asked).data] == expected


def test_there_are_more_than_a_hundred_and_fifty_cases() -> None:
    assert len(CASES) * 2 + len(STATUSES) + len(FAULTS) * 2 > 150
