"""From trials to a result: shares, what they rest on, and what is said of it."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.errors import ConfigError, NotFound
from sweeper.importance import affordable_pairs, evaluate
from tests.importance.sweeps import Space, draw, ended, finished, random_sweep

SPACE: Space = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "depth": IntDistribution(1, 8),
    "act": CategoricalDistribution(["relu", "tanh", None]),
}


def task(point: dict[str, object]) -> float:
    return abs(math.log10(float(str(point["lr"]))) + 3) + (point["act"] is None) + 0.1 * int(str(point["depth"]))


@pytest.fixture(scope="module")
def trials() -> list[FrozenTrial]:
    return random_sweep(SPACE, task, 150)


def test_the_shares_are_ranked_and_repeatable(trials: list[FrozenTrial]) -> None:
    found = evaluate(trials, seed=1)
    assert list(found.importances) == ["lr", "act", "depth"]
    assert found == evaluate(trials, seed=1)
    assert found != evaluate(trials, seed=2)
    assert 0.9 < sum(found.importances.values()) <= 1
    assert list(found.std) == list(found.importances)
    assert found.r2 is not None
    assert found.r2 > 0.8
    assert found.notes == ("150 of 150 trials used",)


def test_the_record_is_plain_json(trials: list[FrozenTrial]) -> None:
    record = evaluate(trials, pairs="all", resamples=4, n_trees=8).record()
    assert json.loads(json.dumps(record)) == record
    assert {"importances", "std", "pairs", "r2", "n_trials", "notes"} <= record.keys()


def test_pairs_are_named_as_asked_and_ranked(trials: list[FrozenTrial]) -> None:
    every = evaluate(trials, pairs="all", n_trees=8)
    assert set(every.pairs) == {"lr*depth", "lr*act", "depth*act"}
    assert list(every.pairs.values()) == sorted(every.pairs.values(), reverse=True)
    some = evaluate(trials, pairs=[("act", "lr"), ("lr", "depth", "act")], n_trees=8)
    assert some.pairs["act*lr"] == every.pairs["lr*act"]
    total = sum(every.importances.values()) + sum(every.pairs.values()) + some.pairs["lr*depth*act"]
    assert total == pytest.approx(1)


def test_pairs_that_nobody_asked_for_are_taken_where_they_are_few() -> None:
    space: Space = {f"x{i}": FloatDistribution(0, 1) for i in range(16)}
    assert affordable_pairs(random_sweep(space, lambda _: 1.0, 2)) == ()
    assert affordable_pairs(random_sweep({"x": space["x0"]}, lambda _: 1.0, 2)) == "all"


def test_a_wrong_pair_is_refused_with_the_names_there_are(trials: list[FrozenTrial]) -> None:
    with pytest.raises(NotFound, match="'drop' is no parameter of these trials; there are lr, depth, act"):
        evaluate(trials, pairs=[("lr", "drop")])
    with pytest.raises(ConfigError, match="'lr' is no pair"):
        evaluate(trials, pairs=[("lr",)])


@pytest.mark.parametrize(("count", "there"), [(0, "there are none"), (1, "there is one")])
def test_fewer_than_two_trials_give_no_number(trials: list[FrozenTrial], count: int, there: str) -> None:
    found = evaluate([*trials[:count], ended(TrialState.FAIL)], pairs="all", resamples=5)
    assert (found.importances, found.pairs, found.intervals, found.r2) == ({}, {}, {}, None)
    assert found.n_trials == count
    assert found.notes[-1] == f"importance needs at least two trials with a value: {there}"


def test_two_trials_give_numbers_with_a_warning(trials: list[FrozenTrial]) -> None:
    found = evaluate(trials[:2], pairs="all", resamples=5)
    assert all(0 <= share <= 1 for share in [*found.importances.values(), *found.pairs.values()])
    assert "too little to believe" in found.notes[-1]


@pytest.mark.parametrize("value", [0.5, 1e300, -0.0])
def test_equal_values_leave_nothing_to_explain(value: float) -> None:
    generator = np.random.default_rng(0)
    found = evaluate([finished(draw(SPACE, generator), SPACE, value) for _ in range(9)])
    assert found.importances == {}
    assert found.notes[-1] == f"all 9 trials gave {value:g}: there is nothing to explain"


def test_trials_of_the_same_parameters_cannot_be_told_apart() -> None:
    space: Space = {"x": FloatDistribution(0, 1)}
    found = evaluate([finished({"x": 0.5}, space, float(i)) for i in range(8)], pairs="all", resamples=4)
    assert found.importances == {}
    assert found.notes[-1].startswith("no parameter tells these 8 trials apart")


def test_constants_have_no_share_and_are_named() -> None:
    space: Space = {"x": FloatDistribution(0, 1), "n": IntDistribution(4, 4)}
    found = evaluate(random_sweep(space, lambda p: p["x"], 30))
    assert found.importances == {"x": pytest.approx(1.0), "n": 0.0}
    assert found.constants == {"n": 4}
    assert "n was never varied" in found.notes
    one_node = evaluate(random_sweep(space, lambda p: p["x"], 30), factors={"node": ["a"] * 30}, n_trees=4)
    assert one_node.importances["node"] == 0
    assert one_node.constants == {"n": 4}
    alone = evaluate(random_sweep({"n": IntDistribution(4, 4)}, lambda _: float(generator.random()), 9))
    assert alone.importances == {"n": 0.0}


generator = np.random.default_rng(7)


def test_noise_is_called_noise() -> None:
    found = evaluate(random_sweep(SPACE, lambda _: float(generator.normal()), 60))
    assert found.r2 is not None
    assert found.r2 < 0.3
    assert any("too little to believe the shares" in note for note in found.notes)


def test_luck_and_hardware_are_told_from_parameters(trials: list[FrozenTrial]) -> None:
    slow = {id(trial): float(i % 2) for i, trial in enumerate(trials)}
    found = evaluate(
        trials,
        target=lambda trial: slow[id(trial)],
        factors={"node": [f"node{i % 2}" for i in range(150)], "seed": range(150)},
        n_trees=16,
    )
    assert found.importances["node"] > 0.9
    assert any(note.startswith("seed is different in most trials") for note in found.notes)


def test_only_good_trials_on_request() -> None:
    space: Space = {"lr": FloatDistribution(0, 1), "act": CategoricalDistribution(["relu", "tanh"])}

    def cliff(point: dict[str, object]) -> float:
        lr = float(str(point["lr"]))
        return 1000.0 if lr > 0.5 else (point["act"] == "relu") + 0.1 * lr

    trials = random_sweep(space, cliff, 200)
    assert evaluate(trials).importances["lr"] > 0.9
    good = evaluate(trials, quantile=0.4, direction=StudyDirection.MINIMIZE)
    assert good.importances["act"] > 0.9
    assert good.n_trials < 100
    assert "only the best 40%" in good.notes[1]
    assert not any("not spread evenly" in note for note in good.notes)


def test_intervals_hold_the_share(trials: list[FrozenTrial]) -> None:
    found = evaluate(trials, resamples=8)
    assert found.intervals.keys() == found.importances.keys()
    for name, (low, high) in found.intervals.items():
        assert 0 <= low <= found.importances[name] <= high <= 1
        assert low < high


def test_a_crowded_sample_is_warned_of() -> None:
    space: Space = {"x": FloatDistribution(0, 1)}
    points = np.concatenate((np.linspace(0, 1, 20), np.linspace(0.30, 0.32, 80)))
    found = evaluate([finished({"x": float(x)}, space, float(x**2)) for x in points])
    assert any("not spread evenly" in note and "range of x" in note for note in found.notes)


def test_the_package_is_light_to_import() -> None:
    code = "import sys, sweeper.importance; print(*({'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
