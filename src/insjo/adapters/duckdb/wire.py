"""Frames between the server and a SQL worker.

A frame is one byte for its kind, eight bytes for the length of the rest (little-endian), and the rest.  Both ends are ours and talk
over a socket pair that no third process can open.  Row batches are encapsulated Arrow IPC messages, so that they are read without a copy.
"""

from __future__ import annotations

import contextlib
import json
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

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
BUFFER_BYTES = 16 * 1024
TOGETHER_BYTES_MAX = 32 * 1024
"""Frames are held back until so much waits ..."""

TOGETHER_S_MAX = 0.02
"""... or, when a later frame comes, until one has waited so long."""

PARTS_MAX = 512
"""Buffers that the system takes in one call; it has a limit."""

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
    _write(connection, [HEADER.pack(kind, len(body)), body])


def send_json(connection: socket.socket, kind: bytes, body: Mapping[str, object]) -> None:
    """Write one frame with a JSON object, in which data classes are objects too."""
    send(connection, kind, msgspec.json.encode(body))


class Writer:
    """Writes frames, small ones that follow each other at once together: each write wakes the other end."""

    def __init__(self, connection: socket.socket) -> None:
        """Over a connection that this end alone writes to."""
        self._connection = connection
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0
        self._since_s = 0.0

    def put(self, kind: bytes, body: bytes | memoryview) -> None:
        """Write a frame now, or with the next one when it is small and none waits for long."""
        now_s = time.monotonic()
        if not self._waiting:
            self._since_s = now_s
        self._waiting += [HEADER.pack(kind, len(body)), body]
        self._waiting_bytes += len(body)
        if self._waiting_bytes > TOGETHER_BYTES_MAX or now_s - self._since_s > TOGETHER_S_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what waits; raises ConnectionClosed when the other end is gone."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting:
            _write(self._connection, waiting)


def _write(connection: socket.socket, parts: Sequence[bytes | memoryview]) -> None:
    """Write all parts in as few calls as the system takes."""
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    try:
        while views:
            sent = connection.sendmsg(views[:PARTS_MAX])
            while views and sent >= len(views[0]):
                sent -= len(views.pop(0))
            if sent:
                views[0] = views[0][sent:]
    except OSError as error:
        raise ConnectionClosed from error


class Reader:
    """Reads frames; several small ones that came together take one call."""

    def __init__(self, connection: socket.socket) -> None:
        """Over a connection from which nobody else reads."""
        self._connection = connection
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._start = self._end = 0

    def receive(self) -> Frame:
        """The next frame; raises ConnectionClosed at the end of the stream.

        A TimeoutError of a socket with a timeout passes through between two frames only; nothing of what came is lost.
        """
        while self._end - self._start < HEADER.size:
            self._fill()
        kind, length = HEADER.unpack(self._buffer[self._start : self._start + HEADER.size])
        if length > FRAME_BYTES_MAX:
            raise ConnectionClosed
        self._start += HEADER.size
        return Frame(kind, self._body(length))

    def _fill(self) -> None:
        """Read what is there into the buffer."""
        if self._start == self._end:
            self._start = self._end = 0
        elif len(self._buffer) - self._start < HEADER.size:
            rest = bytes(self._buffer[self._start : self._end])
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        self._end += self._read_into(self._buffer[self._end :])

    def _body(self, length: int) -> memoryview:
        """Exactly so many bytes: what the buffer holds of them, and the rest straight from the connection."""
        held = min(length, self._end - self._start)
        begun = self._buffer[self._start : self._start + held]
        self._start += held
        if held == length:
            return memoryview(bytes(begun))
        whole = memoryview(bytearray(length))
        whole[:held] = begun
        done = held
        while done < length:
            with contextlib.suppress(TimeoutError):
                done += self._read_into(whole[done:])
        return whole

    def _read_into(self, place: memoryview) -> int:
        """One read; at least one byte."""
        try:
            got = self._connection.recv_into(place)
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionClosed from error
        if got == 0:
            raise ConnectionClosed
        return got


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
