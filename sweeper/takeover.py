"""What a driver that died has left: runs that ended unheard are taken in, the others go back in line."""

from __future__ import annotations

from collections.abc import Callable

from sweeper.record import Record
from sweeper.run.journal import seal as seal_on_disk
from sweeper.study import ATTEMPT, KILLED, AskTellStudy, give_back, tell
from sweeper.trial import Ended, Event, Failure

Seal = Callable[[str, str, Failure, str], list[Event]]  # ends the journal of a run and gives all of it

_INTERRUPTED = {Failure.LOST, Failure.STOPPED}  # no fault of the trial's

LOST = "its driver died; the trial goes back in line"


def take_over(study: AskTellStudy, record: Record, seal: Seal = seal_on_disk) -> int:
    """End or give back every trial that a dead driver left RUNNING; returns how many there were.

    A trial whose journal says how it ended is told so, without running again. A driver that dies in the middle of this
    leaves what it has not come to, and what it had in its hands, to the next.
    """
    taken = 0
    for orphan in record.orphans(study.study_name):
        if study.storage.adopt_trial(orphan.trial_id, orphan.owner):
            _settle(study, record, orphan.trial_id, orphan.number, seal)
            taken += 1
    return taken


def _settle(study: AskTellStudy, record: Record, trial_id: int, number: int, seal: Seal) -> None:
    attributes = study.storage.get_trial_system_attrs(trial_id)
    attempt = attributes.get(ATTEMPT, 0)
    run = record.last_run(study.study_name, number)
    if run is None or run.attempt < attempt:
        give_back(study, trial_id, attempt - 1)  # its run had not begun: the attempt is still to be made
        return
    events = seal(run.folder, run.run, Failure.LOST, LOST)
    record.heard(events)
    end = events[-1]
    if isinstance(end, Ended) and (end.failure not in _INTERRUPTED or KILLED in attributes):
        tell(study, number, end)
    else:
        give_back(study, trial_id, attempt)
