from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from sweeper.history import History
from sweeper.specification import trial_seed
from tests.conftest import QUADRATIC, Sweep

X = "x=interval(-5, 5)"


@dataclass(frozen=True)
class Stored:
    """A study as Optuna itself reads it."""

    trials: list[FrozenTrial]
    best_trials: list[FrozenTrial]
    metric_names: list[str] | None


def study(folder: Path, name: str = "train", database: str = "sweeper.db") -> Stored:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/{database}")
    try:
        loaded = optuna.load_study(study_name=name, storage=storage)
        return Stored(loaded.trials, loaded.best_trials, loaded.metric_names)
    finally:
        storage.engine.dispose()


def test_a_sweep_of_an_unmodified_app_is_on_record(launch: Sweep, tmp_path: Path) -> None:
    done = launch("hydra.sweeper.n_trials=4", X, "y=1,2", "hydra.sweeper.seed=1")

    assert done.returncode == 0, done.stderr
    trials = study(tmp_path).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    for trial in trials:
        assert trial.value == (trial.params["x"] - 2) ** 2 + (trial.params["y"] + 1) ** 2
        assert trial.params["y"] in (1, 2)
    history = History(f"sqlite:///{tmp_path}/sweeper.db")
    for trial in trials:
        (run,) = history.runs("train", trial.number)
        assert run.config == {"x": trial.params["x"], "y": float(trial.params["y"])}
        assert run.overrides == (f"x={trial.params['x']!r}", f"y={trial.params['y']}")
        assert run.seed == trial_seed(1, trial.number)
        assert Path(run.folder) == tmp_path / "sweep" / str(trial.number)
        assert (Path(run.folder) / ".hydra" / "overrides.yaml").is_file()
    (sweep,) = history.sweeps("train")
    assert sweep.outcome == "finished"
    assert sweep.space == {"x": "interval(-5, 5)", "y": "1,2"}
    assert sweep.defaults == {"x": 0.0, "y": 0.0}


@pytest.mark.slow
def test_launching_again_finishes_what_is_missing(launch: Sweep, tmp_path: Path) -> None:
    for target in (2, 5, 5):
        assert launch(f"hydra.sweeper.n_trials={target}", X).returncode == 0

    trials = study(tmp_path).trials
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4]
    assert len({trial.params["x"] for trial in trials}) == 5


@pytest.mark.slow
def test_a_grid_is_tried_whole_and_once(launch: Sweep, tmp_path: Path) -> None:
    done = launch("hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=100", "x=1,2,3", "y=range(0, 2)")

    assert done.returncode == 0, done.stderr
    points = [(trial.params["x"], trial.params["y"]) for trial in study(tmp_path).trials]
    assert sorted(points) == [(x, y) for x in (1, 2, 3) for y in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random", "brute_force", "cmaes", "qmc", "nsgaii", "nsgaiii"])
def test_every_sampler_can_be_chosen(launch: Sweep, tmp_path: Path, sampler: str) -> None:
    space = ("x=1,2,3", "y=range(0, 3)") if sampler == "brute_force" else (X, "y=interval(0, 1)")
    done = launch(f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=5", *space)

    assert done.returncode == 0, done.stderr
    assert len(study(tmp_path).trials) == 5


@pytest.mark.slow
def test_the_gaussian_process_can_be_chosen(launch: Sweep, tmp_path: Path) -> None:
    """With more trials than its random ones at the start, so that the process itself chooses some."""
    done = launch("hydra/sweeper/sampler=gp", "hydra.sweeper.sampler.n_startup_trials=3", "hydra.sweeper.n_trials=6", X)

    assert done.returncode == 0, done.stderr
    assert len(study(tmp_path).trials) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "pruner", ["none", "median", "percentile", "asha", "hyperband", "patient", "wilcoxon", "threshold"]
)
def test_every_pruner_can_be_chosen(launch: Sweep, tmp_path: Path, pruner: str) -> None:
    bounds = ("hydra.sweeper.pruner.upper=1000",) if pruner == "threshold" else ()
    done = launch(f"hydra/sweeper/pruner={pruner}", "hydra.sweeper.n_trials=2", X, *bounds)

    assert done.returncode == 0, done.stderr
    assert len(study(tmp_path).trials) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hydra.sweeper.n_trails=3", X], r"hydra\.sweeper\.n_trails is no setting; did you mean n_trials\?"),
        (["z=interval(0, 1)"], r"the config has no key z; to add it as a new one write \+z"),
        (["x=interval(5, 1)"], r"x=interval\(5, 1\): low 5\.0 is above high 1\.0"),
        (["hydra.sweeper.n_trials=-1", X], r"hydra\.sweeper\.n_trials is -1; it must be 0 or more"),
        (["hydra.sweeper.launcher=slurm", X], r"hydra\.sweeper\.launcher is 'slurm'; it must be ray or inline"),
        (["hydra.sweeper.direction=up", X], r"hydra\.sweeper\.direction is up; each direction must be"),
        (["hydra.sweeper.budget.wall_time=soon", X], r"budget\.wall_time is 'soon'"),
        (["hydra.sweeper.trial.timeout=soon", X], r"hydra\.sweeper\.trial\.timeout is 'soon'; give a positive number"),
        (["hydra.sweeper.trial.retry_on=[memory]", X], r"trial\.retry_on has 'memory'; the failure kinds are crashed,"),
        (["hydra/sweeper/sampler=grid", X], r"x=interval\(-5, 5\): a continuous interval has no end of values"),
        (["hydra.sweeper.storage=sqlite:////no/such/folder/s.db", X], r"/no/such/folder"),
        (["hydra.sweeper.enqueue=[{x: 9}]", X], r"enqueue: x=9 lies outside interval\(-5, 5\)"),
        (["hydra.sweeper.enqueue=[{w: 9}]", X], r"enqueue: 'w' is no parameter of this sweep; they are x"),
    ],
)
def test_bad_input_is_refused_before_any_trial(launch: Sweep, tmp_path: Path, arguments: list[str], said: str) -> None:
    done = launch(*arguments)

    assert done.returncode not in (0, 5)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4
    assert re.search(said, done.stderr), done.stderr
    database = tmp_path / "sweeper.db"
    assert not database.exists() or all(
        not any(row.counts.values()) for row in History(f"sqlite:///{database}").studies()
    )


BAD_TASK = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path=None)
def main(cfg: DictConfig):
    return {returned} if cfg.n == 1 else 1.0

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("returned", ["None", "float('nan')", "'high'"])
def test_a_task_that_returns_no_number_fails_alone(launch: Sweep, tmp_path: Path, returned: str) -> None:
    script = tmp_path / "bad.py"
    script.write_text(BAD_TASK.format(returned=returned))
    done = launch("+n=1,2,3", "hydra/sweeper/sampler=grid", script=script)

    assert done.returncode == 5
    assert "1 of 3 trials failed: 1 × the task returned" in done.stderr
    stored = study(tmp_path, "bad")
    assert sorted(trial.state.name for trial in stored.trials) == ["COMPLETE", "COMPLETE", "FAIL"]


@pytest.mark.slow
def test_editing_the_config_tree_while_the_sweep_runs_changes_no_later_trial(launch: Sweep, tmp_path: Path) -> None:
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "a.yaml").write_text("size: 1\n")
    (tmp_path / "conf" / "model" / "b.yaml").write_text("size: 2\n")
    (tmp_path / "conf" / "app.yaml").write_text("defaults: [model: a, _self_]\nlr: 1.0\nkept: as it was\n")
    script = tmp_path / "app.py"
    script.write_text(
        """
import pathlib, hydra

@hydra.main(version_base="1.3", config_path="conf", config_name="app")
def main(cfg):
    assert cfg.kept == "as it was"
    for path in pathlib.Path(__file__).parent.glob("conf/**/*.yaml"):
        path.write_text("size: 1000\\nkept: edited\\n")
    return cfg.model.size * cfg.lr

if __name__ == "__main__":
    main()
"""
    )
    done = launch("model=a,b", "lr=1,2", "hydra/sweeper/sampler=grid", script=script)

    assert done.returncode == 0, done.stderr
    values = {(t.params["model"], t.params["lr"]): t.value for t in study(tmp_path, "app").trials}
    assert values == {("a", 1): 1, ("a", 2): 2, ("b", 1): 2, ("b", 2): 4}


@pytest.mark.slow
def test_no_password_reaches_the_record(launch: Sweep, tmp_path: Path) -> None:
    secret = "hunter2hunter2"
    script = tmp_path / "app.py"
    script.write_text(BAD_TASK.format(returned="2.0"))
    done = launch(
        "+n=1,2",
        "hydra.sweeper.n_trials=2",
        f"+db.password={secret}",
        f"+url='postgres://me:{secret}@host/db'",
        script=script,
    )

    assert done.returncode == 0, done.stderr
    for path in tmp_path.glob("sweeper.db*"):
        assert secret.encode() not in path.read_bytes()
    assert secret not in done.stderr + done.stdout


@pytest.mark.slow
def test_a_killed_driver_leaves_nothing_that_launching_again_does_not_finish(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        BAD_TASK.format(returned="2.0").replace(
            "    return", "    import time, pathlib\n    time.sleep(0.3)\n    return", 1
        )
    )
    url = f"sqlite:///{tmp_path}/sweeper.db"
    command = [sys.executable, str(script), "-m", "hydra/sweeper=sweeper", f"hydra.sweeper.storage={url}"]
    command += ["hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=6", "+n=range(2, 100)"]
    first = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    while "2 of 6 finished" not in (line := first.stderr.readline()):
        assert line, "the sweep ended before its second trial"
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stderr.close()  # what the driver leaves behind for a moment holds it too
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    trials = study(tmp_path, "app").trials
    assert [trial.number for trial in trials] == list(range(6))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_sweep_in_order(tmp_path: Path, number: int, status: int) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        BAD_TASK.format(returned="2.0").replace("    return", "    import time\n    time.sleep(0.5)\n    return", 1)
    )
    url = f"sqlite:///{tmp_path}/sweeper.db"
    command = [sys.executable, str(script), "-m", "hydra/sweeper=sweeper", f"hydra.sweeper.storage={url}"]
    command += ["hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=100", "+n=range(2, 100)"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "complete" not in (line := process.stderr.readline()):
        assert line, "the sweep ended before its first trial"
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)

    assert process.returncode == status, rest
    states = {trial.state.name for trial in study(tmp_path, "app").trials}
    assert "RUNNING" not in states
    (sweep,) = History(url).sweeps("app")
    assert sweep.outcome == "stopped"


@pytest.mark.slow
def test_sweeper_launch_does_the_same_for_any_script(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sweeper.cli", "launch", str(QUADRATIC), X, "--inline", "--n-trials", "3"),
            *("--study", "it's, a study", "--storage", url),
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert len(study(tmp_path, "it's, a study", "other.db").trials) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is no file"),
        ("print('hello')\n", "is no Hydra app"),
        ("def (\n", "is no Python script"),
    ],
)
def test_sweeper_launch_refuses_what_is_no_hydra_app(tmp_path: Path, text: str | None, said: str) -> None:
    script = tmp_path / "script.py"
    if text is not None:
        script.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "sweeper.cli", "launch", str(script), X],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 4
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_several_objectives_from_a_mapping(launch: Sweep, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(BAD_TASK.format(returned="None").replace("else 1.0", "else {'acc': cfg.n, 'ms': -cfg.n, 'b': 7}"))
    done = launch(
        "+n=2,3", "hydra.sweeper.direction={acc: maximize, ms: minimize}", "hydra.sweeper.n_trials=2", script=script
    )

    assert done.returncode == 0, done.stderr
    stored = study(tmp_path, "app")
    assert stored.metric_names == ["acc", "ms"]
    assert all(trial.values == [trial.params["+n"], -trial.params["+n"]] for trial in stored.trials)
    listed = json.loads(
        subprocess.check_output(
            [
                sys.executable,
                "-m",
                "sweeper.cli",
                "best",
                "app",
                "--json",
                "--storage",
                f"sqlite:///{tmp_path}/sweeper.db",
            ]
        )
    )
    assert sorted(row["number"] for row in listed) == sorted(trial.number for trial in stored.best_trials)
