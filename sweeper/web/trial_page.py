"""A trial on one page: its fate, its point beside the best, curves, log, what it was made of, how to run it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import Response

from sweeper import origin, text
from sweeper.archive.log import LOG, Piece, piece
from sweeper.document.best_section import REPORTED
from sweeper.document.rerun_section import app_command
from sweeper.history import BestRow, Curve, RunRow, StudyRow, TrialDetail, TrialName
from sweeper.web.address import address, required, study_address, trial_address
from sweeper.web.made_of import Made, made_of
from sweeper.web.page import render
from sweeper.web.pulse import of_trial
from sweeper.web.source import Source, source_of
from sweeper.web.table import Cell, Column, Table, forms, state, under, value, words

MOST_POINTS = 400  # of a curve on the page


@dataclass(frozen=True)
class Subject:
    """A trial with the run that its page shows: the newest, or the attempt that the address names."""

    source: Source
    name: TrialName
    study: StudyRow
    trial: TrialDetail
    run: RunRow | None

    @classmethod
    def of(cls, source: Source, name: TrialName, attempt: str | None) -> Subject:
        """Read it. Raises NotFound."""
        study, trial = source.history.study(name.study), source.history.trial(name.study, name.number)
        runs = [run for run in trial.runs if attempt is None or str(run.attempt) == attempt]
        return cls(source, name, study, trial, runs[-1] if runs else None)


def trial(request: Request) -> Response:
    """The page."""
    source, given = source_of(request), request.query_params
    subject = Subject.of(source, TrialName.parse(required(given, "trial")), given.get("attempt"))
    study, found, run = subject.study, subject.trial, subject.run
    best = another_best(subject)
    curves = source.survey.thinned(run.run, MOST_POINTS) if run else {}
    return render(
        request,
        "trial.html",
        title=str(subject.name),
        mark=of_trial(source, found),
        study=study,
        trial=found,
        run=run,
        keys=list(_keys(subject, best)),
        facts=list(_facts(subject)),
        params=_params(str(subject.name), found, best),
        metrics=_metrics(curves, subject),
        curves=telling(sorted(curves)),
        attempts=_attempts(subject),
        commands=list(_commands(subject)),
        made=made_of(source, run) if run else Made(),
        log=_log(run),
        neighbours=_neighbours(subject),
        best=best,
        crumbs=[("Studies", "/"), (study.name, study_address(study.name))],
        **_texts(subject),
    )


def telling(metrics: Sequence[str]) -> list[str]:
    """Metrics worth a figure: what was reported to the pruner is mostly one of the others under another name."""
    known = [name for name in metrics if name != REPORTED] or list(metrics)
    return sorted(known, key=lambda name: name.startswith("train"))  # what is measured on other data tells more


def another_best(subject: Subject) -> BestRow | None:
    """The best trial to set beside this one; none where it is this one, or where objectives are several."""
    if len(subject.study.directions) > 1:
        return None
    best = subject.source.history.best(subject.study.name, 1)
    return next((row for row in best if row.number != subject.trial.number), None)


def _keys(subject: Subject, best: BestRow | None) -> Iterator[tuple[str, str, str]]:
    """Label, text and where it leads: what everybody looks for first."""
    study, found = subject.study, subject.trial
    for objective, result in zip(study.objectives, found.values or (), strict=False):
        yield objective, text.number(result, 5), ""
    if best is not None:
        yield f"best, trial {best.number}", text.number(best.values[0], 5), trial_address(study.name, best.number)
    elif study.best_number == found.number:
        yield "of this study", "the best", ""
    run = subject.run
    if run is not None and run.runtime_s is not None:
        yield "took", text.duration(run.runtime_s), ""
    elif found.started_at is not None:
        ended = found.ended_at if found.ended_at is not None else subject.source.now()
        yield "took" if found.ended_at is not None else "running for", text.duration(ended - found.started_at), ""
    if run is not None and run.peak_rss_bytes is not None:
        yield "peak memory", text.size(run.peak_rss_bytes), ""
    if run is not None and run.peak_gpu_memory_bytes is not None:
        yield "peak GPU memory", text.size(run.peak_gpu_memory_bytes), ""


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    found, run, history = subject.trial, subject.run, subject.source.history
    yield "started", text.moment(found.started_at)
    for constraint, amount in found.constraints.items():
        yield "constraint", f"{constraint} {text.number(amount)}: {'kept' if amount <= 0 else 'broken'}"
    tags = history.tags(subject.name.study).get(found.number, ())
    if tags:
        yield "tags", ", ".join(tags)
    if run is None:
        return
    yield "run", run.run
    if run.node:
        yield "node", run.node
    if run.seed is not None:
        yield "seed", str(run.seed)
    yield "folder", run.folder
    yield from origin.facts(history, run)


def _params(name: str, found: TrialDetail, best: BestRow | None) -> Table:
    columns = [Column("parameter"), Column("value", is_number=True), Column("range")]
    if best is not None:
        columns.insert(2, Column(f"best (trial {best.number})", is_number=True))
    rows = []
    for key in found.params:
        cells = [words(key), under(found.params, key), words(text.domain(found.distributions[key]), longest=60)]
        if best is not None:
            cells.insert(2, under(best.params, key))
        rows.append(cells)
    return Table(
        "Parameters", columns, rows, "The sampler chose nothing for this trial.", **forms("/api/params", trial=name)
    )


def _metrics(curves: Mapping[str, Curve], subject: Subject) -> Table:
    """Last and extreme values of what was logged; test metrics beside them, with how often they were looked at."""
    columns = [Column("metric"), *(Column(name, is_number=True) for name in ("last", "step", "least", "most"))]
    rows = []
    for name, curve in curves.items():
        numbers = [number for number in curve.values if number == number]
        ends = (min(numbers), max(numbers)) if numbers else (None, None)
        rows.append([words(name), value(curve.values[-1]), Cell(str(curve.steps[-1])), *map(value, ends)])
    tests = subject.source.history.test_metrics(subject.run.run) if subject.run else {}
    for name, test in tests.items():
        looks = f"test, {text.count(test.looks, 'look')}"
        rows.append([words(f"{name} ({looks})"), value(test.value), value(test.step), value(None), value(None)])
    return Table(
        "Metrics",
        columns,
        rows,
        "Nothing was logged: training code calls `sweeper.log({…}, step)` for curves.",
        **(forms("/api/points", trial=str(subject.name)) if rows else {}),
    )


def _attempts(subject: Subject) -> Table | None:
    """None where there was one attempt at most."""
    runs = subject.trial.runs
    if len(runs) < 2:
        return None
    columns = [
        Column("attempt", is_number=True),
        Column("end"),
        Column("took", is_number=True),
        Column("node"),
        Column("error"),
    ]
    rows = [
        [
            Cell(str(run.attempt + 1), address("/trial", trial=str(subject.name), attempt=str(run.attempt))),
            state(run.state, run.failure),
            Cell(text.duration(run.runtime_s)),
            words(run.node),
            words(run.error, longest=120),
        ]
        for run in runs
    ]
    return Table("Attempts", columns, rows, **forms("/api/attempts", trial=str(subject.name)))


def _commands(subject: Subject) -> Iterator[tuple[str, str]]:
    """What to type, and what it does."""
    run = subject.run
    if run is None:
        return
    if run.code is not None:
        purpose = (
            "Run it again from the record alone, with the code, config and seed of then, and a verdict on every point"
        )
        yield purpose, shlex.join(["sweeper", "reproduce", str(subject.name)])
    sweep = next((sweep for sweep in subject.source.history.sweeps(run.study) if sweep.sweep == run.sweep), None)
    yield "The app itself with this trial's overrides", app_command(sweep.command if sweep else "", run)
    if sweep is not None:
        yield "The sweep was launched with", sweep.command
    yield "Why the sampler tried this point", shlex.join(["sweeper", "show", str(subject.name), "--why"])
    yield "All that is on record of it, for programs", shlex.join(["sweeper", "show", str(subject.name), "--json"])


def _texts(subject: Subject) -> dict[str, Any]:
    """Config, overrides, what went wrong, notes, attributes: texts to read."""
    found, run = subject.trial, subject.run
    config = yaml.safe_dump(dict(run.config), sort_keys=False, allow_unicode=True) if run else ""
    return {
        "config": config,
        "overrides": list(run.overrides) if run else [],
        "error": (run.error or "") if run else "",
        "traceback": (run.traceback or "") if run else "",
        "note": subject.source.history.note(subject.name.study, found.number),
        "attributes": [(name, text.value(given)) for name, given in found.user_attrs.items()],
        "reports": list(found.intermediate_values.items())[-20:],
    }


def _log(run: RunRow | None) -> Piece | None:
    """The end of the log, where it lies on this machine."""
    return piece(Path(run.folder) / LOG, None) if run else None


def _neighbours(subject: Subject) -> Sequence[tuple[str, str]]:
    """The trials before and after."""
    name, number, total = subject.name.study, subject.trial.number, subject.study.total
    before = [("← previous", trial_address(name, number - 1))] if number else []
    return [*before, *([("next →", trial_address(name, number + 1))] if number + 1 < total else [])]
