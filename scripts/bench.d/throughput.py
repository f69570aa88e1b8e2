"""Trials per second of a whole sweep: SQLite, TPE, an objective that returns at once, each trial in its own process.

The rate is taken from the record: from the first trial's start to the last one's end, Ray's start left out. Beside it,
in turn with it, Optuna alone on its own SQLite storage with the same sampler, in one process, with nothing isolated.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna

from sweeper.history import History

TRAIN = Path(__file__).parents[2] / "studies" / "quadratic" / "train.py"


def sweep(folder: Path, trials: int, slots: int) -> float:
    url = f"sqlite:///{folder}/sweep.db"
    command = [sys.executable, str(TRAIN), "-m", "hydra/sweeper=sweeper", f"hydra.sweeper.storage={url}"]
    command += [f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={slots}", f"hydra.sweep.dir={folder}/sweep"]
    subprocess.run([*command, "x=interval(-5, 5)", "y=interval(-5, 5)"], check=True, capture_output=True, cwd=folder)
    rows = History(url).trials("train")
    began = min(row.started_at for row in rows if row.started_at is not None)
    ended = max(row.ended_at for row in rows if row.ended_at is not None)
    return trials / (ended - began)


def optuna_alone(folder: Path, trials: int) -> float:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler())
    began = time.perf_counter()
    study.optimize(lambda t: (t.suggest_float("x", -5, 5) - 2) ** 2 + (t.suggest_float("y", -5, 5) + 1) ** 2, trials)
    rate = trials / (time.perf_counter() - began)
    storage.engine.dispose()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    ours, theirs = [], []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(sweep(Path(folder), asked.trials, asked.slots))
            theirs.append(optuna_alone(Path(folder), asked.trials))
        print(f"sweeper {ours[-1]:6.1f} trials/s   optuna alone {theirs[-1]:6.1f} trials/s", flush=True)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"median  {statistics.median(ours):6.1f} trials/s   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
