"""A page of a study's trials: filtered by a query, sorted by any field, cut by the database, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from sweeper.errors import QueryError
from sweeper.history import decode, label, runs, trials
from sweeper.history.lookup import Study
from sweeper.history.query import Condition, Field
from sweeper.history.rows import STATES
from sweeper.history.schema import studies as study_table
from sweeper.history.schema import trial_params, trial_values
from sweeper.history.schema import trials as trial_table
from sweeper.history.search import NUMBERS, TEXTS, Search, last
from sweeper.record.tables import metrics, test_metrics

_OF_ROWS = ("number", "state", "value", "values", "params", "metrics", "tag", "failure")  # known of each row anyway


@dataclass(frozen=True, slots=True)
class Order:
    """A field to sort by; what a trial does not have comes last in both directions."""

    field: Field
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Which trials of a study, in which order, and what to read of each beside what every row has."""

    condition: Condition | None = None
    order: Order | None = None  # None: the best first; with several objectives the newest
    fields: tuple[Field, ...] = ()
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One trial of a page."""

    trial_id: int
    number: int
    state: str
    values: tuple[float, ...] | None
    params: Mapping[str, object]
    metrics: Mapping[str, float]  # last values; empty where no metric was asked for
    tags: tuple[str, ...]
    failure: str | None
    started_at: float | None
    ended_at: float | None
    run: str | None  # the newest
    others: Mapping[str, object]  # further fields, by name

    def of(self, field: Field, objectives: Sequence[str]) -> object:
        """What the trial has under a field; None where it has nothing."""
        match field.kind:
            case "number" | "state" | "failure":
                return getattr(self, field.kind)
            case "value" | "values":
                place = objectives.index(field.key) if field.key in objectives else 0 if field.key is None else -1
                return self.values[place] if self.values and 0 <= place < len(self.values) else None
            case "params":
                return self.params.get(field.key or "")
            case "metrics":
                return self.metrics.get(field.key or "")
            case "tag":
                return " ".join(self.tags) or None
        return self.others.get(str(field))


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the trials that match, and how many do."""

    lines: tuple[Line, ...]
    total: int
    offset: int


def page(connection: Connection, study: Study, ask: Ask) -> Page:
    """The lines of a study from `offset` on. Raises QueryError for a field that cannot be sorted by or shown."""
    search = Search(connection)
    scope = search.base().where(study_table.c.study_id == study.study_id)
    counted = select(func.count()).select_from(trial_table).where(trial_table.c.study_id == study.study_id)
    if ask.condition is not None:
        scope = scope.where(search.sql(ask.condition))
        counted = select(func.count()).select_from(scope.subquery())
    total = connection.execute(counted).scalar_one()
    further = [field for field in ask.fields if field.kind not in _OF_ROWS]
    query = scope.add_columns(*(_column(search, field) for field in further)).order_by(
        *_sorted(search, study, ask.order)
    )
    found = connection.execute(query.offset(ask.offset).limit(ask.limit)).all()
    return Page(tuple(_lines(connection, study, ask, further, found)), total, ask.offset)


def _lines(
    connection: Connection, study: Study, ask: Ask, further: Sequence[Field], found: Sequence[Any]
) -> list[Line]:
    gathered = trials.gather_ids(connection, [row[2] for row in found])
    run_ids = [row[3] for row in found if row[3] is not None]
    wants_metrics = any(field.kind == "metrics" for field in ask.fields)
    metrics_of = runs.last_metrics(connection, run_ids) if wants_metrics else {}
    last_runs = runs.last_of(connection, study.name, [row[1] for row in found])
    tags = label.tags_in(connection, study.name)
    lines = []
    for _, number, trial_id, run_id, *others in found:
        trial, newest = gathered[trial_id], last_runs.get(number)
        lines.append(
            Line(
                trial_id=trial_id,
                number=number,
                state=trial.state,
                values=tuple(trial.values) or None,
                params=trial.params,
                metrics=metrics_of.get(run_id, {}),
                tags=tags.get(number, ()),
                failure=newest.failure if newest else None,
                started_at=decode.seconds(trial.start),
                ended_at=decode.seconds(trial.complete),
                run=newest.run if newest else None,
                others={str(field): value for field, value in zip(further, others, strict=True)},
            )
        )
    return lines


def _sorted(search: Search, study: Study, order: Order | None) -> list[ColumnElement[Any]]:
    """By the field, what has none last, equals by number; without a field the best first."""
    if order is None:
        if len(study.directions) > 1:
            return [trial_table.c.number.desc()]
        return [*_best_first(study), trial_table.c.number]
    column = _column(search, order.field)
    directed = column.desc() if order.is_descending else column.asc()
    by_number = trial_table.c.number.desc() if order.is_descending else trial_table.c.number
    return [column.is_(None), directed, by_number]


def _best_first(study: Study) -> list[ColumnElement[Any]]:
    """COMPLETE trials by value, others after them; as `sort=value` would, with fewer steps for each row."""
    value = _objective_of_complete()
    directed = value.desc() if study.directions[0] == "maximize" else value.asc()
    return [value.is_(None), directed]


def _objective_of_complete() -> ColumnElement[Any]:
    infinite = [(trial_values.c.value_type == kind, bound) for kind, bound in (("INF_POS", 1e400), ("INF_NEG", -1e400))]
    of_trial = (trial_values.c.trial_id == trial_table.c.trial_id) & (trial_values.c.objective == 0)
    found = select(case(*infinite, else_=trial_values.c.value)).where(of_trial).scalar_subquery()
    return case((trial_table.c.state == "COMPLETE", found))


def _column(search: Search, field: Field) -> ColumnElement[Any]:
    """What stands under a field, to sort by or to show."""
    match field.kind:
        case "state":
            return case(*((trial_table.c.state == name, place) for place, name in enumerate(STATES)))
        case "value" | "values":
            return search.objective(field.key)
        case "params":
            p = trial_params
            named = p.c.param_name.in_([field.key, f"+{field.key}"])
            of_trial = (p.c.trial_id == trial_table.c.trial_id) & named
            return select(p.c.param_value).where(of_trial).limit(1).scalar_subquery()
    found = _of_runs(field) if search.has_ours else None
    if found is not None:
        return found
    if str(field) == "number":
        return trial_table.c.number
    if not search.has_ours:
        return select(trial_table.c.number).where(trial_table.c.number < 0).scalar_subquery()  # nobody has any
    raise QueryError(f"trials cannot be sorted by {field}: sort by number, state, value, params.NAME or metrics.NAME")


def _of_runs(field: Field) -> ColumnElement[Any] | None:
    if field.kind == "metrics":
        return last(metrics, field.key, metrics.c.step)
    if field.kind == "tests":
        return last(test_metrics, field.key, test_metrics.c.seq)
    found: ColumnElement[Any] | None = TEXTS.get(str(field), NUMBERS.get(str(field)))
    return found
