"""Who runs a run: enough of a process's identity to know for sure, on the same machine, that it is dead."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

_STARTED_FIELD = 19
"""Position of the start time after the name in `/proc/<pid>/stat` (proc(5), field 22)."""


def own_identity(token: str) -> str:
    """Machine, name space of processes, process, its start and a token of this object, as one text."""
    pid = os.getpid()
    return "|".join([platform.node(), _name_space(), str(pid), _started(pid), token])


def is_dead(identity: str) -> bool:
    """Whether the process surely does not run any more; False also when that cannot be known from here."""
    parts = identity.split("|")
    if len(parts) != 5 or parts[0] != platform.node() or not parts[1] or parts[1] != _name_space():  # noqa: PLR2004  # The five parts above.
        return False
    started = _started(int(parts[2])) if parts[2].isdigit() else ""
    return started != parts[3]


def _started(pid: int) -> str:
    """When a process was started, in ticks since the machine was; empty when there is none of that number."""
    with contextlib.suppress(OSError, IndexError):
        # The name stands in brackets and may hold anything, so the fields are counted from the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[_STARTED_FIELD]
    return ""


def _name_space() -> str:
    """Name space in which process numbers count; empty where the system does not tell."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""
