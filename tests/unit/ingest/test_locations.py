"""Files and tables from other machines: only from where a steward allows it, only into the volume that was named, and never elsewhere."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from mysql_mimic import MysqlServer, Session

from insjo.access.errors import AccessDenied, FlowBlocked
from insjo.access.types import Clearance, Label, Level, SecurableKind
from insjo.adapters.remote.addresses import checked_address
from insjo.adapters.remote.web import below
from insjo.ingest.errors import LocationExists, LocationInvalid, LocationNotFound, LocationRefused
from insjo.jobs.types import Run, RunState
from tests.support.postgres import PostgresMissing, running_postgres
from tests.support.stores import free_port, s3
from tests.unit.ingest.conftest import SECRETS, WITHIN_S, Dock

pytestmark = pytest.mark.slow

CONTENT = b"id,name\n1,\xc3\x85sa\n2,Bo\n"
VOLUME = "main.desk.files"


@dataclass
class Site:
    """A web server of this machine, and what it was asked."""

    url: str
    asked: list[tuple[str, str]]


class _Answers(http.server.BaseHTTPRequestHandler):
    """A file, a redirect, a broken file, and a file for those with a token."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append((self.path, self.headers.get("authorization", "")))
        if self.path.endswith("/away"):
            self.send_response(302)
            self.send_header("location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            return
        if self.path.endswith("/token.csv") and self.headers.get("authorization") != "Bearer open sesame":
            self.send_error(403)
            return
        if not self.path.endswith(".csv"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("content-length", str(len(CONTENT) + (1000 if self.path.endswith("/short.csv") else 0)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def site() -> Iterator[Site]:
    asked: list[tuple[str, str]] = []
    answers = type("Answers", (_Answers,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{server.server_port}/public/", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fetched(dock: Dock, name: str, what: str) -> Run:
    """A fetch that has ended."""
    run = dock.room.locations.fetch(dock.desk.ctx, name, what)
    return dock.jobs.wait(dock.desk.ctx, run.id, WITHIN_S)


def test_a_file_of_an_allowed_place_is_fetched_and_loaded(dock: Dock, site: Site) -> None:
    dock.room.locations.create(dock.desk.ctx, "stats", site.url, VOLUME, private=True)
    run = fetched(dock, "stats", "2026/a%20b.csv")
    assert (run.error, run.result["path"]) == ("", "/Volumes/main/desk/files/stats/a_b.csv")
    assert site.asked == [("/public/2026/a%20b.csv", "")]
    assert dock.load(str(run.result["path"])).result["rows"] == 2
    assert dock.desk.rows("SELECT name FROM t ORDER BY id") == [("Åsa",), ("Bo",)]


def test_a_token_is_sent_to_the_place_and_shown_to_nobody(dock: Dock, site: Site) -> None:
    SECRETS["web/token"] = b"open sesame"
    dock.room.locations.create(dock.desk.ctx, "closed", site.url, VOLUME, private=True, secret="web/token")
    run = fetched(dock, "closed", "token.csv")
    assert run.error == ""
    assert "sesame" not in str(run)


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("away", "LOCATION_REFUSED"),
        ("../secret.csv", "LOCATION_REFUSED"),
        ("%2e%2e/secret.csv", "LOCATION_REFUSED"),
        ("/etc/passwd", "LOCATION_REFUSED"),
        ("http://127.0.0.1/x.csv", "LOCATION_REFUSED"),
        ("nothing", "LOCATION_UNREACHABLE"),
        ("short.csv", "LOCATION_UNREACHABLE"),
    ],
)
def test_nothing_else_is_fetched_and_nothing_half(dock: Dock, site: Site, what: str, code: str) -> None:
    dock.room.locations.create(dock.desk.ctx, "stats", site.url, VOLUME, private=True)
    run = fetched(dock, "stats", what)
    assert (run.state, run.error_code) == (RunState.FAILED, code)
    assert all(path.startswith("/public/") and ".." not in path for path, _ in site.asked)
    assert dock.desk.rows("SELECT 1 FROM main.information_schema.tables WHERE table_name = 't'") == []
    names = [row[1] for row in dock.desk.rows("LIST '/Volumes/main/desk/files'")]
    assert names in ([], ["stats/"])
    if names:
        assert dock.desk.rows("LIST '/Volumes/main/desk/files/stats'") == []


@pytest.mark.parametrize("what", ["anna.svensson@example.se.csv", "by/850709-9805.csv", "anna%2Esvensson%40example%2Ese.csv"])
def test_the_name_of_what_is_fetched_is_no_way_out(dock: Dock, site: Site, what: str) -> None:
    access = dock.desk.lake.access
    dock.room.locations.create(dock.desk.ctx, "way", site.url, VOLUME, private=True)
    # Those of tables are refreshed in the background, so these are kept for something that is none.
    kept = access.securables.resolve(dock.desk.ctx, SecurableKind.SCHEMA, "main.desk", None)
    access.fingerprints.replace(kept.id, Label(Level.CONFIDENTIAL), ["anna.svensson@example.se"])
    with pytest.raises(FlowBlocked):
        dock.room.locations.fetch(dock.desk.ctx, "way", what)
    assert site.asked == []
    assert fetched(dock, "way", "people.csv").state is RunState.SUCCEEDED
    dock.room.locations.delete(dock.desk.ctx, "way")
    assert "location:way" not in [each.destination for each in access.clearances.fetch_all()]


def test_private_addresses_need_a_word_of_the_steward(dock: Dock, site: Site) -> None:
    dock.room.locations.create(dock.desk.ctx, "stats", site.url, VOLUME)
    assert fetched(dock, "stats", "a.csv").error_code == "LOCATION_REFUSED"
    assert site.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254", "::", "224.0.0.1", "::ffff:169.254.169.254", "fe80::1"])
def test_some_addresses_are_never_connected_to(host: str) -> None:
    with pytest.raises(LocationRefused):
        checked_address(host, 80, private=True)


def test_what_lies_below_a_prefix() -> None:
    assert below("https://a.example/x/", "y/z.csv?page=1") == "https://a.example/x/y/z.csv?page=1"
    for what in ("..", "a/../../b", "//evil.example/x", "https:/x", "a b", "a#b", "a\nb", "a\\..\\b", "%2e%2e/x"):
        with pytest.raises(LocationRefused):
            below("https://a.example/x/", what)


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "https://user:word@a.example/", "https://a.example/x?y=1", "file:///etc/", "https://a.example/../", "https://[x"],
)
def test_addresses_of_locations_are_checked(dock: Dock, url: str) -> None:
    with pytest.raises(LocationInvalid):
        dock.room.locations.create(dock.desk.ctx, "x", url, VOLUME)


def test_who_may_allow_and_who_may_fetch(dock: Dock, site: Site) -> None:
    desk = dock.desk
    eva = desk.as_("eva")
    with pytest.raises(AccessDenied):
        dock.room.locations.create(eva.ctx, "own", site.url, VOLUME, private=True)
    dock.room.locations.create(desk.ctx, "stats", site.url, VOLUME, private=True)
    with pytest.raises(LocationExists):
        dock.room.locations.create(desk.ctx, "Stats", site.url, VOLUME)
    assert dock.room.locations.list(eva.ctx) == ()
    with pytest.raises(LocationNotFound) as hidden:
        dock.room.locations.fetch(eva.ctx, "stats", "a.csv")
    with pytest.raises(LocationNotFound) as missing:
        dock.room.locations.fetch(eva.ctx, "other", "a.csv")
    assert str(hidden.value).replace("stats", "other") == str(missing.value)
    for text in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA desk", "WRITE VOLUME ON VOLUME files"):
        desk.run(f"GRANT {text} TO eva")
    run = dock.room.locations.fetch(eva.ctx, "stats", "a.csv")
    assert dock.jobs.wait(eva.ctx, run.id, WITHIN_S).error == ""
    with pytest.raises(AccessDenied):
        dock.room.locations.delete(eva.ctx, "stats")
    dock.room.locations.delete(desk.ctx, "stats")
    with pytest.raises(LocationNotFound):
        dock.room.locations.get(desk.ctx, "stats")


@contextmanager
def _postgres() -> Iterator[str]:
    """A database with a table; gives the address of a location."""
    try:
        with running_postgres() as server:
            server.execute(
                'CREATE TABLE people (id int, name text, pay numeric(10,2), born date, ok boolean, seen timestamptz, "odd name" text)'
            )
            server.execute(
                "INSERT INTO people VALUES (1, 'Åsa, \"A\"', 1.50, '2020-01-02', true, '2026-01-02 03:04:05+00', 'x'), "
                "(2, E'two\\nlines', NULL, NULL, false, NULL, NULL)"
            )
            server.execute("CREATE SCHEMA other")
            server.execute("CREATE TABLE other.things (n bigint)")
            yield f"postgresql://postgres@/postgres?host={server.socket_folder}"
    except PostgresMissing as missing:
        pytest.skip(str(missing))


def test_tables_of_postgresql_keep_their_types(dock: Dock) -> None:
    with _postgres() as url:
        dock.room.locations.create(dock.desk.ctx, "pg", url, VOLUME, private=True)
        run = fetched(dock, "pg", "public.people")
        assert run.error == ""
        types = {str(name): str(kind) for name, kind in dict(run.result["types"]).items()}  # type: ignore[call-overload]  # A JSON object.
        assert types == {
            "id": "int",
            "name": "string",
            "pay": "decimal(10,2)",
            "born": "date",
            "ok": "boolean",
            "seen": "timestamp",
            "odd name": "string",
        }
        done = dock.load(str(run.result["path"]), types=types)
        assert (done.error, done.result["rows"]) == ("", 2)
        found = dock.desk.rows(
            "SELECT id, name, CAST(pay AS STRING), CAST(born AS STRING), ok, CAST(seen AS STRING), odd_name FROM t ORDER BY id"
        )
        assert found == [
            (1, 'Åsa, "A"', "1.50", "2020-01-02", True, "2026-01-02 03:04:05", "x"),
            (2, "two\nlines", None, None, False, None, None),
        ]
        assert fetched(dock, "pg", "other.things").error == ""
        for what in ("nothing", "people; DROP TABLE people", 'people" --'):
            assert fetched(dock, "pg", what).error_code == "LOCATION_UNREACHABLE"
        assert fetched(dock, "pg", "public.people").error == ""


def test_objects_of_s3(dock: Dock) -> None:
    from obstore.store import from_url

    with s3() as store:
        open_store: Any = from_url
        there = open_store(store.url, **store.options, client_options={"allow_http": True})
        there.put("in/2026/a.csv", CONTENT)
        SECRETS["cloud/keys"] = json.dumps(store.options).encode()
        dock.room.locations.create(dock.desk.ctx, "bucket", f"{store.url}/in/", VOLUME, private=True, secret="cloud/keys")
        run = fetched(dock, "bucket", "2026/a.csv")
        assert (run.error, run.result["size_bytes"]) == ("", len(CONTENT))
        assert dock.load(str(run.result["path"])).result["rows"] == 2
        assert fetched(dock, "bucket", "nothing.csv").error_code == "LOCATION_UNREACHABLE"
        assert fetched(dock, "bucket", "../other.csv").error_code == "LOCATION_REFUSED"
        dock.room.locations.create(dock.desk.ctx, "public", f"{store.url}/in/", VOLUME, secret="cloud/keys")
        assert fetched(dock, "public", "2026/a.csv").error_code == "LOCATION_REFUSED"


class _Shop(Session):  # type: ignore[misc]  # The package has no types.
    """A database that speaks MySQL's wire."""

    async def query(self, expression: object, sql: str, attrs: object) -> tuple[list[tuple[object, ...]], list[str]]:
        """Rows of its only table."""
        return [(1, 'Åsa "A"', None), (2, "two\nlines", "1.50")], ["id", "name", "pay"]

    async def schema(self) -> dict[str, object]:
        """Its only table."""
        return {"shop": {"people": {"id": "int", "name": "varchar(20)", "pay": "decimal(10,2)"}}}


async def _end_all(server: MysqlServer) -> None:
    """Close the server and wait for its connections, so that none is left behind half open."""
    server.close()
    running = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def test_tables_of_mysql(dock: Dock) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = MysqlServer(session_factory=_Shop)
    port = free_port()
    asyncio.run_coroutine_threadsafe(server.start_server(host="127.0.0.1", port=port), loop).result(WITHIN_S)
    try:
        dock.room.locations.create(dock.desk.ctx, "shop", f"mysql://root@127.0.0.1:{port}/shop", VOLUME, private=True)
        run = fetched(dock, "shop", "people")
        assert (run.error, run.result["types"]) == ("", {"id": "bigint", "name": "string", "pay": "decimal(10,2)"})
        assert dock.load(str(run.result["path"]), types=run.result["types"]).error == ""
        assert dock.desk.rows("SELECT id, name, CAST(pay AS STRING) FROM t ORDER BY id") == [
            (1, 'Åsa "A"', None),
            (2, "two\nlines", "1.50"),
        ]
        assert fetched(dock, "shop", "nothing").error_code == "LOCATION_UNREACHABLE"
    finally:
        asyncio.run_coroutine_threadsafe(_end_all(server), loop).result(WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_place_without_a_volume_is_for_stewards_who_name_one(dock: Dock, site: Site) -> None:
    locations, ctx = dock.room.locations, dock.desk.ctx
    locations.create(ctx, "anywhere", site.url, "", private=True)
    with pytest.raises(LocationInvalid, match="has no volume"):
        locations.fetch(ctx, "anywhere", "a.csv")
    run = dock.jobs.wait(ctx, locations.fetch(ctx, "anywhere", "a.csv", VOLUME).id, WITHIN_S)
    assert run.result.get("path") == "/Volumes/main/desk/files/anywhere/a.csv", run.error
    person = dock.desk.as_("passer_by")
    assert "anywhere" not in {each.name for each in locations.list(person.ctx)}
    with pytest.raises(LocationNotFound):
        locations.fetch(person.ctx, "anywhere", "a.csv", VOLUME)
    with pytest.raises(AccessDenied):
        locations.update(person.ctx, "anywhere", url="https://elsewhere.example/")
    locations.create(ctx, "bound", site.url, VOLUME, private=True)
    with pytest.raises(LocationInvalid, match="has a volume of its own"):
        locations.fetch(ctx, "bound", "a.csv", VOLUME)
    locations.delete(ctx, "bound")


def test_another_address_is_cleared_anew(dock: Dock, site: Site) -> None:
    locations, ctx = dock.room.locations, dock.desk.ctx
    clearances = dock.desk.lake.access.clearances
    locations.create(ctx, "moving", site.url, VOLUME, private=True)
    clearances.set(ctx, Clearance("location:moving", level=Level.SECRET, zone="any"))
    locations.update(ctx, "moving", comment="the same place")
    assert clearances.get("location:moving").level is Level.SECRET
    assert locations.update(ctx, "moving", url="https://elsewhere.example/").url == "https://elsewhere.example/"
    assert clearances.get("location:moving").level is Level.INTERNAL
    for url in ("file:///etc", "https://a:b@x.example/"):
        with pytest.raises(LocationInvalid):
            locations.update(ctx, "moving", url=url)
