"""How text becomes keyed hashes: the part of fingerprints that needs no database.  Values and prompts take the same way."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections import Counter
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK: Final = ~31 & (1 << 64) - 1
"""The five lowest bits of a hash make room for its evidence."""

NOTHING: Final[frozenset[int]] = frozenset()
WORDS_MAX: Final = 12
"""Longest value that is kept as a whole; longer texts are kept as windows."""
WINDOW: Final = 7
TEXTS_MAX: Final = 1_000_000
HASHES_MAX: Final = 50_000
"""Most hashes of one set; above that a fair sample is kept, distinctive values first."""
COMMON_MIN: Final = 20
COMMON_SHARE: Final = 0.01
"""A value that stands in more rows than both says little about where it comes from."""


DENSE_SHARE: Final = 0.002
"""Numbers of a length of which a set holds a larger share are left out: any such number would be found in it by chance."""


class Evidence(IntEnum):
    """How much one hit tells.  The value is its weight; ENOUGH of it makes a match."""

    FAINT = 3
    """A single word of letters; kept when it begins with a capital, as names do."""
    PLAIN = 8
    """Several words, or a short identifier."""
    WINDOW = 12
    """Seven words in a row out of a longer text."""
    STRONG = 24
    """A distinctive value: an address, a long identifier, a personal number."""


ENOUGH: Final = 24
"""One distinctive value, two windows, three plain values, eight faint ones, or a mixture."""

_WORD = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[^\s\"'()\[\]{}<>,;|]+")
_NUMBER_RUN = re.compile(r"\d+(?:[ -]\d+)+")
_DECIMAL = re.compile(r"[-+]?\d*[.,]\d+(?:e[-+]?\d+)?", re.IGNORECASE)
_MOMENT = re.compile(
    r"(?:19|20)\d{2}[-/.]?(?:0[1-9]|1[0-2])[-/.]?(?:0[1-9]|[12]\d|3[01])"
    r"(?:[t ]?\d{2}:?\d{2}(?::?\d{2}(?:[.,]\d+)?)?(?:z|[-+]\d{2}:?\d{2})?)?"
    r"|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d{2}|\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?",
    re.IGNORECASE,
)
INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+")
_SHORT_ID, _LONG_ID, _LONG_NUMBER = 6, 10, 8
_DIFFERENT_DIGITS_MIN, _ID_DIGITS_MIN, _FAINT_MIN, _PLAIN_MIN = 4, 3, 6, 8
_CENTURY_DIGITS, _PHONE_DIGITS, _RUN_MAX = 12, 11, 34
_WINDOW_CHARS_MIN, _WINDOW_DISTINCT_MIN, _ANCHOR_CHARS_MIN = 28, 5, 4


def normal(text: str) -> str:
    """Lower case, one form for each character, nothing invisible."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text))
    return text.casefold()


_BREAKS: Final = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))


def words_of(lowered: str) -> list[str]:
    """Runs of letters and digits, in order."""
    if lowered.isascii():
        return lowered.translate(_BREAKS).split()
    return _WORD.findall(lowered)


class Hasher:
    """Keyed hashes of words, remembered for a while because the same words come again and again."""

    REMEMBERED_MAX = 65_536

    def __init__(self, key: bytes) -> None:
        """Take the key of this installation."""
        self._seed = hashlib.blake2b(key=key, digest_size=8)
        self._known: dict[str, int] = {}

    def one(self, text: str) -> int:
        """Hash of any text, without its lowest bits."""
        state = self._seed.copy()
        state.update(text.encode("utf-8", "surrogatepass"))
        return int.from_bytes(state.digest(), "little") & MASK

    def many(self, words: Iterable[str]) -> dict[str, int]:
        """Hashes of words."""
        words = words if isinstance(words, (set, list)) else list(words)
        known = self._known
        try:
            return {word: known[word] for word in words}
        except KeyError:
            pass
        if len(known) >= self.REMEMBERED_MAX:
            known = self._known = {}
        hashes = {word: known[word] if word in known else self.one(word) for word in words}
        known.update(hashes)
        return hashes


def beginning(first: int, second: int) -> int:
    """Number of 58 bits for two neighbours from their hashes."""
    return first >> 35 << 29 | second >> 35


def evidence_of(text: str, words: list[str]) -> Evidence | None:
    """How much it tells when this value is found elsewhere; None for what is short, or common by its nature."""
    compact = "".join(words)
    digits = sum(map(str.isdigit, compact))
    stripped = text.strip()
    if len(compact) < _SHORT_ID or _MOMENT.fullmatch(stripped) or len(set(compact)) < _DIFFERENT_DIGITS_MIN:
        return None
    if "@" in stripped and len(words) > 1:
        return Evidence.STRONG
    if digits == len(compact):
        whole = digits >= _LONG_NUMBER and not _DECIMAL.fullmatch(stripped)
        return Evidence.STRONG if whole else Evidence.PLAIN
    if digits:
        identifier = digits >= _ID_DIGITS_MIN and len(compact) >= _LONG_ID and len(stripped.split()) == 1
        return Evidence.STRONG if identifier else Evidence.PLAIN
    if len(words) > 1:
        return Evidence.PLAIN if len(compact) >= _PLAIN_MIN else Evidence.FAINT
    return Evidence.FAINT


def numbers_in(text: str) -> set[str]:
    """Numbers written in groups, joined: `850709-9805` and `8507099805` are one, as are `070 123 45 67` and `070-1234567`."""
    joined: set[str] = set()
    for run in _NUMBER_RUN.findall(text):
        groups = re.split(r"[ -]", run)
        whole = "".join(groups)
        if _LONG_NUMBER <= len(whole) <= _RUN_MAX:
            joined.add(whole)
        joined.update(one + two for one, two in pairwise(groups) if len(one) in {6, 8} and len(two) == 4)  # noqa: PLR2004  # A personal number.
    return joined


def number_forms(number: str) -> Iterator[str]:
    """Other ways to write the same number: a personal number without century, a Swedish phone number without country."""
    if len(number) == _CENTURY_DIGITS and number[:2] in {"19", "20"}:
        yield number[2:]
    if len(number) == _PHONE_DIGITS and number.startswith("46"):
        yield "0" + number[2:]
    if number.startswith("0046"):
        yield "0" + number[4:]


def windows_of(words: list[str], hashes: dict[str, int]) -> Iterator[list[str]]:
    """Every window that begins at an anchor: a word chosen by its hash, so that the same windows are chosen in every text."""
    for index in range(len(words) - WINDOW + 1):
        word = words[index]
        if len(word) >= _ANCHOR_CHARS_MIN and hashes[word] >> 5 & 3 == 0:
            window = words[index : index + WINDOW]
            joined = " ".join(window)
            if len(joined) >= _WINDOW_CHARS_MIN and len(set(window)) >= _WINDOW_DISTINCT_MIN:
                yield window


class Collector:
    """Makes the hashes of one set from values or documents."""

    def __init__(self, hasher: Hasher) -> None:
        """Begin an empty set."""
        self._hasher = hasher
        self._evidence: dict[int, Evidence] = {}
        self._starts: set[int] = set()
        self._times: Counter[int] = Counter()
        self._numbers: dict[int, set[int]] = {}
        self._texts = 0

    def add_all(self, texts: Iterable[str]) -> None:
        """Add values, or passages of documents; what is longer than twelve words counts as a passage."""
        for text in texts:
            if self._texts >= TEXTS_MAX:
                return
            self._texts += 1
            words = words_of(normal(text))
            if len(words) <= WORDS_MAX:
                self._add_value(text, words)
            else:
                self._add_passage(normal(text), words)

    def packed(self) -> bytes:
        """The set in its stored form: number of values, values with their evidence, first two words with the number of words."""
        common = max(COMMON_MIN, int(self._texts * COMMON_SHARE))
        for digits, numbers in self._numbers.items():
            if len(numbers) > 10**digits * DENSE_SHARE:
                for value in numbers:
                    self._evidence.pop(value, None)
        order = sorted(
            (value for value, evidence in self._evidence.items() if evidence is Evidence.WINDOW or self._times[value] <= common),
            key=lambda value: (self._evidence[value] is not Evidence.STRONG, value),
        )
        values = array("Q", (value | self._evidence[value] for value in order[:HASHES_MAX]))
        starts = array("Q", sorted(self._starts))
        return array("Q", [len(values)]).tobytes() + values.tobytes() + starts.tobytes()

    def _add_value(self, text: str, words: list[str]) -> None:
        """One value, and the other ways to write it."""
        evidence = evidence_of(normal(text), words) if words else None
        if evidence is None or (evidence is Evidence.FAINT and not text.lstrip()[0].isupper()):
            return
        value = self._put(words, evidence)
        compact = "".join(words)
        if compact.isdigit():
            self._numbers.setdefault(len(compact), set()).add(value)
        if evidence is Evidence.STRONG and compact.isdigit():
            for form in (compact, *number_forms(compact)):
                self._put([form], evidence)
        elif evidence is Evidence.STRONG and len(words) > 1:
            # The telling part of an identifier counts a little by itself, for when somebody leaves out its beginning.
            for word in words:
                if len(word) >= _PLAIN_MIN and sum(map(str.isdigit, word)) >= _ID_DIGITS_MIN:
                    self._put([word], Evidence.PLAIN)

    def _add_passage(self, text: str, words: list[str]) -> None:
        """One longer text: its windows, and the distinctive values in it."""
        for window in windows_of(words, self._hasher.many(words)):
            self._begin(window)
            self._evidence[self._hasher.one(" ".join(window))] = Evidence.WINDOW
        for token in {*_TOKEN.findall(text), *numbers_in(text)}:
            stripped = token.strip(".:!?*`")
            parts = words_of(stripped)
            if 0 < len(parts) <= WORDS_MAX and evidence_of(stripped, parts) is Evidence.STRONG:
                self._add_value(stripped, parts)

    def _put(self, words: list[str], evidence: Evidence) -> int:
        """One hash, which is given back, and what it begins with when it has several words."""
        value = self._hasher.one(" ".join(words))
        self._times[value] += 1
        self._evidence[value] = max(evidence, self._evidence.get(value, evidence))
        if len(words) > 1:
            self._begin(words)
        return value

    def _begin(self, words: list[str]) -> None:
        """Remember with which two words something of this many words begins."""
        hashes = self._hasher.many(words[:2])
        self._starts.add(beginning(hashes[words[0]], hashes[words[1]]) << 5 | len(words))


def unpacked(stored: bytes) -> tuple[array[int], array[int]]:
    """Values and beginnings of a stored set."""
    numbers = array("Q")
    numbers.frombytes(stored[: len(stored) // 8 * 8])
    if not numbers:
        return numbers, numbers
    count = numbers[0]
    return numbers[1 : count + 1], numbers[count + 1 :]


class Index:
    """Many sets in memory, for finding them in a text.  Immutable once built: many threads read it."""

    WINDOWS_MAX = 200_000
    """Hashes of several words made for one text; enough for 100,000 words of it."""

    def __init__(self, hasher: Hasher, sets: Iterable[tuple[array[int], array[int]]]) -> None:
        """Join the sets; they are numbered in their order."""
        self._hasher = hasher
        self._places: dict[int, tuple[int, ...]] = {}
        lengths: dict[int, set[int]] = {}
        for number, (values, starts) in enumerate(sets):
            for value in values:
                place = number << 5 | value & 31
                self._places[value & MASK] = (*self._places.get(value & MASK, ()), place)
            for start in starts:
                lengths.setdefault(start >> 5, set()).add(start & 31)
        self._lengths = {pair: tuple(sorted(several)) for pair, several in lengths.items()}
        self._firsts = {pair >> 29 for pair in lengths}

    def __len__(self) -> int:
        """How many different hashes there are."""
        return len(self._places)

    def find(self, text: str) -> dict[int, tuple[int, int]]:
        """For each set with a hit in the text: how many different hits, and the weight of their evidence."""
        return self.weigh(self.hits(text))

    def hits(self, text: str) -> frozenset[int]:
        """Hashes that the text holds; those of several texts can be joined before they are weighed."""
        if not self._places:
            return NOTHING
        lowered = normal(text)
        words = words_of(lowered)
        hashes = self._hasher.many(set(words))
        places = self._places
        hits = {value for value in hashes.values() if value in places}
        numbers = [word for word in hashes if word.isdigit()]
        if numbers:
            for number in {*numbers_in(lowered), *(each for each in numbers if len(each) >= _PHONE_DIGITS)}:
                hits.update(value for form in (number, *number_forms(number)) if (value := self._hasher.one(form)) in places)
        if self._lengths:
            hits.update(self._several(words, hashes))
        return frozenset(hits) if hits else NOTHING

    def hashes(self, words: list[str]) -> dict[str, int]:
        """Hashes of single words."""
        return self._hasher.many(set(words))

    def hash_of(self, text: str) -> int:
        """Hash of several words with one space between them, or of a number."""
        return self._hasher.one(text)

    def lengths_of(self, first: int, second: int) -> tuple[int, ...]:
        """How many words those have that begin with two words of these hashes."""
        return self._lengths.get(beginning(first, second), ())

    def hits_of(self, hits: frozenset[int], numbers: frozenset[int]) -> frozenset[int]:
        """Those of the hits that stand in one of the sets with these numbers."""
        return frozenset(hit for hit in hits if any(place >> 5 in numbers for place in self._places[hit]))

    def weigh(self, hits: frozenset[int]) -> dict[int, tuple[int, int]]:
        """For each set with a hit: how many there are, and the weight of their evidence."""
        found: dict[int, tuple[int, int]] = {}
        for hit in hits:
            for place in self._places[hit]:
                count, weight = found.get(place >> 5, (0, 0))
                found[place >> 5] = (count + 1, weight + (place & 31))
        return found

    def _several(self, words: list[str], hashes: dict[str, int]) -> set[int]:
        """Hits of several words in a row."""
        firsts = self._firsts
        starting = {word for word, value in hashes.items() if value >> 35 in firsts}
        if not starting:
            return set()
        lengths = self._lengths
        hits: set[int] = set()
        tried: set[str] = set()
        for index in [place for place, word in enumerate(words[:-1]) if word in starting]:
            for length in lengths.get(beginning(hashes[words[index]], hashes[words[index + 1]]), ()):
                joined = " ".join(words[index : index + length])
                if joined in tried or index + length > len(words):
                    continue
                if len(tried) >= self.WINDOWS_MAX:
                    return hits
                tried.add(joined)
                value = self._hasher.one(joined)
                if value in self._places:
                    hits.add(value)
        return hits
