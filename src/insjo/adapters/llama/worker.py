"""Child process that serves one model: llama.cpp's server on a free port of the loopback address.

Its first line of input is a JSON object (`LaunchOrder`); it prints its ready line with the port, or says why it
could not load the model and ends with `EXIT_FAILED`.  It answers nobody who does not know the random key of that one incarnation.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
import urllib.parse

from insjo.kernel.processes import guard_against_orphanage, say_ready

EXIT_FAILED = 3
"""How the parent knows that loading failed: llama.cpp writes to the same output, so a line of ours may begin in the middle of its own."""
NICENESS = 5
PROMPT_CACHE_MIB = 256
HTTP_THREADS = 4
ERRORS_ONLY = 1
TEMPERATURE = 0.2
"""For callers who name none: a small model that is left to chance invents more."""


def serve(order: dict[str, object]) -> int:
    """Load the model and serve it until the parent ends; the exit code when it cannot."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(order["path"])
    params.model_alias = {str(order["name"])}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [str(order["api_key"])]
    params.n_ctx = int(str(order["context_tokens"])) * int(str(order["parallel"]))
    params.n_parallel = int(str(order["parallel"]))
    params.cpuparams.n_threads = int(str(order["threads"]))
    params.cpuparams_batch.n_threads = int(str(order["threads"]))
    params.n_threads_http = HTTP_THREADS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.sampling.temp = TEMPERATURE
    # Its pages and its list of running prompts are doors that we did not ask for; its log would hold prompts.
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.offline = True
    params.verbosity = ERRORS_ONLY
    try:
        server = xllamacpp.Server(params)
    except Exception as error:  # noqa: BLE001  # The binding raises whatever its C++ side threw.
        sys.stdout.write(f"{error}\n")
        sys.stdout.flush()
        return EXIT_FAILED
    say_ready(json.dumps({"port": urllib.parse.urlsplit(server.listening_address).port}))
    threading.Event().wait()
    return 0


def main() -> None:
    """Body of the process; it ends without the clean-up of C++ objects, which may wait for threads that hang."""
    order = json.loads(guard_against_orphanage())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    os._exit(serve(order))


if __name__ == "__main__":
    main()
