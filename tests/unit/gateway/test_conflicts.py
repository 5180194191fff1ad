"""Content above the clearance: parts are left out, or somebody is asked; in every wire, streamed or whole."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from insjo.access.errors import ApprovalNeeded, FlowBlocked
from insjo.access.types import AuditFilter, Label, Level, Provenance
from insjo.gateway.service.minimising import NOTE
from insjo.gateway.types import ChatRequest, EndpointSpec, Message, Policy, Task
from insjo.kernel.paging import PageRequest
from tests.support.gateway import OUTSIDE, Installation

SECRET = "anna.svensson@example.se"
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": SECRET}}
QUESTION = "How deep is lake Siljan?"


@pytest.fixture
def door(made: Installation) -> Installation:
    """An endpoint whose only model is elsewhere; parts are left out, and then the caller is asked."""
    made.gateway.endpoints.create(made.admin, EndpointSpec(OUTSIDE, Task.CHAT, (made.served(),), Policy(minimise=True, ask="user")))
    made.grant("anna", OUTSIDE)
    made.protect(SECRET, label=Label(Level.CONFIDENTIAL, frozenset({"personal"})))
    return made


def under(door: Installation, policy: Policy) -> None:
    spec = EndpointSpec.of(door.gateway.endpoints.get(door.admin, OUTSIDE))
    door.gateway.endpoints.update(door.admin, OUTSIDE, replace(spec, policy=policy))


async def sent(door: Installation, wire: str, said: list[dict[str, Any]], *, stream: bool) -> tuple[str, str]:
    """Outcome and reason of a request in a wire."""
    fields: dict[str, Any] = {"model": OUTSIDE, "stream": stream}
    gateway, ctx = door.gateway, door.person("anna")
    if wire == "chat":
        response = await gateway.completions.create(ctx, ChatRequest(json.dumps({**fields, "messages": said}).encode()))
        try:
            async for _ in response.body():
                pass
        finally:
            await response.finish()
        return response.route.outcome, response.route.reason
    answer: Any
    if wire == "responses":
        answer = await gateway.responses.create(ctx, json.dumps({**fields, "input": said}).encode())
    else:
        answer = await gateway.messages.create(ctx, json.dumps({**fields, "max_tokens": 50, "messages": said}).encode())
    if answer.events is not None:
        async for _ in answer.events:
            pass
    return answer.route.outcome, answer.route.reason


def ask(door: Installation, said: list[dict[str, Any]], wire: str = "chat", *, stream: bool = False) -> tuple[str, str]:
    async def work() -> tuple[str, str]:
        try:
            return await sent(door, wire, said, stream=stream)
        finally:
            await door.gateway.completions._provider.close()

    return asyncio.run(work())


def user(text: object) -> dict[str, Any]:
    return {"role": "user", "content": text}


def left(door: Installation) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = door.outside.requests[-1].json()["messages"]
    assert SECRET.encode() not in b"".join(each.head + each.body for each in door.outside.requests)
    return messages


WIRES = [(wire, stream) for wire in ("chat", "responses", "messages") for stream in (False, True)]


@pytest.mark.parametrize(("wire", "stream"), WIRES)
def test_what_was_said_before_is_left_out(door: Installation, wire: str, *, stream: bool) -> None:
    said = [user(f"Write to {SECRET}."), {"role": "assistant", "content": "Done."}, user(QUESTION)]
    outcome, reason = ask(door, said, wire, stream=stream)
    assert outcome == "minimised"
    assert reason == "1 part of the request was left out (confidential · personal), since the model may not receive them."
    assert [json.dumps(each["content"]).count(NOTE) for each in left(door)] == [1, 0, 0]
    assert QUESTION in json.dumps(left(door)[2]["content"])


@pytest.mark.parametrize(("wire", "stream"), WIRES)
def test_somebody_is_asked_and_what_they_grant_holds_once(door: Installation, wire: str, *, stream: bool) -> None:
    said = [user(f"Who is {SECRET}?")]
    with pytest.raises(ApprovalNeeded) as told:
        ask(door, said, wire, stream=stream)
    assert not door.outside.requests
    assert told.value.details["asks"] == "user"
    door.access.approvals.decide(door.person("anna"), str(told.value.details["approval_id"]), grant=True)
    outcome, reason = ask(door, said, wire, stream=stream)
    assert (outcome, reason.startswith("`anna` approved this call")) == ("approved", True)
    with pytest.raises(ApprovalNeeded):
        ask(door, said, wire, stream=stream)
    assert len(door.outside.requests) == 1


def test_what_is_granted_holds_for_those_words_alone(door: Installation) -> None:
    with pytest.raises(ApprovalNeeded) as told:
        ask(door, [user(f"Who is {SECRET}?")])
    door.access.approvals.decide(door.person("anna"), str(told.value.details["approval_id"]), grant=True)
    with pytest.raises(ApprovalNeeded):
        ask(door, [user(f"Where is {SECRET}?")])
    assert not door.outside.requests


def test_what_is_refused_stays_here(door: Installation) -> None:
    with pytest.raises(ApprovalNeeded) as told:
        ask(door, [user(f"Who is {SECRET}?")])
    door.access.approvals.decide(door.admin, str(told.value.details["approval_id"]), grant=False)
    with pytest.raises(ApprovalNeeded):
        ask(door, [user(f"Who is {SECRET}?")])
    assert not door.outside.requests


@pytest.mark.parametrize(
    "said",
    [
        [{"role": "system", "content": f"You serve {SECRET}."}, user(QUESTION)],
        [user([{"type": "text", "text": QUESTION}, {"type": "text", "text": f"He is {SECRET}."}])],
        [user(f"{QUESTION}\n\nThe list:\n{SECRET}\n\nThank you.")],
        [
            user("Mail him."),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": SECRET}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": f"Sent to {SECRET}."},
            user(QUESTION),
        ],
        [user([{"type": "text", "text": QUESTION}, {"type": "file", "file": {"filename": SECRET, "file_data": "x"}}])],
    ],
)
def test_only_the_part_that_is_above_is_left_out(door: Installation, said: list[dict[str, Any]]) -> None:
    assert ask(door, said)[0] == "minimised"
    assert QUESTION in json.dumps(left(door), ensure_ascii=False)


def test_parts_that_are_above_only_together_are_not_let_through(door: Installation) -> None:
    """Each message by itself is harmless, so nothing can be left out by itself: somebody is asked."""
    people = ["Anna Svensson", "Erik Larsson", "Karl-Gustav von Rosen"]
    door.access.fingerprints.replace(door.id_of(OUTSIDE), Label(Level.CONFIDENTIAL), people)
    said = [user(f"One is {people[0]}."), user(f"One is {people[1]}."), user(f"One is {people[2]}.")]
    assert ask(door, said[:1])[0] == "direct"
    with pytest.raises(ApprovalNeeded):
        ask(door, said)


def test_provenance_of_callers_inside_is_what_counts(door: Installation) -> None:
    high, low = Provenance(Label(Level.CONFIDENTIAL)), Provenance(Label(Level.INTERNAL))
    messages = [Message("system", "Rules.", low), Message("user", "rows of a table", high), Message("user", QUESTION, low)]

    async def work() -> str:
        try:
            answer = await door.gateway.completions.complete_text(door.person("anna"), OUTSIDE, messages)
            return answer.route.outcome
        finally:
            await door.gateway.completions._provider.close()

    assert asyncio.run(work()) == "minimised"
    assert [each["content"] for each in left(door)] == ["Rules.", NOTE, QUESTION]


def test_a_label_that_the_caller_raises_is_left_in_force(door: Installation) -> None:
    raw = json.dumps({"model": OUTSIDE, "messages": [user(f"Write to {SECRET}."), user(QUESTION)]}).encode()

    async def work() -> None:
        try:
            await door.gateway.completions.create(door.person("anna"), ChatRequest(raw, raise_to=Label(Level.CONFIDENTIAL)))
        finally:
            await door.gateway.completions._provider.close()

    with pytest.raises(ApprovalNeeded):
        asyncio.run(work())
    assert not door.outside.requests


def test_the_note_is_the_same_whatever_was_left_out(door: Installation) -> None:
    other = "erik.larsson@example.org"
    door.access.fingerprints.replace(door.id_of(OUTSIDE), Label(Level.CONFIDENTIAL, frozenset({"personal"})), [other])
    for value in (SECRET, other):
        assert ask(door, [user(f"Write to {value}."), user(QUESTION)])[0] == "minimised"
    requests = door.outside.requests
    assert requests[-1].body == requests[-2].body


def test_without_such_a_policy_it_is_blocked(door: Installation) -> None:
    under(door, Policy())
    with pytest.raises(FlowBlocked) as told:
        ask(door, [user(f"Write to {SECRET}."), user(QUESTION)])
    assert told.value.code == "FLOW_BLOCKED"


def test_it_is_written_down(door: Installation) -> None:
    ask(door, [user(f"Write to {SECRET}."), user(QUESTION)])
    with pytest.raises(ApprovalNeeded):
        ask(door, [user(f"Who is {SECRET}?")])
    door.gateway.usage.flush()
    assert [each.outcome for each in door.gateway.usage.list(door.admin).items] == ["blocked", "minimised"]
    rows = door.access.audit.search(door.admin, AuditFilter(principal="anna"), PageRequest(20)).items
    told = {(row.action, row.outcome) for row in rows}
    assert {("endpoint.query", "minimised"), ("approval.ask", "asked"), ("flow.completion", "allowed")} <= told
    assert not any(SECRET in row.reason for row in rows)
