"""The label of a result is the join over every column that was read; what is derived inherits it."""

from __future__ import annotations

import pytest

from insjo.access.types import Label, Level, SecurableKind
from tests.support.desk import Desk

pytestmark = pytest.mark.slow

SALARY = Label(Level.CONFIDENTIAL, frozenset({"salary"}))
LABELLED = SALARY.text()


def _label(desk: Desk, name: str, label: Label, column: str | None = None) -> None:
    found = desk.lake.access.securables.find(SecurableKind.TABLE, f"main.desk.{name}")
    assert found
    desk.lake.access.labels.set(desk.ctx, found.id, label, column=column)


@pytest.fixture
def pay(desk: Desk) -> Desk:
    """`pay` with a labelled column, `items` without labels."""
    desk.run("CREATE TABLE pay (id INT, name STRING, salary INT, extra STRUCT<salary: INT>)")
    desk.run("INSERT INTO pay VALUES (1, 'a', 100, NULL), (2, 'b', 200, NULL)")
    desk.run("CREATE TABLE items (id INT, title STRING)")
    desk.run("INSERT INTO items VALUES (1, 'x')")
    _label(desk, "pay", SALARY, "salary")
    return desk


@pytest.mark.parametrize(
    "text",
    [
        "SELECT salary FROM pay",
        "SELECT * FROM pay",
        "SELECT p.* FROM pay p",
        "SELECT name FROM pay WHERE salary > 5",
        "SELECT name FROM pay ORDER BY salary",
        "SELECT count(*) FROM pay GROUP BY salary",
        "SELECT count(salary) FROM pay",
        "SELECT name FROM pay QUALIFY row_number() OVER (ORDER BY salary) = 1",
        "SELECT i.title FROM items i JOIN pay p ON i.id = p.salary",
        "SELECT title FROM items WHERE id IN (SELECT salary FROM pay)",
        "SELECT title FROM items i WHERE EXISTS (SELECT 1 FROM pay p WHERE p.salary = i.id)",
        "SELECT title, (SELECT max(salary) FROM pay) FROM items",
        "WITH x AS (SELECT salary AS s FROM pay) SELECT count(*) FROM x",
        "SELECT name FROM (SELECT * FROM pay)",
        "SELECT c FROM pay AS p(a, b, c, d)",
        "SELECT a FROM pay AS p(a, b, c, d)",
        "SELECT * FROM items NATURAL JOIN pay",
        "SELECT * EXCEPT (salary) FROM pay",
        "SELECT id FROM items UNION ALL SELECT salary FROM pay",
        "SELECT SALARY FROM PAY",
        "SELECT main.desk.pay.salary FROM main.desk.pay",
        "SELECT * FROM (SELECT id, salary FROM pay) PIVOT (max(salary) FOR id IN (1, 2))",
        "SELECT transform(array(1), x -> x + salary) FROM pay",
        "SELECT salary FROM pay VERSION AS OF 1",
        "FROM pay |> SELECT salary",
        "SELECT sum(salary) OVER (PARTITION BY id) FROM pay",
    ],
)
def test_reading_a_labelled_column_in_any_way_labels_the_result(pay: Desk, text: str) -> None:
    assert pay.label(text) == LABELLED, text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT name FROM pay",
        "SELECT count(*) FROM pay",
        "SELECT i.* FROM items i JOIN pay p ON i.id = p.id",
        "SELECT p.name, i.title FROM pay p JOIN items i USING (id)",
        "WITH x AS (SELECT name FROM pay) SELECT * FROM x",
        "SELECT 'salary' FROM pay",
        "SELECT 1",
    ],
)
def test_not_reading_it_does_not(pay: Desk, text: str) -> None:
    assert pay.label(text) == "internal", text


def test_origins_name_table_version_and_labelled_column(pay: Desk) -> None:
    origins = [origin.text() for origin in pay.run("SELECT salary, title FROM pay JOIN items USING (id)").statement.provenance.origins]
    assert origins == ["main.desk.pay@1", "main.desk.pay@1.salary", "main.desk.items@1"]


def test_the_label_of_a_table_holds_for_every_row_of_it(pay: Desk) -> None:
    _label(pay, "items", Label(Level.SECRET, frozenset({"health"}), frozenset({"local"})))
    assert pay.label("SELECT count(*) FROM items") == "secret · health · local"
    assert pay.label("SELECT salary FROM pay, items") == "secret · health · salary · local"


def test_what_is_derived_inherits(pay: Desk) -> None:
    pay.run("CREATE TABLE clone DEEP CLONE pay")
    assert pay.label("SELECT name FROM clone") == LABELLED
    assert pay.label("EXECUTE IMMEDIATE 'SELECT salary FROM pay WHERE id = ?' USING 1") == LABELLED
    pay.run("CREATE TABLE ctas AS SELECT salary FROM pay")
    assert pay.label("SELECT * FROM ctas") == LABELLED
    pay.run("INSERT INTO items SELECT id, name FROM pay")
    assert pay.label("SELECT * FROM items") == "internal"
    pay.run("CREATE TABLE filled (id INT)")
    pay.run("INSERT INTO filled SELECT salary FROM pay WHERE false")
    pay.run("INSERT INTO filled SELECT id FROM pay WHERE salary = 100")
    assert pay.label("SELECT * FROM filled") == LABELLED
    pay.run("CREATE TABLE merged (id INT, v INT)")
    pay.run("MERGE INTO merged t USING pay s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.salary)")
    assert pay.label("SELECT id FROM merged") == LABELLED
    pay.run("CREATE TABLE updated (id INT)")
    pay.run("INSERT INTO updated VALUES (1)")
    pay.run("UPDATE updated SET id = (SELECT max(salary) FROM pay)")
    assert pay.label("SELECT id FROM updated") == LABELLED
    pay.run("CREATE TABLE deleted (id INT)")
    pay.run("INSERT INTO deleted VALUES (1), (100)")
    pay.run("DELETE FROM deleted WHERE id IN (SELECT salary FROM pay)")
    assert pay.label("SELECT id FROM deleted") == LABELLED


def test_within_a_table_the_label_follows_to_the_column(pay: Desk) -> None:
    assert pay.label("SELECT id FROM pay") == "internal"
    pay.run("UPDATE pay SET id = salary")
    assert pay.label("SELECT id FROM pay") == LABELLED
    assert pay.label("SELECT name FROM pay") == "internal"


def test_views_and_functions_carry_labels(pay: Desk) -> None:
    pay.run("CREATE VIEW names AS SELECT id, name FROM pay")
    pay.run("CREATE VIEW pays AS SELECT id, salary AS s FROM pay")
    assert pay.label("SELECT * FROM names") == "internal"
    assert pay.label("SELECT id FROM pays") == LABELLED
    pay.run("CREATE FUNCTION top() RETURNS INT RETURN (SELECT max(salary) FROM pay)")
    assert pay.label("SELECT top()") == LABELLED
    desk = pay.in_session()
    desk.run("CREATE TEMP VIEW tv AS SELECT salary FROM pay")
    assert desk.label("SELECT count(*) FROM tv") == LABELLED


def test_files_bring_their_labels(pay: Desk) -> None:
    path = pay.put("in/a.csv", "id\n1\n")
    pay.put("in/b.csv", "id\n2\n")
    pay.lake.room.files.set_label(pay.ctx, path, SALARY)
    assert pay.label(f"SELECT * FROM read_files('{path}', header => true)") == LABELLED
    assert pay.label("SELECT * FROM csv.`/Volumes/main/desk/files/in/b.csv`") == "internal"
    assert pay.label("SELECT * FROM csv.`/Volumes/main/desk/files/in`") == LABELLED
    pay.run("CREATE TABLE copied (id INT)")
    pay.run("COPY INTO copied FROM '/Volumes/main/desk/files/in' FILEFORMAT = CSV PATTERN = 'b.csv' FORMAT_OPTIONS ('header' = 'true')")
    assert pay.label("SELECT * FROM copied") == "internal"
    pay.run("COPY INTO copied FROM '/Volumes/main/desk/files/in' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')")
    assert pay.label("SELECT * FROM copied") == LABELLED


def test_a_label_is_there_before_the_rows(pay: Desk) -> None:
    """A statement that fails after its label was raised leaves the label and no rows, never rows without their label."""
    pay.run("CREATE TABLE late (id INT NOT NULL)")
    pay.error("INSERT INTO late SELECT NULL FROM pay WHERE salary > 0")
    assert pay.value("SELECT count(*) FROM late") == 0


def test_metadata_about_rows_has_the_tables_label(pay: Desk) -> None:
    _label(pay, "items", SALARY)
    assert pay.label("DESCRIBE HISTORY items") == LABELLED
    assert pay.label("SHOW TABLES") == "internal"


def test_fingerprints_follow_rows_and_labels(pay: Desk) -> None:
    pay.run("CREATE TABLE customers (id INT, name STRING, city STRING)")
    pay.run("INSERT INTO customers SELECT id, concat('Kundnamn Nummer ', id * 7919), concat('Ort ', id) FROM range(1000, 1040) AS r(id)")
    pasted = "\n".join(f"Kundnamn Nummer {each * 7919}" for each in range(1000, 1030))
    match = pay.lake.access.fingerprints.match
    assert pay.room.fingerprinting.wait_idle(60)
    assert match(pasted) == ()
    _label(pay, "customers", SALARY, "name")
    assert pay.room.fingerprinting.wait_idle(60)
    assert [(found.label, found.column) for found in match(pasted)] == [(SALARY, "name")]
    pay.run("INSERT INTO customers SELECT id, concat('Helt Annan Person ', id * 104729), 'x' FROM range(2000, 2040) AS r(id)")
    assert pay.room.fingerprinting.wait_idle(60)
    assert match("\n".join(f"Helt Annan Person {each * 104729}" for each in range(2000, 2030)))
    pay.run("TRUNCATE TABLE customers")
    assert pay.room.fingerprinting.wait_idle(60)
    assert match(pasted) == ()


def test_values_that_stand_in_many_rows_are_no_fingerprints(pay: Desk) -> None:
    pay.run("CREATE TABLE visits (city STRING, person STRING)")
    pay.run("INSERT INTO visits SELECT concat('Gamla Orten ', id % 3), concat('Gast Nummer ', id * 7919) FROM range(1000, 1100) AS r(id)")
    for column in ("city", "person"):
        _label(pay, "visits", SALARY, column)
    assert pay.room.fingerprinting.wait_idle(60)
    match = pay.lake.access.fingerprints.match
    assert match("\n".join(f"Gamla Orten {each}" for each in range(3))) == ()
    assert {found.column for found in match("\n".join(f"Gast Nummer {each * 7919}" for each in range(1000, 1030)))} == {"person"}
