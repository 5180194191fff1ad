"""Vectors that were computed before, on disk: passages that did not change are not embedded again.

A file of fixed slots for each length of vectors, so that its size has a limit and nothing of it is held in memory.  A slot is found by
a keyed hash of the text, of the model, of who asked and of the label, so that nobody finds out by the time of an answer what others
embedded, and a label that was raised is never gone around.  Neither texts nor names are written.  A slot that was half written when the
machine stopped fails its checksum and counts as empty; the whole folder can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from insjo.access.types import Label
    from insjo.gateway.service.snapshot import Candidate
    from insjo.kernel.context import RequestContext

WAYS: Final = 4
"""Slots in which a vector may lie; a new one takes the place of the oldest of them."""

_KEY_BYTES = 16
_CHECK_BYTES = 8
_HEAD = struct.Struct("<16s8sQ")
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class VectorScope:
    """For whom and by which model: vectors of one scope are never found from another.

    Attributes:
        prefix: Hash of everything but the text.
        dimensions: Length of the vectors; 0 while it is not known.
        age_s_max: How old a vector may be; None means any age.
    """

    prefix: bytes
    dimensions: int
    age_s_max: float | None


class VectorCache:
    """Keeps vectors in a folder of its own; safe from several threads."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._secret = b""
        self._maps: dict[int, mmap.mmap] = {}
        self._lengths: dict[bytes, int] = {}

    def scope(self, ctx: RequestContext, candidate: Candidate, label: Label, kind: str, age_s_max: float | None = None) -> VectorScope:
        """The scope of a request."""
        served = candidate.served
        parts = (ctx.principal.id, candidate.endpoint, served.kind.value, served.model, served.base_url, label.text(), kind)
        prefix = hashlib.blake2b("\0".join(parts).encode(), digest_size=32).digest()
        return VectorScope(prefix, served.profile.dimensions or self._lengths.get(prefix, 0), age_s_max)

    def find(self, scope: VectorScope, texts: Sequence[str]) -> list[bytes | None]:
        """The vector of each text, or None."""
        if not scope.dimensions:
            return [None] * len(texts)
        with self._lock:
            slots = self._open(scope.dimensions)
            return [self._find(slots, scope, self._key(scope, text)) for text in texts]

    def put(self, scope: VectorScope, texts: Sequence[str], vectors: Sequence[bytes]) -> None:
        """Keep vectors."""
        if not vectors:
            return
        dimensions = len(vectors[0]) // _FLOAT_BYTES
        with self._lock:
            if len(self._lengths) > 10_000:  # noqa: PLR2004  # Scopes whose models do not tell the length of their vectors.
                self._lengths.clear()
            self._lengths[scope.prefix] = dimensions
            slots = self._open(dimensions)
            for text, vector in zip(texts, vectors, strict=True):
                self._put(slots, self._key(scope, text), vector)

    def close(self) -> None:
        """Write what the system holds back, and close the files."""
        with self._lock:
            for each in self._maps.values():
                each.close()
            self._maps.clear()

    # ------------------------------------------------------------------------------------------------------------ slots

    def _key(self, scope: VectorScope, text: str) -> bytes:
        hashed = hashlib.blake2b(scope.prefix, key=self._secret, digest_size=_KEY_BYTES)
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.digest()

    def _find(self, slots: mmap.mmap, scope: VectorScope, key: bytes) -> bytes | None:
        size = scope.dimensions * _FLOAT_BYTES
        for begin in _places(slots, key, size):
            held, check, at_s = _HEAD.unpack_from(slots, begin)
            if held != key:
                continue
            vector = slots[begin + _HEAD.size : begin + _HEAD.size + size]
            fresh = scope.age_s_max is None or time.time() - at_s <= scope.age_s_max
            return vector if fresh and check == _check(key, at_s, vector) else None
        return None

    def _put(self, slots: mmap.mmap, key: bytes, vector: bytes) -> None:
        oldest, oldest_s = -1, 0
        for begin in _places(slots, key, len(vector)):
            held, _, at_s = _HEAD.unpack_from(slots, begin)
            if held == key:
                oldest = begin
                break
            if oldest < 0 or at_s < oldest_s:
                oldest, oldest_s = begin, at_s
        now_s = int(time.time())
        slots[oldest : oldest + _HEAD.size + len(vector)] = _HEAD.pack(key, _check(key, now_s, vector), now_s) + vector

    def _open(self, dimensions: int) -> mmap.mmap:
        """The slots for vectors of this length; the file is sparse, and grows as it fills."""
        opened = self._maps.get(dimensions)
        if opened is not None:
            return opened
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._secret = self._secret or _secret(self._folder / "key")
        slot = _HEAD.size + dimensions * _FLOAT_BYTES
        sets = max(1, self._bytes_max // (slot * WAYS))
        descriptor = os.open(self._folder / f"vectors-{dimensions}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size != sets * WAYS * slot:
                os.ftruncate(descriptor, 0)  # Another limit than before means other places.
                os.ftruncate(descriptor, sets * WAYS * slot)
            opened = self._maps[dimensions] = mmap.mmap(descriptor, sets * WAYS * slot)
        finally:
            os.close(descriptor)
        return opened


def _places(slots: mmap.mmap, key: bytes, size: int) -> range:
    """Where the slots of a key begin."""
    slot = _HEAD.size + size
    first = int.from_bytes(key[:8], "little") % (len(slots) // (slot * WAYS)) * slot * WAYS
    return range(first, first + slot * WAYS, slot)


def _check(key: bytes, at_s: int, vector: bytes) -> bytes:
    hashed = hashlib.blake2b(vector, key=key, digest_size=_CHECK_BYTES)
    hashed.update(at_s.to_bytes(8, "little"))
    return hashed.digest()


def _secret(path: Path) -> bytes:
    """The key of the hashes, made at first use."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()
