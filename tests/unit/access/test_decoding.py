"""Values are recognised in every form that programs give them, also twice, and ordinary text stays as it is."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest

from insjo.access.service.decoding import GROWTH_MAX, LAYERS_MAX, UNPACKED_BYTES_MAX, decoded
from insjo.access.types import Label, Level
from tests.support.canaries import DISGUISES, hidden, tokens_in
from tests.support.gateway import Installation, installation

TOKEN = "kx4839201745c"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    with installation(tmp_path_factory.mktemp("decoding")) as found:
        found.protect(TOKEN, label=Label(Level.SECRET))
        return found


@pytest.mark.parametrize("name", DISGUISES)
@pytest.mark.parametrize("frame", ["{}", "Who is {} today?", '{{"id": "{}"}}', "1, 2, 3: {}; and so on"])
def test_a_disguised_value_is_recognised(made: Installation, name: str, frame: str) -> None:
    text = frame.format(DISGUISES[name](TOKEN))
    assert tokens_in(text) == {TOKEN}, "the oracle itself sees it"
    assert made.access.fingerprints.label_text(text).label.level is Level.SECRET


@pytest.mark.parametrize("text", ["Vms=\n" + DISGUISES["quoted printable"](TOKEN), "=6B=\n=78=34839201745c", "a=b=c " + TOKEN])
def test_signs_of_equality_hide_nothing(made: Installation, text: str) -> None:
    assert made.access.fingerprints.label_text(text).label.level is Level.SECRET


@pytest.mark.parametrize("blank", ["\n", "\t", "\r\n", "/"])
@pytest.mark.parametrize("name", ["plain", "full width", "escapes", "base64"])
def test_arguments_of_a_tool_hide_nothing_behind_their_escapes(made: Installation, blank: str, name: str) -> None:
    arguments = json.dumps({"rows": f"name;id{blank}{DISGUISES[name](TOKEN)}{blank}next"}).replace("/", "\\/")
    for text in (arguments, json.dumps(arguments), json.dumps({"input": json.dumps(arguments)})):
        assert made.access.fingerprints.label_text(text).label.level is Level.SECRET, text


def test_two_disguises_over_each_other_are_recognised(made: Installation) -> None:
    draw = random.Random(4)
    names = ["base64", "hexadecimal", "percent", "base64 for addresses", "base32"]
    for _ in range(40):
        text = hidden(draw, [TOKEN], names)
        text = DISGUISES[draw.choice(names)](text)
        assert made.access.fingerprints.label_text(text).label.level is Level.SECRET, text


@pytest.mark.parametrize(
    "text",
    [
        "Kan du sammanfatta kundundersökningen från https://intra.example.com/sv/ekonomi/rapporter/2026?",
        "Version 2.14.1 of the data-quality-dashboards is fine; see docs/how-to/share-part-of-a-table.md.",
        "SELECT customer_identification_number FROM main.sales.customer_transactions WHERE order_id = 47112233",
        "a) yes  b) no  c) perhaps",
    ],
)
def test_ordinary_text_says_nothing_more(text: str) -> None:
    assert decoded(text) == ""


def test_what_is_undone_has_an_end() -> None:
    bomb = base64.b64encode(b"%25" * 100_000).decode() + "&#37;" * 1000
    assert len(decoded(bomb)) <= LAYERS_MAX * (GROWTH_MAX * len(bomb) + UNPACKED_BYTES_MAX) + LAYERS_MAX


@pytest.mark.parametrize("piece", ["\\", "A1b", "A1b" * 9 + "\n", "a ", "=", "=41", "%", "&#", "k-", "\t"])
def test_no_text_takes_long(piece: str) -> None:
    """Time grows with the length of the text alone; with its square this would take hours."""
    decoded(f"a\nb {piece * 100_000}")


def test_no_bytes_break_it() -> None:
    draw = random.Random(5)
    for length in range(60):
        noise = draw.randbytes(length * 7)
        for text in (
            base64.b64encode(noise).decode(),
            noise.hex(),
            noise.decode("latin-1"),
            base64.b32encode(b"\x1f\x8b" + noise).decode(),
        ):
            decoded(text)


def test_the_path_of_this_file_is_no_code() -> None:
    assert decoded(str(Path("tests/unit/access/test_decoding.py"))) == ""
