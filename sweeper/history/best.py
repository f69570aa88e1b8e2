"""Finds the best trials by SQL: the k best of a single objective, the Pareto front of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Select, case, or_, select

from sweeper.history import decode, runs
from sweeper.history import trials as trial_rows
from sweeper.history.lookup import Study
from sweeper.history.rows import BestRow
from sweeper.history.schema import trial_system_attributes, trial_values, trials

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Top:
    """A trial that is among the best."""

    trial_id: int
    number: int
    value: float  # of the first objective


def single(connection: Connection, study: Study, k: int) -> list[Top]:
    """The k best COMPLETE, feasible trials of a study with one objective, best first; equals by number."""
    # Infinities are NULL with a type beside them: the type ranks first.
    rank = case((trial_values.c.value_type == "INF_NEG", -1), (trial_values.c.value_type == "INF_POS", 1), else_=0)
    order = [rank, trial_values.c.value]
    if study.directions[0] == "maximize":
        order = [column.desc() for column in order]
    query = _complete(study).where(trial_values.c.objective == 0).order_by(*order, trials.c.number)
    infeasible = _infeasible(connection, study)
    if not infeasible:
        query = query.limit(k)
    found = (
        Top(row.trial_id, row.number, decode.number(row.value, row.value_type))
        for row in connection.execute(query)
        if row.trial_id not in infeasible
    )
    return [top for top, _ in zip(found, range(k), strict=False)]


def front(connection: Connection, study: Study, cost: Mapping[int, float] | None = None) -> list[Top]:
    """The COMPLETE, feasible trials that none dominates, by number; as `study.best_trials` has them.

    With `cost`, by trial number, that is one more to be minimized: trials without one are left out, cheapest first.
    """
    import numpy as np

    infeasible = _infeasible(connection, study)
    points: dict[tuple[int, int], list[float]] = {}
    query = _complete(study).order_by(trials.c.number, trials.c.trial_id, trial_values.c.objective)
    for row in connection.execute(query):
        if row.trial_id not in infeasible and (cost is None or row.number in cost):
            value = decode.number(row.value, row.value_type)
            points.setdefault((row.trial_id, row.number), []).append(value)
    if not points:
        return []
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in study.directions])
    losses = np.array(list(points.values())) * signs
    if cost is not None:
        losses = np.column_stack([losses, [cost[number] for _, number in points]])
    tops = [
        Top(trial_id, number, values[0])
        for ((trial_id, number), values), is_on_front in zip(points.items(), non_dominated(losses), strict=True)
        if is_on_front
    ]
    return tops if cost is None else sorted(tops, key=lambda top: (cost[top.number], top.number))


def non_dominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of `losses` (n, objectives; less is better) no other row dominates.

    Equal rows share their fate: a row dominates another when it is nowhere worse and somewhere better.
    """
    import numpy as np

    points, back = np.unique(losses, axis=0, return_inverse=True)
    kept = np.zeros(len(points), dtype=bool)
    left = np.arange(len(points))
    while left.size:
        # Rows are sorted: nothing after the first can dominate it, and what it does not beat somewhere falls.
        first, rest = left[0], left[1:]
        kept[first] = True
        left = rest[(points[rest] < points[first]).any(axis=1)]
    return kept[back.reshape(-1)]


def _complete(study: Study) -> Select[tuple[int, int, float, str]]:
    return (
        select(trials.c.trial_id, trials.c.number, trial_values.c.value, trial_values.c.value_type)
        .join(trial_values, trial_values.c.trial_id == trials.c.trial_id)
        .where(trials.c.study_id == study.study_id, trials.c.state == "COMPLETE")
    )


def _infeasible(connection: Connection, study: Study) -> set[int]:
    """The ids of COMPLETE trials with a constraint above 0, or NaN."""
    t = trial_system_attributes
    query = (
        select(t.c.trial_id, t.c.key, t.c.value_json)
        .join(trials, trials.c.trial_id == t.c.trial_id)
        .where(trials.c.study_id == study.study_id, trials.c.state == "COMPLETE")
        .where(or_(t.c.key == "constraints", t.c.key.like("constraints:%")))
    )
    attrs: dict[int, dict[str, str]] = {}
    for trial_id, key, text in connection.execute(query).all():
        attrs.setdefault(trial_id, {})[key] = text
    return {
        trial_id
        for trial_id, found in attrs.items()
        if not all(value <= 0.0 for value in decode.constraints(found).values())
    }


def rows(connection: Connection, study: str, tops: Sequence[Top], gpu_seconds: Mapping[int, float]) -> list[BestRow]:
    """Trials with their parameters, last metrics and what they took of cards."""
    gathered = trial_rows.gather_ids(connection, [top.trial_id for top in tops])
    last = runs.last_of(connection, study, [top.number for top in tops])
    metrics = runs.last_metrics(connection, [run.id for run in last.values()])
    return [
        BestRow(
            number=trial.number,
            state=trial.state,
            values=tuple(trial.values),
            params=trial.params,
            metrics=metrics[last[trial.number].id] if trial.number in last else {},
            run=last[trial.number].run if trial.number in last else None,
            gpu_seconds=gpu_seconds.get(trial.number),
        )
        for trial in gathered.values()
    ]
