"""Bugs modelled on what other engines do, put into ours to see that the stories find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import optuna
from optuna.trial import TrialState

from sweeper import takeover
from sweeper.record import lease, owner
from sweeper.record import storage as storage_module
from sweeper.record.change import Claim, State
from sweeper.study import Study
from sweeper.sweep import Sweep


@contextmanager
def no_fence() -> Iterator[None]:
    """A worker that was paused and replaced writes on (Optuna 5470)."""

    def apply(self: owner.OwnState, batch: Any) -> Any:
        return self.change.apply(batch)

    with mock.patch.object(owner.OwnState, "apply", apply), mock.patch.object(lease.Beat, "apply", lambda *_: None):
        yield


@contextmanager
def acknowledged_before_written() -> Iterator[None]:
    """The caller goes on while its result is still on its way (snapshots of Ray Tune)."""

    def set_state(self: Any, trial_id: int, state: TrialState, values: Any = None) -> bool:
        if state == TrialState.RUNNING or self._sweep is None:
            return original(self, trial_id, state, values)
        told = None if values is None else tuple(values)
        self.writer.defer(owner.OwnState(State(trial_id, state, told, storage_module.utc_now()), self._sweep))
        return True

    original = storage_module.Storage.set_trial_state_values
    with mock.patch.object(storage_module.Storage, "set_trial_state_values", set_state):
        yield


@contextmanager
def running_before_owned() -> Iterator[None]:
    """A trial runs before it is on record whose it is (Optuna: RUNNING before the first heartbeat)."""

    def apply(self: owner.OwnClaim, batch: Any) -> Any:
        return self.claim.apply(batch)

    with mock.patch.object(owner.OwnClaim, "apply", apply):
        yield


@contextmanager
def counted_in_memory() -> Iterator[None]:
    """Each driver counts to n_trials by itself (`n_trials` of Optuna's optimize, of hydra-optuna-sweeper)."""
    original = Claim.apply

    def apply(self: Claim, batch: Any) -> Any:
        return original(Claim(self.study_id, 10**6, self.unfinished, self.seen, self.now), batch)

    async def ask(self: Study) -> Any:
        done = len(self.optuna.get_trials(deepcopy=False)) if not hasattr(self, "_counted") else self._counted
        self._counted = done + 1
        return None if done >= self.n_trials else await self._call(self._ask)

    with mock.patch.object(Claim, "apply", apply), mock.patch.object(Study, "ask", ask):
        yield


@contextmanager
def failed_then_retried() -> Iterator[None]:
    """An interrupted trial is failed, and put in line anew in a second commit (Optuna's RetryFailedTrialCallback)."""

    def give_back(study: optuna.Study, trial_id: int, attempt: int) -> None:
        trial = study._storage.get_trial(trial_id)
        study._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        study.enqueue_trial(trial.params)

    with mock.patch.object(takeover, "give_back", give_back):
        yield


@contextmanager
def finished_twice() -> Iterator[None]:
    """What ended unheard is run again, instead of being told (Hydra's launchers, Tuner.restore)."""

    def settle(study: Any, storage: Any, record: Any, trial_id: int, number: int) -> None:
        takeover.give_back(study, trial_id, storage.get_trial_system_attrs(trial_id).get(takeover.ATTEMPT, 0))

    with mock.patch.object(takeover, "_settle", settle):
        yield


@contextmanager
def no_lease() -> Iterator[None]:
    """A second driver comes in whoever is at work (Optuna, Ray Tune)."""

    def alive(*_: object) -> bool:
        return False

    with mock.patch.object(lease, "is_alive", alive):
        yield


@contextmanager
def reaped_by_asking_alone() -> Iterator[None]:
    """Only a trial that has a run on record is found again (Optuna's stale trials without a heartbeat row)."""
    original = takeover._settle

    def settle(study: Any, storage: Any, record: Any, trial_id: int, number: int) -> None:
        if record.last_run(study.study_name, number) is not None:
            original(study, storage, record, trial_id, number)

    with mock.patch.object(takeover, "_settle", settle):
        yield


@contextmanager
def who_waits_is_not_woken() -> Iterator[None]:
    """A trial that comes back while slots wait is heard by nobody."""
    with mock.patch.object(Sweep, "_wake", lambda self: None):
        yield


MUTANTS: tuple[Callable[[], AbstractContextManager[None]], ...] = (
    no_fence,
    acknowledged_before_written,
    running_before_owned,
    counted_in_memory,
    failed_then_retried,
    finished_twice,
    no_lease,
    reaped_by_asking_alone,
    who_waits_is_not_woken,
)
