"""`sweeper artifacts digits/17`: what a run keeps, what data it read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Csv, Form, Json, Storage, form, next_commands, quoted
from sweeper.cli.screen import Screen
from sweeper.cli.table import MISSING, Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.history import ArtifactRow, DataRow

_DIGEST_SHOWN = 12  # characters of a sha256 that tell blobs apart

Attempt = Annotated[int | None, typer.Option("--attempt", min=0, help="Which attempt, from 0; by default the newest.")]


def artifacts(
    trial: Annotated[str, typer.Argument(metavar="STUDY/NUMBER", help="A trial.")],
    attempt: Attempt = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the files that a trial keeps, and the data that it read."""
    from sweeper.archive.files import run_of
    from sweeper.history import History, TrialName

    asked = form(json, csv)
    history = History(storage)
    name = TrialName.parse(trial)
    run = run_of(history, name, attempt).run
    rows, data = history.artifacts(run), history.data(run)
    if asked is Form.JSON:
        found = {"artifacts": [machine.record(row) for row in rows], "data": [machine.record(row) for row in data]}
        machine.print_json({"study": name.study, "number": name.number, "run": run, **found})
    elif asked is Form.CSV:
        machine.print_csv([machine.record(row) for row in rows], columns=("name", "kind", "size", "sha256"))
    else:
        screen = Screen()
        _show(rows, data, screen)
        if rows:
            screen.line()
            screen.facts(next_commands([f"get {quoted(str(name))} NAME", "verify"], storage, history.where))


def _show(rows: Sequence[ArtifactRow], data: Sequence[DataRow], screen: Screen) -> None:
    if rows:
        columns = (
            Column("artifact"),
            Column("kind", gives_way=1),
            Column("size", is_number=True),
            Column("sha256", gives_way=2),
        )
        screen.table(Table(columns, tuple(_artifact_cells(row, screen) for row in rows)))
    else:
        screen.line("This run keeps no file.")
    failed = [row for row in rows if row.error]
    if failed:
        screen.heading("not kept")
        screen.facts([(text.printable(row.name), text.printable(row.error or "")) for row in failed])
    if data:
        screen.heading("data that it read")
        data_columns = (
            Column("data"),
            Column("files", is_number=True),
            Column("size", is_number=True),
            Column("sha256", gives_way=2),
            Column("where"),
        )
        screen.table(Table(data_columns, tuple(_data_cells(row, screen) for row in data)))


def _artifact_cells(row: ArtifactRow, screen: Screen) -> tuple[str, ...]:
    size = MISSING if row.sha256 is None else text.size(row.size)
    return text.printable(row.name), text.printable(row.kind), size, shown_digest(row.sha256, screen)


def _data_cells(row: DataRow, screen: Screen) -> tuple[str, ...]:
    what = shown_digest(row.sha256, screen) if row.error is None else text.printable(row.error)
    return text.printable(row.name), str(row.files), text.size(row.size), what, text.printable(row.url)


def shown_digest(sha256: str | None, screen: Screen) -> str:
    """A digest: its beginning on a terminal, all of it in a pipe."""
    if sha256 is None:
        return MISSING
    return sha256[:_DIGEST_SHOWN] if screen.is_terminal else sha256
