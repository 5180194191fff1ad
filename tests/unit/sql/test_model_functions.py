"""Functions that ask models, over real tables and real workers; a recording provider answers by repeating the question."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from insjo.access.types import Level
from insjo.kernel.errors import InsjoError
from insjo.testing.recorder import Recorder, Script
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
    """The statement with `ask(...)` in full."""
    return text.replace("ask(", "ai_query('outside', ")


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
    found = rows(lake, "SELECT id, ask(body) AS said FROM notes ORDER BY id")
    assert found == [(1, "one apple"), (2, "two pears"), (3, "one apple"), (4, None), (5, "five plums")]
    assert asked(lake) == ["five plums", "one apple", "two pears"]


@pytest.mark.parametrize(
    ("text", "expected", "questions"),
    [
        ("SELECT ask('hello') AS a", [("hello",)], 1),
        ("SELECT upper(ask(concat(colour, ' ', body))) AS a FROM notes WHERE id = 2", [("ECHO: RED TWO PEARS",)], 1),
        ("SELECT id FROM notes WHERE ask(body) LIKE '%one%' AND id < 4 ORDER BY id", [(1,), (3,)], 2),
        ("SELECT count(*) FROM notes WHERE ask(body) = 'Echo: one apple'", [(2,)], 3),
        ("SELECT n.* FROM notes n WHERE ask(n.body) = 'Echo: two pears'", [(2, "red", "two pears")], 3),
        ("SELECT *, ask(body) AS a FROM notes WHERE id = 5", [(5, "green", "five plums", "five plums")], 1),
        ("SELECT ask(colour) AS c, count(*) AS n FROM notes GROUP BY c ORDER BY c", [("blue", 2), ("green", 1), ("red", 2)], 3),
        ("SELECT ask(colour), count(*) AS n FROM notes GROUP BY 1 ORDER BY 2, 1", [("green", 1), ("blue", 2), ("red", 2)], 3),
        ("SELECT colour, ask(max(body)) AS m FROM notes GROUP BY colour HAVING count(*) > 1 ORDER BY colour",
         [("blue", "one apple"), ("red", "two pears")], 2),
        ("SELECT colour AS k, ask(max(body)) AS m, count(*) AS n FROM notes GROUP BY k HAVING n = 1", [("green", "five plums", 1)], 1),
        ("SELECT count(DISTINCT ask(colour)) AS n FROM notes", [(3,)], 3),
        ("SELECT id, ask(body) AS a FROM notes ORDER BY id DESC LIMIT 1", [(5, "five plums")], 1),
        ("SELECT id, ask(body) AS a FROM notes ORDER BY 1 DESC LIMIT 1", [(5, "five plums")], 1),
        ("SELECT id AS i, ask(body) AS a FROM notes ORDER BY i LIMIT 2 OFFSET 1", [(2, "two pears"), (3, "one apple")], 2),
        ("SELECT id, ask(body) AS a FROM notes ORDER BY a NULLS FIRST, id LIMIT 2", [(4, None), (5, "five plums")], 3),
        ("SELECT DISTINCT ask(colour) AS c FROM notes ORDER BY c LIMIT 2", [("blue",), ("green",)], 3),
        ("WITH s AS (SELECT id, ask(body) AS a FROM notes WHERE id < 3) SELECT s.a || '!' AS b FROM s ORDER BY b",
         [("one apple!",), ("two pears!",)], 2),
        ("WITH s AS (SELECT * FROM notes WHERE id < 3) SELECT ask(s.body) AS a FROM s ORDER BY a", [("one apple",), ("two pears",)], 2),
        ("SELECT ask('again ' || ask(body)) AS a FROM notes WHERE id = 1", [("again one apple",)], 2),
        ("SELECT id, row_number() OVER (ORDER BY id DESC) AS r, ask(body) AS a FROM notes QUALIFY r = 1", [(5, 1, "five plums")], 1),
        ("SELECT a.id, ask(b.body) AS s FROM notes a JOIN notes b ON a.id = b.id + 1 WHERE a.id = 2", [(2, "one apple")], 1),
        ("SELECT ask(x) AS a FROM VALUES ('p'), ('q') AS v(x) UNION ALL SELECT 'r' ORDER BY a", [("p",), ("q",), ("r",)], 2),
        ("SELECT (SELECT ask(max(body)) FROM notes) AS a", [("two pears",)], 1),
        ("SELECT id, rand() < 2 AS sure, ask(body) AS a FROM notes WHERE id = 1", [(1, True, "one apple")], 1),
    ],
)  # fmt: skip
def test_places_where_a_model_is_asked(lake: LawLake, text: str, expected: list[tuple[Any, ...]], questions: int) -> None:
    assert rows(lake, text) == expected
    assert len(lake.made.outside.requests) == questions


@pytest.mark.parametrize(
    "text",
    [
        "SELECT transform(array('a'), x -> ask(x)) AS a",
        "SELECT a.id FROM notes a JOIN notes b ON ask(a.body) = b.body",
        "SELECT colour FROM notes GROUP BY colour HAVING ask(max(body)) = 'x'",
        "SELECT (SELECT ask(n.body)) AS a FROM notes n",
        "UPDATE notes SET body = ask(body)",
        "DELETE FROM notes WHERE ask(body) = 'x'",
        "SELECT ai_classify(body, array(colour)) AS a FROM notes",
        "SELECT ask(body, files => colour) AS a FROM notes",
    ],
)
def test_what_cannot_be_asked_is_refused_by_name_before_anything_is_sent(lake: LawLake, text: str) -> None:
    error = refused(lake, text)
    assert error.code in {"UNSUPPORTED_FEATURE", "UNRESOLVED_COLUMN"}, error
    assert not lake.made.outside.requests
