"""What it costs to know what a run was made of: once for a sweep, and again for each trial.

The code is this repository's, the environment the one that runs this. A trial's share is measured as a trial pays it:
in a process forked from one that has captured everything, where pages are not yet its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import struct
import tempfile
import time
from pathlib import Path

import sklearn.neural_network  # noqa: F401  # as an app would have it imported

from sweeper.provenance.capture import Capture
from sweeper.provenance.code import Wanted, take
from sweeper.provenance.store import open_store
from sweeper.run import seed

TRAIN = Path(__file__).parents[2] / "studies" / "digits" / "train.py"


def of_a_sweep(folder: str) -> tuple[float, float, Capture]:
    """Seconds for the code and for the environment."""
    began = time.perf_counter()
    code = take(Wanted(TRAIN), open_store(folder))
    taken = time.perf_counter()
    capture = Capture(code.snapshot)
    return taken - began, time.perf_counter() - taken, capture


def of_a_trial(capture: Capture) -> tuple[float, float]:
    """Milliseconds of wall and CPU for start and end together, in a process of its own."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        seed.seed_everything(1)
        wall, cpu = time.perf_counter(), time.process_time()
        capture.heard(capture.at_start(seed.seeds()).environment)
        capture.at_end(seed.seeds())
        os.write(writing, struct.pack("dd", time.perf_counter() - wall, time.process_time() - cpu))
        os._exit(0)
    wall, cpu = struct.unpack("dd", os.read(reading, 16))
    os.close(reading)
    os.close(writing)
    os.wait()
    return wall * 1000, cpu * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trials", type=int, default=200)
    asked = parser.parse_args()
    sweeps = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            code, environment, capture = of_a_sweep(folder)
        sweeps.append((code, environment))
        print(f"a sweep: code {code * 1000:6.1f} ms   environment {environment * 1000:6.1f} ms", flush=True)
    code, environment = (statistics.median(column) for column in zip(*sweeps, strict=True))
    print(f"median of sweeps  {code + environment:6.3f} s   least {min(map(sum, sweeps)):6.3f} s   (to reach: 0.3)")
    capture.heard(capture.at_start({}).environment)
    walls, cpus = zip(*(of_a_trial(capture) for _ in range(asked.trials)), strict=True)
    print(
        f"a trial: median {statistics.median(walls):5.2f} ms   least {min(walls):5.2f} ms   "
        f"CPU {statistics.median(cpus):5.2f} ms   (to reach: 5)"
    )


if __name__ == "__main__":
    main()
