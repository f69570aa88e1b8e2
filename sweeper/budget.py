"""When a sweep is done before its last trial: time, a plateau, failures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from optuna.trial import TrialState

from sweeper.config.duration import seconds
from sweeper.config.settings import Settings
from sweeper.errors import ConfigError
from sweeper.trial import Ended

_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")  # what differs between texts of one error
_ERRORS_TOLD = 5  # distinct ones
_RATE_NEEDS = 10  # finished trials before a failure rate says anything


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one launch; None: no such limit."""

    wall_time_s: float | None = None
    gpu_seconds: float | None = None
    plateau_trials: int | None = None
    plateau_min_delta: float = 0.0
    max_failures: int | None = None
    max_failure_rate: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Budget:
        """Read the limits of `hydra.sweeper`. Raises ConfigError naming each key that cannot be meant."""
        budget = settings.budget
        rate = budget.max_failure_rate if budget.max_failure_rate is not None else settings.max_failure_rate
        problems = []
        if rate is not None and not 0 <= rate <= 1:
            problems.append(f"hydra.sweeper.budget.max_failure_rate is {rate:g}; it must be between 0 and 1")
        if budget.max_failures is not None and budget.max_failures < 0:
            problems.append(f"hydra.sweeper.budget.max_failures is {budget.max_failures}; it must be 0 or more")
        if budget.plateau.trials is not None and budget.plateau.trials < 1:
            problems.append(f"hydra.sweeper.budget.plateau.trials is {budget.plateau.trials}; it must be 1 or more")
        if budget.gpu_hours is not None and not budget.gpu_hours > 0:
            problems.append(f"hydra.sweeper.budget.gpu_hours is {budget.gpu_hours:g}; it must be more than 0")
        if problems:
            raise ConfigError("\n".join(problems))
        return cls(
            wall_time_s=None
            if budget.wall_time is None
            else seconds(budget.wall_time, "hydra.sweeper.budget.wall_time"),
            gpu_seconds=None if budget.gpu_hours is None else budget.gpu_hours * 3600,
            plateau_trials=budget.plateau.trials,
            plateau_min_delta=budget.plateau.min_delta,
            max_failures=budget.max_failures,
            max_failure_rate=rate,
        )


@dataclass
class Tally:
    """What one launch has spent so far, held against its budget."""

    budget: Budget
    maximize: bool | None  # None for several objectives: a plateau is then not defined
    finished: int = 0
    failed: dict[int, Ended] = field(default_factory=dict)  # by trial number
    gpu_seconds: float = 0.0  # of attempts that have ended, whatever became of them
    _measured: int = 0  # of these, the ones that used a card
    _running: dict[int, float] = field(default_factory=dict)  # GPU-seconds of running trials so far, by number
    _best: float | None = None
    _since_best: int = 0

    def add(self, number: int, ended: Ended) -> None:
        """Count a trial that has ended for good."""
        self.finished += 1
        if ended.state == TrialState.FAIL:
            self.failed[number] = ended
        if ended.state == TrialState.COMPLETE and ended.values and self.maximize is not None:
            self._follow(ended.values[0] if self.maximize else -ended.values[0])
        else:
            self._since_best += 1

    def began(self, number: int) -> None:
        """A trial runs."""
        self._running[number] = 0.0

    def heard(self, number: int, gpu_seconds: float) -> None:
        """What it has used of its cards so far."""
        self._running[number] = gpu_seconds

    def left(self, number: int) -> None:
        """It does not run any more."""
        used = self._running.pop(number, 0.0)
        if used:
            self.gpu_seconds += used
            self._measured += 1

    def gpu_seconds_foreseen(self) -> float:
        """What is used once the running trials have ended, if each takes what one took on average so far."""
        average = self.gpu_seconds / self._measured if self._measured else 0.0
        return self.gpu_seconds + sum(max(used, average) for used in self._running.values())

    def _follow(self, value: float) -> None:
        if self._best is None or value > self._best + self.budget.plateau_min_delta:
            self._best, self._since_best = value, 0
        else:
            self._since_best += 1

    def spent(self, elapsed_s: float) -> str | None:
        """Why no further trial may start, as a phrase; None while there is budget left."""
        budget = self.budget
        if budget.wall_time_s is not None and elapsed_s >= budget.wall_time_s:
            return f"wall time of {budget.wall_time_s:g} s is over"
        if budget.gpu_seconds is not None and (foreseen := self.gpu_seconds_foreseen()) >= budget.gpu_seconds:
            return (
                f"the budget of {budget.gpu_seconds / 3600:g} GPU-hours is spent: {self.gpu_seconds / 3600:.3g} used, "
                f"{foreseen / 3600:.3g} once the running trials have ended"
            )
        if budget.plateau_trials is not None and self._since_best >= budget.plateau_trials:
            return f"no better trial among the last {self._since_best}"
        return self.too_many_failures()

    def too_many_failures(self) -> str | None:
        """Why the failures so far are more than allowed; None where they are not, or where nothing was allowed."""
        budget, failures = self.budget, len(self.failed)
        if budget.max_failures is not None and failures > budget.max_failures:
            return f"{failures} trials failed, {budget.max_failures} are allowed"
        if (
            budget.max_failure_rate is not None
            and self.finished >= _RATE_NEEDS
            and failures > budget.max_failure_rate * self.finished
        ):
            return f"{failures} of {self.finished} trials failed, {budget.max_failure_rate:.0%} are allowed"
        return None

    def is_within(self) -> bool:
        """Whether the failures at the end are ones that were allowed beforehand; without a limit, none are."""
        if not self.failed:
            return True
        if self.budget.max_failures is None and self.budget.max_failure_rate is None:
            return False
        rate = self.budget.max_failure_rate
        return self.too_many_failures() is None and (rate is None or len(self.failed) <= rate * self.finished)

    def errors(self) -> Sequence[DistinctError]:
        """What the failed trials died of, the most frequent first."""
        alike: dict[tuple[str, str], list[int]] = {}
        for number, ended in self.failed.items():
            kind = ended.failure.value if ended.failure else "error"
            alike.setdefault((kind, _VARYING.sub("…", ended.error or "")), []).append(number)
        found = [
            DistinctError(kind, self.failed[min(numbers)].error or kind, len(numbers), min(numbers))
            for (kind, _), numbers in alike.items()
        ]
        return sorted(found, key=lambda error: (-error.count, error.first))


@dataclass(frozen=True, slots=True)
class DistinctError:
    """Failures of one kind whose text is the same but for numbers and addresses."""

    kind: str
    text: str  # of the first of them
    count: int
    first: int  # the lowest trial number


def told_apart(errors: Sequence[DistinctError]) -> str:
    """Distinct errors as a phrase: how many of each, and which trial to look at."""
    shown = []
    for error in errors[:_ERRORS_TOLD]:
        where = f"first in trial {error.first}" if error.count > 1 else f"trial {error.first}"
        shown.append(f"{error.count} × {error.text} ({where})")
    rest = len(errors) - len(shown)
    return "; ".join(shown) + (f"; and {rest} more" if rest else "")
