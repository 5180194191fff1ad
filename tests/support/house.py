"""All rooms together on real folders, workers and recorders, with flights, pay and documents to ask about."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from insjo.access.types import Label, Level, Privilege, SecurableKind
from insjo.adapters.delta.storage import DeltaStorage
from insjo.adapters.documents.parser import BoundedParser
from insjo.adapters.faiss.indexes import FaissIndexes
from insjo.adapters.tantivy.indexes import TantivyIndexes
from insjo.agents.service.room import AgentsRoom
from insjo.jobs.service import Jobs
from insjo.jobs.types import RunState
from insjo.kernel.clock import SystemClock
from insjo.kernel.context import RequestContext
from insjo.retrieval.service.room import RetrievalRoom
from tests.support.gateway import Installation
from tests.support.law import LawLake, law_lake

FLIGHTS = """CREATE TABLE main.air.flights AS SELECT * FROM VALUES
  (2013, 1, 1, 'UA', 'JFK', 'LAX', 2475, 10), (2013, 1, 2, 'UA', 'JFK', 'LAX', 2475, 90), (2013, 2, 3, 'AA', 'LGA', 'ORD', 733, -4),
  (2013, 2, 4, 'AA', 'EWR', 'ORD', 719, 30), (2013, 3, 5, 'DL', 'JFK', 'ATL', 760, 0), (2013, 3, 6, 'DL', 'LGA', 'ATL', 762, NULL)
  AS t(year, month, day, carrier, origin, dest, distance, dep_delay)"""
AIRLINES = """CREATE TABLE main.air.airlines AS SELECT * FROM VALUES
  ('UA', 'United Air Lines'), ('AA', 'American Airlines'), ('DL', 'Delta Air Lines') AS t(carrier, name)"""
PAY = """CREATE TABLE main.hr.pay AS SELECT * FROM VALUES
  ('Agneta Almqvist-Kanary', 'Ground', 41250), ('Birger Bergstrand-Kanary', 'Office', 52300), ('Cecilia Dahlgren-Kanary', 'Office', 61950)
  AS t(name, department, monthly_salary)"""
RULES = b"""# Travel rules

## Hotels
A hotel may cost at most 1,450 kronor a night in Stockholm and 1,100 kronor elsewhere.

## Per diem
The per diem for a whole day of travel is 290 kronor. Half a day gives 145 kronor.
"""
READY_WITHIN_S = 60.0


@dataclass
class House:
    """The rooms, and people in them."""

    lake: LawLake
    retrieval: RetrievalRoom
    jobs: Jobs
    room: AgentsRoom

    @property
    def made(self) -> Installation:
        """Access, the gateway and the recorders."""
        return self.lake.made

    @property
    def admin(self) -> RequestContext:
        """A metastore admin."""
        return self.made.admin

    def person(self, name: str) -> RequestContext:
        """Somebody without rights, made at the first call."""
        return self.made.person(name)

    def grant(self, kind: SecurableKind, name: str, to: str, *privileges: Privilege) -> None:
        """Grant as the admin."""
        found = self.made.access.securables.find(kind, name)
        assert found is not None, name
        self.made.access.grants.grant(self.admin, found.id, to, privileges)

    def revoke(self, kind: SecurableKind, name: str, of: str, *privileges: Privilege) -> None:
        """Revoke as the admin."""
        found = self.made.access.securables.find(kind, name)
        assert found is not None, name
        self.made.access.grants.revoke(self.admin, found.id, of, privileges)

    def reader(self, name: str) -> RequestContext:
        """Somebody who may read the flights."""
        ctx = self.person(name)
        self.grant(SecurableKind.CATALOG, "main", name, Privilege.USE_CATALOG)
        self.grant(SecurableKind.SCHEMA, "main.air", name, Privilege.USE_SCHEMA, Privilege.SELECT, Privilege.EXECUTE, Privilege.READ_VOLUME)
        return ctx


@contextlib.contextmanager
def open_house(folder: Path) -> Iterator[House]:
    """The house with its sample data; `main.hr` is confidential, `main.air.rules` is indexed as `main.air.rules_index`."""
    with law_lake(folder) as lake:
        made, clock = lake.made, SystemClock()
        jobs = Jobs(database=made.database, clock=clock, access=made.access)
        retrieval = RetrievalRoom(
            database=made.database,
            clock=clock,
            threads=made.threads,
            access=made.access,
            catalog=lake.catalog,
            gateway=made.gateway,
            jobs=jobs,
            storage=DeltaStorage(),
            parser=BoundedParser(),
            vector_indexes=FaissIndexes(),
            word_indexes=TantivyIndexes(),
            root=folder / "indexes",
        )
        room = AgentsRoom(
            database=made.database,
            clock=clock,
            threads=made.threads,
            access=made.access,
            catalog=lake.catalog,
            jobs=jobs,
            sql=lake.sql,
            gateway=made.gateway,
            retrieval=retrieval,
        )
        house = House(lake, retrieval, jobs, room)
        jobs.start()
        try:
            room.start()
            furnish(house)
            yield house
        finally:
            jobs.close()


def furnish(house: House) -> None:
    """Tables, a label, documents and their index."""
    lake = house.lake
    lake.must("CREATE CATALOG main", "CREATE SCHEMA main.air", "CREATE SCHEMA main.hr")
    schema = house.made.access.securables.find(SecurableKind.SCHEMA, "main.hr")
    assert schema is not None
    house.made.access.labels.set(house.admin, schema.id, Label(Level.CONFIDENTIAL, frozenset({"salary"})))
    lake.must(FLIGHTS, AIRLINES, PAY, "CREATE VOLUME main.air.rules")
    lake.catalog.files.write(house.admin, "/Volumes/main/air/rules/travel.md", iter([RULES]), overwrite=True)
    house.retrieval.indexes.create(house.admin, "main.air.rules_index", sources=("/Volumes/main/air/rules",))
    run = house.retrieval.indexes.sync(house.admin, "main.air.rules_index")
    deadline = time.monotonic() + READY_WITHIN_S
    while not (state := house.jobs.get(house.admin, run.id)).state.ended:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert state.state is RunState.SUCCEEDED, state.error
