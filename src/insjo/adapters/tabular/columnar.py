"""Avro and ORC files as Parquet, batch by batch."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from insjo.adapters.tabular.limits import BATCH_ROWS, Unreadable, Wrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PRIMITIVES: dict[str, pa.DataType] = {
    "null": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "timestamp-millis": pa.timestamp("us", tz="UTC"),
    "timestamp-micros": pa.timestamp("us", tz="UTC"),
    "local-timestamp-millis": pa.timestamp("us"),
    "local-timestamp-micros": pa.timestamp("us"),
    "uuid": pa.string(),
}
_DEPTH_MAX = 50


def convert_avro(source: Path, target: Path, _options: Mapping[str, str]) -> dict[str, Any]:
    """An Avro object container file (Avro 1.12 specification, "Object Container Files")."""
    import fastavro

    rows = 0
    with source.open("rb") as file:
        try:
            reader = fastavro.reader(file)
        except (ValueError, KeyError, EOFError) as error:
            raise Unreadable("It is no Avro file, or its beginning is damaged.") from error
        schema = _record(reader.writer_schema)
        texts = {each.name for each in schema if each.type == pa.string()}
        with pq.ParquetWriter(target, schema, compression="snappy") as writer:
            for batch in _batches(iter(reader)):
                for row in batch:
                    for name in texts & row.keys():
                        if row[name] is not None and not isinstance(row[name], str):
                            row[name] = str(row[name])
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                rows += len(batch)
    return {"format": "parquet", "rows": rows}


def _batches(rows: Iterator[Any]) -> Iterator[list[dict[str, Any]]]:
    """Rows in pieces; a damaged block ends them with an error."""
    while True:
        try:
            batch = list(islice(rows, BATCH_ROWS))
        except (ValueError, EOFError, KeyError, IndexError, TypeError) as error:
            raise Unreadable("A block of it is damaged.") from error
        if not batch:
            return
        if not isinstance(batch[0], dict):
            raise Wrong("Its records are no records with fields.")
        yield batch


def _record(schema: Any) -> pa.Schema:  # noqa: ANN401  # Avro schemas are JSON.
    """Arrow schema of a record."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise Wrong("Its schema is no record with fields.")
    named: dict[str, Any] = {}
    return pa.schema([pa.field(each["name"], _type(each["type"], named, 0)) for each in schema["fields"]])


def _type(schema: Any, named: dict[str, Any], depth: int) -> pa.DataType:  # noqa: ANN401, PLR0911  # As above; one return a kind of type.
    """Arrow type of an Avro type; a union of several types is text."""
    if depth > _DEPTH_MAX:
        raise Wrong("Its types refer to themselves, or are nested too deeply.")
    if isinstance(schema, list):
        kinds = [each for each in schema if each != "null"]
        return _type(kinds[0], named, depth + 1) if len(kinds) == 1 else pa.string()
    if isinstance(schema, str):
        return _type(named[schema], named, depth + 1) if schema in named else _PRIMITIVES.get(schema, pa.string())
    kind = schema.get("type")
    if schema.get("name"):
        named[schema["name"]] = schema
        if schema.get("namespace"):
            named[f"{schema['namespace']}.{schema['name']}"] = schema
    logical = schema.get("logicalType")
    if logical == "decimal":
        return pa.decimal128(int(schema["precision"]), int(schema.get("scale", 0)))
    if logical in _LOGICAL:
        return _LOGICAL[logical]
    if kind == "record":
        return pa.struct([pa.field(each["name"], _type(each["type"], named, depth + 1)) for each in schema["fields"]])
    if kind == "array":
        return pa.list_(_type(schema["items"], named, depth + 1))
    if kind == "map":
        return pa.map_(pa.string(), _type(schema["values"], named, depth + 1))
    if kind == "fixed":
        return pa.binary(int(schema["size"]))
    return _type(kind, named, depth + 1) if isinstance(kind, (dict, list)) else _PRIMITIVES.get(str(kind), pa.string())


def convert_orc(source: Path, target: Path, _options: Mapping[str, str]) -> dict[str, Any]:
    """An Apache ORC file, stripe by stripe."""
    from pyarrow import orc

    rows = 0
    try:
        found = orc.ORCFile(str(source))
    except (pa.ArrowException, OSError) as error:
        raise Unreadable("It is no ORC file, or it is damaged.") from error
    with pq.ParquetWriter(target, found.schema, compression="snappy") as writer:
        for number in range(found.nstripes):
            try:
                stripe = found.read_stripe(number)
            except (pa.ArrowException, OSError) as error:
                raise Unreadable("A stripe of it is damaged.") from error
            writer.write_table(pa.Table.from_batches([stripe], schema=found.schema))
            rows += stripe.num_rows
    return {"format": "parquet", "rows": rows}
