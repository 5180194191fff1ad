"""A Spark Connect server on this machine: Sail, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.stores import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_S = 60.0


@contextmanager
def sail() -> Iterator[str]:
    """The address of a running server."""
    pytest.importorskip("pysail", reason="Spark Connect: the package pysail, which plays the cluster, is not installed")
    pytest.importorskip("pyspark", reason="Spark Connect: the package pyspark-client is not installed")
    port = free_port()
    command = [sys.executable, "-m", "pysail", "spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "Sail ended by itself"
                assert time.monotonic() < deadline, "Sail does not listen"
                time.sleep(0.05)
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
