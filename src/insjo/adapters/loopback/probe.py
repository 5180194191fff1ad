"""Tells whether a port can be listened on."""

from __future__ import annotations

import socket


def why_not(host: str, port: int) -> str:
    """Why nobody could listen there now; empty when the port is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""
