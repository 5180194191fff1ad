"""The state of a table at one version, made by replaying its log, and the snapshot that the catalog sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from insjo.adapters.delta import features, footers, log, schema
from insjo.catalog.errors import TableDamaged, VersionNotFound
from insjo.catalog.types import Column, DataFile, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FileKey = tuple[str, str]
"""Path as in the log and identity of the deletion vector: the same file with another vector is another logical file (protocol)."""

_VECTOR_NAME_CHARS = 20
"""Length of the encoded identifier at the end of a relative path of a deletion vector (protocol)."""

_PLAIN_STATS: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_EXACT_STATS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LogState:
    """All that the log says at one version.

    Attributes:
        partial: Files of which it is not known that they have every column.
        lacking: Those among them of which it is known that they have not.
        outside: A file that lies outside the table's folder, or an empty text; such tables are not read.
        commit_mark: Identity of the commit file, to notice that the table was made anew under the same path.
    """

    version: int
    time_ms: int
    protocol: Mapping[str, Any]
    metadata: Mapping[str, Any]
    fields: tuple[schema.RawField, ...]
    columns: tuple[Column, ...]
    unknown_type: str
    files: dict[FileKey, DataFile]
    partial: frozenset[FileKey]
    lacking: frozenset[FileKey]
    vectors: int
    outside: str
    commit_mark: tuple[int, int]

    @property
    def configuration(self) -> dict[str, str]:
        """Table properties."""
        return {str(key): str(value) for key, value in (self.metadata.get("configuration") or {}).items() if value is not None}

    @property
    def partition_names(self) -> tuple[str, ...]:
        """Partition columns."""
        return tuple(str(name) for name in self.metadata.get("partitionColumns") or ())


def file_key(path: str, vector: Mapping[str, Any] | None) -> FileKey:
    """Identity of a logical file."""
    if not vector:
        return path, ""
    offset = vector.get("offset")
    identity = f"{vector.get('storageType', '')}{vector.get('pathOrInlineDv', '')}"
    return path, identity if offset is None else f"{identity}@{offset}"


def load(location: str, version: int | None, held: LogState | None = None) -> LogState:
    """The state at a version, or the newest one; starts from `held` when that is not newer.

    Raises:
        VersionNotFound: The log does not hold that version any more, or not yet.
        TableDamaged: There is no log, or a part of it is missing.
    """
    listing = log.list_log(location)
    wanted = listing.latest if version is None else version
    if listing.latest < 0:
        message = "There is no Delta table in the folder."
        raise TableDamaged(message)
    if not 0 <= wanted <= listing.latest:
        message = f"The table has no version {wanted}; the newest is {listing.latest}."
        raise VersionNotFound(message)
    if held is not None and held.version <= wanted and _all_there(listing, held.version + 1, wanted):
        return advance(location, held, wanted)
    for start in sorted((each for each in listing.checkpoints if each <= wanted), reverse=True):
        if _all_there(listing, start + 1, wanted):
            state = _build(location, start, list(log.read_checkpoint(location, listing.checkpoints[start])), None)
            return advance(location, state, wanted)
    if not _all_there(listing, 0, wanted):
        message = f"The log of the table no longer reaches back to version {wanted}."
        raise VersionNotFound(message)
    return advance(location, None, wanted)


def advance(location: str, state: LogState | None, wanted: int) -> LogState:
    """The state after all commits up to `wanted`."""
    for version in range(0 if state is None else state.version + 1, wanted + 1):
        try:
            actions = log.read_commit(location, version)
        except FileNotFoundError as error:
            message = f"The commit {version} of the table is missing."
            raise TableDamaged(message) from error
        state = _build(location, version, actions, state)
    if state is None:  # pragma: no cover - callers ask for version 0 at least.
        message = "There is no Delta table in the folder."
        raise TableDamaged(message)
    return state


def commit_mark(location: str, version: int) -> tuple[int, int]:
    """Identity of a commit file: number of its inode and time of its last change; zeros when it is gone."""
    try:
        found = log.commit_path(location, version).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def snapshot_of(state: LogState) -> Snapshot:
    """The snapshot that the catalog sees."""
    configuration = state.configuration
    # What lies outside comes first: for the other reasons the table is read by other code, and that code would follow the path.
    reason = "a data file outside the folder of the table" if state.outside else ""
    reason = reason or features.unreadable(state.protocol, configuration, state.unknown_type)
    if not reason and state.vectors:
        reason = features.DELETION_VECTORS
    unwritable = reason if reason not in {"", features.DELETION_VECTORS} else ""
    unwritable = unwritable or features.unwritable(state.protocol, configuration, state.fields)
    widened = "typeWidening" in schema.field_features(state.fields)
    return Snapshot(
        version=state.version,
        timestamp=_EPOCH + timedelta(milliseconds=state.time_ms),
        columns=state.columns,
        files=tuple(state.files.values()),
        partition_columns=state.partition_names,
        uniform=not state.partial and not widened,
        readable_as_files=not reason,
        unreadable_reason=reason,
        unwritable_reason=unwritable,
        properties=configuration,
        state=state,
    )


def _all_there(listing: log.Listing, first: int, last: int) -> bool:
    return all(version in listing.commits for version in range(first, last + 1))


def _build(location: str, version: int, actions: list[log.Action], before: LogState | None) -> LogState:
    """The state after a set of actions."""
    protocol: Mapping[str, Any] = before.protocol if before else {}
    metadata: Mapping[str, Any] = before.metadata if before else {}
    info: dict[str, Any] = {}
    schema_changed = before is None
    for action in actions:
        if action.protocol is not None:
            protocol = action.protocol
        if action.meta_data is not None:
            metadata, schema_changed = action.meta_data, True
        if action.commit_info is not None:
            info = action.commit_info
    if not protocol or not metadata:
        message = "The log of the table does not tell its schema."
        raise TableDamaged(message)
    if schema_changed or before is None:
        fields = tuple(schema.read_fields(str(metadata.get("schemaString") or "{}")))
        columns, unknown_type = schema.columns_of(fields)
    else:
        fields, columns, unknown_type = before.fields, before.columns, before.unknown_type
    if before is None or not info:
        info = log.commit_info(location, version) or info
    state = LogState(
        version=version,
        time_ms=log.commit_time_ms(location, version, info),
        protocol=protocol,
        metadata=metadata,
        fields=fields,
        columns=columns,
        unknown_type=unknown_type,
        files={},
        partial=frozenset(),
        lacking=before.lacking if before and not schema_changed else frozenset(),
        vectors=0,
        outside=before.outside if before else "",
        commit_mark=commit_mark(location, version),
    )
    return _with_files(location, state, before, actions, schema_changed=schema_changed)


def _with_files(
    location: str, state: LogState, before: LogState | None, actions: Iterable[log.Action], *, schema_changed: bool
) -> LogState:
    """The state with the files of the one before it, those that left taken out and those that came put in."""
    files = dict(before.files) if before else {}
    partial = set(before.partial) if before else set()
    outside = state.outside
    expected = _Expected(schema.leaves(state.fields, state.partition_names), footers.digest_of(state.fields, state.partition_names))
    reader = FileReader(location, state)
    adds: list[tuple[FileKey, DataFile]] = []
    for action in actions:
        if action.remove is not None:
            key = file_key(action.remove.path, action.remove.deletion_vector)
            files.pop(key, None)
            partial.discard(key)
        elif action.add is not None:
            made = reader.file_of(action.add)
            if made is None:
                outside = outside or action.add.path
                continue
            adds.append((file_key(action.add.path, action.add.deletion_vector), made))
    if schema_changed:
        partial = {key for key, file in files.items() if not _complete(file, expected)}
    for key, made in adds:
        files[key] = made
        (partial.discard if _complete(made, expected) else partial.add)(key)
    vectors = sum(1 for file in files.values() if file.deletion_vector) if _any_vector(before, adds) else 0
    return replace(state, files=files, partial=frozenset(partial), lacking=state.lacking & partial, vectors=vectors, outside=outside)


def look_into_files(state: LogState) -> LogState:
    """The state after a look into those files of which the log does not tell whether they have every column, if they are few."""
    unknown = state.partial - state.lacking
    if not unknown or len(unknown) > footers.FILES_MAX or features.mapped(state.configuration):
        return state
    whole = {key for key in unknown if footers.has_all(state.files[key].path, state.fields, state.partition_names)}
    return replace(state, partial=state.partial - whole, lacking=state.lacking | (unknown - whole))


def _any_vector(before: LogState | None, adds: list[tuple[FileKey, DataFile]]) -> bool:
    return bool(before and before.vectors) or any(file.deletion_vector for _, file in adds)


class FileReader:
    """Makes data files of add actions of one table."""

    def __init__(self, location: str, state: LogState) -> None:
        self._location = location
        by_name = {column.name: column for column in state.columns}
        self._partition_columns = [by_name[name] for name in state.partition_names if name in by_name]
        self._floats = tuple(column.name for column in state.columns if column.type_text in {"float", "double"})
        has_decimals = any(column.type_text.startswith("decimal") for column in state.columns)
        self._stats = _EXACT_STATS if has_decimals else _PLAIN_STATS

    def file_of(self, add: log.AddAction) -> DataFile | None:
        """The data file, or None when it lies outside the table's folder."""
        path = _absolute(self._location, add.path)
        if path is None or _vector_elsewhere(add.deletion_vector):
            return None
        stats = self._read_stats(add.stats)
        rows = stats.get("numRecords") if stats else None
        raw = add.partition_values or {}
        return DataFile(
            path=path,
            rows=rows if isinstance(rows, int) else None,
            size_bytes=add.size,
            partition_values=schema.partition_values(raw, self._partition_columns) if self._partition_columns else {},
            stats=stats,
            log_path=add.path,
            log_partition_values=raw,
            modified_ms=add.modification_time,
            deletion_vector=add.deletion_vector,
            tags=add.tags or {},
        )

    def _read_stats(self, text: str | None) -> dict[str, Any] | None:
        """Statistics; numbers of decimal columns keep all their digits."""
        if not text:
            return None
        try:
            stats = self._stats.decode(text)
        except msgspec.DecodeError:
            return None  # Statistics only make reading faster; without them the file is read whole.
        if not isinstance(stats, dict):
            return None
        if self._stats is _EXACT_STATS:
            for bounds in (stats.get("minValues"), stats.get("maxValues")):
                if isinstance(bounds, dict):
                    bounds.update({name: float(bounds[name]) for name in self._floats if isinstance(bounds.get(name), Decimal)})
        return stats


def _absolute(location: str, log_path: str) -> str | None:
    """Absolute path of a data file; None when it would leave the table's folder (a clone, or a log made to reach elsewhere)."""
    parts = urlsplit(log_path) if log_path.startswith("file:") else None
    decoded = unquote(parts.path if parts else log_path)
    if "://" in decoded or ".." in decoded.split("/") or "\0" in decoded:
        return None
    if decoded.startswith("/"):
        return decoded if decoded.startswith(location.rstrip("/") + "/") else None
    return str(Path(location) / decoded)


def _vector_elsewhere(vector: Mapping[str, Any] | None) -> bool:
    """Whether a deletion vector may lie in a file outside the table's folder (an absolute path, or a prefix that climbs)."""
    if not vector or vector.get("storageType") == "i":
        return False
    text = str(vector.get("pathOrInlineDv", ""))
    prefix = text[:-_VECTOR_NAME_CHARS]
    return vector.get("storageType") != "u" or (prefix != "" and not (prefix.isascii() and prefix.isalnum()))


@dataclass(frozen=True, slots=True)
class _Expected:
    """What a file that has every column has in its statistics, or in its tag."""

    leaves: Mapping[str, Any]
    digest: str


def _complete(file: DataFile, expected: _Expected) -> bool:
    """Whether the log proves that the file has every column."""
    if file.tags.get(footers.TAG) == expected.digest:
        return True
    counts = (file.stats or {}).get("nullCount")
    return isinstance(counts, dict) and _covers(counts, expected.leaves)


def _covers(counts: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    for name, parts in expected.items():
        if name not in counts:
            return False
        if parts is not None and not (isinstance(counts[name], dict) and _covers(counts[name], parts)):
            return False
    return True
