"""Supervised child processes: one place that starts, watches, restarts and ends them.

A child is started with `spawn` semantics (never by a bare fork: engines panic after one), says that it is ready by one line on its
standard output, and dies with its parent: it asks the kernel for a signal at the parent's death and ends at the end of its standard input.
Nothing here knows what a child does; SQL workers and model runtimes are both built on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from insjo.kernel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READY_WORD = "INSJO-READY"
"""A child prints this word and, after a space, whatever its parent needs to know (a port, for example)."""

LOG_LINES_MAX = 200
LOG_LINE_CHARS_MAX = 2000
LOGGED_LINES = 20
"""Of what a child printed last, as much goes into the log when it cannot be started."""

_LOGGER = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1


class ChildFailed(Unavailable):
    """A child process did not start, or is not running."""

    code = "CHILD_PROCESS_FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to start.

    Attributes:
        name: For thread names and messages.
        argv: Program and arguments; secrets do not belong here, since other users of the machine can read them.
        env: Whole environment of the child; None inherits ours.
        cwd: Working folder; None inherits ours.
        pass_fds: File descriptors that the child keeps.  They are closed here once it has started or failed.
        first_input: Bytes written to the child's standard input at once: the place for secrets.
        ready_timeout_s: How long the child may take to print its ready line.
        stop_timeout_s: How long it may take to end by itself before it is killed.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    pass_fds: tuple[int, ...] = ()
    first_input: bytes = b""
    ready_timeout_s: float = 30.0
    stop_timeout_s: float = 3.0


def python_child(module: str, *arguments: str) -> tuple[str, ...]:
    """Arguments that run one of our modules in a new interpreter."""
    return (sys.executable, "-m", module, *arguments)


def clean_environment() -> dict[str, str]:
    """Smallest environment in which our modules are found: no secret of the parent's goes to a child that does not need it."""
    return {
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def guard_against_orphanage(first: bytes | None = None) -> bytes:
    """End this process when its parent does; to be called first in a child.

    Args:
        first: The first line of the standard input, if the child had to read it before it may start a thread.

    Returns:
        The first line of the standard input, without its end: what the parent gave as `first_input`, if it did.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    line = read_first_input() if first is None else first
    threading.Thread(target=_end_with_standard_input, name="orphan-guard", daemon=True).start()
    return line


def read_first_input() -> bytes:
    """The line that the parent gave as `first_input`; for a child that must not start a thread yet."""
    return sys.stdin.buffer.readline().rstrip(b"\n")


def say_ready(message: str = "") -> None:
    """Tell the parent that this child is ready; to be called in the child."""
    sys.stdout.write(f"{READY_WORD} {message}\n")
    sys.stdout.flush()


def _end_with_standard_input() -> None:
    """Wait until the parent closes our standard input, then end without ceremony."""
    with contextlib.suppress(OSError, ValueError):
        while sys.stdin.buffer.read(4096):
            pass
    os._exit(0)


class Child:
    """One running child process, from its start to its end; it is not started twice.

    One thread belongs to it for its whole life, since Linux counts the *thread* that started a child as the parent at whose death
    the child is signalled.
    """

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.ready_message = ""
        self._tail: deque[str] = deque(maxlen=LOG_LINES_MAX)
        self._popen: subprocess.Popen[bytes] | None = None
        self._decided = threading.Event()
        self._ready = False
        self._ended = threading.Event()
        self._start_error: OSError | None = None
        self._thread = threading.Thread(target=self._live, name=f"child-{spec.name}", daemon=True)

    def start(self) -> str:
        """Start it and wait for its ready line.

        Returns:
            What followed the ready word.

        Raises:
            ChildFailed: It could not be started, ended, or did not get ready in time (then it is killed).
        """
        self._thread.start()
        in_time = self._decided.wait(self.spec.ready_timeout_s)
        if self._ready:
            return self.ready_message
        self.kill()
        if self._start_error is not None:
            raise ChildFailed(f"The process `{self.spec.name}` could not be started: {self._start_error.strerror}.")
        if in_time:
            raise ChildFailed(f"The process `{self.spec.name}` ended before it was ready ({describe_exit(self.exit_code)}).")
        raise ChildFailed(f"The process `{self.spec.name}` was not ready within {self.spec.ready_timeout_s:g} s.")

    @property
    def pid(self) -> int:
        """Process id; 0 when it never started."""
        return self._popen.pid if self._popen else 0

    @property
    def alive(self) -> bool:
        """Whether it has started and not ended."""
        return self._popen is not None and not self._ended.is_set()

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._popen.returncode if self._popen else None

    def tail(self) -> tuple[str, ...]:
        """The last lines that it printed, for logs and `doctor`; never for the body of an answer."""
        return tuple(self._tail)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; whether it ended in time."""
        return self._ended.wait(timeout_s)

    def stop(self) -> None:
        """Ask it to end (end of input, then SIGTERM) and kill it after the time in its specification."""
        if self._popen is None or self._ended.is_set():
            return
        with contextlib.suppress(OSError):
            if self._popen.stdin:
                self._popen.stdin.close()
        self._signal(signal.SIGTERM)
        if not self._ended.wait(self.spec.stop_timeout_s):
            self.kill()

    def kill(self) -> None:
        """Kill -9 it and everything that it started, and wait for the end."""
        if self._popen is None:
            return
        self._signal(signal.SIGKILL)
        self._ended.wait(10.0)

    def _signal(self, number: signal.Signals) -> None:
        """Signal its process group; a group that is gone already is fine."""
        if self._popen is None or self._ended.is_set():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _live(self) -> None:
        """Body of the thread: start, read what it prints, wait for the end."""
        try:
            popen = self._spawn()
        except OSError as error:
            self._start_error = error
            self._ended.set()
            self._decided.set()
            return
        finally:
            for descriptor in self.spec.pass_fds:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._popen = popen
        self._pump(popen)
        popen.wait()
        for stream in (popen.stdin, popen.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        self._ended.set()
        self._decided.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the program in a session of its own, so that Ctrl-C in a terminal reaches only the parent."""
        popen = subprocess.Popen(  # noqa: S603  # The arguments are ours; no shell reads them.
            self.spec.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if self.spec.env is None else dict(self.spec.env),
            cwd=self.spec.cwd,
            pass_fds=self.spec.pass_fds,
            start_new_session=True,
        )
        if popen.stdin is not None:
            with contextlib.suppress(OSError):
                popen.stdin.write(self.spec.first_input + b"\n")
                popen.stdin.flush()
        return popen

    def _pump(self, popen: subprocess.Popen[bytes]) -> None:
        """Read lines until the child closes its output; the ready line is taken out."""
        if popen.stdout is None:  # pragma: no cover - a pipe was asked for above.
            return
        while line := popen.stdout.readline(LOG_LINE_CHARS_MAX):
            text = line.decode("utf-8", "replace").rstrip()
            if not self._ready and text.startswith(READY_WORD):
                self.ready_message = text[len(READY_WORD) :].strip()
                self._ready = True
                self._decided.set()
            else:
                self._tail.append(text)


class ChildState(StrEnum):
    """Where a supervised child is in its life."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    READY = "READY"
    BACKING_OFF = "BACKING_OFF"


@dataclass(frozen=True, slots=True)
class BackOff:
    """Waiting time before the n-th restart in a row: doubling, capped, with jitter so that children do not start in step.

    Attributes:
        first_s: Before the first restart.
        cap_s: Never longer than this.
        stable_s: A child that lived this long has no failures on its account any more.
    """

    first_s: float = 0.05
    cap_s: float = 30.0
    stable_s: float = 20.0

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row; between half and the whole of the doubled time."""
        full = min(self.cap_s, self.first_s * 2 ** min(failures - 1, 30)) if failures > 0 else 0.0
        return full * random.SystemRandom().uniform(0.5, 1.0)


@dataclass(slots=True)
class _Account:
    """What the supervisor counts."""

    failures: int = 0
    failed_starts: int = 0
    restarts: int = 0
    last_error: str = ""
    last_tail: tuple[str, ...] = field(default_factory=tuple)


class Supervisor:
    """Keeps one child running: starts it, starts it again when it ends, waits longer each time that this fails.

    Args:
        prepare: Makes the specification of the next incarnation (new sockets, new secrets).
        back_off: How long to wait between restarts.
        on_ready: Called in the supervisor's thread with each new child once it is ready.  An error counts as a failed start.
        on_end: Called in the same thread with each child that ended, whatever the reason.
    """

    def __init__(
        self,
        prepare: Callable[[], ChildSpec],
        *,
        back_off: BackOff | None = None,
        on_ready: Callable[[Child], None] | None = None,
        on_end: Callable[[Child], None] | None = None,
    ) -> None:
        self._prepare = prepare
        self._back_off = back_off or BackOff()
        self._on_ready = on_ready
        self._on_end = on_end
        self._condition = threading.Condition()
        self._state = ChildState.STOPPED
        self._child: Child | None = None
        self._stop_asked = threading.Event()
        self._account = _Account()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> ChildState:
        """Where the child is in its life."""
        return self._state

    @property
    def child(self) -> Child | None:
        """The child that is ready now, or None."""
        with self._condition:
            return self._child if self._state is ChildState.READY else None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._account.restarts

    @property
    def failed_starts(self) -> int:
        """How many starts in a row failed; 0 once a child was ready."""
        return self._account.failed_starts

    @property
    def last_error(self) -> str:
        """Why it is not running, or ran into trouble last; empty when it never did."""
        return self._account.last_error

    def tail(self) -> tuple[str, ...]:
        """Last printed lines of the present child, or of the one before."""
        child = self._child
        return child.tail() if child else self._account.last_tail

    def start(self) -> None:
        """Begin; does not wait.  Starting twice is the same as starting once."""
        with self._condition:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stop_asked.clear()
            self._state = ChildState.STARTING
            self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
            self._thread.start()

    def wait_ready(self, timeout_s: float) -> Child:
        """The child once it is ready.

        Raises:
            ChildFailed: It is not ready in that time; the message names the last error.
        """
        with self._condition:
            ready = self._condition.wait_for(lambda: self._state in {ChildState.READY, ChildState.STOPPED}, timeout_s)
            if ready and self._child is not None and self._state is ChildState.READY:
                return self._child
        raise ChildFailed(self._account.last_error or f"The process was not ready within {timeout_s:g} s.")

    def stop(self) -> None:
        """End the child and the supervision; waits for both."""
        with self._condition:
            self._stop_asked.set()
            child, thread = self._child, self._thread
            self._condition.notify_all()
        if child is not None:
            child.stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(15.0)

    def _enter(self, state: ChildState) -> None:
        """Change the state and tell those who wait."""
        with self._condition:
            self._state = state
            self._condition.notify_all()

    def _watch(self) -> None:
        """Body of the thread: one round a child."""
        while not self._stop_asked.is_set():
            self._enter(ChildState.STARTING)
            lived_s = self._run_once()
            if self._stop_asked.is_set():
                break
            self._account.failures = 1 if lived_s >= self._back_off.stable_s else self._account.failures + 1
            self._account.restarts += 1
            self._enter(ChildState.BACKING_OFF)
            with self._condition:
                self._condition.wait_for(self._stop_asked.is_set, self._back_off.delay_s(self._account.failures))
        self._enter(ChildState.STOPPED)

    def _run_once(self) -> float:
        """Start one child and wait for its end; how long it was ready, in seconds."""
        child = None
        try:
            child = Child(self._prepare())
            with self._condition:
                self._child = child
            child.start()
            if self._on_ready is not None:
                self._on_ready(child)
        except Exception as error:  # noqa: BLE001  # Whatever fails at a start is a failed start; the supervisor must live on.
            self._account.last_error = str(error)
            self._account.failed_starts += 1
            if child is not None:
                child.kill()
                self._forget(child)
            said = "\n".join(self._account.last_tail[-LOGGED_LINES:]) if child is not None else ""
            _LOGGER.warning("%s%s", error, f"  It said:\n{said}" if said else "")
            return 0.0
        began = time.monotonic()
        self._account.failed_starts = 0
        self._enter(ChildState.READY)
        if self._stop_asked.is_set():
            child.stop()
        child.wait()
        if not self._stop_asked.is_set():
            self._account.last_error = f"The process `{child.spec.name}` ended ({describe_exit(child.exit_code)})."
            _LOGGER.warning("%s  Another one is started.", self._account.last_error)
        self._forget(child)
        return time.monotonic() - began

    def _forget(self, child: Child) -> None:
        """Let go of a child that ended."""
        self._account.last_tail = child.tail()
        with self._condition:
            self._child = None
            if self._state is ChildState.READY:
                self._state = ChildState.BACKING_OFF
        if self._on_end is not None:
            with contextlib.suppress(Exception):
                self._on_end(child)


def describe_exit(exit_code: int | None) -> str:
    """Exit code in words: `exit code 3`, `signal SIGKILL`, `still running`."""
    if exit_code is None:
        return "still running"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-exit_code).name}"
    return f"signal {-exit_code}"


def arguments_of(argv: Sequence[str]) -> dict[str, str]:
    """`--name value` pairs of a child's command line; our children take nothing else."""
    pairs = list(argv)
    return {pairs[index].removeprefix("--").replace("-", "_"): pairs[index + 1] for index in range(0, len(pairs) - 1, 2)}
