from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from insjo.kernel.ids import new_id
from insjo.sql.errors import CopySchemaMismatch, FileOptionInvalid, FileReadFailed, UnsupportedFeature
from tests.support.desk import Desk

pytestmark = pytest.mark.slow

PEOPLE = 'id,name,born\n1,Åsa,2020-01-02\n2,"Bo ""B"", jr",\n3,,2021-05-06\n'


def test_csv_with_types_found_out(desk: Desk) -> None:
    path = desk.put("people.csv", PEOPLE)
    text = f"SELECT * FROM read_files('{path}', format => 'csv', header => true) ORDER BY id"
    assert desk.rows(text) == [(1, "Åsa", date(2020, 1, 2)), (2, 'Bo "B", jr', None), (3, None, date(2021, 5, 6))]
    assert [column.type_text for column in desk.run(text).statement.columns] == ["bigint", "string", "date"]


def test_csv_with_a_schema_hints_and_other_marks(desk: Desk) -> None:
    path = desk.put("p.tsv", "1;a;31/01/2026\n2;NA;\n")
    assert desk.rows(
        f"SELECT * FROM read_files('{path}', format => 'csv', sep => ';', nullValue => 'NA', dateFormat => 'dd/MM/yyyy', "
        "schema => 'id SMALLINT, name STRING, d DATE')",
    ) == [(1, "a", date(2026, 1, 31)), (2, None, None)]
    headed = desk.put("h.csv", "id,name\n007,a\n")
    assert desk.rows(f"SELECT id FROM read_files('{headed}', header => true, schemaHints => 'id STRING')") == [("007",)]
    assert desk.rows(f"SELECT _c0, _c1 FROM csv.`{headed}` WHERE _c1 = 'a'") == [("007", "a")]
    assert desk.rows(f"SELECT id FROM read_files('{headed}', header => true, inferColumnTypes => false)") == [("007",)]


def test_what_only_might_be_a_boolean_or_a_moment_stays_text(desk: Desk) -> None:
    path = desk.put("doubts.csv", "sex,paid,ok,seen,born\nf,t,true,01/02/2020 10:00,2020-01-02 10:00:00\nm,f,FALSE,02/02/2020 11:30,\n")
    found = desk.run(f"SELECT * FROM read_files('{path}', format => 'csv', header => true)").statement.columns
    assert [column.type_text for column in found] == ["string", "string", "boolean", "string", "timestamp"]


def test_hidden_columns_exist_for_those_who_name_them(desk: Desk) -> None:
    path = desk.put("in/a.csv", "x\n1\n")
    desk.put("in/b.csv", "x\n2\n")
    folder = path.rsplit("/", 1)[0]
    source = f"read_files('{folder}', format => 'csv', header => true)"
    assert desk.rows(f"SELECT *, _metadata.file_name FROM {source} ORDER BY x") == [(1, "a.csv"), (2, "b.csv")]
    assert desk.rows(f"SELECT * EXCEPT (_rescued_data) FROM {source} ORDER BY x") == [(1,), (2,)]
    assert desk.run(f"SELECT * FROM {source}").table.column_names == ["x"]
    assert desk.rows(f"SELECT DISTINCT _metadata.file_path FROM {source} WHERE x = 1") == [(f"dbfs:{path}",)]


def test_csv_files_with_other_first_lines_are_put_together_by_name(desk: Desk) -> None:
    desk.put("in/a.csv", "id,name\n1,x\n")
    desk.put("in/b.csv", "NAME,id,more\ny,2,5\n")
    desk.put("in/c.csv", "id,name\nthree,z\n")
    source = "read_files('/Volumes/main/desk/files/in', format => 'csv', header => true"
    assert desk.rows(f"SELECT id, name, more FROM {source}) ORDER BY id") == [("1", "x", None), ("2", "y", 5), ("three", "z", None)]
    desk.put("two/a.csv", "id,name\n1,x\n")
    desk.put("two/b.csv", "name,id\ny,what\n")
    loose = (
        "read_files('/Volumes/main/desk/files/two', format => 'csv', header => true, mode => 'PERMISSIVE', schema => 'name STRING, id INT')"
    )
    assert desk.rows(f"SELECT * FROM {loose} ORDER BY name") == [("x", 1), ("y", None)]
    swapped = desk.put("s.csv", "id,name\n7,q\n")
    assert desk.rows(f"SELECT * FROM read_files('{swapped}', header => true, schema => 'name STRING, id INT')") == [("q", 7)]


def test_json_lines(desk: Desk) -> None:
    path = desk.put("j.jsonl", '{"id": 1, "n": {"x": 2}}\n{"id": 2, "xs": ["a", "b"]}\n')
    assert desk.rows(f"SELECT id, n.x, xs[0] FROM read_files('{path}') ORDER BY id") == [(1, 2, None), (2, None, "a")]
    whole = desk.put("m.json", '[{"id": 1},\n {"id": 2}]')
    assert desk.value(f"SELECT sum(id) FROM read_files('{whole}', multiLine => true)") == 3


def test_parquet_with_several_shapes(desk: Desk, tmp_path: Path) -> None:
    for name, table in (("a", pa.table({"id": [1]})), ("b", pa.table({"id": [2], "more": ["x"]}))):
        pq.write_table(table, tmp_path / f"{name}.parquet")
        desk.put(f"pq/{name}.parquet", (tmp_path / f"{name}.parquet").read_bytes())
    assert desk.rows("SELECT * FROM read_files('/Volumes/main/desk/files/pq/*.parquet') ORDER BY id") == [(1, None), (2, "x")]


@pytest.mark.parametrize(
    ("name", "content", "options", "said", "line"),
    [
        ("type.csv", "id,name\n1,x\nabc,y\n", "header => true, schema => 'id INT, name STRING'", "the value `abc` of the column `id`", 3),
        ("ragged.csv", "id,name\n1,x\n2,y,z\n", "header => true", "has 3 columns, and 2 are expected", 3),
        ("short.csv", "id,name\n1,x\n2\n", "header => true", "has 1 columns, and 2 are expected", 3),
        ("title.csv", "A title\nid,name\n1,x\n", "header => true", "has 2 columns, and 1 are expected", 2),
        ("quote.csv", 'id,name\n1,"x\n2,y\n', "header => true", "a quote is not closed", 2),
        ("latin.csv", "id,name\n1,Åsa\n".encode("latin-1"), "header => true", "is not valid UTF-8", 2),
        ("bad.jsonl", '{"id": 1}\n{"id": \n', "", "is not valid JSON", 2),
        ("type.jsonl", '{"id": 1}\n{"id": "x"}\n', "schema => 'id BIGINT'", "Line 2", 2),
        ("text.parquet", "hello", "", "is not a Parquet file", None),
        ("empty.csv", "", "header => true", "is empty", None),
    ],
)
def test_a_broken_file_is_told_with_its_line(
    desk: Desk, name: str, content: str | bytes, options: str, said: str, line: int | None
) -> None:
    path = desk.put(name, content)
    error = desk.error(f"SELECT * FROM read_files('{path}'{', ' if options else ''}{options})")
    assert isinstance(error, FileReadFailed)
    assert said in error.message
    assert error.details.get("line") == line
    assert str(desk.lake.root) not in str(error)


def test_other_encodings_and_modes(desk: Desk) -> None:
    latin = desk.put("latin.csv", "id,name\n1,Åsa\n".encode("latin-1"))
    assert desk.rows(f"SELECT name FROM read_files('{latin}', header => true, encoding => 'ISO-8859-1')") == [("Åsa",)]
    assert isinstance(desk.error(f"SELECT * FROM read_files('{latin}', encoding => 'EBCDIC')"), FileOptionInvalid)
    wrong = desk.put("w.csv", "id,name\n1,x\nabc,y\n")
    start = f"SELECT * FROM read_files('{wrong}', header => true, schema => 'id INT, name STRING', mode => "
    assert desk.rows(start + "'PERMISSIVE')") == [(1, "x"), (None, "y")]
    assert desk.rows(start + "'DROPMALFORMED')") == [(1, "x")]


def test_options_and_paths_are_checked(desk: Desk) -> None:
    path = desk.put("a.csv", "x\n1\n")
    assert desk.error(f"SELECT * FROM read_files('{path}', headr => true)").hint == "Did you mean `header`?"
    assert desk.error("SELECT * FROM read_files('/Volumes/main/desk/files/b.csv')").hint == "Did you mean `a.csv`?"
    for text in (
        "/etc/passwd",
        "/Volumes/main/desk/files/../../x",
        f"{desk.lake.root}/insjo.db",
        "https://example.org/a.csv",
        "s3://b/a.csv",
    ):
        assert desk.error(f"SELECT * FROM read_files('{text}', format => 'csv')").kind in {"INVALID_ARGUMENT", "NOT_FOUND"}
    assert isinstance(desk.error(f"SELECT * FROM read_files('{path}', format => 'xml')"), UnsupportedFeature)
    assert isinstance(desk.error(f"SELECT * FROM delta.`{path}`"), UnsupportedFeature)


def test_a_file_named_like_a_pattern_is_one_file(desk: Desk) -> None:
    desk.put("a*.csv", "k\n1\n")
    desk.put("ab.csv", "k\n2\n")
    assert desk.rows("SELECT k FROM read_files('/Volumes/main/desk/files/a*.csv', header => true)") == [(1,)]


def test_copy_takes_each_file_once(desk: Desk) -> None:
    desk.put("in/people.csv", PEOPLE)
    desk.run("CREATE TABLE people (id INT, name STRING, born DATE)")
    text = "COPY INTO people FROM '/Volumes/main/desk/files/in' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')"
    assert desk.run(text).table.to_pylist() == [{"num_affected_rows": 3, "num_inserted_rows": 3, "num_skipped_corrupt_files": 0}]
    assert desk.run(text).table.to_pylist()[0]["num_affected_rows"] == 0
    desk.put("in/more.csv", "name,id\nx,9\n")
    assert desk.run(text).table.to_pylist()[0]["num_affected_rows"] == 1
    assert desk.run(text + " COPY_OPTIONS ('force' = 'true')").table.to_pylist()[0]["num_affected_rows"] == 4
    desk.put("in/people.csv", "id,name,born\n77,changed,2026-01-01\n")
    assert desk.run(text).table.to_pylist()[0]["num_affected_rows"] == 1
    assert desk.rows("SELECT name FROM people WHERE id IN (9, 77) ORDER BY id") == [("x",), ("x",), ("changed",)]


def test_copy_that_was_cut_off_is_found_in_the_history(desk: Desk) -> None:
    """The server may die before a copy is confirmed: what the table's history knows counts, whatever the rows of the ledger say."""
    path = desk.put("a.csv", "id\n1\n")
    desk.run("CREATE TABLE t (id INT)")
    text = f"COPY INTO t FROM '{path}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')"
    table = desk.lake.room.tables.get(desk.ctx, "main.desk.t")
    files = list(desk.lake.room.files.resolve_local(desk.ctx, path))
    from insjo.sql.service.ledger import Ledger

    ledger = Ledger(database=desk.lake.database)
    ledger.intend(table.id, files, new_id(), 1)  # Dead before the commit.
    assert desk.run(text).table.to_pylist()[0]["num_affected_rows"] == 1
    ledger.intend(table.id, files, "somebody", 1)  # Dead before the commit, and version 1 was made by another copy.
    assert desk.run(text).table.to_pylist()[0]["num_affected_rows"] == 1
    import sqlalchemy as sa

    with desk.lake.database.write() as connection:
        connection.execute(sa.text("UPDATE sql_copied_files SET confirmed = 0"))  # Dead after the commit.
    assert desk.run(text).table.to_pylist()[0]["num_affected_rows"] == 0
    assert desk.value("SELECT count(*) FROM t") == 2


def test_copy_with_queries_patterns_and_files(desk: Desk) -> None:
    desk.put("in/a1.csv", "1,x\n")
    desk.put("in/a2.csv", "2,y\n")
    desk.put("in/b.csv", "3,z\n")
    desk.run("CREATE TABLE t (id INT, name STRING, src STRING)")
    desk.run("COPY INTO t FROM (SELECT CAST(_c0 AS INT) + 100 AS id, upper(_c1) AS name, _metadata.file_name AS src "
             "FROM '/Volumes/main/desk/files/in/') FILEFORMAT = CSV PATTERN = 'a*.csv'")  # fmt: skip
    desk.run("COPY INTO t FROM (SELECT _c0 AS id FROM '/Volumes/main/desk/files/in') FILEFORMAT = CSV FILES = ('b.csv')")
    assert desk.rows("SELECT * FROM t ORDER BY id") == [(3, None, None), (101, "X", "a1.csv"), (102, "Y", "a2.csv")]
    desk.run("CREATE TABLE plain (id INT, name STRING)")
    desk.run("COPY INTO plain FROM '/Volumes/main/desk/files/in' FILEFORMAT = CSV")
    assert desk.value("SELECT count(*) FROM plain WHERE name IS NOT NULL") == 3


def test_copy_may_add_columns(desk: Desk) -> None:
    path = desk.put("j.jsonl", '{"id": 1, "n": {"x": 2}}\n')
    desk.run("CREATE TABLE t (id INT)")
    text = f"COPY INTO t FROM '{path}' FILEFORMAT = JSON"
    assert isinstance(desk.error(text), CopySchemaMismatch)
    desk.run(text + " COPY_OPTIONS ('mergeSchema' = 'true')")
    assert desk.rows("SELECT id, n.x FROM t") == [(1, 2)]


def test_copy_that_fails_leaves_nothing(desk: Desk) -> None:
    path = desk.put("bad.csv", "id\n1\nabc\n")
    desk.run("CREATE TABLE t (id INT NOT NULL)")
    error = desk.error(f"COPY INTO t FROM '{path}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')")
    assert isinstance(error, FileReadFailed)
    assert error.details == {"path": path, "line": 3}
    desk.put("bad.csv", 'id\n1\n""\n')
    table = desk.lake.room.tables.get(desk.ctx, "main.desk.t")
    assert not list(Path(table.location).rglob("*.parquet"))
    desk.put("bad.csv", "id\n5\n")
    assert desk.run(f"COPY INTO t FROM '{path}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')").table.num_rows == 1
    assert desk.rows("SELECT id FROM t") == [(5,)]


def test_a_file_of_many_rows(desk: Desk) -> None:
    numbers = random.Random(7)
    lines = [f"{at},{numbers.random():.6f},name {at % 1000}" for at in range(60_000)]
    path = desk.put("many.csv", "id,x,name\n" + "\n".join(lines) + "\n")
    desk.run(f"CREATE TABLE many AS SELECT * FROM read_files('{path}', header => true)")
    assert desk.rows("SELECT count(*), sum(id), count(DISTINCT name) FROM many") == [(60_000, 60_000 * 59_999 // 2, 1000)]


def test_list(desk: Desk) -> None:
    desk.put("d/a.csv", "x\n")
    desk.put("b.csv", "xy\n")
    assert [row[:3] for row in desk.rows("LIST '/Volumes/main/desk/files'")] == [
        ("/Volumes/main/desk/files/b.csv", "b.csv", 3),
        ("/Volumes/main/desk/files/d/", "d/", 0),
    ]
    assert len(desk.rows("LIST '/Volumes/main/desk/files' LIMIT 1")) == 1
    assert desk.error("LIST '/Volumes/main/desk/nope'").code == "VOLUME_DOES_NOT_EXIST"
