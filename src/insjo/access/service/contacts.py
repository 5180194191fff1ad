"""Recognisers of what names a company or reaches a person: organisation numbers, e-mail addresses and telephone numbers.

They are common in harmless text, so that by themselves they raise no label unless the setting `contact_level` says so.  They are
replaced wherever a request is redacted, and guardrails can look for them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from insjo.access.service.detectors import luhn

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTACTS: Final = ("organisationsnummer", "email", "phone")

_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w@-])"
)
_EMAIL_BEFORE: Final = 66
_EMAIL_AFTER: Final = 320

_ORGANISATION: Final = re.compile(r"(?<![\w.,-])(?:(?:16)?(\d{6})[-\u2013](\d{4})|SE(\d{10})01)(?![\w-]|[.,]\d)")
"""With its hyphen, or as a VAT number: ten digits alone are far more often the number of an order."""

_LEGAL_FORMS: Final = "12356789"
"""First digits of organisation numbers: estates, the state, associations, companies and so on (SKV 709)."""

_PHONE: Final = re.compile(
    r"(?<![\w.,+/-])(?:"
    r"(?:\+|00)[1-9]\d{0,2}[ \u00a0-]?(?:\(0\))?[ \u00a0-]?\d{1,4}(?:[ \u00a0-]?\d{2,4}){2,4}"  # International (ITU-T E.164).
    r"|0(?:8|[1-7]\d{1,2})-\d{2,3}(?:[ \u00a0]?\d{2,3}){1,3}"  # Swedish, with the hyphen after the area.
    r"|07[02369]\d?[ \u00a0]\d{3}[ \u00a0]\d{2}[ \u00a0]\d{2}"  # Swedish mobile, in groups.
    r")(?![\w-]|[.,]\d)"
)
_PHONE_DIGITS: Final = (8, 15)
_SWEDISH_DIGITS: Final = (8, 11)


def organisationsnummer(digits: str) -> bool:
    """Whether ten digits are a Swedish organisation number: a legal form, no date in the middle, and a check digit (SKV 709)."""
    return digits[0] in _LEGAL_FORMS and int(digits[2:4]) >= 20 and luhn(digits)  # noqa: PLR2004  # No month has this number.


def contact_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Beginning, end and kind of each."""
    at, end = text.find("@"), 0
    while at >= 0:
        found = _EMAIL.search(text, max(end, at - _EMAIL_BEFORE), at + _EMAIL_AFTER)
        if found is not None and found.start() < at:
            end = found.end()
            yield found.start(), end, "email"
        at = text.find("@", max(at + 1, end))
    for found in _ORGANISATION.finditer(text):
        if organisationsnummer(found[3] or found[1] + found[2]):
            yield *found.span(), "organisationsnummer"
    for found in _PHONE.finditer(text):
        digits = sum(map(str.isdigit, found.group()))
        fewest, most = _PHONE_DIGITS if found.group().startswith(("+", "00")) else _SWEDISH_DIGITS
        if fewest <= digits <= most:
            yield *found.span(), "phone"


def contacts(text: str) -> tuple[str, ...]:
    """Names of what is found, each once."""
    return tuple(dict.fromkeys(kind for _, _, kind in contact_spans(text)))
