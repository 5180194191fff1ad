"""Java's patterns in RE2's words, or an error; never another meaning."""

from __future__ import annotations

import pytest

from insjo.kernel.errors import InvalidArgument
from insjo.sql.dialect.functions.java_regex import plain_text, translate_pattern, translate_replacement
from insjo.sql.errors import UnsupportedFeature

SAME = ["abc", "[a-z]+", "(a|b)*?", r"\d+\.\d{2}", "^x$", r"\bword\b", "(?i)abc", "(?:a)", r"[^\d]", r"\p{L}", "a{2,3}", r"\Qa\E" and "a"]
TRANSLATED = [
    ("(?<year>x)", "(?P<year>x)"),
    (r"\s", r"[\t\n\x0B\f\r ]"),
    (r"[\s,]", r"[\t\n\x0B\f\r ,]"),
    (r"\S", r"[^\t\n\x0B\f\r ]"),
    (".", r"[^\n\r\x{85}\x{2028}\x{2029}]"),
    ("(?s).", "(?s)."),
    (r"\p{Alpha}", "[A-Za-z]"),
    (r"[\p{Digit}x]", "[0-9x]"),
    (r"\u00e5", r"\x{00e5}"),
    (r"\Qa.b\E", r"a\.b"),
    ("[]a]", r"[\]a]"),
]
REFUSED = [
    "a(?=b)",
    "a(?!b)",
    "(?<=a)b",
    "(?<!a)b",
    "(?>a)",
    r"(a)\1",
    "a++",
    "a*+",
    "a?+",
    "a{2}+",
    "[a-z&&[^b]]",
    "[a[b]]",
    r"\R",
    r"\G",
    r"\h",
    "(?x)a",
]
WRONG = ["[a", "a\\", "a{,3}", r"\x1", r"\p"]


@pytest.mark.parametrize("pattern", SAME)
def test_what_both_read_alike_stays(pattern: str) -> None:
    assert translate_pattern(pattern).text == pattern


@pytest.mark.parametrize(("java", "re2"), TRANSLATED)
def test_what_they_write_otherwise_is_translated(java: str, re2: str) -> None:
    assert translate_pattern(java).text == re2


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_re2_cannot_do_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedFeature):
        translate_pattern(pattern)


@pytest.mark.parametrize("pattern", WRONG)
def test_what_is_no_pattern_is_an_error(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        translate_pattern(pattern)


def test_groups_are_counted() -> None:
    pattern = translate_pattern(r"(a)(?:b)(?<c>d)\(")
    assert (pattern.groups, pattern.names) == (2, {"c": 2})


def test_replacements_name_their_groups() -> None:
    pattern = translate_pattern("(a)(?<b>c)")
    assert translate_replacement("$2-$1 $0 ${b}", pattern) == r"\2-\1 \0 \2"
    assert translate_replacement(r"\$1 \\ x", pattern) == r"$1 \\ x"
    assert translate_replacement("$12", pattern) == r"\12"  # Group 1, then a 2, as Java reads it with two groups.
    for wrong in ("$3", "$", "${z}", "a\\"):
        with pytest.raises(InvalidArgument):
            translate_replacement(wrong, pattern)


def test_plain_texts_are_known() -> None:
    assert plain_text(",") == ","
    assert plain_text(r"\.") == "."
    assert plain_text(r"\|\|") == "||"
    for pattern in (".", "a|b", "[,]", r"\d", "", "a\\"):
        assert plain_text(pattern) is None
