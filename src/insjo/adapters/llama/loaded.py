"""One local model and its child process: load, watch, restart with back-off, unload."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from insjo.adapters.llama.gguf import ModelFileDamaged
from insjo.adapters.llama.worker import EXIT_FAILED
from insjo.gateway.errors import ModelNotLoaded
from insjo.gateway.types import Upstream
from insjo.kernel.ids import new_secret
from insjo.kernel.processes import BackOff, Child, ChildFailed, ChildSpec, clean_environment, describe_exit, python_child

if TYPE_CHECKING:
    from pathlib import Path

    from insjo.adapters.llama.files import FileMark, Headers

HEALTH_INTERVAL_S = 10.0
HEALTH_TIMEOUT_S = 10.0
HEALTH_MISSES_MAX = 3
RESTARTS_UNASKED_MAX = 3
RETRY_AFTER_S = 3
WAIT_THROUGH_S = 2.0
REAPED_WITHIN_S = 5.0


class LoadState(StrEnum):
    """Where a model is in its life."""

    STOPPED = "STOPPED"
    LOADING = "LOADING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How models are run.

    Attributes:
        threads: Threads that compute.
        context_tokens: Context of one generation.
        parallel: Generations at once.
        timeout_s: How long loading may take.
    """

    threads: int
    context_tokens: int
    parallel: int = 1
    timeout_s: float = 180.0


class LoadedModel:
    """One model's child process and its history.

    Args:
        name: Under which it is served.
        path: GGUF file.
        headers: Where to look whether the file is whole, before a process is started.
        options: How to run it.
        back_off: Time between attempts after failures.
    """

    def __init__(self, name: str, path: Path, *, headers: Headers, options: LoadOptions, back_off: BackOff) -> None:
        self.name = name
        self.path = path
        self.last_used_s = 0.0
        self.restarts = 0
        self._headers = headers
        self._options = options
        self._back_off = back_off
        self._lock = threading.Lock()
        self._state = LoadState.STOPPED
        self._reason = ""
        self._failures = 0
        self._ready_at_s = 0.0
        self._not_before_s = 0.0
        self._failed_mark: FileMark | None = None
        self._wanted = False
        self._starting: Child | None = None
        self._child: Child | None = None
        self._upstream = Upstream("")

    @property
    def state(self) -> LoadState:
        """Where it is in its life."""
        return self._state

    @property
    def reason(self) -> str:
        """Why it is not running, for people; empty while nothing is wrong."""
        return self._reason

    @property
    def pid(self) -> int:
        """Process id of its child, 0 when there is none."""
        child = self._child
        return child.pid if child is not None and child.alive else 0

    def running(self) -> Upstream | None:
        """Its address if it can be asked now, without waiting."""
        child = self._child
        if self._state is LoadState.READY and child is not None and child.alive and not _has_exited(child.pid):
            self.last_used_s = time.monotonic()
            return self._upstream
        return None

    def load(self, mark: FileMark) -> Upstream:
        """Its address, after it was loaded if it was not; blocks while it loads.

        Args:
            mark: Of the file as it is now.  A file that failed is tried again only when it has changed.

        Raises:
            ModelNotLoaded: The file is damaged, or loading failed, now or a moment ago.
        """
        with self._lock:
            upstream = self.running()
            if upstream is not None:
                return upstream
            if self._failed_mark is not None and self._failed_mark == mark:
                raise self._not_loaded()
            if self._child is not None:
                self._child.wait(REAPED_WITHIN_S)
            self._note_end()
            wait_s = self._not_before_s - time.monotonic()
            if wait_s > WAIT_THROUGH_S:
                raise self._not_loaded(retry_after_s=max(1, round(wait_s)))
            time.sleep(max(0.0, wait_s))
            return self._launch(mark)

    def unload(self) -> None:
        """End its process, also one that is just starting; the next load starts a new one."""
        self._wanted = False
        starting = self._starting
        if starting is not None:
            starting.kill()
        with self._lock:
            child, self._child = self._child, None
            self._state = LoadState.STOPPED
            self._reason = ""
        if child is not None:
            child.stop()

    def _launch(self, mark: FileMark) -> Upstream:
        """Start a child and wait until it has loaded the model; the lock is held."""
        self._state = LoadState.LOADING
        self._reason = ""
        self._wanted = True
        try:
            self._headers.of(self.path)
        except (ModelFileDamaged, OSError) as error:
            raise self._fail(str(error), mark) from error
        api_key = new_secret("local-", 24)
        child = self._starting = Child(self._spec(api_key))
        try:
            port = int(json.loads(child.start())["port"])
        except ChildFailed as error:
            if child.exit_code == EXIT_FAILED:
                raise self._fail(
                    f"llama.cpp could not load the model `{self.name}`; its file may be damaged or of an unknown kind.", mark
                ) from error
            raise self._fail(str(error), None) from error
        except (ValueError, KeyError) as error:
            child.kill()
            raise self._fail(f"The process of the model `{self.name}` did not tell its address.", None) from error
        finally:
            self._starting = None
        self._child = child
        self._upstream = Upstream(f"http://127.0.0.1:{port}/v1", api_key)
        self._state = LoadState.READY
        self.last_used_s = self._ready_at_s = time.monotonic()
        threading.Thread(target=self._watch, args=(child, port, mark), name=f"model-{self.name}", daemon=True).start()
        return self._upstream

    def _spec(self, api_key: str) -> ChildSpec:
        """What to start.  The key goes through the input: arguments can be read by everybody on the machine."""
        order = {
            "name": self.name,
            "path": str(self.path),
            "api_key": api_key,
            "context_tokens": self._options.context_tokens,
            "parallel": self._options.parallel,
            "threads": self._options.threads,
        }
        return ChildSpec(
            name=f"model {self.name}",
            argv=python_child("insjo.adapters.llama.worker"),
            # Threads that spin while they wait take the processor from everybody else on a small machine.
            env=clean_environment() | {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(self._options.threads)},
            first_input=json.dumps(order).encode(),
            ready_timeout_s=self._options.timeout_s,
        )

    def _watch(self, child: Child, port: int, mark: FileMark) -> None:
        """Body of a thread: see that the child answers, and start it again when it ended by itself."""
        misses = 0
        while not child.wait(HEALTH_INTERVAL_S):
            misses = 0 if _healthy(port) else misses + 1
            if misses >= HEALTH_MISSES_MAX:
                child.kill()
        with self._lock:
            if self._child is not child:
                return
            self._note_end()
            # A model that keeps dying is started again only when somebody asks for it.
            give_up = self._failures > RESTARTS_UNASKED_MAX
            delay_s = self._not_before_s - time.monotonic()
        if give_up:
            return
        time.sleep(max(0.0, delay_s))
        with self._lock, contextlib.suppress(ModelNotLoaded):
            if self._wanted and self._state is LoadState.STOPPED:
                self._launch(mark)

    def _note_end(self) -> None:
        """Count the end of a child that nobody asked to end; whoever sees it first does so, and the lock is held."""
        child, self._child = self._child, None
        if child is None:
            return
        self._state = LoadState.STOPPED
        self.restarts += 1
        self._failures = 1 if time.monotonic() - self._ready_at_s >= self._back_off.stable_s else self._failures + 1
        self._not_before_s = time.monotonic() + self._back_off.delay_s(self._failures)
        self._reason = f"The process of the model `{self.name}` ended ({describe_exit(child.exit_code)}) and is being started again."

    def _fail(self, reason: str, mark: FileMark | None) -> ModelNotLoaded:
        """Note a failure; a mark means that only another content of the file can help."""
        self._state = LoadState.FAILED
        self._reason = reason
        self._failures += 1
        self._failed_mark = mark
        self._not_before_s = time.monotonic() + self._back_off.delay_s(self._failures)
        return self._not_loaded()

    def _not_loaded(self, *, retry_after_s: int = RETRY_AFTER_S) -> ModelNotLoaded:
        """The error for a caller."""
        return ModelNotLoaded(self._reason or f"The model `{self.name}` is not loaded.", retry_after_s=retry_after_s)


def _has_exited(pid: int) -> bool:
    """Whether a child of ours is dead already, although the thread that waits for it may not have noticed yet."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _healthy(port: int) -> bool:
    """Whether the server answers its health question, which needs no key."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
