"""How far a sweep is, told event by event: counts, best values, who runs, how long it may still take.

No terminal and no clock of its own in here: times are seconds that the caller gives, from any fixed start.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from sweeper.trial import Ended, Event, Logged, Measured, Reported, TrialSpec

_WINDOW = 100  # ended trials from which the speed is taken: it follows a sweep that becomes slower
_FAILURES = 3  # recent ones that are kept


@dataclass(slots=True)
class Running:
    """One trial in a slot, with the last it said."""

    spec: TrialSpec
    since: float
    step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    reported: float | None = None  # the objective, to the pruner


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of one objective so far."""

    value: float
    number: int


class Progress:
    """The state of one launch as its display shows it."""

    def __init__(
        self,
        study: str,
        directions: Sequence[str],
        target: int | None,
        trials_before: Iterable[FrozenTrial],
        now: float,
    ) -> None:
        """`directions`: minimize or maximize for each objective; `target`: finished trials in all."""
        self.study = study
        self.directions = tuple(directions)
        self.target = target
        self.finished_before = 0
        self.started = now
        self.slots: int | None = None
        self.notice = ""
        self.metric_names: tuple[str, ...] = ()
        self.counts: Counter[TrialState] = Counter()
        self.failures: Counter[str] = Counter()  # by kind
        self.recent_failures: deque[tuple[int, Ended]] = deque(maxlen=_FAILURES)
        self.running: dict[str, Running] = {}  # by run
        self.best: list[Best | None] = [None] * len(self.directions)
        self._ends: deque[float] = deque(maxlen=_WINDOW)
        self._first_opened = math.inf  # a cluster may take long to start, and says nothing about the speed
        for trial in trials_before:
            self._count_before(trial)

    def opened(self, spec: TrialSpec, now: float) -> None:
        """A trial was placed."""
        self.metric_names = spec.metric_names or self.metric_names
        self._first_opened = min(self._first_opened, now)
        self.running[spec.run] = Running(spec, now)

    def heard(self, spec: TrialSpec, event: Event) -> None:
        """A trial said something."""
        if isinstance(event, Ended):
            self.running.pop(spec.run, None)
            return
        running = self.running.get(spec.run)
        if running is None:
            return
        if isinstance(event, Logged):
            event = event.latest()
        if isinstance(event, Measured):
            running.step = event.step
            running.metrics.update(event.metrics)
        elif isinstance(event, Reported):
            running.step = event.step
            running.reported = event.value

    def told(self, spec: TrialSpec, ended: Ended, now: float) -> None:
        """A trial's end was told to the study: it counts."""
        self.running.pop(spec.run, None)
        self.counts[ended.state] += 1
        self._ends.append(now)
        if ended.state is TrialState.FAIL:
            self.failures[ended.failure.value if ended.failure else "error"] += 1
            self.recent_failures.append((spec.number, ended))
        if ended.state is TrialState.COMPLETE:
            for i, value in enumerate(ended.values or ()):
                self._improve(i, value, spec.number)

    @property
    def ended(self) -> int:
        """Trials that ended in this launch."""
        return self.counts.total()

    @property
    def done(self) -> int:
        """Finished trials of the study, those of earlier launches included."""
        return self.finished_before + self.ended

    @property
    def objectives(self) -> tuple[str, ...]:
        """A name for each objective."""
        if self.metric_names:
            return self.metric_names
        if len(self.directions) == 1:
            return ("value",)
        return tuple(f"value_{i}" for i in range(len(self.directions)))

    def left_s(self, now: float) -> float | None:
        """Seconds until the target at the speed of the last trials; None while nothing can be said."""
        if self.target is None or not self._ends:
            return None
        start = min(self._first_opened, self._ends[0]) if self.ended <= _WINDOW else self._ends[0]
        ended = len(self._ends) if self.ended <= _WINDOW else len(self._ends) - 1
        speed = ended / max(now - start, 1e-9)
        return max(self.target - self.done, 0) / speed

    def _count_before(self, trial: FrozenTrial) -> None:
        if not trial.state.is_finished():
            return
        self.finished_before += 1
        if trial.state is TrialState.COMPLETE and all(value <= 0 for value in trial.constraints.values()):
            for i, value in enumerate(trial.values):
                self._improve(i, value, trial.number)

    def _improve(self, objective: int, value: float, number: int) -> None:
        if objective >= len(self.best) or math.isnan(value):
            return
        best = self.best[objective]
        sign = -1 if self.directions[objective].lower() == "maximize" else 1
        if best is None or sign * value < sign * best.value:
            self.best[objective] = Best(value, number)
