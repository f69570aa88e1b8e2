"""`scripts/bench gpus`: packing against what known peaks would allow, and what measuring a card costs.

`scripts/bench gpus proof [N [PICTURE]]`: N trials (200) that hold different things, on a fake cluster of 8×H100, 4×A100
and 2×T4 whose A100 are killed mid-way; the record is then replayed, and what is wrong with it is said. The picture is
docs/gpus.png: what every card was held by over time.
"""

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
from tests.gpu_bench import proof as evidence
from tests.gpu_bench.cluster import running
from tests.gpu_bench.picture import draw
from tests.packing.simulated import Job, cnn, foreseen, mlp, network, offline, one_each, packed, transformer

SEEDS = 10
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
    """Of the same line with known peaks; of one that knows every trial beforehand, in any order; of a card for each.

    Sweeps of recorded peaks on cards of 40 GiB, of made-up ones on 80 GiB. Medians over seeds; of the trials that ran
    out of memory next to others, all together and the worst seed's.
    """
    titles = {"sweep of a": 12, "cards": 5, "trials": 6, "of known peaks": 14, "least": 6, "of any order": 12}
    titles |= {"against a card each": 19, "out of memory": 13, "most": 5, "begun anew": 10}
    print(" ".join(f"{title:>{width}}" for title, width in titles.items()))
    for workload in (mlp, cnn, network, transformer):
        size = 40 if workload in (mlp, cnn) else 80  # of the cards on which they were measured, or of large ones
        for n_cards, n_trials in ((4, 200), (4, 400), (4, 1000), (8, 1000)):
            cards = [Offer("n", "n", cpus=64, gpus=n_cards, accelerator="H100", gpu_memory=size * GIB)]
            row = _medians([_shares(cards, workload(np.random.default_rng(seed), n_trials)) for seed in range(SEEDS)])
            print(f"{workload.__name__:>12} {n_cards:>5} {n_trials:>6} {row}", flush=True)


def _shares(cards: list[Offer], jobs: list[Job]) -> tuple[float, ...]:
    got, known, alone = packed(cards, jobs), offline(cards, jobs), one_each(cards, jobs)
    others = [one.makespan_s / got.makespan_s for one in (known, foreseen(cards, jobs), alone)]
    return (*others, got.oom / len(jobs), got.anew)


def _medians(rows: list[tuple[float, ...]]) -> str:
    share, any_order, gain, _, anew = np.median(rows, axis=0)
    least, out, most = min(row[0] for row in rows), np.mean([row[3] for row in rows]), max(row[3] for row in rows)
    return f"{share:>14.1%} {least:>6.1%} {any_order:>12.1%} {gain:>18.1f}x {out:>13.2%} {most:>5.1%} {anew:>10.0f}"


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


def proof(n_trials: int, picture: Path | None) -> int:
    with tempfile.TemporaryDirectory(prefix="g") as path:  # short: Ray puts sockets there
        folder = Path(path)
        (folder / "library").mkdir()
        with running(folder, build(folder / "library"), "HAT") as nodes:
            overrides = ("hydra.sweeper.n_jobs=40", "hydra/sweeper/sampler=random", "hydra.sweeper.seed=1")
            status, printed = evidence.sweep(nodes, n_trials, "A", "seconds=interval(5, 15)", *overrides)
        found = evidence.runs(folder)
        wrong = [*evidence.problems(folder, n_trials)] + ([] if status == 0 else [f"status {status}:\n{printed}"])
        most = evidence.most_on_each_card(found)
        lost = sum(run.failure == "lost" for run in found)
        print(f"{n_trials} trials, {len(found)} attempts, {lost} of them lost with their node, on {len(most)} cards")
        print(f"slots: {evidence.slots_used(folder)}; the most that was promised of one card: {max(most.values()):.3f}")
        print("\n".join(wrong) or "as promised: all are complete, and no card was promised beyond its share")
        if picture is not None:
            draw(found, picture)
        return len(wrong)


if __name__ == "__main__":
    began = time.monotonic()
    if sys.argv[1:2] == ["proof"]:
        n, *pictures = sys.argv[2:] or ["200"]
        status = proof(int(n), Path(pictures[0]) if pictures else None)
        print(f"took {time.monotonic() - began:.0f} s")
        raise SystemExit(min(status, 1))
    packing()
    telemetry()
    print(f"took {time.monotonic() - began:.0f} s")
