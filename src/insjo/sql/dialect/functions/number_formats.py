"""Number formats of `to_number` and `to_char`: `9 0 . D , G $ S MI PR`.

Source: "to_number function" in the Databricks SQL language reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from insjo.sql.dialect.fragments import text_of
from insjo.sql.dialect.types import Type, decimal
from insjo.sql.errors import ArgumentInvalid

_FORMAT = re.compile(
    r"^(?P<sign1>S|MI)?(?P<dollar>\$)?(?P<whole>[09,G]*)(?P<fraction>[.D][09]*)?(?P<sign2>S|MI|PR)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class NumberPattern:
    """A format, read.

    Attributes:
        type: Decimal type of its numbers.
        regex: Texts that fit it.
        negative: Regex of those that are negative.
    """

    type: Type
    regex: str
    negative: str

    def test(self, sql: str) -> str:
        """Condition that a text fits."""
        return f"regexp_full_match(trim({sql}, ' '), {text_of(self.regex)})"

    def reading(self, sql: str) -> str:
        """Plain digits of a text that fits."""
        digits = f"regexp_replace({sql}, '[^0-9.]', '', 'g')"
        number = f"CASE WHEN {digits} IN ('', '.') THEN '0' ELSE {digits} END"
        if not self.negative:
            return number
        return f"CASE WHEN regexp_matches({sql}, {text_of(self.negative)}) THEN '-' ELSE '' END || {number}"


def pattern_of(text: str) -> NumberPattern:
    """The format; raises ArgumentInvalid."""
    found = _FORMAT.match(text.strip())
    digits = re.sub(r"[^09]", "", (found["whole"] + (found["fraction"] or "")) if found else "")
    if not found or not digits or (found["sign1"] and found["sign2"]):
        raise ArgumentInvalid(f"`{text}` is no number format.", hint="For example `$99,999.99` or `S999`.")
    whole = found["whole"].replace("G", ",").replace("g", ",")
    fraction = (found["fraction"] or "").lstrip(".Dd")
    regex = _whole_regex(whole)
    if found["fraction"]:
        regex += rf"(\.[0-9]{{0,{len(fraction)}}})?"
    if found["dollar"]:
        regex = r"\$" + regex
    first, last = (found["sign1"] or "").upper(), (found["sign2"] or "").upper()
    negative = ""
    if first:
        regex, negative = ("[+-]?" if first == "S" else "-?") + regex, "^ *-"
    elif last in {"S", "MI"}:
        regex, negative = regex + ("[+-]?" if last == "S" else "-?"), "- *$"
    elif last == "PR":
        regex, negative = rf"(<{regex}>|{regex})", "^ *<"
    return NumberPattern(decimal(len(digits), len(fraction)), regex, negative)


def _whole_regex(whole: str) -> str:
    """Digits before the point: as many as the format has or fewer, exactly as many if it begins with 0."""
    groups = whole.split(",")
    if len(groups) == 1:
        count = len(whole)
        return rf"[0-9]{{{count}}}" if whole.startswith("0") else rf"[0-9]{{0,{count}}}"
    if whole.startswith("0"):
        return ",".join(rf"[0-9]{{{len(group)}}}" for group in groups)
    # Any group may be the first one; those behind it are complete.
    ways = [
        rf"[0-9]{{{0 if index == len(groups) - 1 else 1},{len(group)}}}"
        + "".join(rf",[0-9]{{{len(rest)}}}" for rest in groups[index + 1 :])
        for index, group in enumerate(groups)
    ]
    return f"(?:{'|'.join(ways)})"
