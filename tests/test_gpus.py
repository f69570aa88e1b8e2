"""Sweeps on cards, from the command line, by Ray's own detection: a bench stands for the driver."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.history import History
from tests.conftest import Sweep
from tests.gpu_bench import GIB, Bench, Card

pytestmark = pytest.mark.slow

_SCRIPT = """
import hydra
from tests.gpu_bench import tasks

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    return tasks.occupies(cfg)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def bench(gpu_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(gpu_library, tmp_path / "cards", [Card("GPU-a"), Card("GPU-b")])
    made.write()
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


def test_what_trials_used_of_their_cards_is_on_record_and_explained(
    launch: Sweep, bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(_SCRIPT)
    done = launch(
        *("hydra.sweeper.n_trials=12", "hydra.sweeper.study_name=cards", "hydra.sweeper.resources.gpus=1"),
        *("hydra.sweeper.resources.cpus=0", "hydra/sweeper/sampler=random", "hydra.sweeper.seed=1"),
        *("+gib=interval(1, 9)", "+other=interval(0, 1)"),
        script=tmp_path / "train.py",
        launcher="ray",
    )
    assert done.returncode == 0, done.stderr
    history = History(f"sqlite:///{tmp_path}/sweeper.db")
    trials = [history.trial("cards", number) for number in range(12)]
    for trial in trials:
        (run,) = trial.runs
        assert run.peak_gpu_memory_bytes == int(float(str(trial.params["+gib"])) * GIB)
        assert run.gpu_seconds is not None and run.runtime_s is not None
        assert run.gpu_seconds > 0.5 * run.runtime_s and run.energy_j is not None
        assert "system/gpu_memory_bytes" in history.last_metrics(run.run)
    assert {run.gpus for trial in trials for run in trial.runs} == {("GPU-a",), ("GPU-b",)}
    asked = [sys.executable, "-m", "sweeper.cli", "importance", "cards", "--json", "--metric", "peak_gpu_memory"]
    told = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True)
    shares = json.loads(told.stdout)["importances"]
    assert max(shares, key=shares.get).endswith("gib")
