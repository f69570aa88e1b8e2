"""What a read gives back: frozen rows of plain values. Times are seconds since the epoch, UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.errors import NotFound

STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
FINISHED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True, slots=True)
class TrialName:
    """`digits/17`: trial 17 of the study digits."""

    study: str
    number: int

    @classmethod
    def parse(cls, text: str) -> TrialName:
        """A study's name may hold slashes: the number is what follows the last one.

        Raises:
            NotFound: `text` is no such name.
        """
        study, slash, number = text.rpartition("/")
        if not (slash and study and re.fullmatch("[0-9]{1,9}", number)):
            raise NotFound(f"{text!r} names no trial: write STUDY/NUMBER, for example digits/17")
        return cls(study, int(number))

    def __str__(self) -> str:
        return f"{self.study}/{self.number}"


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A study at a glance."""

    name: str
    directions: tuple[str, ...]  # minimize, maximize or not_set, one for each objective
    metric_names: tuple[str, ...]  # of the objectives; empty where the study names none
    counts: Mapping[str, int]  # trials by state; every one of STATES is a key
    best_number: int | None  # of a single objective's best trial
    best_value: float | None
    sweeps: int  # launches on record; 0 for a study that sweeper did not write
    started_at: float | None
    last_activity_at: float | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        return sum(self.counts[state] for state in FINISHED)

    @property
    def objectives(self) -> tuple[str, ...]:
        """A name for each objective: the study's own, else `value`, or `value_0`, `value_1`, …"""
        if self.metric_names:
            return self.metric_names
        if len(self.directions) == 1:
            return ("value",)
        return tuple(f"value_{i}" for i in range(len(self.directions)))


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One launch that added trials to a study."""

    sweep: str  # uuid4, 32 hex digits
    study: str
    command: str
    settings: Mapping[str, object]
    space: Mapping[str, object]  # parameter -> the expression it was given as
    sampler: str
    pruner: str
    user: str
    host: str
    pid: int
    folder: str
    started_at: float
    ended_at: float | None
    outcome: str | None  # finished, stopped, failed; None while it runs or where its driver died
    code: str | None  # sha256 of its code snapshot
    root: str | None  # where that code lay
    cwd: str | None  # where the command was given
    artifacts: str | None  # URL of its artifact store
    defaults: Mapping[str, object]  # the app's config with no override; empty where it is not on record
    n_trials: int | None  # the study's target total, as extended since
    is_alive: bool  # whether a driver is at work on it


@dataclass(frozen=True, slots=True)
class RunRow:
    """One attempt of a trial."""

    run: str  # uuid4, 32 hex digits
    sweep: str
    study: str
    number: int
    attempt: int
    state: str
    failure: str | None  # a name of sweeper.trial.Failure
    error: str | None
    traceback: str | None
    config: Mapping[str, object]  # the whole resolved config, secrets masked
    overrides: tuple[str, ...]
    seed: int | None
    folder: str
    node: str | None
    pid: int | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    runtime_s: float | None
    peak_rss_bytes: int | None
    peak_gpu_memory_bytes: int | None  # None here and below: no card was to be seen, or nobody measured
    gpu_memory_basis: str | None  # processes: of its own; cards: what was added on its cards, by neighbours as well
    gpu_seconds: float | None  # cards held, or the share of one, times the time
    energy_j: float | None  # of a card that is shared, the share
    environment: str | None  # sha256: ask `History.environment`
    code: str | None  # sha256: ask `History.code`
    resources: Mapping[str, object]  # the fields of sweeper.trial.Resources; empty where they are not on record
    gpu_share: float | None  # how many cards it held, or what share of one
    gpus: tuple[str, ...]  # UUIDs of the GPUs that it could see
    determinism: Mapping[str, object]  # when the task began; empty where it is not on record
    determinism_at_end: Mapping[str, object]
    drift: tuple[str, ...]  # imported files that were not the code snapshot's
    gaps: tuple[str, ...]  # what could not be captured, each with the reason
    completeness: float | None  # share of what is asked for that was captured
    reproduces: str | None  # the run that this one repeats
    verdict: Mapping[str, object] | None  # how it compares with that run


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """What runs were executed in."""

    environment: str  # sha256 of the document
    document: Mapping[str, Any]  # as sweeper.provenance.environment makes it
    captured_at: float


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One state of the code."""

    code: str  # sha256 of the document
    commit: str | None
    branch: str | None
    remote: str | None
    is_dirty: bool | None
    document: Mapping[str, Any]  # as sweeper.provenance.code makes it
    taken_at: float


@dataclass(frozen=True, slots=True)
class AuditRow:
    """How much of one run is on record."""

    study: str
    number: int
    attempt: int
    run: str
    state: str
    completeness: float | None  # None for a run that ended before it could say
    amiss: tuple[str, ...]  # what is missing or has changed, each with the reason


@dataclass(frozen=True, slots=True)
class SpanRow:
    """When and where one attempt ran."""

    number: int
    attempt: int
    state: str
    node: str | None
    gpus: tuple[str, ...]  # UUIDs of those that it could see
    started_at: float
    ended_at: float | None  # None while it runs, and where nobody heard of its end


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One point of the search space and what became of it."""

    number: int
    state: str
    values: tuple[float, ...] | None
    params: Mapping[str, object]  # as the training code saw them; no name but those the trial used
    started_at: float | None
    ended_at: float | None
    failure: str | None  # of its last run


@dataclass(frozen=True, slots=True)
class TrialDetail(TrialRow):
    """Everything about one trial."""

    distributions: Mapping[str, Mapping[str, object]]  # as Optuna's JSON has them: name and attributes
    user_attrs: Mapping[str, object]
    constraints: Mapping[str, float]  # feasible where none is above 0
    intermediate_values: Mapping[int, float]  # step -> value reported to the pruner
    runs: tuple[RunRow, ...]  # by attempt


@dataclass(frozen=True, slots=True)
class BestRow:
    """One of the best trials of a study."""

    number: int
    state: str
    values: tuple[float, ...]
    params: Mapping[str, object]
    metrics: Mapping[str, float]  # the last value of each metric of the trial's last run
    run: str | None  # of that run; None where sweeper did not run the trial
    gpu_seconds: float | None = None  # of all its attempts; None where none was measured


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of one run over its steps, ascending; a value that was not a number is NaN."""

    steps: tuple[int, ...]
    values: tuple[float, ...]
    times: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CostRow:
    """What the runs of a study took that ended in one state."""

    state: str
    runs: int
    runtime_s: float
    gpu_s: float  # as measured; seconds times the GPUs that it could see, of a run that was not measured


@dataclass(frozen=True, slots=True)
class Hit:
    """A trial that a search has found."""

    study: str
    number: int
    state: str
    values: tuple[float, ...] | None
    params: Mapping[str, object]
    metrics: Mapping[str, float]  # last values
    tags: tuple[str, ...]
    run: str | None  # its newest
