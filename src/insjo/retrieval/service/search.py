"""Search: the caller's rights decide which volumes are looked into, before anything is looked at.

Three rankings name candidates (vectors, words, runs of letters).  Each candidate is then scored by what holds for it alone: the cosine of
the centred vectors, and the share of the question's words and runs of letters that it has, rare ones counting more.  On documents in two
languages this found the right passage first as often as rank fusion and among three more often, and unlike ranks its scores do not
depend on what else was found: they also tell when nothing fits.  All statistics are sums over the visible volumes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from insjo.access.types import Label, Origin, Privilege, Provenance, SecurableKind
from insjo.kernel.errors import InsjoError, NotFound
from insjo.retrieval import ranking, store
from insjo.retrieval.errors import IndexNotBuilt, QuestionInvalid
from insjo.retrieval.service.means import matrix_of, read_means
from insjo.retrieval.service.table import PassageTable
from insjo.retrieval.types import Evidence, Hit, SearchMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.catalog.types import Snapshot
    from insjo.kernel.context import RequestContext
    from insjo.retrieval.service.derived import Derived, PassageRow, VolumeFiles
    from insjo.retrieval.service.means import Means
    from insjo.retrieval.service.parts import Parts
    from insjo.retrieval.types import Terms

HITS_MAX = 100
QUESTION_CHARS_MAX = 4000
INDEXES_MAX = 20
CANDIDATES_MIN = 30
CANDIDATES_PER_HIT = 4
WEIGHT_WORDS = 0.3
WEIGHT_GRAMS = 0.3
SNAPSHOTS_MAX = 64


@dataclass(frozen=True, slots=True)
class _Opened:
    """One index with the volumes of it that the caller may read."""

    index_id: str
    name: str
    endpoint: str
    means: Means | None
    volumes: tuple[VolumeFiles, ...]


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A passage with its score."""

    opened: _Opened
    volume: VolumeFiles
    row: int
    score: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class _Question:
    """The question as the rankings need it, with the weight of each term among all visible passages."""

    terms: Terms
    words: dict[str, float]
    grams: dict[str, float]


class Search:
    """Searches indexes."""

    def __init__(self, parts: Parts, derived: Derived) -> None:
        self._parts = parts
        self._derived = derived
        self._snapshots: dict[tuple[str, int], Snapshot] = {}

    async def search(
        self,
        ctx: RequestContext,
        names: Sequence[str],
        query: str,
        k: int = 8,
        mode: SearchMode = "hybrid",
        *,
        within: Sequence[str] = (),
        provenance: Provenance | None = None,
    ) -> list[Hit]:
        """The passages that fit best, best first, of those that the caller may read; needs SELECT on every index.

        Args:
            ctx: Who asks.
            names: Full names of indexes.
            query: A question, or words.
            k: How many passages.
            mode: `hybrid`, or `vectors` or `words` alone.
            within: Only documents at or below these paths; empty means all.
            provenance: Of the query; None means that the caller typed it.

        Raises:
            QuestionInvalid: The query is empty or too long.
            IndexNotFound, AccessDenied: As they say.
            FlowBlocked: The query may not go to the embedding model.
        """
        text = _checked(query, names, k)
        opened = await self._parts.threads.run(self._open_all, ctx, list(dict.fromkeys(names)))
        vectors: dict[str, np.ndarray] = {}
        if mode != "words":
            for endpoint in dict.fromkeys(each.endpoint for each in opened if each.volumes):
                answer = await self._parts.gateway.embeddings.embed(ctx, endpoint, [text], "query", provenance)
                vectors[endpoint] = matrix_of(answer)[0]
        return await self._parts.threads.run(self._rank, ctx, opened, text, vectors, k, mode, tuple(within))

    def embedding_endpoint(self, ctx: RequestContext, name: str) -> str:
        """Endpoint that makes the vectors of an index; needs SELECT on it."""
        securable = self._parts.access.securables.resolve(ctx, SecurableKind.INDEX, name, Privilege.SELECT)
        with self._parts.database.read() as connection:
            row = store.fetch_index(connection, securable.id)
        if row is None:
            raise NotFound(f"The index `{securable.full_name}` does not exist.")
        return str(row["embedding_endpoint"])

    # --------------------------------------------------------------------------------------------------------------- rights

    def _open_all(self, ctx: RequestContext, names: Sequence[str]) -> list[_Opened]:
        """The indexes, each with the derived files of the volumes that the caller may read now."""
        return [self._open(ctx, name) for name in names]

    def _open(self, ctx: RequestContext, name: str) -> _Opened:
        """One index."""
        securable = self._parts.access.securables.resolve(ctx, SecurableKind.INDEX, name, Privilege.SELECT)
        with self._parts.database.read() as connection:
            row = store.fetch_index(connection, securable.id)
            volume_ids = store.fetch_volumes(connection, securable.id, self._parts.readable_volumes(ctx))
        if row is None:
            raise NotFound(f"The index `{securable.full_name}` does not exist.")
        endpoint = str(row["embedding_endpoint"])
        if row["version"] < 0:
            if row["run_id"]:
                # A build is under way: there is nothing yet, which is no mistake of the caller's.
                return _Opened(securable.id, securable.full_name, endpoint, None, ())
            raise IndexNotBuilt(f"The index `{securable.full_name}` has not been built yet.", hint="Bring it up to date first.")
        if not volume_ids:
            return _Opened(securable.id, securable.full_name, endpoint, None, ())
        folder = self._parts.folder(securable.id)
        snapshot = self._snapshot(securable.id, int(row["version"]))
        volumes = tuple(self._derived.volume(folder / "derived", snapshot, volume_id) for volume_id in volume_ids)
        try:
            means = read_means(folder)
        except OSError as error:
            raise IndexNotBuilt(f"The index `{securable.full_name}` is not complete.", hint="Bring it up to date.") from error
        return _Opened(securable.id, securable.full_name, endpoint, means, tuple(each for each in volumes if each.rows))

    def _snapshot(self, index_id: str, version: int) -> Snapshot:
        """The table of passages at a version, remembered since a version never changes."""
        known = self._snapshots.get((index_id, version))
        if known is None:
            known = PassageTable(self._parts.storage, self._parts.folder(index_id) / "passages").snapshot(version)
            while len(self._snapshots) >= SNAPSHOTS_MAX:
                self._snapshots.pop(next(iter(self._snapshots)), None)
            self._snapshots[index_id, version] = known
        return known

    # -------------------------------------------------------------------------------------------------------------- ranking

    def _rank(
        self,
        ctx: RequestContext,
        opened: Sequence[_Opened],
        text: str,
        vectors: dict[str, np.ndarray],
        k: int,
        mode: SearchMode,
        within: tuple[str, ...],
    ) -> list[Hit]:
        """The best passages with what they are."""
        terms = self._parts.word_indexes.terms(text)
        question = self._question(opened, terms)
        ranked: list[_Ranked] = []
        for each in opened:
            direction = mean = None
            if each.volumes and each.means is not None and each.endpoint in vectors:
                direction = ranking.direction_of(vectors[each.endpoint], each.means.question)
                total = np.sum([volume.vector_sum for volume in each.volumes], axis=0)
                mean = ranking.mean_of(total, sum(volume.rows for volume in each.volumes), each.means.passage)
            for volume in each.volumes:
                allowed = _rows_within(volume, within)
                rows = self._candidates(volume, terms, direction, max(CANDIDATES_MIN, CANDIDATES_PER_HIT * k), allowed)
                ranked += self._scored(each, volume, rows, question, direction, mean)
        order = sorted(ranked, key=lambda hit: (-hit.score, hit.volume.volume_id, hit.row))
        found = [hit for hit in order if mode != "words" or hit.evidence.coverage > 0][:k]
        return self._hits(ctx, found)

    def _question(self, opened: Sequence[_Opened], terms: Terms) -> _Question:
        """The question with frequencies summed over all visible volumes of all indexes."""
        words: dict[str, int] = dict.fromkeys(terms.words, 0)
        grams: dict[str, int] = dict.fromkeys(terms.grams, 0)
        passages = 0
        for each in opened:
            for volume in each.volumes:
                passages += volume.rows
                for field, counts in (("words", words), ("grams", grams)):
                    for term, count in volume.words.frequencies(counts, field).items():
                        counts[term] += count
        return _Question(terms, ranking.weights(words, passages), ranking.weights(grams, passages))

    def _candidates(
        self, volume: VolumeFiles, terms: Terms, direction: np.ndarray | None, count: int, allowed: np.ndarray | None
    ) -> list[int]:
        """Rows that at least one ranking names."""
        rows: set[int] = set()
        if direction is not None:
            rows.update(int(row) for row in volume.vectors.search(direction, count, allowed))
        only = None if allowed is None else [int(row) for row in allowed]
        for field in ("words", "grams"):
            rows.update(row for row, _ in volume.words.search(terms, field, count, only))
        return sorted(rows)

    def _scored(
        self,
        opened: _Opened,
        volume: VolumeFiles,
        rows: Sequence[int],
        question: _Question,
        direction: np.ndarray | None,
        mean: np.ndarray | None,
    ) -> list[_Ranked]:
        """Candidates with their scores."""
        if not rows:
            return []
        similar = np.zeros(len(rows), dtype=np.float32)
        if direction is not None and mean is not None:
            similar = ranking.similarities(direction, volume.vectors.vectors(np.asarray(rows)), mean)
        found = []
        for row, similarity in zip(rows, similar.tolist(), strict=True):
            terms = volume.terms(row)
            words = ranking.coverage(question.words, terms.has_word)
            grams = ranking.coverage(question.grams, terms.has_gram)
            score = similarity + WEIGHT_WORDS * words + WEIGHT_GRAMS * grams
            evidence = Evidence(similarity=round(similarity, 6), coverage=round(max(words, grams), 6))
            found.append(_Ranked(opened, volume, row, round(score, 6), evidence))
        return found

    # ----------------------------------------------------------------------------------------------------------------- hits

    def _hits(self, ctx: RequestContext, found: Sequence[_Ranked]) -> list[Hit]:
        """Passages with their provenance; one whose volume was closed to the caller meanwhile is left out."""
        labels: dict[str, Label | None] = {}
        hits = []
        for each in found:
            row = each.volume.row(each.row)
            if row.path not in labels:
                labels[row.path] = self._live_label(ctx, row.path)
            live = labels[row.path]
            if live is not None:
                hits.append(_hit(each, row, provenance_of_row(row, live, each.volume.volume_id)))
        return hits

    def _live_label(self, ctx: RequestContext, path: str) -> Label | None:
        """Label of the file as it is now; None when the caller may not read it."""
        try:
            return self._parts.catalog.files.label(ctx, path)
        except InsjoError:
            return None


def provenance_of_row(row: PassageRow, live: Label, volume_id: str) -> Provenance:
    """Where a passage comes from: the label of its file when it was read, joined with the one of now."""
    label = Label.from_json(json.loads(row.label)).join(live)
    return Provenance(label, (Origin(row.path, securable_id=volume_id),))


def _hit(ranked: _Ranked, row: PassageRow, provenance: Provenance) -> Hit:
    """A ranked passage as callers see it."""
    return Hit(
        index=ranked.opened.name,
        passage_id=row.passage_id,
        path=row.path,
        page=row.page,
        position=row.position,
        title=row.title,
        heading=row.heading,
        text=row.text,
        score=ranked.score,
        evidence=ranked.evidence,
        provenance=provenance,
    )


def _rows_within(volume: VolumeFiles, within: tuple[str, ...]) -> np.ndarray | None:
    """Numbers of the rows of documents at or below some paths; None when all are meant."""
    if not within:
        return None
    paths = volume.passages["path"].to_pylist()
    beginnings = tuple(path.rstrip("/") + "/" for path in within)
    return np.asarray([row for row, path in enumerate(paths) if path in within or path.startswith(beginnings)], dtype=np.int64)


def _checked(query: str, names: Sequence[str], k: int) -> str:
    """The query without white space around it, if everything about it is in order."""
    text = " ".join(query.split())
    if not text:
        raise QuestionInvalid("There is no question.")
    if len(text) > QUESTION_CHARS_MAX:
        raise QuestionInvalid(f"A question has at most {QUESTION_CHARS_MAX} characters, and this one has {len(text)}.")
    if not names or len(names) > INDEXES_MAX:
        raise QuestionInvalid(f"A search is in between 1 and {INDEXES_MAX} indexes.")
    if not 1 <= k <= HITS_MAX:
        raise QuestionInvalid(f"A search gives between 1 and {HITS_MAX} passages.")
    return text
