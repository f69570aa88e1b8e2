"""Trials that each say what they hold, on nodes with different cards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeper.history import History, RunRow

pytestmark = pytest.mark.slow

_SCRIPT = """
import os, time
import hydra

@hydra.main(version_base=None, config_path="conf", config_name="app")
def main(cfg):
    time.sleep(cfg.seconds)
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return len(visible)

if __name__ == "__main__":
    main()
"""
_CONFIG = """
kind: two
seconds: 0.05
kinds:
  none: {gpus: 0, cards: [], nodes: 1, memory: null}
  two: {gpus: 2, cards: [H100], nodes: 1, memory: null}
  half: {gpus: 0.5, cards: [T4, A100], nodes: 1, memory: null}
  tenth: {gpus: 0, cards: [], nodes: 1, memory: 8GiB}
hydra:
  sweeper:
    study_name: mixed
    resources:
      cpus: 0
      gpus: ${kinds.${kind}.gpus}
      accelerator: ${kinds.${kind}.cards}
      nodes: ${kinds.${kind}.nodes}
      gpu_memory: ${kinds.${kind}.memory}
"""


@dataclass(frozen=True)
class Played:
    status: int
    printed: str
    runs: list[RunRow]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: Ray puts sockets there."""
    with tempfile.TemporaryDirectory(prefix="g") as path:
        (Path(path) / "train.py").write_text(_SCRIPT)
        (Path(path) / "conf").mkdir()
        (Path(path) / "conf" / "app.yaml").write_text(_CONFIG)
        yield Path(path)


def play(folder: Path, library: Path, nodes: str, n: int, dies: str, *overrides: str) -> Played:
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"} | {
        "LD_LIBRARY_PATH": str(library),
        "RAY_TMPDIR": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "SWEEPER_STORAGE": f"sqlite:///{folder}/sweeper.db",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu_bench.cluster", str(folder), nodes, str(n), dies, *overrides],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=230,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"status"')]
    assert lines, done.stderr
    told = json.loads(lines[-1])
    if told["status"] != 0:
        return Played(told["status"], told["printed"], [])
    history = History(f"sqlite:///{folder}/sweeper.db")
    runs = [run for number in range(n) for run in history.trial("mixed", number).runs]
    return Played(0, told["printed"], runs)


def most_on_each_card(runs: list[RunRow]) -> dict[str, float]:
    """By UUID: the largest sum of shares that runs held of a card at one moment, by their times on record."""
    changes = defaultdict[str, list[tuple[float, float]]](list)
    for run in runs:
        if run.started_at is not None and run.gpu_share:
            for uuid in run.gpus:
                share = min(run.gpu_share, 1.0)
                changes[uuid] += [(run.started_at, share), (run.ended_at or run.started_at, -share)]
    most = {}
    for uuid, of_card in changes.items():
        held, most[uuid] = 0.0, 0.0
        for _, change in sorted(of_card):
            held += change
            most[uuid] = max(most[uuid], held)
    return most


def test_mixed_trials_on_unlike_nodes_hold_what_they_say_and_no_card_more_than_its_share(
    gpu_library: Path, folder: Path
) -> None:
    kinds = "kind=choice(none, two, half, tenth)"
    played = play(
        folder,
        gpu_library,
        "HT",
        40,
        "-",
        kinds,
        "hydra/sweeper/sampler=random",
        "hydra.sweeper.n_jobs=4",
        "hydra.sweeper.trial.retries=5",
    )
    assert played.status == 0, played.printed
    ended = {run.number: run for run in played.runs if run.state == "COMPLETE"}
    assert sorted(ended) == list(range(40))
    for run in ended.values():
        kind, held = run.config["kind"], run.gpu_share
        models = {uuid[:5] for uuid in run.gpus}
        if kind == "none":
            assert (held, run.gpus) == (0.0, ())
        elif kind == "two":
            assert (held, len(run.gpus), models) == (2.0, 2, {"GPU-H"})
        elif kind == "half":
            assert (held, len(run.gpus)) == (0.5, 1) and models <= {"GPU-A", "GPU-T"}
        else:
            memory = {"GPU-H": 80, "GPU-A": 40, "GPU-T": 16}[models.pop()]
            assert held == pytest.approx(8 / memory) and len(run.gpus) == 1
    used = most_on_each_card(played.runs)
    assert max(used.values()) <= 1 + 1e-6 and {uuid[:5] for uuid in used} == {"GPU-H", "GPU-T"}
