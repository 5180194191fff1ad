"""Writes one commit of a Delta table: the new log entry appears whole, or not at all.

The entry is written to a temporary file, made durable, and then linked to its name.  A link fails when the name is taken, so two
writers can never both make the same version (the "put if absent" that the Delta protocol asks of a log store).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from insjo.adapters.delta import features, footers, log, replay, schema
from insjo.catalog.errors import CommitConflict, DiskFull, FeatureUnsupported, TableDamaged
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from insjo.catalog.ports import Commit
    from insjo.catalog.types import Column, DataFile, NewFile, Snapshot

_ENGINE = "Insjo"
_SAME_ROWS = frozenset({"OPTIMIZE", "DROP COLUMNS", "RENAME COLUMN", "CHANGE COLUMN"})
"""Operations that write files again without a row coming or going (`dataChange` in the log)."""

_ATTEMPTS_MAX = 200
"""How often a blind append steps behind the commits of others before it gives up."""

_PATH_SAFE = "/=-_.~!*'()@&+$,;"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TEMPORARY_PREFIX = ".insjo-"
_TEMPORARY_AGE_S = 3600


@dataclass(frozen=True, slots=True)
class _Plan:
    """The actions of a commit that do not depend on the version it gets."""

    before: replay.LogState | None
    definition: tuple[dict[str, Any], ...]
    removes: tuple[dict[str, Any], ...]
    adds: tuple[dict[str, Any], ...]
    changes: tuple[dict[str, Any], ...] = ()

    @property
    def may_step_behind(self) -> bool:
        """Whether the commit stays right after commits that it did not see."""
        return not self.definition and not self.removes


@dataclass(frozen=True, slots=True)
class LogStore:
    """Where log entries go.

    Attributes:
        put_if_absent: Makes the entry at a path with this content, durable and whole; False when there is one.
        is_there: Whether the data file at a path is still there.
    """

    put_if_absent: Callable[[Path, bytes], bool]
    is_there: Callable[[Path], bool]


def write(location: str, commit: Commit, before: replay.LogState | None, store: LogStore | None = None) -> int:
    """Commit, and return the version; see `TableStorage.commit` for the errors.  Without a store the log lies on the local disk."""
    store = store or LogStore(put_if_absent, Path.is_file)
    plan = _plan(location, commit, before, store)
    version = commit.read_version + 1
    time_ms = max(int(time.time() * 1000), before.time_ms + 1 if before else 0)
    for _ in range(_ATTEMPTS_MAX):
        content = _encode(_lines(commit, plan, version, time_ms))
        if store.put_if_absent(log.commit_path(location, version), content):
            return version
        if not (commit.blind and plan.may_step_behind):
            break
        time_ms = max(time_ms, _step_behind(location, version) + 1)
        version += 1
    message = "Another writer changed the table while this change was computed."
    raise CommitConflict(message, hint="Run the statement again.")


def put_if_absent(path: Path, content: bytes) -> bool:
    """Make a file with this content, durable and whole; False when there is one of that name.

    Raises:
        DiskFull: No room; nothing remains.
    """
    temporary = path.parent / f"{_TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
    try:
        with _full_disk_reported():
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_log_folder(location: str) -> None:
    """The folder of a new table with its log folder; DiskFull when there is no room."""
    with _full_disk_reported():
        log.log_folder(location).mkdir(parents=True, exist_ok=True)
    sync_folder(Path(location))


def drop_temporaries(location: str) -> None:
    """Remove what killed writers left of unfinished log entries."""
    oldest = time.time() - _TEMPORARY_AGE_S
    with contextlib.suppress(OSError), os.scandir(log.log_folder(location)) as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY_PREFIX) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                Path(entry.path).unlink(missing_ok=True)


def _plan(location: str, commit: Commit, before: replay.LogState | None, store: LogStore) -> _Plan:
    """What the commit will hold; refuses what the table's features do not allow."""
    columns: Sequence[Column]
    partition_names: Sequence[str]
    if commit.restore is not None:
        adds, removes = _restored(commit.restore, before, store)
        definition = _definition_of(commit.restore, before)
        columns, partition_names = commit.restore.columns, commit.restore.partition_columns
    else:
        definition, columns, partition_names = _new_definition(commit, before)
        removes = [_remove(each) for each in commit.removes]
        adds = []
    partition_columns = [column for name in partition_names for column in columns if column.name == name]
    if commit.adds:
        fields = schema.write_fields(columns, before.fields if before else ())
        digest = footers.digest_of(fields, partition_names)
        for each in commit.adds:
            tags = {footers.TAG: digest} if footers.has_all(f"{location}/{each.path}", fields, partition_names) else {}
            adds.append(_add(location, each, partition_columns, tags, changes_rows=commit.operation not in _SAME_ROWS))
    if before is not None:
        _refuse_features(before, removes=bool(removes))
        _refuse_untold(commit, before, rewrites=bool(removes and adds))
    changes = [_told(_add(location, each, partition_columns, {}, changes_rows=False)) for each in commit.changes or ()]
    if commit.operation in _SAME_ROWS:
        removes = [{"remove": {**each["remove"], "dataChange": False}} for each in removes]
    return _Plan(before, tuple(definition), tuple(removes), tuple(adds), tuple(changes))


def _told(add: dict[str, Any]) -> dict[str, Any]:
    """The `cdc` action of a file of changes (protocol, "Add CDC File")."""
    return {"cdc": {key: value for key, value in add["add"].items() if key in {"path", "partitionValues", "size", "dataChange"}}}


def _refuse_untold(commit: Commit, before: replay.LogState, *, rewrites: bool) -> None:
    """Whoever writes rows of a table again must say which of them changed, if the table tells it to others."""
    if commit.changes is not None or commit.restore is not None or not rewrites or commit.operation in _SAME_ROWS:
        return
    if features.keeps_changes(before.configuration):
        message = f"Insjö does not run `{commit.operation}` on a table with a change data feed."
        raise FeatureUnsupported(message, hint="Switch `delta.enableChangeDataFeed` off before.")


def _refuse_features(before: replay.LogState, *, removes: bool) -> None:
    reason = replay.snapshot_of(before).unwritable_reason
    if not reason and removes:
        reason = features.removes_refused(before.configuration)
    if reason:
        message = f"Insjö does not write to this table because of {reason}."
        raise FeatureUnsupported(message, hint="Copy it with `CREATE TABLE … AS SELECT` and write to the copy.")


def _new_definition(
    commit: Commit,
    before: replay.LogState | None,
) -> tuple[list[dict[str, Any]], Sequence[Column], Sequence[str]]:
    """The `protocol` and `metaData` actions if schema, partitioning or properties change; the columns and partition columns after it."""
    if before is None:
        columns = tuple(commit.columns or ())
        partition_names = tuple(commit.partition_columns or ())
        features.refuse_reserved(columns, commit.properties or {})
        protocol = features.with_features(features.LOWEST, features.needed(columns, commit.properties or {})) or features.LOWEST
        metadata = {
            "id": new_id(),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema.schema_string(schema.write_fields(columns)),
            "partitionColumns": list(partition_names),
            "configuration": dict(commit.properties or {}),
            "createdTime": int(time.time() * 1000),
        }
        return [{"protocol": protocol}, {"metaData": metadata}], columns, partition_names
    columns = before.columns if commit.columns is None else tuple(commit.columns)
    partition_names = before.partition_names if commit.partition_columns is None else tuple(commit.partition_columns)
    if commit.columns is None and commit.partition_columns is None and commit.properties is None:
        return [], columns, partition_names
    definition: list[dict[str, Any]] = []
    configuration = before.configuration if commit.properties is None else dict(commit.properties)
    features.refuse_reserved(columns, configuration)
    higher = features.with_features(before.protocol, features.needed(columns, configuration))
    if higher is not None:
        definition.append({"protocol": higher})
    fields = before.fields if commit.columns is None else schema.write_fields(columns, before.fields)
    metadata = {
        **before.metadata,
        "schemaString": schema.schema_string(fields),
        "partitionColumns": list(partition_names),
        "configuration": configuration,
    }
    return [*definition, {"metaData": metadata}], columns, partition_names


def _definition_of(target: Snapshot, before: replay.LogState | None) -> list[dict[str, Any]]:
    """The `metaData` action that brings back an earlier definition, if it was another one; a protocol never goes back."""
    state = _state_of(target)
    if before is None or state.metadata == before.metadata:
        return []
    return [{"metaData": dict(state.metadata)}]


def _restored(target: Snapshot, before: replay.LogState | None, store: LogStore) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The actions that make the files of an earlier snapshot the files of the table again."""
    wanted, present = _state_of(target).files, before.files if before else {}
    back = [file for key, file in wanted.items() if key not in present]
    gone = [file for file in back if not store.is_there(Path(file.path))]
    if gone:
        message = f"Version {target.version} cannot be restored: {len(gone)} of its data files were removed."
        raise TableDamaged(message, hint="Choose a later version.")
    adds = [
        {
            "add": {
                "path": file.log_path,
                "partitionValues": dict(file.log_partition_values),
                "size": file.size_bytes,
                "modificationTime": file.modified_ms,
                "dataChange": True,
                **({"stats": _stats_text(file.stats)} if file.stats is not None else {}),
                **({"tags": dict(file.tags)} if file.tags else {}),
                **({"deletionVector": dict(file.deletion_vector)} if file.deletion_vector else {}),
            },
        }
        for file in back
    ]
    return adds, [_remove(file) for key, file in present.items() if key not in wanted]


def _state_of(snapshot: Snapshot) -> replay.LogState:
    if not isinstance(snapshot.state, replay.LogState):  # A snapshot of another storage; only a mistake in the code can bring it here.
        message = "not a snapshot of this storage"
        raise TypeError(message)
    return snapshot.state


def _remove(file: DataFile) -> dict[str, Any]:
    action: dict[str, Any] = {
        "path": file.log_path,
        "deletionTimestamp": int(time.time() * 1000),
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": dict(file.log_partition_values),
        "size": file.size_bytes,
    }
    if file.deletion_vector:
        action["deletionVector"] = dict(file.deletion_vector)
    return {"remove": action}


def _add(
    location: str,
    file: NewFile,
    partition_columns: Sequence[Column],
    tags: dict[str, str],
    *,
    changes_rows: bool,
) -> dict[str, Any]:
    """The `add` action of a file that must lie under the table's location, with the size that the writer told."""
    path = Path(location) / file.path
    if file.path.startswith("/") or ".." in Path(file.path).parts:
        message = f"the data file `{file.path}` lies outside the table"
        raise ValueError(message)
    try:
        found = path.stat()
    except FileNotFoundError as error:
        message = "A data file that was to be committed is not there."
        raise TableDamaged(message) from error
    if found.st_size != file.size_bytes:
        message = "A data file that was to be committed is not complete."
        raise TableDamaged(message)
    by_folded = {key.casefold(): value for key, value in file.partition_values.items()}
    values = {column.name: schema.write_partition_value(by_folded.get(column.name.casefold()), column) for column in partition_columns}
    action: dict[str, Any] = {
        "path": quote(file.path, safe=_PATH_SAFE),
        "partitionValues": values,
        "size": file.size_bytes,
        "modificationTime": found.st_mtime_ns // 1_000_000,
        "dataChange": changes_rows,
    }
    stats = dict(file.stats) if file.stats is not None else {}
    if file.rows is not None:
        stats["numRecords"] = file.rows
    if stats:
        action["stats"] = _stats_text(stats)
    if tags:
        action["tags"] = tags
    return {"add": action}


def _lines(commit: Commit, plan: _Plan, version: int, time_ms: int) -> Iterator[dict[str, Any]]:
    """The actions in the order in which they are written; what the commit says about itself comes first."""
    info: dict[str, Any] = {
        "timestamp": time_ms,
        "operation": commit.operation,
        "operationParameters": {key: str(value) for key, value in (commit.parameters or {}).items()},
        "isolationLevel": "WriteSerializable",
        "isBlindAppend": commit.blind and plan.may_step_behind,
        "operationMetrics": _metrics(plan),
        "engineInfo": _ENGINE,
        "txnId": new_id(),
    }
    if commit.user:
        info["userName"] = commit.user
    if version > 0:
        info["readVersion"] = version - 1 if commit.blind and plan.may_step_behind else commit.read_version
    if plan.before is not None and features.commits_carry_time(plan.before.configuration):
        info = {"inCommitTimestamp": time_ms, **info}
    yield {"commitInfo": info}
    yield from plan.definition
    yield from plan.removes
    yield from plan.adds
    yield from plan.changes


def _metrics(plan: _Plan) -> dict[str, str]:
    added = [each["add"] for each in plan.adds]
    rows = 0
    for each in added:
        count = msgspec.json.decode(each["stats"]).get("numRecords") if "stats" in each else None
        rows += count if isinstance(count, int) else 0
    return {
        "numFiles": str(len(added)),
        "numRemovedFiles": str(len(plan.removes)),
        "numOutputRows": str(rows),
        "numOutputBytes": str(sum(each["size"] for each in added)),
    }


def _step_behind(location: str, version: int) -> int:
    """Moment of a commit that was faster; CommitConflict when it changed what this one relies on."""
    actions = log.read_commit(location, version)
    if any(action.meta_data is not None or action.protocol is not None for action in actions):
        message = "Another writer changed the definition of the table."
        raise CommitConflict(message, hint="Run the statement again.")
    info = next((action.commit_info for action in actions if action.commit_info is not None), None)
    return log.commit_time_ms(location, version, info)


def _encode(lines: Iterator[dict[str, Any]]) -> bytes:
    return b"\n".join(msgspec.json.encode(line) for line in lines) + b"\n"


def _stats_text(stats: Mapping[str, Any]) -> str:
    """Statistics as the text that stands in `add.stats`; decimals are written as numbers (protocol, "Per-file Statistics")."""
    return _STATS.encode(stats).decode()


_STATS = msgspec.json.Encoder(decimal_format="number")


@contextlib.contextmanager
def _full_disk_reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message = "The disk that holds the tables is full; nothing was changed."
            raise DiskFull(message, hint="Make room and run the statement again.") from error
        raise
