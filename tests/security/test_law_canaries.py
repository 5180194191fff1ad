"""Canaries and two runs at the model door: whatever people paste, disguise, attach or stream, no labelled value leaves.

Every value of the lake holds a token of its own, and the provider outside records every byte.  Tokens that may leave do arrive
there, so that the test can tell a lock from a wall.
"""

from __future__ import annotations

import base64
import html
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from insjo.access.types import Clearance, Label, Level, SecurableKind
from insjo.gateway.types import EndpointSpec, Policy, Task
from insjo.kernel.context import system_context
from insjo.kernel.database import metadata
from tests.support.gateway import Installation, installation, served
from tests.support.models import chat, post

STEPS = 120
ROUTED, STRICT, VECTORS = "routed", "strict", "vectors"

Disguise = Callable[[str], str]
DISGUISES: tuple[Disguise, ...] = (
    str,
    str.upper,
    lambda text: f"«{text}»",
    lambda text: text.replace("-", "_"),
    lambda text: text.replace("-", "\u2011"),
    "\u200b".join,
    lambda text: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
    lambda text: base64.b64encode(f"the value is {text} indeed".encode()).decode(),
    lambda text: base64.urlsafe_b64encode(f"åäö {text} åäö".encode()).decode().rstrip("="),
    lambda text: f"value={text}".encode().hex(),
    lambda text: f"value={text}".encode().hex().upper(),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    lambda text: quote(f"a b {text}"),
    lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    lambda text: html.escape(f'"{text}"'),
)


@dataclass(frozen=True)
class Tokens:
    """What stands in the lake."""

    internal: tuple[str, ...]
    confidential: tuple[str, ...]
    secret: tuple[str, ...]

    @staticmethod
    def drawn(seed: int) -> Tokens:
        """Tokens of this seed: all of one length, like identifiers of customers."""
        draw = random.Random(seed)
        made = [f"knr-{draw.randrange(10**9):09d}{draw.choice('abcdef')}-{number:03d}" for number in range(36)]
        return Tokens(tuple(made[:12]), tuple(made[12:24]), tuple(made[24:]))

    @property
    def kept(self) -> tuple[str, ...]:
        """Those that must not leave."""
        return self.confidential + self.secret


@dataclass
class Stage:
    """An installation, its tokens and somebody who uses it."""

    made: Installation
    tokens: Tokens
    key: str

    def send(self, draw: random.Random) -> tuple[int, str]:
        """One random request; gives its status and the route."""
        content = self._content(draw)
        kind = draw.randrange(10)
        if kind == 0:
            answer = post(self.made.url, self.key, "/v1/embeddings", {"model": VECTORS, "input": [content, "harmless"]})
        else:
            endpoint = draw.choice((ROUTED, ROUTED, STRICT))
            options: dict[str, Any] = {"stream": True} if draw.random() < 0.3 else {}
            if kind == 1:
                options["tools"] = [{"type": "function", "function": {"name": "look", "description": content, "parameters": {}}}]
                content = "look it up"
            answer = chat(self.made.url, self.key, endpoint, self._messages(draw, content), **options)
        return answer.status, answer.headers.get("x-insjo-route", "")

    def _content(self, draw: random.Random) -> str:
        """A text with some tokens in it, some of them disguised."""
        pool = draw.choice((self.tokens.internal, self.tokens.internal, self.tokens.confidential, self.tokens.secret))
        words = [draw.choice(DISGUISES)(draw.choice(pool)) for _ in range(draw.randrange(1, 4))]
        frame = draw.choice(
            ("Who is {}?", "Summarise: {}", "name;id\nAnna;{}\n", '{{"id": "{}"}}', "Översätt {} till svenska, tack.", "```\n{}\n```")
        )
        return frame.format(draw.choice((" ", ", ", "\n")).join(words))

    def _messages(self, draw: random.Random, content: str) -> list[dict[str, Any]]:
        """A conversation in which the content stands somewhere."""
        history: list[dict[str, Any]] = [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello, how can I help?"},
        ]
        place = draw.randrange(5)
        if place < len(history):
            history[place] = {**history[place], "content": content}
        elif place == len(history):
            call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": content}}
            history += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": "done"},
            ]
        parts = [{"type": "text", "text": content if place > len(history) - 1 else "And now?"}]
        return [*history, {"role": "user", "content": parts if draw.random() < 0.5 else parts[0]["text"]}]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[[int], Stage]]:
    """Makes installations with tokens of a seed."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def make(seed: int) -> Stage:
            made = stack.enter_context(served(stack.enter_context(installation(tmp_path / str(seed)))))
            tokens = Tokens.drawn(seed)
            _fill(made, tokens)
            return Stage(made, tokens, made.token("anna"))

        yield make


def _fill(made: Installation, tokens: Tokens) -> None:
    """Fingerprints of two labelled objects, and three endpoints whose first model is elsewhere."""
    for name, level, values in (("hr", Level.CONFIDENTIAL, tokens.confidential), ("board", Level.SECRET, tokens.secret)):
        found = made.access.securables.register(system_context(), SecurableKind.CATALOG, name)
        made.access.fingerprints.replace(found.id, Label(level, frozenset({"personal"})), values)
    endpoints = made.gateway.endpoints
    endpoints.create(made.admin, EndpointSpec(ROUTED, Task.CHAT, (made.served(), made.local())))
    endpoints.create(made.admin, EndpointSpec(STRICT, Task.CHAT, (made.served(),), Policy(on_conflict="block")))
    endpoints.create(made.admin, EndpointSpec(VECTORS, Task.EMBEDDINGS, (made.served(),)))
    for name in (ROUTED, STRICT, VECTORS):
        made.grant("anna", name)


def test_no_token_above_its_clearance_leaves_in_any_form(stage: Callable[[int], Stage]) -> None:
    here = stage(1)
    draw = random.Random(20261123)
    told = [here.send(draw) for _ in range(STEPS)]
    assert {status for status, _ in told} == {HTTPStatus.OK, HTTPStatus.FORBIDDEN}
    outcomes = {route.split(";")[0] for _, route in told if route}
    assert {"direct", "rerouted"} <= outcomes
    left = [token for token in here.tokens.kept if here.made.outside.holds(token)]
    assert left == []
    assert sum(map(here.made.outside.holds, here.tokens.internal)) >= len(here.tokens.internal) // 2
    assert sum(map(here.made.inside.holds, here.tokens.kept)) >= len(here.tokens.kept) // 3


def test_the_provider_learns_nothing_of_a_secret_from_two_runs(stage: Callable[[int], Stage]) -> None:
    """The same script over two lakes that differ in their labelled values only: what left is the same, byte for byte."""
    one, two = stage(1), stage(2)
    two.tokens = Tokens(one.tokens.internal, two.tokens.confidential, two.tokens.secret)
    routes = []
    for here in (one, two):
        draw = random.Random(7)
        routes.append([here.send(draw) for _ in range(STEPS // 2)])
    assert [status for status, _ in routes[0]] == [status for status, _ in routes[1]]
    assert [route.split(";")[0] for _, route in routes[0]] == [route.split(";")[0] for _, route in routes[1]]
    sent = [[(each.path, each.body) for each in here.made.outside.requests] for here in (one, two)]
    assert sent[0]
    assert sent[0] == sent[1]


def test_nothing_that_is_kept_about_requests_holds_a_labelled_value(stage: Callable[[int], Stage]) -> None:
    here = stage(3)
    draw = random.Random(3)
    for _ in range(STEPS // 4):
        here.send(draw)
    here.made.gateway.usage.flush()
    here.made.access.audit.flush()
    with here.made.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = repr(connection.execute(sa.select(table)).all())
            assert [token for token in here.tokens.kept if token in rows] == [], table.name
    assert here.made.access.audit.verify().intact


def test_a_header_can_raise_a_label_and_never_lower_it(stage: Callable[[int], Stage]) -> None:
    here = stage(4)
    for header in ("public", "internal"):
        answer = chat(
            here.made.url, here.key, STRICT, [{"role": "user", "content": here.tokens.secret[0]}], headers={"x-insjo-label": header}
        )
        assert answer.status == HTTPStatus.FORBIDDEN
    assert not here.made.outside.requests


def test_a_destination_that_loses_its_clearance_gets_nothing_more(stage: Callable[[int], Stage]) -> None:
    here = stage(5)
    message = [{"role": "user", "content": "nothing special"}]
    assert chat(here.made.url, here.key, STRICT, message).status == HTTPStatus.OK
    here.made.access.clearances.set(here.made.admin, Clearance(f"served_model:{STRICT}/paid", Level.PUBLIC))
    before = len(here.made.outside.requests)
    assert chat(here.made.url, here.key, STRICT, message).status == HTTPStatus.FORBIDDEN
    assert len(here.made.outside.requests) == before
