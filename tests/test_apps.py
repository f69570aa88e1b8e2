"""What apps of Hydra do, done in trials on a real Ray: resolvers, callbacks, structured configs, pruning, branches."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.history import History
from tests.conftest import Sweep
from tests.test_multirun import study

pytestmark = pytest.mark.slow

APP = """
import logging
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import hydra
import optuna
import sweeper
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf


class Kind(Enum):
    SMALL = 1
    LARGE = 2


@dataclass
class Model:
    depth: int = 2
    kind: Kind = Kind.SMALL


@dataclass
class Config:
    model: Model = field(default_factory=Model)
    lr: float = 0.1
    twice: float = "${double:${lr}}"
    kernel: int = 0
    out: str = "${hydra:runtime.output_dir}"


class Notes(Callback):
    def on_multirun_start(self, config, **_):
        self.word = "carried over"

    def on_job_start(self, config, **_):
        Path(config.hydra.runtime.output_dir, "callback").write_text(self.word)


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def main(cfg: Config) -> float:
    assert isinstance(OmegaConf.to_object(cfg), Config)
    assert cfg.twice == 2 * cfg.lr
    assert cfg.out == HydraConfig.get().runtime.output_dir
    assert Path(cfg.out).name == str(HydraConfig.get().job.num)
    logging.getLogger("app").info("depth %d", cfg.model.depth)
    print("to standard output")
    for step in range(3):
        sweeper.log({"loss": cfg.lr * step}, step=step)
        sweeper.report(cfg.lr, step=step)
        if sweeper.should_prune():
            raise optuna.TrialPruned
    return cfg.lr


if __name__ == "__main__":
    OmegaConf.register_new_resolver("double", lambda x: 2 * float(x))
    main()
"""


SPACE = """
defaults: [config, override hydra/sweeper: sweeper, _self_]
hydra:
  sweeper:
    n_trials: 8
    params: {lr: "interval(0, 1)", model.kind: "choice(SMALL, LARGE)"}
    when: {model.kind=LARGE: {kernel: "choice(3, 5)"}}
    enqueue: [{lr: 0.25, model.kind: LARGE}]
    custom_search_space: more.space
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    script = tmp_path / "app.py"
    script.write_text(APP)
    return script


def test_an_app_with_everything_runs_as_under_hydras_own_launchers(launch: Sweep, app: Path, tmp_path: Path) -> None:
    done = launch(
        *("lr=1,2,3", "model.kind=SMALL,LARGE", "model.depth=4", "hydra/sweeper/sampler=grid"),
        *("+hydra.callbacks.notes._target_=__main__.Notes", "hydra/sweeper/pruner=threshold"),
        *("hydra.sweeper.pruner.upper=2.5", "hydra.sweeper.n_jobs=1"),
        script=app,
        launcher="ray",
    )

    assert done.returncode == 0, done.stderr
    trials = study(tmp_path, "app").trials
    assert {t.params["lr"]: t.state.name for t in trials} == {1: "COMPLETE", 2: "COMPLETE", 3: "PRUNED"}
    history = History(f"sqlite:///{tmp_path}/sweeper.db")
    for trial in trials:
        (run,) = history.runs("app", trial.number)
        folder = Path(run.folder)
        assert run.config["model"] == {"depth": 4, "kind": trial.params["model.kind"]}
        assert run.config["out"] == str(folder)
        assert (folder / "callback").read_text() == "carried over"
        assert "depth 4" in (folder / "app.log").read_text()
        assert "to standard output" in (folder / "trial.log").read_text()
        assert sorted(path.name for path in (folder / ".hydra").iterdir()) == [
            *("config.yaml", "hydra.yaml", "overrides.yaml")
        ]
        steps = 1 if trial.state.name == "PRUNED" else 3
        assert [len(curve.values) for curve in history.curves(run.run).values()] == [steps, steps]


def test_branches_known_points_and_a_space_in_python(launch: Sweep, app: Path, tmp_path: Path) -> None:
    (tmp_path / "more.py").write_text("def space(cfg, trial):\n    trial.suggest_int('model.depth', 5, 6)\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "space.yaml").write_text(SPACE)
    done = launch("--config-dir", str(tmp_path / "conf"), "--config-name", "space", script=app)

    assert done.returncode == 0, done.stderr
    trials = study(tmp_path, "app").trials
    assert (trials[0].params["lr"], trials[0].params["model.kind"]) == (0.25, "LARGE")
    for trial in trials:
        assert ("kernel" in trial.params) == (trial.params["model.kind"] == "LARGE")
        assert trial.params["model.depth"] in (5, 6)
        assert trial.value == trial.params["lr"]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Ray cluster of one node, with a token, that is not this sweep's own; its address."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = Path(sys.executable).with_name("ray")
    with contextlib.ExitStack() as undo:
        monkeypatch.setenv("RAY_TMPDIR", undo.enter_context(tempfile.TemporaryDirectory(prefix="r")))  # a short path
        log = undo.enter_context((tmp_path / "cluster.log").open("w"))
        head = subprocess.Popen(
            [
                *(str(ray), "start", "--head", "--block", "--port=6399", "--node-ip-address=127.0.0.1"),
                *("--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"),
            ],
            env=os.environ | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
            stdout=log,
            stderr=log,
        )
        undo.callback(head.wait, timeout=60)
        undo.callback(head.terminate)
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 6399)):
                break
            time.sleep(0.1)  # the head has no other sign of being ready
        yield "127.0.0.1:6399"


def test_a_running_cluster_is_joined_and_left_running(
    launch: Sweep, app: Path, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n_trials, address in enumerate((cluster, "auto"), 1):
        done = launch(
            *("lr=1,2", "hydra/sweeper/sampler=grid", f"hydra.sweeper.n_trials={n_trials}"),
            f"hydra.sweeper.ray.address={address}",
            script=app,
            launcher="ray",
        )
        assert done.returncode == 0, done.stderr
        monkeypatch.delenv(
            "RAY_AUTH_MODE", raising=False
        )  # for `auto` a token that is there is used, as `ray start` does

    assert len(study(tmp_path, "app").trials) == 2


def test_no_cluster_at_the_address_is_one_sentence(launch: Sweep, app: Path, tmp_path: Path) -> None:
    done = launch("lr=1,2", "hydra.sweeper.ray.address=127.0.0.1:1", script=app, launcher="ray")

    assert done.returncode == 4
    assert "no Ray cluster answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_optuna_dashboard_serves_the_file_and_best_agrees_with_optuna(launch: Sweep, app: Path, tmp_path: Path) -> None:
    assert launch("lr=interval(0, 1)", "hydra.sweeper.n_trials=4", script=app).returncode == 0
    url = f"sqlite:///{tmp_path}/sweeper.db"
    listed = json.loads(
        subprocess.check_output([sys.executable, "-m", "sweeper.cli", "best", "app", "-k1", "--json", "--storage", url])
    )
    assert [row["number"] for row in listed] == [trial.number for trial in study(tmp_path, "app").best_trials]
    dashboard = subprocess.Popen(
        [str(Path(sys.executable).with_name("optuna-dashboard")), url, "--port", "18080", "--server", "wsgiref"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        names = [row["study_name"] for row in _answer("http://127.0.0.1:18080/api/studies")["study_summaries"]]
    finally:
        dashboard.terminate()
        dashboard.wait()
    assert names == ["app"]


def _answer(url: str) -> Any:
    """What a server that is starting answers, once it does."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)
        except urllib.error.URLError:
            time.sleep(0.1)  # the server has no other sign of being ready
    raise AssertionError(f"{url} never answered")
