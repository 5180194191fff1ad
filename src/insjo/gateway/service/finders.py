"""What guardrails look for at places in texts, and what a guardrail must be like; pure."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

import msgspec

from insjo.access.service.contacts import CONTACTS, contact_spans
from insjo.access.service.detectors import detected_spans
from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.service.injection import injection_spans
from insjo.gateway.service.schemas import check_schema
from insjo.gateway.types import Guardrail, GuardrailKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.gateway.ports import Patterns

GROUP: Final = "insjo.guardrails"
"""Entry points of Python packages that offer guardrails of their own: `check(text: str, where: str) -> str`, the reason or nothing."""

GUARDRAILS_MAX: Final = 20
VALUES_MAX: Final = 200
VALUE_CHARS_MAX: Final = 1000
DETECTORS: Final = ("personnummer", "iban", "card", "key", *CONTACTS)
FINDERS: Final = frozenset({"keyword", "pattern", "detector", "injection"})
_REACH_MAX: Final = 1000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_UNBOUNDED: Final = re.compile(r"[*+^$]|\{\d*,\}")
_REPEATED: Final = re.compile(r"\{(?:\d+,)?(\d+)\}")


class Finding(NamedTuple):
    """What a guardrail found in one text."""

    guardrail: Guardrail
    spans: tuple[tuple[int, int], ...]
    reason: str


def check_guardrails(guardrails: Sequence[Guardrail], patterns: Patterns | None) -> None:
    """Refuse what could not be kept.

    Raises:
        EndpointInvalid: A guardrail is described wrongly.
    """
    if len(guardrails) > GUARDRAILS_MAX or len({each.name for each in guardrails}) < len(guardrails):
        message = f"An endpoint has at most {GUARDRAILS_MAX} guardrails, each with a name of its own."
        raise EndpointInvalid(message)
    for each in guardrails:
        _check(each, patterns)


def _check(guardrail: Guardrail, patterns: Patterns | None) -> None:
    """Refuse one that is described wrongly."""
    name, kind, values = guardrail.name, guardrail.kind, guardrail.values
    problems = (
        (not _NAME.fullmatch(name), "a name has small letters, digits, dashes and underscores, at most 40"),
        (kind not in get_args(GuardrailKind) or guardrail.action not in {"block", "mask", "annotate"}, "there is no such kind or action"),
        (not guardrail.on or not set(guardrail.on) <= {"input", "output"}, "it is for `input`, `output` or both"),
        (len(values) > VALUES_MAX, f"it has at most {VALUES_MAX} values"),
        (not all(each.strip() and len(each) <= VALUE_CHARS_MAX for each in values), f"a value has 1 to {VALUE_CHARS_MAX} characters"),
        (not values and kind not in {"injection", "schema"}, "it names nothing to look for"),
        (kind not in FINDERS and guardrail.action == "mask", "only what is found at a place in the text can be masked"),
        (kind == "detector" and not set(values) <= set(DETECTORS), f"detectors are {', '.join(DETECTORS)}"),
        (kind == "schema" and "input" in guardrail.on, "a schema is for the output"),
        (kind == "topic" and not 0 < guardrail.threshold <= 1, "a topic has a threshold between 0 and 1"),
        (kind == "endpoint" and not guardrail.endpoint, "it names no endpoint that judges"),
        (kind == "entry_point" and not all(map(entry_points, values)), f"no installed package offers it in the group `{GROUP}`"),
    )
    problem = next((text for wrong, text in problems if wrong), "")
    if problem:
        message = f"The guardrail `{name[:40]}` is wrong: {problem}."
        raise EndpointInvalid(message)
    if guardrail.kind == "schema":
        try:
            check_schema(msgspec.json.decode(guardrail.schema))
        except msgspec.DecodeError as error:
            message = f"The schema of the guardrail `{name}` is not JSON."
            raise EndpointInvalid(message) from error
    for pattern in values if guardrail.kind == "pattern" else ():
        if patterns is None:
            message = "Regular expressions are switched off here."
            raise EndpointInvalid(message)
        patterns.check(pattern)


def entry_points(name: str) -> list[importlib.metadata.EntryPoint]:
    """Functions of installed packages under this name."""
    return list(importlib.metadata.entry_points(group=GROUP, name=name))


@dataclass(frozen=True, slots=True)
class Finder:
    """Looks for the things of one guardrail in texts."""

    guardrail: Guardrail
    patterns: Patterns | None
    keywords: re.Pattern[str] | None

    @staticmethod
    def of(guardrail: Guardrail, patterns: Patterns | None) -> Finder:
        """Ready to look."""
        keywords = None
        if guardrail.kind == "keyword":
            words = sorted(guardrail.values, key=len, reverse=True)
            # Words of a phrase may stand further apart; nothing here can be matched in two ways.
            written = "|".join(r"\s{1,20}".join(re.escape(part) for part in word.split()) for word in words)
            keywords = re.compile(rf"(?<!\w)(?:{written})(?!\w)", re.IGNORECASE)
        return Finder(guardrail, patterns, keywords)

    @property
    def reach(self) -> int | None:
        """The longest thing that can be found; None when nothing bounds it, so that a stream has to be held back until its end."""
        kind, values = self.guardrail.kind, self.guardrail.values
        if kind == "keyword":
            found = max(len(each) + 20 * each.count(" ") for each in values)
        elif kind == "pattern":
            found = max((_reach_of(each) for each in values), default=0)
        else:
            return None
        return found if found <= _REACH_MAX else None

    def find(self, text: str) -> Finding | None:
        """What is in a text."""
        guardrail = self.guardrail
        spans: list[tuple[int, int]] = []
        reason = ""
        if self.keywords is not None:
            spans = [match.span() for match in self.keywords.finditer(text)]
        elif guardrail.kind == "pattern" and self.patterns is not None:
            spans = [span for pattern in guardrail.values for span in self.patterns.spans(pattern, text)]
        elif guardrail.kind == "detector":
            named = [*detected_spans(text), *contact_spans(text)]
            found = [(start, end, kind) for start, end, kind in named if kind in guardrail.values]
            spans, reason = [(start, end) for start, end, _ in found], ", ".join(sorted({kind for _, _, kind in found}))
        elif guardrail.kind == "injection":
            spans, signals = injection_spans(text, guardrail.threshold)
            reason = ", ".join(signals)
        return Finding(guardrail, tuple(_joined(spans)), reason or guardrail.kind) if spans else None


def _reach_of(pattern: str) -> int:
    """An upper bound of the length of a match; beyond the limit when there is none."""
    if _UNBOUNDED.search(_ESCAPED.sub("x", pattern)) or {"A", "z", "Z"} & set(_ESCAPED.findall(pattern)):
        return _REACH_MAX + 1
    found = len(pattern)
    for times in _REPEATED.findall(pattern):
        found *= max(int(times), 1)
    return found


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def masked(text: str, finding: Finding) -> str:
    """The text with the name of the guardrail in the place of what it found."""
    parts, at = [], 0
    for start, end in finding.spans:
        parts += [text[at:start], f"[{finding.guardrail.name}]"]
        at = end
    return "".join([*parts, text[at:]])
