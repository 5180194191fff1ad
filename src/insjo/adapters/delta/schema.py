"""Columns and partition values in the words of the Delta log.

Source: the Delta transaction log protocol, sections "Schema Serialization Format" and "Partition Value Serialization".
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from insjo.catalog import column_types as ct
from insjo.catalog.errors import TableDamaged
from insjo.catalog.types import Column, Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_DELTA_NAMES = {
    "tinyint": "byte",
    "smallint": "short",
    "int": "integer",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "boolean": "boolean",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ntz": "timestamp_ntz",
}
_SQL_NAMES = {delta: name for name, delta in _DELTA_NAMES.items()}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(-?\d+)\)")
_TIMESTAMP = re.compile(r"(\d{4,}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")
_DEFAULT, _GENERATED, _IDENTITY = "CURRENT_DEFAULT", "delta.generationExpression", "delta.identity."
_NATURE = frozenset({"comment", "EXISTS_DEFAULT", _DEFAULT, _GENERATED})
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"

RawField = dict[str, Any]


def read_fields(schema_string: str) -> list[RawField]:
    """The raw fields of a schema; raises TableDamaged when it is not one."""
    try:
        fields = msgspec.json.decode(schema_string.encode())["fields"]
        return [dict(each) for each in fields]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        message = "The schema in the log of the table cannot be read."
        raise TableDamaged(message) from error


def columns_of(fields: Sequence[RawField]) -> tuple[tuple[Column, ...], str]:
    """The columns, and the first type that Insjö does not know (or an empty text)."""
    unknown = ""
    columns: list[Column] = []
    for position, field in enumerate(fields):
        text, strange = _type_text(field["type"])
        unknown = unknown or strange
        metadata = field.get("metadata") or {}
        columns.append(
            Column(
                str(field["name"]),
                text,
                bool(field.get("nullable", True)),
                str(metadata.get("comment") or ""),
                position,
                default=str(metadata.get(_DEFAULT) or ""),
                generated=str(metadata.get(_GENERATED) or ""),
                identity=_identity(metadata),
            ),
        )
    return tuple(columns), unknown


def write_fields(columns: Sequence[Column], present: Sequence[RawField] = ()) -> list[RawField]:
    """Raw fields for the columns; what an existing field of the same name and type carries besides is kept."""
    by_name = {str(field["name"]).casefold(): field for field in present}
    fields: list[RawField] = []
    for column in columns:
        old = by_name.get(column.name.casefold())
        if old is not None and _type_text(old["type"])[0] == column.type_text:
            field = {**old, "nullable": column.nullable, "metadata": dict(old.get("metadata") or {})}
        else:
            kind = _to_delta(ct.parse_type(column.type_text))
            field = {"name": column.name, "type": kind, "nullable": column.nullable, "metadata": {}}
        for key in [key for key in field["metadata"] if key in _NATURE or str(key).startswith(_IDENTITY)]:
            del field["metadata"][key]
        field["metadata"].update(_nature(column))
        fields.append(field)
    return fields


def _nature(column: Column) -> dict[str, Any]:
    """What the metadata of a field says about a column (protocol, "Generated Columns", "Default Columns", "Identity Columns")."""
    found: dict[str, Any] = {"comment": column.comment, _DEFAULT: column.default, _GENERATED: column.generated}
    found = {key: value for key, value in found.items() if value}
    if column.identity is not None:
        found[f"{_IDENTITY}start"] = column.identity.start
        found[f"{_IDENTITY}step"] = column.identity.step
        found[f"{_IDENTITY}allowExplicitInsert"] = column.identity.explicit
        if column.identity.last is not None:
            found[f"{_IDENTITY}highWaterMark"] = column.identity.last
    return found


def _identity(metadata: Mapping[str, Any]) -> Identity | None:
    """How a column counts up, if it does."""
    if f"{_IDENTITY}start" not in metadata:
        return None
    last = metadata.get(f"{_IDENTITY}highWaterMark")
    return Identity(
        start=int(metadata[f"{_IDENTITY}start"]),
        step=int(metadata.get(f"{_IDENTITY}step", 1)),
        explicit=bool(metadata.get(f"{_IDENTITY}allowExplicitInsert", False)),
        last=None if last is None else int(last),
    )


def writer_features(columns: Sequence[Column]) -> set[str]:
    """Features that a table with these columns must name."""
    found = {"timestampNtz"} if uses_timestamp_ntz(columns) else set()
    for column in columns:
        if column.generated:
            found.add("generatedColumns")
        if column.identity is not None:
            found.add("identityColumns")
        if column.default:
            found.add("allowColumnDefaults")
    return found


def schema_string(fields: Sequence[RawField]) -> str:
    """The text that stands in `metaData.schemaString`."""
    return msgspec.json.encode({"type": "struct", "fields": list(fields)}).decode()


def uses_timestamp_ntz(columns: Sequence[Column]) -> bool:
    """Whether a column, or a part of one, is a timestamp without time zone, which is a feature of its own."""
    return any("timestamp_ntz" in column.type_text for column in columns)


def field_features(fields: Sequence[RawField]) -> set[str]:
    """Features that lie in the metadata of fields, at any depth: `identityColumns`, `generatedColumns`, `invariants` and so on."""
    found: set[str] = set()
    marks = {
        "delta.generationExpression": "generatedColumns",
        "delta.invariants": "invariants",
        "delta.typeChanges": "typeWidening",
        "CURRENT_DEFAULT": "allowColumnDefaults",
        "__CHAR_VARCHAR_TYPE_STRING": "char and varchar",
    }
    for field in fields:
        metadata = field.get("metadata") or {}
        found |= {feature for mark, feature in marks.items() if mark in metadata}
        if any(str(key).startswith("delta.identity.") for key in metadata):
            found.add("identityColumns")
        found |= _nested_features(field.get("type"))
    return found


def leaves(fields: Sequence[RawField], skip: Sequence[str]) -> dict[str, Any]:
    """Names that the statistics of a complete file hold: parts of structs as nested dicts, all else as None."""
    skipped = {name.casefold() for name in skip}
    shape: dict[str, Any] = {}
    for field in fields:
        kind = field["type"]
        if str(field["name"]).casefold() in skipped:
            continue
        if isinstance(kind, dict) and kind.get("type") == "struct":
            shape[str(field["name"])] = leaves(kind["fields"], ())
        else:
            shape[str(field["name"])] = None
    return shape


def parse_partition_value(text: str | None, column: Column) -> Any:  # noqa: ANN401  # The column's type says which.
    """A partition value as a Python value; an empty text is NULL, whatever the type (protocol)."""
    if text is None or text in {"", _HIVE_NULL}:
        return None
    kind = column.type_text
    reader = _PARTITION_READERS.get("decimal" if kind.startswith("decimal") else kind, str)
    try:
        return reader(text)
    except (ValueError, KeyError, InvalidOperation) as error:
        message = f"The partition value `{text}` is not of the type `{kind}` of the column `{column.name}`."
        raise TableDamaged(message) from error


def write_partition_value(value: Any, column: Column) -> str | None:  # noqa: ANN401  # As above.
    """A partition value as the log writes it; a text is read as such first, so that all writers agree on one form."""
    if isinstance(value, str) and column.type_text != "string":
        value = parse_partition_value(value, column)
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).replace(tzinfo=None).isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def partition_values(raw: Mapping[str, str | None], columns: Sequence[Column]) -> dict[str, Any]:
    """All partition values of a file, typed; `columns` are the partition columns."""
    return {column.name: parse_partition_value(raw.get(column.name), column) for column in columns}


def _timestamp(text: str) -> datetime:
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        message = f"not a timestamp: {text}"
        raise ValueError(message)
    day, clock, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6].ljust(6, '0')}{zone or '+00:00'}")
    return moment.astimezone(UTC)


def _timestamp_ntz(text: str) -> datetime:
    return _timestamp(text).replace(tzinfo=None)


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _date(text: str) -> date:
    return date.fromisoformat(text[:10])


def _binary(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_PARTITION_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), int),
    **dict.fromkeys(("float", "double"), float),
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    "timestamp_ntz": _timestamp_ntz,
    "decimal": Decimal,
    "binary": _binary,
}


def _type_text(kind: Any) -> tuple[str, str]:  # noqa: ANN401  # JSON of the log.
    """A type in SQL words, and the first part that is unknown."""
    parsed, unknown = _from_delta(kind)
    return parsed.text(), unknown


def _from_delta(kind: Any) -> tuple[ct.DataType, str]:  # noqa: ANN401  # JSON of the log.
    if isinstance(kind, str):
        if kind in _SQL_NAMES:
            return ct.Primitive(_SQL_NAMES[kind]), ""
        if match := _DECIMAL.fullmatch(kind):
            return ct.Decimal(int(match.group(1)), int(match.group(2))), ""
        if kind == "decimal":
            return ct.Decimal(10, 0), ""
        return ct.Primitive(kind), kind
    if isinstance(kind, dict):
        if kind.get("type") == "array":
            element, unknown = _from_delta(kind["elementType"])
            return ct.Array(element), unknown
        if kind.get("type") == "map":
            key, unknown_key = _from_delta(kind["keyType"])
            value, unknown_value = _from_delta(kind["valueType"])
            return ct.Map(key, value), unknown_key or unknown_value
        if kind.get("type") == "struct":
            parts: list[ct.Field] = []
            unknown = ""
            for field in kind["fields"]:
                part, strange = _from_delta(field["type"])
                unknown = unknown or strange
                parts.append(ct.Field(str(field["name"]), part, bool(field.get("nullable", True))))
            return ct.Struct(tuple(parts)), unknown
    return ct.Primitive("void"), str(kind)


def _to_delta(kind: ct.DataType) -> Any:  # noqa: ANN401  # JSON of the log.
    if isinstance(kind, ct.Primitive):
        return _DELTA_NAMES[kind.name]
    if isinstance(kind, ct.Array):
        return {"type": "array", "elementType": _to_delta(kind.element), "containsNull": True}
    if isinstance(kind, ct.Map):
        return {"type": "map", "keyType": _to_delta(kind.key), "valueType": _to_delta(kind.value), "valueContainsNull": True}
    if isinstance(kind, ct.Struct):
        fields = [
            {
                "name": field.name,
                "type": _to_delta(field.type),
                "nullable": field.nullable,
                "metadata": {"comment": field.comment} if field.comment else {},
            }
            for field in kind.fields
        ]
        return {"type": "struct", "fields": fields}
    return kind.text()


def _nested_features(kind: Any) -> set[str]:  # noqa: ANN401  # JSON of the log.
    if not isinstance(kind, dict):
        return set()
    found: set[str] = set()
    for part in ("elementType", "keyType", "valueType"):
        found |= _nested_features(kind.get(part))
    if kind.get("type") == "struct":
        found |= field_features(kind["fields"])
    return found
