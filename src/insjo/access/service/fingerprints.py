"""Fingerprints: keyed hashes of labelled values and documents, by which pasted content is recognised and takes its label."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from insjo.access.service.contacts import contacts
from insjo.access.service.decoding import decoded
from insjo.access.service.detectors import PERSONAL, detect
from insjo.access.service.redaction import Redactor
from insjo.access.service.words import ENOUGH, NOTHING, Collector, Hasher, Index, unpacked
from insjo.access.store import fingerprints as store
from insjo.access.types import DETECTED, FingerprintMatch, Label, Level, Origin, Provenance, provenance_of

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from insjo.access.service.labels import Labels
    from insjo.access.store.changes import Changes
    from insjo.access.store.fingerprints import SetHead
    from insjo.kernel.clock import Clock

SETS_MAX: Final = 100_000
IN_MEMORY_MAX: Final = 300_000
"""Most hashes in memory (about 40 MB); above that each set gives a share, its distinctive values first."""

REMEMBERED_MAX: Final = 20_000
"""Texts of which it is remembered what they hold; all are forgotten when there are more (some 4 MB)."""

PIECE_CHARS_MIN: Final = 256
"""Shorter texts are looked at together with their neighbours."""

SEAM_CHARS: Final = 200

Kind = Literal["values", "words"]


@dataclass(frozen=True, slots=True)
class _Known:
    """The sets in memory as of one revision."""

    revision: int
    heads: tuple[SetHead, ...]
    labels: tuple[Label, ...]
    index: Index


class _Found(NamedTuple):
    """What is in one text."""

    hits: frozenset[int]
    detected: tuple[tuple[str, Label], ...]

    def __bool__(self) -> bool:
        """Whether anything is."""
        return bool(self.hits or self.detected)


_NOTHING_FOUND: Final = _Found(NOTHING, ())


class _Memory:
    """What was found in texts, by their digest, for as long as the index stays; many threads use it."""

    def __init__(self, contact: Label | None) -> None:
        """Remember nothing yet; `contact` is the label of text with an address or a number of somebody, when there is one."""
        self._contact = contact
        self._lock = threading.Lock()
        self._held: tuple[Index | None, dict[bytes, _Found]] = (None, {})

    def find(self, index: Index, text: str) -> _Found:
        """What is in the text, also in its encoded parts."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        of, remembered = self._held
        if of is index and (found := remembered.get(digest)) is not None:
            return found
        hidden = decoded(text)
        whole = f"{text}\n{hidden}" if hidden else text
        detected = detect(whole)
        if self._contact is not None:
            detected += tuple((name, self._contact) for name in contacts(whole))
        found = _Found(index.hits(whole), detected) or _NOTHING_FOUND
        with self._lock:
            of, remembered = self._held
            if of is not index or len(remembered) >= REMEMBERED_MAX:
                remembered = {}
                self._held = (index, remembered)
            remembered[digest] = found
        return found


class Fingerprints:
    """Keeps sets of hashes for securables and columns, and finds them in texts.

    One distinctive value (a personal number, an address, a long identifier), two windows of seven words, three plain values or eight
    single words out of one securable make a match; `words.Evidence` has the weights.  The hashes are keyed, so that the database
    alone tells nothing; short and common values are left out.
    """

    def __init__(
        self, *, clock: Clock, changes: Changes, labels: Labels, key: bytes, typed_text_level: str, contact_level: str = ""
    ) -> None:
        """Everything by keyword.

        Args:
            clock: Tells the time.
            changes: Opens transactions.
            labels: Tells the labels that hold now.
            key: Keys the hashes.
            typed_text_level: Level of text that a person types.
            contact_level: Level of text with an e-mail address, a telephone or an organisation number; empty for no other than that.
        """
        self._clock = clock
        self._changes = changes
        self._labels = labels
        self._hasher = Hasher(key)
        self._typed = Provenance(Label(Level.parse(typed_text_level)))
        self._loading = threading.Lock()
        self._known = _Known(-1, (), (), Index(self._hasher, ()))
        self._arrays: dict[tuple[str, str, datetime], tuple[array[int], array[int]]] = {}
        self._memory = _Memory(Label(Level.parse(contact_level), PERSONAL.categories) if contact_level else None)

    def replace(
        self,
        securable_id: str,
        label: Label,
        texts: Iterable[str],
        kind: Kind = "values",
        *,
        column: str = "",
        connection: sa.Connection | None = None,
    ) -> None:
        """Keep the hashes of these texts in place of those kept before for the securable and column.

        Args:
            securable_id: Where the texts are.
            label: Their label.
            texts: Values of a column (an empty text and None are no values), or passages of a document.
            kind: `values` or `words`; long values are treated as documents either way.
            column: One set for each column lets each have a label of its own.
            connection: To stand or fall with the caller's transaction.
        """
        collector = Collector(self._hasher)
        collector.add_all(text for text in texts if text)
        packed = collector.packed()
        with self._changes.writing(connection) as writing:
            self._changes.bump(writing)
            store.put(writing, securable_id, column.lower(), kind, label, packed, self._clock.now())

    def forget(self, securable_id: str, *, column: str | None = None, connection: sa.Connection | None = None) -> None:
        """Drop the hashes of a securable, or of one column of it."""
        with self._changes.writing(connection) as writing:
            if store.delete(writing, securable_id, None if column is None else column.lower()):
                self._changes.bump(writing)

    def keep(self, securable_id: str, columns: Iterable[str]) -> None:
        """Drop the hashes of all columns of a securable but these, so that a refresh never leaves a moment without any."""
        kept = {column.lower() for column in columns}
        with self._changes.writing() as writing:
            gone = [column for column in store.columns_of(writing, securable_id) if column not in kept]
            for column in gone:
                store.delete(writing, securable_id, column)
            if gone:
                self._changes.bump(writing)

    def refresh(self) -> int:
        """Read what changed since the last look; gives the number of hashes in memory.

        `match` does it by itself; whoever must not wait for the database calls this elsewhere first.
        """
        return len(self._snapshot().index)

    def match(self, text: str) -> tuple[FingerprintMatch, ...]:
        """The securables and columns of which the text holds enough."""
        known = self._snapshot()
        return _matches(known, known.index.hits(text))

    def label_text(self, text: str) -> Provenance:
        """Label and origins of text that a person or a foreign client wrote.

        The level of typed text, joined with what the detectors and the fingerprints find, also in base64, hexadecimal, percent-encoded
        and character-reference form.
        """
        return self.label_parts((text,))

    def label_parts(self, texts: Sequence[str]) -> Provenance:
        """The same for several texts that are sent together, such as the messages of a conversation.

        What was found in a text is remembered by its digest, because a conversation repeats all that was said before.  Hits of all
        texts are weighed together, and the seams between neighbours are looked at too, so that nothing hides in being cut up.
        """
        known = self._snapshot()
        found = self._found_in(known, texts)
        if not any(found):
            return self._typed
        detected = {name: label for each in found for name, label in each.detected}
        parts = [self._typed]
        parts += [Provenance(label, (Origin(DETECTED + name),)) for name, label in detected.items()]
        matches = _matches(known, NOTHING.union(*(each.hits for each in found)))
        if matches:
            names = {head.securable_id: head.full_name for head in known.heads}
            for each in matches:
                name = names.get(each.securable_id, each.securable_id)
                parts.append(Provenance(each.label, (Origin(name, column=each.column or None, securable_id=each.securable_id),)))
        return provenance_of(parts)

    def match_parts(self, texts: Sequence[str]) -> tuple[FingerprintMatch, ...]:
        """As `match`, for texts that are sent together; remembered as in `label_parts`."""
        known = self._snapshot()
        return _matches(known, NOTHING.union(*(each.hits for each in self._found_in(known, texts))))

    def redactor(self, texts: Sequence[str]) -> Redactor:
        """What puts placeholders in the place of the sensitive values of these texts."""
        known = self._snapshot()
        hits = NOTHING.union(*(each.hits for each in self._found_in(known, texts)))
        matched = {match.securable_id for match in _matches(known, hits)}
        numbers = frozenset(number for number, head in enumerate(known.heads) if head.securable_id in matched)
        return Redactor(known.index, known.index.hits_of(hits, numbers), "\n".join(texts))

    def _found_in(self, known: _Known, texts: Sequence[str]) -> list[_Found]:
        """What is in each text and across each seam."""
        return [self._memory.find(known.index, piece) for piece in _pieces(texts)]

    def _snapshot(self) -> _Known:
        """The sets as of the last change."""
        revision = self._changes.value
        known = self._known
        if known.revision == revision:
            return known
        with self._loading:
            if self._known.revision != revision:
                self._known = self._load(revision)
            return self._known

    def _load(self, revision: int) -> _Known:
        """Read the heads, the hashes of sets that changed, and the labels as they are now."""
        before = {(head.securable_id, head.column, head.changed_at) for head in self._known.heads}
        with self._changes.reading() as reading:
            heads = tuple(store.fetch_heads(reading, SETS_MAX))
            keys = [(head.securable_id, head.column, head.changed_at) for head in heads]
            for key in keys:
                if key not in self._arrays:
                    self._arrays[key] = unpacked(store.fetch_hashes(reading, key[0], key[1]))
            live = self._labels.effective_sets([head.securable_id for head in heads], connection=reading)
        labels = tuple(head.label.join(live[head.securable_id].of(head.column)) for head in heads)
        if set(keys) == before and len(self._known.heads) == len(heads):
            return _Known(revision, heads, labels, self._known.index)
        self._arrays = {key: self._arrays[key] for key in keys}
        total = sum(len(self._arrays[key][0]) for key in keys)
        share = min(1.0, IN_MEMORY_MAX / total) if total else 1.0
        index = Index(
            self._hasher, ((self._arrays[key][0][: _share_of(self._arrays[key][0], share)], self._arrays[key][1]) for key in keys)
        )
        return _Known(revision, heads, labels, index)


def _matches(known: _Known, hits: frozenset[int]) -> tuple[FingerprintMatch, ...]:
    """The securables and columns of which these are enough hits."""
    if not hits:
        return ()
    found = known.index.weigh(hits)
    weights: dict[str, int] = {}
    for number, (_, weight) in found.items():
        securable_id = known.heads[number].securable_id
        weights[securable_id] = weights.get(securable_id, 0) + weight
    return tuple(
        FingerprintMatch(known.labels[number], known.heads[number].securable_id, count, known.heads[number].column)
        for number, (count, _) in sorted(found.items())
        if weights[known.heads[number].securable_id] >= ENOUGH
    )


def _pieces(texts: Sequence[str]) -> list[str]:
    """What is looked at by itself: each long text, and every stretch between the insides of two long ones.

    A stretch holds the end of the one, the short texts between them and the beginning of the other, so that nothing hides in being cut
    up, into however many texts.
    """
    if len(texts) == 1:
        return list(texts)
    pieces: list[str] = []
    stretch: list[str] = []
    for text in texts:
        if len(text) < PIECE_CHARS_MIN:
            stretch.append(text)
            continue
        if stretch:
            pieces.append("\n".join([*stretch, text[:SEAM_CHARS]]))
        pieces.append(text)
        stretch = [text[-SEAM_CHARS:]]
    if len(stretch) > 1 or not pieces:
        pieces.append("\n".join(stretch))
    return pieces


def _share_of(values: array[int], share: float) -> int:
    """How many of a set's hashes stay in memory."""
    return -int(-len(values) * share)
