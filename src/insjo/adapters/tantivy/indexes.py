"""Indexes of words and of short runs of letters, scored by BM25.

Documents are in English and Swedish, often mixed, so each word goes through both stemmers, which is the same for questions and passages
and therefore right.  Runs of four letters find what stems do not: names, part numbers, and halves of Swedish compounds.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from insjo.retrieval.types import Terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

TantivyIndex: TypeAlias = Any
"""An index of tantivy, which brings no types."""

WRITER_BYTES = 64 * 1024 * 1024
GRAM = 4
WORD_CHARS_MAX = 80
QUERY_TERMS_MAX = 256
FIELDS = ("words", "grams")

_TOKEN = re.compile(r"[\w][\w./@:+#-]*\w|\w")
# Words of questions, which the stop lists of the stemmers' project leave in.
_MORE_STOP_WORDS = (
    "hur många mycket ofta länge vilka vilken vilket vem vad när var varför får ska skall finns gör göra kan måste vill tack snälla "
    "how much many often long who whom which when where why may must shall get please tell give want need"
)


class Analysis:
    """How a text becomes terms; the same for passages and questions."""

    def __init__(self) -> None:
        self._plain = _analyser(())
        self._stems = _analyser(("english", "swedish"))
        self._lock = threading.Lock()

    def terms(self, text: str) -> Terms:
        """Terms of a text, in order and with repetitions."""
        with self._lock:
            words = self._stems.analyze(text)
            kept = set(self._plain.analyze(text))
        grams: list[str] = []
        for match in _TOKEN.finditer(text):
            token = match.group().lower()
            if token in kept or not token.isalpha():
                grams.extend(_grams(token))
        return Terms(tuple(words), tuple(grams))


def _analyser(stemmers: tuple[str, ...]) -> TantivyIndex:
    """An analyser that drops words without meaning of their own and reduces the others by these stemmers."""
    import tantivy

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.remove_long(WORD_CHARS_MAX))
    builder = builder.filter(tantivy.Filter.lowercase())
    for language in ("english", "swedish"):
        builder = builder.filter(tantivy.Filter.stopword(language))
    builder = builder.filter(tantivy.Filter.custom_stopword(_MORE_STOP_WORDS.split()))
    for language in stemmers:
        builder = builder.filter(tantivy.Filter.stemmer(language))
    return builder.build()


def _grams(token: str) -> list[str]:
    """Runs of four characters of a token; a short token is its own run."""
    if len(token) <= GRAM:
        return [token]
    token = token[:WORD_CHARS_MAX]
    return [token[start : start + GRAM] for start in range(len(token) - GRAM + 1)]


class TantivyWordIndex:
    """An open index (implements `retrieval.ports.WordIndex`)."""

    def __init__(self, index: TantivyIndex) -> None:
        self._schema = index.schema
        self._searcher = index.searcher()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._searcher.num_docs)

    def search(self, terms: Terms, field: str, k: int, allowed: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """Row numbers with their scores, best first."""
        import tantivy

        counted = Counter(_of(terms, field)).most_common(QUERY_TERMS_MAX)
        wanted = min(k, self.rows)
        if not counted or wanted <= 0 or (allowed is not None and not allowed):
            return []
        should, must = tantivy.Occur.Should, tantivy.Occur.Must
        query = tantivy.Query.boolean_query([(should, tantivy.Query.term_query(self._schema, field, term, "freq")) for term, _ in counted])
        if allowed is not None:
            only = tantivy.Query.const_score_query(tantivy.Query.term_set_query(self._schema, "row", list(allowed)), 0.0)
            query = tantivy.Query.boolean_query([(must, query), (must, only)])
        found = self._searcher.search(query, wanted, count=False)
        addresses = [(score, address) for score, address in found.hits]
        rows = self._searcher.fast_field_values("row", [address for _, address in addresses])
        ranked = [(int(row), float(score)) for row, (score, _) in zip(rows, addresses, strict=True)]
        return sorted(ranked, key=lambda hit: (-hit[1], hit[0]))

    def frequencies(self, terms: Iterable[str], field: str) -> Mapping[str, int]:
        """In how many rows each term stands."""
        return {term: int(self._searcher.doc_freq(field, term)) for term in set(terms)}


class TantivyIndexes:
    """Builds and opens (implements `retrieval.ports.WordIndexes`)."""

    def __init__(self) -> None:
        self._analysis: Analysis | None = None
        self._lock = threading.Lock()

    def terms(self, text: str) -> Terms:
        """Terms of a text."""
        with self._lock:
            if self._analysis is None:
                self._analysis = Analysis()
        return self._analysis.terms(text)

    def build(self, folder: Path, rows: Iterable[Terms]) -> None:
        """Write an index of these rows; the first row has number 0."""
        import tantivy

        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("row", stored=False, indexed=True, fast=True)
        for field in FIELDS:
            builder.add_text_field(field, stored=False, tokenizer_name="whitespace", index_option="freq")
        index = tantivy.Index(builder.build(), path=str(folder))
        writer = index.writer(heap_size=WRITER_BYTES, num_threads=1)
        for number, terms in enumerate(rows):
            document = tantivy.Document()
            document.add_unsigned("row", number)
            for field in FIELDS:
                document.add_text(field, " ".join(_of(terms, field)))
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()

    def open(self, folder: Path) -> TantivyWordIndex:
        """Open what `build` wrote."""
        import tantivy

        try:
            index = tantivy.Index.open(str(folder))
            index.reload()
        except (ValueError, OSError) as error:
            message = f"the index of words in {folder} cannot be opened: {error}"
            raise OSError(message) from error
        return TantivyWordIndex(index)


def _of(terms: Terms, field: str) -> tuple[str, ...]:
    """The terms of one field."""
    return terms.words if field == "words" else terms.grams
