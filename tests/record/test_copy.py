"""A copied database is the same, row for row, and goes on where the first left off."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import Connection, select

from sweeper.errors import StorageError
from sweeper.history.connection import open_engine, reading
from sweeper.record import Record, Storage
from sweeper.record.copy import copy_database
from tests.record.rows import TABLES
from tests.record.samples import LIFE, make_spec, make_sweep


def copy(source: str, destination: str) -> dict[str, int]:
    with reading(open_engine(source), source) as connection:
        return copy_database(connection, source, destination)


def all_rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    def read(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in TABLES
        }

    with closing(Storage(url)) as storage:
        return storage.ask(read)


def fill(url: str) -> None:
    """Something in every table of Optuna's and ours that takes rows, the values that are hardest to keep included."""
    with closing(Storage(url)) as storage:
        record = Record(storage)
        record.sweep_opened(make_sweep(command="träin.py\t-m 'a\\b'\n")).result()
        record.run_opened("s" * 32, make_spec(overrides=("müll=☃",), seed=2**40)).result()
        record.heard(LIFE).result()
        study = optuna.create_study(storage=storage, study_name="digits", directions=["minimize", "maximize"])
        study.set_user_attr("note", {"é": [1, None]})
        for number in range(3):
            trial = study.ask()
            trial.suggest_float("lr", 1e-5, 1e-1, log=True)
            trial.suggest_categorical("act", ["relu", None, 3])
            trial.set_user_attr("n", number)
            study.tell(trial, [math.inf, -0.1 - number])
        optuna.create_study(storage=storage, study_name="deleted")
        optuna.delete_study(storage=storage, study_name="deleted")
        pruned = optuna.create_study(storage=storage, study_name="pruned")
        trial = pruned.ask()
        for step, value in enumerate((0.1, math.nan, math.inf, -math.inf)):
            trial.report(value, step)
        pruned.tell(trial, state=TrialState.PRUNED)
        pruned.enqueue_trial({"x": 1})


def check_goes_on(url: str) -> None:
    with closing(Storage(url)) as storage:
        study = optuna.load_study(storage=storage, study_name="digits")
        trial = study.ask()
        trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        study.tell(trial, [0.0, 0.0])
        assert [one.number for one in study.trials] == [0, 1, 2, 3]
        Record(storage).run_opened("s" * 32, make_spec(number=3, run="b" * 32)).result()
        optuna.create_study(storage=storage, study_name="new")


def test_a_copy_is_the_same_row_for_row(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    destination = f"sqlite:///{tmp_path}/copy.db"
    before = all_rows(sqlite_url)
    copied = copy(sqlite_url, destination)
    assert all_rows(destination) == before == all_rows(sqlite_url)
    assert copied == {name: len(found) for name, found in before.items()}
    check_goes_on(destination)


@pytest.mark.slow
def test_to_postgresql_and_back(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    copy(sqlite_url, postgres_url)
    back = f"sqlite:///{tmp_path}/back.db"
    copy(postgres_url, back)
    assert all_rows(back) == all_rows(postgres_url) == all_rows(sqlite_url)
    check_goes_on(postgres_url)
    check_goes_on(back)


def test_more_rows_than_go_into_one_statement(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.record.copy._CHUNK", 2)
    fill(sqlite_url)
    destination = f"sqlite:///{tmp_path}/copy.db"
    copy(sqlite_url, destination)
    assert all_rows(destination) == all_rows(sqlite_url)


def test_a_database_that_only_optuna_wrote(tmp_path: Path) -> None:
    source, destination = f"sqlite:///{tmp_path}/theirs.db", f"sqlite:///{tmp_path}/ours.db"
    theirs = optuna.storages.RDBStorage(source)
    study = optuna.create_study(storage=theirs, study_name="digits")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    copied = copy(source, destination)
    with closing(Storage(destination)) as storage:
        assert optuna.load_study(storage=storage, study_name="digits").trials == study.trials
    assert not any(name.startswith("sweeper_") for name in copied)
    theirs.remove_session()
    theirs.engine.dispose()


def test_what_is_written_meanwhile_is_not_in_the_copy(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    before = all_rows(sqlite_url)
    destination = f"sqlite:///{tmp_path}/copy.db"
    with reading(open_engine(sqlite_url), sqlite_url) as connection:
        connection.exec_driver_sql("SELECT count(*) FROM trials").all()
        with closing(Storage(sqlite_url)) as writing:
            optuna.load_study(storage=writing, study_name="digits").ask()
        copy_database(connection, sqlite_url, destination)
    assert all_rows(destination) == before


def test_a_destination_with_anything_in_it_is_refused_and_stays_as_it_is(database_url: str, tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/source.db"
    fill(source)
    with closing(Storage(database_url)) as storage:
        optuna.create_study(storage=storage, study_name="here")
    before = all_rows(database_url)
    with pytest.raises(StorageError, match=r"is not empty \(there are rows in studies\).*name a new file"):
        copy(source, database_url)
    assert all_rows(database_url) == before


def test_a_copy_that_breaks_off_leaves_nothing(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_url)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("sweeper.record.copy.write_points", full)
    destination = f"sqlite:///{tmp_path}/copy.db"
    with pytest.raises(StorageError, match=r"cannot store a row of sweeper_metrics \(database or disk is full\)"):
        copy(sqlite_url, destination)
    monkeypatch.undo()
    assert copy(sqlite_url, destination)["trials"] == 5


@pytest.mark.slow
def test_a_row_that_the_other_engine_cannot_hold_is_named(sqlite_url: str, postgres_url: str) -> None:
    fill(sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE study_user_attributes SET value_json = '\"' || char(0) || '\"'")
        connection.commit()
    with pytest.raises(StorageError, match=r"cannot store a row of study_user_attributes .*nothing was copied"):
        copy(sqlite_url, postgres_url)
    with closing(Storage(postgres_url)) as storage:
        assert storage.get_all_studies() == []


def test_an_older_schema_is_brought_up_first(sqlite_url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE sweeper_alembic_version SET version_num = '0000'")
        connection.commit()
    with pytest.raises(StorageError, match=r"version 0000, not .*type `sweeper db upgrade --storage URL`"):
        copy(sqlite_url, f"sqlite:///{tmp_path}/copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_database_without_studies_tables(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(StorageError, match="has no tables of Optuna's"):
        copy(f"sqlite:///{tmp_path}/empty.db", f"sqlite:///{tmp_path}/copy.db")
