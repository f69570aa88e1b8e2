"""/api: every table of the site as JSON, and as CSV that is safe in a spreadsheet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sweeper import answer as answers
from sweeper.errors import ConfigError
from sweeper.history import StudyRow, TrialName
from sweeper.history.leaderboard import Ask, Line
from sweeper.machine import plain, record, records_csv, row_csv
from sweeper.text import iso
from sweeper.web.address import View, required
from sweeper.web.board import offered
from sweeper.web.compare_page import compared
from sweeper.web.page import answer
from sweeper.web.source import Source, source_of

_BATCH = 500  # trials that are read at once


def studies(request: Request) -> Response:
    """Every study at a glance."""
    return records_answer(request, [record(row) for row in source_of(request).history.studies()])


def study(request: Request) -> Response:
    """One study: counts, space, launches."""
    return answer(answers.study(source_of(request).history, required(request.query_params, "study")))


def trials(request: Request) -> Response:
    """A study's trials, filtered and sorted as on its page: all that match, or those of `page` and `size`."""
    source, given = source_of(request), request.query_params
    view = View.of(given)
    row = source.history.study(view.study)
    space = list(source.history.space(view.study))
    metrics = source.survey.metric_names(view.study)
    columns = view.columns or tuple(offered(row, space, metrics))
    ask = replace(view, columns=columns).ask
    batches = _batches(source, row, ask, is_whole="page" not in given)
    records = (_line(row, columns, ask, line) for line in batches)
    if _wants_csv(request):
        header = ["number", *columns]
        lines = (row_csv([plain(found.get(name)) for name in header]) for found in records)
        return _stream(_chained(row_csv(header), lines), "text/csv; charset=utf-8", "trials.csv")
    return _stream(_json_list(records), "application/json")


def trial(request: Request) -> Response:
    """One trial, whole."""
    return answer(answers.trial(source_of(request).history, TrialName.parse(required(request.query_params, "trial"))))


def points(request: Request) -> Response:
    """Every point of every metric of a trial."""
    name = TrialName.parse(required(request.query_params, "trial"))
    return records_answer(request, answers.points(source_of(request).history, name), f"{name.number}-points.csv")


def compare(request: Request) -> Response:
    """Trials side by side: what differs, or with `all=1` every key."""
    found, rows = compared(request)
    if _wants_csv(request):
        return _csv(list(answers.comparison_rows(found, rows)), "compare.csv")
    return answer(answers.comparison(found, rows))


def _batches(source: Source, row: StudyRow, ask: Ask, *, is_whole: bool) -> Iterator[Line]:
    if not is_whole:
        yield from source.survey.page(row.name, ask).lines
        return
    offset = 0
    while lines := source.survey.page(row.name, replace(ask, offset=offset, limit=_BATCH)).lines:
        yield from lines
        offset += len(lines)


def _line(row: StudyRow, columns: Sequence[str], ask: Ask, line: Line) -> dict[str, object]:
    found: dict[str, object] = {"number": line.number}
    found |= {name: line.of(field, row.objectives) for name, field in zip(columns, ask.fields, strict=True)}
    return found | {"started_at": iso(line.started_at), "ended_at": iso(line.ended_at), "run": line.run}


def _wants_csv(request: Request) -> bool:
    form = request.query_params.get("format", "json")
    if form not in ("json", "csv"):
        raise ConfigError(f"format={form!r:.40}: there are json and csv")
    return form == "csv"


def records_answer(request: Request, records: Sequence[Mapping[str, Any]], name: str = "studies.csv") -> Response:
    """Records as JSON, or as CSV where that is asked for."""
    return _csv(records, name) if _wants_csv(request) else answer(records)


def _csv(records: Sequence[Mapping[str, Any]], name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(records_csv(records), headers=headers, media_type="text/csv; charset=utf-8")


def _stream(parts: Iterator[str], media_type: str, name: str = "") -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'} if name else {}
    return StreamingResponse(parts, headers=headers, media_type=media_type)


def _json_list(records: Iterator[Mapping[str, object]]) -> Iterator[str]:
    """A JSON list, item by item: no list of ten thousand is ever whole in memory."""
    before = "["
    for found in records:
        yield before + json.dumps(plain(found), allow_nan=False)
        before = ",\n"
    yield "]" if before != "[" else "[]"


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
