"""The frozen records that travel between processes: what a trial is asked to do, and what is heard of it.

A `TrialSpec` goes from the driver to a slot and on to the trial's own process. Events come back, numbered by `seq` from
0 within their run, so that (run, seq) names an event for ever: whoever replays a journal cannot store one twice.
Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from optuna.trial import TrialState

ParamValue = None | bool | int | float | str


class Failure(enum.StrEnum):
    """Why a trial that ended in state FAIL did."""

    ERROR = "error"  # the training code raised
    INVALID_VALUE = "invalid_value"  # it returned something that is no objective value
    OOM = "oom"
    TIMEOUT = "timeout"
    CRASHED = "crashed"  # the process ended without a word: a signal, os._exit, a segfault
    LOST = "lost"  # the slot or node it ran on is gone
    STOPPED = "stopped"  # on request: Ctrl-C, SIGTERM, `sweeper kill`
    PREEMPTED = "preempted"  # for a sweep of a higher priority on the same cluster, or for another share of a card


class Isolation(enum.StrEnum):
    """What process a trial gets of its own."""

    PROCESS = "process"  # a fork of one that has imported the app; spawned where the app cannot be forked
    SPAWN = "spawn"  # a fresh interpreter


@dataclass(frozen=True)
class Limits:
    """How long one attempt may take; None: as long as it likes."""

    timeout_s: float | None = None  # in all
    silence_s: float | None = None  # without a point, a report or a line of output
    grace_s: float = 10.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True)
class Resources:
    """What one trial holds while it runs, on each of its nodes."""

    cpus: float = 1.0
    gpus: float = 0.0  # cards, or the share of one
    gpu_memory: int = 0  # bytes of each card; without `gpus` the share of a card follows from it
    accelerators: tuple[str, ...] = ()  # kinds of card of which any will do; none: every kind
    labels: tuple[tuple[str, str], ...] = ()  # of nodes, as Ray's label selectors
    custom: tuple[tuple[str, float], ...] = ()  # custom resources of Ray's
    nodes: int = 1
    is_packed: bool = False  # gpus: auto


@dataclass(frozen=True)  # no slots, here and in what it holds: Python would unpickle them field by field
class TrialSpec:
    """One attempt of one trial, complete: a process that has this and the app's code can run it."""

    study: str
    number: int
    run: str  # uuid4, 32 hex digits: the name of this attempt for ever
    attempt: int  # counts from 0 within the trial; also its fence: once a higher one has begun, this one writes nothing
    params: Mapping[str, ParamValue]  # what the sampler chose
    overrides: tuple[str, ...]  # Hydra's, as `hydra.overrides.task` has them
    config: Mapping[str, object]  # resolved, plain; for the record
    base: bytes  # the config that trials share, pickled; for the trial's process
    payload: bytes  # how to make this trial's config of it, pickled (sweeper.config.recipe)
    folder: str  # absolute; the output folder of this attempt alone
    seed: int | None  # of this trial, derived from the sweep's; None leaves the generators as they are
    directions: int = 1  # how many objective values the task must return
    metric_names: tuple[str, ...] = ()  # keys of those values, for a task that returns a mapping
    trial_folder: str = ""  # absolute; what all attempts of the trial share, checkpoints foremost
    limits: Limits = Limits()
    code: str | None = None  # sha256 of the sweep's code snapshot
    reproduces: str | None = None  # the run that this one repeats
    artifacts: str = ""  # URL of the store; nothing is kept without one
    collect: tuple[str, ...] = ()  # patterns of what is kept of the folder when the run ends
    resources: Resources | None = None  # what it holds; None: nobody has said
    variables: Mapping[str, str] = field(default_factory=dict)  # further ones of its environment


@dataclass(frozen=True, slots=True)
class Started:
    """The trial's process exists and is about to call the user's task."""

    run: str
    seq: int
    time: float
    node: str
    pid: int
    gpus: float | None = None  # how many cards it holds, or what share of one; None: nobody has said


@dataclass(frozen=True, slots=True)
class Captured:
    """What a run is made of, as its own process sees it: said before its task begins, and again when that has ended.

    What is said at the end replaces what was said at the start, except for the determinism of the two moments.
    """

    run: str
    seq: int
    time: float
    moment: str  # start | end
    environment: str  # sha256 of the environment's document
    document: Mapping[str, object] | None  # the environment itself, unless an earlier run of this slot has said it
    determinism: Mapping[str, object]  # seeds, fingerprints of the random generators, flags of the frameworks
    gpus: tuple[str, ...]  # UUIDs of those that the process can see
    drift: tuple[str, ...]  # imported files that are not the code snapshot's, each with what is the matter
    gaps: tuple[str, ...]  # what could not be captured: "what: why"
    completeness: float  # share of what is asked for that was captured, 0 to 1


@dataclass(frozen=True, slots=True)
class Measured:
    """`sweeper.log`: metrics of one step."""

    run: str
    seq: int
    time: float
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Series:
    """What several calls of `sweeper.log` with the same names have brought, in order."""

    names: tuple[str, ...]
    seqs: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)  # of all names in turn, call by call


@dataclass(frozen=True)
class Logged:
    """`Measured` events that follow each other, as the lines that the journal has of them.

    There are many, and three processes between the trial and the record, none of which needs to read them.
    """

    run: str
    count: int
    lines: bytes

    def __reduce__(self) -> tuple[type[Logged], tuple[object, ...]]:
        return Logged, (self.run, self.count, self.lines)  # without what was read of it

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """The points, one series for each set of names."""
        found: dict[tuple[str, ...], Series] = {}
        for row in json.loads(b"[" + self.lines[:-1].replace(b"\n", b",") + b"]"):
            metrics = row["metrics"]
            names = tuple(metrics)
            series = found.get(names)
            if series is None:
                series = found[names] = Series(names)
            series.seqs.append(row["seq"])
            series.times.append(row["time"])
            series.steps.append(row["step"])
            series.values.extend(metrics.values())
        return tuple(found.values())

    def latest(self) -> Measured:
        """The last event, with the last value of every name."""
        metrics: dict[str, float] = {}
        ordered = sorted(self.series, key=lambda series: series.seqs[-1])
        for series in ordered:
            metrics.update(zip(series.names, series.values[-len(series.names) :], strict=True))
        last = ordered[-1]
        return Measured(self.run, last.seqs[-1], last.times[-1], last.steps[-1], metrics)

    @property
    def seq(self) -> int:
        """Of the last event."""
        return self.latest().seq

    @property
    def time(self) -> float:
        """Of the last event."""
        return self.latest().time

    def behind(self, count: int) -> Logged:
        """Without so many of the first."""
        return Logged(self.run, self.count - count, self.lines.split(b"\n", count)[count])


@dataclass(frozen=True, slots=True)
class Reported:
    """`sweeper.report`: the objective at one step, for the pruner."""

    run: str
    seq: int
    time: float
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Looked:
    """`sweeper.log_test`: metrics on data that selects nothing; each event is one look at that data."""

    run: str
    seq: int
    time: float
    step: int | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that the run keeps; it is in the store, or `error` says why not."""

    run: str
    seq: int
    time: float
    name: str  # within the run, folders parted by /
    kind: str  # model, figure, table, log, config, …
    size: int  # bytes
    sha256: str | None
    error: str | None = None
    shown_as: str | None = None  # the id under which Optuna's artifact API finds it, where it is shown there


@dataclass(frozen=True, slots=True)
class Used:
    """`sweeper.use_data`: what the run reads; `error` says why there is no digest."""

    run: str
    seq: int
    time: float
    name: str
    url: str  # a path or a URL, secrets masked
    files: int
    size: int  # bytes in all
    sha256: str | None  # of the file, or of a folder's manifest
    manifest: bool  # whether it is a folder, whose manifest is in the store
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Metered:
    """What the run's cards showed, and what it has used of them so far, as its parent measured it.

    These events are numbered among themselves: nobody but the parent writes them, beside what the run says itself.
    """

    run: str
    seq: int
    time: float
    step: int  # whole seconds since the run began
    metrics: Mapping[str, float]  # system/gpu_utilization (0 to 1), system/gpu_memory_bytes, …
    peak_gpu_memory_bytes: int
    gpu_memory_basis: str  # of the run's own `processes`, or what was added on its `cards`: neighbours count too
    gpu_seconds: float  # cards held, or the share of one, times the time
    energy_j: float | None  # of a card that is shared: the share


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended; the last event of every run, whoever had to write it."""

    run: str
    seq: int
    time: float
    state: TrialState  # COMPLETE, PRUNED or FAIL
    values: tuple[float, ...] | None = None
    failure: Failure | None = None
    error: str | None = None  # one line
    traceback: str | None = None
    runtime_s: float = 0.0
    peak_rss_bytes: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # further keys of a returned mapping
    # as in Metered; None where no card was to be seen, or by a process that did not measure
    peak_gpu_memory_bytes: int | None = None
    gpu_memory_basis: str | None = None
    gpu_seconds: float | None = None
    energy_j: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks of the driver of a sweep while it runs."""

    request: str  # uuid4, 32 hex digits
    kind: str  # stop, pause, extend …: a name of `sweeper.desk.ORDERS`
    argument: Mapping[str, object]
    user: str
    host: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the driver said to a request."""

    was_taken: bool
    text: str


Event = Started | Captured | Measured | Logged | Reported | Looked | Saved | Used | Metered | Ended


def lines_of(events: Iterable[Event]) -> int:
    """How many lines of a journal these are."""
    return sum(event.count if isinstance(event, Logged) else 1 for event in events)


def behind(events: Sequence[Event], lines: int) -> list[Event]:
    """What follows the first so many lines."""
    left: list[Event] = []
    for event in events:
        size = event.count if isinstance(event, Logged) else 1
        if lines <= 0:
            left.append(event)
        elif isinstance(event, Logged) and lines < size:
            left.append(event.behind(lines))
        lines -= size
    return left
