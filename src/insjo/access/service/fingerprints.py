"""Fingerprints: keyed hashes of labelled values and documents, by which pasted content is recognised and takes its label."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from insjo.access.service.detectors import detect
from insjo.access.service.words import ENOUGH, Collector, Hasher, Index, decoded, unpacked
from insjo.access.store import fingerprints as store
from insjo.access.types import DETECTED, FingerprintMatch, Label, Level, Origin, Provenance, provenance_of

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable
    from datetime import datetime

    import sqlalchemy as sa

    from insjo.access.service.labels import Labels
    from insjo.access.store.changes import Changes
    from insjo.access.store.fingerprints import SetHead
    from insjo.kernel.clock import Clock

SETS_MAX: Final = 100_000
IN_MEMORY_MAX: Final = 300_000
"""Most hashes in memory (about 40 MB); above that each set gives a share, its distinctive values first."""

Kind = Literal["values", "words"]


@dataclass(frozen=True, slots=True)
class _Known:
    """The sets in memory as of one revision."""

    revision: int
    heads: tuple[SetHead, ...]
    labels: tuple[Label, ...]
    index: Index


class Fingerprints:
    """Keeps sets of hashes for securables and columns, and finds them in texts.

    One distinctive value (a personal number, an address, a long identifier), two windows of seven words, three plain values or eight
    single words out of one securable make a match; `words.Evidence` has the weights.  The hashes are keyed, so that the database
    alone tells nothing; short and common values are left out.
    """

    def __init__(self, *, clock: Clock, changes: Changes, labels: Labels, key: bytes, typed_text_level: str) -> None:
        """Everything by keyword; `typed_text_level` is the level of text that a person types."""
        self._clock = clock
        self._changes = changes
        self._labels = labels
        self._hasher = Hasher(key)
        self._typed = Provenance(Label(Level.parse(typed_text_level)))
        self._loading = threading.Lock()
        self._known = _Known(-1, (), (), Index(self._hasher, ()))
        self._arrays: dict[tuple[str, str, datetime], tuple[array[int], array[int]]] = {}

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
        found = known.index.find(text)
        if not found:
            return ()
        weights: dict[str, int] = {}
        for number, (_, weight) in found.items():
            securable_id = known.heads[number].securable_id
            weights[securable_id] = weights.get(securable_id, 0) + weight
        return tuple(
            FingerprintMatch(known.labels[number], known.heads[number].securable_id, count, known.heads[number].column)
            for number, (count, _) in sorted(found.items())
            if weights[known.heads[number].securable_id] >= ENOUGH
        )

    def label_text(self, text: str) -> Provenance:
        """Label and origins of text that a person or a foreign client wrote.

        The level of typed text, joined with what the detectors and the fingerprints find, also in base64, hexadecimal, percent-encoded
        and character-reference form.
        """
        hidden = decoded(text)
        whole = f"{text}\n{hidden}" if hidden else text
        parts = [self._typed]
        parts += [Provenance(label, (Origin(DETECTED + name),)) for name, label in detect(whole)]
        matches = self.match(whole)
        if matches:
            names = {head.securable_id: head.full_name for head in self._known.heads}
            for each in matches:
                name = names.get(each.securable_id, each.securable_id)
                parts.append(Provenance(each.label, (Origin(name, column=each.column or None, securable_id=each.securable_id),)))
        return provenance_of(parts)

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


def _share_of(values: array[int], share: float) -> int:
    """How many of a set's hashes stay in memory."""
    return -int(-len(values) * share)
