"""A trial on one page: its fate, its point beside the best one, its curves, why it failed, its files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from sweeper import origin, text
from sweeper.archive.log import LOG, tail
from sweeper.cli.option import next_commands, quoted
from sweeper.cli.screen import Screen, state
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from sweeper.compare import Difference
    from sweeper.history import ArtifactRow, BestRow, Curve, History, RunRow, StudyRow, TrialDetail, TrialName


_LOG_LINES = 15
_DIFFERENCES = 15
_ALWAYS_KEPT = ("log", "config")


def show(history: History, name: TrialName, storage: str, screen: Screen) -> None:
    """Print the page; `storage` is the URL as the user gave it."""
    study = history.study(name.study)
    trial = history.trial(name.study, name.number)
    run = trial.runs[-1] if trial.runs else None
    best = _another_best(history, study, trial)
    shown = text.printable(str(name))
    title = Text.assemble((shown, "bold"), "  ", state(trial.state))
    if trial.failure:
        title.append(f" {text.printable(trial.failure)}", style="red")
    screen.line(title)
    screen.facts(
        [*_facts(study, trial, best, screen), *_labels(history, name), *(_run_facts(run, trial) if run else ())]
    )
    if run and (made_of := list(origin.facts(history, run))):
        screen.heading("what it was made of")
        screen.facts(made_of)
    if len(trial.runs) > 1:
        screen.heading("attempts")
        screen.table(_attempts_table(trial))
    if trial.params:
        screen.heading("parameters")
        screen.table(_params_table(study, trial, best, screen))
    if run and best and best.run:
        _show_differences(run, history.run(best.run), trial, f"{study.name}/{best.number}", screen)
    curves = history.curves(run.run) if run else {}
    if curves:
        screen.heading("metrics")
        screen.table(_curves_table(curves, screen))
    if run:
        _show_kept(history, run.run, screen)
    if trial.user_attrs:
        screen.heading("attributes")
        screen.facts([(text.printable(key), screen.value(found)) for key, found in trial.user_attrs.items()])
    if run and trial.state in ("FAIL", "RUNNING"):
        _show_end(run, screen)
    screen.line()
    verbs = [f"best {quoted(study.name)}", f"show {quoted(str(name))} --why"]
    verbs += [f"reproduce {quoted(str(name))}"] if run and run.code and trial.state in ("COMPLETE", "PRUNED") else []
    screen.facts(next_commands(verbs, storage, history.where))


def _another_best(history: History, study: StudyRow, trial: TrialDetail) -> BestRow | None:
    """The best trial to set beside this one; none where it is this one, or where objectives are several."""
    if len(study.directions) > 1:
        return None
    return next((row for row in history.best(study.name, 1) if row.number != trial.number), None)


def _facts(
    study: StudyRow, trial: TrialDetail, best: BestRow | None, screen: Screen
) -> Iterator[tuple[str, str | Text]]:
    for i, value in enumerate(trial.values or ()):
        beside = f"   best: {screen.value(best.values[i])} in trial {best.number}" if best else ""
        is_best = study.best_number == trial.number
        yield text.printable(study.objectives[i]), screen.value(value) + ("   the best" if is_best else beside)
    for constraint, amount in trial.constraints.items():
        verdict = "kept" if amount <= 0 else "broken"
        yield "constraint", f"{text.printable(constraint)} {screen.value(amount)}: {verdict}"
    if trial.started_at is not None:
        ended = trial.ended_at if trial.ended_at is not None else time.time()
        took = text.duration(ended - trial.started_at)
        verb = "took" if trial.ended_at is not None else "running for"
        yield "started", f"{text.moment(trial.started_at)}, {verb} {took}"


def _labels(history: History, name: TrialName) -> Iterator[tuple[str, str]]:
    tags = history.tags(name.study).get(name.number, ())
    if tags:
        yield "tags", ", ".join(map(text.printable, tags))
    note = history.note(name.study, name.number)
    if note:
        yield "note", " / ".join(text.printable(line) for line in note.splitlines() if line)


def _run_facts(run: RunRow, trial: TrialDetail) -> Iterator[tuple[str, str | Text]]:
    words = run.run
    if len(trial.runs) > 1:
        words += f", attempt {run.attempt + 1} of {len(trial.runs)}"
    if run.node:
        words += f", on {text.printable(run.node)}"
    if run.seed is not None:
        words += f", seed {run.seed}"
    if run.peak_rss_bytes is not None:
        words += f", peak memory {text.size(run.peak_rss_bytes)}"
    yield "run", words
    if run.gpu_seconds is not None:
        yield "GPU", _gpu_words(run)
    if run.overrides:
        yield "overrides", " ".join(text.printable(override) for override in run.overrides)
    yield "folder", text.printable(run.folder)


def _gpu_words(run: RunRow) -> str:
    """What it used of its cards. Where the driver does not tell of processes, what neighbours took counts as well."""
    basis = " (all that was added on its cards)" if run.gpu_memory_basis == "cards" else ""
    words = f"peak memory {text.size(run.peak_gpu_memory_bytes)}{basis}, {text.duration(run.gpu_seconds)} of GPU time"
    return words if run.energy_j is None else f"{words}, {text.energy(run.energy_j)}"


def _attempts_table(trial: TrialDetail) -> Table:
    columns = (
        Column("attempt", is_number=True),
        Column("end"),
        Column("took", is_number=True),
        Column("node", gives_way=1),
        Column("error"),
    )
    rows = tuple(
        (
            str(run.attempt + 1),
            text.printable(run.failure or run.state.lower()),
            MISSING if run.runtime_s is None else text.duration(run.runtime_s),
            text.printable(run.node or MISSING),
            text.printable(run.error or ""),
        )
        for run in trial.runs
    )
    return Table(columns, rows)


def _params_table(study: StudyRow, trial: TrialDetail, best: BestRow | None, screen: Screen) -> Table:
    columns = [Column("parameter"), Column("value")]
    if best:
        columns.append(Column(f"best (trial {best.number})"))
    rows = []
    for name, value in trial.params.items():
        cells = [text.printable(name), screen.value(value)]
        if best:
            cells.append(screen.value(best.params[name]) if name in best.params else MISSING)
        rows.append(tuple(cells))
    return Table(tuple(columns), tuple(rows))


def _show_differences(run: RunRow, best: RunRow, trial: TrialDetail, best_name: str, screen: Screen) -> None:
    """Config keys in which the run differs from the best one, without the parameters listed above."""
    from sweeper.compare import config_differences

    rows = config_differences([run.config, best.config], list(trial.params))
    differing = [row for row in rows if not row.is_equal and not row.is_param]
    if not differing:
        return
    screen.heading(f"config that also differs from {text.printable(best_name)}")
    columns = (Column("key"), Column("here"), Column("there"))
    cells = tuple((text.printable(row.key), *_config_values(row, screen)) for row in differing[:_DIFFERENCES])
    screen.table(Table(columns, cells))
    if len(differing) > _DIFFERENCES:
        screen.line(f"and {text.count(len(differing) - _DIFFERENCES, 'more key')}")


def _config_values(row: Difference, screen: Screen) -> list[str]:
    from sweeper.compare import ABSENT

    return [MISSING if value is ABSENT else screen.value(value) for value in row.values]


def _curves_table(curves: Mapping[str, Curve], screen: Screen) -> Table:
    columns = (
        Column("metric"),
        Column("last", is_number=True),
        Column("step", is_number=True),
        Column("least", is_number=True, gives_way=1),
        Column("most", is_number=True, gives_way=1),
        Column("curve"),
    )
    rows = []
    for name, curve in curves.items():
        numbers = [value for value in curve.values if value == value]
        extremes = (min(numbers), max(numbers)) if numbers else (None, None)
        rows.append(
            (
                text.printable(name),
                screen.value(curve.values[-1]),
                str(curve.steps[-1]),
                *(MISSING if value is None else screen.value(value) for value in extremes),
                text.sparkline(curve.values),
            )
        )
    return Table(columns, tuple(rows))


def _show_kept(history: History, run: str, screen: Screen) -> None:
    """Test metrics, which select nothing, and what the run keeps."""
    tests = history.test_metrics(run)
    if tests:
        screen.heading("test metrics")
        columns = (Column("metric"), Column("last", is_number=True), Column("looks", is_number=True))
        rows = ((text.printable(name), screen.value(test.value), str(test.looks)) for name, test in tests.items())
        screen.table(Table(columns, tuple(rows)))
    kept = [row for row in history.artifacts(run) if row.kind not in _ALWAYS_KEPT]
    if kept:
        screen.heading("artifacts")
        columns = (Column("file"), Column("kind"), Column("size", is_number=True))
        screen.table(Table(columns, tuple(_artifact_cells(row) for row in kept)))


def _artifact_cells(row: ArtifactRow) -> tuple[str, str, str]:
    size = "not kept" if row.sha256 is None else text.size(row.size)
    return text.printable(row.name), text.printable(row.kind), size


def _show_end(run: RunRow, screen: Screen) -> None:
    if run.error:
        screen.heading("error")
        screen.block([text.printable(run.error)], "red")
    if run.traceback:
        screen.heading("traceback")
        screen.block(text.printable(line) for line in run.traceback.splitlines())
    path = Path(run.folder) / LOG
    lines = tail(path, _LOG_LINES)
    if lines is None:
        screen.line()
        screen.facts([("log", f"{text.printable(str(path))} is not on this machine")])
    elif lines:
        screen.heading(f"last lines of {text.printable(str(path))}")
        screen.block(text.printable(line) for line in lines)
