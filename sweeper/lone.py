"""A run outside any sweep, on record like a sweep's: as a trial of a study that holds such runs alone.

The studies of the app's own name are for samplers to learn from; these are called `runs/NAME` and `reproduced/NAME`.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import shlex
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial

from sweeper.objective import Objective
from sweeper.provenance.secret import masked_arguments
from sweeper.record import Code, Record, Storage, Sweep, process
from sweeper.record.lease import BEAT_S
from sweeper.record.owner import OWNER
from sweeper.trial import Ended, Event, Failure, TrialSpec


@dataclass(frozen=True)
class Point:
    """What stands on record as the trial's params, with their distributions."""

    params: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """Where a run comes from and what it keeps goes to."""

    code: str | None  # sha256 of a code snapshot on record
    root: str | None  # where that code lies
    cwd: str
    artifacts: str  # URL of the store, secrets masked


def launched(study: str, settings: Mapping[str, object], folder: str, origin: Origin) -> Sweep:
    """The launch of one run by this process, now."""
    return Sweep(
        sweep=uuid.uuid4().hex,
        study=study,
        command=shlex.join(masked_arguments(["python", *sys.orig_argv[1:]])),
        settings=json.dumps(settings),
        space="{}",
        sampler="none",
        pruner="none",
        user=getpass.getuser(),
        host=socket.gethostname(),
        pid=os.getpid(),
        process=process.identity(),
        folder=folder,
        cwd=origin.cwd,
        n_trials=1,
        started_at=time.time(),
        code=origin.code,
        root=origin.root,
        artifacts=origin.artifacts,
    )


class LoneRun:
    """One run and its place on record. Open it with `begin`; `end` closes it."""

    def __init__(self, record: Record, storage: Storage, spec: TrialSpec, trial_id: int, sweep: str) -> None:
        self.spec = spec
        self.record = record
        self._storage = storage
        self._trial_id = trial_id
        self._sweep = sweep
        self._over = threading.Event()
        threading.Thread(target=self._renew_lease, name="sweeper-lease", daemon=True).start()

    @classmethod
    def begin(
        cls, url: str, launch: Sweep, code: Code, objective: Objective, spec: Callable[[int], TrialSpec], point: Point
    ) -> LoneRun:
        """Put the run on record, durably; `spec` is given its number. Raises StorageError where that cannot be."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)  # the app's logging is not for news of the database
        storage = Storage(url)
        try:
            directions: list[Any] = list(objective.directions)
            study = optuna.create_study(
                storage=storage, study_name=launch.study, directions=directions, load_if_exists=True
            )
            record = Record(storage)
            record.sweep_joined(launch).result()
            _give_up_lost(storage, record, launch.study)
            template = create_trial(
                state=TrialState.RUNNING,
                params=dict(point.params),
                distributions=dict(point.distributions),
                system_attrs={OWNER: launch.sweep},
            )
            trial_id = storage.create_new_trial(study._study_id, template)
            run = cls(record, storage, spec(storage.get_trial(trial_id).number), trial_id, launch.sweep)
            record.code_taken(code)
            record.run_opened(launch.sweep, run.spec).result()
        except BaseException:
            storage.close()
            raise
        return run

    def heard(self, events: Sequence[Event]) -> None:
        """What the run has done; on its way to the database when this returns."""
        self.record.heard_soon(events)

    def end(self, ended: Ended) -> None:
        """The run is over; durable when this returns. A task that returns no number is complete without a value."""
        self._storage.set_trial_state_values(self._trial_id, ended.state, ended.values)
        self.record.sweep_ended(self._sweep, "finished" if ended.state == TrialState.COMPLETE else "failed").result()

    def _renew_lease(self) -> None:
        """Give signs of life, so that nobody takes this run for a dead process's."""
        while not self._over.wait(BEAT_S):
            self.record.beat(self._sweep)

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(Exception):  # a database that has gone away meanwhile leaves its word in the spool
            self.record.close()
        self._storage.close()


def _give_up_lost(storage: Storage, record: Record, study: str) -> None:
    """End the trials of processes that were killed; no sampler waits for them, and nobody runs them again."""
    for orphan in record.orphans(study):
        if storage.adopt_trial(orphan.trial_id, orphan.owner):
            storage.set_trial_state_values(orphan.trial_id, TrialState.FAIL)


def without_value(ended: Ended) -> Ended:
    """The end of a run whose task need not return an objective: any return is a completion."""
    if ended.failure is not Failure.INVALID_VALUE:
        return ended
    return replace(ended, state=TrialState.COMPLETE, failure=None, error=None)
