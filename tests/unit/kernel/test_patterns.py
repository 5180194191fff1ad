"""Wildcards: the same answers as a regular expression gives, without its worst case."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from insjo.kernel.patterns import Token, Wildcard, fits

TOKENS = st.lists(st.one_of(st.sampled_from("aB_"), st.sampled_from(Wildcard)), max_size=8)


def expression(pattern: list[Token]) -> str:
    """The pattern as a regular expression."""
    meanings = {Wildcard.ONE: ".", Wildcard.MANY: ".*"}
    return "".join(meanings[each] if isinstance(each, Wildcard) else re.escape(each) for each in pattern)


@settings(deadline=None)
@given(TOKENS, st.text("abAB_", max_size=8))
def test_a_pattern_fits_what_its_regular_expression_fits(pattern: list[Token], name: str) -> None:
    assert fits(pattern, name) is (re.fullmatch(expression(pattern), name, re.IGNORECASE) is not None)


def test_no_pattern_takes_forever() -> None:
    pattern: list[Token] = [Wildcard.MANY, "a"] * 200
    assert not fits([*pattern, "b"], "a" * 255)
    assert fits(pattern, "a" * 255)
