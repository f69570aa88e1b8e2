"""What a writer's own transactions have left in Optuna's tables, by which it can decide the next one beforehand.

Whoever runs a trial is nearly always the only one who changes it. What is known goes to the server together with the
changes that rest on it, and a guard, which fails and takes the transaction with it where the server has anything else
by now: one round trip instead of two, and nothing is trusted that was not checked under the same locks.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from optuna.trial import TrialState
from sqlalchemy import Connection, text

from sweeper.record.batch import Unforeseen
from sweeper.record.optuna_rows import OptunaRows, TrialRow
from sweeper.record.statement import Sql

_STEADY = 3  # so often in a row nobody else has added a trial to a study, before it is taken that nobody will

# A division by zero ends the transaction.
_GUARD_TRIALS = """
SELECT 1 / (count(*) = :count)::int FROM (
    SELECT trial_id, state, datetime_start FROM trials WHERE trial_id = ANY(:ids) ORDER BY trial_id FOR UPDATE
) AS found JOIN unnest(CAST(:ids AS int[]), CAST(:starts AS timestamp[])) AS known (trial_id, datetime_start)
ON found.trial_id = known.trial_id AND found.state = 'RUNNING'
AND found.datetime_start IS NOT DISTINCT FROM known.datetime_start
"""
_GUARD_NUMBERS = """
SELECT 1 / CASE WHEN
    (SELECT count(*) FROM unnest(CAST(:studies AS int[]), CAST(:lasts AS int[])) AS known (study_id, number)
     WHERE number = (SELECT number FROM trials WHERE trial_id =
                     (SELECT max(trial_id) FROM trials AS newest WHERE newest.study_id = known.study_id))) = :count
    AND (SELECT count(*) FILTER (WHERE id BETWEEN :first AND :first + :new - 1) = :new
         FROM (SELECT nextval(pg_get_serial_sequence('trials', 'trial_id')) AS id
               FROM generate_series(1, :new)) AS drawn)
THEN 1 ELSE 0 END
"""


@dataclass(slots=True)
class _Study:
    """A study's last number, and how often in a row it was the one that was known."""

    last: int
    steady: int = 0


class Known:
    """As of the last transaction."""

    def __init__(self) -> None:
        self.running: dict[int, TrialRow] = {}
        self._studies: dict[int, _Study] = {}
        self.next_id: int | None = None  # of a trial

    def last_number(self, study_id: int) -> int:
        """Of a study that nobody else adds trials to, as it seems."""
        study = self._studies.get(study_id)
        if study is None or study.steady < _STEADY or study.last < 0:
            raise Unforeseen
        return study.last

    def learn(self, rows: OptunaRows) -> None:
        """A transaction was committed."""
        for trial_id, row in rows.trials.items():
            if row.state == TrialState.RUNNING:
                self.running[trial_id] = replace(row)
            else:
                self.running.pop(trial_id, None)
        for study_id, found in rows.found_numbers.items():
            study = self._studies.setdefault(study_id, _Study(found))
            study.steady = study.steady + 1 if study.last == found else 0
            study.last = rows.last_numbers[study_id]
        if rows.new:
            self.next_id = rows.new[-1] + 1

    def forget(self) -> None:
        """A transaction has failed, or it is not known whether it was committed."""
        self.running.clear()
        self._studies.clear()
        self.next_id = None


class KnownRows(OptunaRows):
    """Optuna's rows in a transaction that is decided by what is known."""

    def __init__(self, connection: Connection, known: Known) -> None:
        super().__init__(connection)
        self._known = known
        self._starts: dict[int, object] = {}

    def fetch(self) -> None:
        """Take what is known; raises Unforeseen where it is not enough."""
        for trial_id in self._wanted_trials:
            row = self._known.running.get(trial_id)
            if row is None:
                raise Unforeseen
            self.trials[trial_id] = replace(row)
            self._starts[trial_id] = row.datetime_start
        for study_id in self._wanted_studies:
            self.last_numbers[study_id] = self.found_numbers[study_id] = self._known.last_number(study_id)
        if self._wanted_ids:
            if self._known.next_id is None:
                raise Unforeseen
            self._ids.extend(range(self._known.next_id, self._known.next_id + self._wanted_ids))

    def guard(self) -> None:
        """Lock what was taken for known, and have the transaction fail where it is something else."""
        if self._wanted_studies:
            self._sql.lock_studies.run(self.connection, {"ids": sorted(self._wanted_studies)})
            found = {"studies": list(self.found_numbers), "lasts": list(self.found_numbers.values())}
            drawn = {"first": self._known.next_id or 0, "new": self._wanted_ids}
            _guard(_GUARD_NUMBERS).run(self.connection, {"count": len(self.found_numbers), **found, **drawn})
        if self._starts:
            known = {"ids": list(self._starts), "starts": list(self._starts.values())}
            _guard(_GUARD_TRIALS).run(self.connection, {"count": len(self._starts), **known})

    def lock_trial(self, trial_id: int) -> TrialRow:
        raise Unforeseen

    def waiting(self, study_id: int, among: object, after: int) -> list[int]:
        raise Unforeseen


@functools.cache
def _guard(statement: str) -> Sql:
    return Sql("postgresql", text(statement))
