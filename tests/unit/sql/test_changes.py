from __future__ import annotations

import threading

import pytest

from insjo.kernel.errors import InsjoError
from insjo.sql.errors import (
    ColumnCountMismatch,
    MergeAmbiguous,
    NonDeterministic,
    NotNullViolated,
    StatementFailed,
    UnresolvedColumn,
)
from tests.support.desk import Desk

pytestmark = pytest.mark.slow


@pytest.fixture
def people(desk: Desk) -> Desk:
    """A table `people` in three files."""
    desk.run("CREATE TABLE people (id INT, name STRING, pay DECIMAL(10, 2))")
    desk.run("INSERT INTO people VALUES (1, 'a', 10), (2, 'b', 20)")
    desk.run("INSERT INTO people VALUES (3, 'c', 30)")
    desk.run("INSERT INTO people VALUES (4, NULL, NULL)")
    return desk


def _files(desk: Desk, name: str = "people") -> set[str]:
    table = desk.lake.room.tables.get(desk.ctx, f"main.desk.{name}")
    return {file.path for file in desk.lake.room.tables.snapshot(table.id).files}


def test_insert_counts_and_casts(people: Desk) -> None:
    result = people.run("INSERT INTO people SELECT '5', 6, 7.456")
    assert result.table.to_pylist() == [{"num_affected_rows": 1, "num_inserted_rows": 1}]
    assert people.rows("SELECT id, name, CAST(pay AS STRING) FROM people WHERE id = 5") == [(5, "6", "7.46")]


def test_what_cannot_be_stored_is_an_error_and_nothing_is_written(people: Desk) -> None:
    before = _files(people)
    assert people.error("INSERT INTO people VALUES ('x', 'y', 1)").code == "CAST_INVALID_INPUT"
    assert isinstance(people.error("INSERT INTO people VALUES (3000000000, 'y', 1)"), StatementFailed)
    assert isinstance(people.error("INSERT INTO people VALUES (1, 'y')"), ColumnCountMismatch)
    assert isinstance(people.error("INSERT INTO people (id, nope) VALUES (1, 'y')"), UnresolvedColumn)
    assert isinstance(people.error("INSERT INTO people (id, id) VALUES (1, 2)"), ColumnCountMismatch)
    assert isinstance(people.error("INSERT INTO people BY NAME SELECT 1 AS id, 2 AS other"), UnresolvedColumn)
    assert _files(people) == before
    folder = people.lake.room.tables.get(people.ctx, "main.desk.people").location
    from pathlib import Path

    assert {str(path) for path in Path(folder).rglob("*.parquet")} == before


def test_insert_by_columns_by_name_and_default(people: Desk) -> None:
    people.run("INSERT INTO people (name, id) VALUES ('x', 10)")
    people.run("INSERT INTO people BY NAME SELECT 'y' AS NAME, 11 AS id")
    people.run("INSERT INTO people VALUES (12, DEFAULT, DEFAULT)")
    people.run("WITH s AS (SELECT 13 AS i) INSERT INTO people (id) SELECT i FROM s")
    people.run("INSERT INTO people TABLE people")
    assert people.rows("SELECT id, name FROM people WHERE id > 9 ORDER BY id, name") == [
        (each, name) for each, name in ((10, "x"), (11, "y"), (12, None), (13, None)) for _ in range(2)
    ]


def test_a_column_that_may_not_be_null(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT NOT NULL, b STRING, c STRUCT<x: INT> NOT NULL)")
    desk.run("INSERT INTO t VALUES (1, 'x', named_struct('x', 1))")
    for text in (
        "INSERT INTO t VALUES (NULL, 'x', named_struct('x', 1))",
        "INSERT INTO t (b, c) VALUES ('x', named_struct('x', 1))",
        "INSERT INTO t VALUES (1, 'x', NULL)",
        "UPDATE t SET id = NULL",
        "MERGE INTO t USING (SELECT 9 AS k) s ON t.id = s.k WHEN NOT MATCHED THEN INSERT (b) VALUES ('q')",
    ):
        assert isinstance(desk.error(text), NotNullViolated), text
    assert desk.value("SELECT count(*) FROM t") == 1


def test_overwrite(people: Desk) -> None:
    people.run("INSERT OVERWRITE people SELECT 9, 'z', 1")
    assert people.rows("SELECT id FROM people") == [(9,)]
    people.run("INSERT OVERWRITE people SELECT * FROM people WHERE false")
    assert people.rows("SELECT id FROM people") == []
    assert people.value("SELECT count(*) FROM people VERSION AS OF 3") == 4


def test_overwriting_a_table_with_itself(people: Desk) -> None:
    people.run("INSERT OVERWRITE people SELECT id + 100, name, pay FROM people")
    assert people.rows("SELECT id FROM people ORDER BY 1") == [(101,), (102,), (103,), (104,)]


def test_overwriting_one_partition(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, p STRING) PARTITIONED BY (p)")
    desk.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    desk.run("INSERT OVERWRITE t PARTITION (p = 'a') SELECT 9")
    assert desk.rows("SELECT id, p FROM t ORDER BY id") == [(2, "b"), (9, "a")]
    desk.run("INSERT INTO t PARTITION (p = 'c') VALUES (7)")
    assert desk.rows("SELECT id FROM t WHERE p = 'c'") == [(7,)]


def test_replace_where(people: Desk) -> None:
    people.run("INSERT INTO people REPLACE WHERE id >= 2 SELECT 7, 'n', 1")
    assert people.rows("SELECT id FROM people ORDER BY id") == [(1,), (7,)]
    assert people.error("INSERT INTO people REPLACE WHERE id >= 2 SELECT 1, 'n', 1").code == "INVALID_PARAMETER_VALUE"
    assert people.rows("SELECT id FROM people ORDER BY id") == [(1,), (7,)]


def test_update_rewrites_only_files_with_hits(people: Desk) -> None:
    before = _files(people)
    assert people.run("UPDATE people SET pay = pay * 2, name = upper(name) WHERE id = 1").table.to_pylist() == [{"num_affected_rows": 1}]
    after = _files(people)
    assert len(before & after) == 2
    assert people.rows("SELECT id, name, CAST(pay AS STRING) FROM people ORDER BY id") == [
        (1, "A", "20.00"),
        (2, "b", "20.00"),
        (3, "c", "30.00"),
        (4, None, None),
    ]


def test_update_reads_the_old_values_and_only_where_it_hits(people: Desk) -> None:
    people.run("UPDATE people p SET pay = 60 / (p.id - 3), id = p.id + 4 WHERE p.id <> 3")
    assert people.rows("SELECT id, CAST(pay AS INT) FROM people ORDER BY id") == [(3, 30), (5, -30), (6, -60), (8, 60)]
    people.run("UPDATE people SET name = 'q'")
    assert people.value("SELECT count(*) FROM people WHERE name = 'q'") == 4


def test_update_with_subqueries(people: Desk) -> None:
    people.run("CREATE TABLE raises (id INT, more INT)")
    people.run("INSERT INTO raises VALUES (1, 5), (3, 7)")
    people.run("UPDATE people SET pay = pay + (SELECT max(more) FROM raises r WHERE r.id = people.id) WHERE id IN (SELECT id FROM raises)")
    assert people.rows("SELECT CAST(pay AS INT) FROM people ORDER BY id") == [(15,), (20,), (37,), (None,)]


def test_nothing_to_update_commits_nothing(people: Desk) -> None:
    before = people.rows("DESCRIBE HISTORY people")
    assert people.value("UPDATE people SET pay = 0 WHERE id = 99") == 0
    assert people.value("DELETE FROM people WHERE id = 99") == 0
    assert people.rows("DESCRIBE HISTORY people") == before


def test_errors_of_update(people: Desk) -> None:
    assert isinstance(people.error("UPDATE people SET nam = 'x'"), UnresolvedColumn)
    assert people.error("UPDATE people SET nam = 'x'").hint == "Did you mean `name`?"
    assert isinstance(people.error("UPDATE people SET id = 1 WHERE rand() < 0.5"), NonDeterministic)
    assert people.error("UPDATE people SET id = 1, id = 2").code == "INVALID_PARAMETER_VALUE"
    assert people.error("UPDATE people SET id = 1 / 0").code == "DIVIDE_BY_ZERO"
    assert people.value("SELECT count(*) FROM people") == 4


def test_delete(people: Desk) -> None:
    assert people.value("DELETE FROM people WHERE pay > 15") == 2
    assert people.rows("SELECT id FROM people ORDER BY id") == [(1,), (4,)]
    assert people.value("DELETE FROM people AS p WHERE p.name IS NULL") == 1
    assert people.value("DELETE FROM main.desk.people WHERE main.desk.people.id = 1") == 1
    assert people.value("DELETE FROM people") == 0


def test_delete_all_and_truncate(people: Desk) -> None:
    assert people.value("DELETE FROM people") == 4
    people.run("RESTORE TABLE people TO VERSION AS OF 3")
    assert people.value("SELECT count(*) FROM people") == 4
    people.run("TRUNCATE TABLE people")
    assert people.value("SELECT count(*) FROM people") == 0


def test_changes_of_partitioned_tables(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, p STRING) PARTITIONED BY (p)")
    desk.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, 'b')")
    desk.run("UPDATE t SET p = 'moved' WHERE id = 2")
    desk.run("DELETE FROM t WHERE p IS NULL")
    assert desk.rows("SELECT id, p FROM t ORDER BY id") == [(1, "a"), (2, "moved"), (4, "b")]
    desk.run("MERGE INTO t USING (SELECT 1 AS id, 'z' AS p UNION ALL SELECT 8, 'b') s ON t.id = s.id "
             "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")  # fmt: skip
    assert desk.rows("SELECT id, p FROM t ORDER BY id") == [(1, "z"), (2, "moved"), (4, "b"), (8, "b")]


@pytest.fixture
def merging(people: Desk) -> Desk:
    """A source `news` with one row to update, one to delete and one to insert."""
    people.run("CREATE TABLE news (id INT, name STRING, pay DECIMAL(10, 2), op STRING)")
    people.run("INSERT INTO news VALUES (1, 'A', 11, 'U'), (3, 'C', 0, 'D'), (9, 'N', 90, 'I')")
    return people


def test_merge_in_full(merging: Desk) -> None:
    result = merging.run(
        "MERGE INTO people t USING news s ON t.id = s.id "
        "WHEN MATCHED AND s.op = 'D' THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET name = s.name, t.pay = s.pay + t.pay "
        "WHEN NOT MATCHED AND s.op = 'I' THEN INSERT (id, name) VALUES (s.id, lower(s.name)) "
        "WHEN NOT MATCHED BY SOURCE AND t.name IS NULL THEN UPDATE SET name = 'none' "
        "WHEN NOT MATCHED BY SOURCE THEN DELETE",
    )
    assert result.table.to_pylist() == [
        {"num_affected_rows": 5, "num_updated_rows": 2, "num_deleted_rows": 2, "num_inserted_rows": 1},
    ]
    assert merging.rows("SELECT id, name, CAST(pay AS INT) FROM people ORDER BY id") == [(1, "A", 21), (4, "none", None), (9, "n", None)]


def test_merge_touches_only_files_with_changes(merging: Desk) -> None:
    before = _files(merging)
    merging.run("MERGE INTO people USING news ON people.id = news.id WHEN MATCHED AND op = 'U' THEN UPDATE SET pay = 0")
    assert len(before & _files(merging)) == 2
    only_inserts = _files(merging)
    merging.run("MERGE INTO people t USING news s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, name, pay) VALUES (s.id, s.name, s.pay)")
    assert only_inserts < _files(merging)


def test_merge_that_changes_nothing_commits_nothing(merging: Desk) -> None:
    before = merging.rows("DESCRIBE HISTORY people")
    merging.run("MERGE INTO people t USING news s ON t.id = s.id WHEN MATCHED AND false THEN DELETE")
    assert merging.rows("DESCRIBE HISTORY people") == before


def test_merge_refuses_two_rows_for_one(merging: Desk) -> None:
    merging.run("INSERT INTO news VALUES (1, 'B', 12, 'U')")
    text = "MERGE INTO people t USING news s ON t.id = s.id WHEN MATCHED THEN UPDATE SET pay = s.pay"
    assert isinstance(merging.error(text), MergeAmbiguous)
    merging.run(text.replace("WHEN MATCHED", "WHEN MATCHED AND s.name = 'B'"))
    assert merging.value("SELECT CAST(pay AS INT) FROM people WHERE id = 1") == 12
    counts = merging.run("MERGE INTO people t USING news s ON t.id = s.id WHEN MATCHED THEN DELETE").table.to_pylist()[0]
    assert counts["num_deleted_rows"] == 2


def test_merge_from_a_query_computes_it_once(merging: Desk) -> None:
    merging.run("MERGE INTO people t USING (SELECT CAST(rand() * 0 + 50 AS INT) AS id, uuid() AS name) s ON t.id = s.id "
                "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)")  # fmt: skip
    assert merging.value("SELECT count(*) FROM people WHERE id = 50 AND length(name) = 36") == 1


def test_merge_on_any_condition_and_with_nulls(merging: Desk) -> None:
    merging.run("INSERT INTO news VALUES (NULL, 'null', 1, 'I')")
    merging.run("MERGE INTO people t USING news s ON t.id <=> s.id OR t.pay < s.pay - 70 "
                "WHEN MATCHED AND s.op = 'U' THEN UPDATE SET name = 'hit' WHEN NOT MATCHED THEN INSERT (name) VALUES (s.name)")  # fmt: skip
    assert merging.rows("SELECT id, name FROM people WHERE id = 1 OR id IS NULL ORDER BY id") == [(None, "null"), (1, "hit")]


def test_merge_into_itself_and_into_an_empty_table(merging: Desk) -> None:
    merging.run("MERGE INTO people t USING people s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = concat(s.name, '!')")
    assert merging.value("SELECT name FROM people WHERE id = 1") == "a!"
    merging.run("CREATE TABLE empty LIKE people")
    merging.run("MERGE INTO empty t USING people s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *")
    assert merging.value("SELECT count(*) FROM empty") == 4


def test_errors_of_merge(merging: Desk) -> None:
    start = "MERGE INTO people t USING news s ON t.id = s.id "
    assert isinstance(merging.error(start + "WHEN MATCHED THEN UPDATE SET nope = 1"), UnresolvedColumn)
    assert isinstance(merging.error(start + "WHEN NOT MATCHED THEN INSERT (id) VALUES (1, 2)"), ColumnCountMismatch)
    assert isinstance(merging.error("MERGE INTO news t USING people s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *"), UnresolvedColumn)
    assert merging.error(start + "WHEN MATCHED THEN DELETE WHEN MATCHED THEN DELETE").code == "INVALID_PARAMETER_VALUE"
    assert merging.error(start + "WHEN MATCHED THEN UPDATE SET s.pay = 1").code == "INVALID_PARAMETER_VALUE"


def test_writers_of_one_table_take_turns(desk: Desk) -> None:
    desk.run("CREATE TABLE counter (n INT)")
    desk.run("INSERT INTO counter VALUES (0)")
    errors: list[InsjoError] = []

    def work() -> None:
        try:
            for _ in range(4):
                desk.run("UPDATE counter SET n = n + 1")
        except InsjoError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert desk.value("SELECT n FROM counter") == 16


def test_ctas_keeps_types_and_refuses_what_cannot_be_stored(people: Desk) -> None:
    people.run(
        "CREATE TABLE copy COMMENT 'c' TBLPROPERTIES ('k' = 'v') AS SELECT id, pay, array(1, 2) AS xs, current_date() AS d FROM people"
    )
    assert people.rows("DESCRIBE copy") == [
        ("id", "int", None),
        ("pay", "decimal(10,2)", None),
        ("xs", "array<int>", None),
        ("d", "date", None),
    ]
    assert people.value("SELECT count(*) FROM copy") == 4
    assert people.error("CREATE TABLE bad AS SELECT NULL AS x").hint.startswith("Write for example")
    assert people.error("CREATE TABLE bad AS SELECT count(*) FROM people").code == "INVALID_PARAMETER_VALUE"
    assert people.error("CREATE TABLE bad AS SELECT id, ID FROM people").code == "INVALID_PARAMETER_VALUE"
    assert people.error("CREATE TABLE copy AS SELECT 1 AS x").code == "TABLE_OR_VIEW_ALREADY_EXISTS"
    people.run("CREATE TABLE IF NOT EXISTS copy AS SELECT 1 AS x")
    assert people.error("CREATE TABLE bad AS SELECT CAST('x' AS INT) AS x").code == "CAST_INVALID_INPUT"
    assert people.error("SELECT * FROM bad").code == "TABLE_OR_VIEW_NOT_FOUND"


def test_replacing_a_table_keeps_its_history(people: Desk) -> None:
    people.run("CREATE OR REPLACE TABLE people AS SELECT id, 'new' AS other FROM people WHERE id < 3")
    assert people.rows("SELECT * FROM people ORDER BY id") == [(1, "new"), (2, "new")]
    assert people.value("SELECT count(*) FROM people VERSION AS OF 3") == 4
    assert people.error("CREATE OR REPLACE TABLE people AS SELECT 1 / 0 AS x").code == "DIVIDE_BY_ZERO"
    assert people.value("SELECT count(*) FROM people") == 2


def test_optimize_keeps_the_rows(people: Desk) -> None:
    rows = people.rows("SELECT * FROM people ORDER BY id")
    people.run("OPTIMIZE people")
    assert len(_files(people)) == 1
    assert people.rows("SELECT * FROM people ORDER BY id") == rows


def test_inserts_that_replace_what_matches(desk: Desk) -> None:
    desk.run("CREATE TABLE r (id INT, g STRING)")
    desk.run("INSERT INTO r VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, NULL)")
    desk.run("INSERT INTO r AS target REPLACE ON (target.g <=> temp.g) (SELECT 10 AS id, 'a' AS g UNION ALL SELECT 40, NULL) AS temp")
    assert desk.rows("SELECT * FROM r ORDER BY id") == [(2, "b"), (3, "c"), (10, "a"), (40, None)]
    desk.run("INSERT INTO r REPLACE USING (g) VALUES (11, 'a'), (41, NULL)")
    assert desk.rows("SELECT * FROM r ORDER BY id") == [(2, "b"), (3, "c"), (11, "a"), (40, None), (41, None)]
    desk.run("INSERT INTO r AS x REPLACE ON (x.id = s.col1) (VALUES (2, 'two')) AS s")
    assert desk.rows("SELECT g FROM r WHERE id = 2") == [("two",)]
    assert desk.error("INSERT INTO r REPLACE USING (other) VALUES (11, 'a')").code == "UNRESOLVED_COLUMN"
    assert desk.error("INSERT INTO r AS t REPLACE ON (t.id = s.id) (SELECT CAST(rand() AS INT) AS id, 'x') AS s").kind == "INVALID_ARGUMENT"
    assert desk.value("SELECT count(*) FROM r") == 5
