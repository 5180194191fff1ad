"""What another policy would have done to the requests that were."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.access.errors import EndpointNotFound
from insjo.access.types import ALL, Clearance, Label, Level, Privilege
from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.service.dryrun import Trial, label_of
from insjo.gateway.types import ChatRequest, Policy
from insjo.kernel.errors import InsjoError, PermissionDenied
from tests.support.gateway import OUTSIDE, Installation

SECRET = "anna.svensson@example.se"


@pytest.fixture
def used(made: Installation) -> Installation:
    """An endpoint that three harmless and two sensitive requests went through; the sensitive ones were answered here."""
    made.make_outside(fallback="insjo-chat")
    made.grant("anna", OUTSIDE)
    made.protect(SECRET, label=Label(Level.CONFIDENTIAL, frozenset({"salary"})))

    async def work() -> None:
        for said in ("One.", "Two.", "Three.", f"Who is {SECRET}?", f"Where is {SECRET}?"):
            raw = json.dumps({"model": OUTSIDE, "messages": [{"role": "user", "content": said}]}).encode()
            await made.gateway.completions.create(made.person("anna"), ChatRequest(raw))
        await made.gateway.completions._provider.close()

    asyncio.run(work())
    return made


def test_without_its_fallback_the_sensitive_ones_are_blocked(used: Installation) -> None:
    found = used.gateway.dry_runs.run(used.admin, OUTSIDE, Trial(Policy()))
    assert (found.requests, found.changed, found.totals, found.complete) == (5, 2, {"direct": 3, "blocked": 2}, True)
    (group,) = found.groups
    assert group[:5] == ("anna", "confidential · salary", "rerouted", "blocked", 2)
    assert len(found.examples) == 2
    assert found.examples[0].sources == ("hr1",)


@pytest.mark.parametrize(
    ("policy", "after"),
    [
        (Policy(fallback="insjo-chat"), "rerouted"),
        (Policy(minimise=True, redact=True, ask="user"), "minimised"),
        (Policy(redact=True, ask="user"), "redacted"),
        (Policy(ask="steward"), "asked"),
        (Policy(on_conflict="block", fallback="insjo-chat"), "blocked"),
    ],
)
def test_each_policy_has_its_outcome(used: Installation, policy: Policy, after: str) -> None:
    assert used.gateway.dry_runs.run(used.admin, OUTSIDE, Trial(policy)).totals == {"direct": 3, after: 2}


def test_another_clearance_is_tried_too(used: Installation) -> None:
    high = Clearance("paid", level=Level.CONFIDENTIAL, categories=ALL, keeps=False)
    low = Clearance("paid", level=Level.PUBLIC)
    now = Policy(fallback="insjo-chat")
    assert used.gateway.dry_runs.run(used.admin, OUTSIDE, Trial(now, {"paid": high})).totals == {"direct": 5}
    assert used.gateway.dry_runs.run(used.admin, OUTSIDE, Trial(now, {"paid": low})).totals == {"rerouted": 5}
    with pytest.raises(EndpointInvalid):
        used.gateway.dry_runs.run(used.admin, OUTSIDE, Trial(now, {"other": high}))


def test_nothing_is_sent_and_nothing_changes(used: Installation) -> None:
    sent = len(used.outside.requests) + len(used.inside.requests)
    before = used.gateway.endpoints.get(used.admin, OUTSIDE)
    used.gateway.dry_runs.run(used.admin, OUTSIDE, Trial(Policy(ask="user")))
    assert len(used.outside.requests) + len(used.inside.requests) == sent
    assert used.gateway.endpoints.get(used.admin, OUTSIDE) == before


def test_only_whoever_manages_the_endpoint_may(used: Installation) -> None:
    with pytest.raises(PermissionDenied):
        used.gateway.dry_runs.run(used.person("anna"), OUTSIDE, Trial(Policy()))
    with pytest.raises(EndpointNotFound):
        used.gateway.dry_runs.run(used.person("bo"), OUTSIDE, Trial(Policy()))
    used.grant("carl", OUTSIDE, Privilege.MANAGE)
    found = used.gateway.dry_runs.run(used.person("carl"), OUTSIDE, Trial(Policy()))
    assert found.changed == 2
    assert {each.sources for each in found.examples} == {()}, "who may not read the audit sees no sources"
    used.make_outside("hidden")
    with pytest.raises(InsjoError) as told:
        used.gateway.dry_runs.run(used.person("carl"), OUTSIDE, Trial(Policy(fallback="hidden")))
    assert told.value.code == "ENDPOINT_NOT_FOUND"


@given(st.sampled_from(Level), st.frozensets(st.sampled_from(["salary", "health", "own words"])), st.sampled_from(["local", "eu", "any"]))
def test_labels_are_read_as_they_are_written(level: Level, categories: frozenset[str], zone: str) -> None:
    label = Label(level, categories, frozenset({zone}))
    assert label_of(label.text()) == label
