"""Recognisers of sensitive values in free text.  Each proves its finding by a checksum or by a shape that means nothing else."""

from __future__ import annotations

import calendar
import re
from typing import TYPE_CHECKING, Final

from insjo.access.types import Label, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

PERSONAL: Final = Label(Level.CONFIDENTIAL, frozenset({"personal"}))
FINANCIAL: Final = Label(Level.CONFIDENTIAL, frozenset({"financial"}))
CREDENTIAL: Final = Label(Level.SECRET, frozenset({"credential"}))

_NUMBERS: Final = re.compile(r"\d[\d +\u2013-]*")
"""Digits in groups.  It begins with a plain set of characters, which the engine skips to quickly."""

_DIGITS: Final = re.compile(r"\d+")
_NUMBER_CHARS_MIN: Final = 9
_COUNTRY_CHARS: Final = 2
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_IBAN_REACH: Final = 64
_CARD_DIGITS: Final = (12, 19)
_PERSONAL_DIGITS: Final = frozenset({(6, 4), (8, 4), (10,), (12,)})


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004  # The digit sum of a number up to 18.
    return total % 10 == 0


def personnummer(digits: str) -> bool:
    """Whether 10 or 12 digits are a Swedish personal identity or coordination number: a date and a check digit (SKV 704)."""
    short = digits[-10:]
    month, day = int(short[2:4]), int(short[4:6])
    day -= 60 if day > 60 else 0  # noqa: PLR2004  # Coordination numbers (SKV 707) add 60 to the day.
    if not 1 <= month <= 12 or not luhn(short):  # noqa: PLR2004  # Months.
        return False
    years = [int(digits[:4])] if len(digits) == 12 else [1900 + int(short[:2]), 2000 + int(short[:2])]  # noqa: PLR2004  # With century.
    return any(1 <= day <= calendar.monthrange(year, month)[1] for year in years)


_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
    "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
    "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
    "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27,
    "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31,
    "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Length of an IBAN by country (registry of ISO 13616)."""


def iban(text: str) -> bool:
    """Whether it begins with an IBAN: the country's length and the remainder 1 of 97 (ISO 13616)."""
    compact = re.sub(r"[ -]", "", text).upper()
    compact = compact[: _IBAN_LENGTHS.get(compact[:2], 0)]
    if len(compact) != _IBAN_LENGTHS.get(compact[:2], -1):
        return False
    return int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1


_CARD: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d{2})\d{12}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|3(?:0[0-5]|[68]\d)\d{11}",  # Diners Club
)


def card(digits: str) -> bool:
    """Whether the digits are the number of a payment card: a known issuer, its length and the check digit."""
    return _CARD.fullmatch(digits) is not None and luhn(digits)


def _groups(text: str, region: re.Match[str]) -> list[str]:
    """Groups of digits that stand side by side; those that are a part of a word or of a decimal number are left out."""
    groups = re.split(r"[ +\u2013-]+", region.group().rstrip(" +\u2013-"))
    before, after = text[max(0, region.start() - 2) : region.start()], text[region.end() : region.end() + 2]
    if before[-1:].isalpha() or before[-1:] == "_" or re.fullmatch(r"\d[.,]", before):
        groups = groups[1:]
    if region.group()[-1].isdigit() and (after[:1].isalpha() or after[:1] == "_" or re.fullmatch(r"[.,]\d", after)):
        groups = groups[:-1]
    return groups


def _personnummer_in(groups: list[str]) -> bool:
    """Whether one group, or two side by side, are a personal number."""
    for index, group in enumerate(groups):
        for several in ((group,), (group, *groups[index + 1 : index + 2])):
            if tuple(map(len, several)) in _PERSONAL_DIGITS and personnummer("".join(several)):
                return True
    return False


def _card_in(groups: list[str]) -> bool:
    """Whether some groups side by side are the number of a card."""
    fewest, most = _CARD_DIGITS
    for index in range(len(groups)):
        digits = ""
        for group in groups[index : index + most]:
            digits += group
            if len(digits) > most:
                break
            if len(digits) >= fewest and card(digits):
                return True
    return False


def _iban_at(text: str, start: int) -> bool:
    """Whether the two letters before this place and what follows are an IBAN."""
    country = text[max(0, start - _COUNTRY_CHARS) : start]
    if len(country) < _COUNTRY_CHARS or country.upper() not in _IBAN_LENGTHS:
        return False
    found = _IBAN.search(text[max(0, start - 3) : start + _IBAN_REACH])
    return found is not None and iban(found.group())


_KEYS: Final = re.compile(
    r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA)[A-Z2-7]{16}"  # Amazon Web Services
    r"|gh[oprsu]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}"  # GitHub
    r"|glpat-[A-Za-z0-9_-]{20,}"  # GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{20,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,}"  # OpenAI, Anthropic
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{20,}"  # Stripe
    r"|hf_[A-Za-z0-9]{30,}"  # Hugging Face
    r"|dapi[0-9a-f]{32}"  # Databricks
    r"|insjo_[0-9a-f]{64}"  # Insjö
    r"|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"  # SendGrid
    r"|whsec_[A-Za-z0-9+/]{32,}"  # Signing secrets of webhooks
    r"|ya29\.[A-Za-z0-9_-]{40,}|1//0[A-Za-z0-9_-]{40,}"  # Google OAuth
    r"|do[opr]_v1_[0-9a-f]{64}"  # DigitalOcean
    r"|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"  # Shopify
    r"|AccountKey=[A-Za-z0-9+/]{86}=="  # Azure storage
    r"|(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|rediss?|amqps?)://[^\s:/@]{1,64}:[^\s:/@]{4,128}@[A-Za-z0-9.-]+"  # With a password
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}"  # Package registries
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # JSON web token
    r")",
)
_KEY_END: Final = re.compile(r"-----END (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BEGINNINGS: Final = (
    *("-----BEGIN ", "AKIA", "ASIA", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "xox", "AIza", "sk-"),
    *(
        "k_live_",
        "k_test_",
        "hf_",
        "dapi",
        "SG.",
        "whsec_",
        "ya29.",
        "1//0",
        "_v1_",
        "shp",
        "AccountKey=",
        "://",
        "insjo_",
        "npm_",
        "pypi-",
        "eyJ",
    ),
)


def detect(text: str) -> tuple[tuple[str, Label], ...]:
    """Names and labels of what is found in the text: `personnummer`, `iban`, `card`, `key`."""
    found: dict[str, Label] = {}
    for region in _NUMBERS.finditer(text):
        if "iban" not in found and _iban_at(text, region.start()):
            found["iban"] = FINANCIAL
        if region.end() - region.start() >= _NUMBER_CHARS_MIN:
            groups = _groups(text, region)
            if "personnummer" not in found and _personnummer_in(groups):
                found["personnummer"] = PERSONAL
            if "card" not in found and _card_in(groups):
                found["card"] = FINANCIAL
    # Looking for each beginning is faster than one alternation of them all.
    if any(beginning in text for beginning in _KEY_BEGINNINGS) and _KEYS.search(text):
        found["key"] = CREDENTIAL
    return tuple(found.items())


def detected_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Beginning, end and kind of what `detect` finds; rather too long than too short."""
    for region in _NUMBERS.finditer(text):
        if _iban_at(text, region.start()):
            begin = region.start() - _COUNTRY_CHARS
            yield begin, _iban_end(text, begin), "iban"
        if region.end() - region.start() >= _NUMBER_CHARS_MIN:
            groups = [
                (group.group(), region.start() + group.start(), region.start() + group.end())
                for group in re.finditer(r"\d+", region.group())
            ]
            yield from _number_spans(groups)
    if any(beginning in text for beginning in _KEY_BEGINNINGS):
        for found in _KEYS.finditer(text):
            if found.group().startswith("-----BEGIN"):
                ending = _KEY_END.search(text, found.end())
                yield found.start(), ending.end() if ending else len(text), "key"
            else:
                yield *found.span(), "key"


def _iban_end(text: str, begin: int) -> int:
    """Where an IBAN ends that begins here."""
    left = _IBAN_LENGTHS[text[begin : begin + _COUNTRY_CHARS].upper()]
    for place in range(begin, len(text)):
        left -= text[place].isalnum()
        if not left:
            return place + 1
    return len(text)


def _number_spans(groups: list[tuple[str, int, int]]) -> Iterator[tuple[int, int, str]]:
    """Personal numbers and cards among groups of digits with their places."""
    fewest, most = _CARD_DIGITS
    for index, (digits, start, end) in enumerate(groups):
        for several in (groups[index : index + 1], groups[index : index + 2]):
            written = [group for group, _, _ in several]
            if tuple(map(len, written)) in _PERSONAL_DIGITS and personnummer("".join(written)):
                yield start, several[-1][2], "personnummer"
        joined, last = digits, end
        for group, _, group_end in [("", start, end), *groups[index + 1 : index + most]]:
            joined, last = joined + group, max(last, group_end)
            if len(joined) > most:
                break
            if len(joined) >= fewest and card(joined):
                yield start, last, "card"
