"""Optuna's studies read from the database: names, directions, attributes."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from sqlalchemy import Connection, Table, bindparam, select

from sweeper.record.optuna_rows import (
    studies,
    study_directions,
    study_system_attrs,
    study_user_attrs,
    trials,
)

_ID = select(studies.c.study_id).where(studies.c.study_name == bindparam("name"))
_NAME = select(studies.c.study_name).where(studies.c.study_id == bindparam("study"))
_OF_TRIAL = select(trials.c.study_id).where(trials.c.trial_id == bindparam("trial"))
_DIRECTIONS = (
    select(study_directions.c.direction)
    .where(study_directions.c.study_id == bindparam("study"))
    .order_by(study_directions.c.objective)
)
_ATTRS = {
    table: select(table.c.key, table.c.value_json).where(table.c.study_id == bindparam("study"))
    for table in (study_user_attrs, study_system_attrs)
}
_ALL = select(studies.c.study_id, studies.c.study_name).order_by(studies.c.study_id)
_ALL_DIRECTIONS = select(study_directions.c.study_id, study_directions.c.direction).order_by(
    study_directions.c.study_id, study_directions.c.objective
)


def id_of(connection: Connection, name: str) -> int:
    """The id of the study with this name. Raises KeyError."""
    found = connection.execute(_ID, {"name": name}).scalar()
    if found is None:
        raise KeyError(f"there is no study named {name!r}")
    return int(found)


def name_of(connection: Connection, study_id: int) -> str:
    """The name of the study with this id. Raises KeyError."""
    found = connection.execute(_NAME, {"study": study_id}).scalar()
    if found is None:
        raise KeyError(f"there is no study with the id {study_id}")
    return str(found)


def study_of(connection: Connection, trial_id: int) -> int:
    """The id of the study that a trial belongs to. Raises KeyError."""
    found = connection.execute(_OF_TRIAL, {"trial": trial_id}).scalar()
    if found is None:
        raise KeyError(f"there is no trial with the id {trial_id}")
    return int(found)


def directions_of(connection: Connection, study_id: int) -> list[StudyDirection]:
    """A study's directions in the order of its objectives. Raises KeyError."""
    found = [row[0] for row in connection.execute(_DIRECTIONS, {"study": study_id})]
    if not found:
        raise KeyError(f"there is no study with the id {study_id}")
    return found


def attrs_of(connection: Connection, table: Table, study_id: int) -> dict[str, Any]:
    """A study's attributes in one of the two tables. Raises KeyError."""
    name_of(connection, study_id)
    return {key: json.loads(text) for key, text in connection.execute(_ATTRS[table], {"study": study_id})}


def all_of(connection: Connection) -> list[FrozenStudy]:
    """Every study, by id."""
    directions: defaultdict[int, list[StudyDirection]] = defaultdict(list)
    for study_id, direction in connection.execute(_ALL_DIRECTIONS):
        directions[study_id].append(direction)
    attrs: dict[Table, defaultdict[int, dict[str, Any]]] = {}
    for table in _ATTRS:
        attrs[table] = defaultdict(dict)
        for study_id, key, text in connection.execute(select(table.c.study_id, table.c.key, table.c.value_json)):
            attrs[table][study_id][key] = json.loads(text)
    return [
        FrozenStudy(
            study_name=name,
            direction=None,
            directions=directions[study_id],
            user_attrs=attrs[study_user_attrs][study_id],
            system_attrs=attrs[study_system_attrs][study_id],
            study_id=study_id,
        )
        for study_id, name in connection.execute(_ALL).all()
        if study_id in directions
    ]
