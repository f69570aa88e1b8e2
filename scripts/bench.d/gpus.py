"""`scripts/bench gpus`: packing against what known peaks would allow, and what measuring a card costs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from sweeper.launch.room import Offer
from tests.gpu_bench import GIB, Bench, Card, build
from tests.packing.simulated import network, offline, one_each, packed

_MEASURE = """
import resource, time
from sweeper import nvml
with nvml.session() as library:
    nvml.cards(library)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(200):
        nvml.seen(nvml.cards(library))
    after = resource.getrusage(resource.RUSAGE_SELF)
print((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 200)
"""


def packing() -> None:
    titles = {"cards": 5, "trials": 6, "seed": 4, "of known peaks": 14, "against a card each": 19, "out of memory": 13}
    print(" ".join(f"{title:>{width}}" for title, width in titles.items()))
    for n_cards, n_trials in ((4, 400), (4, 1000), (8, 1000)):
        cards = [Offer("n", "n", cpus=64, gpus=n_cards, accelerator="H100", gpu_memory=80 * GIB)]
        for seed in range(3):
            jobs = network(np.random.default_rng(seed), n_trials)
            got, best, alone = packed(cards, jobs), offline(cards, jobs), one_each(cards, jobs)
            share, gain = best.makespan_s / got.makespan_s, alone.makespan_s / got.makespan_s
            print(f"{n_cards:>5} {n_trials:>6} {seed:>4} {share:>14.1%} {gain:>18.1f}x {got.oom / n_trials:>13.1%}")


def telemetry() -> None:
    """CPU of one look at a slot's card through pynvml, at the bench's driver: a real one takes its own time."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(build(Path(folder)), Path(folder) / "cards", [Card("GPU-a")])
        bench.write()
        environment = os.environ | bench.environment()
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE], env=environment, capture_output=True, text=True, check=True
        )
    seconds = float(done.stdout)
    print(f"one look at a card: {seconds * 1e3:.2f} ms of CPU; every 2 s for 8 slots: {8 * seconds / 2:.2%} of a core")


if __name__ == "__main__":
    began = time.monotonic()
    packing()
    telemetry()
    print(f"took {time.monotonic() - began:.0f} s")
