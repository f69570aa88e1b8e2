"""The Python API for notebooks, with a real pandas."""

from __future__ import annotations

import sys

import pandas
import pytest

import sweeper
from tests.cli.conftest import digits_url, written
from tests.history.database import Written

__all__ = ["digits_url", "written"]


def test_runs_are_records(digits_url: str) -> None:
    runs = sweeper.open(digits_url).study("digits").runs()
    assert len(runs) == 10
    run = runs[3]
    assert (run.study, run.number, run.state) == ("digits", 3, "COMPLETE")
    assert run.values == {"val/accuracy": 0.93}
    assert run.params["model.depth"] == 3
    assert run.metrics["loss"] == pytest.approx(0.3)
    assert run.config["optimizer"] == {"lr": 0.1}
    assert run.curves()["val/accuracy"].values == (0.5, 0.93)
    assert (run.artifacts(), run.data()) == ([], [])
    assert repr(run) == "<digits/3 complete val/accuracy=0.93>"
    assert [one.number for one in runs[2:4]] == [2, 3]
    assert runs[9].state == "RUNNING"


def test_a_frame_has_a_row_for_each_trial(digits_url: str) -> None:
    frame = sweeper.open(digits_url).study("digits").runs().frame()
    assert frame.shape[0] == 10
    assert frame["value.val/accuracy"].idxmax() == 5
    assert frame.loc[7, "failure"] == "error"
    assert isinstance(frame["started_at"].dtype, pandas.DatetimeTZDtype)
    best = frame[frame["state"] == "COMPLETE"].sort_values("value.val/accuracy").iloc[-1]
    assert (best["params.model.depth"], best["config.seed"], best["seed"]) == (3, 5, 1005)


def test_an_empty_study_gives_an_empty_frame(written: Written) -> None:
    written.study("empty")
    assert sweeper.open(written.url).study("empty").runs().frame().empty


def test_without_pandas_it_is_said(digits_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(sweeper.ConfigError, match=r"pip install 'sweeper\[pandas\]'"):
        sweeper.open(digits_url).study("digits").runs().frame()


def test_the_database_is_where_the_command_line_looks(digits_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPER_STORAGE", digits_url)
    database = sweeper.open()
    assert [study.name for study in database.studies()] == ["digits"]
    assert [hit.number for hit in database.search("value > 0.945")] == [5]


def test_what_is_not_there(digits_url: str) -> None:
    with pytest.raises(sweeper.NotFound, match="did you mean 'digits'"):
        sweeper.open(digits_url).study("digit")
