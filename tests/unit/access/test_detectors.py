"""Recognisers find the real thing and leave numbers that only look like it alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.access.service.detectors import detect


def names(text: str) -> set[str]:
    return {name for name, _ in detect(text)}


@pytest.mark.parametrize(
    "text",
    [
        # Numbers that Skatteverket publishes for tests.
        "850709-9805",
        "8507099805",
        "19850709-9805",
        "198507099805",
        "850709+9805",
        "Anna (19850709-9805), Hofors",
        "pnr:850709-9805.",
        "coordination number 850769-9802",
        "12 850709-9805 13",
        "850709\u20139805",
        "nr 1234567 8507099805",
    ],
)
def test_a_personnummer_is_found(text: str) -> None:
    assert names(text) == {"personnummer"}


@pytest.mark.parametrize(
    "text",
    [
        "850709-9806",
        "851309-9805",
        "850732-9805",
        "556036-0793",
        "0.8507099805",
        "abc8507099805",
        "8507099805kr",
        "18507099805",
        "2026-11-23 12:00:00",
        "call 08-123 456 78",
        "1700000000",
        "v1.2.3-850709",
        "",
    ],
)
def test_other_numbers_are_none(text: str) -> None:
    assert names(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "SE45 5000 0000 0583 9825 7466",
        "se4550000000058398257466",
        "IBAN:DE89370400440532013000.",
        "nr 12 34 GB29 NWBK 6016 1331 9268 19 thanks",
    ],
)
def test_an_iban_is_found(text: str) -> None:
    assert "iban" in names(text)


@pytest.mark.parametrize(
    "text", ["SE45 5000 0000 0583 9825 7467", "SE4550000000058398257", "XX4550000000058398257466", "ab12 hello there my friend of old"]
)
def test_other_letters_and_digits_are_no_iban(text: str) -> None:
    assert "iban" not in names(text)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111",
        "4111111111111111",
        "5500-0000-0000-0004",
        "3782 822463 10005",
        "my card 4111 1111 1111 1111 12/27",
        "2 4111 1111 1111 1111",
    ],
)
def test_a_card_is_found(text: str) -> None:
    assert "card" in names(text)


@pytest.mark.parametrize(
    "text", ["4111 1111 1111 1112", "9999 9999 9999 9995", "1234567812345670", "0.4111111111111111", "41111111111111111111111111"]
)
def test_other_long_numbers_are_no_card(text: str) -> None:
    assert "card" not in names(text)


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "token=ghp_" + "a1B2" * 9,
        "sk-proj-" + "Ab1_" * 12,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "dapi" + "0123456789abcdef" * 2,
        "insjo_" + "0123456789abcdef" * 4,
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "xoxb-123456789012-abcdefABCDEF",
        "hf_" + "aB" * 17,
        "SG." + "a" * 22 + "." + "b" * 43,
        "whsec_" + "aB1" * 11,
        "ya29." + "aB1_" * 12,
        "dop_v1_" + "0123456789abcdef" * 4,
        "shpat_" + "0123456789abcdef" * 2,
        "AccountKey=" + "aB" * 43 + "==",
        "postgresql://app:s3cretpass@db.example.org/app",
    ],
)
def test_a_key_is_found(text: str) -> None:
    assert names(text) == {"key"}


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn is a library",
        "AKIA is a beginning",
        "xylophone",
        "-----BEGIN PUBLIC KEY-----",
        "risk-" + "a" * 40,
        "eyJ is how they begin",
    ],
)
def test_words_that_begin_like_a_key_are_none(text: str) -> None:
    assert names(text) == set()


@given(st.text(alphabet="0123456789 -+.,ASEabcåsk_", max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    detect(text)
