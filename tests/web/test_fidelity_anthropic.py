"""Between the two wires: what the official clients get through the gateway from a provider of Anthropic's wire, field by field.

`anthropic` against it gets what the provider itself gives, since nothing is translated; `openai` gets the same content in its own words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import anthropic
import openai
import pytest

from insjo.access.types import ALL, Clearance, Level
from insjo.gateway.types import EndpointSpec, Policy, Prices, Profile, ServedKind, ServedModelSpec, Task
from insjo.testing.recorder import MODEL, Fault, Script
from tests.support.gateway import Installation, installation, served, until

CLAUDE = "claude"
TEXTS = {
    "plain": "How deep is the lake?",
    "swedish": "Hur djup är sjön? ÅÄÖ åäö é ñ",
    "emoji": "🏔️ 👩‍👩‍👧 🇸🇪",
    "lines": "one\n\ntwo\r\nthree\ttab data: x\n\ndata: [DONE]\n\nevent: error\n\n",
    "markup": '<b>"quoted" & \\ back\\slash</b>',
    "long": "word " * 2000,
}
TOOL: Any = {"name": "depth", "description": "Of a lake", "input_schema": {"type": "object", "properties": {"lake": {"type": "string"}}}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "temperature": {"extra_body": {"temperature": 0.25, "top_p": 0.9, "top_k": 3}},
    "stops": {"stop_sequences": ["END", "\n\n"]},
    "system": {"system": "Be brief."},
    "cached": {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
    "tools": {"tools": [TOOL]},
    "a tool": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "depth"}},
    "some tool": {"tools": [TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "metadata": {"metadata": {"user_id": "u1"}, "service_tier": "standard_only"},
    "unknown": {"extra_body": {"a field of tomorrow": [1, {"deep": None}]}},
}
USE = {"type": "tool_use", "id": "t1", "name": "depth", "input": {"lake": "Å"}}
MESSAGES: dict[str, list[Any]] = {
    "turns": [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "C"}],
    "blocks": [{"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}],
    "picture": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "text", "text": "What?"},
            ],
        }
    ],
    "thoughts": [
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "B"}]},
        {"role": "user", "content": "C"},
    ],
    "tool result": [
        {"role": "user", "content": "How deep?"},
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "134 m"}]},
    ],
}
STATUSES = [400, 404, 409, 413, 422, 429, 500, 503, 529]
FAULTS = [Fault.RESET, Fault.GARBAGE, Fault.NO_JSON, Fault.RESET_MID_STREAM]


def cases() -> Iterator[tuple[dict[str, Any], str]]:
    """Every option with some texts, every text with no option, and every form of messages with some options."""
    for text, option in itertools.product(TEXTS, OPTIONS):
        if text in {"plain", "lines"} or option == "nothing":
            yield {"messages": [{"role": "user", "content": TEXTS[text]}], **OPTIONS[option]}, f"{text}, {option}"
    for (name, messages), option in itertools.product(MESSAGES.items(), ("nothing", "a tool", "cached")):
        yield {"messages": messages, **OPTIONS[option]}, f"{name}, {option}"


CASES = list(cases())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("fidelity")) as found, served(found) as running:
        clearance = Clearance("", level=Level.INTERNAL, categories=ALL, zone="any", keeps=False)
        profile = Profile(prices=Prices(3.0, 15.0, 0.3))
        spec = ServedModelSpec(
            "sonnet", ServedKind.ANTHROPIC, MODEL, running.outside.base_url, "sk-provider-key", profile, clearance=clearance
        )
        running.outside.api_key = "sk-provider-key"
        running.gateway.endpoints.create(running.admin, EndpointSpec(CLAUDE, Task.CHAT, (spec,), Policy("block")))
        running.grant("anna", CLAUDE)
        yield running


@pytest.fixture(autouse=True)
def echo(made: Installation) -> Iterator[None]:
    yield
    made.outside.default = Script()


Clients = tuple[anthropic.Anthropic, anthropic.Anthropic]


@pytest.fixture(scope="module")
def clients(made: Installation) -> Clients:
    """The provider itself, and the same through the gateway."""
    direct = anthropic.Anthropic(base_url=made.outside.base_url.removesuffix("/v1"), api_key="sk-provider-key", max_retries=0)
    return direct, anthropic.Anthropic(base_url=made.url, api_key=made.token("anna"), max_retries=0)


@pytest.fixture(scope="module")
def chat(made: Installation) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{made.url}/v1", api_key=made.token("anna"), max_retries=0)


def told(client: anthropic.Anthropic, model: str, wanted: dict[str, Any], *, stream: bool) -> Any:  # noqa: ANN401  # Whatever the client makes of it.
    """The answer as plain data, or the kind of error."""
    try:
        answer: Any = client.messages.create(model=model, max_tokens=64, stream=stream, **wanted)
        return [event.model_dump() for event in answer] if stream else answer.model_dump()
    except anthropic.APIStatusError as error:
        return type(error).__name__, error.status_code
    except anthropic.APIError as error:
        return type(error).__name__, None


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wanted", [pytest.param(case, id=name) for case, name in CASES])
def test_messages_are_the_same(made: Installation, clients: Clients, wanted: dict[str, Any], *, stream: bool) -> None:
    direct, gateway = clients
    expected = told(direct, MODEL, wanted, stream=stream)
    sent = made.outside.requests[-1].body
    assert told(gateway, CLAUDE, wanted, stream=stream) == expected
    assert not isinstance(expected, tuple), expected
    assert made.outside.requests[-1].path == "/v1/messages"
    assert made.outside.requests[-1].body == sent.replace(b'"model":"claude"', b'"model":"recorder-1"'), "not a byte is changed"


@pytest.mark.parametrize("status", STATUSES)
def test_errors_are_of_the_same_kind(made: Installation, clients: Clients, status: int) -> None:
    direct, gateway = clients
    made.outside.default = Script(fault=Fault.STATUS, status=status)
    expected = told(direct, MODEL, {"messages": MESSAGES["turns"]}, stream=False)
    found = told(gateway, CLAUDE, {"messages": MESSAGES["turns"]}, stream=False)
    if status in {400, 409, 413, 422, 429}:
        assert found == expected
    elif status == 529:
        assert found == ("RateLimitError", 429)
    else:
        assert found == ("InternalServerError", 502)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_broken_provider_is_an_error_and_never_half_an_answer(
    made: Installation, clients: Clients, fault: Fault, *, stream: bool
) -> None:
    made.outside.default = Script(fault=fault)
    found = told(clients[1], CLAUDE, {"messages": [{"role": "user", "content": "one two three four five six"}]}, stream=stream)
    assert isinstance(found, tuple), found
    made.outside.default = Script()
    assert isinstance(told(clients[1], CLAUDE, {"messages": MESSAGES["turns"]}, stream=False), dict), "the next request is answered"


def is_written(made: Installation, stream: bool) -> bool:
    """Whether the last row of usage is of such a request."""
    return made.gateway.usage.list(made.admin).items[0].streamed is stream


def test_tokens_are_counted_with_those_of_the_cache(made: Installation, clients: Clients) -> None:
    _, gateway = clients
    for stream in (False, True):
        wanted = {"messages": MESSAGES["turns"], **OPTIONS["cached"]}
        answer = told(gateway, CLAUDE, wanted, stream=stream)
        usage = answer[0]["message"]["usage"] if stream else answer["usage"]
        until(partial(is_written, made, stream))
        row = made.gateway.usage.list(made.admin).items[0]
        assert (row.status, row.estimated, row.cached_tokens) == ("ok", False, 2)
        assert row.input_tokens == usage["input_tokens"] + 2
        assert row.cost == pytest.approx((usage["input_tokens"] * 3.0 + 2 * 0.3 + row.output_tokens * 15.0) / 1e6)


# The other wire

FUNCTION: Any = {"type": "function", "function": {"name": "depth", "parameters": TOOL["input_schema"]}}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("forced", [False, True], ids=["text", "tool"])
def test_chat_completions_say_what_the_message_says(clients: Clients, chat: openai.OpenAI, text: str, *, forced: bool) -> None:
    wanted: dict[str, Any] = {"messages": [{"role": "user", "content": TEXTS[text]}]}
    tools: dict[str, Any] = {"tools": [FUNCTION], "tool_choice": "required"} if forced else {}
    direct = clients[0].messages.create(model=MODEL, max_tokens=64, **wanted, **(OPTIONS["some tool"] if forced else {}))
    answer = chat.chat.completions.create(model=CLAUDE, max_tokens=64, **wanted, **tools)
    (choice,) = answer.choices
    assert choice.message.content == direct.content[0].text
    assert choice.finish_reason == ("tool_calls" if forced else "stop")
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (direct.usage.input_tokens, direct.usage.output_tokens)
    with chat.chat.completions.stream(model=CLAUDE, max_tokens=64, **wanted, **tools, stream_options={"include_usage": True}) as events:
        events.until_done()
        final = events.get_final_completion()
    assert (final.choices[0].message.content, final.choices[0].finish_reason) == (choice.message.content, choice.finish_reason)
    assert final.usage == answer.usage
    calls = [[call.model_dump()["function"] for call in each.choices[0].message.tool_calls or []] for each in (answer, final)]
    assert [[(call["name"], call["arguments"].replace(" ", "")) for call in each] for each in calls] == (
        [[("depth", '{"lake":"Siljan","unit":"m"}')]] * 2 if forced else [[], []]
    )


@pytest.mark.parametrize("status", STATUSES)
def test_errors_come_in_the_callers_wire(made: Installation, chat: openai.OpenAI, status: int) -> None:
    made.outside.default = Script(fault=Fault.STATUS, status=status)
    with pytest.raises(openai.APIStatusError) as caught:
        chat.chat.completions.create(model=CLAUDE, messages=[{"role": "user", "content": "hello"}])
    passed = {400: 400, 409: 409, 413: 413, 422: 422, 429: 429, 529: 429}
    assert caught.value.status_code == passed.get(status, 502)


def test_what_the_wire_has_no_words_for_is_the_callers_error(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="one answer") as caught:
        chat.chat.completions.create(model=CLAUDE, messages=[{"role": "user", "content": "hello"}], n=2)
    assert caught.value.param == "n"


def test_labels_see_what_only_the_native_wire_carries(made: Installation, clients: Clients) -> None:
    """A thought, or a field of tomorrow, is no part of a chat completion; it is sent all the same, and so it is labelled."""
    secret = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"
    made.protect(secret)
    thoughts = [MESSAGES["turns"][0], {"role": "assistant", "content": [{"type": "thinking", "thinking": secret, "signature": "x"}]}]
    for wanted in ({"messages": thoughts}, {"messages": MESSAGES["turns"], "extra_body": {"note": [secret]}}):
        before = len(made.outside.requests)
        kind, status = told(clients[1], CLAUDE, wanted, stream=False)
        assert (kind, status) == ("PermissionDeniedError", 403)
        assert len(made.outside.requests) == before


def test_azure_is_asked_by_deployment(made: Installation, chat: openai.OpenAI) -> None:
    base = made.outside.base_url.removesuffix("/v1")
    clearance = Clearance("", level=Level.INTERNAL, categories=ALL, zone="any", keeps=False)
    older = ServedModelSpec("older", ServedKind.AZURE, "our gpt", base, "sk-provider-key", Profile(api_version="2024-10-21"))
    newer = replace(older, name="newer", base_url=f"{base}/openai/v1", profile=Profile(leave_out=("seed",)))
    paths = {"older": "/openai/deployments/our%20gpt/chat/completions?api-version=2024-10-21", "newer": "/openai/v1/chat/completions"}
    for spec in (older, newer):
        made.gateway.endpoints.create(made.admin, EndpointSpec(spec.name, Task.CHAT, (replace(spec, clearance=clearance),)))
        made.grant("anna", spec.name)
        answer = chat.chat.completions.create(model=spec.name, messages=[{"role": "user", "content": "hello"}], seed=4)
        assert answer.choices[0].message.content == "Echo: hello"
        sent = made.outside.requests[-1]
        assert (sent.path, sent.header("api-key"), sent.header("authorization")) == (paths[spec.name], "sk-provider-key", "")
        assert (sent.json()["model"], sent.json().get("seed")) == ("our gpt", 4 if spec is older else None)
