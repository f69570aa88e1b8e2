"""Reads trials in bulk: one query for each of Optuna's tables, whatever the number of trials."""

from __future__ import annotations

import datetime
import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, TableClause, select

from sweeper.errors import NotFound
from sweeper.history import decode, runs
from sweeper.history.lookup import Study
from sweeper.history.rows import FINISHED, TrialDetail, TrialRow
from sweeper.history.schema import (
    trial_intermediate_values,
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_CHUNK = 5000  # ids named in one statement


@dataclass(slots=True)
class Gathered:
    """One trial while its rows come in from the tables."""

    trial_id: int
    number: int
    state: str
    start: datetime.datetime | None
    complete: datetime.datetime | None
    values: list[float] = field(default_factory=list)
    stored_params: dict[str, tuple[float, str]] = field(default_factory=dict)  # value, distribution as JSON

    @property
    def params(self) -> dict[str, object]:
        return {name: decode.param(*stored) for name, stored in self.stored_params.items()}


def rows(connection: Connection, study: Study, *, states: Collection[str] | None, newest: int | None) -> list[TrialRow]:
    """A study's trials by number: those in one of `states`, and of these the `newest` ones."""
    if newest is None:
        found = gather(connection, _in_states(study, states))
    else:
        query = select(trials.c.trial_id).where(_in_states(study, states))
        query = query.order_by(trials.c.number.desc()).limit(newest)
        found = gather_ids(connection, connection.execute(query).scalars().all()[::-1])
    numbers = None if newest is None else [trial.number for trial in found.values()]
    last = runs.last_of(connection, study.name, numbers)
    return [
        TrialRow(
            number=trial.number,
            state=trial.state,
            values=tuple(trial.values) or None,
            params=trial.params,
            started_at=decode.seconds(trial.start),
            ended_at=decode.seconds(trial.complete),
            failure=last[trial.number].failure if trial.number in last else None,
        )
        for trial in found.values()
    ]


def detail(connection: Connection, study: Study, number: int) -> TrialDetail:
    """One trial with all that is known of it.

    Raises:
        NotFound: the study has no trial of this number.
    """
    query = select(trials.c.trial_id).where(trials.c.study_id == study.study_id, trials.c.number == number)
    trial_id = connection.execute(query).scalars().first()
    if trial_id is None:
        raise NotFound(_missing(connection, study, number))
    scope = trials.c.trial_id == trial_id
    trial = gather(connection, scope)[trial_id]
    attempts = tuple(runs.of_trial(connection, study.name, number))
    system_attrs = _attrs(connection, trial_system_attributes, scope)[trial_id]
    return TrialDetail(
        number=trial.number,
        state=trial.state,
        values=tuple(trial.values) or None,
        params=trial.params,
        started_at=decode.seconds(trial.start),
        ended_at=decode.seconds(trial.complete),
        failure=attempts[-1].failure if attempts else None,
        distributions={name: json.loads(text) for name, (_, text) in trial.stored_params.items()},
        user_attrs=_loaded(_attrs(connection, trial_user_attributes, scope)[trial_id]),
        constraints=decode.constraints(system_attrs),
        intermediate_values=_intermediate_values(connection, scope)[trial_id],
        runs=attempts,
    )


def finished(connection: Connection, study: Study, numbers: Collection[int] | None = None) -> list[FrozenTrial]:
    """A study's COMPLETE, PRUNED and FAIL trials, of `numbers` or all; equal to what `study.get_trials(…)` gives."""
    return frozen(connection, study, FINISHED, numbers)


def frozen(
    connection: Connection,
    study: Study,
    states: Collection[str] | None = None,
    numbers: Collection[int] | None = None,
) -> list[FrozenTrial]:
    """A study's trials, of `numbers` and in `states` or all, equal to what `study.get_trials(states=…)` gives."""
    from optuna.trial import FrozenTrial, TrialState

    scope = _in_states(study, states)
    if numbers is not None:
        scope &= trials.c.number.in_(numbers)
    found = gather(connection, scope)
    user_attrs = _attrs(connection, trial_user_attributes, scope)
    system_attrs = _attrs(connection, trial_system_attributes, scope)
    intermediate_values = _intermediate_values(connection, scope)
    return [
        FrozenTrial(
            number=trial.number,
            state=TrialState[trial.state],
            value=None,
            values=trial.values or None,
            datetime_start=_local(trial.start),
            datetime_complete=_local(trial.complete),
            params=trial.params,
            distributions={name: decode.distribution(text) for name, (_, text) in trial.stored_params.items()},
            user_attrs=_loaded(user_attrs[trial.trial_id]),
            system_attrs=_loaded(system_attrs[trial.trial_id]),
            intermediate_values=intermediate_values[trial.trial_id],
            trial_id=trial.trial_id,
        )
        for trial in found.values()
    ]


def gather_ids(connection: Connection, trial_ids: Iterable[int]) -> dict[int, Gathered]:
    """The trials of these ids, in the order of the ids."""
    wanted = list(trial_ids)
    found: dict[int, Gathered] = {}
    for chunk in _chunks(wanted):
        found |= gather(connection, trials.c.trial_id.in_(chunk))
    return {trial_id: found[trial_id] for trial_id in wanted}


def gather(connection: Connection, scope: ColumnElement[bool]) -> dict[int, Gathered]:
    """The trials that `scope`, a condition over `trials`, selects: by id, in the order of their numbers."""
    t, v, p = trials, trial_values, trial_params
    query = select(t.c.trial_id, t.c.number, t.c.state, t.c.datetime_start, t.c.datetime_complete)
    query = query.where(scope).order_by(t.c.number, t.c.trial_id)
    found = {row.trial_id: Gathered(*row) for row in connection.execute(query)}
    values = select(v.c.trial_id, v.c.value, v.c.value_type).order_by(v.c.trial_id, v.c.objective)
    for trial_id, value, kind in connection.execute(_of_trials(values, v, scope)).all():
        found[trial_id].values.append(decode.number(value, kind))
    params = select(p.c.trial_id, p.c.param_name, p.c.param_value, p.c.distribution_json)
    for trial_id, name, value, text in connection.execute(_of_trials(params, p, scope).order_by(p.c.param_id)).all():
        found[trial_id].stored_params[name] = (value, text)
    return found


def _in_states(study: Study, states: Collection[str] | None) -> ColumnElement[bool]:
    scope = trials.c.study_id == study.study_id
    return scope if states is None else scope & trials.c.state.in_(states)


def _of_trials(query: Select[Any], table: TableClause, scope: ColumnElement[bool]) -> Select[Any]:
    return query.join_from(table, trials, table.c.trial_id == trials.c.trial_id).where(scope)


def _attrs(connection: Connection, table: TableClause, scope: ColumnElement[bool]) -> dict[int, dict[str, str]]:
    """Attributes by trial and key, still as JSON."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    query = select(table.c.trial_id, table.c.key, table.c.value_json)
    for trial_id, key, text in connection.execute(_of_trials(query, table, scope)):
        found[trial_id][key] = text
    return found


def _intermediate_values(connection: Connection, scope: ColumnElement[bool]) -> dict[int, dict[int, float]]:
    t = trial_intermediate_values
    found: dict[int, dict[int, float]] = defaultdict(dict)
    query = select(t.c.trial_id, t.c.step, t.c.intermediate_value, t.c.intermediate_value_type)
    for trial_id, step, value, kind in connection.execute(_of_trials(query, t, scope).order_by(t.c.step)):
        found[trial_id][step] = decode.number(value, kind)
    return found


def _loaded(attrs: dict[str, str]) -> dict[str, Any]:
    return {key: json.loads(text) for key, text in attrs.items()}


def _local(moment: datetime.datetime | None) -> datetime.datetime | None:
    """Optuna shows times in the reader's zone, without naming it."""
    if moment is None:
        return None
    return moment.replace(tzinfo=datetime.UTC).astimezone().replace(tzinfo=None)


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in itertools.count(0, _CHUNK):
        if start >= len(ids):
            return
        yield ids[start : start + _CHUNK]


def _missing(connection: Connection, study: Study, number: int) -> str:
    query = select(trials.c.number).where(trials.c.study_id == study.study_id)
    last = connection.execute(query.order_by(trials.c.number.desc()).limit(1)).scalar()
    if last is None:
        return f"there is no trial {number} in {study.name!r}, which has no trial yet"
    return f"there is no trial {number} in {study.name!r}: its trials are 0 to {last}"
