"""The model runtime of the gateway: loads models on demand within a budget of memory, and lines callers up in front of each."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.adapters.llama.files import Headers, ModelFile, describe, discover, mark_of
from insjo.adapters.llama.line import Line
from insjo.adapters.llama.loaded import LoadedModel, LoadOptions, LoadState
from insjo.gateway.errors import ModelNotLoaded, ModelUnknown
from insjo.gateway.types import EndpointState, LocalModel, RuntimeState, Upstream
from insjo.kernel.errors import did_you_mean
from insjo.kernel.processes import BackOff

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from insjo.adapters.llama.line import Turn

WAITING_MAX = 16
PARALLEL = 1
LOADERS = 2
KEY_VALUE_BYTES = 300 * 1024 * 1024
COPIES = 2
MEMORY_SHARE = 0.6
LOADING_RETRY_AFTER_S = 3


def usable_threads(configured: int) -> int:
    """Threads of a model process: as configured, else all cores but one, which the server keeps."""
    return configured if configured > 0 else max(1, (os.cpu_count() or 2) - 1)


def memory_budget_bytes() -> int:
    """Memory that all loaded models together may use: a share of the machine's."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model as `doctor` and the page of endpoints show it.

    Attributes:
        state: MISSING, STOPPED (it loads on demand), LOADING, READY or FAILED.
        reason: One sentence for people when something is wrong.
        active: Generations that run.
        waiting: Requests in line.
        restarts: How often its process was started again.
    """

    name: str
    state: str
    reason: str
    size_bytes: int
    active: int
    waiting: int
    restarts: int


class LlamaRuntime:
    """Runs language models on this machine (implements `gateway.ports.ModelRuntime`).

    Args:
        packaged: Models that come with the product.
        folders: Folders whose GGUF files are served too; they are looked at when a name is asked for.
        threads: Threads of one model process; 0 means cores less one.
        context_tokens: Context of one generation.
        memory_bytes_max: Budget for all loaded models; 0 means a share of the machine's memory.
        parallel: Generations at once on one model.
        waiting_max: Requests that may wait for one model.
        back_off: Time between attempts after a failure.
    """

    def __init__(
        self,
        packaged: Sequence[ModelFile],
        folders: Sequence[Path] = (),
        *,
        threads: int = 0,
        context_tokens: int = 4096,
        memory_bytes_max: int = 0,
        parallel: int = PARALLEL,
        waiting_max: int = WAITING_MAX,
        back_off: BackOff | None = None,
    ) -> None:
        self._packaged = tuple(packaged)
        self._folders = tuple(folders)
        self._options = LoadOptions(threads=usable_threads(threads), context_tokens=context_tokens, parallel=parallel)
        self._memory_bytes_max = memory_bytes_max or memory_budget_bytes()
        self._waiting_max = waiting_max
        self._back_off = back_off or BackOff(first_s=0.2, cap_s=60.0)
        self._headers = Headers()
        self._loaded: dict[str, LoadedModel] = {}
        self._lines: dict[str, Line] = {}
        self._files: dict[str, ModelFile] = {each.name: each for each in packaged}
        self._lock = threading.Lock()
        self._room_lock = threading.Lock()
        self._closed = False
        self._loaders = ThreadPoolExecutor(max_workers=LOADERS, thread_name_prefix="model-loader")

    def models(self) -> tuple[LocalModel, ...]:
        """Language models that can be served here."""
        self._files = discover(self._packaged, self._folders)
        return tuple(describe(each, self._headers, self._options.context_tokens) for each in self._files.values())

    def state(self, model: str) -> RuntimeState:
        """State of one model, as the gateway sees it."""
        status = self.status(model)
        if status.state in {"MISSING", "FAILED"}:
            return RuntimeState(EndpointState.FAILED, status.reason)
        if status.state == "LOADING":
            return RuntimeState(EndpointState.LOADING, f"The model `{model}` is being loaded.", LOADING_RETRY_AFTER_S)
        line = f"{status.active} running, {status.waiting} waiting." if status.waiting else ""
        return RuntimeState(EndpointState.READY, line)

    def status(self, model: str) -> ModelStatus:
        """Everything about one model."""
        known = self._find(model)
        mark = mark_of(known.path) if known else None
        loaded = self._loaded.get(model)
        line = self._lines.get(model)
        active, waiting = (line.active, line.waiting) if line else (0, 0)
        size, restarts = (mark.size_bytes if mark else 0), (loaded.restarts if loaded else 0)
        if mark is None and (loaded is None or loaded.state is not LoadState.READY):
            return ModelStatus(model, "MISSING", _missing(model, known), 0, active, waiting, restarts)
        state, reason = (str(loaded.state), loaded.reason) if loaded else ("STOPPED", "")
        return ModelStatus(model, state, reason, size, active, waiting, restarts)

    def statuses(self) -> tuple[ModelStatus, ...]:
        """Everything about all models."""
        self._files = discover(self._packaged, self._folders)
        return tuple(self.status(name) for name in self._files)

    async def address(self, model: str) -> Upstream:
        """Where the model answers; loads it first when it is not loaded.

        Raises:
            ModelUnknown: There is no such model here.
            ModelNotLoaded: Its file is missing or damaged, it does not fit into memory, or its process does not start.
        """
        loaded = self._loaded.get(model)
        upstream = loaded.running() if loaded else None
        if upstream is not None:
            return upstream
        return await asyncio.get_running_loop().run_in_executor(self._loaders, self.load, model)

    async def admit(self, model: str, timeout_s: float | None = None) -> Turn:
        """Wait for a turn on the model; to be given back when the answer has ended, however it ended.

        Raises:
            ModelUnknown: There is no such model here.
            ModelQueueFull: Too many wait already.
            DeadlineExceeded: The time was not enough.
        """
        if self._find(model) is None:
            raise self._unknown(model)
        return await self._line(model).enter(timeout_s)

    async def unload(self, model: str) -> None:
        """End the model's process."""
        loaded = self._loaded.get(model)
        if loaded is not None:
            await asyncio.get_running_loop().run_in_executor(self._loaders, loaded.unload)

    def load(self, model: str) -> Upstream:
        """As `address`, for callers without an event loop; blocks while the model loads."""
        known = self._find(model)
        if known is None:
            raise self._unknown(model)
        mark = mark_of(known.path)
        if known.path is None or mark is None:
            raise ModelNotLoaded(_missing(model, known), hint=known.remedy)
        with self._lock:
            if self._closed:
                raise ModelNotLoaded("The server is shutting down.")
            loaded = self._loaded.get(model)
            if loaded is None or loaded.path != known.path:
                loaded = LoadedModel(model, known.path, headers=self._headers, options=self._options, back_off=self._back_off)
                self._loaded[model] = loaded
        upstream = loaded.running()
        if upstream is not None:
            return upstream
        with self._room_lock:
            self._make_room(loaded, mark.size_bytes)
            return loaded.load(mark)

    def pid(self, model: str) -> int:
        """Process id of a loaded model, 0 when it is not loaded; for `doctor` and for tests."""
        loaded = self._loaded.get(model)
        return loaded.pid if loaded else 0

    def close(self) -> None:
        """End all model processes."""
        with self._lock:
            self._closed = True
            all_loaded = list(self._loaded.values())
        for each in all_loaded:
            each.unload()
        self._loaders.shutdown(wait=False, cancel_futures=True)

    def _find(self, model: str) -> ModelFile | None:
        """The model's file entry; the folders are read again when the name is new."""
        if model not in self._files:
            self._files = discover(self._packaged, self._folders)
        return self._files.get(model)

    def _unknown(self, model: str) -> ModelUnknown:
        """The error for a name that this machine does not have."""
        return ModelUnknown(f"There is no local model `{model}`.", hint=did_you_mean(model, self._files))

    def _line(self, model: str) -> Line:
        """The line in front of a model."""
        with self._lock:
            if model not in self._lines:
                self._lines[model] = Line(model, width=self._options.parallel, waiting_max=self._waiting_max)
            return self._lines[model]

    def _make_room(self, wanted: LoadedModel, size_bytes: int) -> None:
        """Unload idle models, the longest unused first, until the wanted one fits."""
        need = needed_bytes(size_bytes)
        if need > self._memory_bytes_max:
            raise ModelNotLoaded(
                f"The model `{wanted.name}` needs about {_gib(need)}, and {_gib(self._memory_bytes_max)} are set aside for models.",
                hint="Serve a smaller model, or give models more memory.",
            )
        others = [each for each in self._loaded.values() if each is not wanted and each.state is LoadState.READY]
        sizes = {each.name: needed_bytes(mark.size_bytes) for each in others if (mark := mark_of(each.path))}
        for each in sorted(others, key=lambda other: other.last_used_s):
            if need + sum(sizes.values()) <= self._memory_bytes_max:
                return
            line = self._lines.get(each.name)
            if line is None or line.active + line.waiting == 0:
                each.unload()
                sizes.pop(each.name, None)
        if need + sum(sizes.values()) > self._memory_bytes_max:
            raise ModelNotLoaded(f"There is no room for the model `{wanted.name}` while other models are answering.")


def needed_bytes(file_bytes: int) -> int:
    """Memory that a loaded model takes: llama.cpp keeps a repacked copy of the weights, and there is the cache of keys and values."""
    return COPIES * file_bytes + KEY_VALUE_BYTES


def _gib(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1024**3:.1f} GiB"


def _missing(name: str, known: ModelFile | None) -> str:
    """Why there is nothing to load."""
    if known is None:
        return f"There is no local model `{name}`."
    return f"The file of the model `{name}` is not on this machine. {known.remedy}"
