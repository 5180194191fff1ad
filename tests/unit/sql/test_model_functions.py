"""Functions that ask models, over real tables and real workers; a recording provider answers by repeating the question."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from insjo.access.types import Level
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InsjoError
from insjo.sql.types import StatementSpec, StatementState
from insjo.testing.recorder import Fault, Recorder, Script
from tests.support.gateway import until
from tests.support.law import LawLake, law_lake

ROWS = "(1, 'red', 'one apple'), (2, 'red', 'two pears'), (3, 'blue', 'one apple'), (4, 'blue', NULL), (5, 'green', 'five plums')"


@pytest.fixture(scope="module")
def lake_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LawLake]:
    with law_lake(tmp_path_factory.mktemp("asking")) as lake:
        lake.made.make_outside("outside", level=Level.CONFIDENTIAL)
        lake.must(
            "CREATE CATALOG IF NOT EXISTS main",
            "CREATE SCHEMA IF NOT EXISTS main.default",
            "CREATE TABLE notes (id INT, colour STRING, body STRING)",
            f"INSERT INTO notes VALUES {ROWS}",
        )
        yield lake


@pytest.fixture
def lake(lake_of_module: LawLake) -> LawLake:
    recorder = lake_of_module.made.outside
    recorder.clear()
    recorder.default = Script()
    return lake_of_module


def spelled(text: str) -> str:
    """The statement with `outside(...)` in full."""
    return text.replace("outside(", "ai_query('outside', ")


def rows(lake: LawLake, text: str) -> list[tuple[Any, ...]]:
    """Rows, without the word with which the provider repeats a question."""
    table = lake.run(lake.made.admin, spelled(text)).table
    plain = [[each.replace("Echo: ", "") if isinstance(each, str) else each for each in column.to_pylist()] for column in table.columns]
    return list(zip(*plain, strict=True))


def refused(lake: LawLake, text: str) -> InsjoError:
    with pytest.raises(InsjoError) as caught:
        lake.run(lake.made.admin, spelled(text))
    return caught.value


def asked(lake: LawLake) -> list[str]:
    """What the provider was asked, without the instructions."""
    return sorted(each.json()["messages"][-1]["content"] for each in lake.made.outside.requests)


def says(recorder: Recorder, answer: object) -> None:
    recorder.default = Script(text=answer if isinstance(answer, str) else json.dumps(answer))


def test_each_different_value_is_asked_once_and_null_never(lake: LawLake) -> None:
    found = rows(lake, "SELECT id, outside(body) AS said FROM notes ORDER BY id")
    assert found == [(1, "one apple"), (2, "two pears"), (3, "one apple"), (4, None), (5, "five plums")]
    assert asked(lake) == ["five plums", "one apple", "two pears"]


@pytest.mark.parametrize(
    ("text", "expected", "questions"),
    [
        ("SELECT outside('hello') AS a", [("hello",)], 1),
        ("SELECT upper(outside(concat(colour, ' ', body))) AS a FROM notes WHERE id = 2", [("ECHO: RED TWO PEARS",)], 1),
        ("SELECT id FROM notes WHERE outside(body) LIKE '%one%' AND id < 4 ORDER BY id", [(1,), (3,)], 2),
        ("SELECT count(*) FROM notes WHERE outside(body) = 'Echo: one apple'", [(2,)], 3),
        ("SELECT n.* FROM notes n WHERE outside(n.body) = 'Echo: two pears'", [(2, "red", "two pears")], 3),
        ("SELECT *, outside(body) AS a FROM notes WHERE id = 5", [(5, "green", "five plums", "five plums")], 1),
        ("SELECT outside(colour) AS c, count(*) AS n FROM notes GROUP BY c ORDER BY c", [("blue", 2), ("green", 1), ("red", 2)], 3),
        ("SELECT outside(colour), count(*) AS n FROM notes GROUP BY 1 ORDER BY 2, 1", [("green", 1), ("blue", 2), ("red", 2)], 3),
        ("SELECT colour, outside(max(body)) AS m FROM notes GROUP BY colour HAVING count(*) > 1 ORDER BY colour",
         [("blue", "one apple"), ("red", "two pears")], 2),
        ("SELECT colour AS k, outside(max(body)) AS m, count(*) AS n FROM notes GROUP BY k HAVING n = 1", [("green", "five plums", 1)], 1),
        ("SELECT count(DISTINCT outside(colour)) AS n FROM notes", [(3,)], 3),
        ("SELECT id, outside(body) AS a FROM notes ORDER BY id DESC LIMIT 1", [(5, "five plums")], 1),
        ("SELECT id, outside(body) AS a FROM notes ORDER BY 1 DESC LIMIT 1", [(5, "five plums")], 1),
        ("SELECT id AS i, outside(body) AS a FROM notes ORDER BY i LIMIT 2 OFFSET 1", [(2, "two pears"), (3, "one apple")], 2),
        ("SELECT id, outside(body) AS a FROM notes ORDER BY a NULLS FIRST, id LIMIT 2", [(4, None), (5, "five plums")], 3),
        ("SELECT DISTINCT outside(colour) AS c FROM notes ORDER BY c LIMIT 2", [("blue",), ("green",)], 3),
        ("WITH s AS (SELECT id, outside(body) AS a FROM notes WHERE id < 3) SELECT s.a || '!' AS b FROM s ORDER BY b",
         [("one apple!",), ("two pears!",)], 2),
        ("WITH s AS (SELECT * FROM notes WHERE id < 3) SELECT outside(s.body) AS a FROM s ORDER BY a", [("one apple",), ("two pears",)], 2),
        ("SELECT outside('again ' || outside(body)) AS a FROM notes WHERE id = 1", [("again one apple",)], 2),
        ("SELECT id, row_number() OVER (ORDER BY id DESC) AS r, outside(body) AS a FROM notes QUALIFY r = 1", [(5, 1, "five plums")], 1),
        ("SELECT a.id, outside(b.body) AS s FROM notes a JOIN notes b ON a.id = b.id + 1 WHERE a.id = 2", [(2, "one apple")], 1),
        ("SELECT outside(x) AS a FROM VALUES ('p'), ('q') AS v(x) UNION ALL SELECT 'r' ORDER BY a", [("p",), ("q",), ("r",)], 2),
        ("SELECT (SELECT count(*) FROM notes WHERE outside(body) LIKE '%apple') AS n, outside('x') AS a", [(2, "x")], 4),
        ("SELECT (SELECT outside(max(body)) FROM notes) AS a", [("two pears",)], 1),
        ("SELECT id, rand() < 2 AS sure, outside(body) AS a FROM notes WHERE id = 1", [(1, True, "one apple")], 1),
    ],
)  # fmt: skip
def test_places_where_a_model_is_asked(lake: LawLake, text: str, expected: list[tuple[Any, ...]], questions: int) -> None:
    assert rows(lake, text) == expected
    assert len(lake.made.outside.requests) == questions


@pytest.mark.parametrize(
    "text",
    [
        "SELECT transform(array('a'), x -> outside(x)) AS a",
        "SELECT a.id FROM notes a JOIN notes b ON outside(a.body) = b.body",
        "SELECT colour FROM notes GROUP BY colour HAVING outside(max(body)) = 'x'",
        "SELECT (SELECT outside(n.body)) AS a FROM notes n",
        "UPDATE notes SET body = outside(body)",
        "DELETE FROM notes WHERE outside(body) = 'x'",
        "SELECT ai_classify(body, array(colour)) AS a FROM notes",
        "SELECT outside(body, files => colour) AS a FROM notes",
    ],
)
def test_what_cannot_be_asked_is_refused_by_name_before_anything_is_sent(lake: LawLake, text: str) -> None:
    error = refused(lake, text)
    assert error.code in {"UNSUPPORTED_FEATURE", "UNRESOLVED_COLUMN"}, error
    assert not lake.made.outside.requests


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        ("ai_classify(body, array('urgent', 'not urgent'), endpoint => 'outside')", {"answer": "not urgent"}, "not urgent"),
        ("ai_classify(body, array('urgent', 'calm'), endpoint => 'outside')", "It is Urgent.", "urgent"),
        ("ai_classify(body, array('urgent', 'calm'), endpoint => 'outside')", "neither urgent nor calm", None),
        ("ai_analyze_sentiment(body, endpoint => 'outside')", {"answer": "mixed"}, "mixed"),
        (
            "ai_extract(body, array('fruit', 'city'), endpoint => 'outside')",
            {"fruit": "apple", "city": ""},
            {"fruit": "apple", "city": None},
        ),
        ("ai_summarize(body, 5, endpoint => 'outside')", " short ", "short"),
        ("ai_translate(body, 'sv', endpoint => 'outside')", "ett äpple", "ett äpple"),
        ("ai_mask(body, array('fruit'), endpoint => 'outside')", "one [MASKED]", "one [MASKED]"),
        ("ai_fix_grammar(body, endpoint => 'outside')", "One apple.", "One apple."),
        ("ai_gen(body, endpoint => 'outside')", "a poem", "a poem"),
        ("outside(body, returnType => 'INT')", {"answer": 7}, 7),
        ("outside(body, returnType => 'INT')", "7", 7),
        ("outside(body, 'STRUCT<a: INT, b: ARRAY<STRING>>')", {"a": 1, "B": ["x"]}, {"a": 1, "b": ["x"]}),
        ("outside(body, 'a INT, d DATE')", {"a": 1, "d": "2024-02-29"}, {"a": 1, "d": date(2024, 2, 29)}),
        ("outside(body, returnType => 'DECIMAL(5,2)')", {"answer": 1.5}, Decimal("1.50")),
        ("outside(body, failOnError => false)", "fine", {"result": "fine", "errorMessage": None}),
        ("outside(body, responseFormat => 'STRUCT<answer: STRUCT<a: INT>>')", '{"a": 1}', '{"a": 1}'),
        ("outside(body, modelParameters => named_struct('max_tokens', 9, 'temperature', 0.5))", "nine", "nine"),
    ],
)
def test_values_in_answers(lake: LawLake, call: str, answer: object, expected: object) -> None:
    says(lake.made.outside, answer)
    assert rows(lake, f"SELECT {call} AS a FROM notes WHERE id = 1") == [(expected,)]
    (sent,) = [each.json() for each in lake.made.outside.requests]
    assert sent["messages"][-1] == {"role": "user", "content": "one apple"}
    if "max_tokens" in call:
        assert (sent["max_tokens"], sent["temperature"]) == (9, 0.5)
    if isinstance(answer, dict) or "STRUCT" in call:
        assert sent["response_format"]["json_schema"]["schema"]["type"] == "object"


def test_similarity_is_counted_from_vectors(lake: LawLake) -> None:
    found = rows(lake, "SELECT id, ai_similarity(body, 'one apple') AS s FROM notes ORDER BY id")
    assert found[0][1] == pytest.approx(1.0)
    assert found[2][1] == pytest.approx(1.0)
    assert found[1][1] < 0.999
    assert found[3] == (4, None)


def test_a_failure_is_an_error_or_a_null_beside_its_reason(lake: LawLake) -> None:
    recorder = lake.made.outside
    recorder.default = Script(text="no number")
    assert refused(lake, "SELECT outside(body, returnType => 'INT') AS a FROM notes").code == "MODEL_ANSWER_UNFIT"
    told = "SELECT id, outside(body, returnType => 'INT', failOnError => false) AS a FROM notes WHERE id IN (1, 4) ORDER BY id"
    assert rows(lake, told) == [
        (1, {"result": None, "errorMessage": "The model's answer does not hold a value of type `int`."}),
        (4, None),
    ]
    recorder.default = Script(fault=Fault.STATUS, status=500)
    assert refused(lake, "SELECT outside(body) AS a FROM notes").code == "PROVIDER_FAILED"
    ((only,),) = rows(lake, "SELECT outside(body, failOnError => false).errorMessage AS a FROM notes WHERE id = 1")
    assert "500" in only


def test_answers_are_written_and_views_ask_whoever_reads_them(lake: LawLake) -> None:
    lake.must(
        spelled("CREATE OR REPLACE TABLE said AS SELECT id, outside(body) AS answer FROM notes WHERE id < 3"),
        spelled("INSERT INTO said SELECT id, outside(body) FROM notes WHERE id = 5"),
        spelled("CREATE OR REPLACE VIEW asking AS SELECT id, outside(body) AS answer FROM notes WHERE id = 2"),
    )
    assert rows(lake, "SELECT * FROM said ORDER BY id") == [(1, "one apple"), (2, "two pears"), (5, "five plums")]
    lake.made.outside.clear()
    assert rows(lake, "SELECT upper(answer) AS a FROM asking") == [("ECHO: TWO PEARS",)]
    assert len(lake.made.outside.requests) == 1
    lines = rows(lake, "EXPLAIN SELECT answer FROM asking")[0][0]
    assert "ai_query outside" in lines
    assert len(lake.made.outside.requests) == 1, "a plan asks nobody"
    lineage = lake.run(
        lake.made.admin,
        "SELECT source_column_name FROM system.access.column_lineage WHERE target_table_name = 'said' AND target_column_name = 'answer'",
    )
    assert "body" in lineage.table.column(0).to_pylist()


def test_a_statement_asks_so_often_and_no_more(lake: LawLake) -> None:
    error = refused(lake, "SELECT outside(CAST(id AS STRING)) AS a FROM range(10001)")
    assert error.code == "MODEL_INPUTS_TOO_MANY"
    assert not lake.made.outside.requests


def test_a_statement_that_waits_for_models_can_be_stopped(lake: LawLake) -> None:
    lake.made.outside.default = Script(fault=Fault.HANG)
    ctx, statements = lake.made.admin, lake.sql.statements
    statement = statements.submit(ctx, StatementSpec(spelled("SELECT outside(body) AS a FROM notes")))
    until(lambda: len(lake.made.outside.requests) >= 3)
    statements.cancel(ctx, statement.id)
    ended = statements.wait(ctx, statement.id, 60.0)
    assert ended.state is StatementState.CANCELED


def test_each_question_is_metered_as_the_caller(lake: LawLake) -> None:
    person = lake.made.person("mette")
    lake.must("GRANT USE CATALOG, USE SCHEMA, SELECT ON CATALOG main TO `mette`")
    error = next(iter(_refusals(lake, person, "SELECT outside(body) AS a FROM main.default.notes")))
    assert error.code == "ENDPOINT_NOT_FOUND"
    assert not lake.made.outside.requests
    lake.made.grant("mette", "outside")
    lake.run(person, spelled("SELECT outside(body) AS a FROM main.default.notes"))
    by_user = {row["key"]: row["requests"] for row in lake.made.gateway.usage.aggregate(lake.made.admin, "principal")}
    assert by_user["mette"] == 3


def _refusals(lake: LawLake, ctx: RequestContext, text: str) -> Iterator[InsjoError]:
    try:
        lake.run(ctx, spelled(text))
    except InsjoError as error:
        yield error
