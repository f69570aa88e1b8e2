"""Which sweeps have lost their driver, and which trials went with it."""

from __future__ import annotations

import socket

import psutil
from optuna.trial import TrialState
from sqlalchemy import Connection, Row, select

from sweeper.record.optuna_rows import studies, to_epoch, trials
from sweeper.record.tables import runs, sweeps

_SWEEPS = select(
    sweeps.c.sweep, sweeps.c.host, sweeps.c.pid, sweeps.c.started_at, sweeps.c.ended_at, sweeps.c.folder
)  # fmt: skip


def dead_sweeps(connection: Connection, study: str) -> list[tuple[str, str]]:
    """The sweeps of a study that were ended, or whose process on this host is no more; each with its folder."""
    found = connection.execute(_SWEEPS.where(sweeps.c.study == study))
    return [(row.sweep, row.folder) for row in found if row.ended_at is not None or not _is_alive(row)]


def orphans(connection: Connection, study: str) -> list[int]:
    """The numbers of a study's RUNNING trials whose driver is gone, in order.

    A trial without a run began in the moment between its creation and its run: it is an orphan if a sweep
    that is dead by now was at work then, and none that is alive.
    """
    drivers = connection.execute(_SWEEPS.where(sweeps.c.study == study)).all()
    alive = {row.sweep for row in drivers if row.ended_at is None and _is_alive(row)}
    of_runs = select(runs.c.number, runs.c.sweep).where(runs.c.study == study).order_by(runs.c.attempt)
    last_sweep = dict(connection.execute(of_runs).all())
    running = connection.execute(
        select(trials.c.number, trials.c.datetime_start)
        .join(studies, studies.c.study_id == trials.c.study_id)
        .where(studies.c.study_name == study, trials.c.state == TrialState.RUNNING)
        .order_by(trials.c.number)
    )
    found = []
    for number, start in running.all():
        began = None if start is None else to_epoch(start)
        if number in last_sweep:
            owners = {last_sweep[number]}
        else:
            owners = {row.sweep for row in drivers if began is not None and _was_at_work(row, began)}
        if owners and not owners & alive:
            found.append(number)
    return found


def _is_alive(row: Row[str, str, int, float, float | None, str]) -> bool:
    """Whether the sweep's process exists; of another host that is not known here, and the answer is yes."""
    if row.host != socket.gethostname():
        return True
    try:
        return bool(psutil.Process(row.pid).create_time() <= row.started_at + 1.0)  # else the pid is another's by now
    except psutil.NoSuchProcess:
        return False


def _was_at_work(row: Row[str, str, int, float, float | None, str], moment: float) -> bool:
    return bool(row.started_at <= moment and (row.ended_at is None or moment <= row.ended_at))
