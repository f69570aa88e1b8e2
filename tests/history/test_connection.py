from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from sweeper.errors import StorageError
from sweeper.history import History, connection
from tests.history.database import Written, add


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "URL is empty"),
        ("not a url", "cannot be understood"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://x.db", "two slashes where three are needed"),
        ("sqlite:////nowhere/x.db", "/nowhere/x.db does not exist"),
        ("sqlite:////tmp", "/tmp is a folder"),
        ("mysql://u:secret@h/db", "reads SQLite and PostgreSQL, not mysql"),
        ("postgresql://u:secret@127.0.0.1:1/db", r"127.0.0.1:1/db cannot be read \(.*refused"),
        ("postgres://u@127.0.0.1:1/db?password=secret", "cannot be read"),
        ("postgresql://u:se{cr%et@127.0.0.1:port/db", "cannot be understood"),
    ],
)
def test_a_url_that_cannot_work_is_one_sentence_without_the_password(url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        History(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value) and "se{cr" not in str(caught.value)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database" * 100)
    with pytest.raises(StorageError, match="is no SQLite database"):
        History(f"sqlite:///{path}")
    assert path.read_text() == "not a database" * 100
    assert [found.name for found in tmp_path.iterdir()] == ["notes.txt"]


def test_a_database_without_studies(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE a (x)")
    other.close()
    with pytest.raises(StorageError, match="holds no studies"):
        History(f"sqlite:///{path}")


def test_an_unknown_schema_names_both_versions(written: Written) -> None:
    with written.engine.begin() as writer:
        writer.exec_driver_sql("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    with pytest.raises(StorageError, match=r"v9\.0\.0\.a .* reads v3\.2\.0\.a: .*optuna storage upgrade"):
        History(written.url)


@pytest.mark.parametrize("name", ["a b#c é.db", "=&+;.db", "a%41.db"])
def test_odd_paths(written: Written, tmp_path: Path, name: str) -> None:
    written.study("s")
    written.close()
    (tmp_path / "sweeper.db").rename(tmp_path / name)
    url = f"sqlite:///{tmp_path}/{name.replace('%', '%25')}"
    assert [study.name for study in History(url).studies()] == ["s"]


def test_reading_cannot_write(written: Written) -> None:
    history = History(written.url)
    with (
        pytest.raises(StorageError, match="readonly"),
        connection.reading(history._engine, history.where) as reader,
    ):
        reader.exec_driver_sql("DELETE FROM studies")


def test_reading_changes_no_byte(written: Written, tmp_path: Path) -> None:
    add(written.study("s"), 1.0)
    written.close()
    path = tmp_path / "sweeper.db"
    before = hashlib.sha256(path.read_bytes()).digest()
    history = History(written.url)
    history.best("s")
    history.studies()
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert [found.name for found in tmp_path.iterdir()] == ["sweeper.db"]


@pytest.fixture
def writer(written: Written, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that writes in WAL, as a sweep does, in the middle of a transaction."""
    add(written.study("s"), 1.0)
    writer = sqlite3.connect(tmp_path / "sweeper.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE trial_values SET value = 2.0")
    yield writer
    writer.close()


def test_a_reader_sees_what_is_committed_while_a_sweep_writes(written: Written, writer: sqlite3.Connection) -> None:
    history = History(written.url)
    assert history.best("s")[0].values == (1.0,)
    writer.execute("COMMIT")
    assert history.best("s")[0].values == (2.0,)


def test_one_read_is_of_one_moment(written: Written, writer: sqlite3.Connection) -> None:
    history = History(written.url)
    with connection.reading(history._engine, history.where) as reader:
        before = reader.exec_driver_sql("SELECT value FROM trial_values").scalar()
        writer.execute("COMMIT")
        assert reader.exec_driver_sql("SELECT value FROM trial_values").scalar() == before == 1.0


def test_a_reader_holds_up_no_writer(written: Written, writer: sqlite3.Connection) -> None:
    history = History(written.url)
    with connection.reading(history._engine, history.where) as reader:
        reader.exec_driver_sql("SELECT value FROM trial_values").all()
        writer.execute("COMMIT")
        writer.execute("UPDATE trial_values SET value = 3.0")  # would raise "database is locked"
    assert history.best("s")[0].values == (3.0,)


def test_a_database_kept_locked_is_said_to_be(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_BUSY_TIMEOUT_S", 0.01)
    writer = sqlite3.connect(tmp_path / "sweeper.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="locked by another process"):
        History(written.url)
    writer.close()


_AS_ANOTHER = """
import os, sys
from sweeper.history import History
import sqlalchemy.dialects.sqlite
if os.geteuid() == 0:
    os.setuid(65534)
print(History(sys.argv[1]).studies()[0].name)
"""


def test_a_reader_who_may_not_write_beside_the_file(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own folder is closed to other users
    written = Written(f"sqlite:///{folder}/sweeper.db")
    written.study("s")
    with written.engine.connect() as writer:
        writer.exec_driver_sql("PRAGMA journal_mode = WAL")
    written.close()
    folder.chmod(0o555)
    try:
        found = subprocess.run(
            [sys.executable, "-c", _AS_ANOTHER, written.url], capture_output=True, text=True, check=False
        )
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert (found.stdout, found.stderr) == ("s\n", "")


def test_errors_of_a_query_are_the_storages(written: Written) -> None:
    history = History(written.url)
    with pytest.raises(StorageError, match="cannot be read") as caught:
        written.engine.dispose()
        with connection.reading(history._engine, history.where) as reader:
            reader.exec_driver_sql("SELECT * FROM nowhere")
    assert isinstance(caught.value.__cause__, OperationalError)


def test_a_database_from_before_a_column_was_there_says_so(written: Written) -> None:
    add(written.study("s"), 1.0)
    written.our_tables()
    with written.engine.begin() as writer:
        writer.exec_driver_sql("ALTER TABLE sweeper_runs DROP COLUMN gpu_seconds")
    with pytest.raises(
        StorageError, match=r"from before 0\.1\.0, whose tables have no column sweeper_runs\.gpu_seconds"
    ):
        History(written.url).best("s")
