"""A sweep as somebody sees it who has only the database: what changes there, told to a display as its driver would."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from sweeper.trial import Ended, Failure, Measured, TrialSpec

if TYPE_CHECKING:
    from sweeper.cli.display import Display
    from sweeper.history import History, RunRow, SweepRow, TrialRow

_FINISHED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass
class Following:
    """What a display has been told so far."""

    history: History
    study: str
    display: Display
    _told: set[int] = field(default_factory=set)  # numbers of finished trials
    _running: dict[int, TrialSpec] = field(default_factory=dict)
    _said: dict[str, dict[str, float]] = field(default_factory=dict)  # by run

    def begin(self) -> None:
        """What has finished by now is known."""
        self._told = {trial.number for trial in self.history.trials(self.study, states=_FINISHED)}

    def look(self) -> None:
        """Tell the display what has changed since the last look."""
        running = self.history.trials(self.study, states=("RUNNING",))
        for trial in [*self._finished(), *running]:
            for run in self.history.runs(self.study, trial.number)[-1:]:
                self._see(trial, run)

    def _finished(self) -> Iterator[TrialRow]:
        """Finished trials that were not told: the last of all, and those that were seen to run."""
        counts = self.history.study(self.study).counts
        missing = sum(counts[state] for state in _FINISHED) - len(self._told)
        if missing > 0:
            newest = missing + len(self._running) + 50
            for trial in self.history.trials(self.study, states=_FINISHED, newest=newest):
                if trial.number not in self._told:
                    yield trial

    def _see(self, trial: TrialRow, run: RunRow) -> None:
        spec = self._running.get(trial.number)
        if spec is None or spec.run != run.run:
            spec = self._running[trial.number] = _spec(trial, run)
            self.display.opened(spec)
        metrics = self.history.last_metrics(run.run)
        if metrics != self._said.get(run.run):
            self._said[run.run] = metrics
            step = max((curve.steps[-1] for curve in self.history.curves(run.run).values() if curve.steps), default=0)
            self.display.heard(spec, Measured(run.run, 0, time.time(), step, metrics))
        if trial.state in _FINISHED:
            self._told.add(trial.number)
            self._said.pop(run.run, None)
            self.display.told(self._running.pop(trial.number), _end(trial, run))


@dataclass
class Vigil:
    """Whether a sweep goes on: where its driver has died, another one may be on its way, which takes a while."""

    patience_s: float = 90.0
    _gone_since: float | None = None

    def lasts(self, sweeps: Sequence[SweepRow]) -> bool:
        if any(sweep.is_alive for sweep in sweeps):
            self._gone_since = None
            return True
        if all(sweep.ended_at is not None for sweep in sweeps[-1:]):
            return False
        self._gone_since = self._gone_since or time.monotonic()
        return time.monotonic() - self._gone_since < self.patience_s


def latest(sweeps: list[SweepRow]) -> SweepRow | None:
    """The sweep that is followed: the last one that lives, else the last one."""
    alive = [sweep for sweep in sweeps if sweep.is_alive]
    return next(reversed(alive or sweeps), None)


def _spec(trial: TrialRow, run: RunRow) -> TrialSpec:
    plain = bool | int | float | str
    params = {name: value if isinstance(value, plain) else json.dumps(value) for name, value in trial.params.items()}
    return TrialSpec(
        run.study, run.number, run.run, run.attempt, params, run.overrides, {}, b"", b"", run.folder, run.seed
    )


def _end(trial: TrialRow, run: RunRow) -> Ended:
    return Ended(
        run.run,
        0,
        run.ended_at or time.time(),
        TrialState[trial.state],
        values=trial.values,
        failure=None if run.failure is None else Failure(run.failure),
        error=run.error,
        runtime_s=run.runtime_s or 0.0,
    )
