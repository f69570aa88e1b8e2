"""What a driver that died has left: runs that ended unheard are taken in, the others go back in line."""

from __future__ import annotations

from contextlib import suppress

import optuna
from optuna.trial import TrialState

from sweeper.counterpart import Adopted
from sweeper.errors import Superseded, SweeperError
from sweeper.launch import Launcher, Slot
from sweeper.lost import LostAttempts
from sweeper.provenance.secret import MASK
from sweeper.record import Record, Storage
from sweeper.record.ledger import LastRun
from sweeper.record.owner import OWNER
from sweeper.run.collect import collect_after_crash
from sweeper.run.journal import seal, written
from sweeper.study import ATTEMPT, KILLED, AskTellStudy, asked, give_back, tell
from sweeper.trial import Ended, Failure

_INTERRUPTED = {Failure.LOST, Failure.STOPPED, Failure.PREEMPTED}  # no fault of the trial's

LOST = "its driver died; the trial goes back in line"


def adopt(launcher: Launcher, study: AskTellStudy, record: Record) -> dict[Slot, Adopted]:
    """Take over the trials that run on in slots of dead drivers, for the launcher's `adopt`.

    What other living drivers have taken over is theirs. Whatever else these slots hold ends.
    """
    slots = launcher.orphaned(record.ended_sweeps(study.study_name)) if launcher.outlives_drivers else []
    if not slots:
        return {}
    orphans = {orphan.number: orphan for orphan in record.orphans(study.study_name)}
    driven = record.driven(study.study_name)  # read later: who is in neither is nobody's any more
    found: dict[Slot, Adopted] = {}
    for slot, held in slots:
        orphan = orphans.get(held.number)
        run = record.last_run(study.study_name, held.number)
        if orphan is not None and run is not None and run.run == held.run:
            if study.storage.adopt_trial(orphan.trial_id, orphan.owner):
                found[slot] = Adopted(asked(study, optuna.Trial(study, orphan.trial_id)), held)
        elif held.number not in driven:
            slot.forget()
    return found


def take_over(study: AskTellStudy, record: Record) -> int:
    """End or give back every trial that a dead driver left RUNNING; returns how many there were.

    A trial whose journal says how it ended is told so, without running again. A driver that dies in the middle of this
    leaves what it has not come to, and what it had in its hands, to the next.
    """
    taken = 0
    for orphan in record.orphans(study.study_name):
        if study.storage.adopt_trial(orphan.trial_id, orphan.owner):
            _settle(study, study.storage, record, orphan.trial_id, orphan.number)
            taken += 1
    return taken


def given_up(record: Record, study: str) -> LostAttempts:
    """The attempts of unfinished trials that no driver has heard to their end: what they said last may be unread."""
    lost = LostAttempts(lambda attempt: written(attempt.folder, attempt.run))
    for attempt in record.given_up(study):
        lost.add(attempt)
    return lost


def settle(study: optuna.Study, storage: Storage, record: Record) -> None:
    """The same, without being a driver: in the name of the dead, for as long as no driver has taken over."""
    record.bury(study.study_name, None).result()
    for orphan in record.orphans(study.study_name):
        storage.drive(orphan.owner)
        with suppress(Superseded):
            _settle(study, storage, record, orphan.trial_id, orphan.number)


def leave(study: AskTellStudy, record: Record, sweep: str) -> None:
    """Give back whatever this driver still has, when it ends: a trial that was on its way when the loop broke off."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.system_attrs.get(OWNER) == sweep:
            with suppress(Superseded):  # what is remembered here may be out of date: another may run this trial
                if study.storage.adopt_trial(trial._trial_id, sweep):
                    _settle(study, study.storage, record, trial._trial_id, trial.number)


def _collect(run: LastRun) -> None:
    """Keep the files that a lost run has left, where its folder and its store are to be seen from here."""
    if run.artifacts is not None and MASK not in run.artifacts:
        with suppress(OSError, SweeperError):  # the files stay where they are
            collect_after_crash(run.run, run.folder, run.artifacts, run.collect)


def _settle(study: optuna.Study, storage: Storage, record: Record, trial_id: int, number: int) -> None:
    attributes = storage.get_trial_system_attrs(trial_id)
    attempt = attributes.get(ATTEMPT, 0)
    run = record.last_run(study.study_name, number)
    if run is None or run.attempt < attempt:
        give_back(study, trial_id, attempt - 1)  # its run had not begun: the attempt is still to be made
        return
    _collect(run)
    events = seal(run.folder, run.run, Failure.LOST, LOST)
    record.heard_soon(events)
    end = events[-1]
    if isinstance(end, Ended) and (end.failure not in _INTERRUPTED or KILLED in attributes):
        tell(study, number, end)
    else:
        give_back(study, trial_id, attempt)
