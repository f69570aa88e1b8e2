"""A launch thought through to its end, with nothing started for it and nothing written."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweeper import study
from sweeper.budget import Budget
from sweeper.config.resolve import resolve
from sweeper.config.resources import of_trial
from sweeper.errors import ConfigError, NoDatabase
from sweeper.forecast import Forecast, forecast
from sweeper.history import FINISHED, History, SpanRow, TrialRow
from sweeper.history.connection import shown
from sweeper.launch.prospect import Prospect
from sweeper.preparation import Inputs, Multirun, keep_code, target
from sweeper.provenance.store import open_store
from sweeper.space import Space
from sweeper.space.branch import Branch, branches, deciding
from sweeper.trial import ParamValue, Resources

MOST_BRANCHES = 64  # composed and listed


@dataclass(frozen=True, slots=True)
class Runs:
    """How long trials took: seconds on their slots, all attempts together."""

    study: str
    took_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PlannedBranch:
    """A branch, and one of its trials, which composes."""

    choices: Mapping[str, ParamValue]
    params: int
    overrides: tuple[str, ...]
    resources: Resources  # of that trial
    runs: Runs | None  # of the branch alone


@dataclass(frozen=True, slots=True)
class Planned:
    """What a launch would do."""

    study: str
    directions: tuple[str, ...]
    storage: str  # as it may be shown
    sampler: str
    pruner: str
    params: int
    points: int | None  # of the space; None where it is continuous
    n_trials: int
    counts: Mapping[str, int]  # trials on record by state
    left: int
    is_being_swept: bool
    budget: Budget
    n_branches: int
    branches: tuple[PlannedBranch, ...]
    prospect: Prospect
    runs: Runs | None  # what the forecast rests on
    forecast: Forecast | None

    @property
    def gpus(self) -> float:
        """Cards that a trial holds: the mean over the branches."""
        return sum(branch.resources.gpus * branch.resources.nodes for branch in self.branches) / len(self.branches)

    @property
    def cpus(self) -> float:
        return sum(branch.resources.cpus * branch.resources.nodes for branch in self.branches) / len(self.branches)

    @property
    def gpu_hours(self) -> float | None:
        return None if self.forecast is None else self.forecast.held_s * self.gpus / 3600

    @property
    def cpu_hours(self) -> float | None:
        return None if self.forecast is None else self.forecast.held_s * self.cpus / 3600


def canary(name: str) -> str:
    """The study of a study's canaries: no sampler learns from them, and no `n_trials` counts them."""
    return f"canary/{name}"


def plan(multirun: Multirun, inputs: Inputs, look: Callable[[], Prospect], has_canary: bool) -> Planned:
    """Check everything that a launch would, and foretell it. Raises what the launch would raise."""
    if inputs.settings.require != "nothing":
        with tempfile.TemporaryDirectory(prefix="sweeper-plan-") as folder:
            keep_code(multirun, inputs, open_store(folder))
    name, space = inputs.study_name, inputs.space
    past = _Past.of(inputs.settings.storage, name)
    opened = study.Plan(
        name, inputs.objective, multirun.config.hydra.sweeper.sampler, multirun.config.hydra.sweeper.pruner, inputs.seed
    )
    past.check(opened, space)
    sampler, pruner = study.made(opened, space)
    n_trials, prospect = target(inputs), look()
    left = max(0, n_trials - sum(past.counts[state] for state in FINISHED))
    runs = past.canaries(1) if has_canary else past.runs(name) or past.canaries(None)
    return Planned(
        study=name,
        directions=inputs.objective.directions,
        storage=shown(inputs.settings.storage),
        sampler=type(sampler).__name__,
        pruner=type(pruner).__name__,
        params=len(space.parameters),
        points=_size(space),
        n_trials=n_trials,
        counts=past.counts,
        left=left,
        is_being_swept=past.is_being_swept,
        budget=inputs.budget,
        n_branches=deciding(space).size(),
        branches=tuple(_composed(inputs, past)),
        prospect=prospect,
        runs=runs,
        forecast=None if runs is None else forecast(runs.took_s, left, prospect.slots),
    )


def begun_canaries(storage: str, name: str) -> int:
    """How many canaries of a study have left the line."""
    past = _Past.of(storage, canary(name))
    return sum(count for state, count in past.counts.items() if state != "WAITING")


def _composed(inputs: Inputs, past: _Past) -> Iterator[PlannedBranch]:
    problems = []
    for branch in itertools.islice(branches(inputs.space), MOST_BRANCHES):
        overrides = inputs.space.overrides(branch.point)
        try:
            config = inputs.composer.compose(overrides, 0, "0").config
            resolve(config)
            resources = of_trial(config)
        except ConfigError as error:
            which = ", ".join(inputs.space.overrides(branch.choices)[len(inputs.space.fixed) :]) or "no choice"
            problems.append(f"a trial with {which} cannot be composed: {error}")
        else:
            yield PlannedBranch(branch.choices, len(branch.point), overrides, resources, past.runs_of(branch))
    if problems:
        raise ConfigError("\n".join(problems))


def _size(space: Space) -> int | None:
    try:
        return space.size()
    except ConfigError:
        return None


class _Past:
    """What is on record of a study; empty where there is no database, or no such study."""

    def __init__(self, history: History | None, name: str) -> None:
        self._history = history if history is not None and history.has_study(name) else None
        self._database, self._name = history, name
        self.counts: Mapping[str, int] = dict.fromkeys((*FINISHED, "RUNNING", "WAITING"), 0)
        self.is_being_swept = False
        self._took: dict[int, float] = {}
        self._params: dict[int, Mapping[str, object]] = {}
        if self._history is not None:
            self.counts = self._history.study(name).counts
            self.is_being_swept = any(sweep.is_alive for sweep in self._history.sweeps(name))
            trials = self._history.trials(name, states=FINISHED)
            self._took = took(trials, self._history.spans(name))
            self._params = {trial.number: trial.params for trial in trials}

    @classmethod
    def of(cls, storage: str, name: str) -> _Past:
        try:
            return cls(History(storage), name)
        except NoDatabase:
            return cls(None, name)

    def check(self, opened: study.Plan, space: Space) -> None:
        if self._history is not None:
            directions = self._history.study(self._name).directions
            study.check(opened, space, directions, self._history.remembered(self._name)[0])

    def runs(self, name: str) -> Runs | None:
        return Runs(name, tuple(self._took.values())) if self._took else None

    def runs_of(self, branch: Branch) -> Runs | None:
        """Of those trials alone that made the branch's choices."""

        def is_of_branch(number: int) -> bool:
            return all(self._params[number].get(name) == value for name, value in branch.choices.items())

        seconds = tuple(took_s for number, took_s in self._took.items() if is_of_branch(number))
        return Runs(self._name, seconds) if seconds else None

    def canaries(self, newest: int | None) -> Runs | None:
        if self._database is None:
            return None
        name = canary(self._name)
        found = _Past(self._database, name).runs(name)
        return found if found is None or newest is None else Runs(name, found.took_s[-newest:])


def took(trials: Iterable[TrialRow], spans: Iterable[SpanRow]) -> dict[int, float]:
    """Seconds that each finished trial took its slot, by number: from being asked for to being told.

    Of a trial with several attempts, these alone: it may have waited for a driver in between.
    """
    attempts: dict[int, list[float]] = {}
    for span in spans:
        if span.ended_at is not None:
            attempts.setdefault(span.number, []).append(max(0.0, span.ended_at - span.started_at))
    found = {}
    for trial in trials:
        parts = attempts.get(trial.number, [])
        if len(parts) > 1:
            found[trial.number] = sum(parts)
        elif trial.started_at is not None and trial.ended_at is not None:
            found[trial.number] = max(0.0, trial.ended_at - trial.started_at)
    return found


def plain(planned: Planned) -> dict[str, Any]:
    """For programs: seconds, hours and names."""
    found = dataclasses.asdict(planned)
    return found | {"gpu_hours": planned.gpu_hours, "cpu_hours": planned.cpu_hours}
