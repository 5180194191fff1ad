"""Functions of regular expressions."""

from __future__ import annotations

from insjo.sql.dialect.coercion import as_text
from insjo.sql.dialect.fragments import Fragment, fill, string
from insjo.sql.dialect.functions.java_regex import Pattern, translate_pattern, translate_replacement
from insjo.sql.dialect.functions.registry import Call, Definition, scalar
from insjo.sql.dialect.types import BOOLEAN, INT, STRING, array_of
from insjo.sql.errors import ArgumentInvalid, UnsupportedFeature


def java_pattern(call: Call, index: int) -> Fragment:
    """A pattern among the arguments in RE2's words; a computed one is checked when the statement runs."""
    fragment = call.take(index, STRING)
    if fragment.text is None:
        return fill("insjo_computed_pattern({0})", STRING, fragment)
    return string(translate_pattern(fragment.text).text)


def matches(subject: Fragment, pattern: Fragment) -> Fragment:
    """`RLIKE`: whether the pattern is found anywhere."""
    subject, pattern = as_text(subject, "`RLIKE`"), as_text(pattern, "`RLIKE`")
    if pattern.text is None:
        return fill("regexp_matches({0}, insjo_computed_pattern({1}))", BOOLEAN, subject, pattern)
    return fill("regexp_matches({0}, {1})", BOOLEAN, subject, string(translate_pattern(pattern.text, newline_at_end=True).text))


@scalar("regexp_like regexp rlike", 2)
def regexp_like(call: Call) -> Fragment:
    """`RLIKE` as a function."""
    return matches(call.arg(0), call.arg(1))


def _constant_pattern(call: Call) -> Pattern:
    return translate_pattern(call.constant_text(1, "pattern"))


def _group(call: Call, pattern: Pattern) -> int:
    group = call.constant_whole(2, "group") if len(call) > 2 else 1  # noqa: PLR2004  # The group.
    if not 0 <= group <= pattern.groups:
        raise ArgumentInvalid(
            f"{call.label}: the pattern has {pattern.groups} groups, and not group {group}.", hint="Group 0 is the whole match."
        )
    return group


@scalar("regexp_extract", 2, 3)
def regexp_extract(call: Call) -> Fragment:
    """Group of the first match; an empty text if there is none."""
    pattern = _constant_pattern(call)
    group = _group(call, pattern)
    return fill(f"regexp_extract({{0}}, {{1}}, {group})", STRING, call.take(0, STRING), string(pattern.text))


@scalar("regexp_extract_all", 2, 3)
def regexp_extract_all(call: Call) -> Fragment:
    """Group of every match."""
    pattern = _constant_pattern(call)
    group = _group(call, pattern)
    return fill(f"regexp_extract_all({{0}}, {{1}}, {group})", array_of(STRING), call.take(0, STRING), string(pattern.text))


@scalar("regexp_replace", 3, 4)
def regexp_replace(call: Call) -> Fragment:
    """Every match, from a position on."""
    text, pattern_arg, replacement = call.take(0, STRING), call.take(1, STRING), call.take(2, STRING)
    if pattern_arg.text is None:
        if replacement.text is None or "$" in replacement.text or "\\" in replacement.text:
            raise UnsupportedFeature(f"{call.label} with a computed pattern takes a constant replacement without groups only.")
        new, pattern = replacement, java_pattern(call, 1)
    else:
        read = translate_pattern(pattern_arg.text)
        pattern = string(read.text)
        if replacement.text is not None:
            new = string(translate_replacement(replacement.text, read))
        else:
            new = fill("insjo_computed_replacement({0})", STRING, replacement)
    if len(call) == 3:  # noqa: PLR2004  # Without a position.
        return fill("regexp_replace({0}, {1}, {2}, 'g')", STRING, text, pattern, new)
    start = call.take(3, INT)
    return fill("(left({0}, {3} - 1) || regexp_replace(substr({0}, {3}), {1}, {2}, 'g'))", STRING, text, pattern, new, start)


@scalar("regexp_count", 2)
def regexp_count(call: Call) -> Fragment:
    """Number of matches."""
    return fill("CAST(len(regexp_extract_all({0}, {1})) AS INTEGER)", INT, call.take(0, STRING), java_pattern(call, 1))


@scalar("regexp_substr", 2)
def regexp_substr(call: Call) -> Fragment:
    """The first match, NULL if there is none."""
    sql = "CASE WHEN regexp_matches({0}, {1}) THEN regexp_extract({0}, {1}) END"
    return fill(sql, STRING, call.take(0, STRING), java_pattern(call, 1))


@scalar("regexp_instr", 2, 3)
def regexp_instr(call: Call) -> Fragment:
    """Place of the first match, 0 if there is none."""
    pattern = _constant_pattern(call)
    before = string(f"(?s)^(.*?)(?-s:{pattern.text})")
    sql = "CASE WHEN regexp_matches({0}, {1}) THEN CAST(length(regexp_extract({0}, {2}, 1)) + 1 AS INTEGER) WHEN {0} IS NOT NULL THEN 0 END"
    return fill(sql, INT, call.take(0, STRING), string(pattern.text), before)


DEFINITIONS: tuple[Definition, ...] = (
    regexp_like,
    regexp_extract,
    regexp_extract_all,
    regexp_replace,
    regexp_count,
    regexp_substr,
    regexp_instr,
)
