"""Known points, put in line before what the sampler chooses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from sweeper.errors import ConfigError
from sweeper.space import Space


def enqueue(study: optuna.Study, points: Sequence[object], space: Space) -> None:
    """Put known points in line before the sampler's own; the same point is not put there twice."""
    problems: list[str] = []
    sound: list[Mapping[Any, Any]] = []
    for point in points:
        if not isinstance(point, Mapping):
            problems.append(f"hydra.sweeper.enqueue: {point!r} is no mapping of parameters to values")
            continue
        found = misfits(point, space.distributions, space.expressions)
        problems += [f"hydra.sweeper.enqueue: {text}" for text in found]
        sound.append(point)
    if problems:
        raise ConfigError("\n".join(problems))
    for point in sound:
        study.enqueue_trial(dict(point), skip_if_exists=True)


def misfits(
    point: Mapping[Any, Any], distributions: Mapping[str, BaseDistribution], expressions: Mapping[str, str]
) -> Iterator[str]:
    """A sentence for each value of a point that lies outside the space."""
    for key, value in point.items():
        distribution = distributions.get(key)
        if distribution is None:
            yield f"{key!r} is no parameter of this sweep; they are {', '.join(distributions)}"
            continue
        try:
            internal = distribution.to_internal_repr(value)
            fits = not math.isnan(internal) and distribution._contains(internal)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            yield f"{key}={value!r} lies outside {expressions.get(key, distribution)}"
