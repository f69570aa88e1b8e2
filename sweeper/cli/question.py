"""What `sweeper importance` is asked to explain, and by what: names on the command line become numbers per trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweeper.history import History, StudyRow

COSTS = ("runtime_s", "peak_rss_bytes")
CIRCUMSTANCES = ("seed", "node")


@dataclass(frozen=True, slots=True)
class Question:
    """What to explain: a number for each trial, and which way is better."""

    name: str
    target: Callable[[FrozenTrial], float | None]
    direction: str | None  # minimize or maximize; None for a metric, of which nobody has said


def question(history: History, study: StudyRow, metric: str | None) -> Question:
    """The study's objective; else the objective, recorded metric or cost of that name."""
    if metric is None:
        if len(study.objectives) > 1:
            names = " or ".join(f"--metric {name}" for name in study.objectives)
            raise ConfigError(f"{study.name!r} has {len(study.objectives)} objectives: choose one with {names}")
        metric = study.objectives[0]
    if metric in study.objectives:
        i = study.objectives.index(metric)
        return Question(metric, lambda trial: trial.values[i] if trial.values else None, study.directions[i])
    if metric in COSTS:
        return Question(metric, _found_in(_numbers(history.of_runs(study.name, metric))), "minimize")
    return Question(metric, _found_in(history.last_values(study.name, metric)), None)


def circumstances(
    history: History, study: StudyRow, names: Sequence[str], trials: Sequence[FrozenTrial]
) -> dict[str, list[object]]:
    """Further factors to explain by: of each trial's newest run, one value for each of `trials`."""
    for name in names:
        if name not in CIRCUMSTANCES:
            raise NotFound(f"--with {name}: there is no such circumstance on record; there are {_all(CIRCUMSTANCES)}")
    found = {name: history.of_runs(study.name, name) for name in names}
    for name, values in found.items():
        if not values:
            raise NotFound(f"--with {name}: no trial of {study.name!r} has it on record")
    return {name: [values.get(trial.number) for trial in trials] for name, values in found.items()}


def _found_in(values: Mapping[int, float]) -> Callable[[FrozenTrial], float | None]:
    return lambda trial: values.get(trial.number)


def _numbers(values: Mapping[int, object]) -> dict[int, float]:
    return {number: float(value) for number, value in values.items() if isinstance(value, (int, float))}


def _all(names: Sequence[str]) -> str:
    return " and ".join(names)
