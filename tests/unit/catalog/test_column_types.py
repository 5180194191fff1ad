from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insjo.adapters.delta import schema
from insjo.catalog.column_types import Array, DataType, Decimal, Field, Map, Primitive, Struct, parse_type
from insjo.catalog.errors import InvalidColumn
from insjo.catalog.types import Column

WORDS = ["tinyint", "smallint", "int", "bigint", "float", "double", "string", "boolean", "binary", "date", "timestamp", "timestamp_ntz"]


def grown(inner: st.SearchStrategy[DataType]) -> st.SearchStrategy[DataType]:
    names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
    fields = st.builds(Field, names, inner, st.booleans())
    structs = st.lists(fields, min_size=1, max_size=4, unique_by=lambda each: each.name.casefold()).map(lambda each: Struct(tuple(each)))
    return st.one_of(st.builds(Array, inner), st.builds(Map, inner, inner), structs)


decimals = st.integers(1, 38).flatmap(lambda precision: st.builds(Decimal, st.just(precision), st.integers(0, precision)))
types = st.recursive(st.one_of(st.sampled_from(WORDS).map(Primitive), decimals), grown, max_leaves=12)


@given(types)
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_again(kind: DataType) -> None:
    assert parse_type(kind.text()) == kind


@given(types)
@settings(max_examples=200, deadline=None)
def test_the_log_of_a_table_keeps_every_type(kind: DataType) -> None:
    fields = schema.write_fields([Column("a", kind.text(), comment="why")])
    columns, unknown = schema.columns_of(schema.read_fields(schema.schema_string(fields)))
    assert columns == (Column("a", kind.text(), comment="why"),)
    assert unknown == ""


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    with contextlib.suppress(InvalidColumn):
        assert parse_type(text).text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INTEGER", "int"),
        ("Long", "bigint"),
        ("dec", "decimal(10,0)"),
        ("NUMERIC(5)", "decimal(5,0)"),
        (" decimal( 10 , 2 ) ", "decimal(10,2)"),
        ("timestamp_ltz", "timestamp"),
        ("ARRAY < STRUCT < a INT , `b c` : STRING NOT NULL COMMENT 'it\\'s' > >", "array<struct<a:int,`b c`:string not null>>"),
        ("map<string, map<int,real>>", "map<string,map<int,float>>"),
    ],
)
def test_spellings(text: str, expected: str) -> None:
    assert parse_type(text).text() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int int",
        "array",
        "array<",
        "array<int",
        "array<int>>",
        "map<int>",
        "struct<>",
        "struct<a>",
        "decimal(0,0)",
        "decimal(5,6)",
        "decimal(x)",
        "char(3)",
        "array<" * 100,
    ],
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(InvalidColumn):
        parse_type(text)
