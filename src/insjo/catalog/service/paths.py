"""Paths of files in volumes and models: `/Volumes/catalog/schema/volume/folder/file`, `/Models/catalog/schema/model/version/file`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.catalog.errors import InvalidPath

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "/Volumes"
MODELS = "/Models"
"""Where files of registered models appear; the first folder in a model is the number of a version."""

TEMPORARY_PREFIX = ".insjo-"
"""Names that begin so are unfinished uploads; nobody sees or makes them."""

_LEADING_PARTS = 5
_PATH_CHARS_MAX = 4096
_NAME_BYTES_MAX = 255
_MARKS = re.compile(r"[*?\[{]")


@dataclass(frozen=True, slots=True)
class VolumePath:
    """A path in a volume or a model; `inside` is what follows its name, without slashes at its ends."""

    volume: str
    inside: str
    root: str = ROOT

    @property
    def text(self) -> str:
        """The whole path."""
        catalog, schema, name = self.volume.split(".")
        return "/".join([self.root, catalog, schema, name, *([self.inside] if self.inside else [])])

    @property
    def name(self) -> str:
        """The last part."""
        return (self.inside or self.volume.replace(".", "/")).rpartition("/")[2]

    def joined(self, inside: str) -> str:
        """Whole path of something in the same volume."""
        return VolumePath(self.volume, inside, self.root).text


def parse_path(text: str, *, models: bool = False) -> VolumePath:
    """Read a path; the name of the volume, or where that is wanted of the model, is case-insensitive, what follows is not.

    Raises:
        InvalidPath: It does not begin with `/Volumes/catalog/schema/volume`, or holds `..`, a NUL or another control character.
    """
    plain = text.removeprefix("dbfs:")
    if len(plain) > _PATH_CHARS_MAX:
        message = f"A path has at most {_PATH_CHARS_MAX} characters."
        raise InvalidPath(message)
    shown = plain.replace("\0", "")
    parts = [part for part in plain.split("/") if part]
    in_model = models and bool(parts) and parts[0].lower() == "models"
    if not plain.startswith("/") or len(parts) < _LEADING_PARTS - 1 or (parts[0].lower() != "volumes" and not in_model):
        message = f"`{shown}` does not lie in a volume."
        raise InvalidPath(message, hint="A path begins with `/Volumes/catalog/schema/volume/`.")
    for part in parts:
        if part in {".", ".."} or any(ord(each) < ord(" ") or each == "\x7f" for each in part):
            message = f"`{shown}` holds a part that paths may not have."
            raise InvalidPath(message, hint="Write the path without `.`, `..` and control characters.")
        if part.startswith(TEMPORARY_PREFIX) or len(part.encode("utf-8", "surrogatepass")) > _NAME_BYTES_MAX:
            message = f"`{part[:_NAME_BYTES_MAX]}` is not a name for a file or a directory."
            raise InvalidPath(message, hint=f"A name has at most {_NAME_BYTES_MAX} bytes and does not begin with `{TEMPORARY_PREFIX}`.")
        if any(0xD800 <= ord(each) <= 0xDFFF for each in part):  # noqa: PLR2004  # The surrogates of UTF-16: not text in UTF-8.
            message = "The path is not valid UTF-8."
            raise InvalidPath(message)
    return VolumePath(".".join(parts[1:4]).lower(), "/".join(parts[4:]), MODELS if in_model else ROOT)


def is_pattern(inside: str) -> bool:
    """Whether the path holds wildcards: `*`, `?`, `[ab]`, `{a,b}`."""
    return _MARKS.search(inside) is not None


def fixed_folder(pattern: str) -> str:
    """The part of a pattern before the first wildcard, cut at a slash: the only place where matches can lie."""
    fixed: list[str] = []
    for part in pattern.split("/")[:-1]:
        if is_pattern(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Expression for a pattern as Databricks reads it: `*` and `?` stay within a directory, `**` crosses directories.

    Raises:
        InvalidPath: A bracket is not closed.
    """
    pieces: list[str] = []
    at = 0
    while at < len(pattern):
        each = pattern[at]
        if pattern.startswith("**/", at):
            pieces.append("(?:.*/)?")
            at += 3
            continue
        if pattern.startswith("**", at):
            pieces.append(".*")
            at += 2
            continue
        if each in "[{":
            end = pattern.find("]" if each == "[" else "}", at + 2)
            if end < 0:
                message = f"In the pattern `{pattern}` a `{each}` is not closed."
                raise InvalidPath(message)
            pieces.append(_bracket(pattern[at : end + 1]))
            at = end + 1
            continue
        pieces.append({"*": "[^/]*", "?": "[^/]"}.get(each, re.escape(each)))
        at += 1
    return re.compile("".join(pieces), re.DOTALL)


def _bracket(text: str) -> str:
    """`[ab]`, `[!a]`, `[a-c]` or `{one,two}` as an expression."""
    inner = text[1:-1]
    if text[0] == "{":
        return "(?:" + "|".join(re.escape(each).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for each in inner.split(",")) + ")"
    negated = inner[0] in "!^"
    body = inner[1:] if negated else inner
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", body)
    try:
        re.compile(f"[{escaped}]")
    except re.error as error:
        message = f"`{text}` is not a set of characters."
        raise InvalidPath(message) from error
    return f"(?!/)[{'^' if negated else ''}{escaped}]"


def path_hash(inside: str) -> str:
    """Key of a path in the database."""
    return hashlib.sha256(inside.encode()).hexdigest()


def above(inside: str) -> Iterator[str]:
    """The path itself and every directory above it, up to the volume (an empty text)."""
    while inside:
        yield inside
        inside = inside.rpartition("/")[0]
    yield ""
