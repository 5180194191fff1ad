"""The log folder of a Delta table: which files are there, and the actions that one of them holds.

Source: the Delta transaction log protocol, sections "Delta Log Entries", "Checkpoints" and "Sidecar Files".
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from insjo.catalog.errors import TableDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOG_FOLDER = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CLASSIC = re.compile(r"(\d{20})\.checkpoint\.parquet")
_PARTS = re.compile(r"(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet")
_V2 = re.compile(r"(\d{20})\.checkpoint\.[0-9a-fA-F-]{36}\.(json|parquet)")
_ADD_FIELDS = ("path", "partitionValues", "size", "modificationTime", "stats", "deletionVector", "tags")


class AddAction(msgspec.Struct, rename="camel"):
    """`add`: a data file joins the table."""

    path: str
    size: int = 0
    modification_time: int = 0
    partition_values: dict[str, str | None] | None = None
    stats: str | None = None
    tags: dict[str, str | None] | None = None
    deletion_vector: dict[str, Any] | None = None
    data_change: bool = True


class RemoveAction(msgspec.Struct, rename="camel"):
    """`remove`: a data file leaves the table."""

    path: str
    size: int = 0
    partition_values: dict[str, str | None] | None = None
    deletion_vector: dict[str, Any] | None = None
    data_change: bool = True


class ChangeAction(msgspec.Struct, rename="camel"):
    """`cdc`: a file with the rows that a commit changed."""

    path: str
    size: int = 0
    partition_values: dict[str, str | None] | None = None


class SidecarAction(msgspec.Struct):
    """`sidecar`: more actions lie in another file."""

    path: str


class Action(msgspec.Struct, rename="camel"):
    """One line of a commit; kinds that say nothing about the rows are left out."""

    add: AddAction | None = None
    remove: RemoveAction | None = None
    cdc: ChangeAction | None = None
    meta_data: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None
    commit_info: dict[str, Any] | None = None
    sidecar: SidecarAction | None = None


_LINE = msgspec.json.Decoder(Action)


@dataclass(frozen=True, slots=True)
class Listing:
    """Versions that the log folder holds.

    Attributes:
        commits: Versions whose commit file is there.
        checkpoints: Version to the files of one complete checkpoint.
    """

    commits: frozenset[int]
    checkpoints: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def latest(self) -> int:
        """The newest version, or -1."""
        return max(max(self.commits, default=-1), max(self.checkpoints, default=-1))


def log_folder(location: str) -> Path:
    """The log folder of the table at a location."""
    return Path(location) / LOG_FOLDER


def commit_path(location: str, version: int) -> Path:
    """The file of one commit."""
    return log_folder(location) / f"{version:020d}.json"


def list_log(location: str) -> Listing:
    """What the log folder holds; an empty listing when there is none."""
    commits: set[int] = set()
    whole: dict[int, tuple[str, ...]] = {}
    parts: dict[tuple[int, int], set[int]] = defaultdict(set)
    try:
        with os.scandir(log_folder(location)) as entries:
            names = sorted(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return Listing(frozenset())
    for name in names:
        if match := _COMMIT.fullmatch(name):
            commits.add(int(match.group(1)))
        elif match := _CLASSIC.fullmatch(name) or _V2.fullmatch(name):
            whole[int(match.group(1))] = (name,)
        elif match := _PARTS.fullmatch(name):
            parts[int(match.group(1)), int(match.group(3))].add(int(match.group(2)))
    for (version, count), present in parts.items():
        if len(present) == count and version not in whole:
            whole[version] = tuple(f"{version:020d}.checkpoint.{part:010d}.{count:010d}.parquet" for part in sorted(present))
    return Listing(frozenset(commits), whole)


def read_commit(location: str, version: int) -> list[Action]:
    """Actions of one commit; raises FileNotFoundError when it is not there and TableDamaged when it cannot be read."""
    return _decode_lines(commit_path(location, version))


def read_checkpoint(location: str, names: Sequence[str]) -> Iterator[Action]:
    """Actions of one checkpoint, with those in its sidecar files."""
    folder = log_folder(location)
    for name in names:
        path = folder / name
        for action in _decode_lines(path) if name.endswith(".json") else _read_parquet(path):
            if action.sidecar is not None:
                yield from _read_parquet(folder / "_sidecars" / Path(action.sidecar.path).name)
            else:
                yield action


def commit_info(location: str, version: int) -> dict[str, Any] | None:
    """What a commit says about itself; an empty dict when it says nothing, None when it is not there any more."""
    path = commit_path(location, version)
    try:
        with path.open("rb") as file:
            for line in file:
                if b'"commitInfo"' in line[:64]:
                    return _LINE.decode(line).commit_info or {}
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise _damaged(path) from error
    return {}


def commit_time_ms(location: str, version: int, info: dict[str, Any] | None) -> int:
    """Moment of a commit in milliseconds since 1970: as the commit says, else when its file was written."""
    for key in ("inCommitTimestamp", "timestamp"):
        moment = (info or {}).get(key)
        if isinstance(moment, int | float) and moment > 0:
            return int(moment)
    try:
        return commit_path(location, version).stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return 0


def _decode_lines(path: Path) -> list[Action]:
    content = path.read_bytes()
    try:
        return [_LINE.decode(line) for line in content.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        raise _damaged(path) from error


def _read_parquet(path: Path) -> Iterator[Action]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        wanted: list[str] = []
        for name in schema.names:
            if name == "add":
                wanted.extend(f"add.{part.name}" for part in schema.field("add").type if part.name in _ADD_FIELDS)
            elif name in {"metaData", "protocol", "sidecar"}:
                wanted.append(name)
        for batch in file.iter_batches(columns=wanted):
            for row in batch.to_pylist(maps_as_pydicts="lossy"):
                for kind, value in row.items():
                    if value is not None:
                        yield _convert(kind, value)
    except FileNotFoundError as error:
        raise _damaged(path) from error
    except (pa.ArrowException, msgspec.ValidationError, OSError) as error:
        raise _damaged(path) from error


def _convert(kind: str, value: dict[str, Any]) -> Action:
    """One row of a checkpoint; structs of Parquet have every part, so parts without value are taken out."""
    present = {key: part for key, part in value.items() if part is not None}
    if kind == "add":
        return Action(add=msgspec.convert(present, AddAction))
    if kind == "sidecar":
        return Action(sidecar=SidecarAction(path=str(present["path"])))
    if kind == "protocol":
        return Action(protocol=present)
    if isinstance(present.get("format"), dict):
        present["format"] = {key: part for key, part in present["format"].items() if part is not None}
    return Action(meta_data=present)


def _damaged(path: Path) -> TableDamaged:
    message = f"The log entry `{path.name}` of the table is missing or cannot be read."
    return TableDamaged(message, hint="Restore the table's folder from a backup.")
