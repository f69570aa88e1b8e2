from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from sqlalchemy import inspect

from sweeper.history import History
from sweeper.importance import evaluate
from tests.cli.conftest import Sweeper
from tests.conftest import Sweep
from tests.history.database import Written, optimize, sqlite_url
from tests.record.conftest import PostgresServer, postgres_server

__all__ = ["postgres_server"]


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals rest on many forests; how good they are is importance's own test."""
    monkeypatch.setattr("sweeper.cli.importance.RESAMPLES", 2)


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """30 trials whose objective is x, whose metric `loss` is y, and whose runtime is x again; to be read only."""
    written = Written(sqlite_url(tmp_path_factory.mktemp("surface")))
    study = written.study("s", ("maximize",))
    optimize(study, lambda trial: trial.suggest_float("x", 0, 1) + 0 * trial.suggest_float("y", 0, 1), n_trials=30)
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


@pytest.mark.parametrize(("metric", "matters"), [("value", "x"), ("loss", "y"), ("runtime", "x"), ("runtime_s", "x")])
def test_what_is_explained_can_be_chosen(ask: Sweeper, metric: str, matters: str) -> None:
    found = ask("--metric", metric, "--json").json
    assert found["importances"][matters] > 0.8


def test_pairs_circumstances_and_a_second_opinion(ask: Sweeper, surface: Written) -> None:
    found = ask("--pairs", "--ped", "--with", "seed, gpu,code,node", "--json").json
    assert set(found["importances"]) == {"x", "y", "seed", "node"}
    assert {"no GPU is on record for these runs", "no code is on record for these runs"} < set(found["notes"])
    assert set(found["pairs"]) == {"x*y", "x*seed", "y*seed"}
    study = optuna.load_study(study_name="s", storage=surface.storage)
    assert found["ped_anova"] == get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    out = ask("--pairs", "--ped", "--with", "seed").out
    assert "PED-ANOVA" in out and "x × y" in out
    rows = list(csv.DictReader(io.StringIO(ask("--pairs", "--ped", "--csv").out)))
    assert [row["parameter"] for row in rows] == ["x", "y", "x*y"]


def test_a_study_that_sweeper_did_not_write(sweeper: Sweeper, written: Written, tmp_path: Path) -> None:
    """Optuna's own tables alone: the objective, the runtime, pairs, a figure; and nothing is created in it."""
    study = written.study("theirs", ("minimize",))
    optimize(study, lambda t: t.suggest_float("x", 0, 1) ** 2 + t.suggest_int("n", 1, 3), n_trials=30)
    tables = inspect(written.engine).get_table_names()
    found = sweeper("importance", "theirs", "--pairs", "--json", "--png", "page.png").json
    assert set(found) >= {"importances", "std", "pairs", "r2", "n_trials", "notes"}
    assert found["importances"]["n"] > 0.7 and set(found["pairs"]) == {"x*n"} and found["n_trials"] == 30
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert sweeper("importance", "theirs", "--metric", "runtime", "--json").json["n_trials"] == 30
    assert inspect(written.engine).get_table_names() == tables


@pytest.mark.slow
def test_on_postgresql_the_same(sweeper: Sweeper, postgres_server: PostgresServer, surface: Written) -> None:
    url = postgres_server.url_of(postgres_server.create_database())
    there = Written(url)
    optuna.copy_study(from_study_name="s", from_storage=surface.storage, to_storage=there.storage)
    there.our_tables()
    for trial in optuna.load_study(study_name="s", storage=surface.storage).trials:
        there.run("s", trial.number, curves={"loss": [trial.params["y"]]}, seed=trial.number % 3)
    for options in ((), ("--pairs", "--with", "seed"), ("--metric", "loss"), ("--quantile", "0.5", "--seed", "2")):
        on_postgres = sweeper("importance", "s", "--json", "--storage", url, *options).json
        assert on_postgres == sweeper("importance", "s", "--json", "--storage", surface.url, *options).json
    there.close()


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_figure_is_written_beside_what_is_printed(ask: Sweeper, tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"page.{suffix}"
    found = ask("--png", str(path), "--json")
    assert path.read_bytes().startswith(start)
    assert found.json["n_trials"] == 30 and f"drawn: {path}" in found.err


def test_trials_without_a_circumstance_are_counted(sweeper: Sweeper, written: Written) -> None:
    study = written.study("s")
    optimize(study, lambda trial: trial.suggest_float("x", 0, 1), n_trials=12)
    written.our_tables()
    for number in range(9):
        written.run("s", number, seed=number % 2)
    found = sweeper("importance", "s", "--with", "seed", "--json").json
    assert "3 of 12 trials have no seed on record and count as of one kind" in found["notes"]


def test_only_among_the_best(ask: Sweeper) -> None:
    found = ask("--quantile", "0.5", "--json").json
    assert found["n_trials"] == 15 and any("only the best 50%: 15 trials, from" in note for note in found["notes"])


def test_the_next_space_is_a_config(ask: Sweeper) -> None:
    config = OmegaConf.create(ask("--next").out)
    given = ask("--next", "--json").json
    assert OmegaConf.to_container(config.hydra.sweeper.params) == given["params"]
    assert set(given["params"]) == {"x", "y"} and "interval(" in given["params"]["x"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "column"), [("peak_gpu_memory", "peak_gpu_memory_bytes"), ("gpu_seconds", "gpu_seconds")]
)
def test_of_what_trials_used_of_their_cards(sweeper: Sweeper, written: Written, asked: str, column: str) -> None:
    study = written.study("cards")
    optimize(study, lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=30)
    written.our_tables()
    for trial in study.trials:
        written.run("cards", trial.number, **{column: round(2**30 * trial.params["x"])})
    found = sweeper("importance", "cards", "--metric", asked, "--json").json
    assert found["importances"]["x"] > 0.9


@pytest.mark.slow
def test_the_next_sweep_takes_the_next_space(launch: Sweep, sweeper: Sweeper, tmp_path: Path) -> None:
    space = ("x=interval(-9, 9)", "y=interval(-9, 9)")
    assert launch("hydra.sweeper.n_trials=60", "hydra.sweeper.study_name=paraboloid", *space).returncode == 0
    (tmp_path / "conf" / "space").mkdir(parents=True)
    shown = sweeper("importance", "paraboloid", "--next").out
    (tmp_path / "conf" / "space" / "next.yaml").write_text(shown)
    command = next(line for line in shown.splitlines() if line.startswith("# sweeper launch SCRIPT "))
    again = launch("hydra.sweeper.n_trials=5", *shlex.split(command)[4:], "--config-dir", "conf")
    assert again.returncode == 0, again.stderr
    there = History(f"sqlite:///{tmp_path}/sweeper.db")
    assert there.study("paraboloid-next").counts["COMPLETE"] == 5
    for name in "xy":
        before, after = (there.space(study)[name]["attributes"] for study in ("paraboloid", "paraboloid-next"))
        assert after["high"] - after["low"] < before["high"] - before["low"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "acc"], "there is no metric 'acc' in 's': it has loss"),
        (["--metric", "loss", "--quantile", "0.5"], "--quantile has to know which values of 'loss' are better"),
        (["--metric", "loss", "--next"], "--next has to know"),
        (["--metric", "loss", "--ped"], "--ped has to know"),
        (["--with", "luck"], "--with luck: a circumstance is one of seed, gpu, code, node"),
        (["--metric", "gpu_seconds"], "no time on a GPU is on record for the runs of 's'"),
        (["--metric", "peak_gpu_memory"], "no peak GPU memory is on record for the runs of 's'"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--png", "figure.jpeg"], "a figure is written as .png or .pdf or .svg, and 'figure.jpeg' is none of these"),
        (["--png", "no/figure.png"], "there is no folder 'no' to write 'figure.png' into"),
        (["--next", "--csv"], "--next is given as YAML, or with --json"),
        (["--quantile", "0"], "quantile 0 is no share of the trials"),
    ],
)
def test_what_cannot_be_asked(ask: Sweeper, arguments: list[str], message: str) -> None:
    found = ask(*arguments)
    assert found.status == 2 and message in found.err


@pytest.mark.slow
def test_several_objectives_are_explained_one_at_a_time(sweeper: Sweeper, written: Written) -> None:
    study = written.study("s", ("maximize", "minimize"), ("acc", "size"))
    optimize(study, lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)), n_trials=30)
    refused = sweeper("importance", "s")
    assert refused.status == 2 and "choose one with --metric acc or --metric size" in refused.err
    assert sweeper("importance", "s", "--metric", "size", "--json").json["importances"]["y"] > 0.8
    found = sweeper("importance", "s", "--metric", "size", "--with", "seed", "--json").json
    assert "no seed is on record for these runs" in found["notes"]


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",), ("--next",)])
def test_an_empty_study_is_no_error(sweeper: Sweeper, written: Written, form: tuple[str, ...]) -> None:
    written.study("s")
    assert sweeper("importance", "s", *form).status == 0
