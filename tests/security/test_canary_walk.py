"""Ten thousand random steps through every door: no canary reaches a person or a provider that may not have it.

And twice the same steps over two lakes that differ only in what restricted people may not see: they, and every provider, get the same.
"""

from __future__ import annotations

import logging
import os
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from insjo.kernel.database import metadata
from tests.security.walking import CONTENT, READERS, Heard, Walk, World, world
from tests.support.canaries import tokens_in

STEPS = int(os.environ.get("INSJO_TEST_WALK_STEPS", "10000"))
SEED = int(os.environ.get("INSJO_TEST_WALK_SEED", "20261123"))
TWICE_STEPS = 600

LOW = frozenset({"cheap", "paid", "claude"})
"""Providers that may receive nothing of what differs."""


@contextmanager
def logged() -> Iterator[Heard]:
    """Everything that is logged meanwhile at the level of an installation."""
    root, heard = logging.getLogger(), Heard()
    before = root.level
    root.addHandler(heard)
    root.setLevel(logging.INFO)
    try:
        yield heard
    finally:
        root.removeHandler(heard)
        root.setLevel(before)


def test_no_canary_gets_where_it_may_not(tmp_path: Path) -> None:
    with logged() as heard, world(tmp_path / "data") as lake:
        walk = Walk(lake, random.Random(SEED))
        walk.take(STEPS)
        sys.stdout.write(f"seed {SEED}: {dict(walk.counts)}; arrived { ({name: len(each) for name, each in walk.arrived.items()}) }\n")
        _it_was_a_walk(walk)
        _nothing_is_kept(lake, heard)


def _it_was_a_walk(walk: Walk) -> None:
    """Every outcome came up, and what may leave did leave: the wall has doors."""
    outcomes = {name for name in walk.counts if name.startswith("chat ")}
    assert {"chat direct", "chat rerouted", "chat redacted", "chat minimised", "chat refused"} <= outcomes
    assert len(walk.arrived["paid"]) > 5
    assert {walk.world.canaries[token].place for token in walk.arrived["firm"]} >= {"hr", "sales"}
    assert {walk.world.canaries[token].place for token in walk.arrived["vault"]} >= {"board"}
    assert not walk.arrived["cheap"], "whatever is typed is internal"
    assert all(len(walk.world.heard[who]) > len(READERS[who]) for who in READERS)


def _nothing_is_kept(lake: World, heard: Heard) -> None:
    """Logs, the audit, usage and every table beside those with people's own words hold no cell and no passage."""
    services = lake.here.services
    services.gateway.usage.flush()
    services.access.audit.flush()
    cells = set(lake.of("cell", "more", "document", "masked", "filtered"))
    assert not [line for line in heard.lines if tokens_in(line, deep=False) & cells]
    with services.database.read() as connection:
        rows = {table.name: repr(connection.execute(sa.select(table)).all()) for table in metadata.sorted_tables}
    assert {name for name, each in rows.items() if tokens_in(each, deep=False) & cells} <= CONTENT
    assert services.access.audit.verify().intact


CHANGING = (
    (re.compile(rb"(?<![0-9a-z-])[0-9a-f]{12}(?![0-9a-z])"), b"FENCE"),
    (re.compile(rb"127\.0\.0\.1:\d+"), b"ADDRESS"),
    (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}"), b"ID"),
    (re.compile(rb"\b(?:resp|msg|chatcmpl|req)_?-?[0-9a-f]{16,}"), b"ID"),
    (re.compile(rb"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"), b"TIME"),
    (re.compile(rb"\b1[78]\d{8}(?:\d{3})?(?:\.\d+)?\b"), b"TIME"),
    (re.compile(rb"(retry-after: )\d+"), rb"\1N"),
    (re.compile(rb"(content-length: )\d+"), rb"\1N"),
    (re.compile(rb'("(?:duration_ms|total_time_ms|revision|policy_version)": ?)[\d.]+'), rb"\1N"),
)


def test_two_walks_over_two_secrets_look_alike(tmp_path: Path) -> None:
    told, sent = [], []
    for own, extra in ((11, 0), (12, 4)):
        with world(tmp_path / str(own), shared=1, own=own, extra=extra) as lake:
            walk = Walk(lake, random.Random(77), guesses=False, keep=frozenset({"bo", "dan"}))
            walk.take(TWICE_STEPS)
            told.append([(who, step, status, _without_ids(body)) for who, step, status, body in walk.transcript])
            sent.append({name: [(head, _without_ids(body)) for head, body in each] for name, each in walk.sent.items() if name in LOW})
    for one, other in zip(*told, strict=True):
        pairs = enumerate(zip(one[3], other[3], strict=False))
        at = max(0, next((place for place, (a, b) in pairs if a != b), 0) - 200)
        assert one == other, (one[:3], other[:3], one[3][at : at + 400], other[3][at : at + 400])
    assert sent[0] == sent[1]
    assert len(told[0]) > TWICE_STEPS // 4
    assert len(sent[0]["paid"]) > TWICE_STEPS // 20


def _without_ids(body: bytes) -> bytes:
    for pattern, word in CHANGING:
        body = pattern.sub(word, body)
    return body
