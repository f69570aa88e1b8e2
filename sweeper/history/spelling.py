"""Names in a query that nothing on record has, and those that were meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, select

from sweeper.history import runs
from sweeper.history.lookup import has_table
from sweeper.history.query import Among, Compare, Condition, Field, Not
from sweeper.history.schema import studies, trial_params
from sweeper.record.tables import test_metrics

_MOST_NAMED = 8


def unknown(connection: Connection, condition: Condition) -> list[str]:
    """A sentence for each metric, parameter or test metric of a query that no trial has."""
    told = []
    for field in dict.fromkeys(_fields(condition)):
        if field.kind in _NAMES and field.key not in (names := _NAMES[field.kind](connection)):
            near = _near(field.key or "", sorted(names))
            hint = f"did you mean {' or '.join(near)}?" if near else _there_are(sorted(names))
            told.append(f"no trial has {field}: {hint}")
    return told


def _near(key: str, names: list[str]) -> list[str]:
    """Names that end in the key, as `optimizer.lr` and `val/loss` do, else those that are spelt nearly so."""
    ending = [name for name in names if name.endswith((f".{key}", f"/{key}"))]
    return ending[:3] or difflib.get_close_matches(key, names, n=3, cutoff=0.75)


def _fields(condition: Condition) -> Iterator[Field]:
    if isinstance(condition, Compare | Among):
        yield condition.field
    elif isinstance(condition, Not):
        yield from _fields(condition.part)
    else:
        for part in condition.parts:
            yield from _fields(part)


def _there_are(names: list[str]) -> str:
    if not names:
        return "there is none on record"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"there are {', '.join(names[:_MOST_NAMED])}{more}"


def _metrics(connection: Connection) -> set[str]:
    found = connection.execute(select(studies.c.study_name)).scalars().all()
    return {name for study in found for name in runs.metric_names(connection, study)}


def _params(connection: Connection) -> set[str]:
    return set(connection.execute(select(trial_params.c.param_name).distinct()).scalars())


def _tests(connection: Connection) -> set[str]:
    if not has_table(connection, test_metrics):
        return set()
    return set(connection.execute(select(test_metrics.c.name).distinct()).scalars())


_NAMES: dict[str, Callable[[Connection], set[str]]] = {"metrics": _metrics, "params": _params, "tests": _tests}
