"""What encoded parts of a text say, so that a value is recognised although somebody wrote it in another form.

Everything here takes time in proportion to the text: no count ends the search, because what stands behind the last one would pass.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYERS_MAX: Final = 3
"""An encoding of an encoding of an encoding is undone; what is deeper is not."""

GROWTH_MAX: Final = 4
"""A layer is at most so many times as long as the text, so that forms that repeat the text do not multiply it."""

ENCODED_MIN: Final = 14
"""Shorter runs hold less than eleven characters, which is less than a personal number."""

UNPACKED_BYTES_MAX: Final = 1_000_000

_BASE64 = re.compile(rf"[A-Za-z0-9+/_-]{{{ENCODED_MIN},}}={{0,2}}")
_HEX = re.compile(r"[0-9A-Fa-f]{20,}")
_BASE32 = re.compile(rf"[A-Z2-7]{{{ENCODED_MIN},}}={{0,6}}")
_WRAPPED = re.compile(r"(?<![A-Za-z0-9+/_-])(?:[A-Za-z0-9+/_-]{24,}+\r?\n[ \t]*+)+[A-Za-z0-9+/_-]{2,}={0,2}")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_QUOTED = re.compile(r"(?:=[0-9A-Fa-f]{2})+")
_SOFT_BREAK = re.compile(r"=\r?\n")
_ESCAPE = re.compile(r"(?<!\\)\\++(?:u\{?([0-9A-Fa-f]{4})\}?|x([0-9A-Fa-f]{2})|[nrtbfv0/])")
"""Escapes of JSON and of programs.  Those for blanks count too: in the arguments of a tool a value stands right behind the `n` of one."""
_SPELLED = re.compile(r"(?<![^\W_])[^\W_]([^\w\n]{1,3})[^\W_](?:\1[^\W_]){6,}(?![^\W_])")
_BETWEEN = re.compile(r"[^\w]+")
_READABLE = re.compile(rb"[\x20-\x7e]{6,}")
_PACKED: Final = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_TO_STANDARD: Final = str.maketrans("-_", "+/")


def decoded(text: str) -> str:
    """What is said in base64, base32, hexadecimal, percent and quoted-printable form, in references and escapes, and letter by letter."""
    found: list[str] = []
    layer, room = text, GROWTH_MAX * len(text) + UNPACKED_BYTES_MAX
    for _ in range(LAYERS_MAX):
        layer = "\n".join(dict.fromkeys(_undone(layer)))[:room]
        if not layer:
            break
        found.append(layer)
    return "\n".join(found)


def _undone(text: str) -> Iterator[str]:
    """One layer."""
    long = " ".join([token for token in text.split() if len(token) >= ENCODED_MIN])
    if long:
        for run in _BASE64.findall(long):
            yield from _of_run(run)
        for run in _BASE32.findall(long):
            compact = run.rstrip("=")
            yield _read(_binary(base64.b32decode, compact + "=" * (-len(compact) % 8)))
        if "\n" in text:
            for run in _WRAPPED.findall(text):
                yield from _of_run("".join(run.split()))
    if "%" in text and _PERCENT.search(text):
        yield unquote(text)
    if "&#" in text:
        yield html.unescape(text)
    if "\\" in text and _ESCAPE.search(text):
        yield _ESCAPE.sub(lambda found: chr(int(found[1] or found[2] or "20", 16)), text)
    if "=" in text and _QUOTED.search(text):
        # A line that ends in `=` goes on in the next one, unless it is the end of something else.
        for whole in (text, _SOFT_BREAK.sub("", text)):
            yield _QUOTED.sub(lambda found: bytes.fromhex(found.group().replace("=", "")).decode("utf-8", "replace"), whole)
    spelled = " ".join(_BETWEEN.sub("", found.group()) for found in _SPELLED.finditer(text))
    if spelled:
        yield spelled


def _of_run(run: str) -> Iterator[str]:
    """What a run of letters and digits says as base64, wherever in it that begins, and as hexadecimal digits."""
    for digits in _HEX.findall(run):
        for start in (0, 1):
            yield _read(_binary(bytes.fromhex, digits[start : len(digits) - (len(digits) - start) % 2]))
    # Base64 of a text has letters of both cases; most long words, paths and identifiers have not, and are left alone.
    starts = range(4) if run[1:].lower() != run[1:] and run.upper() != run else ()
    standard = run.rstrip("=").translate(_TO_STANDARD)
    for start in starts:
        piece = standard[start:]
        # One character too many says nothing: four stand for three bytes.
        piece = piece[:-1] if len(piece) % 4 == 1 else piece
        said = _read(_binary(base64.b64decode, piece + "=" * (-len(piece) % 4)))
        if said:
            yield said


def _binary(decode: Callable[[str], bytes], given: str) -> bytes:
    """The bytes, or none."""
    try:
        return decode(given)
    except (binascii.Error, ValueError):
        return b""


def _read(content: bytes) -> str:
    """The text in bytes: all of it when it is text, also packed or in two bytes a letter, otherwise what can be read of it."""
    if not content:
        return ""
    if content.startswith(_PACKED):
        try:
            content = zlib.decompressobj(47).decompress(content, UNPACKED_BYTES_MAX)
        except zlib.error:
            return ""
    try:
        plain = content.decode()
    except UnicodeDecodeError:
        plain = ""
    if plain and "\0" not in plain:
        return plain
    return b"\n".join(_READABLE.findall(content.replace(b"\0", b""))).decode()
