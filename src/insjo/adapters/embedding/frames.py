"""The wire between the provider and its child: frames of bytes with their length before them, over a Unix socket pair.

A question is JSON (`kind`, `texts`), an answer starts with one byte (0 right, 1 wrong) and continues with the number of tokens and the
vectors as little-endian float32, or with a sentence.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

LENGTH = struct.Struct("<I")
RIGHT = 0
WRONG = 1
FRAME_BYTES_MAX = 64 * 1024 * 1024


def send_frame(connection: socket.socket, content: bytes) -> None:
    """Send one frame."""
    connection.sendall(LENGTH.pack(len(content)) + content)


def receive_frame(connection: socket.socket) -> bytes:
    """The next frame; ConnectionError when the other side is gone or talks nonsense."""
    (length,) = LENGTH.unpack(_receive(connection, LENGTH.size))
    if length > FRAME_BYTES_MAX:
        message = "a frame is too long"
        raise ConnectionError(message)
    return _receive(connection, length)


def _receive(connection: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    content = bytearray()
    while len(content) < count:
        piece = connection.recv(min(count - len(content), 1 << 20))
        if not piece:
            message = "the other side is gone"
            raise ConnectionError(message)
        content += piece
    return bytes(content)
