"""`sweeper best digits`: its best trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.history import BestRow, StudyRow

_REPORTED = "objective"  # the metric that holds what training code gave to `sweeper.report`
_OF_THE_MACHINE = "system/"  # metrics that the parent of a run measures


def best(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study, as `sweeper ls` names it.")],
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, help="How many; 10, or all of the Pareto front.", show_default=False),
    ] = None,
    per_gpu_hour: Annotated[
        bool, typer.Option("--per-gpu-hour", help="Those that no other equals for fewer GPU-hours, cheapest first.")
    ] = False,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show the best trials of a study, or its Pareto front."""
    from sweeper.history import History

    asked = form(json, csv)
    history = History(storage)
    row = history.study(study)
    rows = history.worth(study, k) if per_gpu_hour else history.best(study, k)
    if asked is Form.JSON:
        machine.print_json([machine.record(found) for found in rows])
    elif asked is Form.CSV:
        machine.print_csv([_csv_record(row, found) for found in rows], columns=("number", "state"))
    elif rows:
        screen = Screen()
        screen.table(best_table(row, rows, screen))
    elif per_gpu_hour and row.counts["COMPLETE"]:
        Screen().line(f"{text.printable(study)} has no GPU time on record: no card was measured while it ran.")
    else:
        Screen().line(nothing_yet(row))


def best_table(study: StudyRow, rows: Sequence[BestRow], screen: Screen) -> Table:
    """Trials side by side: values, every parameter that one of them has, every last metric of the training's own."""
    objectives = study.objectives
    params = list(dict.fromkeys(name for row in rows for name in row.params))
    metrics = [
        name for name in dict.fromkeys(n for row in rows for n in row.metrics) if not _is_left_out(name, study, rows)
    ]
    has_cost = any(row.gpu_seconds is not None for row in rows)
    columns = (
        Column("trial"),
        *(Column(text.printable(name), is_number=True) for name in objectives),
        *((Column("GPU-hours", is_number=True, gives_way=2),) if has_cost else ()),
        *(Column(text.printable(name), is_param=True) for name in params),
        *(Column(_metric_title(name, study), is_number=True, gives_way=1) for name in metrics),
    )
    cells = tuple(
        (
            f"{text.printable(study.name)}/{row.number}",
            *(screen.value(value) for value in row.values),
            *((_hours(row),) if has_cost else ()),
            *(screen.value(row.params[name]) if name in row.params else MISSING for name in params),
            *(screen.value(row.metrics[name]) if name in row.metrics else MISSING for name in metrics),
        )
        for row in rows
    )
    return Table(columns, cells)


def _hours(row: BestRow) -> str:
    return MISSING if row.gpu_seconds is None else text.number(row.gpu_seconds / 3600, 3)


def _metric_title(metric: str, study: StudyRow) -> str:
    """Its name, set off from an objective that it shares the name with."""
    shown = text.printable(metric)
    return f"last {shown}" if metric in study.metric_names else shown


def _is_left_out(metric: str, study: StudyRow, rows: Sequence[BestRow]) -> bool:
    """Whether a metric is an objective once more, logged under its name or reported, or the machine's."""
    if metric.startswith(_OF_THE_MACHINE):
        return True
    if metric not in study.metric_names and metric != _REPORTED:
        return False
    i = study.metric_names.index(metric) if metric in study.metric_names else 0
    return all(row.metrics.get(metric) == row.values[i] for row in rows)


def nothing_yet(study: StudyRow) -> str:
    """Why a study has no best trial, in one sentence."""
    name = text.printable(study.name)
    if study.counts["COMPLETE"]:
        return f"{name} has no feasible trial yet: every complete one breaks a constraint."
    if study.finished:
        pruned, failed = study.counts["PRUNED"], study.counts["FAIL"]
        return f"{name} has no complete trial yet: {pruned} pruned, {failed} failed."
    if study.counts["RUNNING"]:
        return f"{name} has no finished trial yet; {study.counts['RUNNING']} running."
    return f"{name} has no finished trial yet."


def _csv_record(study: StudyRow, row: BestRow) -> dict[str, object]:
    return {
        "number": row.number,
        "state": row.state,
        "values": dict(zip(study.objectives, row.values, strict=True)),
        "params": row.params,
        "metrics": row.metrics,
        "run": row.run,
        "gpu_seconds": row.gpu_seconds,
    }
