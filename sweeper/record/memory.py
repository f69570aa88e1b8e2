"""The mirrors of all studies that a process has looked at, brought up to date by reading what others wrote
since.

A read costs nothing where SQLite says that nobody else has written, and otherwise a few rows; while the
database is out of reach, memory answers as of the last time it was not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Table

from sweeper.errors import StorageError
from sweeper.record import load, studies
from sweeper.record.change import Moved
from sweeper.record.link import Link, Unreachable
from sweeper.record.mirror import Mirror

_NO_ID = 2**31 - 1  # the greatest that Optuna's tables hold

T = TypeVar("T")


class Memory:
    """Studies and trials as this process knows them. `lock` guards the mirrors; the link is never taken
    within it.
    """

    def __init__(self, link: Link) -> None:
        self.lock = threading.RLock()
        self._link = link
        self._mirrors: dict[int, Mirror] = {}
        self._study_of: dict[int, int] = {}  # by trial id
        self._directions: dict[int, list[StudyDirection]] = {}
        self._attrs: dict[tuple[Table, int], tuple[Hashable, dict[str, Any]]] = {}

    def ask(self, query: Callable[[Connection], T]) -> T:
        """Run a query; StorageError while the database is out of reach."""
        try:
            return self._link.read(query)
        except Unreachable as error:
            raise StorageError(f"{error}: check the server or the disk, and try again") from error

    def known(self, study_id: int) -> Mirror:
        """A study as it was read last. Raises KeyError where there is none."""
        return self._mirrors.get(study_id) or self.ask(partial(self._catch_up, study_id))

    def fresh(self, study_id: int) -> Mirror:
        """A study as the database has it now, or as it was when the database could be reached. Raises
        KeyError.
        """
        try:
            return self._link.read(partial(self._catch_up, study_id))
        except Unreachable as error:
            known = self._mirrors.get(study_id)
            if known is None:
                raise StorageError(f"{error}: check the server or the disk, and try again") from error
            return known

    def holding(self, trial_id: int) -> Mirror:
        """The study that has this trial. Raises KeyError where there is none."""
        study_id = self._study_of.get(trial_id)
        if study_id is not None and study_id in self._mirrors:
            return self._mirrors[study_id]
        study_id = self.ask(lambda connection: studies.study_of(connection, trial_id))
        mirror = self.known(study_id)
        return mirror if trial_id in mirror.numbers else self.fresh(study_id)

    def created(self, study_id: int, trial: FrozenTrial) -> None:
        """A trial was added to a study that is known."""
        with self.lock:
            mirror = self._mirrors[study_id]
            self._put(mirror, [trial])
            if trial.state == TrialState.RUNNING:
                mirror.own.add(trial._trial_id)

    def moved(self, mirror: Mirror, trial_id: int, values: tuple[float, ...] | None, moved: Moved) -> None:
        """A trial's state was changed, unless it stayed as it was."""

        def change(trial: FrozenTrial) -> None:
            trial.state = moved.state
            trial._datetime_start = moved.datetime_start
            trial.datetime_complete = moved.datetime_complete
            if values is not None:
                trial._values = list(values)

        if moved.changed:
            with self.lock:
                is_own = trial_id in mirror.own
                mirror.alter(trial_id, change)
                if not is_own:
                    mirror.stale.add(trial_id)

    def directions(self, study_id: int) -> list[StudyDirection]:
        """A study's directions. Raises KeyError where there is no such study."""
        found = self._directions.get(study_id)
        if found is None:
            found = self.ask(lambda connection: studies.directions_of(connection, study_id))
            self._directions[study_id] = found
        return found

    def attrs(self, table: Table, study_id: int) -> dict[str, Any]:
        """A study's attributes, in a mapping of the caller's own. Raises KeyError where there is no such
        study.
        """
        try:
            return dict(self._link.read(partial(self._read_attrs, table, study_id)))
        except Unreachable as error:
            if (table, study_id) not in self._attrs:
                raise StorageError(f"{error}: check the server or the disk, and try again") from error
            return dict(self._attrs[table, study_id][1])

    def forget_attrs(self, table: Table, study_id: int) -> None:
        """The study's attributes were changed, and have to be read again."""
        self._attrs.pop((table, study_id), None)

    def forget(self, study_id: int) -> None:
        """The study is no more."""
        with self.lock:
            mirror = self._mirrors.pop(study_id, None)
            for trial_id in mirror.numbers if mirror is not None else ():
                self._study_of.pop(trial_id, None)
            self._directions.pop(study_id, None)
            for key in [key for key in self._attrs if key[1] == study_id]:
                del self._attrs[key]

    def _catch_up(self, study_id: int, connection: Connection) -> Mirror:
        version = self._link.version(connection)
        mirror = self._mirrors.get(study_id)
        if mirror is not None and version == mirror.version and not mirror.stale:
            return mirror
        try:
            name, new = load.news(connection, study_id, _NO_ID if mirror is None else mirror.seen)
        except KeyError:
            self.forget(study_id)
            raise
        if mirror is None or mirror.name != name:  # SQLite gives the ids of deleted studies out again
            self.forget(study_id)
            mirror = Mirror(study_id, name)
            read = load.trials_after(connection, study_id, -1)
            seen = max((trial._trial_id for trial in read), default=-1)
        else:
            with self.lock:
                again = [trial_id for trial_id in new if trial_id not in mirror.numbers]
                open_before = sorted((mirror.unfinished | mirror.stale).difference(again))
            states = load.states_of(connection, open_before) if open_before else {}
            with self.lock:
                again += mirror.to_read_again(states)
            read = load.trials_with(connection, again) if again else []
            seen = max(new, default=mirror.seen)
        with self.lock:
            self._put(mirror, read)
            mirror.seen, mirror.version = seen, version
            self._mirrors[study_id] = mirror
        return mirror

    def _put(self, mirror: Mirror, trials: list[FrozenTrial]) -> None:
        for trial in trials:
            mirror.put(trial)
            self._study_of[trial._trial_id] = mirror.study_id

    def _read_attrs(self, table: Table, study_id: int, connection: Connection) -> dict[str, Any]:
        version = self._link.version(connection)
        found = self._attrs.get((table, study_id))
        if found is None or found[0] != version:
            found = self._attrs[table, study_id] = version, studies.attrs_of(connection, table, study_id)
        return found[1]
