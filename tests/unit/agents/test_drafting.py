"""Plain questions as SQL: right, or refused."""

from __future__ import annotations

import pytest

from insjo.agents.drafting.examples import match_example, nearest_examples
from insjo.agents.drafting.query import Query
from insjo.agents.drafting.reading import Unclear, draft, phrases_of
from insjo.agents.drafting.tables import ColumnFacts, TableFacts, Value
from insjo.agents.drafting.words import alike, meanings_of, tokens_of
from insjo.agents.types import Example


def table(name: str, columns: str) -> TableFacts:
    """A table from `name type, name type`."""
    return TableFacts(name, tuple(ColumnFacts(*part.strip().split(" ", 1)) for part in columns.split(",")))


FLIGHTS = table(
    "s.nyc.flights",
    "year int, month int, day int, dep_time int, dep_delay int, arr_delay int, carrier string, flight int, tailnum string, "
    "origin string, dest string, air_time int, distance int, time_hour timestamp",
)
PLANES = table("s.nyc.planes", "tailnum string, year int, type string, manufacturer string, model string, engines int, seats int")
AIRLINES = table("s.nyc.airlines", "carrier string, name string")
WEATHER = table("s.nyc.weather", "origin string, year int, month int, temp double, wind_speed double, precip double, time_hour timestamp")
PAY = table("s.hr.salaries", "employee_id string, name string, title string, department string, monthly_salary int, hired date")
ALL = (FLIGHTS, PLANES, AIRLINES, WEATHER, PAY)
KNOWN = {
    "jfk": (Value("s.nyc.flights", "origin", "JFK"), Value("s.nyc.flights", "dest", "JFK"), Value("s.nyc.weather", "origin", "JFK")),
    "lax": (Value("s.nyc.flights", "dest", "LAX"),),
    "boeing": (Value("s.nyc.planes", "manufacturer", "BOEING"),),
    "ua": (Value("s.nyc.flights", "carrier", "UA"),),
    "office": (Value("s.hr.salaries", "department", "Office"),),
    "o'hare": (Value("s.nyc.flights", "dest", "O'Hare"),),
}


def read(question: str, prefer: str = "") -> Query | Unclear:
    """The question over all tables, with those values that it names."""
    wanted = set(phrases_of(question))
    return draft(question, ALL, {phrase: values for phrase, values in KNOWN.items() if phrase in wanted}, prefer)


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("How many flights were there?", "SELECT count(*) AS rows FROM s.nyc.flights"),
        ("How many flights left from JFK?", "SELECT count(*) AS rows FROM s.nyc.flights WHERE origin = 'JFK'"),
        ("How many flights went to JFK?", "SELECT count(*) AS rows FROM s.nyc.flights WHERE dest = 'JFK'"),
        (
            "How many flights went from JFK to LAX in January?",
            "SELECT count(*) AS rows FROM s.nyc.flights WHERE origin = 'JFK' AND dest = 'LAX' AND `month` = 1",
        ),
        ("Hur många flygningar gick från JFK?", "SELECT count(*) AS rows FROM s.nyc.flights WHERE origin = 'JFK'"),
        ("hur många flygningar till o'hare", "SELECT count(*) AS rows FROM s.nyc.flights WHERE dest = 'O\\'Hare'"),
        (
            "average dep_delay per carrier",
            "SELECT carrier, round(avg(dep_delay), 2) AS avg_dep_delay FROM s.nyc.flights GROUP BY carrier ORDER BY carrier",
        ),
        (
            "Vilken månad hade högst genomsnittlig avgångsförsening?",
            (
                "SELECT `month`, round(avg(dep_delay), 2) AS avg_dep_delay FROM s.nyc.flights GROUP BY `month` "
                "ORDER BY avg_dep_delay DESC LIMIT 1"
            ),
        ),
        (
            "What are the ten most common destinations?",
            "SELECT dest, count(*) AS rows FROM s.nyc.flights GROUP BY dest ORDER BY rows DESC LIMIT 10",
        ),
        (
            "Vilka är de fem vanligaste destinationerna?",
            "SELECT dest, count(*) AS rows FROM s.nyc.flights GROUP BY dest ORDER BY rows DESC LIMIT 5",
        ),
        ("How many planes were built by Boeing?", "SELECT count(*) AS rows FROM s.nyc.planes WHERE manufacturer = 'BOEING'"),
        ("What was the longest flight by distance?", "SELECT max(distance) AS max_distance FROM s.nyc.flights"),
        ("how many planes have two engines", "SELECT count(*) AS rows FROM s.nyc.planes WHERE engines = 2"),
        (
            "flights per airline",
            (
                "SELECT n.name, count(*) AS rows FROM s.nyc.flights AS t LEFT JOIN s.nyc.airlines AS n ON t.carrier = n.carrier "
                "GROUP BY n.name ORDER BY n.name"
            ),
        ),
        (
            "top 5 carriers by number of flights",
            "SELECT carrier, count(*) AS rows FROM s.nyc.flights GROUP BY carrier ORDER BY rows DESC LIMIT 5",
        ),
        (
            "vilket bolag hade flest flygningar",
            "SELECT carrier, count(*) AS rows FROM s.nyc.flights GROUP BY carrier ORDER BY rows DESC LIMIT 1",
        ),
        (
            "hur många flygningar hade mer än 60 minuters avgångsförsening",
            "SELECT count(*) AS rows FROM s.nyc.flights WHERE dep_delay > 60",
        ),
        (
            "Vad är medellönen per avdelning?",
            (
                "SELECT department, round(avg(monthly_salary), 2) AS avg_monthly_salary FROM s.hr.salaries GROUP BY department "
                "ORDER BY department"
            ),
        ),
        ("Vem har högst lön?", "SELECT * FROM s.hr.salaries ORDER BY monthly_salary DESC NULLS LAST LIMIT 1"),
        ("Högsta lönen i Office", "SELECT max(monthly_salary) AS max_monthly_salary FROM s.hr.salaries WHERE department = 'Office'"),
        (
            "how many employees were hired after 2015",
            "SELECT count(DISTINCT employee_id) AS distinct_employee_id FROM s.hr.salaries WHERE year(hired) > 2015",
        ),
        (
            "how many employees were hired before 2015-06-01",
            "SELECT count(DISTINCT employee_id) AS distinct_employee_id FROM s.hr.salaries WHERE hired < DATE '2015-06-01'",
        ),
        ("total air time for UA", "SELECT sum(air_time) AS sum_air_time FROM s.nyc.flights WHERE carrier = 'UA'"),
        ("vad var den högsta temperaturen i juli", "SELECT max(temp) AS max_temp FROM s.nyc.weather WHERE `month` = 7"),
        ("what is the maximum number of seats", "SELECT max(seats) AS max_seats FROM s.nyc.planes"),
        ("how many different destinations are there in flights", "SELECT count(DISTINCT dest) AS distinct_dest FROM s.nyc.flights"),
        ("how many flights without a dep_time", "SELECT count(*) AS rows FROM s.nyc.flights WHERE dep_time IS NULL"),
        ("visa alla flygbolag", "SELECT * FROM s.nyc.airlines LIMIT 100"),
    ],
)
def test_a_question_becomes_sql(question: str, sql: str) -> None:
    query = read(question)
    assert isinstance(query, Query), query
    assert " ".join(query.sql().split()) == sql


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How many flights were cancelled?", "words"),
        ("What share of flights were late?", "words"),
        ("average delay per carrier", "column"),
        ("how many flights per weekday", "words"),
        ("what will the weather be tomorrow", "words"),
        ("how many people earn more than 50000", "nothing"),
        ("tell me a joke", "nothing"),
        ("longest flight", "nothing"),
        ("total distance flown by Delta", "words"),
        ("how many flights from JFK had a happy crew", "words"),
        ("How many flights did not leave from JFK?", "words"),
    ],
)
def test_what_is_not_wholly_understood_is_refused(question: str, reason: str) -> None:
    unclear = read(question)
    assert isinstance(unclear, Unclear), unclear.sql()
    assert unclear.reason == reason


def test_an_ambiguous_column_is_asked_for() -> None:
    unclear = read("average delay per carrier")
    assert isinstance(unclear, Unclear)
    assert set(unclear.options) == {"arr_delay", "dep_delay"}


def test_the_table_on_the_page_counts() -> None:
    assert isinstance(read("highest year"), Unclear)
    query = read("highest year", prefer="s.nyc.planes")
    assert isinstance(query, Query)
    assert query.table is PLANES


def test_a_query_says_what_it_does_in_both_languages() -> None:
    query = read("top 5 carriers by number of flights")
    assert isinstance(query, Query)
    assert query.words("en") == "The number of rows of `s.nyc.flights`, for each `carrier`, the highest first, 5 of them."
    assert query.words("sv") == "Antalet rader i `s.nyc.flights`, för varje `carrier`, högst först, 5 stycken."


def test_names_that_are_words_of_sql_are_quoted() -> None:
    query = draft("sum of order", [table("c.s.t", "order int, `select` string")], {})
    assert isinstance(query, Query)
    assert "sum(`order`)" in query.sql()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("flights", "flight", True), ("flygningar", "flygning", True), ("destinationerna", "destination", True), ("plan", "planner", False),
     ("department", "departments", True), ("order", "orders", True), ("origin", "original", False), ("month", "mouth", False)],
)  # fmt: skip
def test_forms_of_a_word_are_alike(one: str, other: str, same: bool) -> None:  # A parameter of the test.
    assert alike(one, other) is same


def test_swedish_compounds_are_taken_apart() -> None:
    assert ("departure", "delay") in meanings_of("avgångsförsening")
    assert [token.folded for token in tokens_of("Medellönen")] == ["medel", "lönen"]


EXAMPLES = (
    Example("How many flights left from JFK?", "SELECT count(*) FROM s.nyc.flights WHERE origin = 'JFK'"),
    Example(
        "What are the ten most common destinations?", "SELECT dest, count(*) AS n FROM s.nyc.flights GROUP BY dest ORDER BY n DESC LIMIT 10"
    ),
    Example("Which airline had the most flights?", "SELECT 1"),
)
EWR = {"ewr": (Value("s.nyc.flights", "origin", "EWR"),), "rome": (Value("s.nyc.flights", "dest", "ROME"),)}


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("how many flights left from jfk", EXAMPLES[0].sql),
        ("How many flights left from EWR?", "SELECT count(*) FROM s.nyc.flights WHERE origin = 'EWR'"),
        ("What are the five most common destinations?", EXAMPLES[1].sql.replace("10", "5")),
        ("which airline had most flights", None),
        ("Which airlines had the most flight?", "SELECT 1"),
    ],
)
def test_an_example_answers_its_like(question: str, sql: str | None) -> None:
    matched = match_example(question, EXAMPLES, EWR)
    if sql is None:
        assert matched is not None  # `the` does not count.
    else:
        assert matched is not None
        assert matched.sql == sql


@pytest.mark.parametrize(
    "question",
    [
        "How many flights left from Rome?",
        "How many flights arrived from JFK?",
        "How many planes left from JFK?",
        "How many flights did not leave from JFK?",
    ],
)
def test_an_example_is_not_stretched(question: str) -> None:
    assert match_example(question, EXAMPLES, EWR) is None


def test_the_nearest_examples_come_first() -> None:
    assert nearest_examples("common destinations", EXAMPLES, 1) == [EXAMPLES[1]]
