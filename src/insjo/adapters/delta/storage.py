"""The port `TableStorage` on local folders of Delta tables."""

from __future__ import annotations

import bisect
import contextlib
import logging
import shutil
import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insjo.adapters.delta import commit as commits
from insjo.adapters.delta import feed, log, replay, unneeded
from insjo.catalog.errors import (
    ChangeRangeInvalid,
    ChangesAfterNewest,
    ChangesRemoved,
    CommitConflict,
    FilesRemoved,
    TimestampTooEarly,
    TimestampTooLate,
)
from insjo.catalog.types import HistoryEntry, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insjo.catalog.ports import Commit
    from insjo.catalog.types import ChangeFile, Column, NewFile

_LOGGER = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHECKPOINT_EVERY = 50
"""Commits between two checkpoints: a table is opened by reading one checkpoint and at most so many commits."""

_TIMELINES_MAX = 64
_PARAMETERS_MAX = 64


class DeltaStorage:
    """Delta tables on the local disk; safe for threads and for several processes on one folder."""

    def __init__(self, log_store: commits.LogStore | None = None) -> None:
        self._log_store = log_store
        self._lock = threading.Lock()
        self._timelines: OrderedDict[str, dict[int, int]] = OrderedDict()

    def snapshot(
        self,
        location: str,
        *,
        version: int | None = None,
        timestamp: datetime | None = None,
        held: Snapshot | None = None,
    ) -> Snapshot:
        """See the port."""
        if timestamp is not None:
            version = self._version_at(location, timestamp)
        state = held.state if held is not None and isinstance(held.state, replay.LogState) else None
        if state is not None and state.commit_mark != replay.commit_mark(location, state.version):
            held = state = None  # Another table lies there now, or the log was cut behind us: what we hold says nothing.
        if held is not None and state is not None:
            if version == held.version:
                return held
            if version is None:
                newest = self._newest_after(location, held.version)
                return held if newest == held.version else _snapshot(replay.advance(location, state, newest))
        found = _snapshot(replay.load(location, version, state))
        if version is not None and self._log_store is None and any(not Path(file.path).is_file() for file in found.files):
            message = f"Version {version} of the table cannot be read any more: `VACUUM` deleted data files of it."
            raise FilesRemoved(message, hint="Choose a later version.")
        return found

    def commit(self, location: str, commit: Commit) -> int:
        """See the port."""
        before: replay.LogState | None = None
        if commit.read_version < 0:
            commits.make_log_folder(location)
            if log.list_log(location).latest >= 0:
                message = "There is a table in the folder already."
                raise CommitConflict(message)
        else:
            held = commit.held.state if commit.held is not None else None
            before = held if isinstance(held, replay.LogState) and held.version == commit.read_version else None
            before = before or replay.load(location, commit.read_version)
        return commits.write(location, commit, before, self._log_store)

    def history(self, location: str, limit: int) -> list[HistoryEntry]:
        """See the port."""
        entries: list[HistoryEntry] = []
        latest = log.list_log(location).latest
        for version in range(latest, max(latest - limit, -1), -1):
            info = log.commit_info(location, version)
            if info is None:
                break
            entries.append(
                HistoryEntry(
                    version=version,
                    timestamp=_EPOCH + timedelta(milliseconds=log.commit_time_ms(location, version, info)),
                    user=str(info.get("userName") or info.get("userId") or ""),
                    operation=str(info.get("operation") or "UNKNOWN"),
                    parameters=_texts(info.get("operationParameters")),
                    metrics=_texts(info.get("operationMetrics")),
                ),
            )
        return entries

    def changes(
        self, location: str, start: int | datetime, end: int | datetime | None, newest: int, columns: Sequence[Column]
    ) -> Sequence[ChangeFile]:
        """See the port."""
        versions, times = self._timeline(location)
        first = start if isinstance(start, int) else self._version_from(location, start)
        if first > newest:
            message = f"The table has no version {first} yet; the newest is {newest}."
            raise ChangesAfterNewest(message)
        last = newest if end is None else end if isinstance(end, int) else self._version_at(location, end)
        if last < first:
            message = f"The range of changes from version {first} to {last} ends before it begins."
            raise ChangeRangeInvalid(message)
        found = feed.read(location, first, min(last, newest), dict(zip(versions, times, strict=True)), columns)
        if self._log_store is None and any(not Path(each.file.path).is_file() for each in found):
            message = f"The changes from version {first} on cannot be read any more: `VACUUM` deleted files of them."
            raise ChangesRemoved(message, hint="Begin with a later version.")
        return found

    def remove(self, location: str) -> None:
        """See the port."""
        # The log goes first: without it nobody takes what remains of a half-deleted folder for a table.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(log.log_folder(location))
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(location)
        with self._lock:
            self._timelines.pop(location, None)

    def maintain(self, location: str, version: int) -> None:
        """See the port."""
        if version == 0 or version % _CHECKPOINT_EVERY:
            return
        commits.drop_temporaries(location)
        # deltalake starts threads that do not survive a fork, so it is loaded only when it is needed, and this process never forks.
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            DeltaTable(location).create_checkpoint()
        except (DeltaError, OSError):
            # A checkpoint only makes opening faster; the table is right without it, and the next one is tried again.
            _LOGGER.warning("no checkpoint could be written for the table in %s", location, exc_info=True)

    def discard(self, location: str, files: Sequence[NewFile]) -> None:
        """See the port."""
        for file in files:
            path = Path(location) / file.path
            if ".." not in path.parts:
                with contextlib.suppress(OSError):  # An orphan harms nothing but the room it takes.
                    path.unlink()

    def vacuum(self, location: str, cutoff: datetime, *, dry_run: bool) -> list[str]:
        """See the port."""
        cutoff_ms = (cutoff - _EPOCH) // timedelta(milliseconds=1)
        versions, times = self._timeline(location)
        first = versions[max(bisect.bisect_right(times, cutoff_ms) - 1, 0)] if versions else 0
        gone = unneeded.unneeded(location, self._files_below(location), cutoff_ms, first)
        if not dry_run:
            self._delete(location, gone)
        return gone

    def _files_below(self, location: str) -> Iterable[unneeded.FoundFile]:
        """What lies in the folder of a table."""
        return unneeded.files_below(location)

    def _delete(self, location: str, paths: Sequence[str]) -> None:
        """Delete files of a table; those that are gone already are no error."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                (Path(location) / path).unlink()

    def _newest_after(self, location: str, version: int) -> int:
        """The newest version, found by asking for the next one until it is not there."""
        while log.commit_path(location, version + 1).exists():
            version += 1
        return version

    def _version_from(self, location: str, moment: datetime) -> int:
        """The first version committed at a moment or later."""
        wanted_ms = -((_EPOCH - moment) // timedelta(milliseconds=1))
        versions, times = self._timeline(location)
        if not times or wanted_ms > times[-1]:
            message = f"The moment {moment.isoformat()} lies after the newest version of the table."
            raise TimestampTooLate(message, hint=f"The newest is version {versions[-1]}." if versions else "")
        return versions[bisect.bisect_left(times, wanted_ms)]

    def _version_at(self, location: str, moment: datetime) -> int:
        """The last version committed at or before a moment, as Databricks counts: an earlier or a later moment is an error."""
        wanted_ms = (moment - _EPOCH) // timedelta(milliseconds=1)
        versions, times = self._timeline(location)
        if not versions or wanted_ms < times[0]:
            first = _EPOCH + timedelta(milliseconds=times[0]) if times else None
            message = f"The moment {moment.isoformat()} lies before the first version of the table that is kept."
            raise TimestampTooEarly(message, hint=f"The first is of {first.isoformat()}." if first else "")
        if wanted_ms > times[-1]:
            last = _EPOCH + timedelta(milliseconds=times[-1])
            message = f"The moment {moment.isoformat()} lies after the newest version of the table."
            raise TimestampTooLate(message, hint=f"The newest is version {versions[-1]} of {last.isoformat()}.")
        return versions[bisect.bisect_right(times, wanted_ms) - 1]

    def _timeline(self, location: str) -> tuple[list[int], list[int]]:
        """Versions and their moments, made strictly growing as the protocol asks when clocks of writers differ."""
        with self._lock:
            known = dict(self._timelines.get(location, {}))
        listing = log.list_log(location)
        for version in listing.commits - known.keys():
            known[version] = log.commit_time_ms(location, version, log.commit_info(location, version))
        versions = sorted(listing.commits)
        with self._lock:
            self._timelines[location] = {version: known[version] for version in versions}
            self._timelines.move_to_end(location)
            while len(self._timelines) > _TIMELINES_MAX:
                self._timelines.popitem(last=False)
        times: list[int] = []
        for version in versions:
            times.append(max(known[version], times[-1] + 1 if times else 0))
        return versions, times


def _snapshot(state: replay.LogState) -> Snapshot:
    return replay.snapshot_of(replay.look_into_files(state))


def _texts(value: Any) -> dict[str, str]:  # noqa: ANN401  # JSON of the log.
    """Parameters and metrics as texts, whatever a foreign writer put there."""
    if not isinstance(value, dict):
        return {}
    return {str(key): each if isinstance(each, str) else str(each) for key, each in list(value.items())[:_PARAMETERS_MAX]}
