"""A factor is one thing that varied between trials: a parameter or, on request, a circumstance, as the seed.

A parameter weighs as a random sampler would draw it: choices, integers and steps the same each, floats by
length, log scales by length of the logarithm (integers on one too, unless the trials lie evenly over them). A
circumstance weighs as it was met.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeper.importance.scale import Choices, Floats, Interval, Levels, Scale, choice_key, unevenness

MANY_LEVELS = 65_536  # a longer list of numbers weighs as if it were continuous, wrong by less than 1e-5
RECURRENCE = 10  # numbers tried this often each, on average, were picked from a list

Range = FloatDistribution | IntDistribution
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Factor:
    """One column of the sample."""

    name: str
    scale: Scale
    positions: Floats  # (trials,); NaN where a conditional parameter was not active
    is_parameter: bool = True


def distinct(things: Iterable[T], key: Callable[[T], Hashable]) -> list[T]:
    """The first of each kind, in order of appearance."""
    found: dict[Hashable, T] = {}
    for thing in things:
        found.setdefault(key(thing), thing)
    return list(found.values())


def distribution_key(distribution: BaseDistribution) -> Hashable:
    """Equal for equal distributions, at a fraction of the cost of `==` over ten thousand trials."""
    if isinstance(distribution, FloatDistribution):
        return "float", distribution.low, distribution.high, distribution.log, distribution.step
    if isinstance(distribution, IntDistribution):
        return "int", distribution.low, distribution.high, distribution.log, distribution.step
    if isinstance(distribution, CategoricalDistribution):
        return tuple(map(choice_key, distribution.choices))
    return repr(distribution)


def parameter_scale(distributions: Sequence[BaseDistribution], values: Sequence[object]) -> Scale | None:
    """The scale of a parameter with these distributions and values; None when the kinds differ.

    Where ranges differ between trials, the scale spans them all. Numbers of which few were tried, each many
    times (a grid search, a table of results), were picked from a list, and each of them weighs the same.
    """
    if all(isinstance(d, CategoricalDistribution) for d in distributions):
        choices = (c for d in distributions if isinstance(d, CategoricalDistribution) for c in d.choices)
        return Choices.of(distinct(choices, choice_key))
    ranges = [d for d in distributions if isinstance(d, Range)]
    if len(ranges) < len(distributions) or len({(type(d), d.log) for d in ranges}) > 1:
        return None
    numbers = np.array(values, dtype=np.float64)
    whole = _spanning(ranges)
    tried = np.unique(numbers)
    if 1 < len(tried) <= min(len(numbers) / RECURRENCE, whole.size / 2):
        listed = tried.astype(np.int64 if isinstance(ranges[0], IntDistribution) else np.float64).tolist()
        return replace(Levels.of(listed), is_log=ranges[0].log)
    if isinstance(whole, Levels) and ranges[0].log:
        return _closer_to(numbers, [whole, replace(whole, weights=np.full(whole.size, 1 / whole.size))])
    return whole


def _closer_to(numbers: Floats, candidates: Sequence[Levels]) -> Levels:
    """The scale whose weights the numbers follow best: integers of a table lie evenly, not by logarithm."""
    return min(candidates, key=lambda scale: unevenness(scale, scale.place(numbers.tolist())))


def _spanning(ranges: Sequence[Range]) -> Interval | Levels:
    """The scale of all numbers that any of these ranges offers, weighing as a random sampler draws them."""
    low, high, is_log = min(d.low for d in ranges), max(d.high for d in ranges), ranges[0].log
    step = _common_step(ranges, low)
    if low == high:
        return Levels.of([low])
    if step is None:
        return Interval(float(low), float(high), is_log)
    count = round((high - low) / step) + 1
    if count > MANY_LEVELS:
        return Interval(low - step / 2, high + step / 2, is_log, is_whole=isinstance(low, int))
    levels = Levels.of([_on_step(low, step, i) for i in range(count)])
    if not is_log:
        return levels
    edges = np.log(np.arange(count + 1) + (low - 0.5))  # k owns the log scale from k - 1/2 to k + 1/2
    weights = np.diff(edges) / (edges[-1] - edges[0])
    return replace(levels, weights=weights, places=np.log(levels.values), is_log=True)


def _common_step(ranges: Sequence[Range], low: float) -> float | None:
    """The step on which all the ranges lie; without one, 1 for integers and None for floats."""
    step = ranges[0].step
    if step is not None and all(d.step == step and _is_whole((d.low - low) / step) for d in ranges):
        return step
    return 1 if isinstance(ranges[0], IntDistribution) else None


def _on_step(low: float, step: float, index: int) -> int | float:
    """The number so many steps above the low end; in decimals, so that 0.1 and 2 steps of 0.1 make 0.3."""
    if isinstance(low, int) and isinstance(step, int):
        return low + index * step
    return float(Decimal(str(low)) + index * Decimal(str(step)))


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-8
