"""Requests to a driver while its sweep runs, from another process, through the database alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeper.history import History
from tests.cli.conftest import Sweeper

pytestmark = pytest.mark.slow

APP = """
import pathlib, time, hydra

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return cfg.x

if __name__ == "__main__":
    main()
"""


@dataclass
class Scene:
    """A sweep of 3 trials in `folder`; no trial ends before the file `go` is there."""

    folder: Path
    driver: subprocess.Popen[str]

    @property
    def history(self) -> History:
        return History(f"sqlite:///{self.folder}/sweeper.db")

    def sweeper(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sweeper.cli", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def told(self, *words: str) -> str:
        """What the driver answered; it took the request."""
        done = self.sweeper(*words, "--json")
        assert done.returncode == 0, done.stderr
        (answer,) = json.loads(done.stdout)
        assert answer["taken"] is True
        assert answer["pid"] == self.driver.pid
        return str(answer["answer"])

    def let_go(self) -> None:
        (self.folder / "go").touch()


def launched(folder: Path, *words: str) -> subprocess.Popen[str]:
    (folder / "app.py").write_text(APP)
    command = [sys.executable, "app.py", "-m", "hydra/sweeper=sweeper", *words]
    process = subprocess.Popen(
        [*command, "hydra.sweeper.n_trials=3", "+x=interval(0,1)", "hydra.job.chdir=false"],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "SWEEPER_STORAGE"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "app/0 started" not in (line := process.stderr.readline()):
        assert line, "the sweep ended before its first trial"
    return process


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    driver = launched(tmp_path, "hydra.sweeper.launcher=inline")
    yield Scene(tmp_path, driver)
    driver.kill()
    driver.communicate()


def test_a_sweep_is_paused_extended_and_goes_on(scene: Scene) -> None:
    assert "starts no new trials until `sweeper resume app`; 1 trial runs still" in scene.told("pause", "app")
    assert scene.told("extend", "app", "+2") == "the target is 5 trials now"
    assert "is in line; the next slot that frees tries it" in scene.sweeper("enqueue", "app", "+x=0.25").stdout
    scene.let_go()
    assert "goes on" in scene.told("resume", "app")
    _, rest = scene.driver.communicate(timeout=120)
    assert scene.driver.returncode == 0, rest
    trials = scene.history.trials("app")
    assert [trial.state for trial in trials] == ["COMPLETE"] * 5
    assert trials[1].params == {"+x": 0.25}
    assert scene.history.sweeps("app")[0].n_trials == 5


def test_one_trial_is_killed_and_the_sweep_is_stopped_and_resumed(scene: Scene) -> None:
    assert scene.told("kill", "app/0") == "trial 0 is being ended, as failed"
    assert "starts no new trials" in scene.told("stop", "app")
    scene.let_go()
    _, rest = scene.driver.communicate(timeout=120)
    assert scene.driver.returncode == 130
    assert "sweeper: stopped; `sweeper resume app` goes on" in rest
    assert scene.history.sweeps("app")[0].outcome == "stopped"
    assert scene.history.trial("app", 0).runs[0].error.startswith("killed by ")  # type: ignore[union-attr]

    refused = scene.sweeper("stop", "app")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "no driver is at work on 'app'; `sweeper resume app` goes on" in refused.stderr
    resumed = scene.sweeper("resume", "app")
    assert resumed.returncode == 0, resumed.stderr  # the failure was of the launch before
    states = [trial.state for trial in scene.history.trials("app")]
    assert states == ["FAIL", "COMPLETE", "COMPLETE"]
    first, second = scene.history.sweeps("app")
    assert (first.folder, first.settings["seed"]) == (second.folder, second.settings["seed"])


def test_a_second_launch_is_refused_and_joins_on_purpose(scene: Scene) -> None:
    words = ("launch", "app.py", "+x=interval(0,1)", "--inline", "--n-trials", "3")
    refused = scene.sweeper(*words)
    assert refused.returncode == 4
    assert f"process {scene.driver.pid} on" in refused.stderr and "type `sweeper stop app`" in refused.stderr
    scene.let_go()
    joined = scene.sweeper(*words, "--join")
    assert joined.returncode == 0, joined.stderr
    scene.driver.communicate(timeout=120)
    assert [trial.state for trial in scene.history.trials("app")] == ["COMPLETE"] * 3


@pytest.mark.usefixtures("scene")
def test_what_cannot_be_meant_is_said_in_a_line(sweeper: Sweeper) -> None:
    for words, said in (
        (("extend", "app", "many"), "is no number of further trials"),
        (("enqueue", "app", "+x=7"), "+x=7 lies outside 0 … 1"),
        (("enqueue", "app", "lr=1"), "'lr' is no parameter of this sweep; they are +x"),
        (("kill", "app/2"), "app/2 does not run"),
        (("pause", "other"), "there is no study 'other'"),
    ):
        done = sweeper(*words)
        assert done.status != 0
        assert said in done.err and len(done.err.splitlines()) == 1


def test_a_sweep_on_ray_is_scaled_up_and_stopped_at_once(tmp_path: Path) -> None:
    driver = launched(tmp_path, "hydra.sweeper.n_jobs=1", "hydra.sweeper.resources.cpus=0.5")
    try:
        scene = Scene(tmp_path, driver)
        assert scene.told("scale", "app", "--n-jobs", "2") == (
            "runs at most 2 at once from now on, where there is room; 1 trial runs now"
        )
        assert driver.stderr is not None
        while "app/1 started" not in (line := driver.stderr.readline()):
            assert line, "the sweep ended before its second trial"
        assert scene.told("stop", "app", "--now") == "stops; 2 trials run until a moment ago"
        _, rest = driver.communicate()
    finally:
        driver.kill()
    assert driver.returncode == 143, rest
    assert "sweeper: stopped; `sweeper resume app` goes on" in rest
    assert [trial.state for trial in scene.history.trials("app")] == ["WAITING"] * 2
    runs = [scene.history.runs("app", number)[0] for number in range(2)]
    assert [(run.state, run.failure) for run in runs] == [("FAIL", "stopped")] * 2
    assert (scene.history.sweeps("app")[0].outcome, scene.history.sweeps("app")[0].is_alive) == ("stopped", False)
