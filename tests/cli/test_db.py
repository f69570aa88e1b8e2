from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from sweeper.history import History
from sweeper.record import open_database
from sweeper.record.migrations import HEAD
from tests.cli.conftest import Sweeper
from tests.history.database import Written, add
from tests.record.conftest import (
    _postgres_template,  # noqa: F401
    postgres_server,
    postgres_url,
)

__all__ = ["postgres_server", "postgres_url"]


def test_status_of_a_database_that_is_up_to_date(sweeper: Sweeper, tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/sweeper.db").engine.dispose()
    found = sweeper("db", "status", "--json").json
    assert found["where"] == f"sqlite:///{tmp_path}/sweeper.db" and found["engine"] == "sqlite"
    assert (found["sweeper_schema"], found["advice"]) == (HEAD, None)
    assert found["size_bytes"] > 0 and found["rows"]["trials"] == 0 and "alembic_version" not in found["rows"]
    assert "nothing: the schema is up to date" in sweeper("db", "status").out


@pytest.mark.slow
def test_status_on_postgresql(sweeper: Sweeper, postgres_url: str) -> None:
    found = sweeper("db", "status", "--json", "--storage", postgres_url).json
    assert (found["engine"], found["advice"], found["rows"]["sweeper_runs"]) == ("postgresql", None, 0)
    assert found["size_bytes"] > 0


def test_a_database_of_optunas_is_upgraded_to_ours(sweeper: Sweeper, written: Written) -> None:
    add(written.study("digits"), 0.5)
    assert sweeper("db", "status", "--json").json["advice"] == "sweeper db upgrade --storage URL"
    assert f"is upgraded: sweeper's schema none -> {HEAD}" in sweeper("db", "upgrade").out
    again = sweeper("db", "upgrade", "--json").json
    assert again["before"]["rows"] == again["after"]["rows"] and again["after"]["rows"]["trials"] == 1
    assert f"is up to date: sweeper's schema {HEAD}" in sweeper("db", "upgrade").out


@pytest.mark.parametrize(
    ("table", "version", "advice"),
    [
        ("alembic_version", "v3.0.0.d", "optuna storage upgrade --storage URL"),
        ("alembic_version", "v9.9.9", "pip install --upgrade sweeper optuna"),
        ("sweeper_alembic_version", "9999", "pip install --upgrade sweeper"),
    ],
)
def test_status_of_other_schemas(sweeper: Sweeper, tmp_path: Path, table: str, version: str, advice: str) -> None:
    open_database(f"sqlite:///{tmp_path}/sweeper.db").engine.dispose()
    with closing(sqlite3.connect(tmp_path / "sweeper.db", isolation_level=None)) as connection:
        connection.execute(f"UPDATE {table} SET version_num = '{version}'")
    found = sweeper("db", "status", "--json").json
    assert found["advice"] == advice and version in (found["optuna_schema"], found["sweeper_schema"])
    refused = sweeper("db", "upgrade")
    assert refused.status == 3 and version in refused.err and len(refused.err.splitlines()) == 1


@pytest.mark.parametrize("verb", ["status", "upgrade"])
def test_no_database_is_made(sweeper: Sweeper, tmp_path: Path, verb: str) -> None:
    found = sweeper("db", verb)
    assert found.status == 3 and "does not exist" in found.err
    assert list(tmp_path.iterdir()) == []


def test_a_copy_reads_like_the_original(sweeper: Sweeper, digits_url: str, tmp_path: Path) -> None:
    sweeper("db", "upgrade", "--storage", digits_url)
    found = sweeper("db", "copy", digits_url, "sqlite:///copy.db")
    assert found.status == 0 and "rows copied to sqlite:///" in found.out
    copy = History("sqlite:///copy.db")
    assert copy.study("digits") == History(digits_url).study("digits")
    assert copy.best("digits") == History(digits_url).best("digits")
    refused = sweeper("db", "copy", digits_url, "sqlite:///copy.db")
    assert refused.status == 3 and "is not empty" in refused.err and len(refused.err.splitlines()) == 1
    assert sweeper("db", "copy", digits_url, "sqlite:///again.db", "--json").json["trials"] == 10


def test_replay_says_what_it_took_in(sweeper: Sweeper, tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/sweeper.db").engine.dispose()
    journal = tmp_path / "sweep" / "0" / ".sweeper" / f"{'a' * 32}.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text('{"event":"started","seq":0,"time":1.0,"node":"n","pid":1}\n')
    assert sweeper("db", "replay", "sweep", "--json").json == {
        "runs": 0,
        "events": 0,
        "spools": 0,
        "unknown": [str(journal.relative_to(tmp_path))],
    }
    shown = sweeper("db", "replay", "sweep").out
    assert shown.startswith("0 events of 0 runs are on record") and "not on record here" in shown


def test_optuna_reads_a_copy(sweeper: Sweeper, digits_url: str) -> None:
    sweeper("db", "upgrade", "--storage", digits_url)
    sweeper("db", "copy", digits_url, "sqlite:///copy.db")
    theirs = optuna.storages.RDBStorage("sqlite:///copy.db")
    assert len(optuna.load_study(study_name="digits", storage=theirs).trials) == 10
    theirs.remove_session()
    theirs.engine.dispose()
