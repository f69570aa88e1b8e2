"""`scripts/bench gpus`: packing against what known peaks would allow and what an error costs, and what measuring costs.

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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2]))

from sweeper.launch.room import Offer
from sweeper.packing.memory import MemoryModel
from tests.gpu_bench import GIB, Bench, Card, build
from tests.gpu_bench import proof as evidence
from tests.gpu_bench.cluster import running
from tests.gpu_bench.picture import draw
from tests.packing.simulated import (
    Job,
    cnn,
    foreseen,
    foretold,
    growing,
    mlp,
    network,
    offline,
    one_each,
    packed,
    transformer,
)

SEEDS, SEEDS_OF_CEILINGS = 6, 3
LATER = (0.0, 0.2)  # of a peak, at the first validation
ERRORS = (0.02, 0.05, 0.11)  # of the logarithm of a peak
WIDTHS = (1.0, 1.5, 2.0, 2.5)  # of a bound, in such errors
Jobs = list[Job]
Workload = Callable[[np.random.Generator, int], Jobs]
Shares = tuple[float, ...]
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

    Sweeps of recorded peaks on cards of 40 GiB, of made-up ones on 80 GiB; each with peaks that come with the first
    steps, and again with a fifth of them that comes at the first validation. Medians over seeds; of the trials that ran
    out of memory next to others, all together and the worst seed's.
    """
    titles = {"sweep of a": 12, "later": 5, "cards": 5, "trials": 6, "of known peaks": 14, "least": 6}
    titles |= {"of any order": 12}
    titles |= {"against a card each": 19, "out of memory": 13, "most": 5, "begun anew": 10}
    print(" ".join(f"{title:>{width}}" for title, width in titles.items()))
    with ProcessPoolExecutor(initializer=threadpool_limits, initargs=(1,)) as pool:
        for workload, later in product((mlp, cnn, network, transformer), LATER):
            for n_cards, n_trials in ((4, 200), (4, 400), (4, 1000), (8, 1000)):
                sweep = partial(_swept, workload, later, n_cards, n_trials)
                row = _medians(list(pool.map(sweep, range(SEEDS))))
                print(f"{workload.__name__:>12} {later:>5.0%} {n_cards:>5} {n_trials:>6} {row}", flush=True)


def _swept(workload: Workload, later: float, n_cards: int, n_trials: int, seed: int) -> Shares:
    return _shares(_cards(workload, n_cards), growing(workload(np.random.default_rng(seed), n_trials), later))


def ceilings() -> None:
    """What the same line reaches of known peaks, on 4 cards with 1,000 trials, if it foretells each but for an error.

    At best: of several widths of its bounds that with which it reaches most, among those with which at most 1% of
    trials run out of memory. And what error the model makes of trials that it does not know: the root of its mean
    square.
    """
    titles = {"sweep of a": 12, **{f"but for {error:.0%}": 11 for error in ERRORS}, "the model's error, 200 known": 29}
    titles |= {"1,000 known": 12}
    print("\n" + " ".join(f"{title:>{width}}" for title, width in titles.items()))
    for workload in (mlp, cnn, network, transformer):
        cards = _cards(workload, 4)
        reached = [max(_reached(cards, workload, error, width) for width in WIDTHS) for error in ERRORS]
        wrong = [np.median([_error(workload, known, seed) for seed in range(SEEDS)]) for known in (200, 1000)]
        shown = " ".join(f"{share:>11.1%}" for share in reached)
        print(f"{workload.__name__:>12} {shown} {wrong[0]:>29.1%} {wrong[1]:>12.1%}", flush=True)


def _reached(cards: list[Offer], workload: Workload, error: float, width: float) -> float:
    """The median over some seeds; nothing where too many run out of memory."""
    shares, oom = [], 0
    for seed in range(SEEDS_OF_CEILINGS):
        jobs = workload(np.random.default_rng(seed), 1000)
        got = foretold(cards, jobs, error, width, np.random.default_rng(seed))
        shares.append(offline(cards, jobs).makespan_s / got.makespan_s)
        oom += got.oom
    return float(np.median(shares)) if oom <= 0.01 * 1000 * len(shares) else 0.0


def _error(workload: Workload, known: int, seed: int) -> float:
    """Of the logarithm of bytes, which is what a peak is wrong by, of 300 trials after those that are known."""
    jobs = workload(np.random.default_rng(seed), known + 300)
    model = MemoryModel([job.params for job in jobs[:known]], [job.peak for job in jobs[:known]])
    wrong = [np.log(job.peak) - model.foretold(job.params)[0] for job in jobs[known:]]
    return float(np.sqrt(np.mean(np.square(wrong))))


def _cards(workload: Workload, n_cards: int) -> list[Offer]:
    size = 40 if workload in (mlp, cnn) else 80  # of the cards on which they were measured, or of large ones
    return [Offer("n", "n", cpus=64, gpus=n_cards, accelerator="H100", gpu_memory=size * GIB)]


def _shares(cards: list[Offer], jobs: Jobs) -> Shares:
    got, known, alone = packed(cards, jobs), offline(cards, jobs), one_each(cards, jobs)
    others = [one.makespan_s / got.makespan_s for one in (known, foreseen(cards, jobs), alone)]
    return (*others, got.oom / len(jobs), got.anew)


def _medians(rows: list[Shares]) -> str:
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
    ceilings()
    telemetry()
    print(f"took {time.monotonic() - began:.0f} s")
