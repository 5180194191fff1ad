"""Regular expressions of Java in the words of RE2: the same meaning, or an error.

RE2 knows no look-around, no back references and no possessive quantifiers; some classes have other contents.  Sources: the documentation
of `java.util.regex.Pattern` and RE2's `syntax.txt`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from insjo.sql.errors import ArgumentInvalid, UnsupportedFeature

_SPACE = "\\t\\n\\x0B\\f\\r "
_LINE_END = "\\n\\r\\x{85}\\x{2028}\\x{2029}"
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": "\\x00-\\x7F",
    "Alpha": "A-Za-z",
    "Digit": "0-9",
    "Alnum": "A-Za-z0-9",
    "Punct": "!-/:-@\\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": " \\t",
    "Cntrl": "\\x00-\\x1F\\x7F",
    "XDigit": "0-9A-Fa-f",
    "Space": _SPACE,
}
_SAME = frozenset("dDwWbBAz")
_CONTROLS = frozenset("tnrfa")
_UNSUPPORTED_GROUPS = {"?=": "look-ahead", "?!": "look-ahead", "?<=": "look-behind", "?<!": "look-behind", "?>": "atomic groups"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern in RE2's words.

    Attributes:
        text: The pattern.
        groups: Number of capturing groups.
        names: Names of groups, with their numbers.
    """

    text: str
    groups: int
    names: dict[str, int]


def translate_pattern(pattern: str, *, newline_at_end: bool = False) -> Pattern:
    """The pattern for RE2.

    Args:
        pattern: As Java reads it.
        newline_at_end: Whether `$` may also match before a newline at the end, as it does in Java; only where nothing is cut out.

    Raises:
        UnsupportedFeature: RE2 cannot express it.
        ArgumentInvalid: It is no pattern.
    """
    return _Reader(pattern, newline_at_end=newline_at_end).read()


class _Reader:
    """Goes over the pattern once, from left to right."""

    def __init__(self, pattern: str, *, newline_at_end: bool) -> None:
        self._pattern = pattern
        self._at = 0
        self._out: list[str] = []
        self._groups = 0
        self._names: dict[str, int] = {}
        flags = "".join(re.findall(r"\(\?([a-zA-Z]+)[-:)a-z]", pattern))
        self._dot_all = "s" in flags
        self._newline_at_end = newline_at_end and "m" not in flags
        for flag in flags:
            if flag not in "ims":
                raise self._unsupported(f"the flag `{flag}`")

    def read(self) -> Pattern:
        """All of it."""
        while self._at < len(self._pattern):
            self._next()
        return Pattern("".join(self._out), self._groups, self._names)

    def _unsupported(self, what: str) -> UnsupportedFeature:
        return UnsupportedFeature(f"The pattern `{self._pattern}` uses {what}, which is not supported.")

    def _next(self) -> None:
        character = self._pattern[self._at]
        if character == "\\":
            self._out.append(self._escape(in_class=False))
        elif character == "[":
            self._class()
        elif character == "(":
            self._group()
        elif character == ".":
            self._at += 1
            self._out.append("." if self._dot_all else f"[^{_LINE_END}]")
        elif character == "$" and self._newline_at_end:
            self._at += 1
            self._out.append("(?:\\r?\\n)?\\z" if self._at >= len(self._pattern) or self._pattern[self._at] == ")" else "$")
        elif character in "*+?}" and self._at + 1 < len(self._pattern) and self._pattern[self._at + 1] == "+":
            raise self._unsupported("a possessive quantifier")
        elif self._pattern.startswith("{,", self._at):
            raise ArgumentInvalid(f"`{self._pattern}` is no pattern: a repetition needs a smallest number.")
        else:
            self._at += 1
            self._out.append(character)

    def _group(self) -> None:
        rest = self._pattern[self._at + 1 :]
        for mark, name in _UNSUPPORTED_GROUPS.items():
            if rest.startswith(mark):
                raise self._unsupported(name)
        named = re.match(r"\?<([A-Za-z][A-Za-z0-9]*)>", rest)
        if named:
            self._groups += 1
            self._names[named[1]] = self._groups
            self._out.append(f"(?P<{named[1]}>")
            self._at += 1 + named.end()
            return
        if not rest.startswith("?"):
            self._groups += 1
        self._out.append("(")
        self._at += 1

    def _class(self) -> None:
        """A class in square brackets; nested classes and intersections are Java's own."""
        start = self._at
        self._out.append("[")
        self._at += 1
        if self._peek() == "^":
            self._out.append("^")
            self._at += 1
        if self._peek() == "]":
            self._out.append("\\]")
            self._at += 1
        while self._at < len(self._pattern):
            character = self._pattern[self._at]
            if character == "]":
                self._out.append("]")
                self._at += 1
                return
            if character == "[":
                raise self._unsupported("a class inside a class")
            if self._pattern.startswith("&&", self._at):
                raise self._unsupported("an intersection of classes")
            if character == "\\":
                self._out.append(self._escape(in_class=True))
                continue
            self._out.append(character)
            self._at += 1
        raise ArgumentInvalid(f"`{self._pattern}` is no pattern: the class that begins at {start + 1} has no end.")

    def _peek(self) -> str:
        return self._pattern[self._at] if self._at < len(self._pattern) else ""

    def _escape(self, *, in_class: bool) -> str:
        self._at += 1
        character = self._peek()
        if not character:
            raise ArgumentInvalid(f"`{self._pattern}` is no pattern: it ends with a backslash.")
        self._at += 1
        if character in _SAME or character in _CONTROLS:
            return "\\" + character
        if character == "s":
            return _SPACE if in_class else f"[{_SPACE}]"
        if character == "S" and not in_class:
            return f"[^{_SPACE}]"
        if character in "pP":
            return self._property(character, in_class=in_class)
        if character == "x":
            return self._hexadecimal()
        if character == "u":
            digits = self._pattern[self._at : self._at + 4]
            self._at += 4
            return f"\\x{{{digits}}}"
        if character == "Q":
            return self._quoted()
        if character.isdigit():
            raise self._unsupported("a back reference")
        if character.isalpha():
            raise self._unsupported(f"`\\{character}`")
        return "\\" + character if not character.isalnum() and character.isascii() else character

    def _quoted(self) -> str:
        """Everything up to backslash and E stands for itself."""
        end = self._pattern.find("\\E", self._at)
        text = self._pattern[self._at :] if end < 0 else self._pattern[self._at : end]
        self._at = len(self._pattern) if end < 0 else end + 2
        return re.sub(r"([^\w\s])", r"\\\1", text)

    def _hexadecimal(self) -> str:
        found = re.match(r"[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]+\}", self._pattern[self._at :])
        if not found:
            raise ArgumentInvalid(f"`{self._pattern}` is no pattern: `\\x` needs two hexadecimal digits.")
        self._at += found.end()
        return "\\x" + found[0]

    def _property(self, letter: str, *, in_class: bool) -> str:
        found = re.match(r"\{(\^?\w+)\}|([A-Z])", self._pattern[self._at :])
        if not found:
            raise ArgumentInvalid(f"`{self._pattern}` is no pattern: `\\{letter}` needs a property.")
        self._at += found.end()
        name = found[1] or found[2]
        if name in _POSIX:
            if letter == "p":
                return _POSIX[name] if in_class else f"[{_POSIX[name]}]"
            if not in_class:
                return f"[^{_POSIX[name]}]"
            raise self._unsupported(f"`\\P{{{name}}}` inside a class")
        if re.fullmatch(r"[A-Z][a-z]?", name):
            return f"\\{letter}{{{name}}}"
        script = name.removeprefix("Is")
        if name.startswith("Is") and script in {"Latin", "Greek", "Cyrillic", "Hebrew", "Arabic", "Han", "Hiragana", "Katakana", "Thai"}:
            return f"\\{letter}{{{script}}}"
        raise self._unsupported(f"the property `{name}`")


def translate_replacement(replacement: str, pattern: Pattern) -> str:
    """Replacement with `$1` in RE2's words, where a backslash stands before the number of a group."""
    out: list[str] = []
    at = 0
    while at < len(replacement):
        character = replacement[at]
        if character == "\\":
            if at + 1 >= len(replacement):
                raise ArgumentInvalid(f"`{replacement}` is no replacement: it ends with a backslash.")
            out.append("\\\\" if replacement[at + 1] == "\\" else replacement[at + 1])
            at += 2
            continue
        if character != "$":
            out.append(character)
            at += 1
            continue
        number, at = _group_number(replacement, at + 1, pattern)
        out.append(f"\\{number}")
    return "".join(out)


def _group_number(replacement: str, at: int, pattern: Pattern) -> tuple[int, int]:
    """Number of the group that `$` names, and the place behind it."""
    named = re.match(r"\{([A-Za-z][A-Za-z0-9]*)\}", replacement[at:])
    if named:
        if named[1] not in pattern.names:
            raise ArgumentInvalid(f"The pattern has no group `{named[1]}`.")
        return _single_digit(pattern.names[named[1]]), at + named.end()
    digit = replacement[at : at + 1]
    if not digit.isdigit() or int(digit) > pattern.groups:
        raise ArgumentInvalid(f"`{replacement}` is no replacement: after `$` comes the number of a group (there are {pattern.groups}).")
    number, at = int(digit), at + 1
    while at < len(replacement) and replacement[at].isdigit() and number * 10 + int(replacement[at]) <= pattern.groups:
        number = number * 10 + int(replacement[at])
        at += 1
    return _single_digit(number), at


def _single_digit(number: int) -> int:
    if number > 9:  # noqa: PLR2004  # RE2 reads one digit.
        message = "A replacement with more than nine groups is not supported."
        raise UnsupportedFeature(message)
    return number


def plain_text(pattern: str) -> str | None:
    """What the pattern matches, if that is one text only."""
    if re.search(r"[.\[\]{}()*+?^$|]", re.sub(r"\\[^A-Za-z0-9]", "", pattern)):
        return None
    if re.search(r"\\[A-Za-z0-9]", pattern) or not pattern or pattern.endswith("\\"):
        return None
    return re.sub(r"\\(.)", r"\1", pattern)
