"""The parser of documents: one bounded child process a document."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
import time

from insjo.adapters.documents.limits import TIME_MAX_S
from insjo.kernel.processes import Child, ChildFailed, ChildSpec, clean_environment, python_child
from insjo.retrieval.errors import DocumentEmpty, DocumentTooHeavy, DocumentUnreadable, DocumentUnsupported, ParserLost
from insjo.retrieval.types import Block, BlockKind, ParsedDocument

SUFFIXES = frozenset({".pdf", ".docx", ".html", ".htm", ".xhtml", ".md", ".markdown", ".txt", ".text"})
"""As in the worker, which is not imported here: it loads the readers."""

RESULT_BYTES_MAX = 128 * 1024 * 1024
AT_ONCE = 2
STARTED_WITHIN_S = 60.0
ENDED_WITHIN_S = 5.0
_ERRORS = {"unreadable": DocumentUnreadable, "empty": DocumentEmpty, "heavy": DocumentTooHeavy}


class BoundedParser:
    """Reads documents in child processes with limits (implements `retrieval.ports.DocumentParser`).

    Args:
        time_max_s: How long one document may take.
        at_once: How many are read at the same time.
    """

    def __init__(self, *, time_max_s: float = TIME_MAX_S, at_once: int = AT_ONCE) -> None:
        self._time_max_s = time_max_s
        self._slots = threading.BoundedSemaphore(at_once)

    def suffixes(self) -> frozenset[str]:
        """Ends of file names that can be read."""
        return SUFFIXES

    def parse(self, local_path: str, name: str) -> ParsedDocument:
        """Read one document."""
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # A name, no path of this machine.
        if suffix not in SUFFIXES:
            raise DocumentUnsupported(
                f"`{name}` cannot be read: documents of the kind `{suffix or 'without an end'}` are not supported.",
                hint="Use PDF, DOCX, HTML, Markdown or plain text.",
            )
        with self._slots:
            reply = self._ask(local_path, suffix, name)
        error = _ERRORS.get(str(reply.get("error", "")))
        if error is not None:
            raise error(f"`{name}` cannot be read. {reply['message']}")
        blocks = reply.get("blocks")
        if not isinstance(blocks, list):
            raise DocumentUnreadable(f"`{name}` cannot be read.")
        return ParsedDocument(
            title=str(reply.get("title", "")),
            blocks=tuple(Block(BlockKind(kind), str(text), int(level), int(page)) for kind, text, level, page in blocks),
            pages=int(str(reply.get("pages", 0))),
        )

    def _ask(self, local_path: str, suffix: str, name: str) -> dict[str, object]:
        """What the child said."""
        ours, theirs = os.pipe()
        child = Child(
            ChildSpec(
                name="document parser",
                argv=python_child("insjo.adapters.documents.worker", "--suffix", suffix, "--result", str(theirs)),
                env=clean_environment() | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=(theirs,),
                first_input=os.fsencode(local_path),
                ready_timeout_s=STARTED_WITHIN_S,
            )
        )
        content = None
        try:
            try:
                child.start()
            except ChildFailed as error:
                raise ParserLost("The process that reads documents could not be started.", hint="Try again in a moment.") from error
            content = _read_all(ours, time.monotonic() + self._time_max_s)
        finally:
            os.close(ours)
            # Whoever has said everything ends at once; whoever has not gets no more time.
            if not child.wait(0 if content is None else ENDED_WITHIN_S):
                child.kill()
        if content is None:
            raise DocumentTooHeavy(f"`{name}` cannot be read: it took longer than {self._time_max_s:g} s, or holds too much text.")
        if not content:
            if child.exit_code in {-signal.SIGXCPU, -signal.SIGKILL}:
                raise DocumentTooHeavy(f"`{name}` cannot be read: it takes too much time or memory.")
            raise DocumentUnreadable(f"`{name}` cannot be read: it breaks the program that reads it.")
        reply = json.loads(content)
        return reply if isinstance(reply, dict) else {}


def _read_all(descriptor: int, deadline_s: float) -> bytes | None:
    """Everything that comes through the pipe; None when it is too slow or too much."""
    content = bytearray()
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
            return None
        piece = os.read(descriptor, 1 << 20)
        if not piece:
            return bytes(content)
        content += piece
        if len(content) > RESULT_BYTES_MAX:
            return None
