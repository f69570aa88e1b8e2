"""Artifacts the whole way: a real sweep on Ray, a crash, Optuna's own API and dashboard, the command line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta

from sweeper.history import History
from tests.conftest import Sweep

pytestmark = pytest.mark.slow

APP = """
import os
from pathlib import Path

import hydra
import sweeper
from hydra.core.hydra_config import HydraConfig


@hydra.main(version_base=None)
def train(cfg):
    out = Path(HydraConfig.get().runtime.output_dir)
    (out / "model.pt").write_bytes(b"weights %d" % cfg.x)
    (out / "last.pt").write_bytes(b"weights %d" % cfg.x)
    sweeper.save_artifact(out / "model.pt")
    sweeper.use_data(__file__, name="script")
    sweeper.log_test({"accuracy": cfg.x / 10})
    print("password=hunter2hunter2")
    if cfg.x == 2:
        os._exit(7)
    return float(cfg.x)


if __name__ == "__main__":
    train()
"""


@pytest.fixture
def swept(launch: Sweep, tmp_path: Path) -> str:
    """A study of two trials, the second of which dies of a crash; its URL."""
    (tmp_path / "app.py").write_text(APP)
    done = launch(
        *("+x=1,2", "hydra/sweeper/sampler=grid", "hydra.sweeper.collect=['*.pt']", "+db.password=hunter2hunter2"),
        *("hydra.sweeper.trial.retries=0",),
        script=tmp_path / "app.py",
        launcher="ray",
    )
    assert done.returncode == 5, done.stderr
    return f"sqlite:///{tmp_path}/sweeper.db"


def test_from_training_code_to_the_command_line_and_optuna(swept: str, tmp_path: Path) -> None:
    history = History(swept)
    trials = {trial.params["+x"]: trial.number for trial in history.trials("app")}
    for x, number in trials.items():
        (run,) = history.runs("app", number)
        kept = {row.name: row for row in history.artifacts(run.run)}
        assert kept["model.pt"].sha256 == kept["last.pt"].sha256 == hashlib.sha256(b"weights %d" % x).hexdigest()
        assert kept.keys() >= {"trial.log", ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"}
        assert [row.name for row in history.data(run.run)] == ["script"]
        assert history.test_metrics(run.run)["accuracy"].value == x / 10
    command = [sys.executable, "-m", "sweeper.cli", "get", f"app/{trials[2]}", "model.pt", "--storage", swept]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "model.pt").read_bytes() == b"weights 2"
    _no_secret_in(tmp_path / "artifacts")
    _dashboard_serves(swept, trials[1], tmp_path / "artifacts" / "optuna")


def _no_secret_in(store: Path) -> None:
    blobs = [path for path in store.rglob("*") if path.is_file()]
    assert blobs
    assert [path for path in blobs if b"hunter2" in path.read_bytes()] == []


def _dashboard_serves(url: str, number: int, links: Path) -> None:
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name="app", storage=storage)
    trial = study.trials[number]
    found = {meta.filename: meta for meta in get_all_artifact_meta(trial, storage=storage)}
    storage.engine.dispose()
    assert found.keys() == {"model.pt", "last.pt"}
    program = str(Path(sys.executable).with_name("optuna-dashboard"))
    dashboard = subprocess.Popen(
        [program, url, "--port", "18081", "--server", "wsgiref", "--artifact-dir", str(links)],
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        place = f"artifacts/{study._study_id}/{trial._trial_id}/{found['model.pt'].artifact_id}"
        assert _answer(f"http://127.0.0.1:18081/{place}") == b"weights 1"
    finally:
        dashboard.terminate()
        dashboard.wait()


def _answer(url: str) -> bytes:
    """What a server that is starting answers, once it does."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            time.sleep(0.1)  # the server has no other sign of being ready
    raise AssertionError(f"{url} never answered")
