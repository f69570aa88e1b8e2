"""A study on one page: how far it is, what is best, its trials, and figures that are drawn when they come into view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from sweeper import text
from sweeper.document.origin_section import counts, goal
from sweeper.errors import QueryError
from sweeper.history import StudyRow, SweepRow
from sweeper.web.address import View, required, trial_address
from sweeper.web.board import Board, board, default_columns, offered
from sweeper.web.page import render
from sweeper.web.pulse import of_study
from sweeper.web.source import Source, source_of
from sweeper.web.table import Cell, Column, Table, forms, words
from sweeper.web.trial_page import telling


@dataclass(frozen=True)
class Key:
    """One of the few numbers that everybody looks for first."""

    label: str
    text: str
    href: str = ""


def study(request: Request) -> Response:
    """The page."""
    source, given = source_of(request), request.query_params
    row = source.history.study(required(given, "study"))
    sweeps, space = source.history.sweeps(row.name), source.history.space(row.name)
    metrics = source.survey.metric_names(row.name)
    made, wrong = asked(source, row, given, list(space), metrics)
    return render(
        request,
        "study.html",
        400 if wrong else 200,
        title=row.name,
        mark=of_study(row, sweeps),
        goal=goal(row),
        study=row,
        standing=standing(row, sweeps),
        keys=keys(row, sweeps, source.now()),
        board=made,
        wrong=wrong,
        where_text=given.get("where", ""),
        metrics=telling(metrics),
        space=_space(row.name, space),
        launches=_launches(row.name, sweeps),
        counts=counts(row, source.history.failures(row.name)),
        note=source.history.note(row.name, None),
        tags=source.history.tags(row.name).get(None, ()),
        crumbs=[("Studies", "/")],
    )


def asked(
    source: Source, row: StudyRow, given: QueryParams, params: list[str], metrics: list[str]
) -> tuple[Board, str]:
    """The trials that an address asks for; where it cannot be understood, all of them, and what is wrong."""
    try:
        return leaderboard(source, row, View.of(given), params, metrics), ""
    except QueryError as error:
        return leaderboard(source, row, View(row.name), params, metrics), str(error)


def leaderboard(source: Source, row: StudyRow, view: View, params: list[str], metrics: list[str]) -> Board:
    """The trials of a view, under its columns or those that the study has by default."""
    columns = view.columns or default_columns(row, params)
    found = source.survey.page(row.name, replace(view, columns=columns).ask)
    return board(row, view, columns, found, offered(row, params, metrics))


def standing(row: StudyRow, sweeps: list[SweepRow]) -> str:
    """Where the study stands, in a line."""
    if any(sweep.is_alive for sweep in sweeps):
        return "running"
    if row.counts["RUNNING"]:
        return "trials are marked running, and no driver is known to be alive" if sweeps else "running"
    if not row.total:
        return "not begun"
    if sweeps and sweeps[-1].outcome:
        return sweeps[-1].outcome
    return "its driver is gone: `sweeper resume` goes on" if sweeps else "at rest"


def keys(row: StudyRow, sweeps: list[SweepRow], now: float) -> list[Key]:
    """Best value, its trial, how many trials, how many failed."""
    found = []
    if row.best_value is not None and row.best_number is not None:
        found.append(Key(f"best {row.objectives[0]}", text.number(row.best_value, 5)))
        found.append(Key("in trial", str(row.best_number), trial_address(row.name, row.best_number)))
    target = sweeps[-1].n_trials if sweeps else None
    found.append(Key("finished trials", f"{row.finished}" + (f" of {target}" if target else "")))
    if row.counts["RUNNING"]:
        found.append(Key("running", str(row.counts["RUNNING"])))
    if row.counts["FAIL"]:
        found.append(Key("failed", str(row.counts["FAIL"]), View(row.name, "state = fail").address()))
    found.append(Key("last active", text.ago(row.last_activity_at, now)))
    return found


def _space(study: str, space: Mapping[str, Mapping[str, object]]) -> Table:
    rows = [[words(name), words(text.domain(found), longest=120)] for name, found in space.items()]
    return Table(
        "Search space",
        (Column("parameter"), Column("range")),
        rows,
        "No trial has said its parameters yet.",
        **forms("/api/space", study=study),
    )


def _launches(study: str, sweeps: list[SweepRow]) -> Table:
    columns = [Column(name) for name in ("started", "took", "outcome", "by", "sampler", "command")]
    return Table(
        "Launches",
        columns,
        [_launch(sweep) for sweep in reversed(sweeps)],
        "sweeper did not launch this study.",
        **forms("/api/launches", study=study),
    )


def _launch(sweep: SweepRow) -> list[Cell]:
    took = text.duration(sweep.ended_at - sweep.started_at) if sweep.ended_at is not None else "–"
    outcome = sweep.outcome or ("running" if sweep.is_alive else "its driver is gone")
    return [
        Cell(text.moment(sweep.started_at)),
        Cell(took),
        words(outcome),
        words(f"{sweep.user}@{sweep.host}"),
        words(sweep.sampler),
        words(sweep.command, longest=160),
    ]
