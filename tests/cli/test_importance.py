from __future__ import annotations

import csv
import io

import pytest

from sweeper.history import History
from sweeper.importance import evaluate
from tests.cli.conftest import Sweeper
from tests.history.database import Written


def test_json_is_what_importance_says(sweeper: Sweeper, digits_url: str) -> None:
    found = sweeper("importance", "digits", "--seed", "3", "--json", "--storage", digits_url).json
    expected = evaluate(History(digits_url).finished("digits"), seed=3)
    assert found["importances"] == expected.importances and found["std"] == expected.std
    assert found["n_trials"] == 6 and found["notes"]


def test_text_and_csv(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("importance", "digits", "--storage", digits_url).out
    assert out.splitlines()[0].split() == ["parameter", "share", "±"]
    assert "optimizer.lr" in out and "█" in out and "6 of 9 trials used" in out
    rows = list(csv.DictReader(io.StringIO(sweeper("importance", "digits", "--csv", "--storage", digits_url).out)))
    assert {row["parameter"] for row in rows} == {"optimizer.lr", "model.depth", "model.act"}


def test_any_recorded_metric_can_be_explained(sweeper: Sweeper, written: Written) -> None:
    study = written.study("s")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + 0 * trial.suggest_float("y", 0, 1), n_trials=30)
    written.our_tables()
    for trial in study.trials:
        written.run("s", trial.number, curves={"loss": [trial.params["y"]]})
    objective = sweeper("importance", "s", "--json").json["importances"]
    loss = sweeper("importance", "s", "--metric", "loss", "--json").json["importances"]
    assert objective["x"] > 0.8 and loss["y"] > 0.8


def test_several_objectives_are_explained_one_at_a_time(sweeper: Sweeper, written: Written) -> None:
    study = written.study("s", ("maximize", "minimize"), ("acc", "size"))
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)), n_trials=30)
    refused = sweeper("importance", "s")
    assert refused.status == 2 and "choose one with --metric acc or --metric size" in refused.err
    assert sweeper("importance", "s", "--metric", "size", "--json").json["importances"]["y"] > 0.8


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_an_empty_study_is_no_error(sweeper: Sweeper, written: Written, form: tuple[str, ...]) -> None:
    written.study("s")
    assert sweeper("importance", "s", *form).status == 0
