"""What somebody gets from an index equals what an index would give that never held what they may not read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from insjo.access.types import Privilege, SecurableKind
from insjo.retrieval.errors import PassageNotFound
from insjo.retrieval.types import AnswerSpec, Finished, Hit, Retrieved
from tests.support import documents as samples
from tests.support.library import INDEX, SCHEMA, VOLUME, Library, open_library

pytestmark = pytest.mark.slow

HIDDEN = f"{SCHEMA}.hidden"
QUESTIONS = (
    "How many days of paid holiday do I get?",
    "hotel in Stockholm",
    "backup",
    "KF-7731-B",
    "Vad kostar lunchen?",
    "salary of the director",
    "nothing of the kind",
    "holiday holiday holiday",
)


def fill_visible(library: Library) -> None:
    for name, content in samples.library().items():
        library.write(name, content)


def fill_hidden(library: Library) -> None:
    """Documents that would change every statistic: many passages with the words of the questions."""
    for number in range(12):
        text = (
            f"# Pay\n\nThe salary of the director is {number} million. Holiday, hotel, backup, lunch KF-7731-B. "
            + "Holiday in Stockholm. " * 40
        )
        library.write(f"secret{number}.md", text.encode(), volume=HIDDEN)


def results(library: Library, who: str) -> list[list[Hit]]:
    person = library.reader(who, VOLUME)
    found = [library.search(person, question, k=20, mode=mode) for question in QUESTIONS for mode in ("hybrid", "words", "vectors")]
    return [[replace(hit, passage_id="") for hit in hits] for hits in found]


def without_ids(hits: list[Hit]) -> list[tuple[object, ...]]:
    return [(hit.path, hit.position, hit.text, hit.score, hit.evidence, hit.provenance.label) for hit in hits]


def test_hidden_passages_change_nothing_that_a_reader_sees(tmp_path: Path) -> None:
    with open_library(tmp_path / "with") as library:
        fill_visible(library)
        fill_hidden(library)
        library.room.indexes.create(library.admin, INDEX, sources=(VOLUME, HIDDEN))
        library.build()
        seen = results(library, "maja")
        person = library.lake.person("maja")
        index = library.room.indexes.get(person, INDEX)
        listed = [each.name for each in library.room.indexes.documents(person, INDEX)]
        everything = library.room.indexes.get(library.admin, INDEX)
        assert everything.documents == index.documents + 12
        assert any(hit.path.startswith("/Volumes/main/docs/hidden") for hit in library.search(library.admin, "salary of the director"))
    with open_library(tmp_path / "without") as library:
        fill_visible(library)
        library.room.indexes.create(library.admin, INDEX, sources=(VOLUME,))
        library.build()
        expected = results(library, "maja")
        person = library.lake.person("maja")
        alone = library.room.indexes.get(person, INDEX)
        assert listed == [each.name for each in library.room.indexes.documents(person, INDEX)]
    assert (index.documents, index.passages) == (alone.documents, alone.passages)
    assert [without_ids(hits) for hits in seen] == [without_ids(hits) for hits in expected]


@pytest.fixture
def mixed(library: Library) -> Library:
    fill_visible(library)
    fill_hidden(library)
    library.room.indexes.create(library.admin, INDEX, sources=(VOLUME, HIDDEN))
    library.build()
    return library


def test_hidden_passages_cannot_be_opened_cited_or_answered_from(mixed: Library) -> None:
    person = mixed.reader("maja", VOLUME)
    secret = next(hit for hit in mixed.search(mixed.admin, "salary of the director") if "hidden" in hit.path)
    with pytest.raises(PassageNotFound):
        mixed.room.passages.get(person, INDEX, secret.passage_id)
    events = mixed.ask(person, AnswerSpec((INDEX,), "What is the salary of the director?", endpoint=""))
    assert "million" not in repr(events)
    assert isinstance(events[0], Retrieved)
    assert isinstance(events[-1], Finished)


def test_a_right_that_is_withdrawn_ends_at_the_next_question(mixed: Library) -> None:
    person = mixed.reader("maja", VOLUME, HIDDEN)
    assert any("hidden" in hit.path for hit in mixed.search(person, "salary of the director"))
    found = mixed.lake.access.securables.find(SecurableKind.VOLUME, HIDDEN)
    assert found is not None
    mixed.lake.access.grants.revoke(mixed.admin, found.id, "maja", [Privilege.READ_VOLUME])
    assert not any("hidden" in hit.path for hit in mixed.search(person, "salary of the director"))


def test_somebody_who_may_read_no_volume_finds_nothing_and_learns_nothing(mixed: Library) -> None:
    person = mixed.reader("olle")
    assert mixed.search(person, "hotel in Stockholm") == []
    assert mixed.room.indexes.documents(person, INDEX) == ()
    index = mixed.room.indexes.get(person, INDEX)
    assert (index.documents, index.passages) == (0, 0)
