"""Sweeps that share a real cluster, in a process of its own: `python -m tests.launch.sharing FOLDER`.

Prints one line of JSON, which test_sharing.py reads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sweeper.history import History
from sweeper.launch.cluster import running_cluster
from sweeper.launch.queue import standings
from tests.launch.nodes import cluster
from tests.launch.scene import end_where_stuck

GPUS = 3

APP = """
import time
from pathlib import Path

import hydra
import sweeper
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=None)
def main(cfg: DictConfig) -> float:
    steps = Path(sweeper.checkpoint_dir()) / "steps"
    begin = int(steps.read_text()) if steps.exists() else 0
    with (Path(cfg.folder) / f"log-{cfg.name}-{cfg.x}").open("a") as log:
        log.write(f"{begin} ")
    for step in range(begin, 5):
        steps.write_text(str(step + 1))
        while cfg.until and step == 3 and not Path(cfg.until).exists():
            time.sleep(0.02)
    time.sleep(cfg.length)
    return float(cfg.x)


if __name__ == "__main__":
    main()
"""


class Launch:
    """A driver of its own, of a study of its own in a database of its own."""

    def __init__(self, folder: Path, address: str, name: str, trials: int, *words: str, length: float = 0.0) -> None:
        self.name, self.folder = name, folder
        command = [
            *(sys.executable, "app.py", "-m", "hydra/sweeper=sweeper", "hydra/sweeper/sampler=random"),
            *("+x=interval(0, 1)", f"+folder={folder}", f"+name={name}", f"+length={length}"),
            *(f"hydra.sweeper.study_name={name}", f"hydra.sweeper.n_trials={trials}", f"hydra.sweep.dir=out-{name}"),
            *(f"hydra.sweeper.ray.address={address}", "hydra.sweeper.resources={cpus: 0.1, gpus: 1}", *words),
        ]
        environment = os.environ | {"SWEEPER_STORAGE": self.storage, "SWEEPER_ARTIFACTS": str(folder / f"a-{name}")}
        with (folder / f"{name}.log").open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)

    @property
    def storage(self) -> str:
        return f"sqlite:///{self.folder}/{self.name}.db"

    def status(self) -> tuple[int, str]:
        return self.process.wait(), (self.folder / f"{self.name}.log").read_text()

    def begun(self) -> int:
        return len(list(self.folder.glob(f"log-{self.name}-*")))

    def runs(self) -> list[Any]:
        history = History(self.storage)
        return [run for trial in history.trials(self.name) for run in history.runs(self.name, trial.number)]


def wait(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(0.05)


def weights(folder: Path, address: str) -> dict[str, Any]:
    """Two to one: what each had, in GPU-seconds, from when both had their slots until one had nothing more to begin.

    No trial ends before both stand in the queue, however long a busy machine takes to start them.
    """
    go_on = folder / "both-are-there"
    launches = [
        Launch(folder, address, "heavy", 32, "hydra.sweeper.share.weight=2", f"+until={go_on}", length=0.5),
        Launch(folder, address, "light", 16, f"+until={go_on}", length=0.5),
    ]
    with running_cluster(address):
        wait(lambda: {"heavy", "light"} <= {row.study for row in standings()})
    go_on.touch()
    statuses = [one.status() for one in launches]
    runs = [one.runs() for one in launches]
    begin = max(reached(each, slots) for each, slots in zip(runs, (2, 1), strict=True))
    end = min(max(run.started_at for run in each) for each in runs)
    held = [sum(max(0.0, min(run.ended_at, end) - max(run.started_at, begin)) for run in each) for each in runs]
    return {"statuses": statuses, "held": held, "trials": [len({run.number for run in each}) for each in runs]}


def reached(runs: Sequence[Any], slots: int) -> float:
    """When so many ran at once for the first time."""
    return min(
        one.started_at
        for one in runs
        if sum(other.started_at <= one.started_at < other.ended_at for other in runs) >= slots
    )


def priority(folder: Path, address: str) -> dict[str, Any]:
    """All cards are taken by trials that do not end, and a sweep of a higher priority comes."""
    go_on = folder / "go-on"
    low = Launch(folder, address, "low", GPUS, f"+until={go_on}", "hydra.sweeper.trial.retries=0")
    wait(lambda: low.begun() == GPUS)
    high = Launch(folder, address, "high", 2, "+until=''", "hydra.sweeper.share.priority=1")
    first = high.status()
    queue = [sys.executable, "-m", "sweeper.cli", "queue", "--json", "--address", address]
    shown = json.loads(subprocess.run(queue, capture_output=True, text=True, check=True).stdout)
    go_on.touch()
    return {
        "statuses": [first, low.status()],
        "low": sorted((run.number, run.attempt, run.failure) for run in low.runs()),
        "begun_at": [path.read_text().split() for path in sorted(folder.glob("log-low-*"))],
        "high": [(run.attempt, run.failure) for run in high.runs()],
        "queue": shown,
    }


def main(folder: Path) -> None:
    end_where_stuck()
    (folder / "app.py").write_text(APP)
    with cluster(0) as made:
        made.add_node(num_cpus=4, num_gpus=GPUS)
        print("\n" + json.dumps({scene.__name__: scene(folder, made.address) for scene in (priority, weights)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
