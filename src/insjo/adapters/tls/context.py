"""The context with which the server listens."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def server_context(path: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer with the key and certificate of one file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    reload(context, path)
    return context


def reload(context: ssl.SSLContext, path: Path) -> None:
    """Use another certificate for the connections that follow; those that are open stay as they are."""
    context.load_cert_chain(path)
