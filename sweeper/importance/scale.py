"""The scale of a factor: where each value sits on a line, and what share of all values lies below a cut.

A tree cuts the line. The share of the measure below a cut is all that the variance decomposition needs to
know of a factor, so every kind of factor is, from there on, the same: an interval [0, 1] cut into pieces.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choices:
    """Values without an order: each tree lines them up in an order of its own, so that none counts."""

    values: tuple[object, ...]
    weights: Floats  # (choices,), sum 1

    @classmethod
    def of(cls, values: Sequence[object]) -> Choices:
        """Choices that weigh the same each."""
        return cls(tuple(values), np.full(len(values), 1 / len(values)))

    @property
    def size(self) -> int:
        return len(self.values)

    def place(self, values: Sequence[object]) -> Floats:
        """The index of each value; a value that is no choice raises `KeyError`."""
        index = {choice_key(value): float(i) for i, value in enumerate(self.values)}
        return np.array([index[choice_key(value)] for value in values])

    def below(self, cuts: Floats) -> Floats:
        """The share of the measure at or below each position."""
        below: Floats = cumulated(self.weights)[np.clip(np.floor(cuts) + 1, 0, self.size).astype(np.int64)]
        return below

    def draw(self, shares: Floats) -> Floats:
        """The positions at these shares of the measure, each in [0, 1)."""
        places: Floats = np.searchsorted(cumulated(self.weights)[1:-1], shares, side="right").astype(np.float64)
        return places

    def values_at(self, positions: Floats) -> list[object]:
        """The choice at each position."""
        return [self.values[int(position)] for position in positions]

    def only_value(self) -> object:
        """The value of a scale of size 1."""
        return self.values[0]

    def middles(self) -> Floats:
        """(choices,) the share of the measure in the middle of each."""
        return cumulated(self.weights)[:-1] + self.weights / 2


@dataclass(frozen=True, eq=False)
class Levels:
    """A finite list of numbers: integers, steps of a float, the points of a grid."""

    values: tuple[int | float, ...]  # rising
    weights: Floats  # (levels,), sum 1
    places: Floats  # (levels,), rising: positions of the values
    is_log: bool = False  # whether the numbers are meant on a log scale

    @classmethod
    def of(cls, values: Sequence[int | float]) -> Levels:
        """Levels that weigh the same each."""
        count = len(values)
        return cls(tuple(values), np.full(count, 1 / count), np.arange(count, dtype=np.float64))

    @property
    def size(self) -> int:
        return len(self.values)

    def place(self, values: Sequence[int | float]) -> Floats:
        """The position of the level nearest to each value."""
        levels = np.asarray(self.values, dtype=np.float64)
        middles = (levels[1:] + levels[:-1]) / 2
        return self.places[np.searchsorted(middles, np.asarray(values, dtype=np.float64))]

    def below(self, cuts: Floats) -> Floats:
        """The share of the measure at or below each position."""
        return cumulated(self.weights)[np.searchsorted(self.places, cuts, side="right")]

    def draw(self, shares: Floats) -> Floats:
        """The positions at these shares of the measure, each in [0, 1)."""
        return self.places[np.searchsorted(cumulated(self.weights)[1:-1], shares, side="right")]

    def values_at(self, positions: Floats) -> list[int | float]:
        """The number at each position."""
        return [self.values[int(i)] for i in np.searchsorted(self.places, positions)]

    def only_value(self) -> object:
        """The value of a scale of size 1."""
        return self.values[0]

    def middles(self) -> Floats:
        """(levels,) the share of the measure in the middle of each."""
        return cumulated(self.weights)[:-1] + self.weights / 2


@dataclass(frozen=True)
class Interval:
    """All numbers from `low` to `high`, weighed by length or, where `is_log`, by length of the logarithm."""

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False  # integers, too many to list

    @property
    def size(self) -> float:
        return 1 if self.low == self.high else math.inf

    def place(self, values: Sequence[int | float]) -> Floats:
        """Positions of these values."""
        origin, unit, *_ = self._frame()
        numbers = np.asarray(values, dtype=np.float64)
        return ((np.log(numbers) if self.is_log else numbers) - origin) / unit

    def below(self, cuts: Floats) -> Floats:
        """The share of the measure at or below each position."""
        *_, low, high = self._frame()
        return np.clip((cuts - low) / (high - low), 0.0, 1.0)

    def draw(self, shares: Floats) -> Floats:
        """The positions at these shares of the measure, each in [0, 1)."""
        *_, low, high = self._frame()
        return low + shares * (high - low)

    def values_at(self, positions: Floats) -> list[float]:
        """The number at each position, none outside the interval."""
        origin, unit, *_ = self._frame()
        numbers = origin + unit * positions
        found: list[float] = np.clip(np.exp(numbers) if self.is_log else numbers, self.low, self.high).tolist()
        if self.is_whole:
            return [min(max(round(number), math.ceil(self.low)), math.floor(self.high)) for number in found]
        return found

    def only_value(self) -> object:
        """The value of a scale of size 1."""
        return self.low

    def _ends(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.is_log else (self.low, self.high)

    def _frame(self) -> tuple[float, float, float, float]:
        """Origin and unit of the positions, and the positions of the two ends.

        Origin 0 and unit 1, unless the 32-bit floats that trees hold would blur the range.
        """
        low, high = self._ends()
        largest, half = max(abs(low), abs(high)), high / 2 - low / 2
        if half > largest / 2048 and half > 1e-30 and largest < 1e30:
            return 0.0, 1.0, low, high
        unit = min(2 * half, 1e308)
        return low, unit, 0.0, (high / unit - low / unit)


Scale = Choices | Levels | Interval


def unevenness(scale: Scale, positions: Floats) -> float:
    """The largest distance between the shares of positions and of the measure at or below any position."""
    known = np.sort(positions[~np.isnan(positions)])
    at_or_below = np.searchsorted(known, known, side="right") / len(known)
    return float(np.max(np.abs(at_or_below - scale.below(known))))


def choice_key(value: object) -> Hashable:
    """Equal for the same choice only: True is not 1, and NaN equals itself."""
    return type(value).__name__, repr(value)


def cumulated(weights: Floats) -> Floats:
    """(n + 1,) sums of the first 0, 1, … n weights along the last axis; the last is exactly 1."""
    sums = np.zeros((*weights.shape[:-1], weights.shape[-1] + 1))
    np.cumsum(weights, axis=-1, out=sums[..., 1:])
    sums[..., -1] = 1.0
    return sums
