"""The entry: what it takes, what it gives, and what it does not let through."""

from __future__ import annotations

import pytest
from sqlglot import exp

from insjo.kernel.errors import InsjoError
from insjo.sql.dialect.grammar import DatabricksGrammar
from insjo.sql.dialect.names import all_functions, is_aggregate, is_generator, is_known
from insjo.sql.dialect.session import SessionFacts
from insjo.sql.dialect.translate import Translation, bind_table, translate, transpile
from insjo.sql.errors import CountMismatch, DatatypeMismatch, TableNotBound, UnsupportedFeature


def tree(text: str) -> exp.Expr:
    parsed = DatabricksGrammar().parse(text)[0]
    assert parsed is not None
    for table in parsed.find_all(exp.Table):
        if table.name == "t":
            bind_table(table, "read_parquet(['/lake/t.parquet'])", [("id", "int"), ("Name", "string"), ("st", "struct<a:int>")])
    return parsed


def compiled(text: str, **more: object) -> Translation:
    return translate(tree(text), **more)  # type: ignore[arg-type]  # Free keywords.


def test_columns_have_exact_names_and_types() -> None:
    columns = compiled("SELECT *, id + 1, name AS N, count(*) OVER () FROM t AS x").columns
    assert [(column.name, column.type_text) for column in columns] == [
        ("id", "int"),
        ("Name", "string"),
        ("st", "struct<a:int>"),
        ("(id + 1)", "int"),
        ("N", "string"),
        ("count(1) OVER ()", "bigint"),
    ]


def test_nothing_of_the_callers_names_reaches_the_engine_but_names_of_columns() -> None:
    sql = transpile(tree("WITH evil AS (SELECT id FROM t AS read_text) SELECT sneaky.id FROM evil AS sneaky"))
    assert "sneaky" not in sql
    assert "evil" not in sql
    assert "read_text" not in sql


def test_quotes_in_names_and_texts_stay_inside() -> None:
    translation = compiled("SELECT 'a''b\"; DROP' AS `x\"y`, \"it's\" AS `z``w` FROM t")
    assert "'a''b\"; DROP'" in translation.sql
    assert '"x""y"' in translation.sql
    assert "'it''s'" in translation.sql
    assert [column.name for column in translation.columns] == ['x"y', "z`w"]


def test_duplicate_names_get_different_names_in_the_engine() -> None:
    translation = compiled("SELECT 1 AS a, 2 AS A, 3 AS a_1")
    assert [column.name for column in translation.columns] == ["a", "A", "a_1"]
    assert translation.sql == 'SELECT 1 AS "a", 2 AS "A_1", 3 AS "a_1_1"'


def test_values_are_cast_to_the_columns_that_take_them() -> None:
    translation = compiled("SELECT 1, '2026-01-01', 1.5", target=[("a", "bigint"), ("b", "date"), ("c", "string")])
    assert [(column.name, column.type_text) for column in translation.columns] == [("a", "bigint"), ("b", "date"), ("c", "string")]
    with pytest.raises(CountMismatch):
        compiled("SELECT 1", target=[("a", "int"), ("b", "int")])
    with pytest.raises(DatatypeMismatch):
        compiled("SELECT array(1)", target=[("a", "int")])
    with pytest.raises(DatatypeMismatch):
        compiled("SELECT TRUE", target=[("a", "date")])


def test_a_table_that_nobody_bound_is_not_read() -> None:
    for text in (
        "SELECT * FROM other",
        "SELECT * FROM t VERSION AS OF 3 JOIN u",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM parquet.`/x`",
    ):
        with pytest.raises(TableNotBound):
            compiled(text)


def test_functions_of_the_engine_are_no_functions_here() -> None:
    for name in (
        "read_text",
        "read_parquet",
        "glob",
        "getvariable",
        "current_setting",
        "duckdb_settings",
        "query",
        "sniff_csv",
        "which_secret",
        "nextval",
    ):
        with pytest.raises(UnsupportedFeature, match=name):
            compiled(f"SELECT {name}('x')")
        with pytest.raises(UnsupportedFeature, match=name):
            compiled(f"SELECT * FROM {name}('x')")


def test_session_functions_answer_with_what_the_room_says() -> None:
    facts = SessionFacts(user="ann", catalog="main", schema="s", groups=frozenset({"staff"}), version="1.2")
    text = "SELECT current_user(), current_catalog(), current_schema(), version(), is_member('Staff'), is_account_group_member('x')"
    sql = transpile(tree(text), session=facts)
    for expected in ("'ann'", "'main'", "'s'", "'1.2'", "TRUE AS", "FALSE AS"):
        assert expected in sql


def test_the_tree_can_be_compiled_twice() -> None:
    parsed = tree("SELECT explode(array(id)) AS x, Name FROM t WHERE id > 1")
    assert translate(parsed) == translate(parsed)


def test_constants_stay_constants_so_that_files_can_be_skipped() -> None:
    sql = transpile(tree("SELECT id FROM t WHERE id = 5 AND id BETWEEN 1 AND 2 AND Name = 'x' AND current_date() > '2026-01-01'"))
    assert '("r1"."id" = 5)' in sql
    assert '("r1"."Name" = \'x\')' in sql
    assert "DATE '2026-01-01'" in sql


def test_long_statements_do_not_exhaust_the_stack() -> None:
    condition = " OR ".join(f"id = {number}" for number in range(3000))
    assert transpile(tree(f"SELECT id FROM t WHERE {condition}")).count("=") == 3000
    union = " UNION ALL ".join(f"SELECT {number}" for number in range(400))
    assert transpile(tree(union)).count("UNION ALL") == 399


def test_a_statement_nested_too_deeply_is_an_error_of_ours() -> None:
    parsed = exp.select(exp.Literal.number(1))
    value: exp.Expr = exp.Literal.number(1)
    for _ in range(3000):
        value = exp.Neg(this=value)
    parsed.set("expressions", [value])
    with pytest.raises(InsjoError):
        translate(parsed)


def test_names_tell_what_a_function_is() -> None:
    assert is_known("LOWER")
    assert not is_known("read_text")
    assert is_aggregate("sum")
    assert not is_aggregate("lower")
    assert is_generator("explode")
    assert len(all_functions()) > 390
    assert {"trim", "substring", "transform", "approx_percentile"} <= set(all_functions())
