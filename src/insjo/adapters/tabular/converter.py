"""Conversions in child processes, kept in a folder so that a file is converted once while it stays as it is."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import shutil
import threading
import time
from typing import TYPE_CHECKING

from insjo.adapters.tabular.limits import MEMORY_BYTES_MAX, TIME_S_MAX
from insjo.kernel.ids import short_id
from insjo.kernel.processes import Child, ChildFailed, ChildSpec, clean_environment, python_child
from insjo.sql.errors import DiskFull, FileOptionInvalid, FileReadFailed, FileTooHeavy, StatementCancelled, WorkerDied
from insjo.sql.ports import Converted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from insjo.kernel.cancellation import CancelToken

AT_ONCE = 2
RESULT_BYTES_MAX = 4 * 1024 * 1024
STARTED_WITHIN_S = 60.0
ENDED_WITHIN_S = 5.0
KEPT_S = 6 * 3600.0
"""Longer than any statement may take, which may have the file's name in its text."""

KEPT_BYTES_MAX = 50 * 1024**3
_LOOK_EVERY_S = 0.05
_ENDINGS = {"excel": "csv", "sqlite": "csv", "avro": "parquet", "orc": "parquet", "text": "txt"}
_KINDS = {"excel": "an Excel workbook", "sqlite": "a SQLite file", "avro": "an Avro file", "orc": "an ORC file", "text": "a text file"}


class FileConversions:
    """Implements `sql.ports.Conversions`.

    Args:
        folder: Where converted files lie; it belongs to this object alone, and the engine's workers may read it.
        time_s_max: How long one file may take.
        memory_bytes_max: Address space of the child.
    """

    def __init__(self, folder: Path, *, time_s_max: float = TIME_S_MAX, memory_bytes_max: int = MEMORY_BYTES_MAX) -> None:
        self._folder = folder.resolve()
        self._time_s_max = time_s_max
        self._memory_bytes_max = memory_bytes_max
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._guard = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}

    def start(self) -> None:
        """Make the folder, and remove what is too old."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tidy()

    def convert(self, local_path: str, name: str, kind: str, options: Mapping[str, str], *, cancel: CancelToken | None = None) -> Converted:
        """See the port."""
        state = os.stat(local_path)  # noqa: PTH116  # A text that goes into a key.
        key = hashlib.sha256(
            json.dumps([local_path, state.st_size, state.st_mtime_ns, state.st_ino, kind, sorted(options.items())]).encode()
        ).hexdigest()[:40]
        with self._guard:
            lock = self._busy.setdefault(key, threading.Lock())
        with lock:
            try:
                found = self._kept(key)
                if found is None:
                    self._tidy()
                    found = self._made(key, {"source": local_path, "kind": kind, "options": dict(options)}, name, cancel)
                return found
            finally:
                with self._guard:
                    self._busy.pop(key, None)

    def _kept(self, key: str) -> Converted | None:
        """The file that was made before."""
        place = self._folder / key
        try:
            answer = json.loads((place / "answer.json").read_text(encoding="utf-8"))
            os.utime(place)
        except (OSError, ValueError):
            return None
        return _converted(place, answer)

    def _made(self, key: str, order: dict[str, object], name: str, cancel: CancelToken | None) -> Converted:
        """Convert into a folder of its own, which gets its name when it is whole."""
        kind = str(order["kind"])
        place = self._folder / f".{key}.{short_id()}"
        place.mkdir(parents=True)
        try:
            with self._slots:
                answer = self._ask({**order, "target": str(place / f"out.{_ENDINGS[kind]}")}, name, kind, cancel)
            answer["file"] = f"out.{_ENDINGS[kind]}"
            (place / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
            final = self._folder / key
            shutil.rmtree(final, ignore_errors=True)
            place.rename(final)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return _converted(final, answer)

    def _ask(self, order: dict[str, object], name: str, kind: str, cancel: CancelToken | None) -> dict[str, object]:
        """What the child said."""
        ours, theirs = os.pipe()
        child = Child(
            ChildSpec(
                name="file converter",
                argv=python_child("insjo.adapters.tabular.worker", "--result", str(theirs)),
                env=clean_environment() | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
                pass_fds=(theirs,),
                first_input=json.dumps({**order, "memory_bytes_max": self._memory_bytes_max}).encode(),
                ready_timeout_s=STARTED_WITHIN_S,
            )
        )
        content = None
        try:
            try:
                child.start()
            except ChildFailed as error:
                message = "The process that reads such files could not be started."
                raise WorkerDied(message, hint="Try again in a moment.") from error
            content = _read_all(ours, time.monotonic() + self._time_s_max, cancel)
        finally:
            os.close(ours)
            if not child.wait(0 if content is None else ENDED_WITHIN_S):
                child.kill()
        if content is None:
            raise FileTooHeavy(f"`{name}` takes longer than {self._time_s_max:g} s to read.", hint="Split it, or save it as CSV.")
        if not content:
            raise FileTooHeavy(f"Reading `{name}` takes too much memory, time or space.", hint="Split it, or save it as CSV.")
        return _checked(json.loads(content), name, kind)

    def _tidy(self) -> None:
        """Remove what nobody has asked for in a long time, and the oldest when there is too much."""
        now = time.time()
        entries: list[tuple[float, int, Path]] = []
        for place in self._folder.iterdir():
            with contextlib.suppress(OSError):
                size = sum(each.stat().st_size for each in place.iterdir())
                entries.append((place.stat().st_mtime, size, place))
        total = sum(size for _, size, _ in entries)
        for touched, size, place in sorted(entries, key=lambda each: each[0]):
            if now - touched > KEPT_S or total > KEPT_BYTES_MAX:
                shutil.rmtree(place, ignore_errors=True)
                total -= size


def _checked(answer: dict[str, object], name: str, kind: str) -> dict[str, object]:
    """The answer, unless it tells of an error."""
    said = str(answer.get("message", ""))
    match answer.get("error"):
        case None:
            return answer
        case "wrong":
            raise FileOptionInvalid(f"`{name}`: {said}")
        case "heavy":
            raise FileTooHeavy(f"`{name}` cannot be read. {said}", hint="Split it, or save it as CSV.")
        case "full":
            raise DiskFull(f"There is no space left to read `{name}`.", hint="Free space below the data folder.")
        case _:
            raise FileReadFailed(f"`{name}` cannot be read as {_KINDS[kind]}. {said}", details={"path": name})


def _converted(place: Path, answer: dict[str, object]) -> Converted:
    path = place / str(answer["file"])
    types, parts = answer.get("types"), answer.get("sheets") or answer.get("tables")
    return Converted(
        local_path=str(path),
        size_bytes=path.stat().st_size,
        format=str(answer["format"]),
        types=tuple(str(each) for each in types) if isinstance(types, list) else (),
        parts=tuple(str(each) for each in parts) if isinstance(parts, list) else (),
    )


def _read_all(descriptor: int, deadline_s: float, cancel: CancelToken | None) -> bytes | None:
    """Everything that comes through the pipe; None when it is too slow or too much."""
    content = bytearray()
    while True:
        if cancel is not None and cancel.cancelled:
            message = "The statement was cancelled."
            raise StatementCancelled(message)
        if time.monotonic() > deadline_s or len(content) > RESULT_BYTES_MAX:
            return None
        if not select.select([descriptor], [], [], _LOOK_EVERY_S)[0]:
            continue
        piece = os.read(descriptor, 1 << 20)
        if not piece:
            return bytes(content)
        content += piece
