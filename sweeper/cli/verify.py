"""`sweeper verify`: is what is on record still in its store, byte for byte?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import machine, text
from sweeper.cli.artifacts import shown_digest
from sweeper.cli.option import DEFAULT_STORAGE, Artifacts, Csv, Form, Json, Storage, form
from sweeper.cli.screen import Screen
from sweeper.cli.table import Column, Table

if TYPE_CHECKING:
    from sweeper.archive.verify import Checked
    from sweeper.history import BlobUse, History

_USES_SHOWN = 3


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STUDY[/NUMBER]]...", help="What to check; all without one.", show_default=False),
    ] = None,
    artifacts: Artifacts = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Hash every stored file again and say what is missing or has changed.

    Exit status 0: all is whole. 1: something is not.
    """
    from sweeper.archive.verify import State
    from sweeper.archive.verify import verify as check
    from sweeper.history import History

    asked = form(json, csv)
    history = History(storage)
    checked = list(check(_uses(history, names or []), artifacts))
    damaged = [found for found in checked if found.state is not State.WHOLE]
    if asked is Form.JSON:
        machine.print_json({"checked": len(checked), "damaged": [machine.record(found) for found in damaged]})
    elif asked is Form.CSV:
        machine.print_csv([_record(found) for found in damaged], columns=("sha256", "state", "files"))
    else:
        _show(checked, damaged, Screen())
    if damaged:
        raise typer.Exit(1)


def _uses(history: History, names: list[str]) -> list[BlobUse]:
    uses = history.blob_uses()
    if not names:
        return uses
    wanted = [history.resolve(name) for name in names]
    for one in wanted:
        if isinstance(one, str):
            history.study(one)  # raises where there is none
        else:
            history.trial(one.study, one.number)
    studies = {one for one in wanted if isinstance(one, str)}
    trials = {(one.study, one.number) for one in wanted if not isinstance(one, str)}
    return [use for use in uses if use.study in studies or (use.study, use.number) in trials]


def _show(checked: list[Checked], damaged: list[Checked], screen: Screen) -> None:
    size = text.size(sum(found.size for found in checked))
    if not damaged:
        screen.line(f"{text.count(len(checked), 'stored file')} ({size}) checked: all are whole.")
        return
    columns = (Column("sha256"), Column("state"), Column("files"))
    screen.table(Table(columns, tuple(_cells(found, screen) for found in damaged)))
    screen.line()
    screen.line(f"{len(damaged)} of {text.count(len(checked), 'stored file')} ({size}) are damaged.", "red")


def _cells(found: Checked, screen: Screen) -> tuple[str, ...]:
    uses = [text.printable(f"{use.study}/{use.number} {use.name}") for use in found.uses]
    shown = uses[:_USES_SHOWN] if screen.is_terminal else uses
    more = f" and {len(uses) - len(shown)} more" if len(uses) > len(shown) else ""
    return shown_digest(found.sha256, screen), found.state.value, ", ".join(shown) + more


def _record(found: Checked) -> dict[str, object]:
    files = [f"{use.study}/{use.number} {use.name}" for use in found.uses]
    return {"sha256": found.sha256, "state": found.state.value, "files": files, "error": found.error}
