"""What a run cost, as an objective: values that the engine measures and the task need not return."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from optuna.trial import TrialState

from sweeper.trial import Ended, Failure, TrialSpec


def _gpu_seconds(ended: Ended, spec: TrialSpec) -> float:
    """As measured; what it held times the time where nobody measured."""
    if ended.gpu_seconds is not None:
        return ended.gpu_seconds
    held = spec.resources
    return 0.0 if held is None else held.gpus * held.nodes * ended.runtime_s


COSTS: Mapping[str, Callable[[Ended, TrialSpec], float | None]] = {
    "gpu_hours": lambda ended, spec: _gpu_seconds(ended, spec) / 3600,
    "gpu_seconds": _gpu_seconds,
    "runtime_s": lambda ended, _: ended.runtime_s,
    "energy_j": lambda ended, _: ended.energy_j,
    "peak_gpu_memory_bytes": lambda ended, _: ended.peak_gpu_memory_bytes,
    "peak_rss_bytes": lambda ended, _: ended.peak_rss_bytes,
}


def filled(ended: Ended, spec: TrialSpec) -> Ended:
    """The end with the costs among its objectives, as far as they are known by now; the task's own values stay."""
    if ended.values is None or not (COSTS.keys() & set(spec.metric_names)):
        return ended
    values = list(ended.values)
    for place, name in enumerate(spec.metric_names):
        if name in COSTS and name not in ended.metrics:
            cost = COSTS[name](ended, spec)
            values[place] = math.nan if cost is None else float(cost)
    return replace(ended, values=tuple(values))


def insisted(ended: Ended, spec: TrialSpec) -> Ended:
    """The end as it is where all costs are known; else a failure that names the one which is not."""
    if ended.values is None:
        return ended
    for name, value in zip(spec.metric_names, ended.values, strict=False):
        if name in COSTS and math.isnan(value):
            error = f"{name} is an objective and was not measured: no driver of the cards has told of it"
            return replace(ended, state=TrialState.FAIL, values=None, failure=Failure.INVALID_VALUE, error=error)
    return ended
