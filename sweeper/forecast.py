"""How long trials will take, drawn from how long others took: pure, and the same for the same input."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_DRAWS = 200
_MOST_PLACED = 200_000  # trials placed in all draws together
_MOST_SIMULATED = 10_000  # trials of one draw; what more take follows in proportion


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds; medians of many draws. Between `wall_low_s` and `wall_high_s` lie 8 of 10."""

    wall_s: float
    wall_low_s: float
    wall_high_s: float
    held_s: float  # of all slots together


def forecast(took: Sequence[float], n_trials: int, slots: int) -> Forecast:
    """Give `n_trials` to `slots`, each to the one that is free first, with times drawn from `took` (seconds).

    `took` itself is drawn anew each time, so that few runs give a wide answer. At least one run and one slot.
    """
    generator = np.random.default_rng(0)
    known = np.asarray(took, dtype=float)
    simulated = min(n_trials, _MOST_SIMULATED)
    draws = max(10, min(_DRAWS, _MOST_PLACED // max(simulated, 1)))
    scale = n_trials / simulated if simulated else 0.0
    walls, helds = [], []
    for _ in range(draws):
        drawn = generator.choice(generator.choice(known, len(known)), simulated)
        walls.append(_makespan(drawn.tolist(), slots) * scale)
        helds.append(float(drawn.sum()) * scale)
    low, median, high = (float(found) for found in np.quantile(walls, (0.1, 0.5, 0.9)))
    return Forecast(median, low, high, float(np.median(helds)))


def _makespan(durations: Sequence[float], slots: int) -> float:
    """When the last trial ends."""
    free = [0.0] * min(slots, max(len(durations), 1))
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)
