"""Finds a study by its name, and says which names are near when there is none."""

from __future__ import annotations

import difflib
from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, Table, inspect, select

from sweeper.errors import NotFound
from sweeper.history.schema import studies, study_directions
from sweeper.record import tables


@dataclass(frozen=True, slots=True)
class Study:
    """What every other read of a study needs to know first."""

    study_id: int
    name: str
    directions: tuple[str, ...]


def find(connection: Connection, name: str, where: str) -> Study:
    """The study of this name.

    Raises:
        NotFound: there is none; the message names the nearest ones.
    """
    study_id = connection.execute(select(studies.c.study_id).where(studies.c.study_name == name)).scalar_one_or_none()
    if study_id is None:
        raise NotFound(_missing(connection, name, where))
    return Study(study_id, name, all_directions(connection)[study_id])


def exists(connection: Connection, name: str) -> bool:
    """Whether there is a study of exactly this name."""
    found = connection.execute(select(studies.c.study_id).where(studies.c.study_name == name))
    return found.first() is not None


def has_our_tables(connection: Connection) -> bool:
    """Whether sweeper has ever written here; any database of Optuna's can be read without."""
    return inspect(connection).has_table(tables.runs.name)


def has_table(connection: Connection, table: Table) -> bool:
    """Whether a table of ours is there; databases of older releases may lack one."""
    return inspect(connection).has_table(table.name)


def all_directions(connection: Connection) -> dict[int, tuple[str, ...]]:
    t = study_directions
    found: dict[int, tuple[str, ...]] = defaultdict(tuple)
    query = select(t.c.study_id, t.c.direction).order_by(t.c.study_id, t.c.objective)
    for study_id, direction in connection.execute(query).all():
        found[study_id] += (direction.lower(),)
    return found


def _missing(connection: Connection, name: str, where: str) -> str:
    names = list(connection.execute(select(studies.c.study_name).order_by(studies.c.study_name)).scalars())
    if not names:
        return f"there is no study {name!r} in {where}, nor any other yet: start a sweep"
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(f"{other!r}" for other in near) + "? " if near else ""
    return f"there is no study {name!r} in {where}: {hint}type `sweeper ls` to see all {len(names)}"
