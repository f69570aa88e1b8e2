"""The next space: expressions that Hydra reads, ranges that hold the good trials."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection

from sweeper.importance import evaluate, next_space
from sweeper.importance.next_space import NextSpace, text
from sweeper.space.expression import create_distribution
from tests.importance.sweeps import Space, finished, random_sweep

MAXIMIZE = StudyDirection.MAXIMIZE


def read(expression: str) -> Any:
    """What Hydra makes of an expression: a fixed value, or else the distribution that a sweep draws from."""
    override = OverridesParser.create().parse_override(f"key={expression}")
    return create_distribution(override, ())[0] if override.is_sweep_override() else override.value()


def after(space: Space, task: Any, count: int = 200) -> NextSpace:
    return next_space(evaluate(random_sweep(space, task, count), n_trees=16), MAXIMIZE)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (FloatDistribution(1e-4, 1e-1, log=True), (1e-1, 3.2)),
        (FloatDistribution(0, 0.5), (0.5, 0.75)),
        (FloatDistribution(0, 0.9), (0.9, 1.0)),  # a share stays a share
        (IntDistribution(1, 8), (8, 12)),
        (IntDistribution(16, 1024, log=True), (1024, 8192)),
        (FloatDistribution(0.5, 2.5, step=0.5), (2.5, 3.5)),
        (IntDistribution(2, 8, step=2), (8, 12)),
    ],
)
def test_a_range_grows_beyond_a_crowded_edge(
    distribution: FloatDistribution | IntDistribution, expected: tuple[float, float]
) -> None:
    def climb(point: dict[str, Any]) -> float:
        return float(math.log(point["x"]) if distribution.log else point["x"])

    found = read(after({"x": distribution}, climb).params["x"])
    assert type(found) is type(distribution)
    assert found.log == distribution.log
    assert found.step == distribution.step
    old_end, new_end = expected
    assert distribution.low < found.low <= old_end < found.high
    assert found.high == pytest.approx(new_end, rel=0.02)


def test_a_lower_edge_at_zero_stays() -> None:
    found = read(after({"x": FloatDistribution(0, 10)}, lambda p: -p["x"]).params["x"])
    assert found.low == 0
    assert found.high < 5


def test_a_range_shrinks_to_good_values() -> None:
    found = after({"lr": FloatDistribution(1e-6, 1, log=True)}, lambda p: -((math.log10(p["lr"]) + 3) ** 2))
    lr = read(found.params["lr"])
    assert lr.log
    assert 1e-5 < lr.low < 1e-3 < lr.high < 1e-1
    assert all(len(f"{end:g}".replace(".", "").lstrip("0")) <= 7 for end in (lr.low, lr.high))


def test_choices_without_good_trials_are_dropped_and_idle_ones_frozen() -> None:
    space: Space = {
        "model": CategoricalDistribution(["mlp", "cnn", "a b", None]),
        "x": FloatDistribution(0, 1),
        "idle": IntDistribution(1, 5),
        "fixed": CategoricalDistribution(["it's"]),
    }
    ranking = {"mlp": 0, "cnn": 5, "a b": 5, None: 0}
    found = after(space, lambda p: ranking[p["model"]] - (p["x"] - 0.5) ** 2 * 9, 300)
    assert read(found.params["model"]) == CategoricalDistribution(["cnn", "a b"])
    assert read(found.params["idle"]) in range(1, 6)
    assert read(found.params["fixed"]) == "it's"


def test_a_choice_that_good_trials_may_lack_by_chance_is_kept() -> None:
    """Of 24 trials 3 have the choice: that none of the best 6 is among them happens four times in ten."""
    space: Space = {"act": CategoricalDistribution(["relu", "tanh"]), "x": FloatDistribution(0, 1)}
    points = [{"act": "tanh" if i < 3 else "relu", "x": i / 24} for i in range(24)]
    trials = [finished(point, space, float(point["x"])) for point in points]
    found = next_space(evaluate(trials, n_trees=16), MAXIMIZE)
    assert "ranges are as they were" not in " ".join(found.notes)
    assert read(found.params["act"]) == CategoricalDistribution(["relu", "tanh"])


def test_a_branch_keeps_its_condition() -> None:
    space: Space = {"model": CategoricalDistribution(["mlp", "cnn"]), "x": FloatDistribution(0, 1)}
    branch: Space = {**space, "k": IntDistribution(1, 9)}
    plain = random_sweep(space, lambda p: p["x"], 100)
    deep = random_sweep(branch, lambda p: p["x"] + p["k"] / 5, 100)
    trials = [trial for trial in plain if trial.params["model"] == "mlp"]
    trials += [trial for trial in deep if trial.params["model"] == "cnn"]
    found = next_space(evaluate(trials, n_trees=16), MAXIMIZE)
    assert "k" not in found.params
    assert found.when.keys() == {"model=cnn"}
    assert isinstance(read(found.when["model=cnn"]["k"]), IntDistribution)


def test_without_trials_or_fit_ranges_stay() -> None:
    space: Space = {"x": FloatDistribution(0.001, 1, log=True), "n": IntDistribution(1, 1)}
    assert next_space(evaluate([]), MAXIMIZE).params == {}
    values = iter([0.3, 0.1, 0.2, 0.25, 0.15, 0.22])
    found = next_space(evaluate(random_sweep(space, lambda _: next(values), 6)), MAXIMIZE)
    assert found.params["n"] == "1"
    assert "ranges are as they were" in found.notes[0]


@given(value=st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1e9, 1e9), st.text(max_size=8)))
def test_values_read_back_as_they_were(value: object) -> None:
    if isinstance(value, str) and ("\n" in value or "\r" in value or not value.isprintable()):
        return
    back = read(text(value))
    assert back == value or str(back) == value
    assert isinstance(back, BaseDistribution) is False
