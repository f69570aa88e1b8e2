"""`sweeper audit`: which runs are not wholly on record, and what is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import Column, Table

if TYPE_CHECKING:
    from sweeper.history import AuditRow

_NAMED = 3  # runs that are named for each reason


def audit(
    study: Annotated[str | None, typer.Argument(help="One study; by default all.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List what is not on record of runs: gaps of environment, code and seeds, and code that had changed.

    Exit status: 0 if every run is whole, 1 if not.
    """
    from sweeper.history import History

    asked = form(json, csv)
    rows = History(storage).audit(study)
    amiss = [row for row in rows if row.amiss]
    if asked is Form.JSON:
        machine.print_json([machine.record(row) for row in amiss])
    elif asked is Form.CSV:
        records = [{**machine.record(row), "amiss": reason} for row in amiss for reason in row.amiss]
        machine.print_csv(records, columns=("study", "number", "attempt", "run", "state", "completeness", "amiss"))
    else:
        _show(rows, amiss)
    raise typer.Exit(1 if amiss else 0)


def _show(rows: Sequence[AuditRow], amiss: Sequence[AuditRow]) -> None:
    screen = Screen()
    screen.line(f"{len(rows) - len(amiss)} of {text.count(len(rows), 'run')} wholly on record")
    reasons: dict[str, list[AuditRow]] = defaultdict(list)
    for row in amiss:
        for reason in row.amiss:
            reasons[reason].append(row)
    if reasons:
        ordered = sorted(reasons.items(), key=lambda found: -len(found[1]))
        lines = tuple((str(len(found)), text.printable(reason), _named(found)) for reason, found in ordered)
        screen.line()
        screen.table(Table((Column("runs", is_number=True), Column("what is amiss"), Column("for example")), lines))


def _named(rows: Sequence[AuditRow]) -> str:
    names = list(dict.fromkeys(text.printable(f"{row.study}/{row.number}") for row in rows))
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
