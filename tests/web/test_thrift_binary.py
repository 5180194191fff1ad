"""The binary protocol: what is written is read back, and no bytes do anything but be refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insjo.web.thrift import messages
from insjo.web.thrift.binary import Kind, MalformedMessage, MessageKind, Reader, Writer
from tests.support.thrift import message

TEXTS = st.text(max_size=12)
HANDLES = st.builds(messages.HandleIdentifier, st.one_of(st.none(), st.binary(max_size=20)), st.one_of(st.none(), st.binary(max_size=20)))
ARGUMENTS = st.recursive(
    st.builds(messages.ParameterArgument, TEXTS, TEXTS),
    lambda inner: st.builds(messages.ParameterArgument, TEXTS, st.none(), st.lists(inner, max_size=3)),
    max_leaves=5,
)
PARAMETERS = st.builds(
    messages.StatementParameter,
    st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)),
    st.one_of(st.none(), TEXTS),
    TEXTS,
    st.builds(messages.ParameterValue, TEXTS, st.floats(allow_nan=False), st.booleans()),
    st.one_of(st.none(), st.lists(ARGUMENTS, max_size=3)),
)
REQUESTS = st.builds(
    messages.ExecuteStatementReq,
    st.builds(messages.SessionHandle, HANDLES, st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1))),
    TEXTS,
    st.one_of(st.none(), st.dictionaries(TEXTS, TEXTS, max_size=3)),
    run_async=st.one_of(st.none(), st.booleans()),
    query_timeout=st.integers(-(2**63), 2**63 - 1),
    parameters=st.lists(PARAMETERS, max_size=3),
)


def read(body: bytes) -> messages.ExecuteStatementReq | None:
    """The request in a message."""
    reader = Reader(body)
    reader.header()
    return reader.only_field(messages.ExecuteStatementReq)


@settings(deadline=None)
@given(REQUESTS)
def test_what_is_written_is_read_back(request: messages.ExecuteStatementReq) -> None:
    assert read(message("ExecuteStatement", request)) == request


@settings(deadline=None)
@given(REQUESTS, st.data())
def test_damaged_messages_are_refused_or_read_and_nothing_else(request: messages.ExecuteStatementReq, data: st.DataObject) -> None:
    body = bytearray(message("ExecuteStatement", request))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(body[: data.draw(st.integers(0, len(body)))]))
    except MalformedMessage:
        return


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read(body)


def test_fields_of_a_newer_protocol_are_passed_over() -> None:
    newer = (
        (
            90,
            Kind.MAP,
            struct.pack("!bbi", Kind.STRING, Kind.LIST, 1) + struct.pack("!i", 1) + b"k" + struct.pack("!bi", Kind.BOOL, 2) + b"\1\0",
        ),
        (91, Kind.STRUCT, struct.pack("!bhd", Kind.DOUBLE, 1, 2.5) + b"\0"),
        (92, Kind.SET, struct.pack("!bi", Kind.I16, 1) + b"\0\1"),
        (2, Kind.STRING, struct.pack("!i", 3) + b"abc"),
        (2, Kind.I32, struct.pack("!i", 17)),
    )
    header = Writer()
    header.header("GetInfo", MessageKind.CALL, 7)
    header.field(1, Kind.STRUCT)
    fields = b"".join(struct.pack("!bh", kind, number) + content for number, kind, content in newer)
    reader = Reader(header.content() + fields + b"\0\0")
    assert reader.header() == ("GetInfo", MessageKind.CALL, 7)
    assert reader.only_field(messages.GetInfoReq) == messages.GetInfoReq(None, 17)
