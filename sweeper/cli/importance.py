"""`sweeper importance digits`: which parameters mattered."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import Column, Table
from sweeper.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.trial import FrozenTrial

    from sweeper.history import History, StudyRow
    from sweeper.importance import Importance


def importance(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study, as `sweeper ls` names it.")],
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to explain: an objective or any recorded metric."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the random forest.")] = 0,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show which parameters mattered: shares of the variance (fANOVA)."""
    from sweeper.history import History
    from sweeper.importance import evaluate

    asked = form(json, csv)
    history = History(storage)
    row = history.study(study)
    found = evaluate(history.finished(study), target=target(history, row, metric), seed=seed)
    if asked is Form.JSON:
        machine.print_json(as_record(found))
    elif asked is Form.CSV:
        records = [
            {"parameter": name, "importance": share, "std": found.std[name]}
            for name, share in found.importances.items()
        ]
        machine.print_csv(records, columns=("parameter", "importance", "std"))
    else:
        show(found, Screen())


def target(history: History, study: StudyRow, metric: str | None) -> Callable[[FrozenTrial], float | None]:
    """What each trial gave: its objective, the objective of that name, or the last value of that metric."""
    if metric is None:
        if len(study.objectives) > 1:
            names = " or ".join(f"--metric {name}" for name in study.objectives)
            raise NotFound(f"'{study.name}' has {len(study.objectives)} objectives: choose one with {names}")
        metric = study.objectives[0]
    if metric in study.objectives:
        i = study.objectives.index(metric)
        return lambda trial: trial.values[i] if trial.values else None
    last = history.last_values(study.name, metric)
    return lambda trial: last.get(trial.number)


def as_record(found: Importance) -> dict[str, object]:
    """The result for programs."""
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name != "forest"}


def show(found: Importance, screen: Screen) -> None:
    """Print shares as bars, and what to know before believing them."""
    if found.importances:
        screen.table(_bars(found))
    if found.r2 is not None:
        screen.line(f"the forest explains {max(found.r2, 0.0):.0%} of the variance (R² out of bag)", "dim")
    for note in found.notes:
        screen.line(text.printable(note), "dim")


def _bars(found: Importance) -> Table:
    columns = (Column("parameter"), Column("share", is_number=True), Column("±", is_number=True), Column(""))
    return Table(
        columns,
        tuple(
            (text.printable(name), f"{share:.1%}", f"{found.std[name]:.1%}", text.bar(share))
            for name, share in found.importances.items()
        ),
    )
