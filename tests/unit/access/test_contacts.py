"""Addresses and numbers of people and companies are found; orders, versions, hashes, times and prices are left alone."""

from __future__ import annotations

import random

import pytest

from insjo.access.service.contacts import contact_spans, contacts
from insjo.access.service.detectors import detect
from insjo.access.service.facade import Access
from insjo.access.types import Label, Level
from insjo.kernel.clock import SystemClock
from insjo.kernel.database import Database
from insjo.kernel.settings import Settings


def test_the_numbers_that_bolagsverket_gives_are_found() -> None:
    for text in ("556036-0793", "Org.nr 556036-0793.", "16556036-0793", "VAT SE556036079301", "(202100-5489)", "org 969663-7033"):
        assert contacts(text) == ("organisationsnummer",), text


@pytest.mark.parametrize(
    "text", ["anna.svensson@example.se", "Mail <o'b+tag@mail.example.co.uk>!", "a@b.se,c@d.org", "mailto:x_1%y@example.museum"]
)
def test_an_address_is_found(text: str) -> None:
    assert contacts(text) == ("email",)


@pytest.mark.parametrize(
    "text",
    [
        "+46 70 123 45 67",
        "+46701234567",
        "0046-8-123 456 78",
        "08-123 456 78",
        "070-123 45 67",
        "070 123 45 67",
        "+1 212-555-0123",
        "+44 20 7946 0958",
        "ring 0278-123 45.",
    ],
)
def test_a_telephone_number_is_found(text: str) -> None:
    assert contacts(text) == ("phone",)


HARMLESS = (
    "order 5560360793, line 556036-0794, batch 2026-11-23",
    "v1.2.3-850709 and 10.0.0.1:8080, port 0-65535",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "01890a5d-ac96-774b-bcce-b302099a8057",
    "git@ and user@host and @anna and x@y, printf('%s@%d')",
    "costs 1 234 567,50 kr, that is +12.5 % or 0,08-0,12 per unit",
    "between 08-12 and 08-31, 12:00-13:30, 2025-2026",
    "ISBN 978-91-7000-150-5, EAN 7310865004703, article 07-1234",
    "a = b + 46701234567 - 3; 1700000000123",
    "SELECT * FROM t@v12 WHERE a@>b",
    "commit 1234567-89ab, tag 2026.11.23-1",
    "+1 more, +46 points, 00 1 2 3",
)


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert contacts(text) == ()
    assert detect(text) == ()


def test_numbers_of_orders_are_rarely_taken_for_something_else() -> None:
    """Precision on ten thousand random numbers of the forms that order systems give."""
    drawn = random.Random(4)
    texts = [f"order {drawn.randrange(10**9, 10**10)} of {drawn.randrange(10**6, 10**7)}-{drawn.randrange(10)}" for _ in range(10_000)]
    assert sum(bool(contacts(text)) for text in texts) == 0
    assert sum(bool(detect(text)) for text in texts) < 100, "a date, and one of ten check digits"


def test_many_marks_cost_little_each() -> None:
    """Nothing here looks at a text again and again: the work grows with its length."""
    assert contacts("a@" * 50_000) == ()
    assert contacts("1-" * 50_000 + "+46 " * 20_000) == ()


def test_addresses_that_stand_close_are_all_found() -> None:
    text = "a@b.se, c@d.org; e@f.com @ g@h.net."
    assert [text[start:end] for start, end, _ in contact_spans(text)] == ["a@b.se", "c@d.org", "e@f.com", "g@h.net"]


def test_spans_are_where_the_text_is() -> None:
    text = "Mail a.b@example.se or call 08-123 456 78, org 556036-0793"
    assert [text[start:end] for start, end, _ in contact_spans(text)] == ["a.b@example.se", "556036-0793", "08-123 456 78"]


def test_they_raise_the_label_only_when_the_setting_says_so(database: Database) -> None:
    text = "write to anna.svensson@example.se"
    key = b"a key for tests, thirty-two bytes"
    plain = Access(database=database, clock=SystemClock(), settings=Settings(), key=key)
    strict = Access(database=database, clock=SystemClock(), settings=Settings(contact_level="confidential"), key=key)
    try:
        assert plain.fingerprints.label_text(text).label == Label(Level.INTERNAL)
        found = strict.fingerprints.label_text(text)
        assert found.label == Label(Level.CONFIDENTIAL, frozenset({"personal"}))
        assert [each.object for each in found.origins] == ["detected:email"]
    finally:
        plain.close()
        strict.close()
