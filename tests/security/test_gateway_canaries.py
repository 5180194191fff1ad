"""Whatever a caller tries, a provider elsewhere gets no byte of what it is not cleared for."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from insjo.access.types import Label, Level
from insjo.gateway.errors import RequestInvalid
from insjo.gateway.types import ChatRequest, EndpointSpec, Guardrail, Policy
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InsjoError
from insjo.testing.recorder import Fault, Recorder, Script
from tests.support.gateway import OUTSIDE, Installation, installation

CANARY = "kanariefågel-7f3a9c2188"
"""A value that stands in a confidential column; fingerprints know it."""

PLAIN = [{"role": "user", "content": "What is the weather like by the lake?"}]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path) as found:
        found.make_outside(more=(found.local(),), fallback="insjo-chat")
        found.grant("anna", OUTSIDE)
        found.protect(CANARY, label=Label(Level.CONFIDENTIAL))
        yield found


def send(made: Installation, raw: bytes) -> str:
    """Outcome of a request, or the code of its error."""

    async def inside() -> str:
        try:
            response = await made.gateway.completions.create(made.person("anna"), ChatRequest(raw))
            async for _ in response.body():
                pass
        except InsjoError as error:
            return error.code
        else:
            return response.route.outcome
        finally:
            await made.gateway.completions._provider.close()

    return asyncio.run(inside())


def chat(messages: object = PLAIN, **fields: object) -> bytes:
    return json.dumps({"model": OUTSIDE, "messages": messages, **fields}).encode()


def said(content: object, role: str = "user") -> bytes:
    return chat([*PLAIN, {"role": role, "content": content}])


HIDING_PLACES: dict[str, bytes] = {
    "words": said(f"Tell me about {CANARY}."),
    "capitals": said(CANARY.upper()),
    "system text": chat([{"role": "system", "content": CANARY}, *PLAIN]),
    "tool result": chat([*PLAIN, {"role": "tool", "tool_call_id": "1", "content": CANARY}]),
    "part": said([{"type": "text", "text": CANARY}]),
    "second part": said([{"type": "text", "text": "a"}, {"type": "text", "text": CANARY}]),
    "unknown part": said([{"type": "mystery", "payload": {"deep": [[CANARY]]}}]),
    "address of a picture": said([{"type": "image_url", "image_url": {"url": f"https://example.com/?q={quote(CANARY)}"}}]),
    "picture of words": said(
        [
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64," + base64.b64encode(f"{CANARY} {'word ' * 40}".encode()).decode()},
            }
        ]
    ),
    "file": said([{"type": "file", "file": {"file_data": base64.b64encode(f"see {CANARY} there".encode()).decode()}}]),
    "arguments of a call": chat(
        [*PLAIN, {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": CANARY}}]}]
    ),
    "description of a tool": chat(tools=[{"type": "function", "function": {"name": "f", "description": CANARY}}]),
    "name in a schema": chat(response_format={"type": "json_schema", "json_schema": {"schema": {"properties": {CANARY: {}}}}}),
    "unknown field": chat(extra={"a": [{"b": CANARY}]}),
    "metadata": chat(metadata={"note": CANARY}),
    "user": chat(user=CANARY),
    "stop": chat(stop=[CANARY]),
    "name of a field": chat(**{CANARY: 1}),
    "prediction": chat(prediction={"type": "content", "content": CANARY}),
    "repeated key": b'{"model":"outside","messages":[{"role":"user","content":"%b","content":"hi"}]}' % CANARY.encode(),
    "escapes": b'{"model":"outside","messages":[{"role":"user","content":"%b"}]}' % "".join(f"\\u{ord(c):04x}" for c in CANARY).encode(),
    "stream": json.dumps({"model": OUTSIDE, "stream": True, "messages": [{"role": "user", "content": CANARY}]}).encode(),
    "invisible characters": said("\u200b".join(CANARY)),
    "base64": said(base64.b64encode(f"the bird is {CANARY} indeed".encode()).decode()),
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_no_hiding_place_hides(made: Installation, place: str) -> None:
    assert send(made, HIDING_PLACES[place]) == "rerouted"
    assert not made.outside.requests
    assert made.inside.requests


@pytest.mark.parametrize("policy", [Policy(redact=True), Policy(minimise=True, ask="user")], ids=["redact", "minimise"])
@pytest.mark.parametrize("place", HIDING_PLACES)
def test_no_hiding_place_hides_from_redaction(made: Installation, place: str, policy: Policy) -> None:
    """With no other model to go to, the value is replaced or left out, or the request stays here."""
    spec = EndpointSpec.of(made.gateway.endpoints.get(made.admin, OUTSIDE))
    made.gateway.endpoints.update(made.admin, OUTSIDE, replace(spec, served=spec.served[:1], policy=policy))
    outcome = send(made, HIDING_PLACES[place])
    assert outcome in {"redacted", "minimised", "APPROVAL_NEEDED", "FLOW_BLOCKED"}
    sent = b"".join(each.head + each.body for each in made.outside.requests)
    assert (outcome in {"redacted", "minimised"}) == bool(sent)
    decoded = json.dumps(json.loads(made.outside.requests[-1].body), ensure_ascii=False) if sent else ""
    for form in (CANARY, CANARY.upper(), quote(CANARY), "\u200b".join(CANARY), CANARY.rpartition("-")[2]):
        assert form not in decoded
        assert form.encode() not in sent


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_no_hiding_place_hides_from_a_judge(made: Installation, place: str) -> None:
    """A guardrail that asks a model elsewhere is a side call under the law: it gets no byte of what that model is not cleared for."""
    made.make_outside("judge")
    spec = EndpointSpec.of(made.gateway.endpoints.get(made.admin, OUTSIDE))
    judge = Guardrail("rule", "endpoint", "annotate", ("input", "output"), ("Say nothing bad.",), "judge")
    policy = Policy(fallback="insjo-chat", guardrails=(judge,))
    made.gateway.endpoints.update(made.admin, OUTSIDE, replace(spec, policy=policy))
    assert send(made, HIDING_PLACES[place]) == "rerouted"
    sent = b"".join(each.head + each.body for each in made.outside.requests)
    for form in (CANARY, CANARY.upper(), quote(CANARY), CANARY.rpartition("-")[2]):
        assert form.encode() not in sent


def responses(made: Installation, fields: dict[str, Any]) -> str:
    """Outcome of a request in the wire of responses; streams are read to their end."""
    return translated(made, made.gateway.responses.create, fields)


def messages(made: Installation, fields: dict[str, Any]) -> str:
    """Outcome of a request in Anthropic's wire."""
    return translated(made, made.gateway.messages.create, {"max_tokens": 50, **fields})


def translated(made: Installation, create: Callable[..., Any], fields: dict[str, Any]) -> str:
    async def inside() -> str:
        try:
            answer = await create(made.person("anna"), json.dumps({"model": OUTSIDE, **fields}).encode())
            if answer.events is not None:
                async for _ in answer.events:
                    pass
        except InsjoError as error:
            return error.code
        else:
            return str(answer.route.outcome)
        finally:
            await made.gateway.completions._provider.close()

    return asyncio.run(inside())


SCHEMA: dict[str, Any] = {"type": "object", "properties": {CANARY: {"type": "string"}}}
IN_RESPONSES: dict[str, dict[str, Any]] = {
    "text": {"input": CANARY},
    "instructions": {"input": "hi", "instructions": CANARY},
    "developer": {"input": [{"role": "developer", "content": CANARY}, {"role": "user", "content": "hi"}]},
    "part": {"input": [{"role": "user", "content": [{"type": "input_text", "text": CANARY}]}]},
    "picture": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": f"https://example.com/?q={quote(CANARY)}"}]}]},
    "call": {"input": [{"type": "function_call", "call_id": "1", "name": "f", "arguments": CANARY}]},
    "result": {"input": [{"type": "function_call_output", "call_id": "1", "output": CANARY}]},
    "tool": {"input": "hi", "tools": [{"type": "function", "name": "f", "description": CANARY}]},
    "parameters": {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
    "schema": {"input": "hi", "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
    "user": {"input": "hi", "user": CANARY},
    "effort": {"input": "hi", "reasoning": {"effort": CANARY}},
    "stream": {"input": CANARY, "stream": True},
}
IN_MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"messages": [{"role": "user", "content": CANARY}]},
    "system": {"messages": PLAIN, "system": [{"type": "text", "text": CANARY}]},
    "block": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": CANARY}]}]},
    "picture": {
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": f"https://example.com/{quote(CANARY)}"}}]}
        ]
    },
    "call": {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"q": CANARY}}]}]},
    "result": {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": CANARY}]}]},
    "tool": {"messages": PLAIN, "tools": [{"name": "f", "description": CANARY, "input_schema": {"type": "object"}}]},
    "schema": {"messages": PLAIN, "tools": [{"name": "f", "input_schema": SCHEMA}]},
    "stop": {"messages": PLAIN, "stop_sequences": [CANARY]},
    "stream": {"messages": [{"role": "user", "content": CANARY}], "stream": True},
}


@pytest.mark.parametrize("place", IN_RESPONSES)
def test_no_hiding_place_hides_in_responses(made: Installation, place: str) -> None:
    assert responses(made, IN_RESPONSES[place]) == "rerouted"
    assert not made.outside.requests


@pytest.mark.parametrize("place", IN_MESSAGES)
def test_no_hiding_place_hides_in_messages(made: Installation, place: str) -> None:
    assert messages(made, IN_MESSAGES[place]) == "rerouted"
    assert not made.outside.requests


def test_plain_words_pass_in_every_wire(made: Installation) -> None:
    assert responses(made, {"input": "hi"}) == messages(made, {"messages": PLAIN}) == "direct"


def test_what_a_wire_leaves_out_does_not_leave(made: Installation) -> None:
    """Fields that mean nothing to another provider are dropped, not sent."""
    assert responses(made, {"input": "hi", "metadata": {"note": CANARY}, "safety_identifier": CANARY}) in {"direct", "rerouted"}
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": CANARY, "signature": "x"}, {"type": "text", "text": "b"}]}
    assert messages(made, {"messages": [*PLAIN, thought, *PLAIN], "metadata": {"user_id": CANARY}}) in {"direct", "rerouted"}
    assert not [each for each in made.outside.requests if CANARY.encode() in each.body or b"kanarie" in each.body]


def test_plain_words_do_pass(made: Installation) -> None:
    assert send(made, chat()) == "direct"
    assert len(made.outside.requests) == 1


def test_a_second_list_of_messages_does_not_slip_by(made: Installation) -> None:
    for raw in (
        b'{"model":"outside","messages":[{"role":"user","content":"%b"}],"messages":[{"role":"user","content":"hi"}]}',
        b'{"messages":[{"role":"user","content":"%b"}],"model":"outside","mess\\u0061ges":[{"role":"user","content":"hi"}]}',
    ):
        assert send(made, raw % CANARY.encode()) == RequestInvalid.code
    assert not made.outside.requests


def test_random_conversations_under_failures_leak_nothing(made: Installation) -> None:
    chance = random.Random(20261123)
    faults = [Fault.NONE] * 4 + [Fault.RESET, Fault.RESET_MID_STREAM, Fault.STATUS, Fault.GARBAGE, Fault.NO_JSON, Fault.NO_DONE]
    outcomes = set()
    for _ in range(150):
        for recorder in (made.outside, made.inside):
            recorder.script.append(Script(fault=chance.choice(faults)))
        messages: list[dict[str, Any]] = []
        for _ in range(chance.randint(1, 4)):
            words = " ".join(chance.choices(["lake", "flight", "report", "why", "2013", "ö"], k=chance.randint(1, 30)))
            if chance.random() < 0.4:
                words += f" {CANARY} "
            content: object = words if chance.random() < 0.5 else [{"type": "text", "text": words}]
            messages.append({"role": chance.choice(["system", "user", "assistant", "tool"]), "content": content})
        outcomes.add(send(made, chat(messages, stream=chance.random() < 0.5)))
    assert {"direct", "rerouted", "failed_over"} <= outcomes
    assert made.outside.requests
    assert made.inside.holds(CANARY)
    assert not made.outside.holds(CANARY)


def test_two_runs_with_two_secrets_look_alike_from_outside(tmp_path: Path) -> None:
    def received(folder: str, secret: str) -> list[bytes]:
        with installation(tmp_path / folder) as made:
            made.make_outside(more=(made.local(),))
            made.grant("anna", OUTSIDE)
            made.protect(secret)
            send(made, chat())
            send(made, said(f"Compare {secret} with last year."))
            send(made, chat([*PLAIN, {"role": "tool", "tool_call_id": "1", "content": secret}]))
            send(made, chat([*PLAIN, {"role": "assistant", "content": "Nice."}, {"role": "user", "content": "And tomorrow?"}]))
            return [each.head.replace(str(made.outside.port).encode(), b"PORT") + each.body for each in made.outside.requests]

    one, other = received("a", "kanarie-0000aaaa1111"), received("b", "storspov-9999bbbb2222")
    assert one == other
    assert len(one) == 2


def test_the_key_of_the_provider_appears_nowhere(made: Installation) -> None:
    with Recorder(api_key="another-key").running() as echoes_keys:
        made.make_outside("echo")
        spec = made.served(recorder=echoes_keys)
        found = made.gateway.endpoints.get(made.admin, "echo")
        changed = made.gateway.endpoints.update(made.admin, "echo", replace(EndpointSpec.of(found), served=(spec,)))
        made.grant("anna", "echo")

        async def inside(ctx: RequestContext) -> InsjoError:
            with pytest.raises(InsjoError) as caught:
                await made.gateway.completions.create(ctx, ChatRequest(chat().replace(b"outside", b"echo")))
            await made.gateway.completions._provider.close()
            return caught.value

        error = asyncio.run(inside(made.person("anna")))
        assert echoes_keys.holds("sk-provider-key"), "the provider did get the key, and repeats it in its answer"
    shown = [str(error), repr(error.details), repr(changed), *(repr(row) for row in made.gateway.usage.list(made.admin).items)]
    assert not any("sk-provider-key" in text for text in shown)
