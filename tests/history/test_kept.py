"""Reads of what runs keep and read."""

from __future__ import annotations

import optuna
import pytest
from sqlalchemy import Table, insert

from sweeper.history import BlobUse, DataRow, HeldOut, History, Looks
from sweeper.record import tables
from tests.history.database import Written, digits


def put(written: Written, table: Table, *rows: dict[str, object]) -> None:
    with written.engine.begin() as connection:
        connection.execute(insert(table), list(rows))


@pytest.fixture
def history(written: Written, tmp_path_factory: pytest.TempPathFactory) -> History:
    digits(written, tmp_path_factory.mktemp("log"))
    row = {"run_id": 1, "kind": "model", "size": 7, "error": None, "time": 5.0, "seq": 1}
    put(
        written,
        tables.artifacts,
        row | {"name": "b.pt", "sha256": "b" * 64},
        row | {"name": "a.pt", "sha256": "a" * 64},
        row | {"name": "lost.pt", "sha256": None, "error": "no space left on device"},
        row | {"run_id": 2, "name": "a.pt", "sha256": "a" * 64},
    )
    row = {"run_id": 1, "url": "/d", "files": 2, "size": 9, "error": None, "time": 5.0, "seq": 1}
    put(
        written,
        tables.data,
        row | {"name": "train", "sha256": "c" * 64, "manifest": True},
        row | {"name": "labels", "sha256": "d" * 64, "manifest": False},
    )
    look = {"run_id": 1, "step": None, "time": 5.0}
    put(
        written,
        tables.test_metrics,
        look | {"seq": 1, "name": "acc", "value": 0.5},
        look | {"seq": 1, "name": "loss", "value": 2.0},
        look | {"seq": 4, "name": "acc", "value": 0.7, "step": 3},
        look | {"run_id": 2, "seq": 1, "name": "acc", "value": 0.6},
    )
    return History(written.url)


def test_a_runs_files_by_name(history: History) -> None:
    (run,) = history.runs("digits", 0)
    found = history.artifacts(run.run)
    assert [(row.name, row.sha256) for row in found] == [("a.pt", "a" * 64), ("b.pt", "b" * 64), ("lost.pt", None)]
    assert found[2].error == "no space left on device"


def test_a_runs_data_by_name(history: History) -> None:
    (run,) = history.runs("digits", 0)
    labels, train = history.data(run.run)
    assert train == DataRow("train", "/d", 2, 9, "c" * 64, True, None)
    assert labels.name == "labels"


def test_test_metrics_and_how_often_they_were_looked_at(history: History) -> None:
    (run,) = history.runs("digits", 0)
    assert history.test_metrics(run.run) == {"acc": HeldOut(0.7, 3, 2), "loss": HeldOut(2.0, None, 1)}
    assert history.test_looks("digits") == Looks(looks=3, trials=2)


def test_test_metrics_are_no_metrics(history: History) -> None:
    (run,) = history.runs("digits", 0)
    assert "acc" not in history.last_metrics(run.run)


def test_everything_that_should_be_in_a_store(history: History) -> None:
    assert history.blob_uses() == [
        BlobUse("digits", 0, "a.pt", "a" * 64, None),
        BlobUse("digits", 0, "b.pt", "b" * 64, None),
        BlobUse("digits", 1, "a.pt", "a" * 64, None),
        BlobUse("digits", 0, "train", "c" * 64, None),
    ]
    assert history.blobs() >= {"a" * 64, "b" * 64, "c" * 64}


def test_optunas_own_database_keeps_nothing(written: Written) -> None:
    optuna.create_study(study_name="plain", storage=written.storage).ask()
    history = History(written.url)
    assert (history.artifacts("x"), history.data("x"), history.test_metrics("x")) == ([], [], {})
    assert (history.blob_uses(), history.blobs(), history.artifact_stores()) == ([], set(), [])
    assert (history.test_looks("plain"), history.earliest_open_sweep()) == (Looks(0, 0), None)
