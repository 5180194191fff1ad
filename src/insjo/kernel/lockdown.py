"""What a worker that reads foreign content gives up before its first byte.

An engine has settings of its own as a first wall.  This is the second, kept by the kernel: no network, no files but the lake and
what Python itself needs, no core dumps with people's rows, a ceiling for memory.  Each step is taken where the machine allows it, and the
worker reports which were taken.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_DUMPABLE = 4

# Landlock, linux/landlock.h: system calls have these numbers on every architecture of the last years.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ = 0b1101  # Execute, read file, read directory.
_FILE_READ = 0b101
_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_RIGHTS_NEWEST = (1 << 16) - 1
_FILE_RIGHTS = 0b1100000000000111  # Those that a rule on a file, not a folder, may name: execute, write, read, truncate, ioctl.


def give_up_privileges(
    *, writable: Iterable[Path], readable: Iterable[Path] = (), memory_bytes: int, run_as: int | None = None
) -> tuple[str, ...]:
    """Take every step that the machine allows; to be called before any thread is started.

    Args:
        writable: Folders to write in, such as the lake and the spill folder; everything else becomes readable at most.
        readable: Files and folders to read besides those and what `readable_paths` names.
        memory_bytes: Ceiling of the address space, a backstop above the engine's own limit; 0 means none.
        run_as: User to become when started as root; files are then written as that user.

    Returns:
        Names of the steps taken: `user`, `no-core`, `memory`, `no-network`, `landlock`.
    """
    taken: list[str] = []
    if run_as is not None and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(run_as)
        os.setuid(run_as)
        taken.append("user")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken.append("no-core")
    if memory_bytes:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
            taken.append("memory")
    if sys.platform != "linux":
        return tuple(taken)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        taken.append("no-network")
    if _landlock(libc, tuple(writable), tuple(readable)):
        taken.append("landlock")
    return tuple(taken)


def readable_paths() -> tuple[Path, ...]:
    """What Python and the engine read besides the lake: code, shared libraries, time zones, the machine's limits."""
    code = {Path(entry) for entry in (*sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix) if entry}
    system = ("/usr", "/lib", "/lib64", "/etc/localtime", "/etc/ld.so.cache", "/proc", "/sys/fs/cgroup", "/sys/devices/system", "/dev")
    return (*sorted(code), *(Path(name) for name in system))


def _landlock(libc: ctypes.CDLL, writable: tuple[Path, ...], readable: tuple[Path, ...]) -> bool:
    """Restrict this thread, and all that it starts, to these files; whether the kernel does it."""
    version = libc.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    if version < 1:
        return False
    rights = _RIGHTS_BY_VERSION.get(version, _RIGHTS_NEWEST)
    attribute = struct.pack("<Q", rights)
    ruleset = libc.syscall(_CREATE_RULESET, attribute, len(attribute), 0)
    if ruleset < 0:
        return False
    try:
        for path in (*readable_paths(), *readable):
            _allow(libc, ruleset, path, _READ & rights)
        for path in writable:
            _allow(libc, ruleset, path, rights)
        _allow(libc, ruleset, Path("/dev/null"), _FILE_READ | 2)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    """Allow these rights on a file or beneath a folder; a path that does not exist needs no rule."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if path.is_dir() else rights & _FILE_RIGHTS
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("<Qi", allowed, descriptor), 0)
    finally:
        os.close(descriptor)
