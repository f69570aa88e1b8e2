"""Databases for tests: SQLite files, and a private PostgreSQL server that is started once and runs as an
ordinary user, reachable through a socket in its own folder alone.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from sweeper.record import open_database


@dataclass
class PostgresServer:
    """A server whose data lies in `folder`; `start` and the ways to end it may be called again and again."""

    folder: Path
    user: str | None  # None: the user of this process
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _names: Iterator[int] = field(default_factory=itertools.count, init=False)

    @property
    def url(self) -> str:
        return f"postgresql://sweeper@/postgres?host={self.folder}"

    def initialise(self) -> None:
        command = [_binary("initdb"), "-D", "data", "-U", "sweeper", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(command, cwd=self.folder, user=self.user, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", "fsync=off", "max_connections=60"]
        command = [_binary("postgres"), "-D", "data", *(part for one in settings for part in ("-c", one))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, user=self.user, stdout=log, stderr=log)
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)  # the server tells nobody when it is ready

    def stop(self) -> None:
        """As `pg_ctl stop -m fast` does."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """As `pg_ctl stop -m immediate` does: what was not durable is gone."""
        self._end(signal.SIGQUIT)

    def create_database(self, template: str | None = None) -> str:
        """A new database, a copy of `template`; returns its name."""
        name = f"test{next(self._names)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    def url_of(self, name: str) -> str:
        return f"postgresql://sweeper@/{name}?host={self.folder}"

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else name


def new_server() -> PostgresServer:
    """A server of its own, initialised and not started; remove its folder afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sweeper-pg-"))
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
        shutil.chown(folder, user)
    server = PostgresServer(folder, user)
    server.initialise()
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = new_server()
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> str:
    name = postgres_server.create_database()
    open_database(postgres_server.url_of(name))
    return name


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _postgres_template: str) -> str:
    """A database of our schema with nothing in it."""
    return postgres_server.url_of(postgres_server.create_database(_postgres_template))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same on either engine."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url
