"""Frames between the server and a worker arrive whole and in order, however the system cuts them."""

from __future__ import annotations

import socket
import threading

import pytest

from insjo.adapters.duckdb import wire

SIZES = (0, 1, 8, 9, wire.BUFFER_BYTES - 9, wire.BUFFER_BYTES - 8, wire.BUFFER_BYTES, 3, 5 * wire.BUFFER_BYTES + 7, 0, 2)


def test_frames_of_all_sizes_arrive_in_order() -> None:
    ours, theirs = socket.socketpair()
    bodies = [bytes([number % 251]) * size for number, size in enumerate(SIZES * 3)]

    def write() -> None:
        writer = wire.Writer(ours)
        for body in bodies:
            writer.put(wire.BATCH, body)
        writer.flush()
        ours.close()

    thread = threading.Thread(target=write)
    thread.start()
    reader = wire.Reader(theirs)
    found = [reader.receive() for _ in bodies]
    assert [bytes(frame.body) for frame in found] == bodies
    assert {frame.kind for frame in found} == {wire.BATCH}
    with pytest.raises(wire.ConnectionClosed):
        reader.receive()
    thread.join()
    theirs.close()


def test_small_frames_go_together_and_a_large_one_takes_them_along() -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    writer = wire.Writer(ours)
    writer.put(wire.SCHEMA, b"columns")
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    writer.put(wire.BATCH, bytes(wire.TOGETHER_BYTES_MAX))
    theirs.settimeout(None)
    reader = wire.Reader(theirs)
    assert [reader.receive().kind for _ in range(2)] == [wire.SCHEMA, wire.BATCH]
    ours.close()
    theirs.close()


def test_a_timeout_loses_nothing_of_a_frame_that_began() -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0.01)
    reader = wire.Reader(theirs)
    whole = wire.HEADER.pack(wire.DONE, 5) + b"hello"
    ours.sendall(whole[:4])
    with pytest.raises(TimeoutError):
        reader.receive()
    ours.sendall(whole[4:])
    assert bytes(reader.receive().body) == b"hello"
    ours.close()
    theirs.close()
