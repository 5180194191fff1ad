"""Hashes and checksums."""

from __future__ import annotations

from insjo.sql.dialect import operators
from insjo.sql.dialect.fragments import Fragment, fill, integer, made
from insjo.sql.dialect.functions.registry import MANY, Call, Definition, scalar
from insjo.sql.dialect.types import BIGINT, BINARY, INT, STRING, Kind
from insjo.sql.errors import ArgumentInvalid, UnsupportedFeature

_LONG_DIGITS = 18
"""Decimals up to so many digits are hashed as their unscaled value."""


def _bytes(call: Call, index: int) -> Fragment:
    """An argument as binary; of a text its bytes."""
    value = call.arg(index)
    return value if value.type.kind is Kind.BINARY else fill("encode({0})", BINARY, call.take(index, STRING))


@scalar("md5", 1)
def md5(call: Call) -> Fragment:
    """128 bits as hexadecimal digits."""
    return fill("md5({0})", STRING, _bytes(call, 0))


@scalar("sha sha1", 1)
def sha1(call: Call) -> Fragment:
    """160 bits as hexadecimal digits."""
    return fill("sha1({0})", STRING, _bytes(call, 0))


@scalar("sha2", 2)
def sha2(call: Call) -> Fragment:
    """224, 256, 384 or 512 bits as hexadecimal digits; 0 means 256."""
    bits = call.constant_whole(1, "number of bits")
    if bits in {0, 256}:
        return fill("sha256({0})", STRING, _bytes(call, 0))
    if bits not in {224, 384, 512}:
        raise ArgumentInvalid(f"{call.label} knows 224, 256, 384 and 512 bits, and not {bits}.")
    return fill(f"insjo_py_sha2({{0}}, {bits})", STRING, _bytes(call, 0))


@scalar("crc32", 1)
def crc32(call: Call) -> Fragment:
    """Checksum as a BIGINT."""
    return fill("insjo_py_crc32({0})", BIGINT, _bytes(call, 0))


@scalar("hash xxhash64", 1, MANY)
def spark_hash(call: Call) -> Fragment:
    """Murmur3 (32 bits) or xxHash (64 bits) of all arguments, the hash of each one being the seed of the next."""
    family, of_type = ("murmur3", INT) if call.name == "hash" else ("xxhash64", BIGINT)
    state = integer(42) if of_type is INT else made("CAST(42 AS BIGINT)", BIGINT)
    for value in call.args():
        state = _hashed(family, value.seen(), state)
    return state


def _hashed(family: str, value: Fragment, seed: Fragment) -> Fragment:
    """Hash of one value with a seed; NULL gives the seed."""
    kind = value.type.kind
    if kind is Kind.VOID:
        return seed
    if kind in {Kind.TINYINT, Kind.SMALLINT, Kind.INT} or kind is Kind.BOOLEAN:
        shape, sql = "int", f"CAST({value.sql} AS INTEGER)"
    elif kind is Kind.DATE:
        shape, sql = "int", f"CAST({value.sql} - DATE '1970-01-01' AS INTEGER)"
    elif kind is Kind.BIGINT:
        shape, sql = "long", value.sql
    elif kind in {Kind.TIMESTAMP, Kind.TIMESTAMP_NTZ}:
        shape, sql = "long", f"epoch_us({value.sql})"
    elif kind is Kind.DECIMAL and value.type.precision <= _LONG_DIGITS:
        shape, sql = "long", f"CAST({operators.unscaled(value)} AS BIGINT)"
    elif kind is Kind.DOUBLE:
        shape, sql = "double", value.sql
    elif kind is Kind.FLOAT:
        shape, sql = "float", value.sql
    elif kind in {Kind.STRING, Kind.BINARY}:
        shape, sql = "bytes", value.sql if kind is Kind.BINARY else f"encode({value.sql})"
    else:
        raise UnsupportedFeature(f"A hash of `{value.type.text}` is not supported.")
    hashed = f"insjo_py_{family}_{shape}({sql}, {seed.sql})"
    return made(f"CASE WHEN {value.sql} IS NULL THEN {seed.sql} ELSE {hashed} END", seed.type, value, seed)


DEFINITIONS: tuple[Definition, ...] = (md5, sha1, sha2, crc32, spark_hash)
