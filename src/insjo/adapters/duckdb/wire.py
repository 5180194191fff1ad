"""Frames between the server and a SQL worker.

A frame is one byte for its kind, eight bytes for the length of the rest (little-endian), and the rest.  Both ends are ours and talk
over a socket pair that no third process can open.  Row batches are encapsulated Arrow IPC messages, so that they are read without a copy.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

REQUEST = b"Q"
"""JSON: what to do; the frames of its tables follow."""
TABLE = b"T"
"""Arrow IPC stream of one table, in the order in which the request names them."""
CANCEL = b"C"
"""JSON: number of the statement to stop."""
STARTED = b"A"
"""Empty: the worker has begun with the statement; before this frame another worker may take it."""
SCHEMA = b"S"
"""Types of the columns and the Arrow schema, see `pack_schema`."""
BATCH = b"B"
"""One Arrow record batch as an IPC message."""
PROGRESS = b"P"
"""JSON: `done`, the part of an export that is done, from 0 to 1."""
DONE = b"D"
"""JSON: the statement is finished; what it gives besides rows."""
ERROR = b"E"
"""JSON: `code` and `message` of the failure; the statement is finished."""

HEADER = struct.Struct("<cQ")
FRAME_BYTES_MAX = 8 * 1024 * 1024 * 1024
_LENGTH = struct.Struct("<Q")


class ConnectionClosed(Exception):  # Named after what happened, like our other errors.
    """The other end is gone."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    kind: bytes
    body: memoryview

    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        read: dict[str, Any] = json.loads(bytes(self.body))
        return read


def send(connection: socket.socket, kind: bytes, body: bytes | memoryview) -> None:
    """Write one frame; raises ConnectionClosed when the other end is gone."""
    try:
        connection.sendall(HEADER.pack(kind, len(body)))
        if len(body):
            connection.sendall(body)
    except (BrokenPipeError, ConnectionError, OSError) as error:
        raise ConnectionClosed from error


def send_json(connection: socket.socket, kind: bytes, body: Mapping[str, object]) -> None:
    """Write one frame with a JSON object."""
    send(connection, kind, json.dumps(body).encode())


def receive(connection: socket.socket) -> Frame:
    """Read one frame; raises ConnectionClosed at the end of the stream.

    A TimeoutError of a socket with a timeout passes through only if nothing of the frame has been read.
    """
    kind, length = HEADER.unpack(_receive_bytes(connection, HEADER.size, may_time_out=True))
    if length > FRAME_BYTES_MAX:
        raise ConnectionClosed
    return Frame(kind, _receive_bytes(connection, length))


def _receive_bytes(connection: socket.socket, length: int, *, may_time_out: bool = False) -> memoryview:
    """Exactly so many bytes."""
    whole = memoryview(bytearray(length))
    done = 0
    while done < length:
        try:
            got = connection.recv_into(whole[done:], length - done)
        except TimeoutError:
            if may_time_out and done == 0:
                raise
            continue
        except OSError as error:
            raise ConnectionClosed from error
        if got == 0:
            raise ConnectionClosed
        done += got
    return whole


def pack_schema(types: list[str], schema: bytes) -> bytes:
    """Body of a SCHEMA frame: length of the JSON, the JSON (the engine's names of the column types), the Arrow IPC schema message."""
    head = json.dumps(types).encode()
    return _LENGTH.pack(len(head)) + head + schema


def unpack_schema(body: memoryview) -> tuple[list[str], memoryview]:
    """Inverse of `pack_schema`."""
    (length,) = _LENGTH.unpack(body[: _LENGTH.size])
    end = _LENGTH.size + length
    types: list[str] = json.loads(bytes(body[_LENGTH.size : end]))
    return types, body[end:]
