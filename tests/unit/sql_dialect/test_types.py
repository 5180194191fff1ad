"""Types in the words of Databricks, of the engine and of Arrow."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.kernel.errors import InvalidArgument
from insjo.sql.dialect.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INT,
    STRING,
    TIMESTAMP,
    TIMESTAMP_NTZ,
    Type,
    array_of,
    decimal,
    from_arrow_type,
    from_databricks_type,
    from_engine_type,
    interval_of,
    map_of,
    parse_fields,
    parse_type,
    struct_of,
    to_arrow_type,
    to_databricks_type,
)

WRITTEN = [
    ("INT", "int", "INTEGER"),
    ("long", "bigint", "BIGINT"),
    ("decimal", "decimal(10,0)", "DECIMAL(10,0)"),
    ("Decimal( 38 , 18 )", "decimal(38,18)", "DECIMAL(38,18)"),
    ("varchar(10)", "string", "VARCHAR"),
    ("timestamp", "timestamp", "TIMESTAMPTZ"),
    ("timestamp_ntz", "timestamp_ntz", "TIMESTAMP"),
    ("binary", "binary", "BLOB"),
    ("variant", "variant", "JSON"),
    ("array<map<string,int>>", "array<map<string,int>>", "MAP(VARCHAR, INTEGER)[]"),
    ("STRUCT<a: INT, `b c`: ARRAY<STRING>>", "struct<a:int,`b c`:array<string>>", 'STRUCT("a" INTEGER, "b c" VARCHAR[])'),
    ("interval day to second", "interval day to second", "INTERVAL"),
    ("struct<>", "struct<>", "STRUCT()"),
]

simple = st.sampled_from([BOOLEAN, INT, BIGINT, DOUBLE, STRING, DATE, TIMESTAMP, TIMESTAMP_NTZ, decimal(10, 2), decimal(38, 0)])
names = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


def nested(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    fields = st.lists(st.tuples(names, inner), min_size=1, max_size=3, unique_by=lambda field: field[0].lower())
    return st.one_of(inner.map(array_of), st.builds(map_of, simple, inner), fields.map(lambda each: struct_of(*each)))


types = st.recursive(simple, nested, max_leaves=6)


@pytest.mark.parametrize(("written", "text", "engine"), WRITTEN)
def test_a_type_is_read_as_people_write_it(written: str, text: str, engine: str) -> None:
    assert parse_type(written).text == text
    assert from_databricks_type(written) == engine


@pytest.mark.parametrize(
    "written", ["", "inty", "array<", "array<int", "map<int>", "struct<a>", "decimal(39,0)", "decimal(5,6)", "int int", "int;"]
)
def test_what_is_no_type_is_an_error(written: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_type(written)


def test_a_type_that_nests_without_end_is_an_error() -> None:
    with pytest.raises(InvalidArgument):
        parse_type("array<" * 100 + "int" + ">" * 100)


@given(types)
def test_every_type_survives_its_text(each: Type) -> None:
    assert parse_type(each.text) == each


@given(types)
def test_every_type_survives_the_engine(each: Type) -> None:
    assert from_engine_type(each.engine) == each


@given(types)
def test_every_type_survives_arrow(each: Type) -> None:
    assert from_arrow_type(to_arrow_type(each)) == each


def test_engine_types_that_databricks_lacks_become_the_next_larger_ones() -> None:
    assert from_engine_type("HUGEINT").text == "decimal(38,0)"
    assert from_engine_type("UBIGINT").text == "decimal(20,0)"
    assert from_engine_type("TIMESTAMP WITH TIME ZONE") == TIMESTAMP
    assert from_engine_type("ENUM('a', 'b')") == STRING
    assert from_engine_type("INTEGER[3][]").text == "array<array<int>>"
    assert from_engine_type("INTERVAL") == interval_of("day", "second")


def test_arrow_types_of_files_are_understood() -> None:
    assert to_databricks_type(pa.large_string()) == "string"
    assert to_databricks_type(pa.timestamp("ns")) == "timestamp_ntz"
    assert to_databricks_type(pa.timestamp("ms", tz="Europe/Stockholm")) == "timestamp"
    assert to_databricks_type(pa.uint32()) == "bigint"
    assert to_databricks_type(pa.dictionary(pa.int8(), pa.string())) == "string"
    assert to_databricks_type(pa.list_(pa.struct([("a", pa.decimal128(5, 1))]))) == "array<struct<a:decimal(5,1)>>"
    with pytest.raises(InvalidArgument):
        to_databricks_type(pa.run_end_encoded(pa.int32(), pa.int32()))


def test_a_list_of_fields_is_a_struct() -> None:
    assert parse_fields("a INT, b STRUCT<c: STRING> COMMENT 'x', d DATE NOT NULL").text == "struct<a:int,b:struct<c:string>,d:date>"
    assert parse_fields("array<int>").text == "array<int>"
