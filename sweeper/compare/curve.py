"""Curves of several runs beside each other: last and best values, and the first step at which they part."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper.history import Curve

_LESS_IS_BETTER = re.compile(r"loss|err|mse|mae|nll|perplexity|ppl|latency|time|divergence|regret", re.I)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric in each run; None where a run has no such metric or no number in it."""

    name: str
    direction: str  # minimize or maximize: the study's, else what the name suggests
    last: tuple[float | None, ...]
    best: tuple[float | None, ...]
    parts_at: int | None  # the first step at which two runs that both have it differ; None where they never do
    gap: float | None  # the greatest difference between two runs at that step


def metric_rows(curves: Sequence[Mapping[str, Curve]], directions: Mapping[str, str]) -> list[MetricRow]:
    """A row for each metric that some run has; those that part first come first."""
    names = dict.fromkeys(name for found in curves for name in found)
    rows = [_row(name, [found.get(name) for found in curves], directions) for name in names]
    return sorted(rows, key=lambda row: math.inf if row.parts_at is None else row.parts_at)


def _row(name: str, curves: Sequence[Curve | None], directions: Mapping[str, str]) -> MetricRow:
    direction = directions.get(name) or ("minimize" if _LESS_IS_BETTER.search(name) else "maximize")
    step, gap = _parting([curve for curve in curves if curve is not None])
    return MetricRow(
        name=name,
        direction=direction,
        last=tuple(None if curve is None else curve.values[-1] for curve in curves),
        best=tuple(None if curve is None else _best(curve, direction) for curve in curves),
        parts_at=step,
        gap=gap,
    )


def _best(curve: Curve, direction: str) -> float | None:
    numbers = [value for value in curve.values if value == value]
    if not numbers:
        return None
    return min(numbers) if direction == "minimize" else max(numbers)


def _parting(curves: Sequence[Curve]) -> tuple[int | None, float | None]:
    """The first step that at least two curves have with different values, and how far these lie apart."""
    by_step: dict[int, list[float]] = {}
    for curve in curves:
        for step, value in zip(curve.steps, curve.values, strict=True):
            by_step.setdefault(step, []).append(value)
    for step in sorted(by_step):
        values = by_step[step]
        if any(not _same(value, values[0]) for value in values):
            numbers = [value for value in values if value == value]
            return step, max(numbers) - min(numbers) if len(numbers) == len(values) else math.nan
    return None, None


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)
