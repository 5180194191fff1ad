"""Answers that are given again: to whom, for how long, and what makes them useless."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from insjo.access.types import ALL, Clearance, Level, Privilege
from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.service.cache import ENTRY_BYTES_MAX, AnswerCache
from insjo.gateway.types import EndpointSpec, LimitSpec, Policy, TokenUsage
from insjo.kernel.clock import SystemClock
from insjo.testing.recorder import Fault, Script
from tests.support.gateway import OUTSIDE, Installation, installation, served, until
from tests.support.models import Answered, post

SAID = [{"role": "user", "content": "Which order is knr-0042-7712a-007?"}]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "house") as bare, served(bare) as made:
        made.make_outside()
        keep(made, 3600)
        for name in ("anna", "bert"):
            made.grant(name, OUTSIDE)
        yield made


def keep(made: Installation, cache_s: int) -> None:
    endpoints = made.gateway.endpoints
    spec = EndpointSpec.of(endpoints.get(made.admin, OUTSIDE))
    endpoints.update(made.admin, OUTSIDE, replace(spec, policy=replace(spec.policy, cache_s=cache_s)))


def ask(made: Installation, name: str = "anna", *, headers: dict[str, str] | None = None, **fields: object) -> Answered:
    return post(made.url, made.token(name), "/v1/chat/completions", {"model": OUTSIDE, "messages": SAID, **fields}, headers)


def outcome(answer: Answered) -> str:
    assert answer.status == HTTPStatus.OK
    return answer.headers["x-insjo-route"].split(";")[0]


def test_the_same_request_of_the_same_person_is_sent_once(made: Installation) -> None:
    made.outside.default = Script(text="Stockholm")
    token = made.token("anna")
    first, second = (post(made.url, token, "/v1/chat/completions", {"model": OUTSIDE, "messages": SAID}) for _ in range(2))
    assert (outcome(first), outcome(second)) == ("direct", "cached")
    assert first.body == second.body
    assert len(made.outside.requests) == 1
    rows = list(made.gateway.usage.list(made.admin).items)
    kept = next(each for each in rows if each.outcome == "cached")
    sent = next(each for each in rows if each.outcome == "direct")
    assert (kept.input_tokens, kept.cached_tokens, kept.output_tokens) == (sent.input_tokens, sent.input_tokens, sent.output_tokens)
    assert kept.cost == 0.0
    assert kept.label == sent.label


def test_a_shadow_gets_no_copy_of_what_was_not_sent(made: Installation) -> None:
    endpoints = made.gateway.endpoints
    spec = EndpointSpec.of(endpoints.get(made.admin, OUTSIDE))
    spare = replace(made.served("spare", recorder=made.inside), shadow=100)
    endpoints.update(made.admin, OUTSIDE, replace(spec, served=(*spec.served, spare)))
    token = made.token("anna")
    found = [outcome(post(made.url, token, "/v1/chat/completions", {"model": OUTSIDE, "messages": SAID})) for _ in range(3)]
    assert found == ["direct", "cached", "cached"]
    until(lambda: len([each for each in made.gateway.usage.list(made.admin).items if each.outcome == "shadow"]) == 1)
    assert len(made.inside.requests) == 1


def test_nobody_is_given_what_somebody_else_was(made: Installation) -> None:
    assert [outcome(ask(made, name)) for name in ("anna", "bert", "anna", "bert")] == ["direct", "direct", "cached", "cached"]
    assert len(made.outside.requests) == 2


def test_other_requests_labels_and_streams_go_past_it(made: Installation) -> None:
    token = made.token("anna")
    ask_again = {"model": OUTSIDE, "messages": SAID}
    for fields, headers in (
        ({}, {}),
        ({"temperature": 1}, {}),
        ({}, {"x-insjo-label": "internal; salary"}),
        ({"stream": True}, {}),
        ({"stream": True}, {}),
    ):
        assert outcome(post(made.url, token, "/v1/chat/completions", {**ask_again, **fields}, headers)) == "direct", fields
    assert len(made.outside.requests) == 5


def test_callers_may_ask_anew(made: Installation) -> None:
    token = made.token("anna")

    def again(control: str) -> str:
        headers = {"cache-control": control} if control else {}
        return outcome(post(made.url, token, "/v1/chat/completions", {"model": OUTSIDE, "messages": SAID}, headers))

    assert [again(each) for each in ("no-store", "", "no-cache", "", "max-age=60")] == ["direct", "direct", "direct", "cached", "cached"]


def test_a_right_a_label_or_a_policy_that_changed_counts_at_once(made: Installation) -> None:
    token = made.token("anna")

    def again() -> tuple[int, str]:
        answer = post(made.url, token, "/v1/chat/completions", {"model": OUTSIDE, "messages": SAID})
        return answer.status, answer.headers.get("x-insjo-route", "").split(";")[0]

    assert [again(), again()] == [(200, "direct"), (200, "cached")]
    made.access.grants.revoke(made.admin, made.id_of(OUTSIDE), "anna", [Privilege.EXECUTE])
    assert again()[0] == HTTPStatus.NOT_FOUND
    made.grant("anna", OUTSIDE)
    assert again() == (200, "cached"), "the rights of the same person are those of before"
    paid = Clearance(f"served_model:{OUTSIDE}/paid", level=Level.PUBLIC, categories=ALL, zone="any", keeps=False)
    made.access.clearances.set(made.admin, paid)
    assert again()[0] == HTTPStatus.FORBIDDEN
    made.access.clearances.set(made.admin, replace(paid, level=Level.INTERNAL, zone="eu"))
    assert [again(), again()] == [(200, "direct"), (200, "cached")]
    keep(made, 60)
    assert [again(), again()] == [(200, "direct"), (200, "cached")]
    keep(made, 0)
    assert [again(), again()] == [(200, "direct"), (200, "direct")]
    keep(made, 3600)
    made.protect("knr-0042-7712a-007", "knr-0042-7712a-008")
    assert again()[0] == HTTPStatus.FORBIDDEN, "the label that the content has now counts"


def test_what_was_refused_is_not_kept(made: Installation) -> None:
    made.outside.default = Script(fault=Fault.STATUS, status=400)
    assert ask(made).status == HTTPStatus.BAD_REQUEST
    assert not made.gateway.completions._cache._kept


def test_answers_that_were_kept_use_up_no_budget(made: Installation) -> None:
    made.gateway.limits.create(made.admin, LimitSpec("principal", "requests", "day", 2, principal="anna"))
    token = made.token("anna")
    request = {"model": OUTSIDE, "messages": SAID}
    assert outcome(post(made.url, token, "/v1/chat/completions", request)) == "direct"
    for _ in range(4):
        assert outcome(post(made.url, token, "/v1/chat/completions", request)) == "cached"
        until(lambda: made.gateway.limits.uses(made.admin)[0].taken == 1)
    assert outcome(post(made.url, token, "/v1/chat/completions", {**request, "seed": 1})) == "direct"
    assert post(made.url, token, "/v1/chat/completions", {**request, "seed": 2}).status == HTTPStatus.TOO_MANY_REQUESTS


def test_its_size_and_its_time_have_a_limit(made: Installation) -> None:
    cache = AnswerCache(SystemClock(), bytes_max=10_000)
    for number in range(50):
        cache.put(str(number).encode(), b"x" * 1000, TokenUsage(), native=False, ttl_s=60)
    assert cache._size <= 10_000
    assert cache.find(b"0") is None
    assert cache.find(b"49") is not None
    cache.put(b"long", b"x" * (ENTRY_BYTES_MAX + 1), TokenUsage(), native=False, ttl_s=60)
    cache.put(b"old", b"x", TokenUsage(), native=False, ttl_s=0)
    assert cache.find(b"long") is None
    assert cache.find(b"old") is None
    with pytest.raises(EndpointInvalid):
        keep(made, -1)


def test_policies_of_earlier_versions_keep_nothing() -> None:
    assert Policy(**json.loads('{"on_conflict": "block", "fallback": ""}')).cache_s == 0
