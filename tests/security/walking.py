"""A lake full of canaries, its people, and a walk of random steps through every door, each judged by an oracle that knows who may see what.

The oracle keeps its own books of rights, labels and clearances; it never asks the code that is tested.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from insjo.access.types import Clearance, Label, Level, Privilege, SecurableKind
from insjo.gateway.types import EndpointSpec, Policy, ServedKind, Task
from insjo.testing.recorder import Fault, Script
from tests.support.canaries import Canary, drawn, hidden, tokens_in
from tests.support.whole import Told, Whole, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

PERSONAL: Final = frozenset({"personal"})
NONE: Final[frozenset[str]] = frozenset()
LABELS: Final = {
    "pub": (Level.PUBLIC, NONE),
    "sales": (Level.INTERNAL, NONE),
    "hr": (Level.CONFIDENTIAL, PERSONAL),
    "board": (Level.SECRET, NONE),
}
"""Schemas of `main`, from what everybody may know to what hardly anybody may."""

READERS: Final = {"anna": ("pub", "sales", "hr"), "bo": ("pub", "sales"), "cia": ("pub", "sales", "hr", "board"), "dan": ("pub",)}
TRUSTED: Final = "cia"
"""Sees what the mask hides and the row filter leaves out."""

READING: Final = (Privilege.USE_SCHEMA, Privilege.SELECT, Privilege.READ_VOLUME)
OUTSIDE: Final = {
    "cheap": (Level.PUBLIC, NONE),
    "paid": (Level.INTERNAL, NONE),
    "firm": (Level.CONFIDENTIAL, PERSONAL),
    "vault": (Level.SECRET, NONE),
    "claude": (Level.INTERNAL, NONE),
}
"""Providers elsewhere and their first clearances; `vault` takes secrets, and nothing about persons; `claude` speaks Anthropic's wire."""

CHAT: Final = {
    "routed": (("paid", "here"), Policy()),
    "strict": (("paid",), Policy("block")),
    "ladder": (("cheap", "paid", "firm", "here"), Policy()),
    "narrow": (("vault", "firm"), Policy()),
    "onward": (("cheap",), Policy(fallback="routed")),
    "masking": (("paid",), Policy(redact=True)),
    "sparse": (("paid", "firm"), Policy(minimise=True)),
    "asking": (("paid",), Policy(ask="user")),
    "kept": (("firm", "here"), Policy(cache_s=600)),
    "claude": (("claude", "here"), Policy(minimise=True, redact=True)),
}
CONTENT: Final = frozenset({"agents_attached_texts", "agents_conversations", "agents_messages", "gateway_responses", "sql_history"})
"""Tables of the metadata that hold what people wrote themselves and were answered, each row for its owner alone."""

FAULTS: Final = (Fault.STATUS, Fault.RESET, Fault.GARBAGE, Fault.NO_JSON, Fault.RESET_MID_STREAM, Fault.NO_DONE)
WORDS: Final = ("order", "travel", "hotel", "report", "customer", "invoice", "code", "meeting")


@dataclass
class World:
    """The installation and the oracle's books."""

    here: Whole
    canaries: dict[str, Canary]
    rights: set[tuple[str, str]]
    clearances: dict[str, tuple[Level, frozenset[str]]] = field(default_factory=lambda: dict(OUTSIDE))
    heard: dict[str, set[str]] = field(default_factory=dict)

    def may_see(self, who: str, token: str) -> bool:
        """Whether somebody may see a canary now."""
        canary = self.canaries[token]
        return (who, canary.place) in self.rights and (canary.kind not in {"masked", "filtered"} or who == TRUSTED)

    def may_go(self, token: str, destination: str) -> bool:
        """Whether a canary may leave to a provider now.  Whatever a person typed is internal at least."""
        canary, (level, categories) = self.canaries[token], self.clearances[destination]
        return max(canary.level, Level.INTERNAL) <= level and canary.categories <= categories

    def of(self, *kinds: str, place: str = "") -> list[str]:
        """Tokens of these kinds, in the order of their making."""
        return [each.token for each in self.canaries.values() if (not kinds or each.kind in kinds) and place in {"", each.place}]


def make_canaries(shared: int, own: int, extra: int = 0) -> dict[str, Canary]:
    """Canaries of every schema; those that `dan` and `bo` may see are drawn from `shared`, all others from `own`."""
    draws = {place: random.Random(f"{shared if place in READERS['bo'] else own}/{place}") for place in LABELS}
    found: dict[str, Canary] = {}
    for place, (level, categories) in LABELS.items():
        draw = draws[place]
        kinds = {"cell": 6, "document": 3, "name": 2}
        if place in {"hr", "board"}:
            kinds["more"] = extra
        for kind, count in kinds.items():
            found |= {token: Canary(token, level, categories, place, kind) for token in drawn(draw, count)}
    guarded = random.Random(f"{own}/guarded")
    for kind in ("masked", "filtered"):
        found |= {token: Canary(token, Level.CONFIDENTIAL, PERSONAL, "sales", kind) for token in drawn(guarded, 4)}
    return found


@contextlib.contextmanager
def world(folder: Path, shared: int = 1, own: int = 1, extra: int = 0) -> Iterator[World]:
    """An installation with a lake, people and endpoints."""
    with whole(folder, *OUTSIDE) as here:
        canaries = make_canaries(shared, own, extra)
        made = World(here, canaries, {(who, place) for who, places in READERS.items() for place in places})
        made.heard = {who: set() for who in READERS}
        _fill(made)
        _people(made)
        _endpoints(made)
        here.recognised()
        yield made


def _fill(made: World) -> None:
    """Tables, names, comments, files and an index over all of them."""
    here = made.here
    here.services.access.principals.create_group(here.admin, "trusted")
    for place, (level, categories) in LABELS.items():
        cells, names, documents = (made.of(*kinds, place=place) for kinds in (("cell", "more"), ("name",), ("document",)))
        here.must(f"CREATE SCHEMA main.{place}")
        here.label(SecurableKind.SCHEMA, f"main.{place}", Label(level, categories))
        rows = ", ".join(f"({number}, '{token}', 'note {WORDS[number % len(WORDS)]}')" for number, token in enumerate(cells))
        here.must(
            f"CREATE TABLE main.{place}.codes COMMENT 'codes of {place}' AS SELECT * FROM (VALUES {rows}) AS t(n, code, note)",
            f"CREATE TABLE main.{place}.t_{names[0]} COMMENT 'known as {names[1]}' AS SELECT 1 AS n",
            f"CREATE VIEW main.{place}.looked AS SELECT code FROM main.{place}.codes WHERE n < 3",
            f"CREATE VOLUME main.{place}.docs COMMENT '{names[1]}'",
        )
        for number, token in enumerate(documents):
            word = WORDS[number]
            text = f"# {word} rules of {place}\n\nThe {word} code for travel is {token}. Ask the {place} desk about every hotel.\n"
            here.write(f"/Volumes/main/{place}/docs/{WORDS[number]}_{number}.md", text.encode())
    clients = [f"({number}, '{masked}', 'north', 'client {number}')" for number, masked in enumerate(made.of("masked"))] + [
        f"({number + 10}, 'none', 'hidden', '{token}')" for number, token in enumerate(made.of("filtered"))
    ]
    here.must(
        f"CREATE TABLE main.sales.clients AS SELECT * FROM (VALUES {', '.join(clients)}) AS t(n, secret_code, region, name)",
        "CREATE FUNCTION main.sales.veil(v STRING) RETURNS STRING RETURN IF(is_account_group_member('trusted'), v, '***')",
        "CREATE FUNCTION main.sales.near(r STRING) RETURNS BOOLEAN RETURN is_account_group_member('trusted') OR r = 'north'",
    )
    for column in ("secret_code", "name"):
        here.label(SecurableKind.TABLE, "main.sales.clients", Label(Level.CONFIDENTIAL, PERSONAL), column)
    here.must(
        "ALTER TABLE main.sales.clients ALTER COLUMN secret_code SET MASK main.sales.veil",
        "ALTER TABLE main.sales.clients SET ROW FILTER main.sales.near ON (region)",
    )
    here.index("main.pub.handbook", *(f"/Volumes/main/{place}/docs" for place in LABELS))


def _people(made: World) -> None:
    """Who may read what."""
    here = made.here
    for who, places in READERS.items():
        here.person(who)
        for place in places:
            here.allow(who, SecurableKind.SCHEMA, f"main.{place}", *READING)
        here.allow(who, SecurableKind.INDEX, "main.pub.handbook", Privilege.SELECT)
    principals = here.services.access.principals
    group = principals.find(here.admin, "trusted")
    assert group is not None
    principals.add_member(here.admin, group.id, here.people[TRUSTED].id)
    for place in ("sales", "hr"):
        here.services.agents.agents.create(here.admin, f"main.{place}.desk", tables=[f"main.{place}.codes"], indexes=["main.pub.handbook"])
        for who, places in READERS.items():
            if place in places:
                here.allow(who, SecurableKind.AGENT, f"main.{place}.desk", Privilege.EXECUTE)


def _endpoints(made: World) -> None:
    """Endpoints of several policies; everybody may use all of them."""
    here = made.here
    served = {"here": here.local()}
    for name, (level, categories) in OUTSIDE.items():
        spec = here.served(name, level)
        spec = replace(spec, kind=ServedKind.ANTHROPIC if name == "claude" else ServedKind.OPENAI)
        served[name] = replace(spec, clearance=Clearance("", level=level, categories=categories, zone="any", keeps=False))
    for name, (models, policy) in CHAT.items():
        here.endpoint(name, *(served[each] for each in models), policy=policy)
    here.endpoint("vectors", served["paid"], task=Task.EMBEDDINGS)
    for name in (*CHAT, "vectors", "insjo-chat"):
        for who in READERS:
            here.allow(who, SecurableKind.ENDPOINT, name, Privilege.EXECUTE)


class Heard(logging.Handler):
    """Everything that is logged, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@dataclass
class Walk:
    """Random steps; `transcript` is what each restricted person was told, for a comparison of two walks."""

    world: World
    draw: random.Random
    guesses: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    transcript: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    keep: frozenset[str] = frozenset()
    arrived: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in OUTSIDE})
    sent: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=lambda: {name: [] for name in OUTSIDE})
    threads: dict[str, list[str]] = field(default_factory=lambda: {who: [] for who in READERS})
    stored: dict[str, list[str]] = field(default_factory=lambda: {who: [] for who in READERS})
    lent: set[tuple[str, str]] = field(default_factory=set)
    names: list[str] = field(default_factory=list)

    def take(self, steps: int) -> None:
        """Walk."""
        ways: list[tuple[Callable[[str], None], float]] = [
            (self.chat, 68), (self.message, 10), (self.respond, 4), (self.embed, 5), (self.invoke, 4), (self.statement, 3),
            (self.browse, 3), (self.files, 1), (self.search, 1), (self.answer, 0.4), (self.converse, 0.6), (self.agent, 0.4),
            (self.records, 0.4), (self.page, 0.2), (self.rights, 1), (self.clear, 0.8),
        ]  # fmt: skip
        for _ in range(steps):
            if self.guesses and self.draw.random() < 0.02:  # What fails is tried again after a time, which is not the same in two walks.
                self._break()
            who = self.draw.choice(tuple(READERS))
            (way,) = self.draw.choices([each for each, _ in ways], [weight for _, weight in ways])
            self.counts[way.__name__] += 1
            way(who)

    # ------------------------------------------------------------------------------------------------------------- the oracle

    def judge(self, who: str, step: str, told: Told, typed: Iterable[str] = (), *, memory: bool = False) -> Told:
        """Nobody learns what is not theirs, no provider receives what it is not cleared for."""
        mine = set(typed)
        seen = {token for token in tokens_in(told.everything, deep=False) if token in self.world.canaries}
        allowed = {token for token in seen if self.world.may_see(who, token)}
        wrong = seen - allowed - mine - (self.world.heard[who] if memory else set())
        assert not wrong, f"{who} was told {[self.world.canaries[each] for each in wrong]} by {step}: {told.text[:600]}"
        assert told.status < 500 or told.status in {501, 502, 503, 504}, (step, told.text[:600])
        self.world.heard[who] |= allowed | mine
        for name, recorder in self.world.here.outside.items():
            while recorder.requests:
                each = recorder.requests.popleft()
                here = {token for token in tokens_in(each.head + b"\n" + each.body, deep=bool(mine)) if token in self.world.canaries}
                lost = [self.world.canaries[token] for token in here if not self.world.may_go(token, name)]
                assert not lost, f"`{name}` received {lost} by {step} of {who}: {each.body[:1000]!r}"
                self.arrived[name] |= here
                self.sent[name].append((each.head.replace(str(recorder.port).encode(), b"PORT"), each.body))
        self.world.here.inside.requests.clear()
        if who in self.keep:
            self.transcript.append((who, step, told.status, told.everything))
        return told

    def some(self, who: str) -> list[str]:
        """Tokens that somebody writes: known ones, and now and then one that they should not know."""
        world = self.world
        places = tuple(READERS[who])
        known = [token for place in places for token in world.of("cell", "document", place=place)]
        if who == TRUSTED:
            known += world.of("masked", "filtered")
        pool = world.of("cell", "document", "masked", "filtered") if self.guesses and self.draw.random() < 0.15 else known
        return [self.draw.choice(pool) for _ in range(self.draw.choice((0, 1, 1, 1, 2, 3)))]

    def words(self, who: str) -> tuple[str, list[str]]:
        """A text with tokens in it."""
        typed = self.some(who)
        if not typed:
            return f"What about the {self.draw.choice(WORDS)} of {self.draw.choice(WORDS)}?", typed
        return hidden(self.draw, typed), typed

    # ------------------------------------------------------------------------------------------------------------ model doors

    def chat(self, who: str) -> None:
        """OpenAI's chat, with the content in any place of it."""
        text, typed = self.words(who)
        endpoint = self.draw.choice(tuple(CHAT))
        system = self.draw.choice(("You are helpful.", text))
        past = [
            {"role": "user", "content": self.draw.choice(("Hello", text))},
            {"role": "assistant", "content": self.draw.choice(("Hi", text))},
        ]
        kind = self.draw.randrange(8)
        last: object = [{"type": "text", "text": text}] if kind == 0 else "And now?" if kind > 5 else text
        if kind == 1:
            call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"q": text})}}
            asked: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [call]}
            past += [asked, {"role": "tool", "tool_call_id": "1", "content": text}]
        body: dict[str, object] = {
            "model": endpoint,
            "messages": [{"role": "system", "content": system}, *past, {"role": "user", "content": last}],
        }
        if kind == 2:
            body["tools"] = [{"type": "function", "function": {"name": "look", "description": text, "parameters": {"type": "object"}}}]
        if kind == 3:
            body |= {"user": text[:60], "metadata": {"note": text[:400]}}
        if self.draw.random() < 0.3:
            body["stream"] = True
        path = self.draw.choice(("/v1", "/v1", "/serving-endpoints", "/ai-gateway/mlflow/v1"))
        told = self.world.here.call(who, "POST", f"{path}/chat/completions", body)
        self.judge(who, f"chat {endpoint}", told, typed, memory=True)
        self.counts[f"chat {told.headers.get('x-insjo-route', 'refused').split(';')[0]}"] += 1

    def message(self, who: str) -> None:
        """Anthropic's messages."""
        text, typed = self.words(who)
        endpoint = self.draw.choice(tuple(CHAT))
        body: dict[str, object] = {"model": endpoint, "max_tokens": 20, "messages": [{"role": "user", "content": text}]}
        kind = self.draw.randrange(4)
        if kind == 0:
            body |= {"system": [{"type": "text", "text": text}], "messages": [{"role": "user", "content": "hi"}]}
        if kind == 1:
            body["messages"] = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": text}]}]
        if self.draw.random() < 0.3:
            body["stream"] = True
        self.judge(who, f"messages {endpoint}", self.world.here.call(who, "POST", "/v1/messages", body), typed, memory=True)

    def respond(self, who: str) -> None:
        """The Responses API, with what was said before, or somebody else's response."""
        text, typed = self.words(who)
        endpoint = self.draw.choice(tuple(CHAT))
        body: dict[str, object] = {"model": endpoint, "input": text, "stream": self.draw.random() < 0.3}
        before = [each for other, several in self.stored.items() for each in several[-4:] if self.guesses or other == who]
        if before and self.draw.random() < 0.5:
            body["previous_response_id"] = self.draw.choice(before)
        told = self.judge(who, f"responses {endpoint}", self.world.here.call(who, "POST", "/v1/responses", body), typed, memory=True)
        if told.status == 200 and not body["stream"]:
            self.stored[who].append(told.json()["id"])
        if before and self.draw.random() < 0.3:
            path = f"/v1/responses/{self.draw.choice(before)}" + self.draw.choice(("", "/input_items"))
            self.judge(who, "response", self.world.here.call(who, "GET", path), memory=True)

    def embed(self, who: str) -> None:
        """Vectors."""
        text, typed = self.words(who)
        body = {"model": "vectors", "input": self.draw.choice((text, [text, "harmless"], ["harmless", text]))}
        self.judge(who, "embeddings", self.world.here.call(who, "POST", "/v1/embeddings", body), typed, memory=True)

    def invoke(self, who: str) -> None:
        """A serving endpoint."""
        text, typed = self.words(who)
        endpoint = self.draw.choice((*CHAT, "vectors"))
        body: dict[str, object] = {"input": text} if endpoint == "vectors" else {"messages": [{"role": "user", "content": text}]}
        self.judge(who, "invoke", self.world.here.call(who, "POST", f"/serving-endpoints/{endpoint}/invocations", body), typed, memory=True)

    # ------------------------------------------------------------------------------------------------------------- data doors

    def statement(self, who: str) -> None:
        """SQL, by right or not."""
        place = self.draw.choice(tuple(LABELS))
        typed = self.some(who)[:1]
        value = typed[0] if typed else "nothing"
        text = self.draw.choice(
            (
                f"SELECT * FROM main.{place}.codes",
                f"SELECT * FROM main.{place}.codes",
                f"SELECT count(*) FROM main.{place}.codes WHERE code = '{value}'",
                f"SELECT * FROM main.{place}.looked",
                f"SELECT cast(code AS INT) FROM main.{place}.codes",
                f"SELECT max(code) FROM main.{place}.codes",
                f"SHOW TABLES IN main.{place}",
                f"DESCRIBE TABLE main.{place}.codes",
                f"SELECT * FROM read_files('/Volumes/main/{place}/docs/order_0.md', format => 'text')",
                f"LIST '/Volumes/main/{place}/docs'",
                "SELECT * FROM main.sales.clients",
                "SELECT * FROM main.sales.clients ORDER BY secret_code",
                "SELECT raise_error(concat(secret_code, name)) FROM main.sales.clients",
                f"SELECT count(*) FROM main.sales.clients WHERE secret_code LIKE '{value[:6]}%'",
                "SELECT table_name, comment FROM system.information_schema.tables",
                f"SELECT * FROM main.{place}.code",
                "SELECT reason, object, origins FROM system.access.audit",
                "SELECT * FROM system.ai.usage",
            )
        )
        body = {"statement": text, "wait_timeout": "30s"}
        told = self.world.here.call(who, "POST", "/api/2.0/sql/statements", body)
        if not (who in self.keep and "system.a" in text):
            self.judge(who, text, told, typed)

    def browse(self, who: str) -> None:
        """What there is, by the doors that list and show."""
        place = self.draw.choice(tuple(LABELS))
        uc = "/api/2.1/unity-catalog"
        path = self.draw.choice(
            (
                f"{uc}/tables?catalog_name=main&schema_name={place}",
                f"{uc}/tables/main.{place}.codes",
                f"{uc}/tables/main.{place}.nothing",
                f"{uc}/volumes?catalog_name=main&schema_name={place}",
                f"{uc}/schemas?catalog_name=main",
                f"{uc}/table-summaries?catalog_name=main",
                f"{uc}/effective-permissions/schema/main.{place}",
                "/ui/catalog/search?q=codes",
                "/ui/palette?q=co",
                "/ui/sql/completions",
                f"/api/insjo/v1/why/table/main.{place}.codes?privilege=SELECT",
                f"/api/insjo/v1/labels/table/main.{place}.codes",
                "/api/insjo/v1/indexes/main.pub.handbook/documents",
                "/api/insjo/v1/indexes/main.pub.handbook",
                "/api/insjo/v1/agents",
                "/v1/models",
                "/api/2.0/serving-endpoints",
                f"{uc}/functions?catalog_name=main&schema_name={place}",
            )
        )
        self.judge(who, path, self.world.here.call(who, "GET", path))

    def files(self, who: str) -> None:
        """Files of volumes."""
        place = self.draw.choice(tuple(LABELS))
        kind, name = self.draw.choice((("files", "/order_0.md"), ("files", "/hotel_9.md"), ("directories", "")))
        path = f"/api/2.0/fs/{kind}/Volumes/main/{place}/docs{name}"
        self.judge(who, path, self.world.here.call(who, self.draw.choice(("GET", "GET", "HEAD")), path))

    def search(self, who: str) -> None:
        """Passages."""
        typed = self.some(who)[:1]
        query = typed[0] if typed else f"{self.draw.choice(WORDS)} code for travel"
        body = {"query": query, "indexes": ["main.pub.handbook"], "k": 8}
        self.judge(who, "search", self.world.here.call(who, "POST", "/api/insjo/v1/search", body), typed)

    def answer(self, who: str) -> None:
        """An answer with sources."""
        body = {"question": f"What is the {self.draw.choice(WORDS[:3])} code for travel?", "indexes": ["main.pub.handbook"]}
        body |= {"endpoint": self.draw.choice(tuple(CHAT))}
        self.judge(who, "answer", self.world.here.call(who, "POST", "/api/insjo/v1/answers", body))

    def converse(self, who: str) -> None:
        """The private chat: its titles, its history, documents and agents."""
        text, typed = self.words(who)
        threads = self.threads[who]
        others = [each for several in self.threads.values() for each in several] if self.guesses and self.draw.random() < 0.1 else threads
        place = self.draw.choice((*others[-3:], "new"))
        kind = self.draw.randrange(4)
        body: dict[str, object] = {"text": text, "endpoint": self.draw.choice(tuple(CHAT))}
        if kind == 0:
            body = {"text": f"What is the {WORDS[0]} code for travel?", "indexes": ["main.pub.handbook"]}
        path = f"/api/insjo/v1/conversations/{place}/messages"
        told = self.judge(who, "converse", self.world.here.call(who, "POST", path, body, accept="application/json"), typed, memory=True)
        if told.status == 200 and place == "new":
            threads.append(told.json()["conversation"]["id"])
        if others:
            self.judge(who, "history", self.world.here.call(who, "GET", f"/api/insjo/v1/conversations/{others[-1]}/messages"), memory=True)
        self.judge(who, "conversations", self.world.here.call(who, "GET", "/api/insjo/v1/conversations"), memory=True)

    def agent(self, who: str) -> None:
        """An agent, whose model does what an attacker says."""
        place = self.draw.choice(("sales", "hr"))
        evil = self.draw.choice(("SELECT * FROM main.board.codes", "SELECT * FROM main.hr.codes", "![x](https://evil.example/?q=1)"))
        self.world.here.inside.script.append(Script(text=f"```sql\n{evil}\n```"))
        question = self.draw.choice(("How many codes are there?", "Show all codes", "What is the order code for travel?"))
        path = f"/api/insjo/v1/agents/main.{place}.desk/run"
        self.judge(who, "agent", self.world.here.call(who, "POST", path, {"question": question}))
        self.world.here.inside.script.clear()

    def records(self, who: str) -> None:
        """What is kept about calls."""
        path = self.draw.choice(
            ("/api/insjo/v1/usage", "/metrics", "/api/insjo/v1/audit", "/api/2.0/sql/history/queries", "/api/insjo/v1/limits")
        )
        if who not in self.keep:
            self.judge(who, path, self.world.here.call(who, "GET", path), memory=True)

    def page(self, who: str) -> None:
        """Pages."""
        place = self.draw.choice(tuple(LABELS))
        path = self.draw.choice(
            (f"/catalog/main/{place}", f"/catalog/main/{place}/codes", "/knowledge/main.pub.handbook", "/chat", "/catalog/main")
        )
        if who not in self.keep:
            self.judge(who, path, self.world.here.call(who, "GET", path), memory=path == "/chat")

    # ------------------------------------------------------------------------------------------------------------------ change

    def rights(self, who: str) -> None:
        """Take a right away, or give it back."""
        place = self.draw.choice(tuple(LABELS))
        if place == "pub" or (not self.guesses and place in {"hr", "board"} and who in self.keep):
            return
        pair = (who, place)
        if pair in self.world.rights:
            self.world.here.refuse(who, SecurableKind.SCHEMA, f"main.{place}", *READING)
            self.world.rights.discard(pair)
        elif place in READERS[who]:
            self.world.here.allow(who, SecurableKind.SCHEMA, f"main.{place}", *READING)
            self.world.rights.add(pair)

    def clear(self, who: str) -> None:
        """Change what a provider may receive, at every endpoint; or how an endpoint answers to a conflict."""
        del who
        here = self.world.here
        if self.draw.random() < 0.3:
            name = self.draw.choice(("routed", "ladder"))
            found = here.services.gateway.endpoints.get(here.admin, name)
            policy = Policy(self.draw.choice(("reroute", "block")), redact=self.draw.random() < 0.3)
            here.services.gateway.endpoints.update(here.admin, name, replace(EndpointSpec.of(found), policy=policy))
            return
        name = self.draw.choice(tuple(OUTSIDE))
        first = OUTSIDE[name]
        level, categories = self.draw.choice(((Level.PUBLIC, NONE), (min(Level.INTERNAL, first[0]), NONE), first, first, first, first))
        for endpoint, models in (*((each, models) for each, (models, _) in CHAT.items()), ("vectors", ("paid",))):
            if name in models:
                cleared = Clearance(f"served_model:{endpoint}/{name}", level, categories, "any", keeps=False)
                here.services.access.clearances.set(here.admin, cleared)
        self.world.clearances[name] = (level, categories)

    def _break(self) -> None:
        """Let a provider fail at its next request."""
        recorder = self.draw.choice([*self.world.here.outside.values(), self.world.here.inside])
        recorder.script.append(Script(fault=self.draw.choice(FAULTS), status=self.draw.choice((400, 429, 500, 503))))
