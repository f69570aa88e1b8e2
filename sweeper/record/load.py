"""Optuna's rows read in bulk and made into the trials that its samplers and pruners know."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb.models import TrialIntermediateValueModel, TrialValueModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, Table, bindparam, select

from sweeper.record.optuna_rows import (
    studies,
    to_local,
    trial_params,
    trial_points,
    trial_system_attrs,
    trial_user_attrs,
    trial_values,
    trials,
)
from sweeper.record.statement import Sql

_CHUNK = 500  # ids in one statement

_point = TrialIntermediateValueModel.stored_repr_to_intermediate_value
_value = TrialValueModel.stored_repr_to_value
_AFTER = (trials.c.study_id == bindparam("study")) & (trials.c.trial_id > bindparam("after"))
_COLUMNS = (
    trials.c.trial_id,
    trials.c.number,
    trials.c.state,
    trials.c.datetime_start,
    trials.c.datetime_complete,
)
_NEW = select(*_COLUMNS).where(_AFTER).order_by(trials.c.trial_id)
_AGAIN = select(*_COLUMNS).where(trials.c.trial_id.in_(bindparam("ids", expanding=True)))
_NEWS = (
    select(studies.c.study_name, trials.c.trial_id, trials.c.state)
    .outerjoin(trials, (trials.c.study_id == studies.c.study_id) & (trials.c.trial_id > bindparam("after")))
    .where(studies.c.study_id == bindparam("study"))
)
_STATES = select(trials.c.trial_id, trials.c.state).where(trials.c.trial_id.in_(bindparam("ids", expanding=True)))


def _children(table: Table, *columns: str) -> tuple[Any, Any]:
    """Two ways to read a child table: of all trials after one, and of trials by id; both in the order of
    writing.
    """
    wanted = [table.c.trial_id, *(table.c[column] for column in columns)]
    first = next(iter(table.primary_key))
    of_new = select(*wanted).join(trials, trials.c.trial_id == table.c.trial_id).where(_AFTER)
    by_id: ColumnElement[bool] = table.c.trial_id.in_(bindparam("ids", expanding=True))
    return of_new.order_by(first), select(*wanted).where(by_id).order_by(first)


_PARAMS = _children(trial_params, "param_name", "param_value", "distribution_json")
_VALUES = _children(trial_values, "objective", "value", "value_type")
_USER = _children(trial_user_attrs, "key", "value_json")
_SYSTEM = _children(trial_system_attrs, "key", "value_json")
_POINTS = _children(trial_points, "step", "intermediate_value", "intermediate_value_type")


def trials_after(connection: Connection, study_id: int, after: int) -> list[FrozenTrial]:
    """Every trial of a study whose id is greater than `after`, complete, by id."""
    scope = {"study": study_id, "after": after}
    loaded = _bare(connection.execute(_NEW, scope))
    if loaded:
        _fill(loaded, lambda statements: connection.execute(statements[0], scope))
    return list(loaded.values())


def trials_with(connection: Connection, ids: Sequence[int]) -> list[FrozenTrial]:
    """The trials with these ids, complete, as far as they exist."""
    found: list[FrozenTrial] = []
    for start in range(0, len(ids), _CHUNK):
        scope = {"ids": ids[start : start + _CHUNK]}
        loaded = _bare(connection.execute(_AGAIN, scope))
        if loaded:
            _fill(loaded, lambda statements, scope=scope: connection.execute(statements[1], scope))
        found.extend(loaded.values())
    return found


def news(connection: Connection, study_id: int, after: int) -> tuple[str, dict[int, TrialState]]:
    """A study's name, and by id the states of its trials whose id is greater than `after`. Raises KeyError.

    This is asked before every read on PostgreSQL, which does not say whether anything was written since.
    """
    found = _news(connection.dialect.name).run(connection, {"study": study_id, "after": after}).fetchall()
    if not found:
        raise KeyError(f"there is no study with the id {study_id}")
    return found[0][0], {trial_id: TrialState[state] for _, trial_id, state in found if trial_id is not None}


@functools.cache
def _news(dialect: str) -> Sql:
    return Sql(dialect, _NEWS)


def states_of(connection: Connection, ids: Sequence[int]) -> dict[int, TrialState]:
    """The states of the trials with these ids, as far as they exist."""
    found: dict[int, TrialState] = {}
    for start in range(0, len(ids), _CHUNK):
        rows = connection.execute(_STATES, {"ids": ids[start : start + _CHUNK]})
        found.update(rows.all())
    return found


def _bare(rows: Any) -> dict[int, FrozenTrial]:
    return {
        trial_id: FrozenTrial(
            number=number,
            trial_id=trial_id,
            state=state,
            value=None,
            datetime_start=to_local(start),
            datetime_complete=to_local(complete),
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        for trial_id, number, state, start, complete in rows
    }


def _fill(loaded: dict[int, FrozenTrial], read: Any) -> None:
    """Add the rows of the child tables to trials that have none of them yet."""

    def children(statements: tuple[Any, Any]) -> Iterator[tuple[FrozenTrial, tuple[Any, ...]]]:
        for row in read(statements):
            trial = loaded.get(row[0])
            if trial is not None:  # outside a transaction, a trial may have come in between
                yield trial, row[1:]

    _fill_params(children(_PARAMS))
    for trial, (objective, value, kind) in children(_VALUES):
        values = trial._values = trial._values or []
        values.extend([0.0] * (objective + 1 - len(values)))
        values[objective] = _value(value, kind)
    for trial, (key, text) in children(_USER):
        trial._user_attrs[key] = json.loads(text)
    for trial, (key, text) in children(_SYSTEM):
        trial._system_attrs[key] = json.loads(text)
    for trial, (step, value, kind) in children(_POINTS):
        trial.intermediate_values[step] = _point(value, kind)
    shared: dict[tuple[tuple[str, int], ...], dict[str, BaseDistribution]] = {}
    for trial in loaded.values():
        # Nearly every trial of a study has the same distributions: one mapping serves them all.
        key = tuple((name, id(distribution)) for name, distribution in trial._distributions.items())
        trial._distributions = shared.setdefault(key, trial._distributions)


def _fill_params(rows: Iterator[tuple[FrozenTrial, tuple[Any, ...]]]) -> None:
    distributions: dict[str, BaseDistribution] = {}
    names: dict[str, str] = {}
    for trial, (read_name, value, text) in rows:
        name = names.setdefault(read_name, read_name)
        distribution = distributions.get(text)
        if distribution is None:
            distribution = distributions[text] = json_to_distribution(text)
        trial._params[name] = distribution.to_external_repr(value)
        trial._distributions[name] = distribution
