"""Pasted content is recognised, and little else is."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from insjo.access.service.facade import Access
from insjo.access.service.fingerprints import Fingerprints
from insjo.access.service.words import Collector, Evidence, Hasher, Index, evidence_of, normal, unpacked, words_of
from insjo.access.store import tables
from insjo.access.types import FingerprintMatch, Label, Level, Origin
from insjo.kernel.database import Database
from insjo.kernel.settings import Settings
from tests.support.access import KEY, Lake

pytestmark = pytest.mark.slow

CONFIDENTIAL = Label(Level.CONFIDENTIAL, frozenset({"personal"}))
CUSTOMERS = ["Anna Svensson", "Erik Larsson", "Åsa Öström", "Karl-Gustav von Rosen", "Mary O'Brien"]
PARAGRAPH = (
    "The board decided on Thursday to close the plant in Hofors during the second quarter, and to offer every "
    "employee with more than ten years of service an early pension that amounts to two thirds of the final salary."
)


@pytest.fixture
def prints(lake: Lake) -> Fingerprints:
    fingerprints = lake.access.fingerprints
    fingerprints.replace(lake.pay.id, CONFIDENTIAL, CUSTOMERS, column="Name")
    fingerprints.replace(lake.pay.id, CONFIDENTIAL, ["19850709-9805", "anna.svensson@example.se", "SE-7741-XK-0032"], column="id")
    return fingerprints


@pytest.mark.parametrize(
    "text",
    [
        "Is 850709-9805 a customer?",
        "is 8507099805 one",
        "198507099805",
        "19850709 - 9805 or 19850709 9805",
        "write to Anna.Svensson@EXAMPLE.se, please",
        "mailto:anna.svensson@example.se?subject=x",
        "order se_7741_xk_0032",
        "anna.svensson\u200b@exa\u200dmple.se",
        "\uff41\uff4e\uff4e\uff41.svensson@example.se",
    ],
)
def test_one_distinctive_value_is_enough(prints: Fingerprints, lake: Lake, text: str) -> None:
    assert {each.securable_id for each in prints.match(text)} == {lake.pay.id}


def test_three_plain_values_are_needed(prints: Fingerprints, lake: Lake) -> None:
    assert prints.match("Dear Anna Svensson and Erik Larsson") == ()
    found = prints.match("Customers:\n- ERIK  LARSSON\n- åsa öström;Karl Gustav von Rosen")
    assert found == (FingerprintMatch(CONFIDENTIAL, lake.pay.id, 3, "name"),)
    assert prints.match("Anna Svensson, Anna Svensson, Anna Svensson") == ()


def test_evidence_adds_up_over_the_columns_of_a_table(lake: Lake) -> None:
    prints = lake.access.fingerprints
    prints.replace(lake.pay.id, CONFIDENTIAL, ["Anna Svensson", "Erik Larsson"], column="name")
    prints.replace(lake.pay.id, Label(Level.SECRET), ["Stora Vägen 12, Hofors"], column="address")
    assert prints.match("Anna Svensson, Erik Larsson") == ()
    found = prints.match("Anna Svensson, Erik Larsson, Stora vägen 12 Hofors")
    assert {(each.column, each.count, each.label.level) for each in found} == {
        ("name", 2, Level.CONFIDENTIAL),
        ("address", 1, Level.SECRET),
    }


def test_two_windows_of_a_document_are_enough(lake: Lake) -> None:
    prints = lake.access.fingerprints
    prints.replace(
        lake.files.id, CONFIDENTIAL, [PARAGRAPH, "A second passage says nothing of interest to anybody but its author today."], "words"
    )
    assert [each.securable_id for each in prints.match(f"Please translate: {PARAGRAPH.upper()}")] == [lake.files.id]
    words = PARAGRAPH.split()
    assert prints.match(" ".join(words[2:34])) != ()
    assert prints.match(" ".join(words[:6])) == ()
    random.Random(1).shuffle(words)
    assert prints.match(" ".join(words)) == ()


def test_distinctive_values_inside_documents_count(lake: Lake) -> None:
    prints = lake.access.fingerprints
    text = f"{PARAGRAPH} Questions go to hr.secret@example.se (case HR-2026-00418), or 070-123 45 67."
    prints.replace(lake.files.id, CONFIDENTIAL, [text], "words")
    for value in ("hr.secret@example.se", "hr-2026-00418", "0701234567", "+46 70 123 45 67"):
        assert prints.match(f"what about {value}?") != (), value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a",
        "Anna",
        "12",
        "45200",
        "2026-11-23",
        "2026-11-23T12:00:00Z",
        "12:30",
        "2013-01-01 05:00:00",
        "true",
        "00000000",
        "aaaaaaaaaa",
        "20261123",
        "1.5",
    ],
)
def test_short_and_common_values_are_left_out(value: str) -> None:
    assert evidence_of(normal(value), words_of(normal(value))) is None


@pytest.mark.parametrize(
    ("value", "evidence"),
    [
        ("Svensson", Evidence.FAINT),
        ("Anna Svensson", Evidence.PLAIN),
        ("N12345", Evidence.PLAIN),
        ("452000", Evidence.PLAIN),
        ("59.3293812", Evidence.PLAIN),
        ("0701234567", Evidence.STRONG),
        ("CANARY-7f3a9c2e", Evidence.STRONG),
        ("a@b.se", None),
        ("bo@bo.se", Evidence.STRONG),
        ("SE4550000000058398257466", Evidence.STRONG),
    ],
)
def test_how_much_a_value_tells(value: str, evidence: Evidence | None) -> None:
    assert evidence_of(normal(value), words_of(normal(value))) is evidence


def test_values_that_stand_in_many_rows_are_left_out(lake: Lake) -> None:
    rows = [f"Department {('Sales', 'Research', 'Kitchen', 'Garden')[number % 4]} North" for number in range(400)]
    lake.access.fingerprints.replace(lake.pay.id, CONFIDENTIAL, [*rows, "Anna Svensson"], column="department")
    assert lake.access.fingerprints.match(" ".join(sorted(set(rows)))) == ()
    assert lake.access.fingerprints.refresh() == 1


def test_ordinary_text_is_not_recognised(prints: Fingerprints) -> None:
    text = "In 2026 the company Svensson & Larsson sold 12,000 units at 45.50 SEK; write to info@example.se or call 08-123 456 78."
    assert prints.match(text) == ()
    assert prints.label_text(text).label == Label(Level.INTERNAL)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
        lambda text: text.encode().hex(),
        lambda text: quote(text, safe=""),
        lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    ],
)
def test_simple_encodings_are_seen_through(prints: Fingerprints, disguise: Callable[[str], str]) -> None:
    provenance = prints.label_text("please decode " + disguise("the customer anna.svensson@example.se"))
    assert provenance.label == CONFIDENTIAL


def test_the_provenance_of_typed_text_names_what_was_found(prints: Fingerprints, lake: Lake) -> None:
    provenance = prints.label_text("anna.svensson@example.se has the key AKIAIOSFODNN7EXAMPLE")
    assert provenance.label == Label(Level.SECRET, frozenset({"personal", "credential"}))
    assert Origin("main.hr.pay", column="id", securable_id=lake.pay.id) in provenance.origins
    assert Origin("detected:key") in provenance.origins


def test_the_level_of_typed_text_is_a_setting(url: str, access: Access, database: Database) -> None:
    strict = Access(database=database, clock=access._clock, settings=Settings(typed_text_level="confidential"), key=KEY)
    assert strict.fingerprints.label_text("hello").label == Label(Level.CONFIDENTIAL)
    strict.close()


def test_a_new_set_replaces_the_old_one_and_can_be_forgotten(prints: Fingerprints, lake: Lake) -> None:
    prints.replace(lake.pay.id, CONFIDENTIAL, ["bo.berg@example.se"], column="ID")
    assert prints.match("anna.svensson@example.se") == ()
    assert prints.match("bo.berg@example.se") != ()
    prints.forget(lake.pay.id, column="id")
    assert prints.match("bo.berg@example.se") == ()
    assert prints.match(", ".join(CUSTOMERS)) != ()
    prints.forget(lake.pay.id)
    prints.forget(lake.pay.id)
    assert prints.match(", ".join(CUSTOMERS)) == ()
    assert prints.refresh() == 0


def test_a_label_that_rises_later_rises_for_pasted_content_too(prints: Fingerprints, lake: Lake) -> None:
    lake.access.labels.set(lake.admin, lake.hr.id, Label(Level.SECRET))
    assert prints.label_text("anna.svensson@example.se").label.level == Level.SECRET


def test_other_servers_see_new_fingerprints(prints: Fingerprints, lake: Lake, open_access: Callable[[], Access]) -> None:
    other = open_access()
    assert other.fingerprints.match("anna.svensson@example.se") != ()
    prints.replace(lake.orders.id, CONFIDENTIAL, ["bo.berg@example.se"])
    assert other.fingerprints.match("bo.berg@example.se") == ()
    other.refresh_revision()
    assert other.fingerprints.match("bo.berg@example.se") != ()


def test_the_database_holds_no_value_and_no_hash_that_can_be_made_without_the_key(prints: Fingerprints, database: Database) -> None:
    with database.read() as connection:
        stored = b"".join(connection.execute(sa.select(tables.fingerprints.c.hashes)).scalars())
    assert b"anna" not in stored.lower()
    for key in (b"", b"guess"):
        wrong = Hasher(key)
        for text in ("anna svensson example se", "8507099805", "anna svensson"):
            assert wrong.one(text).to_bytes(8, "little")[1:] not in stored


def test_matching_from_many_threads_while_sets_change(prints: Fingerprints, lake: Lake) -> None:
    def change(number: int) -> None:
        prints.replace(lake.orders.id, CONFIDENTIAL, [f"user{number}@example.se"])

    def ask(_: int) -> bool:
        return prints.match("anna.svensson@example.se") != ()

    with ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(change, number) for number in range(8)]
        assert all(pool.map(ask, range(100)))
        for each in changes:
            each.result()


@given(st.lists(st.text(max_size=60), max_size=20), st.text(max_size=200))
def test_any_text_is_taken_and_matched(values: list[str], text: str) -> None:
    hasher = Hasher(KEY)
    collector = Collector(hasher)
    collector.add_all(values)
    index = Index(hasher, [unpacked(collector.packed())])
    index.find(text)
    for value in values:
        words = words_of(normal(value))
        if words and evidence_of(normal(value), words) is Evidence.STRONG:
            assert index.find(f"before {value} after")


def test_a_large_set_is_thinned_and_keeps_its_distinctive_values() -> None:
    hasher = Hasher(KEY)
    collector = Collector(hasher)
    collector.add_all(f"Person{number} Family{number}x" for number in range(60_000))
    collector.add_all(f"person{number}@example.se" for number in range(1000))
    index = Index(hasher, [unpacked(collector.packed())])
    assert len(index) == 50_000
    assert all(index.find(f"person{number}@example.se") for number in range(1000))


def test_broken_stored_sets_match_nothing() -> None:
    for stored in (b"", b"\xff" * 7, b"\xff" * 16):
        Index(Hasher(KEY), [unpacked(stored)]).find("anything at all")


def test_columns_that_are_no_longer_labelled_are_dropped(prints: Fingerprints, lake: Lake) -> None:
    prints.keep(lake.pay.id, ["NAME"])
    assert prints.match("anna.svensson@example.se") == ()
    assert prints.match(", ".join(CUSTOMERS)) != ()
    prints.keep(lake.pay.id, [])
    assert prints.refresh() == 0


def test_numbers_that_fill_their_range_are_left_out(lake: Lake) -> None:
    prints = lake.access.fingerprints
    prints.replace(lake.pay.id, CONFIDENTIAL, [str(number) for number in range(100_000, 104_000)], column="amount")
    assert prints.match("100001, 100002, 100003 and 100004") == ()
    prints.replace(lake.pay.id, CONFIDENTIAL, ["482913", "771204", "390582"], column="amount")
    assert prints.match("482913, 771204 and 390582") != ()


def test_single_words_count_when_they_are_names(lake: Lake) -> None:
    prints = lake.access.fingerprints
    names = ["Andersson", "Bergkvist", "Carlsson", "Danielsson", "Eriksson", "Fredriksson", "Gustafsson", "Holmberg"]
    prints.replace(lake.pay.id, CONFIDENTIAL, names, column="surname")
    assert prints.match(", ".join(names[:7])) == ()
    assert prints.match(", ".join(names).lower()) != ()
    prints.replace(lake.pay.id, CONFIDENTIAL, [name.lower() for name in names], column="surname")
    assert prints.match(", ".join(names)) == ()


@pytest.mark.parametrize("piece_words", [1, 3, 10, 60])
def test_what_is_cut_into_parts_is_recognised_as_if_it_were_whole(prints: Fingerprints, lake: Lake, piece_words: int) -> None:
    prints.replace(lake.pay.id, CONFIDENTIAL, [PARAGRAPH], "words", column="minutes")
    filler = "Please tell me something about the lake and its weather in the long winter of the north. " * 12
    said = f"{filler} {PARAGRAPH} {filler} Anna Svensson Erik Larsson Mary O'Brien {filler}"
    words = said.split()
    parts = [" ".join(words[begin : begin + piece_words]) for begin in range(0, len(words), piece_words)]
    whole, cut = prints.label_text(said), prints.label_parts(parts)
    assert whole.label.level is Level.CONFIDENTIAL
    assert cut.label == whole.label
    assert set(cut.origins) == set(whole.origins)


@pytest.mark.parametrize("between", [["XK"], ["xk", ""], []])
def test_a_value_over_several_texts_short_and_long_is_recognised(prints: Fingerprints, between: list[str]) -> None:
    filler = "Please tell me something about the lake and its weather in the long winter of the north. " * 4
    texts = [f"{filler} SE-7741", *between, f"0032 {filler}"] if between else [f"{filler} SE-7741-XK", f"0032 {filler}"]
    assert prints.label_text("\n".join(texts)).label.level is Level.CONFIDENTIAL
    assert prints.label_parts(texts).label.level is Level.CONFIDENTIAL
    assert prints.label_parts([filler, *texts, filler]).label.level is Level.CONFIDENTIAL


def test_a_remembered_text_is_looked_at_anew_when_what_is_protected_changes(prints: Fingerprints, lake: Lake) -> None:
    said = ["x" * 300, "the code word is turquoise-herring-4471 and nobody knows it", "y" * 300]
    assert prints.label_parts(said).label.level is Level.INTERNAL
    prints.replace(lake.pay.id, CONFIDENTIAL, ["turquoise-herring-4471"], column="code")
    assert prints.label_parts(said).label.level is Level.CONFIDENTIAL
    assert prints.match_parts(said)
    prints.forget(lake.pay.id, column="code")
    assert prints.label_parts(said).label.level is Level.INTERNAL
    assert prints.match_parts(said) == ()


def test_no_parts_are_typed_text_and_nothing_else(prints: Fingerprints) -> None:
    assert prints.label_parts(()) == prints.label_parts(("",)) == prints.label_text("")
    assert prints.label_parts(("\ud800" * 300, "half a surrogate pair \udfff")).label.level is Level.INTERNAL


def test_many_threads_remember_while_the_protected_values_change(prints: Fingerprints, lake: Lake) -> None:
    texts = [f"text {number} of somebody " * 20 + "anna.svensson@example.se" for number in range(40)]

    def look(number: int) -> Level:
        if number % 50 == 0:
            prints.replace(lake.pay.id, CONFIDENTIAL, [f"{number:03}-unlikely-value-9917"], column="other")
        return prints.label_parts((texts[number % 40], texts[(number * 7) % 40])).label.level

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(look, range(400))) == {Level.CONFIDENTIAL}
