"""What Insjö adds to COPY INTO: a quarantine for bad rows, replacing, merging by key, and loads that are done once."""

from __future__ import annotations

from pathlib import Path

import pytest

from insjo.access.types import Label, Level, SecurableKind
from insjo.catalog.types import TableName
from insjo.sql.errors import CopySchemaMismatch, FileOptionInvalid, FileReadFailed, MergeAmbiguous, QuarantineRefused
from tests.support.desk import Desk
from tests.support.workbook import workbook

pytestmark = pytest.mark.slow

GOOD = "id,name,born\n1,a,2020-01-02\n2,b,\n"
BAD = 'id,name,born\n1,a,2020-01-02\nx,b,2020-01-02\n3,c,never\n4,d\n5,e,2020-01-01,9\n6,"f\n7,g,2021-01-01\n'


@pytest.fixture
def people(desk: Desk) -> Desk:
    desk.run("CREATE TABLE people (id INT, name STRING, born DATE)")
    return desk


MERGED = "COPY_OPTIONS ('mode' = 'merge', 'mergeKeys' = 'id'"


def copy(desk: Desk, path: str, options: str = "", *, kind: str = "CSV", table: str = "people") -> dict[str, int]:
    header = "FORMAT_OPTIONS ('header' = 'true')" if kind == "CSV" else ""
    found = desk.run(f"COPY INTO {table} FROM '{path}' FILEFORMAT = {kind} {header} COPY_OPTIONS ('force' = 'true'{options})").table
    return dict(found.to_pylist()[0])


def quarantined(desk: Desk, table: str = "people") -> list[tuple[object, ...]]:
    return desk.rows(f"SELECT line, column_name, reason, row_text FROM {table}_quarantine ORDER BY line")


def test_bad_rows_of_csv_are_kept_with_line_and_reason(people: Desk) -> None:
    path = people.put("bad.csv", BAD)
    assert isinstance(people.error(f"COPY INTO people FROM '{path}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')"), FileReadFailed)
    assert copy(people, path, ", 'quarantine' = 'true'")["num_quarantined_rows"] == 5
    assert people.rows("SELECT id, name FROM people") == [(1, "a")]
    assert quarantined(people) == [
        (3, "id", "The value `x` of the column `id` is not of the type integer.", "x,b,2020-01-02"),
        (4, "born", "The value `never` of the column `born` is not of the type date.", "3,c,never"),
        (5, None, "It has 2 columns, and 3 are expected.", "4,d"),
        (6, None, "It has 4 columns, and 3 are expected.", "5,e,2020-01-01,9"),
        (7, None, "A quote is not closed, or stands where none may.", '6,"f\n7,g,2021-01-01'),
    ]
    assert people.value("SELECT DISTINCT file FROM people_quarantine") == path
    assert copy(people, people.put("good.csv", GOOD), ", 'quarantine' = 'true'") == {
        "num_affected_rows": 2,
        "num_inserted_rows": 2,
        "num_skipped_corrupt_files": 0,
        "num_quarantined_rows": 0,
    }


def test_bad_rows_of_json_excel_and_parquet(people: Desk) -> None:
    path = people.put("a.jsonl", '{"id": 1, "name": "a"}\nnope\n{"id": "x"}\n{"id": 2, "born": "2020-01-02"}\n')
    assert copy(people, path, ", 'quarantine' = 'true'", kind="JSON")["num_quarantined_rows"] == 2
    assert quarantined(people) == [
        (2, None, "It is not valid JSON.", "nope"),
        (3, "id", "The value of `id` is not of its type.", '{"id": "x"}'),
    ]
    book = people.put("a.xlsx", workbook({"A": [["id", "name"], [7, "x"], ["seven", "y"]]}))
    people.run("CREATE TABLE sheet (id INT, name STRING)")
    assert copy(people, book, ", 'quarantine' = 'true'", kind="EXCEL", table="sheet")["num_quarantined_rows"] == 1
    assert quarantined(people, "sheet") == [(3, "id", "The value `seven` of the column `id` is not of the type integer.", "seven,y")]
    people.run("CREATE TABLE texts (id STRING, n INT)")
    people.run("INSERT INTO texts VALUES ('1', 1), ('x', 2)")
    (texts,) = people.lake.room.tables.resolve_many(people.ctx, [TableName("main", "desk", "texts")])
    assert texts.snapshot is not None
    parquet = people.put("a.parquet", Path(texts.snapshot.files[0].path).read_bytes())
    people.run("CREATE TABLE numbers (id INT, n INT)")
    assert copy(people, parquet, ", 'quarantine' = 'true'", kind="PARQUET", table="numbers")["num_quarantined_rows"] == 1
    assert quarantined(people, "numbers") == [(2, "id", "The value of `id` is not of its type.", '{"id":"x"}')]
    assert people.rows("SELECT * FROM numbers") == [(1, 1)]


def test_a_load_is_done_once(people: Desk) -> None:
    path = people.put("bad.csv", BAD)
    options = ", 'quarantine' = 'true', 'loadId' = 'load-1'"
    assert copy(people, path, options)["num_inserted_rows"] == 1
    assert copy(people, path, options)["num_inserted_rows"] == 0
    assert people.value("SELECT count(*) FROM people") == 1
    assert people.value("SELECT count(*) FROM people_quarantine") == 5


def test_replacing_with_the_same_or_with_other_columns(people: Desk) -> None:
    people.run("INSERT INTO people VALUES (9, 'z', NULL)")
    path = people.put("good.csv", GOOD)
    assert copy(people, path, ", 'mode' = 'replace'")["num_inserted_rows"] == 2
    assert people.rows("SELECT id FROM people ORDER BY id") == [(1,), (2,)]
    other = people.put("other.csv", "key,amount\nk,1.5\n")
    assert isinstance(
        people.error(
            f"COPY INTO people FROM '{other}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true') COPY_OPTIONS ('mode' = 'replace')"
        ),
        CopySchemaMismatch,
    )
    copy(people, other, ", 'mode' = 'replace', 'overwriteSchema' = 'true'")
    assert people.rows("SELECT * FROM people") == [("k", 1.5)]
    assert people.rows("SELECT id FROM people VERSION AS OF 2 ORDER BY id") == [(1,), (2,)]


def test_merging_by_key(people: Desk) -> None:
    people.run("INSERT INTO people VALUES (1, 'old', DATE'2000-01-01'), (9, 'stays', NULL)")
    found = copy(people, people.put("good.csv", GOOD), ", 'mode' = 'merge', 'mergeKeys' = 'id'")
    assert (found["num_updated_rows"], found["num_inserted_rows"]) == (1, 1)
    assert people.rows("SELECT id, name FROM people ORDER BY id") == [(1, "a"), (2, "b"), (9, "stays")]
    again = copy(people, people.put("good.csv", GOOD), ", 'mode' = 'merge', 'mergeKeys' = 'id'")
    assert (again["num_updated_rows"], again["num_inserted_rows"]) == (2, 0)
    bad = copy(people, people.put("bad.csv", BAD.replace("1,a", "9,new")), ", 'mode' = 'merge', 'mergeKeys' = 'id', 'quarantine' = 'true'")
    assert (bad["num_updated_rows"], bad["num_quarantined_rows"]) == (1, 5)
    assert people.value("SELECT name FROM people WHERE id = 9") == "new"
    more = people.put("more.csv", "id,city\n9,Lund\n")
    start = f"COPY INTO people FROM '{more}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true') {MERGED}"
    assert isinstance(people.error(start + ")"), CopySchemaMismatch)
    people.run(start + ", 'mergeSchema' = 'true')")
    assert people.rows("SELECT name, city FROM people WHERE id = 9") == [("new", "Lund")]


@pytest.mark.parametrize("content", ["id,name\n1,a\n1,b\n", "id,name\n1,a\n,b\n"])
def test_keys_that_would_double_rows_are_refused(people: Desk, content: str) -> None:
    path = people.put("k.csv", content)
    text = f"COPY INTO people FROM '{path}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true') {MERGED})"
    assert isinstance(people.error(text), MergeAmbiguous)
    assert people.value("SELECT count(*) FROM people") == 0


@pytest.mark.parametrize(
    "options",
    [
        "'mode' = 'merge'",
        "'mergeKeys' = 'id'",
        "'mode' = 'x'",
        "'overwriteSchema' = 'true'",
        "'loadId' = 'a b'",
        "'quarantine' = 'yes'",
        "'other' = '1'",
    ],
)
def test_options_are_checked(people: Desk, options: str) -> None:
    path = people.put("good.csv", GOOD)
    assert isinstance(people.error(f"COPY INTO people FROM '{path}' FILEFORMAT = CSV COPY_OPTIONS ({options})"), FileOptionInvalid)


def test_the_quarantine_has_the_label_owner_and_readers_of_the_table(people: Desk) -> None:
    path = people.put("bad.csv", BAD)
    people.as_("eva")
    people.as_("bo")
    people.run("GRANT USE CATALOG ON CATALOG main TO `account users`")
    people.run("GRANT USE SCHEMA ON SCHEMA main.desk TO `account users`")
    people.run("GRANT READ VOLUME ON VOLUME main.desk.files TO eva")
    people.run("GRANT MODIFY, SELECT ON TABLE people TO eva")
    access = people.lake.access
    table = access.securables.find(SecurableKind.TABLE, "main.desk.people")
    assert table is not None
    access.labels.set(people.ctx, table.id, Label(Level.SECRET, frozenset({"health"}), frozenset({"local"})))
    copy(people.as_("eva"), path, ", 'quarantine' = 'true'")
    made = access.securables.find(SecurableKind.TABLE, "main.desk.people_quarantine")
    assert made is not None
    assert made.owner_id == table.owner_id
    assert access.labels.effective(made.id).text() == access.labels.effective(table.id).text()
    assert people.as_("eva").value("SELECT count(*) FROM people_quarantine") == 5
    assert people.as_("bo").error("SELECT * FROM people_quarantine").code == people.as_("bo").error("SELECT * FROM nothing_here").code


def test_another_table_in_the_place_of_the_quarantine_is_left_alone(people: Desk) -> None:
    people.run("CREATE TABLE people_quarantine (id INT)")
    path = people.put("bad.csv", BAD)
    text = f"COPY INTO people FROM '{path}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true') COPY_OPTIONS ('quarantine' = 'true')"
    assert isinstance(people.error(text), FileOptionInvalid)
    assert people.value("SELECT count(*) FROM people") == 0


@pytest.mark.parametrize("protection", ["ALTER COLUMN name SET MASK hidden", "SET ROW FILTER shown ON (id)"])
def test_what_a_table_hides_does_not_lie_open_beside_it(people: Desk, protection: str) -> None:
    people.run("CREATE FUNCTION hidden(x STRING) RETURNS STRING RETURN '***'")
    people.run("CREATE FUNCTION shown(x INT) RETURNS BOOLEAN RETURN x < 0")
    people.run(f"ALTER TABLE people {protection}")
    path = people.put("bad.csv", BAD)
    text = f"COPY INTO people FROM '{path}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true') COPY_OPTIONS ('quarantine' = 'true')"
    assert isinstance(people.error(text), QuarantineRefused)
    assert people.rows("SHOW TABLES LIKE 'people_quarantine'") == []
    good = people.put("good.csv", GOOD)
    assert copy(people, good, ", 'quarantine' = 'true'")["num_affected_rows"] == 2


def test_partitions_and_columns_that_the_table_fills_itself(desk: Desk) -> None:
    desk.run("CREATE TABLE p (id INT, day DATE, name STRING NOT NULL) PARTITIONED BY (day)")
    path = desk.put("p.csv", "id,day,name\n1,2026-01-01,a\nx,2026-01-01,b\n3,2026-01-02,c\n")
    assert copy(desk, path, ", 'quarantine' = 'true'", table="p")["num_quarantined_rows"] == 1
    assert desk.rows("SELECT id FROM p WHERE day = '2026-01-02'") == [(3,)]
    desk.run("CREATE TABLE g (id BIGINT GENERATED ALWAYS AS IDENTITY, n INT, m INT GENERATED ALWAYS AS (n * 2))")
    assert copy(desk, desk.put("g.csv", "n\n1\n2\nx\n"), ", 'quarantine' = 'true'", table="g")["num_quarantined_rows"] == 1
    assert desk.rows("SELECT id, n, m FROM g ORDER BY n") == [(1, 1, 2), (2, 2, 4)]


def test_a_merge_that_is_sent_again_does_nothing(people: Desk) -> None:
    options = ", 'mode' = 'merge', 'mergeKeys' = 'id', 'loadId' = 'load-7'"
    assert copy(people, people.put("good.csv", GOOD), options)["num_inserted_rows"] == 2
    people.run("UPDATE people SET name = 'since then' WHERE id = 1")
    assert copy(people, people.put("good.csv", GOOD), options)["num_affected_rows"] == 0
    assert people.value("SELECT name FROM people WHERE id = 1") == "since then"


@pytest.mark.parametrize("first", ['{"id": 1, "name": "a"}', '{"id": 1}'])
def test_a_key_that_comes_late_in_a_file_is_not_overlooked(people: Desk, first: str) -> None:
    """The first rows tell the keys quickly; whatever comes after them is looked at too."""
    path = people.put("late.jsonl", f"{first}\n" * 30_000 + '{"id": 2, "name": "b", "city": "Lund"}\n')
    error = people.error(f"COPY INTO people FROM '{path}' FILEFORMAT = JSON")
    assert isinstance(error, CopySchemaMismatch)
    assert "`city`" in error.message
    people.run(f"COPY INTO people FROM '{path}' FILEFORMAT = JSON COPY_OPTIONS ('mergeSchema' = 'true')")
    assert people.rows("SELECT id, name FROM people WHERE city = 'Lund'") == [(2, "b")]
