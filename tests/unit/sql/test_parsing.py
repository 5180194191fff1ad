from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insjo.kernel.errors import InsjoError
from insjo.sql.errors import InvalidIdentifier, ParameterInvalid, SyntaxInvalid, UnboundParameter, UnsupportedFeature
from insjo.sql.parsing import nodes
from insjo.sql.parsing.cursor import split_name
from insjo.sql.parsing.definitions import ColumnDefinition
from insjo.sql.parsing.parse import parse
from insjo.sql.types import Parameter

WORDS = (
    "SELECT",
    "CREATE",
    "TABLE",
    "t",
    "(",
    ")",
    ",",
    "INT",
    "AS",
    "FROM",
    "SHOW",
    "DESCRIBE",
    "IN",
    "GRANT",
    "ON",
    "TO",
    "'",
    "`",
    "1",
    ".",
    "*",
    "INSERT",
    "VALUES",
)


def test_a_query_keeps_its_tree() -> None:
    parsed = parse("SELECT a, b FROM t WHERE c > 1;")
    assert parsed.kind == "SELECT"
    assert isinstance(parsed.command, nodes.Query)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "VALUES (1), (2)",
        "TABLE t",
        "FROM t |> WHERE a > 1",
        "(SELECT 1)",
        "SELECT 1 -- x;",
    ],
)
def test_every_beginning_of_a_query(text: str) -> None:
    assert isinstance(parse(text).command, nodes.Query)


def test_several_statements_are_refused() -> None:
    with pytest.raises(SyntaxInvalid, match="more than one statement"):
        parse("SELECT 1; DROP TABLE t")


def test_a_semicolon_in_a_text_parts_nothing() -> None:
    assert parse("SELECT 'a;b'").kind == "SELECT"


def test_an_error_points_at_its_place_and_helps() -> None:
    with pytest.raises(SyntaxInvalid) as caught:
        parse("SELECT a\nFRM t WHRE x")
    assert caught.value.details["line"] == 2
    with pytest.raises(SyntaxInvalid) as caught:
        parse("SELCT 1")
    assert caught.value.hint == "Did you mean `SELECT`?"
    assert caught.value.details == {"line": 1, "column": 1, "length": 5}


def test_an_open_quote_is_an_error() -> None:
    with pytest.raises(SyntaxInvalid, match="not closed"):
        parse("SELECT 'a")


def test_doubled_quotes_are_one_quote() -> None:
    command = parse("SELECT 'it''s'").command
    assert isinstance(command, nodes.Query)
    assert command.tree.expressions[0].this == "it's"


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW"),
        ("BEGIN SELECT 1; END", "BEGIN"),
        ("UNDROP SCHEMA s", "UNDROP SCHEMA"),
        ("CREATE TABLE t (a INT) LOCATION 's3://x'", "CREATE TABLE ... LOCATION"),
        ("CREATE TABLE t (a INT) USING PARQUET", "CREATE TABLE ... USING PARQUET"),
        ("CALL f()", "CALL"),
        ("ATTACH 'x'", "ATTACH"),
        ("PRAGMA x", "PRAGMA"),
        ("INSTALL httpfs", "INSTALL"),
        ("SHOW SHARES", "SHOW SHARES"),
        ("GRANT SELECT ON EXTERNAL LOCATION x TO y", "GRANT ON EXTERNAL"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(text: str, feature: str) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        parse(text)
    assert caught.value.details["feature"] == feature


def test_create_table_with_every_clause() -> None:
    parsed = parse(
        "CREATE TABLE IF NOT EXISTS c.s.t (a INT NOT NULL COMMENT 'x', `b c` STRUCT<p: INT, q: ARRAY<DECIMAL(10, 2)>>) USING DELTA "
        "PARTITIONED BY (a) CLUSTER BY AUTO COMMENT 'y' TBLPROPERTIES ('k' = 'v', delta.x = true)",
    )
    assert parsed.kind == "CREATE TABLE"
    command = parsed.command
    assert isinstance(command, nodes.CreateTable)
    assert command.name == ("c", "s", "t")
    assert command.columns[0] == ColumnDefinition("a", "INT", nullable=False, comment="x")
    assert command.columns[1].name == "b c"
    assert command.partition_columns == ("a",)
    assert command.properties == {"k": "v", "delta.x": "true"}
    assert command.if_not_exists


def test_columns_of_a_partitioning_are_columns() -> None:
    command = parse("CREATE TABLE t (a INT) PARTITIONED BY (p STRING)").command
    assert isinstance(command, nodes.CreateTable)
    assert [column.name for column in command.columns] == ["a", "p"]
    assert command.partition_columns == ("p",)


def test_insert_in_its_forms() -> None:
    plain = parse("INSERT INTO TABLE t (a, b) VALUES (1, 2)").command
    assert isinstance(plain, nodes.Insert)
    assert plain.columns == ("a", "b")
    query = parse("INSERT INTO t (SELECT 1)").command
    assert isinstance(query, nodes.Insert)
    assert query.columns is None
    by_name = parse("INSERT OVERWRITE t BY NAME SELECT 1 AS a").command
    assert isinstance(by_name, nodes.Insert)
    assert by_name.by_name
    assert by_name.overwrite
    replacing = parse("INSERT INTO t REPLACE WHERE a > (SELECT 1) SELECT * FROM u").command
    assert isinstance(replacing, nodes.Insert)
    assert replacing.replace_where is not None
    behind = parse("WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT * FROM x").command
    assert isinstance(behind, nodes.Insert)
    assert behind.tree.args["with_"] is not None


def test_grants_in_unity_catalogs_words() -> None:
    command = parse("GRANT USE CATALOG, SELECT ON CATALOG main TO `data team`").command
    assert command == nodes.GrantChange(("USE_CATALOG", "SELECT"), "CATALOG", ("main",), "data team")
    revoked = parse("REVOKE ALL PRIVILEGES ON a.b.c FROM bob").command
    assert revoked == nodes.GrantChange(("ALL_PRIVILEGES",), "TABLE", ("a", "b", "c"), "bob", revoke=True)
    named_like_a_kind = parse("GRANT SELECT ON TABLE `schema` TO bob").command
    assert isinstance(named_like_a_kind, nodes.GrantChange)
    assert named_like_a_kind.name == ("schema",)


def test_shows_of_the_drivers() -> None:
    command = parse("SHOW TABLES IN CATALOG `my cat` SCHEMA LIKE 's%' LIKE 't*'").command
    assert command == nodes.Show("TABLES", ("my cat",), "CATALOG", "t*", {"SCHEMA": "s%"})
    assert parse("SHOW TABLES IN ALL CATALOGS").command == nodes.Show("TABLES", (), "ALL CATALOGS")
    assert parse("SHOW COLUMNS IN t IN s").command == nodes.Show("COLUMNS", ("s", "t"))


def test_copy_into_with_a_query() -> None:
    command = parse(
        "COPY INTO t FROM (SELECT _c0::INT AS a FROM '/Volumes/c/s/v/') FILEFORMAT = CSV PATTERN = '*.csv' "
        "FORMAT_OPTIONS ('header' = 'true', 'sep' = ';') COPY_OPTIONS ('force' = 'true')",
    ).command
    assert isinstance(command, nodes.CopyInto)
    assert command.path == "/Volumes/c/s/v/"
    assert command.tree is not None
    assert command.format_options == {"header": "true", "sep": ";"}
    with pytest.raises(UnsupportedFeature):
        parse("COPY INTO t FROM (SELECT max(a) FROM '/Volumes/c/s/v/' WHERE a = (SELECT 1)) FILEFORMAT = CSV")


def test_positional_parameters_keep_their_order() -> None:
    text = "WITH x AS (SELECT ? AS a) SELECT ? FROM x WHERE a = ?"
    command = parse(text, (Parameter(None, 1), Parameter(None, 2), Parameter(None, 3))).command
    assert isinstance(command, nodes.Query)
    assert ":__insjo_p2 FROM" in command.tree.sql(dialect="databricks")


def test_time_travel_by_at() -> None:
    command = parse("SELECT '@v1' FROM t@v3 AS x JOIN u@20260131120000000 ON true").command
    assert isinstance(command, nodes.Query)
    text = command.tree.sql(dialect="databricks")
    assert "VERSION AS OF 3" in text
    assert "TIMESTAMP AS OF '2026-01-31 12:00:00.000'" in text
    assert "'@v1'" in text


def test_identifier_takes_a_constant() -> None:
    command = parse("DROP TABLE IDENTIFIER(:schema || '.t')", (Parameter("schema", "c.s"),)).command
    assert command == nodes.Drop("TABLE", ("c", "s", "t"))
    with pytest.raises(InvalidIdentifier):
        parse("DROP TABLE IDENTIFIER(upper('x'))")
    with pytest.raises(UnboundParameter):
        parse("DROP TABLE IDENTIFIER(:nope)")


def test_names_that_the_room_makes_up_are_reserved() -> None:
    with pytest.raises(SyntaxInvalid, match="may not begin"):
        parse("SELECT * FROM __insjo_r0")
    with pytest.raises(SyntaxInvalid, match="may not begin"):
        parse("SELECT * FROM `__INSJO_source`")
    assert parse("SELECT '__insjo_r0'").kind == "SELECT"


def test_a_parameter_of_an_unknown_type_is_refused() -> None:
    from insjo.sql.parsing.constants import constant_expression

    with pytest.raises(ParameterInvalid):
        constant_expression(Parameter("a", "1", "NOT_A_TYPE!"))
    with pytest.raises(ParameterInvalid):
        constant_expression(Parameter("a", "1", "INT); DROP TABLE t; --"))


def test_names_with_backticks() -> None:
    assert split_name("`a.b`.c.`d``e`") == ("a.b", "c", "d`e")


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(SyntaxInvalid):
        parse("SELECT " + "(" * 5000 + "1" + ")" * 5000)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except InsjoError as error:
        assert error.message  # noqa: PT017  # Reading or refusing are both right; crashing is not.


@given(
    st.lists(
        st.sampled_from(WORDS),
        max_size=14,
    )
)
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        parse(" ".join(words))
    except InsjoError as error:
        assert error.message  # noqa: PT017  # As above.
