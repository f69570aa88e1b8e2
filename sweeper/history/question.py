"""What importance is to explain, and by what: a name that a user typed becomes a number for each trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial

    from sweeper.history.reader import History
    from sweeper.history.rows import StudyRow

COSTS = {  # what may be asked for -> (column of the runs, what a sentence calls it)
    "runtime": ("runtime_s", "runtime"),
    "peak_rss": ("peak_rss_bytes", "peak memory"),
    "peak_gpu_memory": ("peak_gpu_memory_bytes", "peak GPU memory"),
    "gpu_seconds": ("gpu_seconds", "time on a GPU"),
}
COSTS_BY_COLUMN = {column: (column, called) for column, called in COSTS.values()}
CIRCUMSTANCES = {"seed": "seed", "gpu": "GPU", "code": "code", "node": "node"}  # as typed -> what it is called

Target = Callable[["FrozenTrial"], float | None]


@dataclass(frozen=True, slots=True)
class Question:
    """What to explain: a number for each trial, and which way is better."""

    name: str
    target: Target
    direction: StudyDirection | None  # None for a metric, of which nobody has said


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What trials ran with beside their parameters, and what is not known of it."""

    values: Mapping[str, Sequence[object]]  # by name, one for each trial
    notes: tuple[str, ...]


def question(history: History, study: StudyRow, metric: str | None) -> Question:
    """The study's objective; else the objective, recorded metric or cost of that name."""
    if metric is None:
        if len(study.objectives) > 1:
            names = " or ".join(f"--metric {name}" for name in study.objectives)
            raise ConfigError(f"{study.name!r} has {len(study.objectives)} objectives: choose one with {names}")
        metric = study.objectives[0]
    if metric in study.objectives:
        i = study.objectives.index(metric)
        return Question(
            metric, lambda trial: trial.values[i] if trial.values else None, _direction(study.directions[i])
        )
    try:
        return Question(metric, _found_in(history.last_values(study.name, metric)), None)
    except NotFound:
        cost = COSTS.get(metric) or COSTS_BY_COLUMN.get(metric)
        if cost is None:
            raise
    return Question(metric, _cost(history, study.name, *cost), _direction("minimize"))


def circumstances(history: History, study: str, names: Sequence[str], trials: Sequence[FrozenTrial]) -> Circumstances:
    """Further factors to explain by, as trials' newest runs have them."""
    for name in names:
        if name not in CIRCUMSTANCES:
            raise ConfigError(f"--with {name}: a circumstance is one of {', '.join(CIRCUMSTANCES)}")
    values, notes = dict[str, list[object]](), list[str]()
    for name in dict.fromkeys(names):
        found = gpu_names(history, study) if name == "gpu" else history.of_runs(study, name)
        if not found:
            notes.append(f"no {CIRCUMSTANCES[name]} is on record for these runs")
            continue
        values[name] = [found.get(trial.number) for trial in trials]
        unknown = values[name].count(None)
        if unknown:
            without = f"{unknown} of {len(trials)} trials have no {CIRCUMSTANCES[name]} on record"
            notes.append(f"{without} and count as of one kind")
    return Circumstances(values, tuple(notes))


def gpu_names(history: History, study: str) -> dict[int, object]:
    """What GPUs each trial's newest run could see, as `2 × NVIDIA H100`, by number; only trials that saw any."""
    environments = history.of_runs(study, "environment")
    seen = {name: _seen(history.environment(str(name)).document.get("gpus")) for name in set(environments.values())}
    return {number: seen[name] for number, name in environments.items() if seen[name]}


def _seen(gpus: object) -> str:
    visible = gpus.get("visible", ()) if isinstance(gpus, Mapping) else ()
    counts = Counter(str(gpu["name"]) for gpu in visible)
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in sorted(counts.items()))


def _direction(name: str) -> StudyDirection | None:
    from optuna.study import StudyDirection

    return {"minimize": StudyDirection.MINIMIZE, "maximize": StudyDirection.MAXIMIZE}.get(name)


def _cost(history: History, study: str, column: str, called: str) -> Target:
    """What each trial's newest run cost; the runtime of a trial that sweeper did not run is Optuna's."""
    found = _numbers(history.of_runs(study, column))
    if column == "runtime_s":
        return lambda trial: found.get(trial.number, _duration(trial))
    if not found:
        raise NotFound(f"no {called} is on record for the runs of {study!r}")
    return _found_in(found)


def _duration(trial: FrozenTrial) -> float | None:
    return trial.duration.total_seconds() if trial.duration else None


def _found_in(values: Mapping[int, float]) -> Target:
    return lambda trial: values.get(trial.number)


def _numbers(values: Mapping[int, object]) -> dict[int, float]:
    return {number: float(value) for number, value in values.items() if isinstance(value, (int, float))}
