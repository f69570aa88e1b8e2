"""From the database's cells to values: parameters as training code saw them, infinities, times."""

from __future__ import annotations

import datetime
import functools
import json
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_VALUES = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


@functools.lru_cache(maxsize=4096)
def distribution(text: str) -> BaseDistribution:
    """The distribution that Optuna wrote as this JSON; one object for all trials that share it."""
    # Here and not above: Optuna takes 0.2 s to import, and listing studies does not need it.
    from optuna.distributions import json_to_distribution

    return json_to_distribution(text)


def param(value: float, distribution_json: str) -> object:
    """A parameter as the training code saw it: the choice and not its index, an integer as an int."""
    decoded: object = distribution(distribution_json).to_external_repr(value)
    return decoded


def number(value: float | None, kind: str) -> float:
    """A value or intermediate value; Optuna keeps what is not finite as NULL with a type beside it."""
    if kind == "FINITE" and value is not None:
        return value
    return _VALUES[kind]


def metric(value: float | None) -> float:
    """A point of our own tables, where NULL is NaN: SQLite knows none."""
    return math.nan if value is None else value


def seconds(moment: datetime.datetime | None) -> float | None:
    """Optuna's UTC without a zone as seconds since the epoch."""
    return None if moment is None else moment.replace(tzinfo=datetime.UTC).timestamp()


def constraints(system_attrs: dict[str, str]) -> dict[str, float]:
    """Constraint values by name: one attribute `constraints:NAME` each, or one list as Optuna 4 wrote it."""
    found: dict[str, float] = {}
    for key, text in system_attrs.items():
        if key == "constraints":
            found |= {str(i): value for i, value in enumerate(json.loads(text) or ())}
    for key, text in system_attrs.items():
        if key.startswith("constraints:"):
            found[key.removeprefix("constraints:")] = json.loads(text)
    return found
