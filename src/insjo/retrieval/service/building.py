"""Bring an index up to date: read what is new or changed, forget what is gone, leave the rest as it is.

What is embedded is committed in small steps, so that a build that is stopped or killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from insjo.access.types import Label, Level, Origin, Provenance, join_all
from insjo.catalog.errors import FileNotFound
from insjo.kernel.context import system_context
from insjo.kernel.errors import Cancelled, InsjoError, NotFound, Unavailable
from insjo.retrieval import store
from insjo.retrieval.cutting import cut
from insjo.retrieval.service.derived import Derived, searched_text
from insjo.retrieval.service.means import ensure_means, matrix_of
from insjo.retrieval.service.parts import hash_of
from insjo.retrieval.service.table import SCHEMA, Change, PassageTable
from insjo.retrieval.types import DocumentState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.types import LocalFile, Snapshot
    from insjo.retrieval.service.parts import Parts
    from insjo.retrieval.types import CutPassage

OPERATION = "INDEX SYNC"
FLOW_BLOCKED = "FLOW_BLOCKED"
COMMIT_PASSAGES = 256
FIRST_PASSAGES = 16
"""A new index is searched as soon as it has so many; then again whenever it has twice as many, which together costs as much as once."""

EMBED_PASSAGES = 16
ERROR_CHARS_MAX = 1000
FINGERPRINT_COLUMN_CHARS_MAX = 200
HASH_CHUNK_BYTES = 1 << 20


class Progress(Protocol):
    """What a build tells, and asks; `jobs.ports.RunContext` has these."""

    def progress(self, done: int, total: int, message: str = "") -> None:
        """So many documents of so many are done."""
        ...

    def check(self) -> None:
        """Raises Cancelled when somebody stopped the build."""
        ...


@dataclass(slots=True)
class _Step:
    """Documents that are committed together."""

    rows: list[dict[str, object]] = field(default_factory=list)
    documents: list[dict[str, object]] = field(default_factory=list)
    removed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    gone: list[str] = field(default_factory=list)
    texts: dict[tuple[str, str], tuple[Label, list[str]]] = field(default_factory=dict)


class Building:
    """Builds indexes; one build an index at a time in this process, and Delta's commits stand between processes."""

    def __init__(self, parts: Parts, derived: Derived) -> None:
        self._parts = parts
        self._derived = derived
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def sync(self, index_id: str, progress: Progress) -> dict[str, object]:
        """Bring one index up to date; what was done, in numbers.

        Raises:
            Cancelled: Somebody stopped it; what was done so far stays.
            InsjoError: The embedding endpoint, the disk or the catalog refuses; what was done so far stays.
        """
        with self._locks[index_id]:
            row = self._index(index_id)
            if row is None:
                return {"deleted": True}
            try:
                counts = self._sync(row, progress)
            except InsjoError as error:
                self._write(index_id, {"state_reason": str(error)[:ERROR_CHARS_MAX]})
                raise
            self._write(index_id, {"state_reason": "", "synced_at": self._parts.clock.now()})
            return counts

    def _sync(self, row: store.Row, progress: Progress) -> dict[str, object]:
        """The build proper."""
        index_id, endpoint = str(row["id"]), str(row["embedding_endpoint"])
        folder = self._parts.folder(index_id)
        table = PassageTable(self._parts.storage, folder / "passages")
        snapshot = table.ensure()
        with self._parts.database.read() as connection:
            known = {str(each["path"]): each for each in store.fetch_documents(connection, index_id)}
        files = self._files(row["sources"])
        changed = [file for file in files.values() if not _is_current(known.get(file.path), file)]
        gone = [each for path, each in known.items() if path not in files]
        counts = {"documents": len(files), "changed": len(changed), "removed": len(gone), "failed": 0, "passages": 0}
        if changed:
            progress.progress(0, len(changed), "Starting the embedding model")
            ensure_means(self._parts, folder, endpoint)
        step = _Step()
        for each in gone:
            step.removed[each["volume_id"]].add(each["path"])
            step.gone.append(each["path"])
        due = FIRST_PASSAGES
        try:
            for number, file in enumerate(changed):
                progress.check()
                # No names: who watches the build may manage the index and yet not read every source.
                progress.progress(number, len(changed), "Reading documents")
                self._read(step, index_id, endpoint, file, known.get(file.path), progress)
                if len(step.rows) >= min(COMMIT_PASSAGES, due - counts["passages"]):
                    snapshot = self._commit(index_id, table, snapshot, step, counts)
                    step = _Step()
                if counts["passages"] >= due:
                    self._publish(index_id, snapshot)
                    due = 2 * counts["passages"]
        finally:
            # Also when the build was stopped: what was embedded is not embedded again.
            snapshot = self._commit(index_id, table, snapshot, step, counts)
            self._publish(index_id, snapshot)
        progress.progress(len(changed), len(changed), "Done")
        return dict(counts)

    def _files(self, sources: Sequence[str]) -> dict[str, LocalFile]:
        """Every file of the sources that can be read as a document, by path; a source that is gone has none."""
        suffixes = tuple(self._parts.parser.suffixes())
        found: dict[str, LocalFile] = {}
        for source in sources:
            try:
                listed = self._parts.catalog.files.resolve_local(system_context("job"), source)
            except (NotFound, FileNotFound):
                continue
            named = source.lower().endswith(suffixes)
            found.update({file.path: file for file in listed if named or file.path.lower().endswith(suffixes)})
        return found

    def _read(self, step: _Step, index_id: str, endpoint: str, file: LocalFile, before: store.Row | None, progress: Progress) -> None:
        """Read, cut and embed one document into the step; one that cannot be read is noted and stops nothing."""
        if before is not None:
            step.removed[file.volume_id].add(file.path)
        values: dict[str, object] = {
            "path_hash": hash_of(file.path),
            "path": file.path,
            "volume_id": file.volume_id,
            "content_hash": "",
            "size_bytes": file.size_bytes,
            "modified_at": file.modified_at,
            "state": DocumentState.FAILED.value,
            "error": "",
            "title": "",
            "pages": 0,
            "passages": 0,
            "label": file.label.as_json(),
            "indexed_at": self._parts.clock.now(),
        }
        step.documents.append(values)
        try:
            with self._parts.catalog.files.present([file.local_path]):
                values["content_hash"] = _content_hash(file.local_path)
                document = self._parts.parser.parse(file.local_path, file.path.rsplit("/", 1)[-1])
            passages = cut(document)
        except Unavailable:
            step.documents.pop()
            raise
        except InsjoError as error:
            values["error"] = str(error)[:ERROR_CHARS_MAX]
            return
        except OSError:
            values["error"] = "The file was removed while it was being read."
            return
        title = document.title[:500]
        try:
            vectors = self._embed(endpoint, file, title, passages, progress)
        except InsjoError as error:
            if error.code == FLOW_BLOCKED:
                # One document that the embedding model may not see stops no other.
                values["error"] = str(error)[:ERROR_CHARS_MAX]
                return
            step.documents.pop()
            raise
        except BaseException:
            step.documents.pop()
            raise
        values |= {"state": DocumentState.INDEXED.value, "title": title, "pages": document.pages, "passages": len(passages)}
        step.rows.extend(_rows(index_id, file, title, passages, vectors))
        step.texts[file.volume_id, file.path] = (file.label, [passage.text for passage in passages])

    def _embed(self, endpoint: str, file: LocalFile, title: str, passages: Sequence[CutPassage], progress: Progress) -> np.ndarray:
        """Vectors of the passages; asked for in small groups, so that a build can be stopped."""
        provenance = Provenance(file.label, (Origin(file.path, securable_id=file.volume_id),))
        vectors: list[np.ndarray] = []
        for start in range(0, len(passages), EMBED_PASSAGES):
            progress.check()
            texts = [searched_text(title, each.heading, each.text) for each in passages[start : start + EMBED_PASSAGES]]
            answer = self._parts.gateway.embeddings.embed_sync(system_context("job"), endpoint, texts, "passage", provenance)
            vectors.append(matrix_of(answer))
        return np.concatenate(vectors) if vectors else np.empty((0, 1), dtype=np.float32)

    def _commit(self, index_id: str, table: PassageTable, snapshot: Snapshot, step: _Step, counts: dict[str, int]) -> Snapshot:
        """Commit a step: first the passages, then what is known of the documents, so that a crash between loses only work."""
        by_volume: dict[str, list[dict[str, object]]] = defaultdict(list)
        for row in step.rows:
            by_volume[str(row["volume_id"])].append(row)
        # A crash between the two commits leaves passages of documents that nobody knows: they are removed before they come again.
        for values in step.documents:
            step.removed[str(values["volume_id"])].add(str(values["path"]))
        changes = [
            Change(volume_id, frozenset(step.removed.get(volume_id, ())), pa.Table.from_pylist(by_volume.get(volume_id, []), SCHEMA))
            for volume_id in sorted({*by_volume, *step.removed})
        ]
        after = table.apply(snapshot, changes, OPERATION, "system")
        label = join_all(Label.from_json(_mapping(values["label"])) for values in step.documents)
        with self._parts.database.write() as connection:
            if store.fetch_index(connection, index_id) is None:
                raise Cancelled("The index was deleted while it was being built.")
            store.put_documents(connection, index_id, step.documents)
            store.delete_documents(connection, index_id, [hash_of(path) for path in step.gone])
            if step.documents:
                self._parts.access.labels.raise_derived(system_context("job"), index_id, label, connection=connection)
        self._fingerprint(step)
        counts["passages"] += len(step.rows)
        counts["failed"] += sum(values["state"] == DocumentState.FAILED.value for values in step.documents)
        return after

    def _fingerprint(self, step: _Step) -> None:
        """Keep keyed hashes of the words of confidential documents, so that their text is known again when somebody pastes it."""
        fingerprints = self._parts.access.fingerprints
        for volume_id, paths in step.removed.items():
            for path in paths:
                if (volume_id, path) not in step.texts:
                    fingerprints.forget(volume_id, column=_fingerprint_column(path))
        for (volume_id, path), (label, texts) in step.texts.items():
            column = _fingerprint_column(path)
            if label.level >= Level.CONFIDENTIAL:
                fingerprints.replace(volume_id, label, texts, "words", column=column)
            else:
                fingerprints.forget(volume_id, column=column)

    def _publish(self, index_id: str, snapshot: Snapshot) -> None:
        """Build the derived files of this version and let searches use it."""
        with self._parts.database.read() as connection:
            volumes = sorted({str(each["volume_id"]) for each in store.fetch_documents(connection, index_id) if each["passages"]})
        folder = self._parts.folder(index_id) / "derived"
        for volume_id in volumes:
            self._derived.volume(folder, snapshot, volume_id)
        self._write(index_id, {"version": snapshot.version, "updated_at": self._parts.clock.now()})
        self._derived.sweep(folder, snapshot, volumes)

    def _index(self, index_id: str) -> store.Row | None:
        with self._parts.database.read() as connection:
            return store.fetch_index(connection, index_id)

    def _write(self, index_id: str, values: Mapping[str, object]) -> None:
        with self._parts.database.write() as connection:
            store.update_index(connection, index_id, values)


def _is_current(known: store.Row | None, file: LocalFile) -> bool:
    """Whether the file is as it was when it was indexed: size and time, and if only the time differs, the content."""
    if known is None or known["size_bytes"] != file.size_bytes or known["label"] != file.label.as_json():
        return False
    if known["modified_at"] == file.modified_at:
        return True
    try:
        return bool(known["content_hash"]) and known["content_hash"] == _content_hash(file.local_path)
    except OSError:
        return False


def _content_hash(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:  # noqa: PTH123  # The path is a text of the catalog.
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fingerprint_column(path: str) -> str:
    """Name under which the hashes of a document are kept: its path inside the volume, or its hash when that is long."""
    inside = "/".join(path.split("/")[5:])
    return inside if len(inside) <= FINGERPRINT_COLUMN_CHARS_MAX else hash_of(inside)


def _rows(index_id: str, file: LocalFile, title: str, passages: Sequence[CutPassage], vectors: np.ndarray) -> list[dict[str, object]]:
    """Rows of the table for the passages of one document."""
    label = json.dumps(file.label.as_json(), sort_keys=True)
    return [
        {
            "volume_id": file.volume_id,
            "passage_id": _passage_id(index_id, file.path, passage),
            "path": file.path,
            "title": title,
            "page": passage.page,
            "position": passage.position,
            "heading": passage.heading,
            "text": passage.text,
            "label": label,
            "vector": vector,
        }
        for passage, vector in zip(passages, vectors, strict=True)
    ]


def _passage_id(index_id: str, path: str, passage: CutPassage) -> str:
    """Identifier of a passage; it stays while its text and place stay, so that citations in old conversations still open."""
    return hashlib.sha256(f"{index_id}\0{path}\0{passage.position}\0{passage.text}".encode()).hexdigest()[:24]


def _mapping(value: object) -> dict[str, object]:
    """A JSON object."""
    return value if isinstance(value, dict) else {}
