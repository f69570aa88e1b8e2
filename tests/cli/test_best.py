from __future__ import annotations

import csv
import io
import math

import pytest
from optuna.trial import TrialState

from tests.cli.conftest import Sweeper
from tests.history.database import Written, add


def test_json_is_what_optuna_says_is_best(sweeper: Sweeper, written: Written) -> None:
    study = written.study("front", ("maximize", "minimize"))
    for values in ((1.0, 5.0), (2.0, 3.0), (3.0, 4.0), (0.0, math.inf)):
        add(study, *values)
    found = sweeper("best", "front", "--json").json
    assert [(row["number"], row["values"]) for row in found] == [
        (trial.number, trial.values) for trial in study.best_trials
    ]
    assert set(found[0]) == {"number", "state", "values", "params", "metrics", "run", "gpu_seconds"}


def test_json_of_one_objective_with_its_metrics(sweeper: Sweeper, digits_url: str) -> None:
    first, second = sweeper("best", "digits", "-k", "2", "--json", "--storage", digits_url).json
    assert (first["number"], first["state"], first["params"]["model.act"]) == (5, "COMPLETE", None)
    assert set(first["metrics"]) == {"loss", "val/accuracy"} and len(first["run"]) == 32
    assert second["number"] == 4


def test_numbers_that_json_has_not(sweeper: Sweeper, written: Written) -> None:
    add(written.study("s"), math.inf)
    written.our_tables()
    written.run("s", 0, curves={"loss": [math.nan]})
    (row,) = sweeper("best", "s", "--json").json
    assert (row["values"], row["metrics"]) == (["Infinity"], {"loss": "NaN"})


def test_what_is_best_for_its_gpu_hours(sweeper: Sweeper, written: Written) -> None:
    study = written.study("s", ("maximize",))
    add(study, 0.8)
    add(study, 0.9)
    add(study, 0.7)
    add(study, 0.95)
    written.our_tables()
    for number, hours in enumerate((1.0, 2.0, 3.0)):
        written.run("s", number, gpu_seconds=3600 * hours)
    written.run("s", 1, attempt=1, gpu_seconds=3600 * 8.0)
    found = sweeper("best", "s", "--per-gpu-hour", "--json").json
    assert [(row["number"], row["gpu_seconds"]) for row in found] == [(0, 3600.0), (1, 36000.0)]
    lines = [line.split() for line in sweeper("best", "s").out.splitlines()]
    assert lines[0][:3] == ["trial", "value", "GPU-hours"]
    assert [line[2] for line in lines[1:]] == ["–", "10", "1", "3"]


def test_without_gpu_time_nothing_is_best_for_it(sweeper: Sweeper, written: Written) -> None:
    add(written.study("s"), 1.0)
    assert sweeper("best", "s", "--per-gpu-hour").out.startswith("s has no GPU time on record")


def test_text(sweeper: Sweeper, digits_url: str) -> None:
    lines = sweeper("best", "digits", "-k", "3", "--storage", digits_url).out.splitlines()
    assert lines[0].split() == ["trial", "val/accuracy", "optimizer.lr", "model.depth", "model.act", "loss"]
    assert [line.split()[0] for line in lines[1:]] == ["digits/5", "digits/4", "digits/3"]
    assert lines[1].split()[2:] == ["0.01", "3", "null", "0.5"]


def test_a_narrow_terminal_joins_parameters_and_says_what_it_left_out(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("best", "digits", "-k", "1", "--storage", digits_url, columns=56).out
    assert "params" in out and "model.depth=3" in out
    assert "no room here for loss" in out


def test_csv_has_a_column_for_every_parameter_and_no_formula(sweeper: Sweeper, written: Written) -> None:
    study = written.study("s")
    study.enqueue_trial({"cmd": "=1+1"})
    study.enqueue_trial({"cmd": "-5"})
    study.optimize(lambda trial: float(trial.suggest_categorical("cmd", ["=1+1", "-5"]) == "-5"), n_trials=2)
    rows = list(csv.DictReader(io.StringIO(sweeper("best", "s", "--csv").out)))
    assert [row["params.cmd"] for row in rows] == ["-5", "'=1+1"]
    assert [row["values.value"] for row in rows] == ["1.0", "0.0"]


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        ([], "s has no finished trial yet."),
        ([TrialState.RUNNING], "s has no finished trial yet; 1 running."),
        ([TrialState.FAIL, TrialState.PRUNED], "s has no complete trial yet: 1 pruned, 1 failed."),
    ],
)
def test_nothing_yet_is_a_sentence_and_no_error(
    sweeper: Sweeper, written: Written, states: list[TrialState], sentence: str
) -> None:
    study = written.study("s")
    for state in states:
        add(study, state=state)
    assert sweeper("best", "s").out == f"{sentence}\n"
    assert sweeper("best", "s", "--json").json == []


def test_no_feasible_trial_is_said(sweeper: Sweeper, written: Written) -> None:
    add(written.study("s"), 1.0, constraints={"memory": 3.0})
    assert sweeper("best", "s").out == "s has no feasible trial yet: every complete one breaks a constraint.\n"


def test_a_metric_under_the_objectives_name_is_shown_where_it_differs(sweeper: Sweeper, written: Written) -> None:
    add(written.study("s", metric_names=("acc",)), 0.9)
    written.our_tables()
    written.run("s", 0, curves={"acc": [0.8]})
    assert sweeper("best", "s").out.splitlines()[0].split()[-2:] == ["last", "acc"]


def test_what_was_measured_of_the_machine_is_no_column(sweeper: Sweeper, written: Written) -> None:
    add(written.study("s"), 1.0)
    written.our_tables()
    written.run("s", 0, curves={"loss": [0.5], "system/gpu_utilization": [0.9]})
    assert "loss" in (shown := sweeper("best", "s").out) and "system/" not in shown
    assert set(sweeper("best", "s", "--json").json[0]["metrics"]) == {"loss", "system/gpu_utilization"}
