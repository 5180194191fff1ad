"""Child process that turns one file into another and writes what it found, as JSON, into the pipe that it was given.

Limits are set before the first byte is read: memory, processor time, size of what is written; no network, and no files but these two.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from insjo.adapters.tabular.limits import CPU_S_MAX, WRITTEN_BYTES_MAX, TooHeavy, Unreadable, Wrong
from insjo.kernel.lockdown import give_up_privileges
from insjo.kernel.processes import arguments_of, guard_against_orphanage, read_first_input, say_ready

CONVERTERS = {
    "excel": ("excel", "convert"),
    "avro": ("columnar", "convert_avro"),
    "orc": ("columnar", "convert_orc"),
    "text": ("plain", "convert_text"),
    "sqlite": ("plain", "convert_sqlite"),
}
"""Kind of file to the module and function that read it."""


def bound() -> None:
    """Set the limits of this process that the kernel does not set for every worker."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN_BYTES_MAX, WRITTEN_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX + 5))


def convert(order: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; what went wrong is an answer too."""
    module, function = CONVERTERS[order["kind"]]
    try:
        call = getattr(import_module(f"insjo.adapters.tabular.{module}"), function)
        found: dict[str, Any] = call(Path(order["source"]), Path(order["target"]), order["options"])
    except Unreadable as error:
        return {"error": "unreadable", "message": str(error)}
    except Wrong as error:
        return {"error": "wrong", "message": str(error)}
    except TooHeavy as error:
        return {"error": "heavy", "message": str(error)}
    except (MemoryError, RecursionError):
        return {"error": "heavy", "message": "Reading it takes too much memory."}
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return {"error": "full", "message": "The disk is full."}
        return {"error": "unreadable", "message": "It cannot be opened."}
    except Exception as error:  # noqa: BLE001  # A library that stumbles over a file is the file's fault.
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        heavy = "malloc" in str(error) or "memory" in str(error).lower()
        return {"error": "heavy" if heavy else "unreadable", "message": "Reading it takes too much memory." if heavy else "It is damaged."}
    return found


def main() -> None:
    """Body of the process."""
    first = read_first_input()
    order = json.loads(first)
    memory_bytes = int(order["memory_bytes_max"])
    give_up_privileges(writable=[Path(order["target"]).parent], readable=[Path(order["source"])], memory_bytes=memory_bytes)
    guard_against_orphanage(first)
    bound()
    arguments = arguments_of(sys.argv[1:])
    say_ready()
    answer = json.dumps(convert(order)).encode()
    with os.fdopen(int(arguments["result"]), "wb") as pipe:
        pipe.write(answer)
    os._exit(0)


if __name__ == "__main__":
    main()
