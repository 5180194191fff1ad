"""Session variables that take rows: SET VAR (a, b) = (query), EXECUTE IMMEDIATE ... INTO, and the label that a value keeps."""

from __future__ import annotations

import pytest

from insjo.access.types import Label, Level, SecurableKind
from insjo.sql.errors import UnsupportedFeature
from tests.support.desk import Desk

SECRET = "secret · salary"


@pytest.fixture
def own(desk: Desk) -> Desk:
    """A session with two variables, and a table with a labelled column."""
    desk.run("CREATE TABLE pay (id INT, name STRING, amount DECIMAL(10, 2))")
    desk.run("INSERT INTO pay VALUES (1, 'anna', 10.5), (2, 'bo', 20)")
    table = desk.lake.access.securables.find(SecurableKind.TABLE, "main.desk.pay")
    assert table
    desk.lake.access.labels.set(desk.ctx, table.id, Label(Level.SECRET, frozenset({"salary"})), "amount")
    mine = desk.in_session()
    mine.run("DECLARE VARIABLE a INT DEFAULT 1")
    mine.run("DECLARE VARIABLE b STRING DEFAULT 'x'")
    return mine


def test_several_variables_take_a_row(own: Desk) -> None:
    own.run("SET VAR (a, b) = (SELECT 7, 'seven')")
    assert own.rows("SELECT a, b") == [(7, "seven")]
    own.run("SET VAR (b, a) = (SELECT name, id + session.a FROM pay WHERE id = 2)")
    assert own.rows("SELECT a, b") == [(9, "bo")]
    own.run("SET VARIABLE a = a + 1, b = concat(b, a)")
    assert own.rows("SELECT a, b") == [(10, "bo9")], "all values are worked out before one is set"
    own.run("SET VAR a = (SELECT max(id) FROM pay)")
    assert own.value("SELECT a") == 2
    own.run("SET VAR (a, b) = (SELECT id, name FROM pay WHERE id = 99)")
    assert own.rows("SELECT a, b") == [(None, None)]


def test_execute_immediate_into(own: Desk) -> None:
    own.run("EXECUTE IMMEDIATE 'SELECT id, name FROM pay WHERE id = ?' INTO a, b USING 2")
    assert own.rows("SELECT a, b") == [(2, "bo")]
    own.run("EXECUTE IMMEDIATE 'SELECT count(*) FROM pay WHERE name <> :n' INTO a USING b AS n")
    assert own.value("SELECT a") == 1
    own.run("EXECUTE IMMEDIATE 'SELECT id FROM pay WHERE id = -1' INTO a")
    assert own.value("SELECT a IS NULL") is True
    own.run("EXECUTE IMMEDIATE 'SELECT 3, 4' INTO (a, b)")
    assert own.rows("SELECT a, b") == [(3, "4")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SET VAR (a, b) = (SELECT 1)", "ASSIGNMENT_ARITY_MISMATCH"),
        ("SET VAR (a, a) = (SELECT 1, 2)", "DUPLICATE_ASSIGNMENTS"),
        ("SET VAR a = 1, a = 2", "DUPLICATE_ASSIGNMENTS"),
        ("SET VAR (a, b) = (SELECT id, name FROM pay)", "ROW_SUBQUERY_TOO_MANY_ROWS"),
        ("SET VAR (a, nope) = (SELECT 1, 2)", "INVALID_PARAMETER_VALUE"),
        ("SET VAR (a, b) = (SELECT 'no number', 2)", "CAST_INVALID_INPUT"),
        ("SET VAR a = 1, 2", "PARSE_SYNTAX_ERROR"),
        ("SET VAR a = DEFAULT", "UNSUPPORTED_FEATURE"),
        ("EXECUTE IMMEDIATE 'SELECT id FROM pay' INTO a", "ROW_SUBQUERY_TOO_MANY_ROWS"),
        ("EXECUTE IMMEDIATE 'SELECT 1, 2' INTO a", "ASSIGNMENT_ARITY_MISMATCH"),
        ("EXECUTE IMMEDIATE 'DELETE FROM pay' INTO a", "INVALID_STATEMENT_FOR_EXECUTE_INTO"),
        ("EXECUTE IMMEDIATE 'SELECT 1' INTO nope", "INVALID_PARAMETER_VALUE"),
        ("EXECUTE IMMEDIATE 'SELECT secret FROM hidden' INTO a", "TABLE_OR_VIEW_NOT_FOUND"),
    ],
)
def test_what_does_not_fit_changes_nothing(own: Desk, text: str, code: str) -> None:
    assert own.error(text).code == code
    assert own.rows("SELECT a, b") == [(1, "x")]
    assert own.value("SELECT count(*) FROM pay") == 2


def test_a_value_keeps_the_label_of_what_it_was_read_from(own: Desk) -> None:
    own.run("EXECUTE IMMEDIATE 'SELECT name, amount FROM pay WHERE id = 1' INTO b, a")
    assert own.label("SELECT a") == SECRET
    assert own.label("SELECT 'x' WHERE b = 'y'") == SECRET, "one row, one label"
    assert own.label("EXECUTE IMMEDIATE 'SELECT ?' USING a") == SECRET
    own.run("DECLARE VARIABLE c STRING")
    own.run("SET VAR c = concat('pay ', a)")
    assert own.label("SELECT session.c AS c") == SECRET
    own.run("CREATE TABLE copied AS SELECT a AS amount")
    assert own.label("SELECT * FROM copied") == SECRET
    own.run("CREATE TABLE later (x STRING)")
    own.run("EXECUTE IMMEDIATE 'INSERT INTO later VALUES (:v)' USING c AS v")
    assert own.label("SELECT * FROM later") == SECRET
    own.run("CREATE TABLE updated (x STRING)")
    own.run("INSERT INTO updated VALUES ('a')")
    own.run("UPDATE updated SET x = session.c")
    assert own.label("SELECT * FROM updated") == SECRET
    own.run("SET VAR c = 'plain'")
    assert own.label("SELECT c") == "internal"


def test_a_value_from_a_table_becomes_no_statement(own: Desk) -> None:
    own.run("SET VAR b = (SELECT CAST(amount AS STRING) FROM pay WHERE id = 1)")
    for text in (
        "EXECUTE IMMEDIATE concat('SELECT ', b)",
        "EXECUTE IMMEDIATE (SELECT name FROM pay LIMIT 1)",
        "EXECUTE IMMEDIATE 'COMMENT ON TABLE pay IS :c' USING b AS c",
        "EXECUTE IMMEDIATE 'SELECT * FROM IDENTIFIER(:t)' USING b AS t",
        "EXECUTE IMMEDIATE 'CREATE TABLE x AS SELECT ? AS a' USING b",
    ):
        assert isinstance(own.error(text), UnsupportedFeature), text


def test_what_a_mask_hides_is_hidden_from_variables(own: Desk) -> None:
    own.run("CREATE FUNCTION none(v DECIMAL(10, 2)) RETURNS DECIMAL(10, 2) RETURN NULL")
    own.run("ALTER TABLE pay ALTER COLUMN amount SET MASK none")
    own.run("SET VAR (a, b) = (SELECT amount, name FROM pay WHERE id = 1)")
    assert own.rows("SELECT a, b") == [(None, "anna")]
