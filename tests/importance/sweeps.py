"""Finished trials to test on: a space, an objective, and points drawn as a random sampler draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

Space = Mapping[str, BaseDistribution]


def draw(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """One point of the space."""
    return {name: _draw(distribution, generator) for name, distribution in space.items()}


def _draw(distribution: BaseDistribution, generator: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[generator.integers(len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if isinstance(distribution, IntDistribution):
        if distribution.log:
            edges = math.log(distribution.low - 0.5), math.log(distribution.high + 0.5)
            return min(distribution.high, max(distribution.low, round(math.exp(generator.uniform(*edges)))))
        return int(generator.choice(range(distribution.low, distribution.high + 1, distribution.step)))
    if distribution.log:
        return math.exp(generator.uniform(math.log(distribution.low), math.log(distribution.high)))
    if distribution.step:
        steps = round((distribution.high - distribution.low) / distribution.step)
        return round(distribution.low + distribution.step * int(generator.integers(steps + 1)), 12)
    return generator.uniform(distribution.low, distribution.high)


def finished(params: Mapping[str, Any], space: Space, value: float | Sequence[float]) -> FrozenTrial:
    """A completed trial."""
    return create_trial(
        params=dict(params),
        distributions={name: space[name] for name in params},
        values=[value] if isinstance(value, float) else list(value),
    )


def random_sweep(space: Space, task: Callable[[dict[str, Any]], float], count: int, seed: int = 0) -> list[FrozenTrial]:
    """Trials at random points."""
    generator = np.random.default_rng(seed)
    points = [draw(space, generator) for _ in range(count)]
    return [finished(point, space, float(task(point))) for point in points]


def ended(state: TrialState) -> FrozenTrial:
    """A trial that did not complete."""
    return create_trial(state=state, value=1.0 if state == TrialState.PRUNED else None)
