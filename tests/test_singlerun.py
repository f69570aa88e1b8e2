"""`python train.py`, without a sweep, is on record: by a decorator, or by a callback of an unchanged app."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from sweeper.history import History

pytestmark = pytest.mark.slow

APP = """
import os, signal, sys
import hydra
import sweeper

@{decorator}.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    print("trains at", cfg.lr)
    sweeper.log({{"loss": cfg.lr}}, step=0)
    if cfg.fate == "raise":
        raise ValueError("too large")
    if cfg.fate == "interrupt":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
        os.kill(os.getpid(), signal.SIGINT)
    if cfg.fate == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return cfg.lr if cfg.fate == "number" else None

if __name__ == "__main__":
    main()
"""


class App:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/sweeper.db"
        (folder / "conf").mkdir()
        (folder / "conf" / "config.yaml").write_text("lr: 0.1\nfate: none\n")
        for name, decorator in (("decorated", "sweeper"), ("unchanged", "hydra")):
            (folder / f"{name}.py").write_text(APP.format(decorator=decorator))

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, f"{script}.py", *arguments],
            cwd=self.folder,
            env=os.environ | {"SWEEPER_STORAGE": "sqlite:///sweeper.db"} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


@pytest.mark.parametrize(
    ("script", "flags"), [("decorated", ()), ("unchanged", ("hydra/callbacks=sweeper",))], ids=["main", "callback"]
)
def test_a_run_is_on_record_with_all_that_it_was_made_of(app: App, script: str, flags: tuple[str, ...]) -> None:
    done = app.run(script, *flags, "lr=0.5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "trains at 0.5\n", "")
    assert app.run(script, *flags, "fate=number", "hydra.job.chdir=true").returncode == 0
    assert app.run(script, *flags, "fate=raise").returncode == 1
    history = History(app.url)
    study = f"runs/{script}"
    first, second, third = (history.trial(study, number) for number in range(3))
    assert [trial.state for trial in (first, second, third)] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert (first.values, second.values) == (None, (0.1,)) or (first.values, second.values) == ((), (0.1,))
    (run,) = first.runs
    assert (run.config, run.overrides, run.state) == ({"lr": 0.5, "fate": "none"}, ("lr=0.5",), "COMPLETE")
    assert run.code is not None and history.code(run.code).document["entry"] == f"{script}.py"
    assert run.environment is not None and history.environment(run.environment).document["packages"]
    assert run.determinism_at_end and "seed: random was never seeded" in run.gaps
    assert history.curves(run.run)["loss"].values == (0.5,)
    assert Path(run.folder, "trial.log").read_text() == "trains at 0.5\n"
    assert (third.runs[0].failure, third.runs[0].error) == ("error", "ValueError: too large")
    assert len({trial.runs[0].code for trial in (first, second, third)}) == 1
    assert len(optuna.load_study(study_name=study, storage=app.url).trials) == 3


def test_nothing_is_trained_where_nothing_can_be_recorded(app: App) -> None:
    nowhere = {"SWEEPER_STORAGE": "sqlite:////nowhere/sweeper.db"}
    for script, flags in (("decorated", ()), ("unchanged", ("hydra/callbacks=sweeper",))):
        done = app.run(script, *flags, **nowhere)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.endswith("to train without a record, set SWEEPER_REQUIRE=0\n")
        assert len(done.stderr.splitlines()) == 1
        done = app.run(script, *flags, **nowhere, SWEEPER_REQUIRE="0")
        assert (done.returncode, done.stdout) == (0, "trains at 0.1\n")
        assert done.stderr.startswith("sweeper: this run is not on record: ")


def test_the_policy_holds_for_single_runs_too(app: App) -> None:
    done = app.run("unchanged", "hydra/callbacks=sweeper", "hydra.callbacks.sweeper.require=clean")
    assert (done.returncode, done.stdout) == (2, "")
    assert "hydra.sweeper.require=clean, but the code lies in no repository with a commit" in done.stderr


def test_a_seed_makes_a_single_run_whole(app: App) -> None:
    flags = ("hydra/callbacks=sweeper", "hydra.callbacks.sweeper.seed=3")
    assert app.run("unchanged", *flags, PYTHONHASHSEED="0").returncode == 0
    (run,) = History(app.url).runs("runs/unchanged", 0)
    assert (run.seed, run.gaps, run.completeness) == (3, (), 1.0)


def test_ends_that_no_task_wrote(app: App) -> None:
    assert app.run("decorated", "fate=interrupt").returncode in (1, 130, -signal.SIGINT)
    assert app.run("decorated", "fate=kill").returncode == -signal.SIGKILL
    assert app.run("decorated").returncode == 0
    history = History(app.url)
    runs = [history.trial("runs/decorated", number).runs[0] for number in range(3)]
    assert [(run.state, run.failure) for run in runs] == [("FAIL", "stopped"), ("FAIL", "lost"), ("COMPLETE", None)]
    assert [history.trial("runs/decorated", number).state for number in range(3)] == ["FAIL", "FAIL", "COMPLETE"]


def test_a_decorated_app_is_swept_as_any_other(app: App) -> None:
    flags = ("-m", "hydra/sweeper=sweeper", "hydra.sweeper.n_trials=2", "hydra.sweeper.launcher=inline")
    done = app.run("decorated", *flags, "lr=interval(0,1)", "fate=number")
    assert done.returncode == 0, done.stderr
    history = History(app.url)
    assert [study.name for study in history.studies()] == ["decorated"]
    assert history.study("decorated").counts["COMPLETE"] == 2
