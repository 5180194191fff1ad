"""One lake full of canaries for all attacks; what a test changes it changes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from insjo.access.types import Privilege, SecurableKind
from insjo.testing.recorder import Script
from tests.security.walking import CHAT, OUTSIDE, READERS, World, world
from tests.support.canaries import tokens_in
from tests.support.whole import Told, Whole

if TYPE_CHECKING:
    from collections.abc import Iterator

CONVERSATION = "/api/insjo/v1/conversations/{}/messages"


@dataclass
class Arena:
    """The lake and what attacks do in it."""

    world: World

    @property
    def here(self) -> Whole:
        return self.world.here

    def token(self, kind: str, place: str, number: int = 0) -> str:
        """A canary."""
        return self.world.of(kind, place=place)[number]

    def quiet(self) -> None:
        """Forget what was received and what was planned."""
        for recorder in (*self.here.outside.values(), self.here.inside):
            recorder.clear()
            recorder.default = Script()

    def model_says(self, text: str) -> None:
        """From now on every model does what an attacker wants it to say."""
        for recorder in (*self.here.outside.values(), self.here.inside):
            recorder.default = Script(text=text)

    def chat(self, who: str, endpoint: str, content: object, **fields: object) -> Told:
        """A chat completion."""
        messages = content if isinstance(content, list) and content and "role" in content[0] else [{"role": "user", "content": content}]
        return self.here.call(who, "POST", "/v1/chat/completions", {"model": endpoint, "messages": messages, **fields})

    def converse(self, who: str, text: str, conversation: str = "new", **fields: object) -> Any:  # noqa: ANN401  # A decoded document.
        """A message in the private chat; the document that it gives, with its `status`."""
        told = self.here.call(who, "POST", CONVERSATION.format(conversation), {"text": text, **fields}, accept="application/json")
        return {"status": told.status, **told.json()}

    def sql(self, who: str, text: str) -> Told:
        """A statement."""
        return self.here.call(who, "POST", "/api/2.0/sql/statements", {"statement": text, "wait_timeout": "50s"})

    def state(self, who: str, text: str) -> str:
        """How a statement ended."""
        return str(self.sql(who, text).json()["status"]["state"])

    def received(self) -> dict[str, set[str]]:
        """Canaries that providers elsewhere received."""
        found = {name: tokens_in(recorder.received()) & set(self.world.canaries) for name, recorder in self.here.outside.items()}
        return {name: tokens for name, tokens in found.items() if tokens}

    def nothing_left(self) -> None:
        """No provider elsewhere received a canary that it is not cleared for."""
        lost = {
            (name, self.world.canaries[token])
            for name, tokens in self.received().items()
            for token in tokens
            if not self.world.may_go(token, name)
        }
        assert not lost, lost

    def nothing_told(self, who: str, *told: Told, typed: tuple[str, ...] = ()) -> None:
        """These answers hold no canary that somebody may not see."""
        for each in told:
            seen = (tokens_in(each.everything) & set(self.world.canaries)) - set(typed)
            wrong = [self.world.canaries[token] for token in seen if not self.world.may_see(who, token)]
            assert not wrong, (wrong, each.text[:500])


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with world(tmp_path_factory.mktemp("arena") / "data", shared=5, own=5) as made:
        arena = Arena(made)
        here = made.here
        here.must("CREATE SCHEMA main.desk")
        for who in READERS:
            here.allow(who, SecurableKind.SCHEMA, "main.desk", Privilege.USE_SCHEMA, Privilege.SELECT, Privilege.READ_VOLUME)
            here.allow(who, SecurableKind.SCHEMA, "main.desk", Privilege.CREATE_TABLE, Privilege.CREATE_AGENT)
        assert set(CHAT) >= {"strict", "routed", "ladder"}
        assert set(OUTSIDE) >= {"paid", "firm", "vault"}
        yield arena


@pytest.fixture
def arena(lake: Arena) -> Iterator[Arena]:
    """The lake, with recorders that know of nothing yet."""
    lake.quiet()
    yield lake
    lake.quiet()
