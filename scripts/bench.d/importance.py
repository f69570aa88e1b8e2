"""Importance against its targets: ratios measured side by side in one run, on synthetic sweeps.

    python scripts/bench.d/importance.py [--optuna] [--fast-fanova PYTHON] [--large] [--rounds N]

--optuna adds Optuna's own evaluator (half a minute a round), --large a sweep of 100,000 trials × 50
parameters.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, create_trial
from sklearn.ensemble import RandomForestRegressor

from sweeper.importance import evaluate, fanova

N_TREES = 64
CPUS = len(os.sched_getaffinity(0))


def floats(count: int, n_params: int) -> list[FrozenTrial]:
    """Trials at random points of continuous floats, with two strong parameters, an interaction and noise."""
    generator = np.random.default_rng(0)
    space: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0, 1) for i in range(n_params)}
    trials = []
    for point in generator.random((count, n_params)):
        value = point[0] ** 2 + point[1] * point[2] + 0.3 * math.sin(9 * point[3]) + 0.05 * generator.normal()
        params = dict(zip(space, point.tolist(), strict=True))
        trials.append(create_trial(params=params, distributions=space, value=value))
    return trials


def choices(count: int, n_params: int, n_choices: int) -> list[FrozenTrial]:
    """Trials at random points of choices."""
    generator = np.random.default_rng(0)
    names = tuple(f"choice{i}" for i in range(n_choices))
    space: dict[str, BaseDistribution] = {f"c{i}": CategoricalDistribution(names) for i in range(n_params)}
    effects = generator.normal(size=(3, n_choices))
    trials = []
    for taken in generator.integers(0, n_choices, (count, n_params)):
        value = float(sum(effects[i, taken[i]] for i in range(3)))
        params = {name: names[i] for name, i in zip(space, taken, strict=True)}
        trials.append(create_trial(params=params, distributions=space, value=value))
    return trials


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def forest_fit(trials: list[FrozenTrial]) -> Callable[[], object]:
    """scikit-learn's forest alone, on all CPUs, the table ready in its hands."""
    codes: dict[object, float] = {}
    table = [[_number(v, codes) for v in trial.params.values()] for trial in trials]
    x, y = np.array(table, dtype=np.float32), np.array([trial.values[0] for trial in trials])
    return lambda: RandomForestRegressor(N_TREES, n_jobs=CPUS, random_state=0).fit(x, y)


def _number(value: object, codes: dict[object, float]) -> float:
    return value if isinstance(value, float) else codes.setdefault(value, float(len(codes)))


def compare(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of each, taken in turn so that a noisy neighbour hits them all."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: statistics.median(found) for name, found in times.items()}


def line(what: str, measured: str, target: str) -> None:
    print(f"{what:58}  {measured:>22}  {target}", flush=True)


def thousand(rounds: int, with_optuna: bool) -> None:
    trials = floats(1000, 10)
    forest = evaluate(trials, n_trees=N_TREES).forest
    assert forest is not None
    pairs = list(combinations(range(10), 2))
    found = compare(
        {
            "fit": forest_fit(trials),
            "mains": lambda: evaluate(trials, n_trees=N_TREES),
            "pairs": lambda: fanova.shares(forest, pairs),
        },
        rounds,
    )
    fit, mains = found["fit"], found["mains"]
    line("1,000 × 10: the forest fit alone", f"{fit:.3f} s", "")
    line("1,000 × 10: mains in total, from trials to shares", f"{mains:.3f} s, {mains / fit:.2f} × fit", "≤ 1.4 × fit")
    line("1,000 × 10: all 45 pairs", f"{found['pairs']:.3f} s, {found['pairs'] / fit:.2f} × fit", "≤ 5 × fit")
    if with_optuna:
        study = optuna.create_study()
        study.add_trials(trials)
        theirs = seconds(lambda: FanovaImportanceEvaluator(n_trees=N_TREES, seed=0).evaluate(study))
        line("1,000 × 10: Optuna's evaluator", f"{theirs:.1f} s, {theirs / mains:.0f} × ours", "≥ 80 × ours")


FAST_FANOVA = """
import io, sys, time, warnings, numpy, optuna
from optuna_fast_fanova import FanovaImportanceEvaluator
warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.WARNING)
table = numpy.load(io.BytesIO(sys.stdin.buffer.read()))
space = {f"x{i}": optuna.distributions.UniformDistribution(0, 1) for i in range(table.shape[1] - 1)}
study = optuna.create_study()
for *point, value in table.tolist():
    params = dict(zip(space, point))
    study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
start = time.perf_counter()
FanovaImportanceEvaluator(n_trees=64, seed=0).evaluate(study)
print(time.perf_counter() - start)
"""


def fast_fanova(python: str, rounds: int) -> None:
    """optuna-fast-fanova needs an old Python, NumPy and scikit-learn: it runs in a process of its own."""
    trials = floats(1000, 10)
    table = io.BytesIO()
    np.save(table, np.array([[*trial.params.values(), trial.values[0]] for trial in trials]))
    ratios = []
    for _ in range(rounds):
        ours = seconds(lambda: evaluate(trials, n_trees=N_TREES))
        told = subprocess.run([python, "-c", FAST_FANOVA], input=table.getvalue(), capture_output=True, check=True)
        ratios.append(float(told.stdout) / ours)
    line("1,000 × 10: optuna-fast-fanova", f"{statistics.median(ratios):.1f} × ours", "≥ 3 × ours")


def ten_thousand(rounds: int) -> None:
    trials = floats(10_000, 10)
    works = {
        "fit": forest_fit(trials),
        "mains": lambda: evaluate(trials, n_trees=N_TREES),
        "intervals": lambda: evaluate(trials, n_trees=N_TREES, resamples=20),
    }
    found = compare(works, rounds)
    ratio, with_intervals = found["mains"] / found["fit"], found["intervals"] / found["fit"]
    line("10,000 × 10: mains in total", f"{found['mains']:.2f} s, {ratio:.2f} × fit", "≤ 8 s on 2 cores")
    line("10,000 × 10: with intervals, as on the command line", f"{with_intervals:.2f} × fit", "")


def wide_choices(rounds: int) -> None:
    trials = choices(1000, 30, 20)
    found = compare({"fit": forest_fit(trials), "mains": lambda: evaluate(trials, n_trees=N_TREES)}, rounds)
    ratio = found["mains"] / found["fit"]
    line("1,000 × 30 choices of 20: mains in total", f"{found['mains']:.2f} s, {ratio:.2f} × fit", "no blow-up")


def large() -> None:
    trials = floats(100_000, 50)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = seconds(lambda: evaluate(trials, n_trees=N_TREES))
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    line("100,000 × 50: mains in total", f"{took:.0f} s, {peak:.2f} GiB more", "memory bounded")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--optuna", action="store_true", help="add Optuna's own evaluator")
    parser.add_argument("--large", action="store_true", help="add 100,000 trials × 50 parameters")
    parser.add_argument("--fast-fanova", metavar="PYTHON", help="an interpreter that has optuna-fast-fanova")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(f"importance, {N_TREES} trees, {CPUS} CPUs, medians of {given.rounds} rounds", file=sys.stderr)
    thousand(given.rounds, given.optuna)
    ten_thousand(max(1, given.rounds // 3))
    wide_choices(max(1, given.rounds // 3))
    if given.fast_fanova:
        fast_fanova(given.fast_fanova, given.rounds)
    if given.large:
        large()


if __name__ == "__main__":
    main()
