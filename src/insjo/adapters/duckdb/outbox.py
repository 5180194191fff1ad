"""Where workers write: a folder of their own each, from which the server moves finished files to where they belong.

So a worker, which runs what people write, can read the lake and change nothing in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def outbox(spill: Path, number: int) -> Path:
    """Folder in which one worker writes; it lives as long as the engine, whatever happens to the worker."""
    return spill / f"out-{number}"


def deliver(source: Path, folder: Path, paths: Iterable[str]) -> None:
    """Move files, which are durable already, to the same relative paths below a folder, durably."""
    changed = {folder} if folder.is_dir() else {folder, folder.parent}
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        changed |= {parent for parent in target.parents if folder in parent.parents}
        _move(source / path, target)
    for each in changed:
        with contextlib.suppress(OSError):  # The parent of the lake may not be ours to read.
            _flush(each, os.O_RDONLY | os.O_DIRECTORY)


def clear(*folders: Path) -> None:
    """Remove what is left of an export."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Rename, or copy where the folders lie on two disks."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)
        _flush(target, os.O_RDONLY)
        source.unlink()


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
