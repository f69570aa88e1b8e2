"""What a driver that died has left: runs that ended unheard are taken in, the others go back in line."""

from __future__ import annotations

import socket

import optuna
import psutil
from optuna.trial import TrialState

from sweeper.errors import LaunchError
from sweeper.history import History, SweepRow
from sweeper.record import Record
from sweeper.run.journal import seal
from sweeper.study import give_back, tell
from sweeper.trial import Ended, Failure

LOST = "its driver died; the trial goes back in line"


def take_over(url: str, study: optuna.Study, record: Record) -> None:
    """End or give back every trial that a dead driver left RUNNING.

    A trial whose journal says how it ended is told so, without running again. Raises LaunchError where another driver
    of the study is alive on this machine.
    """
    history = History(url)
    open_sweeps = [sweep for sweep in history.sweeps(study.study_name) if sweep.ended_at is None]
    for sweep in open_sweeps:
        if _is_alive(sweep):
            raise LaunchError(
                f"the study {study.study_name} is being swept by process {sweep.pid} on this machine; wait for it, "
                "stop it, or give another hydra.sweeper.study_name"
            )
    orphans = set(record.orphans(study.study_name))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.number not in orphans:
            continue
        runs = [run for run in history.runs(study.study_name, trial.number) if run.state == "RUNNING"]
        ended = _ended(runs[-1].folder, runs[-1].run, record) if runs else None
        if ended is not None and ended.failure != Failure.LOST:
            tell(study, trial.number, ended)
        else:
            give_back(study, trial._trial_id, runs[-1].attempt if runs else -1)
    for sweep in open_sweeps:
        record.sweep_ended(sweep.sweep, "lost")


def _ended(folder: str, run: str, record: Record) -> Ended | None:
    events = seal(folder, run, Failure.LOST, LOST)
    record.heard(events)
    last = events[-1]
    return last if isinstance(last, Ended) else None


def _is_alive(sweep: SweepRow) -> bool:
    """Whether the very process that drove the sweep runs; its number may belong to a younger one by now."""
    if sweep.host != socket.gethostname():
        return False
    try:
        began: float = psutil.Process(sweep.pid).create_time()
        return began <= sweep.started_at
    except psutil.NoSuchProcess:
        return False
