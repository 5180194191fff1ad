"""Signals that a text wants to give a model orders: fixed expressions that cannot take long, each with a weight."""

from __future__ import annotations

import re
from typing import Final

_FILLER: Final = r"(?:(?:all|any|every|of|the|your|my|these|those|alla|dina|de|mina)\s{1,5}){0,3}"

SIGNALS: Final[tuple[tuple[str, float, re.Pattern[str]], ...]] = (
    (
        "override",
        1.0,
        re.compile(
            r"\b(?:ignore|disregard|forget|override|bypass|ignorera|bortse från|glöm)\s{1,5}"
            + _FILLER
            + r"(?:previous|prior|above|earlier|preceding|former|system|safety|tidigare|föregående|ovanstående)\s{1,5}"
            r"(?:instructions?|prompts?|rules?|messages?|directions?|guidelines?|context|instruktioner\w{0,3}|regler\w{0,3}|anvisningar\w{0,3})",
            re.IGNORECASE,
        ),
    ),
    (
        "role",
        0.6,
        re.compile(
            r"\byou are (?:now|no longer)\s{1,5}(?:in\s{1,5})?(?:DAN|developer mode|jailbroken|unrestricted|an? unfiltered|bound by)\b"
            r"|\b(?:act|behave|respond) as (?:if|though) you ha(?:d|ve) no (?:rules|restrictions|limits|guidelines)\b"
            r"|\bnew (?:system )?instructions?\s{0,3}:",
            re.IGNORECASE,
        ),
    ),
    (
        "reveal",
        0.7,
        re.compile(
            r"\b(?:reveal|print|repeat|show|output|leak|visa|skriv ut|upprepa)\s{1,5}(?:me\s{1,5})?"
            + _FILLER
            + r"(?:system prompt|system message|hidden (?:prompt|instructions)|initial instructions|systemprompt\w{0,3}"
            r"|dolda instruktioner)",
            re.IGNORECASE,
        ),
    ),
    (
        "delimiter",
        0.8,
        re.compile(
            r"<\|(?:im_start|im_end|system|endoftext)\|>|\[/?INST\]|<</?SYS>>|</?(?:system|instructions)>|^#{2,4} ?System:", re.MULTILINE
        ),
    ),
    ("exfiltration", 0.7, re.compile(r"!\[[^\]\n]{0,200}\]\(\s{0,3}https?://[^)\s]{1,500}[?&=][^)\s]{0,500}\)")),
    (
        "sending",
        0.7,
        re.compile(
            r"\b(?:send|post|upload|forward|exfiltrate|skicka)\s{1,5}(?:\w{1,20}\s{1,5}){0,8}(?:to|till)\s{1,5}(?:https?://|[\w.+-]{1,64}@[\w-]{1,63}\.)",
            re.IGNORECASE,
        ),
    ),
    (
        "concealment",
        0.6,
        re.compile(
            r"\b(?:do not|don't|never|without)\s{1,5}(?:tell|telling|mention|mentioning|inform|informing|alert|alerting)"
            r"\s{1,5}(?:this to\s{1,5})?(?:the|any)?\s{0,5}(?:user|human|anyone|operator)s?\b",
            re.IGNORECASE,
        ),
    ),
    ("hidden", 1.0, re.compile("[\U000e0000-\U000e007f]{4,}")),
    ("invisible", 0.5, re.compile("(?:[\u200b-\u200f\u202a-\u202e\u2060-\u2064]){8,}")),
)
"""Name, weight, expression.  Every repetition in them is bounded."""

THRESHOLD: Final = 1.0


def injection_spans(text: str, threshold: float = THRESHOLD) -> tuple[list[tuple[int, int]], tuple[str, ...]]:
    """Where the signals stand and their names, when together they weigh enough; else nothing."""
    spans: list[tuple[int, int]] = []
    names: list[str] = []
    weight = 0.0
    for name, each, expression in SIGNALS:
        found = [match.span() for match in expression.finditer(text)]
        if found:
            spans += found
            names.append(name)
            weight += each
    return (sorted(spans), tuple(names)) if weight >= (threshold or THRESHOLD) else ([], ())
