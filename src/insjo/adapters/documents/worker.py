"""Child process that reads one document and writes what it found, as JSON, into the pipe that it was given.

Limits are set before the first byte is read: memory, processor time, no file written, no core.  Nothing that the document does can
reach beyond this process.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.adapters.documents import markdown, pdf, text, web_page, word
from insjo.adapters.documents.limits import (
    BLOCKS_MAX,
    FILE_BYTES_MAX,
    MEMORY_BYTES_MAX,
    TEXT_CHARS_MAX,
    TIME_MAX_S,
    Empty,
    TooHeavy,
    Unreadable,
)
from insjo.kernel.processes import arguments_of, guard_against_orphanage, say_ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.retrieval.types import ParsedDocument

READERS: dict[str, Callable[[bytes], ParsedDocument]] = {
    ".pdf": pdf.parse,
    ".docx": word.parse,
    ".html": web_page.parse,
    ".htm": web_page.parse,
    ".xhtml": web_page.parse,
    ".md": markdown.parse,
    ".markdown": markdown.parse,
    ".txt": text.parse,
    ".text": text.parse,
}


def bound() -> None:
    """Set the limits of this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_MAX_S, TIME_MAX_S + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


def read(path: Path, suffix: str) -> dict[str, object]:
    """What the document holds, or what is wrong with it, as JSON values."""
    try:
        return _read(path, suffix)
    except Unreadable as error:
        return _wrong("unreadable", str(error))
    except Empty as error:
        return _wrong("empty", str(error))
    except TooHeavy as error:
        return _wrong("heavy", str(error))
    except (MemoryError, RecursionError):
        return _wrong("heavy", "Reading it takes too much memory.")
    except OSError as error:
        return _wrong("unreadable", f"It cannot be opened: {error.strerror}.")
    except Exception as error:  # noqa: BLE001  # A library that stumbles over a document is the document's fault.
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return _wrong("unreadable", "It is damaged.")


def _read(path: Path, suffix: str) -> dict[str, object]:
    """What the document holds; raises what the readers raise."""
    size = path.stat().st_size
    if size > FILE_BYTES_MAX:
        raise TooHeavy(f"It has {size // 1024**2} MiB, and {FILE_BYTES_MAX // 1024**2} MiB are read at most.")
    document = READERS[suffix](path.read_bytes())
    if len(document.blocks) > BLOCKS_MAX or sum(len(block.text) for block in document.blocks) > TEXT_CHARS_MAX:
        raise TooHeavy(f"It holds more text than the {TEXT_CHARS_MAX // 10**6} million characters that are read at most.")
    if not any(block.text.strip() for block in document.blocks):
        raise Empty("It holds no text.")
    blocks = [[block.kind.value, _clean(block.text), block.level, block.page] for block in document.blocks]
    return {"title": _clean(document.title)[:500], "pages": document.pages, "blocks": blocks}


def _clean(value: str) -> str:
    """Text without halves of characters, which JSON and every database refuse."""
    return value.encode("utf-8", "replace").decode()


def _wrong(kind: str, message: str) -> dict[str, object]:
    """An error for the parent."""
    return {"error": kind, "message": message}


def main() -> None:
    """Body of the process."""
    path = Path(os.fsdecode(guard_against_orphanage()))
    bound()
    arguments = arguments_of(sys.argv[1:])
    say_ready()
    result = json.dumps(read(path, arguments["suffix"])).encode()
    with os.fdopen(int(arguments["result"]), "wb") as pipe:
        pipe.write(result)
    os._exit(0)


if __name__ == "__main__":
    main()
