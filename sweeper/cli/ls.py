"""`sweeper ls`: the studies of a database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from sweeper.history import StudyRow

_COLUMNS = (
    Column("study"),
    Column("goal", gives_way=1),
    Column("best", is_number=True),
    Column("best trial", is_number=True),
    Column("trials", is_number=True),
    Column("complete", is_number=True, gives_way=2),
    Column("pruned", is_number=True, gives_way=2),
    Column("failed", is_number=True, gives_way=2),
    Column("running", is_number=True, gives_way=1),
    Column("last activity", gives_way=1),
)


def ls(storage: Storage = DEFAULT_STORAGE, json: Json = False, csv: Csv = False) -> None:
    """List the studies, how far each is and its best value."""
    from sweeper.history import History

    asked = form(json, csv)
    history = History(storage)
    studies = history.studies()
    if asked is Form.JSON:
        machine.print_json([machine.record(study) for study in studies])
    elif asked is Form.CSV:
        machine.print_csv([machine.record(study) for study in studies], columns=("name",))
    elif studies:
        screen = Screen()
        now = time.time()
        screen.table(Table(_COLUMNS, tuple(_row(study, screen, now) for study in studies)))
    else:
        Screen().line(f"There is no study yet in {history.where}.")


def _row(study: StudyRow, screen: Screen, now: float) -> tuple[str, ...]:
    counts = [study.counts[state] for state in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")]
    return (
        text.printable(study.name),
        goal(study).replace("imize", ""),
        MISSING if study.best_value is None else screen.value(study.best_value),
        MISSING if study.best_number is None else str(study.best_number),
        str(study.total),
        *(str(count) for count in counts),
        text.ago(study.last_activity_at, now),
    )


def goal(study: StudyRow) -> str:
    """`maximize`, or `maximize val/accuracy, minimize latency_ms` where the objectives have names."""
    if study.metric_names:
        pairs = zip(study.directions, study.metric_names, strict=False)
        return ", ".join(f"{direction} {text.printable(name)}" for direction, name in pairs)
    return ", ".join(study.directions)
