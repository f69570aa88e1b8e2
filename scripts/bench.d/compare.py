"""What looking at the record costs: comparing two runs of 300 keys and 200 packages, searching and exporting 10,000.

    scripts/bench compare

Each line is a whole command, from the shell to its last byte: the best of five, in seconds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from sqlalchemy import create_engine, insert

from sweeper.record import Storage
from sweeper.record.tables import environments, metrics, runs

KEYS, PACKAGES, RUNS, STEPS, REPEATS = 300, 200, 10_000, 20, 5


def fill(url: str, count: int) -> None:
    """A study of `count` trials, each with a config, an environment and a curve."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = Storage(url)
    study = optuna.create_study(study_name="big", storage=storage, direction="maximize")
    distribution = {"lr": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True)}
    draw = random.Random(0)
    for _ in range(count):
        params = {"lr": draw.uniform(1e-5, 1e-1)}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distribution, value=draw.random()))
    storage.close()
    with create_engine(url).begin() as connection:
        for i in range(2):
            packages = {f"package-{j}": f"{j}.{i if j % 7 == 0 else 0}.0" for j in range(PACKAGES)}
            document = {"packages": packages, "python": {"version": "3.11.7"}}
            row = {"environment": str(i) * 64, "document": json.dumps(document), "captured_at": 1.0}
            connection.execute(insert(environments), [row])
        connection.execute(insert(runs), [run(i) for i in range(count)])
        points = [
            {"run_id": i + 1, "name": "acc", "step": step, "value": step + i / count, "time": 1.0, "seq": step}
            for i in range(count)
            for step in range(STEPS)
        ]
        connection.execute(insert(metrics), points)


def run(number: int) -> dict[str, object]:
    config = {f"group{j % 10}": {} for j in range(10)}
    for j in range(KEYS):
        config[f"group{j % 10}"][f"key{j}"] = number if j % 29 == 0 else j
    return {
        "run": f"{number:032x}",
        "sweep": "0" * 32,
        "study": "big",
        "number": number,
        "attempt": 0,
        "state": "COMPLETE",
        "config": json.dumps(config),
        "overrides": "[]",
        "seed": number,
        "folder": "/tmp",
        "created_at": 1.0,
        "environment": str(number % 2) * 64,
    }


def best_of(*arguments: str) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sweeper.cli", *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/bench.db"
        os.environ["SWEEPER_STORAGE"] = url
        fill(url, RUNS)
        print(f"sweeper --version                       {best_of('--version'):.2f} s")
        print(f"compare, {KEYS} keys and {PACKAGES} packages     {best_of('compare', 'big/0', 'big/1'):.2f} s")
        print(f"search by a metric in {RUNS} runs      {best_of('search', 'metrics.acc > 19.5', '--csv'):.2f} s")
        query = 'env.package("package-7") >= "7.1"'
        print(f"search by a package's version           {best_of('search', query, '--csv'):.2f} s")
        print(f"search by a config key                  {best_of('search', 'config.group0.key0 = 77', '--csv'):.2f} s")
        print(f"export of {RUNS} runs to csv           {best_of('export', 'big', '--to', 'csv'):.2f} s")


if __name__ == "__main__":
    main()
