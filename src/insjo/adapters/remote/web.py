"""Files over HTTP and HTTPS, without following redirects (RFC 9110)."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from insjo.adapters.remote.addresses import checked_address
from insjo.ingest.errors import LocationRefused, LocationUnreachable
from insjo.ingest.types import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60.0
PIECE_BYTES = 1 << 20


class WebFiles:
    """Implements `ingest.ports.RemoteSource` for `http` and `https`; a secret is sent as a bearer token."""

    def open(self, url: str, what: str, secret: str, *, private: bool) -> Fetched:
        """See the port."""
        target = below(url, what)
        parts = urlsplit(target)
        tls = parts.scheme == "https"
        host = parts.hostname or ""
        port = parts.port or (443 if tls else 80)
        connection = _Connection(host, port, checked_address(host, port, private=private), tls=tls)
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{parts.query}" if parts.query else "")
        headers = {"accept-encoding": "identity", "user-agent": "insjo"} | ({"authorization": f"Bearer {secret}"} if secret else {})
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            message = f"The host `{host}` cannot be reached."
            raise LocationUnreachable(message) from error
        if answer.status != HTTPStatus.OK:
            connection.close()
            raise _refused(answer.status, what)
        size = answer.headers.get("content-length", "")
        return Fetched(
            unquote(parts.path.rpartition("/")[2]) or "file", _pieces(connection, answer, what), int(size) if size.isdigit() else 0
        )


def _refused(status: int, what: str) -> LocationRefused | LocationUnreachable:
    """What an answer without content means."""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        message = f"`{what}` leads to another place, and redirects are not followed."
        return LocationRefused(message, hint="Allow the place where it leads as a location of its own.")
    message = f"The location answered {status} for `{what}`."
    return LocationUnreachable(message)


def _pieces(connection: _Connection, answer: http.client.HTTPResponse, what: str) -> Iterator[bytes]:
    """The content; one that ends too early is an error."""
    with contextlib.closing(connection):
        try:
            while piece := answer.read(PIECE_BYTES):
                yield piece
            if answer.length:
                raise http.client.IncompleteRead(b"")
        except (OSError, http.client.HTTPException) as error:
            message = f"The connection broke while `{what}` was read."
            raise LocationUnreachable(message) from error


def below(url: str, what: str) -> str:
    """The address of something below a prefix.

    Raises:
        LocationRefused: It would lie elsewhere.
    """
    decoded = unquote(what)
    parts = decoded.partition("?")[0].split("/")
    if (
        not what.isprintable()
        or " " in what
        or ":" in parts[0]
        or decoded.startswith("/")
        or {"..", "."} & set(parts)
        or "\\" in decoded
        or "#" in what
    ):
        message = f"`{what[:200]}` is not a path below the location."
        raise LocationRefused(message, hint="Write it without the address, `..` and spaces (`%20`).")
    return url.rstrip("/") + "/" + what


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked, under the name that was asked for."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._address = address
        self._context = ssl.create_default_context() if tls else None

    def connect(self) -> None:
        """Connect to the address, with the certificate of the name."""
        plain = socket.create_connection((self._address, self.port), TIMEOUT_S)
        self.sock = plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self.host)
