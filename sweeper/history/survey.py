"""What pages and figures of a large study are read from: a page of trials, its points, thinned curves; never the whole.

As with `History`, a question is a method, and each method one short read-only transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, case, func, select

from sweeper.history import decode, leaderboard, lookup, runs, trials
from sweeper.history.connection import check_schema, open_engine, reading, shown
from sweeper.history.rows import Curve, SpanRow
from sweeper.history.schema import trial_intermediate_values, trial_values
from sweeper.history.schema import trials as trial_table
from sweeper.record.tables import metrics
from sweeper.record.tables import runs as run_table

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


ELSEWHERE = "trials"  # in the place of a node, of trials that sweeper did not run


@dataclass(frozen=True, slots=True)
class Point:
    """One trial as figures of the whole study have it."""

    number: int
    state: str
    value: float | None  # of the objective asked for; of a pruned trial what it reported last


class Survey:
    """Reads of one database for pages; raises what `History` raises."""

    def __init__(self, url: str) -> None:
        self.where = shown(url)
        self._engine = open_engine(url)
        with reading(self._engine, self.where) as connection:
            check_schema(connection, self.where)

    def page(self, study: str, ask: leaderboard.Ask) -> leaderboard.Page:
        """A page of a study's trials."""
        with reading(self._engine, self.where) as connection:
            return leaderboard.page(connection, lookup.find(connection, study, self.where), ask)

    def points(self, study: str, objective: int = 0) -> list[Point]:
        """Every trial of a study with one objective's value, by number."""
        with reading(self._engine, self.where) as connection:
            return _points(connection, lookup.find(connection, study, self.where), objective)

    def spans(self, study: str) -> list[SpanRow]:
        """When and where each attempt of a study ran; also trials that sweeper did not run, at no known place."""
        with reading(self._engine, self.where) as connection:
            found = lookup.find(connection, study, self.where)
            known = runs.last_of(connection, study).keys()  # also runs that have not begun
            return [*runs.spans(connection, study), *_other_spans(connection, found, known)]

    def finished(self, study: str, numbers: Sequence[int]) -> list[FrozenTrial]:
        """The trials of these numbers that have ended, as Optuna's own objects, by number."""
        with reading(self._engine, self.where) as connection:
            return trials.finished(connection, lookup.find(connection, study, self.where), numbers)

    def metric_names(self, study: str) -> list[str]:
        """The metrics that a study's newest runs have."""
        with reading(self._engine, self.where) as connection:
            return runs.metric_names(connection, study)

    def curves(self, study: str, numbers: Sequence[int], metric: str, most: int) -> dict[int, Curve]:
        """One metric of the newest run of each of these trials, by number, thinned to about `most` points each."""
        with reading(self._engine, self.where) as connection:
            newest = runs.last_of(connection, study, list(numbers))
            found = {
                number: _curve(connection, newest[number].id, metric, most) for number in numbers if number in newest
            }
        return {number: curve for number, curve in found.items() if curve is not None}

    def thinned(self, run: str, most: int) -> Mapping[str, Curve]:
        """Every metric of a run, by name, each thinned to about `most` points."""
        with reading(self._engine, self.where) as connection:
            if not lookup.has_our_tables(connection):
                return {}
            run_id = connection.execute(select(run_table.c.id).where(run_table.c.run == run)).scalar()
            if run_id is None:
                return {}
            names = sorted(runs.last_metrics(connection, [run_id])[run_id])
            found = {name: _curve(connection, run_id, name, most) for name in names}
        return {name: curve for name, curve in found.items() if curve is not None}


def _points(connection: Connection, study: lookup.Study, objective: int) -> list[Point]:
    t, v, i = trial_table, trial_values, trial_intermediate_values
    last_report = select(i.c.intermediate_value).where(i.c.trial_id == t.c.trial_id).order_by(i.c.step.desc()).limit(1)
    reported = case((t.c.state == "PRUNED", last_report.scalar_subquery()))
    query = (
        select(t.c.number, t.c.state, v.c.value, v.c.value_type, reported)
        .join(v, (v.c.trial_id == t.c.trial_id) & (v.c.objective == objective), isouter=True)
        .where(t.c.study_id == study.study_id)
        .order_by(t.c.number)
    )
    found = []
    for number, state, value, kind, last in connection.execute(query):
        given = decode.number(value, kind) if kind is not None else None
        found.append(Point(number, state, last if given is None or state == "PRUNED" else given))
    return found


def _other_spans(connection: Connection, study: lookup.Study, known: Collection[int]) -> list[SpanRow]:
    t = trial_table
    query = select(t.c.number, t.c.state, t.c.datetime_start, t.c.datetime_complete)
    query = query.where(t.c.study_id == study.study_id, t.c.datetime_start.is_not(None)).order_by(t.c.number)
    return [
        SpanRow(number, 0, state, ELSEWHERE, (), decode.seconds(start) or 0.0, decode.seconds(end))
        for number, state, start, end in connection.execute(query)
        if number not in known
    ]


def _curve(connection: Connection, run_id: int, metric: str, most: int) -> Curve | None:
    """Every k-th point, and always the last: a step that falls between goes unread."""
    m = metrics
    here = (m.c.run_id == run_id) & (m.c.name == metric)
    count = connection.execute(select(func.count()).select_from(m).where(here)).scalar_one()
    if not count:
        return None
    query = select(m.c.step, m.c.value, m.c.time).where(here).order_by(m.c.step)
    every = -(-count // most)
    if every > 1:
        place = func.row_number().over(order_by=m.c.step)
        numbered = select(m.c.step, m.c.value, m.c.time, place.label("place")).where(here).subquery()
        kept = ((numbered.c.place - 1) % every == 0) | (numbered.c.place == count)
        query = select(numbered.c.step, numbered.c.value, numbered.c.time).where(kept).order_by(numbered.c.step)
    steps, values, times = zip(*connection.execute(query).all(), strict=True)
    return Curve(steps, tuple(decode.metric(value) for value in values), times)
