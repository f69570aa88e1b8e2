"""What this process knows of one study: its trials in memory, replaced and never changed once handed out.

Trials of this process's own (running, created or claimed here) are truer here than in the database, because
their params and attributes are written a little later; of all others the database said last what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

_FINISHED = tuple(state for state in TrialState if state.is_finished())


class Mirror:
    """One study's trials by number."""

    def __init__(self, study_id: int, name: str) -> None:
        self.study_id = study_id
        self.name = name
        self.version: Hashable = None  # of the database, when it was read last
        self.seen = -1  # the database has been read up to this trial id
        self.numbers: dict[int, int] = {}  # by trial id
        self.unfinished: set[int] = set()
        self.own: set[int] = set()
        self.stale: set[int] = set()  # the database knows these better
        self.distributions: dict[str, BaseDistribution] = {}  # the first of each name, for the compatibility check
        self._trials: list[FrozenTrial | None] = []  # by number
        self._gaps = 0  # numbers that others gave out and that were not read yet

    def put(self, trial: FrozenTrial) -> None:
        """Add a trial, or replace what is known of it."""
        new = trial.number + 1 - len(self._trials)
        if new > 0:
            self._trials.extend([None] * new)
            self._gaps += new
        if self._trials[trial.number] is None:
            self._gaps -= 1
        trial_id = trial._trial_id
        self._trials[trial.number] = trial
        self.numbers[trial_id] = trial.number
        self.stale.discard(trial_id)
        if trial.state.is_finished():
            self.unfinished.discard(trial_id)
        else:
            self.unfinished.add(trial_id)
        if trial.state != TrialState.RUNNING:
            self.own.discard(trial_id)
        for name, distribution in trial._distributions.items():
            self.distributions.setdefault(name, distribution)

    def get(self, trial_id: int) -> FrozenTrial | None:
        """The trial with this id, if it is known."""
        number = self.numbers.get(trial_id)
        return None if number is None else self._trials[number]

    def at(self, number: int) -> FrozenTrial | None:
        """The trial with this number, if it is known."""
        return self._trials[number] if 0 <= number < len(self._trials) else None

    def select(self, states: Container[TrialState] | None) -> list[FrozenTrial]:
        """The trials in one of `states` by number, in a list of the caller's own."""
        known: Iterable[FrozenTrial | None] = self._trials
        if states is None:
            return [trial for trial in known if trial is not None] if self._gaps else self._trials.copy()  # type: ignore[return-value]
        if not any(state in states for state in _FINISHED):
            known = [self._trials[number] for number in sorted(self.numbers[one] for one in self.unfinished)]
        return [trial for trial in known if trial is not None and trial.state in states]

    def alter(self, trial_id: int, change: Callable[[FrozenTrial], None]) -> None:
        """Replace a trial, if it is known, by a changed copy; `change` replaces mappings and leaves them as
        they are.
        """
        trial = self.get(trial_id)
        if trial is not None:
            altered = FrozenTrial.__new__(FrozenTrial)
            altered.__dict__.update(trial.__dict__)
            change(altered)
            self.put(altered)

    def to_read_again(self, states: dict[int, TrialState]) -> list[int]:
        """Of the unfinished trials, with their states in the database: the ids whose trial is no longer up to
        date.

        A trial that runs elsewhere gets params and points at any time; one that waits changes only its state.
        """
        return [trial_id for trial_id, state in states.items() if self._is_outdated(trial_id, state)]

    def _is_outdated(self, trial_id: int, state: TrialState) -> bool:
        trial = self.get(trial_id)
        if trial is None or state != trial.state or trial_id in self.stale:
            return True
        return state == TrialState.RUNNING and trial_id not in self.own
