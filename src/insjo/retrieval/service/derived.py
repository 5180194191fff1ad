"""Files derived from the passages of one volume in one index: vectors, words, and the passages as they are shown.

They are keyed by the content of that volume's part of the table, so that a change elsewhere costs nothing, and they can always be built
again: one that is missing or damaged is.  Each volume has its own, since rights go by volume: a search touches nothing else.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from insjo.retrieval.service.table import SCHEMA, content_key, files_of, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from insjo.catalog.types import Snapshot
    from insjo.retrieval.ports import VectorIndex, VectorIndexes, WordIndex, WordIndexes
    from insjo.retrieval.types import Terms

_LOGGER = logging.getLogger(__name__)
OPEN_MAX = 64
FORMAT = 2
BATCH_ROWS = 1000
WHOLE_GRAM = 4
STEMS = "stems"
SHOWN = ("passage_id", "path", "title", "page", "position", "heading", "text", "label")
PASSAGES_FILE = "passages.arrow"
FACTS_FILE = "facts.json"
SUM_FILE = "sum.npy"


@dataclass(frozen=True, slots=True)
class PassageRow:
    """One passage as it lies in the derived file."""

    passage_id: str
    path: str
    title: str
    page: int
    position: int
    heading: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class PassageTerms:
    """The terms of one passage, kept as texts in which one can look quickly.

    Attributes:
        stems: Its stems, each between two blanks.
        lowered: Everything that is searched of it, in lower case.
    """

    stems: str
    lowered: str

    def has_word(self, stem: str) -> bool:
        """Whether it has a word with this stem."""
        return f" {stem} " in self.stems

    def has_gram(self, gram: str) -> bool:
        """Whether it has this run of letters; a short one must be a word of its own."""
        if len(gram) >= WHOLE_GRAM:
            return gram in self.lowered
        return gram in self.lowered and re.search(rf"(?<!\w){re.escape(gram)}(?!\w)", self.lowered) is not None


@dataclass(slots=True)
class VolumeFiles:
    """The derived files of one volume, open for search."""

    volume_id: str
    key: str
    passages: pa.Table
    vectors: VectorIndex
    words: WordIndex
    vector_sum: np.ndarray

    @property
    def rows(self) -> int:
        """Number of passages."""
        return int(self.passages.num_rows)

    def row(self, number: int) -> PassageRow:
        """One passage."""
        values = self.passages.slice(number, 1).to_pylist()[0]
        return PassageRow(**{name: values[name] for name in SHOWN})

    def terms(self, number: int) -> PassageTerms:
        """What words and runs of letters a passage has."""
        columns = self.passages
        above = f"{columns['title'][number].as_py() or ''} {columns['heading'][number].as_py() or ''}"
        return PassageTerms(columns[STEMS][number].as_py(), f"{above} {columns['text'][number].as_py()}".lower())

    def find(self, passage_id: str) -> int | None:
        """Number of the passage with that identifier."""
        found = pa.compute.index(self.passages["passage_id"], passage_id).as_py()
        return int(found) if found >= 0 else None


def searched_text(title: str, heading: str, text: str) -> str:
    """What is embedded and indexed of a passage: where it stands belongs to what it says."""
    above = heading if not title or heading.startswith(title) else f"{title} › {heading}".removesuffix(" › ")
    return f"{above}\n{text}" if above else text


class Derived:
    """Builds, opens and keeps open the derived files of all indexes.

    Args:
        vector_indexes: Indexes of vectors.
        word_indexes: Indexes of words.
    """

    def __init__(self, vector_indexes: VectorIndexes, word_indexes: WordIndexes) -> None:
        self._vector_indexes = vector_indexes
        self._word_indexes = word_indexes
        self._open: OrderedDict[Path, VolumeFiles] = OrderedDict()
        self._lock = threading.Lock()
        self._build_lock = threading.Lock()

    def volume(self, folder: Path, snapshot: Snapshot, volume_id: str) -> VolumeFiles:
        """The derived files of a volume at a version of the table, built if they are not there.

        Args:
            folder: Folder of the derived files of the index.
            snapshot: The table of passages.
            volume_id: Which volume.
        """
        path = folder / volume_id / _folder_name(snapshot, volume_id)
        with self._lock:
            known = self._open.get(path)
            if known is not None:
                self._open.move_to_end(path)
                return known
        try:
            opened = self._read(path, volume_id)
        except OSError:
            with self._build_lock:
                opened = self._build_and_read(path, snapshot, volume_id)
        with self._lock:
            self._open[path] = opened
            while len(self._open) > OPEN_MAX:
                self._open.popitem(last=False)
        return opened

    def sweep(self, folder: Path, snapshot: Snapshot, volume_ids: Iterable[str]) -> None:
        """Remove what belongs to no volume at this version; searches that have it open go on with it."""
        wanted = {folder / volume_id / _folder_name(snapshot, volume_id) for volume_id in volume_ids}
        with self._lock:
            for path in [path for path in self._open if path.is_relative_to(folder) and path not in wanted]:
                del self._open[path]
        for path in folder.glob("*/*"):
            if path not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def forget(self, folder: Path) -> None:
        """Let go of an index that is being deleted."""
        with self._lock:
            for path in [path for path in self._open if path.is_relative_to(folder)]:
                del self._open[path]

    def _build_and_read(self, path: Path, snapshot: Snapshot, volume_id: str) -> VolumeFiles:
        """Build what is missing or damaged."""
        try:
            return self._read(path, volume_id)
        except FileNotFoundError:
            pass
        except OSError as error:
            _LOGGER.warning("derived files are built again: %s", error)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".build-"))
        try:
            self._build(temporary, read_rows(files_of(snapshot, volume_id)))
            shutil.rmtree(path, ignore_errors=True)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return self._read(path, volume_id)

    def _build(self, folder: Path, rows: pa.Table) -> None:
        """Write all derived files of these rows."""
        vectors = vectors_of(rows)
        self._vector_indexes.build(folder, vectors)
        np.save(folder / SUM_FILE, vectors.sum(axis=0, dtype=np.float64))
        words = folder / "words"
        words.mkdir()
        shown = pa.schema([*(SCHEMA.field(name) for name in SHOWN), pa.field(STEMS, pa.string())])
        with pa.OSFile(str(folder / PASSAGES_FILE), "wb") as sink, pa.ipc.new_file(sink, shown) as writer:
            self._word_indexes.build(words, self._terms(rows.select(list(SHOWN)), writer))
        (folder / FACTS_FILE).write_text(json.dumps({"rows": rows.num_rows}), encoding="utf-8")

    def _terms(self, rows: pa.Table, writer: pa.ipc.RecordBatchFileWriter) -> Iterator[Terms]:
        """Terms of each row; every batch is written with its stems on the way, so that text is taken apart only once."""
        for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
            made = [
                self._word_indexes.terms(searched_text(row["title"] or "", row["heading"] or "", row["text"])) for row in batch.to_pylist()
            ]
            stems = pa.array([f" {' '.join(dict.fromkeys(terms.words))} " for terms in made], pa.string())
            writer.write_batch(batch.append_column(STEMS, stems))
            yield from made

    def _read(self, path: Path, volume_id: str) -> VolumeFiles:
        """Open derived files; OSError when they are not whole."""
        try:
            facts = json.loads((path / FACTS_FILE).read_text("utf-8"))
            with pa.memory_map(str(path / PASSAGES_FILE)) as source:
                passages = pa.ipc.open_file(source).read_all()
            vector_sum = np.load(path / SUM_FILE, allow_pickle=False)
        except (ValueError, EOFError, pa.ArrowInvalid) as error:
            message = f"the derived files in {path} are damaged: {error}"
            raise OSError(message) from error
        vectors = self._vector_indexes.open(path)
        if not vectors.rows == facts["rows"] == passages.num_rows:
            message = f"the derived files in {path} do not belong together"
            raise OSError(message)
        return VolumeFiles(
            volume_id=volume_id,
            key=path.name,
            passages=passages,
            vectors=vectors,
            words=self._word_indexes.open(path / "words"),
            vector_sum=vector_sum,
        )


def _folder_name(snapshot: Snapshot, volume_id: str) -> str:
    """Name of the folder for one content, in the form that this code writes."""
    return f"{content_key(snapshot, volume_id)}-{FORMAT}"


def vectors_of(rows: pa.Table) -> np.ndarray:
    """The vectors of rows, one a row."""
    column = rows["vector"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], SCHEMA.field("vector").type)
    if len(column) == 0:
        return np.empty((0, 1), dtype=np.float32)
    flat = np.asarray(column.flatten(), dtype=np.float32)
    return flat.reshape(len(column), -1)
