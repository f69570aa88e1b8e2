"""When a sweep is done before its last trial: time, a plateau, failures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from optuna.trial import TrialState

from sweeper.config.settings import Settings
from sweeper.errors import ConfigError
from sweeper.trial import Ended

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE_NEEDS = 10  # finished trials before a failure rate says anything


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one launch; None: no such limit."""

    wall_time_s: float | None = None
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
        if problems:
            raise ConfigError("\n".join(problems))
        return cls(
            wall_time_s=None if budget.wall_time is None else seconds(budget.wall_time),
            plateau_trials=budget.plateau.trials,
            plateau_min_delta=budget.plateau.min_delta,
            max_failures=budget.max_failures,
            max_failure_rate=rate,
        )


def seconds(text: str) -> float:
    """Read a duration: `90`, `90s`, `1.5h`. Raises ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(text).strip())
    if match is None or float(match[1]) == 0:
        raise ConfigError(
            f"hydra.sweeper.budget.wall_time is {text!r}; give a positive number of seconds, or one with a unit "
            "such as 90s, 30m, 2h or 1d"
        )
    return float(match[1]) * _UNITS_S[match[2]]


@dataclass
class Tally:
    """What one launch has spent so far, held against its budget."""

    budget: Budget
    maximize: bool | None  # None for several objectives: a plateau is then not defined
    finished: int = 0
    failed: list[Ended] = field(default_factory=list)
    _best: float | None = None
    _since_best: int = 0

    def add(self, ended: Ended) -> None:
        """Count a trial that has ended."""
        self.finished += 1
        if ended.state == TrialState.FAIL:
            self.failed.append(ended)
        if ended.state == TrialState.COMPLETE and ended.values and self.maximize is not None:
            self._follow(ended.values[0] if self.maximize else -ended.values[0])
        else:
            self._since_best += 1

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
