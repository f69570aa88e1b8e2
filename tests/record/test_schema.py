"""The schema of a database: exactly Optuna's and ours, or a refusal."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from sweeper.errors import StorageError
from sweeper.record import Record, Storage, migrations, open_database, schema
from sweeper.record.tables import metadata
from tests.record.rows import everything
from tests.record.samples import LIFE, make_spec, make_sweep


def shape(url: str) -> dict[str, Any]:
    """Every table with its columns, keys, indexes and constraints, of tables that are not ours."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        found = inspect(connection)
        tables = {
            name: (
                [(column["name"], repr(column["type"]), column["nullable"]) for column in found.get_columns(name)],
                found.get_pk_constraint(name),
                sorted(map(repr, found.get_indexes(name))),
                sorted(map(repr, found.get_unique_constraints(name))),
                sorted(map(repr, found.get_foreign_keys(name))),
                sorted(map(repr, found.get_check_constraints(name))),
            )
            for name in found.get_table_names()
            if not name.startswith("sweeper_")
        }
        versions = connection.exec_driver_sql("SELECT * FROM alembic_version").all()
        information = connection.exec_driver_sql("SELECT * FROM version_info").all()
    engine.dispose()
    return tables | {"versions": versions, "information": information}


def test_optunas_tables_are_as_optuna_makes_them(tmp_path: Path) -> None:
    ours, theirs = f"sqlite:///{tmp_path}/ours.db", f"sqlite:///{tmp_path}/theirs.db"
    open_database(ours)
    optuna.storages.RDBStorage(theirs).engine.dispose()
    assert shape(ours) == shape(theirs)


@pytest.mark.slow
def test_optunas_tables_are_as_optuna_makes_them_on_postgresql(postgres_server: Any) -> None:
    ours, theirs = (postgres_server.url_of(postgres_server.create_database()) for _ in range(2))
    open_database(ours)
    optuna.storages.RDBStorage(theirs.replace("postgresql:", "postgresql+psycopg:")).engine.dispose()
    assert shape(ours) == shape(theirs)


def test_our_tables_are_as_the_code_has_them(database_url: str) -> None:
    with open_database(database_url).engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, parents: kind != "table" or str(name).startswith("sweeper_"),
                "version_table": migrations.VERSION_TABLE,
                "compare_type": True,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_versions_in_the_code_are_the_newest_there_are() -> None:
    assert schema._optuna_script().get_current_head() == schema.OPTUNA_REVISION
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == migrations.HEAD


def set_version(url: str, table: str, version: str) -> None:
    with open_database(url).engine.connect() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET version_num = '{version}'")


@pytest.mark.parametrize(
    ("version", "advice"), [("v3.0.0.d", "optuna storage upgrade"), ("v9.9.9", "upgrade sweeper and optuna")]
)
def test_another_version_of_optunas_schema_is_refused(database_url: str, version: str, advice: str) -> None:
    set_version(database_url, "alembic_version", version)
    with pytest.raises(StorageError, match=rf"version {version}.*{schema.OPTUNA_REVISION}.*{advice}"):
        open_database(database_url)


def test_a_newer_version_of_our_schema_is_refused(database_url: str) -> None:
    set_version(database_url, migrations.VERSION_TABLE, "9999")
    with pytest.raises(StorageError, match=r"version 9999.*pip install --upgrade sweeper"):
        open_database(database_url)


def test_tables_from_before_a_column_was_there_are_refused(database_url: str) -> None:
    with open_database(database_url).engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE sweeper_runs DROP COLUMN gpu_seconds")
    with pytest.raises(StorageError, match=r"from before 0\.1\.0.*gpu_seconds.*name another database"):
        open_database(database_url)


def test_a_creation_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the power went")

    url = f"sqlite:///{tmp_path}/new.db"
    monkeypatch.setattr(schema, "upgrade", broken)
    with pytest.raises(RuntimeError):
        open_database(url)
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    monkeypatch.undo()
    open_database(url)


@pytest.mark.slow
def test_our_tables_survive_optunas_upgrade(database_url: str) -> None:
    with closing(Storage(database_url)) as storage:
        record = Record(storage)
        record.sweep_opened(make_sweep()).result()
        record.run_opened("s" * 32, make_spec()).result()
        record.heard(LIFE).result()
        optuna.create_study(storage=storage, study_name="digits").optimize(lambda trial: 0.5, n_trials=2)
        before = everything(storage)
    set_version(database_url, "alembic_version", "v3.0.0.d")
    url = database_url.replace("postgresql:", "postgresql+psycopg:")
    command = [str(Path(sys.executable).with_name("optuna")), "storage", "upgrade", "--storage", url]
    subprocess.run(command, check=True, capture_output=True)
    with closing(Storage(database_url)) as storage:
        assert everything(storage) == before
