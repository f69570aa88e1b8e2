"""Opening databases: good ones quickly, bad ones with a sentence."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import optuna
import pytest
from sqlalchemy import Connection

from sweeper.errors import StorageError
from sweeper.record import Storage, open_database
from tests.record.conftest import PostgresServer


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sweeper.db", "is no database URL: give sqlite:///sweeper.db"),
        ("", "is no database URL"),
        ("sqlite://tmp/x.db", "has two slashes"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x.db?mode=ro", "names no file"),
        ("mysql://ada@host/db", "SQLite or PostgreSQL, not in mysql"),
        ("postgresql://ada:secret@host:port/db", "is no database URL"),
    ],
)
def test_urls_that_are_none_of_ours(url: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence.replace("(", r"\(")) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 1000)
    with pytest.raises(StorageError, match="is no SQLite database"):
        open_database(f"sqlite:///{path}")
    assert path.read_text() == "dear diary, " * 1000


def test_a_damaged_database(sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    content[100:120] = os.urandom(20)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        open_database(sqlite_url)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="check that the server runs") as caught:
        open_database(f"postgresql://ada:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)
    assert "postgresql://ada:***@/db" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_postgresql_urls_are_taken_as_they_are(scheme: str, postgres_url: str) -> None:
    database = open_database(postgres_url.replace("postgresql", scheme, 1))
    assert database.dialect == "postgresql"
    assert unquote(database.url) == postgres_url


@pytest.mark.slow
def test_a_database_that_the_server_does_not_have(postgres_server: PostgresServer) -> None:
    with pytest.raises(StorageError, match='database "nowhere" does not exist'):
        open_database(postgres_server.url_of("nowhere"))


def test_relative_paths_stay_where_they_were_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage("sqlite:///here.db")
    monkeypatch.chdir("/")
    storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "digits")
    storage.close()
    assert storage.database.url == f"sqlite:///{tmp_path}/here.db"
    assert [path.name for path in tmp_path.iterdir()] == ["here.db"]


def read_setting(query: str, connection: Connection) -> object:
    return connection.exec_driver_sql(query).scalar()


def test_every_connection_is_durable(database_url: str) -> None:
    storage = Storage(database_url)
    if storage.database.dialect == "sqlite":
        settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        ask = "PRAGMA {}"
    else:
        settings = {"synchronous_commit": "on", "transaction_isolation": "read committed"}
        ask = "SHOW {}"
    for name, value in settings.items():
        assert storage.ask(partial(read_setting, ask.format(name))) == value
    storage.close()


def test_a_database_made_by_optuna_is_taken_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    theirs = optuna.storages.RDBStorage(url)
    study = optuna.create_study(storage=theirs, study_name="old", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    expected = study.trials
    theirs.remove_session()
    theirs.engine.dispose()
    storage = Storage(url)
    ours = optuna.load_study(storage=storage, study_name="old")
    assert ours.trials == expected
    ours.tell(ours.ask(), 2.0)
    assert ours.best_value == 2.0
    storage.close()
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_opening_an_up_to_date_database_loads_no_alembic(sqlite_url: str) -> None:
    script = (
        "import sys; from sweeper.record import open_database; open_database(sys.argv[1]);"
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, sqlite_url], check=True)
