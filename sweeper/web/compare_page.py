"""Trials side by side: outcomes, curves, and the keys in which they differ, most telling first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sweeper import text
from sweeper.compare import ABSENT, Comparison, Difference, MetricRow, compare
from sweeper.compare.comparison import Side
from sweeper.errors import ConfigError
from sweeper.history import TrialName
from sweeper.web.address import MOST_COMPARED, address, study_address, trial_address
from sweeper.web.page import render
from sweeper.web.source import source_of
from sweeper.web.table import MISSING, Cell, Column, Table, state, value, words
from sweeper.web.trial_page import telling

MOST_FIGURES = 4  # of curves


def compared(request: Request) -> tuple[Comparison, Sequence[Difference]]:
    """The comparison that an address asks for, and the keys to show: those that differ, or all with `all=1`.

    Raises ConfigError for fewer than 2 trials or more than 20, NotFound for one that is not on record.
    """
    given = request.query_params
    names = list(dict.fromkeys(given.getlist("trial")))
    if not 2 <= len(names) <= MOST_COMPARED:
        raise ConfigError(
            f"{text.count(len(names), 'trial')} cannot be compared: pick 2 to {MOST_COMPARED} on the page of a study, "
            "or name them as /compare?trial=digits/17&trial=digits/3"
        )
    found = compare(source_of(request).history, names)
    return found, found.all if given.get("all") else found.differences


def compare_trials(request: Request) -> Response:
    """The page."""
    found, rows = compared(request)
    names = [side.name for side in found.sides]
    is_all = bool(request.query_params.get("all"))
    study = TrialName.parse(names[0]).study
    metrics = telling([row.name for row in found.metrics])
    return render(
        request,
        "compare.html",
        title=f"{len(names)} trials",
        names=names,
        headline=found.headline[:1].upper() + found.headline[1:],
        parting=_parting(found),
        outcome=_outcome(found),
        keys=_keys(found, rows, names, is_all=is_all),
        counts=f"{len(found.differences)} of {len(found.all)} keys differ",
        other=address("/compare", trial=names, all=None if is_all else "1"),
        is_all=is_all,
        command=shlex.join(["sweeper", "compare", *names, "--diff"]) if found.has_other_code else "",
        metrics=metrics,
        curves=[address("/api/curves", trial=names, metric=metric) for metric in metrics[:MOST_FIGURES]],
        crumbs=[("Studies", "/"), (study, study_address(study))],
    )


def _parting(found: Comparison) -> str:
    parting = found.parting
    if parting is None:
        return "The curves that they have in common are the same, point by point." if found.metrics else ""
    gap = "" if parting.gap is None else f", by {text.number(parting.gap, 3)}"
    return f"The curves part at step {parting.parts_at}, first in {parting.name}{gap}."


def _heads(found: Comparison, *, is_number: bool) -> list[Column]:
    several = len({side.study.name for side in found.sides}) > 1
    heads = []
    for side in found.sides:
        name = TrialName.parse(side.name)
        shown = side.name if several else f"trial {name.number}"
        title = text.shorten(text.printable(shown), 28)
        heads.append(Column(title, is_number, trial_address(name.study, name.number)))
    return heads


def _outcome(found: Comparison) -> Table:
    """State, objectives, metrics, cost of each."""
    sides = found.sides
    rows = [[Cell("state"), *(state(side.trial.state, side.trial.failure) for side in sides), Cell("")]]
    for i, name in enumerate(sides[0].study.objectives):
        rows.append([words(name), *(value(_objective(side, i)) for side in sides), Cell("")])
    for metric in found.metrics:
        rows += _metric_rows(metric)
    rows.append([Cell("runtime"), *(Cell(text.duration(side.run.runtime_s)) for side in sides), Cell("")])
    rows.append([Cell("peak memory"), *(Cell(text.size(side.run.peak_rss_bytes)) for side in sides), Cell("")])
    columns = [Column("outcome"), *_heads(found, is_number=True), Column("parts at", is_number=True)]
    return Table("Outcome", columns, rows)


def _metric_rows(metric: MetricRow) -> list[list[Cell]]:
    parts_at = Cell("never" if metric.parts_at is None else f"step {metric.parts_at}")
    rows = [[words(f"{metric.name} last"), *map(value, metric.last), parts_at]]
    if metric.best != metric.last:
        least = "least" if metric.direction == "minimize" else "most"
        rows.append([words(f"{metric.name} {least}"), *map(value, metric.best), Cell("")])
    return rows


def _objective(side: Side, place: int) -> float | None:
    values = side.trial.values or ()
    return values[place] if place < len(values) else None


def _keys(found: Comparison, rows: Sequence[Difference], names: list[str], *, is_all: bool) -> Table:
    cells, section = [], ""
    for row in rows:
        shown = Cell(row.section if row.section != section else "", look="quiet")
        section = row.section
        look = "" if row.is_equal else "differs"
        cells.append([shown, words(row.key, longest=60), *(_key_cell(given, look) for given in row.values)])
    asked = "1" if is_all else None
    return Table(
        "Every key" if is_all else "Keys that differ",
        [Column("of"), Column("key"), *_heads(found, is_number=False)],
        cells,
        "Nothing on record differs.",
        csv=address("/api/compare", trial=names, all=asked, format="csv"),
        json=address("/api/compare", trial=names, all=asked),
    )


def _key_cell(given: Any, look: str) -> Cell:
    if given is ABSENT:
        return Cell(MISSING, look="missing")
    whole = text.value(given)
    return Cell(text.shorten(whole, 60), title=whole if len(whole) > 60 else "", look=look)
