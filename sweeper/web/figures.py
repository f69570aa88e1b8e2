"""What the figures of a study are drawn from, as JSON: a few thousand numbers at most, of a study of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from sweeper import text
from sweeper.document import parallel_figure, timeline_figure
from sweeper.document.lane import sessions
from sweeper.document.progress_figure import told
from sweeper.document.subject import stays
from sweeper.errors import ConfigError
from sweeper.history import Curve, StudyRow, TrialName
from sweeper.history.question import Question, question
from sweeper.history.survey import Point
from sweeper.web.address import MOST_COMPARED, View, required
from sweeper.web.importance import plain, ranking
from sweeper.web.page import answer
from sweeper.web.source import Source, source_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MOST_POINTS = 1500  # in a scatter
MOST_SLICED = 600  # trials
MOST_PANELS = 12  # parameters
MOST_BARS = 3000  # in a timeline
MOST_STEPS = 300  # of one curve among others
OVERLAID = 10  # curves, where the address does not name trials


def progress(request: Request) -> Response:
    """What each trial gave, and the best so far."""
    source, row, place, what = _asked(request)
    points = source.survey.points(row.name, place)
    complete = [point for point in points if point.state == "COMPLETE" and _is_finite(point.value)]
    values = np.array([(point.number, point.value) for point in complete], dtype=np.float64).reshape(-1, 2)
    ended = [point.number for point in points if point.state in ("COMPLETE", "PRUNED", "FAIL")]
    better = max if row.directions[place] == "maximize" else min
    best: list[Point] = []
    for point in complete:
        if not best or better(point.value or 0.0, best[-1].value or 0.0) != best[-1].value:
            best.append(point)
    pruned = [point for point in points if point.state == "PRUNED" and _is_finite(point.value)]
    return answer(
        {
            "gist": plain(told(values, ended, what)) if points else "No trial yet.",
            "name": what.name,
            "direction": row.directions[place],
            "complete": _columns(_thinned(complete, MOST_POINTS)),
            "pruned": _columns(_thinned(pruned, MOST_POINTS // 3)),
            "failed": [point.number for point in _thinned([p for p in points if p.state == "FAIL"], MOST_POINTS // 3)],
            "best": _columns(_thinned(best, MOST_POINTS)) if row.directions[place] != "not_set" else _columns([]),
            "last": points[-1].number if points else 0,
        }
    )


def parallel(request: Request) -> Response:
    """The best trials as lines through their parameters, the most important parameters first."""
    source, row, place, what = _asked(request)
    points = _valued(source, row, place)
    trials = source.survey.finished(row.name, [point.number for point in points[: parallel_figure.MOST_LINES]])
    drawn = parallel_figure.lines(trials, what, _order(source, row, trials))
    if drawn is None:
        return answer({"gist": "Two finished trials with parameters are needed.", "lines": []})
    return answer(
        {
            "gist": parallel_figure.gist(len(drawn.numbers), len(points)),
            "numbers": drawn.numbers,
            "ranks": drawn.ranks.tolist(),
            "rulers": [
                {
                    "title": ruler.title,
                    "places": [None if math.isnan(place) else place for place in ruler.places.tolist()],
                    "ticks": ruler.ticks,
                }
                for ruler in drawn.rulers
            ],
        }
    )


def slices(request: Request) -> Response:
    """Each parameter against the objective, one panel a parameter: the best trials and an even choice of the others."""
    source, row, place, what = _asked(request)
    points = _valued(source, row, place)
    best, others = points[: MOST_SLICED // 3], points[MOST_SLICED // 3 :]
    chosen = [*best, *_thinned(others, MOST_SLICED - len(best))]
    trials = source.survey.finished(row.name, [point.number for point in chosen])
    names = _order(source, row, trials)[:MOST_PANELS]
    few = "" if len(chosen) == len(points) else f", {len(chosen)} of {len(points)}"
    return answer(
        {
            "gist": f"A point for each finished trial{few}" if trials else "No finished trial yet.",
            "name": what.name,
            "direction": row.directions[place],
            "panels": [_panel(name, trials, what) for name in names],
        }
    )


def curves(request: Request) -> Response:
    """One metric of several trials over its steps: of those that the address names, else of the first of a view."""
    source, given = source_of(request), request.query_params
    metric, named = required(given, "metric"), given.getlist("trial")
    names = [TrialName.parse(name) for name in named[:MOST_COMPARED]]
    if not named:
        view = View.of(given)
        lines = source.survey.page(view.study, View(view.study, view.where, view.sort, size=OVERLAID).ask).lines
        names = [TrialName(view.study, line.number) for line in lines]
    found = {name: curve for name in names if (curve := _curve_of(source, name, metric)) is not None}
    several = len({name.study for name in names}) > 1
    points = text.count(max((len(curve.steps) for curve in found.values()), default=0), "point")
    return answer(
        {
            "gist": f"{text.count(len(found), 'trial')}, up to {points} each"
            if found
            else "Nothing of it is on record.",
            "name": metric,
            "curves": [
                {
                    "trial": str(name),
                    "label": str(name) if several else f"trial {name.number}",
                    "steps": curve.steps,
                    "values": [value if _is_finite(value) else None for value in curve.values],
                }
                for name, curve in found.items()
            ],
        }
    )


def timeline(request: Request) -> Response:
    """Who ran when and where: a row for each lane of the last stretch of work."""
    source, row, _, _ = _asked(request)
    found = sessions(stays(source.survey.spans(row.name), source.now()))
    if not found or not any(lane.busy_s for lane in found[-1].lanes):
        return answer({"gist": "No trial has taken any time yet.", "bars": []})
    last = found[-1]
    lanes = last.lanes[: timeline_figure.MOST_LANES]
    bars = [(place, stay) for place, lane in enumerate(lanes) for stay in lane.stays]
    bars = sorted(bars, key=lambda bar: bar[1].start)[-MOST_BARS:]
    earlier = f"; {text.count(len(found) - 1, 'earlier session')} not shown" if len(found) > 1 else ""
    return answer(
        {
            "gist": timeline_figure.gist([last]) + earlier,
            "since": text.moment(last.start),
            "lanes": [lane.place for lane in lanes],
            "bars": [
                {
                    "lane": place,
                    "start": round(stay.start - last.start, 3),
                    "took": round(stay.end - stay.start, 3),
                    "number": stay.number,
                    "state": stay.state.lower(),
                }
                for place, stay in bars
            ],
        }
    )


def _asked(request: Request) -> tuple[Source, StudyRow, int, Question]:
    """The study and the objective that an address names, the first unless it names another."""
    source, given = source_of(request), request.query_params
    row = source.history.study(required(given, "study"))
    name = given.get("objective", row.objectives[0])
    if name not in row.objectives:
        raise ConfigError(f"objective={name!r:.60}: {row.name!r:.60} has {', '.join(row.objectives)}")
    return source, row, row.objectives.index(name), question(source.history, row, name)


def _valued(source: Source, row: StudyRow, place: int) -> list[Point]:
    """Complete trials with a finite value, the best first."""
    found = [p for p in source.survey.points(row.name, place) if p.state == "COMPLETE" and _is_finite(p.value)]
    return sorted(found, key=lambda point: point.value or 0.0, reverse=row.directions[place] == "maximize")


def _order(source: Source, row: StudyRow, trials: Sequence[FrozenTrial]) -> list[str]:
    """Parameters, those that are known to matter first."""
    return list(dict.fromkeys([*ranking(source, row), *(name for trial in trials for name in trial.params)]))


def _panel(name: str, trials: Sequence[FrozenTrial], what: Question) -> dict[str, Any]:
    having = [trial for trial in trials if name in trial.params]
    numbers = all(isinstance(trial.params[name], int | float) and trial.params[name] is not True for trial in having)
    numbers = numbers and all(not isinstance(trial.params[name], bool) for trial in having)
    is_log = numbers and all(getattr(trial.distributions[name], "log", False) for trial in having)
    return {
        "name": name,
        "log": is_log,
        "x": [trial.params[name] if numbers else text.shorten(text.value(trial.params[name]), 24) for trial in having],
        "y": [what.target(trial) for trial in having],
        "numbers": [trial.number for trial in having],
    }


def _curve_of(source: Source, name: TrialName, metric: str) -> Curve | None:
    return source.survey.curves(name.study, [name.number], metric, MOST_STEPS).get(name.number)


def _columns(points: Sequence[Point]) -> dict[str, list[float | None]]:
    return {"x": [point.number for point in points], "y": [point.value for point in points]}


def _thinned(points: Sequence[Point], most: int) -> Sequence[Point]:
    """An even choice; the last is always in it."""
    every = -(-len(points) // most) if points else 1
    return points if every <= 1 else [*points[::every], points[-1]]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
