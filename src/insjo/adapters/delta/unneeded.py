"""Files below a table's folder that no version within its time of keeping needs: what `VACUUM` deletes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from insjo.adapters.delta import log, replay
from insjo.catalog.errors import VersionNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHANGES_FOLDER = "_change_data"
"""Folder of the rows that the change data feed tells; all other names that begin with `_` or `.` are not for data files (protocol)."""

_FILES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below a table's folder; `path` is relative to it."""

    path: str
    modified_ms: int


def is_data(path: str) -> bool:
    """Whether a file below a table's folder is one that commits name."""
    first = path.split("/", 1)[0]
    hidden = any(part.startswith((".", "_")) and "=" not in part for part in path.split("/"))
    return first == CHANGES_FOLDER or not hidden


def files_below(location: str) -> Iterator[FoundFile]:
    """All files of a table on the local disk that may be data files; links are not followed."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(f"{location}/{folder}") as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if is_data(f"{path}/x"):
                        folders.append(f"{path}/")
                elif entry.is_file(follow_symlinks=False) and is_data(path):
                    yield FoundFile(path, entry.stat(follow_symlinks=False).st_mtime_ns // 1_000_000)


def unneeded(location: str, found: Iterable[FoundFile], cutoff_ms: int, first_version: int) -> list[str]:
    """Those of the files that are older than the moment and that no version since `first_version` names.

    Args:
        location: Folder of the table.
        found: What lies there.
        cutoff_ms: Younger files stay in any case: somebody may be about to commit them.
        first_version: The version that was the newest at that moment.
    """
    needed = _named_since(location, first_version)
    gone: list[str] = []
    for each in found:
        if each.modified_ms < cutoff_ms and each.path not in needed:
            gone.append(each.path)
            if len(gone) >= _FILES_MAX:
                break
    return sorted(gone)


def _named_since(location: str, first_version: int) -> set[str]:
    """Paths, relative to the table's folder, of all files that the versions from one on name."""
    listing = log.list_log(location)
    try:
        state = replay.load(location, first_version)
    except VersionNotFound:
        first_version = min((*listing.checkpoints, *listing.commits), default=0)
        state = replay.load(location, first_version)
    named = {_relative(file.log_path) for file in state.files.values()}
    named |= {path for file in state.files.values() if file.deletion_vector for path in _vector_paths(file.deletion_vector)}
    for version in range(first_version, listing.latest + 1):
        if version not in listing.commits:
            continue
        for action in log.read_commit(location, version):
            if action.add is not None:
                named.add(_relative(action.add.path))
                named.update(_vector_paths(action.add.deletion_vector or {}))
            if action.cdc is not None:
                named.add(_relative(action.cdc.path))
    return named


def _relative(log_path: str) -> str:
    return unquote(log_path)


def _vector_paths(vector: object) -> list[str]:
    """Files of deletion vectors; a vector in a file of its own is named by an encoded identifier."""
    if not isinstance(vector, dict) or vector.get("storageType") != "u":
        return []
    import base64
    import uuid

    text = str(vector.get("pathOrInlineDv", ""))
    prefix, encoded = text[:-20], text[-20:]
    try:
        name = uuid.UUID(bytes=base64.b85decode(encoded.translate(_Z85)))
    except ValueError:
        return []
    return [f"{prefix}/deletion_vector_{name}.bin".lstrip("/")]


_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_OF_PYTHON = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = str.maketrans(_ALPHABET, _OF_PYTHON)
"""The protocol encodes with Z85, Python with another alphabet of the same size."""
