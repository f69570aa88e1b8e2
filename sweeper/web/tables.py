"""The smaller tables of a study's and a trial's page for programs: one address each, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from sweeper.history import History, RunRow, TrialName
from sweeper.machine import record
from sweeper.web.address import required
from sweeper.web.api import records_answer
from sweeper.web.file import run_of
from sweeper.web.source import Source, source_of

Records = list[dict[str, Any]]


def space(source: Source, given: QueryParams) -> Records:
    """The search space of a study."""
    found = source.history.space(required(given, "study"))
    return [{"parameter": name, **distribution} for name, distribution in found.items()]


def launches(source: Source, given: QueryParams) -> Records:
    """The launches of a study, first to last."""
    return [record(sweep) for sweep in source.history.sweeps(required(given, "study"))]


def params(source: Source, given: QueryParams) -> Records:
    """What the sampler chose for a trial, and from what."""
    name = TrialName.parse(required(given, "trial"))
    found = source.history.trial(name.study, name.number)
    return [
        {"parameter": key, "value": value, "distribution": found.distributions[key]}
        for key, value in found.params.items()
    ]


def attempts(source: Source, given: QueryParams) -> Records:
    """The runs of a trial."""
    name = TrialName.parse(required(given, "trial"))
    return [record(run) for run in source.history.trial(name.study, name.number).runs]


def files(source: Source, given: QueryParams) -> Records:
    """The files that a run keeps."""
    return _of_run(source, given, lambda history, run: [record(row) for row in history.artifacts(run.run)])


def data(source: Source, given: QueryParams) -> Records:
    """The data that a run read."""
    return _of_run(source, given, lambda history, run: [record(row) for row in history.data(run.run)])


def packages(source: Source, given: QueryParams) -> Records:
    """The packages of a run's environment."""
    return _of_run(source, given, _packages)


def _of_run(source: Source, given: QueryParams, read: Callable[[History, RunRow], Records]) -> Records:
    return read(source.history, run_of(source, required(given, "trial"), given.get("attempt")))


def _packages(history: History, run: RunRow) -> Records:
    document: Mapping[str, Any] = history.environment(run.environment).document if run.environment else {}
    found = document.get("packages")
    versions = found if isinstance(found, Mapping) else {}
    return [{"package": name, "version": version} for name, version in sorted(versions.items())]


TABLES: dict[str, Callable[[Source, QueryParams], Records]] = {
    "space": space,
    "launches": launches,
    "params": params,
    "attempts": attempts,
    "files": files,
    "data": data,
    "packages": packages,
}


def table(request: Request) -> Response:
    """One of them, by the last part of the address."""
    name = request.scope["path"].rpartition("/")[2]
    return records_answer(request, TABLES[name](source_of(request), request.query_params), f"{name}.csv")
