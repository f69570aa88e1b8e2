from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from sweeper.history import History
from sweeper.importance import evaluate
from tests.cli.conftest import Sweeper
from tests.history.database import Written, sqlite_url


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals rest on many forests; how good they are is importance's own test."""
    monkeypatch.setattr("sweeper.cli.importance.RESAMPLES", 2)


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """30 trials whose objective is x, whose metric `loss` is y, and whose runtime is x again; to be read only."""
    written = Written(sqlite_url(tmp_path_factory.mktemp("surface")))
    study = written.study("s", ("maximize",))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + 0 * trial.suggest_float("y", 0, 1), n_trials=30)
    written.our_tables()
    for trial in study.trials:
        x, y = trial.params["x"], trial.params["y"]
        written.run("s", trial.number, curves={"loss": [y]}, runtime_s=x, seed=trial.number % 3)
    yield written
    written.close()


@pytest.fixture
def ask(sweeper: Sweeper, surface: Written) -> Sweeper:
    """`sweeper importance s` with further options."""
    return lambda *options: sweeper("importance", "s", "--storage", surface.url, *options)


def test_json_is_what_importance_says(sweeper: Sweeper, digits_url: str) -> None:
    found = sweeper("importance", "digits", "--seed", "3", "--json", "--storage", digits_url).json
    expected = evaluate(History(digits_url).finished("digits"), seed=3)
    assert found["importances"] == expected.importances and found["std"] == expected.std
    assert {"pairs", "r2", "n_trials", "notes", "advice"} < set(found) and found["n_trials"] == 6


def test_text_and_csv(sweeper: Sweeper, digits_url: str) -> None:
    out = sweeper("importance", "digits", "--storage", digits_url).out
    assert out.splitlines()[0].split() == ["parameter", "share", "90%", "interval"]
    assert "optimizer.lr" in out and "█" in out and "6 of 9 trials used" in out
    rows = list(csv.DictReader(io.StringIO(sweeper("importance", "digits", "--csv", "--storage", digits_url).out)))
    assert {row["parameter"] for row in rows} == {"optimizer.lr", "model.depth", "model.act"}


@pytest.mark.parametrize(("metric", "matters"), [("value", "x"), ("loss", "y"), ("runtime_s", "x")])
def test_what_is_explained_can_be_chosen(ask: Sweeper, metric: str, matters: str) -> None:
    found = ask("--metric", metric, "--json").json
    assert found["importances"][matters] > 0.8


def test_pairs_circumstances_and_a_second_opinion(ask: Sweeper, surface: Written) -> None:
    found = ask("--pairs", "--ped", "--with", "seed,node", "--json").json
    assert set(found["importances"]) == {"x", "y", "seed", "node"}
    assert set(found["pairs"]) == {"x*y", "x*seed", "y*seed"}
    study = optuna.load_study(study_name="s", storage=surface.storage)
    assert found["ped_anova"] == get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    out = ask("--pairs", "--ped", "--with", "seed").out
    assert "PED-ANOVA" in out and "x × y" in out
    rows = list(csv.DictReader(io.StringIO(ask("--pairs", "--ped", "--csv").out)))
    assert [row["parameter"] for row in rows] == ["x", "y", "x*y"]


def test_only_among_the_best(ask: Sweeper) -> None:
    found = ask("--quantile", "0.5", "--json").json
    assert found["n_trials"] == 15 and any("only the best 50%: 15 trials, from" in note for note in found["notes"])


def test_the_next_space_is_a_config(ask: Sweeper) -> None:
    config = OmegaConf.create(ask("--next").out)
    given = ask("--next", "--json").json
    assert OmegaConf.to_container(config.hydra.sweeper.params) == given["params"]
    assert set(given["params"]) == {"x", "y"} and "interval(" in given["params"]["x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "acc"], "there is no metric 'acc' in 's': it has loss"),
        (["--metric", "loss", "--quantile", "0.5"], "--quantile has to know which values of 'loss' are better"),
        (["--metric", "loss", "--next"], "--next has to know"),
        (["--metric", "loss", "--ped"], "--ped has to know"),
        (["--with", "gpu"], "--with gpu: there is no such circumstance on record; there are seed and node"),
        (["--next", "--csv"], "--next is given as YAML, or with --json"),
        (["--quantile", "0"], "quantile 0 is no share of the trials"),
    ],
)
def test_what_cannot_be_asked(ask: Sweeper, arguments: list[str], message: str) -> None:
    found = ask(*arguments)
    assert found.status == 2 and message in found.err


def test_several_objectives_are_explained_one_at_a_time(sweeper: Sweeper, written: Written) -> None:
    study = written.study("s", ("maximize", "minimize"), ("acc", "size"))
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)), n_trials=30)
    refused = sweeper("importance", "s")
    assert refused.status == 2 and "choose one with --metric acc or --metric size" in refused.err
    assert sweeper("importance", "s", "--metric", "size", "--json").json["importances"]["y"] > 0.8
    refused = sweeper("importance", "s", "--metric", "size", "--with", "seed")
    assert "--with seed: no trial of 's' has it on record" in refused.err


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",), ("--next",)])
def test_an_empty_study_is_no_error(sweeper: Sweeper, written: Written, form: tuple[str, ...]) -> None:
    written.study("s")
    assert sweeper("importance", "s", *form).status == 0
