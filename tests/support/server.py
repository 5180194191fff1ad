"""A real server in a process of its own, for tests that look at Insjö from outside."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

READY_WITHIN_S = 120.0
"""Generous, since the machine may be busy; nothing is timed here."""

STOP_WITHIN_S = 30.0
COMMAND_WITHIN_S = 120.0
LOG_TAIL_CHARS = 4_000
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def current_command() -> tuple[str, ...]:
    """`insjo` of the environment in which the tests run."""
    return (sys.executable, "-m", "insjo.cli.main")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of this process without settings of Insjö that would change what is tested."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INSJO_") and name != "PYTHONPATH"}
    return kept | dict(extra or {})


def wait_ready(url: str, process: subprocess.Popen[bytes] | None = None, *, within_s: float = READY_WITHIN_S) -> None:
    """Poll `GET /health` until it answers 200.

    Raises:
        RuntimeError: When the process ends before that.
        TimeoutError: When the time is up.
    """
    deadline = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            last = error
        time.sleep(0.05)
    raise TimeoutError(f"{url}/health did not answer 200 within {within_s} s: {last}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class RunningServer:
    """One `insjo serve` (or `insjo demo`) and its children.

    Attributes:
        data_dir: Its data folder; stays when the server stops.
        port: Port on 127.0.0.1; stays the same over restarts.
        command: How to call `insjo`: from the test's environment, or from one into which the wheel was installed.
        verb: `serve` or `demo`.
        flags: Further flags of the verb.
        environment: Variables set on top of the clean environment.
        tls_port: Port for HTTPS; None means none.
    """

    data_dir: Path
    port: int = field(default_factory=free_port)
    command: Sequence[str] = field(default_factory=current_command)
    verb: str = "serve"
    flags: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    tls_port: int | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the server printed, over all restarts."""
        return self.data_dir.with_name(self.data_dir.name + ".log")

    @property
    def log(self) -> str:
        """Text that the server printed so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace") if self.log_file.is_file() else ""

    def start(self, *, wait: bool = True, within_s: float = READY_WITHIN_S) -> Self:
        """Start the process; with `wait`, return when it is ready.  An error carries the end of the log."""
        if self.process is not None and self.process.poll() is None:
            raise RuntimeError("the server runs already")
        words = [*self.command, self.verb, "--data", str(self.data_dir), "--port", str(self.port), *self.flags]
        # The kernel signals when the *thread* that started the child ends, so only the main thread may ask for it.
        guard = _die_with_parent if threading.current_thread() is threading.main_thread() and sys.platform == "linux" else None
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment({"INSJO_TLS_PORT": str(self.tls_port or -1), **self.environment}),
                cwd=self.data_dir.parent,
                start_new_session=True,
                preexec_fn=guard,  # noqa: PLW1509  # The child must die with pytest, and no other thread holds a lock it needs.
            )
        if wait:
            try:
                wait_ready(self.url, self.process, within_s=within_s)
            except (RuntimeError, TimeoutError) as error:
                self.kill9()
                error.add_note(f"end of the log:\n{self.log[-LOG_TAIL_CHARS:]}")
                raise
        return self

    def stop(self, *, within_s: float = STOP_WITHIN_S) -> int:
        """End it as a person would (SIGTERM), then without mercy; returns the exit code."""
        process = self._running()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(within_s)
        return self.kill9()

    def kill9(self) -> int:
        """Kill the server without warning; what it started in its process group goes too.  Returns the exit code."""
        process = self._running()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait(STOP_WITHIN_S)

    def kill9_server_only(self) -> int:
        """Kill just the server process, so that its children have to notice by themselves.  Returns the exit code."""
        process = self._running()
        process.kill()
        return process.wait(STOP_WITHIN_S)

    def restart(self, *, kill: bool = False) -> Self:
        """Stop, or with `kill` kill, and start again on the same folder and port."""
        if kill:
            self.kill9()
        else:
            self.stop()
        return self.start()

    def insjo(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another command of `insjo`, for example `insjo("doctor", "--json")`; the data folder is not added."""
        done = subprocess.run(
            [*self.command, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_WITHIN_S,
            env=clean_environment(self.environment),
            cwd=self.data_dir.parent,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"`insjo {' '.join(words)}` ended with code {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def token(self, user: str = "admin") -> str:
        """A new personal access token of the user."""
        done = self.insjo("token", "create", "--data", str(self.data_dir), "--user", user, "--json")
        value: str = json.loads(done.stdout)["token_value"]
        return value

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise RuntimeError("the server was never started")
        return self.process

    def __enter__(self) -> Self:
        """Start if it does not run yet."""
        return self if self.process is not None else self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop; when the test failed, show the end of the log."""
        if self.process is not None:
            self.stop()
        if error is not None:
            error.add_note(f"end of the server's log:\n{self.log[-LOG_TAIL_CHARS:]}")
