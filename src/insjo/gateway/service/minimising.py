"""Requests without the parts that a served model may not receive (law.md 3): what is left out is named to the model and to the caller."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from insjo.access.types import Provenance, provenance_of
from insjo.gateway.service.wire import read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from insjo.access.service.fingerprints import Fingerprints
    from insjo.access.types import Label
    from insjo.gateway.service.wire import ReadBody
    from insjo.gateway.types import Part

NOTE: Final = "[Left out here: content that you may not receive.]"
"""What the model reads in the place of a part; it tells nothing of the content, so that it is the same whatever stood there."""

BLOCKS_MAX: Final = 2000
"""Paragraphs of one text that are looked at by themselves; a longer text is left out as a whole."""

_BLANK: Final = re.compile(r"(\n[ \t]*\n)")


@dataclass(frozen=True, slots=True)
class Minimised:
    """A request with less in it, labelled anew.

    Attributes:
        left_out: Label and origins of what was left out.
        count: Number of places where something was.
    """

    read: ReadBody
    provenance: Provenance
    left_out: Provenance
    count: int

    @property
    def reason(self) -> str:
        """One sentence for people."""
        parts = "1 part of the request was" if self.count == 1 else f"{self.count} parts of the request were"
        return f"{parts} left out ({self.left_out.label.text()}), since the model may not receive them."


class _Sieve:
    """Looks at each part of one request."""

    def __init__(self, fingerprints: Fingerprints, fits: Callable[[Label], bool], parts: Sequence[Part] | None) -> None:
        self._fingerprints = fingerprints
        self._fits = fits
        self._known: dict[str, Provenance] = {}
        for part in parts or ():
            before = self._known.get(part.text)
            self._known[part.text] = part.provenance if before is None else before.join(part.provenance)
        self._rest = provenance_of(part.provenance for part in parts) if parts is not None else None
        self.dropped: list[Provenance] = []
        self.dropped_texts: set[str] = set()

    def text(self, text: str) -> str:
        """The text as it may go: whole, without some of its paragraphs, or the note alone."""
        provenance = self._provenance(text)
        if self._fits(provenance.label):
            return text
        blocks = _BLANK.split(text)
        if self._rest is not None or not 1 < len(blocks) <= BLOCKS_MAX:
            self._drop(text, provenance)
            return NOTE
        kept = [block if place % 2 else self._block(block) for place, block in enumerate(blocks)]
        return "".join(kept)

    def piece(self, piece: Any) -> Any:  # noqa: ANN401  # JSON is what it is.
        """One piece of a message that has several."""
        if isinstance(piece, str):
            return self.text(piece)
        if isinstance(piece, dict) and isinstance(piece.get("text"), str) and set(piece) <= {"type", "text"}:
            return {**piece, "text": self.text(piece["text"])}
        texts = read_body(msgspec.json.encode({"content": piece})).texts
        provenance = provenance_of(self._provenance(each) for each in texts) if self._rest is not None else self._joined(texts)
        if self._fits(provenance.label):
            return piece
        self._drop("", provenance)
        return {"type": "text", "text": NOTE}

    def call(self, call: Any) -> Any:  # noqa: ANN401  # JSON is what it is.
        """A call of a tool: its name stays, its arguments may not."""
        function = call.get("function") if isinstance(call, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if function is None or not isinstance(arguments, str):
            return call
        provenance = self._provenance(arguments)
        if self._fits(provenance.label):
            return call
        self._drop(arguments, provenance)
        return {**call, "function": {**function, "arguments": msgspec.json.encode({"note": NOTE}).decode()}}

    def _block(self, block: str) -> str:
        """A paragraph, or the note."""
        provenance = self._provenance(block)
        if self._fits(provenance.label):
            return block
        self._drop(block, provenance)
        return NOTE

    def _provenance(self, text: str) -> Provenance:
        """Where a text comes from; one that nobody told the provenance of counts as everything that was told."""
        if self._rest is None:
            return self._fingerprints.label_parts((text,))
        found = self._known.get(text, self._rest)
        return provenance_of((found, *(Provenance(match.label) for match in self._fingerprints.match_parts((text,)))))

    def _joined(self, texts: Sequence[str]) -> Provenance:
        return self._fingerprints.label_parts(texts or ("",))

    def _drop(self, text: str, provenance: Provenance) -> None:
        self.dropped.append(provenance)
        self.dropped_texts.add(text)


def minimise(
    fingerprints: Fingerprints, read: ReadBody, fits: Callable[[Label], bool], parts: Sequence[Part] | None, raise_to: Label | None
) -> Minimised | None:
    """The request without what does not fit; None when nothing could be left out, or nothing would be left to answer.

    Messages are looked at one by one, their pieces and the paragraphs of what people wrote too.  All that remains is labelled anew
    together, so that nothing is let through by being cut up.
    """
    sieve = _Sieve(fingerprints, fits, parts)
    messages = read.fields.get("messages")
    if not isinstance(messages, list):
        return None
    asked = max((place for place, each in enumerate(messages) if isinstance(each, dict) and each.get("role") == "user"), default=-1)
    kept: list[Any] = []
    for place, message in enumerate(messages):
        sieved = _sieved(sieve, message) if isinstance(message, dict) else message
        if place == asked and not any(text.replace(NOTE, "").strip() for text in _texts(sieved.get("content"))):
            return None
        kept.append(sieved)
    if not sieve.dropped:
        return None
    changed = read_body(msgspec.json.encode({**read.fields, "messages": kept}))
    if parts is None:
        provenance = fingerprints.label_parts(changed.texts)
    else:
        provenance = provenance_of(part.provenance for part in parts if part.text not in sieve.dropped_texts)
        for match in fingerprints.match_parts(changed.texts):
            provenance = provenance.join(Provenance(match.label))
    if raise_to is not None:
        provenance = provenance.join(Provenance(raise_to))
    left_out = provenance_of(sieve.dropped)
    return Minimised(changed, provenance, left_out, len(sieve.dropped))


def _sieved(sieve: _Sieve, message: dict[str, Any]) -> dict[str, Any]:
    """A message with what may go."""
    found = dict(message)
    content = message.get("content")
    if isinstance(content, str):
        found["content"] = sieve.text(content)
    elif isinstance(content, list):
        found["content"] = [sieve.piece(each) for each in content]
    if isinstance(message.get("tool_calls"), list):
        found["tool_calls"] = [sieve.call(each) for each in message["tool_calls"]]
    return found


def _texts(content: Any) -> Iterator[str]:  # noqa: ANN401  # JSON is what it is.
    """What is left of a message, in words; a piece that is no text counts as something."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for each in content:
            text = each.get("text") if isinstance(each, dict) and each.get("type") == "text" else each
            yield text if isinstance(text, str) else "something else"
