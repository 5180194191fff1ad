"""A real PostgreSQL server for tests: made in a temporary folder, reached by a Unix socket, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

START_S = 60
_BINARIES = ("initdb", "postgres")
_FOLDERS = ("/usr/lib/postgresql", "/usr/local/pgsql")


class PostgresMissing(Exception):
    """A binary of PostgreSQL is not on this machine; the message names it."""


def binary(name: str) -> Path:
    """Path of a server binary; Debian keeps them outside of PATH, one folder for each version."""
    found = shutil.which(name)
    candidates = [Path(found)] if found else []
    for folder in _FOLDERS:
        candidates += sorted(Path(folder).glob(f"*/bin/{name}"), reverse=True)
        candidates += [Path(folder) / "bin" / name]
    for each in candidates:
        if each.is_file() and os.access(each, os.X_OK):
            return each
    message = f"PostgreSQL's `{name}` is not installed"
    raise PostgresMissing(message)


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    socket_folder: Path

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.socket_folder}"

    def create_database(self, template: str = "template1") -> str:
        """Name of a new database."""
        name = f"test_{uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, also when somebody is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Run one statement outside of a transaction."""
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def _server_user() -> str | None:
    """Whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return name
    message = "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`"
    raise PostgresMissing(message)


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server for as long as the block runs; raises PostgresMissing when the binaries are not there."""
    initdb, postgres = (binary(name) for name in _BINARIES)
    user = _server_user()
    folder = Path(tempfile.mkdtemp(prefix="insjo-pg-"))
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o755)
    data = folder / "data"
    log = folder / "server.log"
    try:
        made = subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"],
            capture_output=True,
            check=False,
            text=True,
            user=user,
            cwd=folder,
        )
        assert made.returncode == 0, made.stderr
        options = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "fsync": "off",
            "synchronous_commit": "off",
            "max_connections": 200,
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            server = subprocess.Popen([postgres, "-D", data, *arguments], stdout=output, stderr=output, user=user, cwd=folder)
        try:
            running = PostgresServer(folder)
            _wait(running, server, log)
            yield running
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(running: PostgresServer, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers."""
    until = time.monotonic() + START_S
    while True:
        assert server.poll() is None, log.read_text()
        try:
            running.execute("SELECT 1")
        except sa.exc.OperationalError:
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of a worker; skips with the name of the missing binary."""
    try:
        context = running_postgres()
        server = context.__enter__()  # Skipping must happen outside of the block that cleans up.
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    try:
        yield server
    finally:
        context.__exit__(None, None, None)
