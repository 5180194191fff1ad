"""Results of Spark Connect in the types that Databricks gives: widened or narrowed where nothing is lost, refused otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.dialect.types import parse_type, to_arrow_type
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


def fitted_schema(columns: Sequence[tuple[str, str]], given: pa.Schema) -> pa.Schema:
    """The schema of a result as Databricks gives it.

    Raises:
        UnsupportedFeature: A column comes in another type, so something in the query was not computed as Databricks computes it.
    """
    import pyarrow as pa

    fields = []
    for (name, type_text), field in zip(columns, given, strict=True):
        if "void" in type_text and type_text != "void":
            message = f"The column `{name}` of type `{type_text}` is not supported by warehouses on Spark."
            raise UnsupportedFeature(message, details={"feature": f"`{type_text}` on Spark"})
        wanted = to_arrow_type(parse_type(type_text))
        if not _fits(field.type, wanted):
            message = f"The column `{name}` comes as `{field.type}` from Spark, where Databricks gives `{type_text}`."
            raise UnsupportedFeature(message, hint="Run the statement on a warehouse on DuckDB.", details={"feature": f"`{name}` on Spark"})
        fields.append(pa.field(name, wanted))
    return pa.schema(fields)


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch in that schema; a value that does not fit raises `pyarrow.ArrowInvalid`."""
    import pyarrow as pa

    made = pa.RecordBatch.from_arrays([column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)], schema=schema)
    made.validate(full=True)
    return made


def _fits(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type become those of another without a change of meaning."""
    import pyarrow.types as kinds

    if given == wanted or kinds.is_null(given):
        return True
    if any(family(given) and family(wanted) for family in (kinds.is_integer, kinds.is_decimal, _textual, _binary)):
        return True
    if kinds.is_timestamp(given) and kinds.is_timestamp(wanted):
        return (given.tz is None) == (wanted.tz is None)
    if _listed(given) and _listed(wanted):
        return _fits(given.value_type, wanted.value_type)
    if kinds.is_map(given) and kinds.is_map(wanted):
        return _fits(given.key_type, wanted.key_type) and _fits(given.item_type, wanted.item_type)
    if kinds.is_struct(given) and kinds.is_struct(wanted) and given.num_fields == wanted.num_fields:
        return all(
            given.field(at).name == wanted.field(at).name and _fits(given.field(at).type, wanted.field(at).type)
            for at in range(given.num_fields)
        )
    return False


def _textual(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _binary(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind))


def _listed(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_list(kind) or kinds.is_large_list(kind))
