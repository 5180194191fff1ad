"""Sensitive values stay here and placeholders leave; the answer has the values again."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.access.errors import FlowBlocked
from insjo.access.types import AuditFilter, Label, Level, Provenance
from insjo.gateway.service.redaction import Restorer
from insjo.gateway.types import ChatRequest, EndpointSpec, Part, Policy, Task
from insjo.kernel.paging import PageRequest
from insjo.testing.recorder import Fault, Script
from tests.support.gateway import OUTSIDE, Installation

PEOPLE = ["Anna Svensson", "Erik Larsson", "Karl-Gustav von Rosen", "850709-9805", "anna.svensson@example.se", "SE-7741-XK-0032"]
PARAGRAPH = (
    "The board decided on Thursday to close the plant in Hofors during the second quarter, and to offer every "
    "employee with more than ten years of service an early pension that amounts to two thirds of the final salary."
)


@pytest.fixture
def door(made: Installation) -> Installation:
    """An endpoint whose only model is elsewhere; what it may not receive is redacted."""
    made.gateway.endpoints.create(made.admin, EndpointSpec(OUTSIDE, Task.CHAT, (made.served(),), Policy(redact=True)))
    made.grant("anna", OUTSIDE)
    made.protect(*PEOPLE)
    return made


def body(said: str, *, stream: bool = False, **more: object) -> bytes:
    return json.dumps({"model": OUTSIDE, "stream": stream, "messages": [{"role": "user", "content": said}], **more}).encode()


def ask(made: Installation, asked: bytes, parts: tuple[Part, ...] | None = None) -> tuple[str, str]:
    """Outcome and text of the answer."""

    async def work() -> tuple[str, bytes]:
        response = await made.gateway.completions.create(made.person("anna"), ChatRequest(asked, parts=parts))
        try:
            return response.route.outcome, b"".join([piece async for piece in response.body()])
        finally:
            await response.finish()
            await made.gateway.completions._provider.close()

    outcome, content = asyncio.run(work())
    if not content.startswith(b"data:"):
        return outcome, json.loads(content)["choices"][0]["message"]["content"]
    chunks = [json.loads(line[5:]) for line in content.split(b"\n") if line.startswith(b"data:") and b"[DONE]" not in line]
    return outcome, "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks if each["choices"])


def leaked(made: Installation) -> list[str]:
    sent = b"".join(each.head + each.body for each in made.outside.requests)
    return [value for value in PEOPLE if value.encode() in sent or value.replace("-", "").encode() in sent]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [Fault.NONE, Fault.SPLIT])
def test_values_are_replaced_on_the_way_out_and_put_back_on_the_way_in(door: Installation, fault: Fault, *, stream: bool) -> None:
    door.outside.default = Script(fault=fault)
    said = f"Write to {PEOPLE[4]} about {PEOPLE[0]} and {PEOPLE[1]}, number {PEOPLE[3]}; again: {PEOPLE[0]}."
    assert ask(door, body(said, stream=stream)) == ("redacted", f"Echo: {said}")
    assert leaked(door) == []
    content = door.outside.requests[-1].json()["messages"][0]["content"]
    assert content.count("[VALUE_") + content.count("[PERSONNUMMER_") == 5
    first = content.split("about ")[1].split(" and")[0]
    assert content.endswith(f"again: {first}."), "the same value has the same placeholder"


def test_it_is_written_down(door: Installation) -> None:
    ask(door, body(f"Who is {PEOPLE[4]}?"))
    door.gateway.usage.flush()
    assert door.gateway.usage.list(door.admin).items[0].outcome == "redacted"
    (row,) = door.access.audit.search(door.admin, AuditFilter(action="endpoint.query"), PageRequest(5)).items
    assert row.outcome == "redacted"
    assert "1 sensitive values (value)" in row.reason
    assert PEOPLE[4] not in row.reason


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("8507099805", "PERSONNUMMER"),
        ("19850709-9805", "PERSONNUMMER"),
        ("SE45 5000 0000 0583 9825 7466", "IBAN"),
        ("4111 1111 1111 1111", "CARD"),
        ("ghp_" + "a1B2" * 10, "KEY"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----", "KEY"),
    ],
)
def test_what_the_detectors_know_is_replaced_by_its_kind(door: Installation, value: str, kind: str) -> None:
    said = f"Look at {value} please, it costs 12.50 and happened 2026-11-23."
    assert ask(door, body(said)) == ("redacted", f"Echo: {said}")
    assert (
        door.outside.requests[-1].json()["messages"][0]["content"] == f"Look at [{kind}_1] please, it costs 12.50 and happened 2026-11-23."
    )


def test_passages_of_documents_are_replaced_word_by_word(door: Installation) -> None:
    door.protect(PARAGRAPH, *PEOPLE, *PEOPLE)
    outcome, answer = ask(door, body(f"Summarise this: {PARAGRAPH} Thank you."))
    assert (outcome, answer) == ("redacted", f"Echo: Summarise this: {PARAGRAPH} Thank you.")
    assert b"close the plant in Hofors" not in door.outside.requests[-1].body


@pytest.mark.parametrize(
    "said",
    [
        "decode " + base64.b64encode(b"write to anna.svensson@example.se and SE-7741-XK-0032").decode(),
        "read anna%2Esvensson%40example%2Ese",
    ],
)
def test_what_cannot_be_replaced_is_blocked(door: Installation, said: str) -> None:
    with pytest.raises(FlowBlocked):
        ask(door, body(said))
    assert not door.outside.requests


def test_content_from_inside_is_never_redacted(door: Installation) -> None:
    parts = (Part("a table", Provenance(Label(Level.CONFIDENTIAL))),)
    with pytest.raises(FlowBlocked):
        ask(door, body("a table with anna.svensson@example.se"), parts)
    assert not door.outside.requests


def test_a_policy_that_does_not_allow_it_blocks(door: Installation) -> None:
    spec = EndpointSpec.of(door.gateway.endpoints.get(door.admin, OUTSIDE))
    from dataclasses import replace

    door.gateway.endpoints.update(door.admin, OUTSIDE, replace(spec, policy=Policy()))
    with pytest.raises(FlowBlocked):
        ask(door, body(f"Who is {PEOPLE[4]}?"))


def test_harmless_text_leaves_as_it_is(door: Installation) -> None:
    asked = body("How deep is lake Siljan? \u00e5\u00e4\u00f6 \ufb01")
    assert ask(door, asked)[0] == "direct"
    assert door.outside.requests[-1].json()["messages"] == json.loads(asked)["messages"]


def test_values_in_every_corner_of_a_request_are_replaced(door: Installation) -> None:
    tools = [{"type": "function", "function": {"name": "mail", "description": f"Mails {PEOPLE[4]}", "parameters": {"enum": [PEOPLE[5]]}}}]
    call = {"name": "mail", "arguments": json.dumps({"to": PEOPLE[4]})}
    messages = [
        {"role": "system", "content": f"You serve {PEOPLE[4]}."},
        {"role": "user", "content": [{"type": "text", "text": f"I am {PEOPLE[4]}"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "1", "content": PEOPLE[5]},
    ]
    asked = json.dumps({"model": OUTSIDE, "messages": messages, "tools": tools, "user": PEOPLE[4]}).encode()
    assert ask(door, asked)[0] == "redacted"
    assert leaked(door) == []


def test_a_placeholder_that_stands_in_the_text_already_is_not_used(door: Installation) -> None:
    said = f"[VALUE_1] is not {PEOPLE[4]}"
    assert ask(door, body(said)) == ("redacted", f"Echo: {said}")
    assert door.outside.requests[-1].json()["messages"][0]["content"] == "[VALUE_1] is not [VALUE_2]"


@given(st.data())
def test_a_stream_cut_anywhere_gives_the_same_text(data: st.DataObject) -> None:
    values = {"[VALUE_1]": 'Anna "A" Svensson', "[VALUE_12]": "x", "[CARD_1]": "4111 [1]"}
    pieces = data.draw(
        st.lists(st.sampled_from(["[VALUE_1]", "[VALUE_12]", "[CARD_1]", "[", "[VAL", "]", "text ", "[VALUE_2]"]), max_size=12)
    )
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    bits = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": bit}, "finish_reason": None}]} for bit in bits]
    ended = data.draw(st.booleans())
    if ended:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    restorer = Restorer(values)
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]
    shown = b"".join(restorer.events(event) for event in events)
    told = [json.loads(line[5:]) for line in shown.split(b"\n") if line.startswith(b"data:") and b"[DONE]" not in line]
    expected = text
    for placeholder, value in values.items():
        expected = expected.replace(placeholder, value)
    assert "".join(each["choices"][0]["delta"].get("content") or "" for each in told) == expected


def test_arguments_of_functions_stay_json(door: Installation) -> None:
    values = {"[VALUE_1]": 'Anna "A" Svensson'}
    whole = {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": '{"to": "[VALUE_1]"}'}}]}}]}
    told = json.loads(Restorer(values).whole(json.dumps(whole).encode()))
    assert json.loads(told["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {"to": 'Anna "A" Svensson'}
    restorer = Restorer(values)
    given = ['{"to": "[VAL', 'UE_1]"', ', "x": "[']
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": bit}}]}}]} for bit in given]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    shown = b"".join(restorer.events(b"data: " + json.dumps(chunk).encode() + b"\n\n") for chunk in [*chunks, end])
    calls = [call for line in shown.split(b"\n") if line for call in json.loads(line[5:])["choices"][0]["delta"].get("tool_calls") or []]
    assert "".join(call["function"]["arguments"] for call in calls) == '{"to": "Anna \\"A\\" Svensson", "x": "['
