"""A mark that changes whenever a page would: pages carry it and ask for it again, to know when they are old."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from sweeper.history import StudyRow, SweepRow, TrialDetail, TrialName
from sweeper.sight import Sight
from sweeper.web.page import answer
from sweeper.web.source import Source, source_of


def pulse(request: Request) -> Response:
    """The mark of a trial, of a study, of the cluster or of all studies, and whether anything moves there."""
    source, given = source_of(request), request.query_params
    if "trial" in given:
        name = TrialName.parse(given["trial"])
        found = source.history.trial(name.study, name.number)
        return answer({"mark": of_trial(source, found), "live": found.state == "RUNNING"})
    if "study" in given:
        row = source.history.study(given["study"])
        sweeps = source.history.sweeps(row.name)
        return answer({"mark": of_study(row, sweeps), "live": _moves(row, sweeps)})
    if "cluster" in given:
        return answer({"mark": of_cluster(source.seen()), "live": True})
    rows = source.history.studies()
    return answer({"mark": of_studies(rows), "live": any(row.counts["RUNNING"] for row in rows)})


def of_trial(source: Source, found: TrialDetail) -> str:
    """The mark of a trial: its state, and the last value of each metric of its newest run."""
    last = [source.history.last_metrics(run.run) for run in found.runs[-1:]]
    return _digest((found.state, found.ended_at, len(found.runs), last))


def of_study(row: StudyRow, sweeps: Sequence[SweepRow]) -> str:
    """The mark of a study: trials by state, when anything last happened, whether it is being swept."""
    return _digest((dict(row.counts), row.last_activity_at, len(sweeps), _moves(row, sweeps)))


def of_studies(rows: Sequence[StudyRow]) -> str:
    """The mark of all studies."""
    return _digest(sorted((row.name, dict(row.counts), row.last_activity_at) for row in rows))


def of_cluster(seen: Sight) -> str:
    """The mark of the cluster: all that its page shows."""
    return _digest(seen)


def _moves(row: StudyRow, sweeps: Sequence[SweepRow]) -> bool:
    return row.counts["RUNNING"] > 0 or any(sweep.is_alive for sweep in sweeps)


def _digest(found: object) -> str:
    return hashlib.sha256(repr(found).encode("utf-8", "surrogatepass")).hexdigest()[:12]
