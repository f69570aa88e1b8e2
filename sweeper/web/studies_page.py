"""The first page: every study, how far it is, its best trial."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sweeper import text
from sweeper.document.origin_section import goal
from sweeper.history import StudyRow
from sweeper.web.address import study_address, trial_address
from sweeper.web.page import render
from sweeper.web.pulse import of_studies
from sweeper.web.source import source_of
from sweeper.web.table import Cell, Column, Table, forms, value, words


def studies(request: Request) -> Response:
    """The page."""
    source = source_of(request)
    rows = sorted(source.history.studies(), key=lambda row: row.last_activity_at or 0.0, reverse=True)
    return render(request, "studies.html", title="Studies", table=table(rows, source.now()), mark=of_studies(rows))


def table(rows: list[StudyRow], now: float) -> Table:
    """A row for each study, the last active first."""
    columns = (
        Column("study"),
        Column("goal"),
        Column("best", is_number=True),
        Column("in trial", is_number=True),
        Column("trials", is_number=True),
        Column("running", is_number=True),
        Column("failed", is_number=True),
        Column("last active", is_number=True),
    )
    return Table(
        "Studies",
        columns,
        [_row(row, now) for row in rows],
        "There is no study in this database yet: launch one with `sweeper launch train.py …`.",
        **forms("/api/studies"),
    )


def _row(row: StudyRow, now: float) -> list[Cell]:
    best = Cell("–", look="missing")
    if row.best_number is not None:
        best = Cell(str(row.best_number), trial_address(row.name, row.best_number))
    running = row.counts["RUNNING"]
    return [
        words(row.name, study_address(row.name)),
        words(goal(row)),
        value(row.best_value),
        best,
        Cell(str(row.finished)),
        Cell(str(running), look="state running" if running else "quiet"),
        Cell(str(row.counts["FAIL"]), look="" if row.counts["FAIL"] else "quiet"),
        Cell(text.ago(row.last_activity_at, now), title=text.moment(row.last_activity_at)),
    ]
