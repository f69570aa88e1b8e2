"""`sweeper bundle digits/17 out.zip`: a run with all that it takes to run it again, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeper import machine, text
from sweeper.cli.option import DEFAULT_STORAGE, Artifacts, Json, Storage
from sweeper.cli.screen import Screen


def bundle(
    trial: Annotated[str, typer.Argument(metavar="STUDY/NUMBER", help="A trial.")],
    output: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The file to write.")],
    artifacts: Artifacts = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Pack a run into a zip file: code, config, packages, metrics, files, the filled-in reproducibility checklist.

    `sweeper reproduce FILE.zip` runs it again on a machine that has neither the database nor the store.
    """
    from sweeper.archive.bundle import bundle as pack
    from sweeper.history import History, TrialName

    made = pack(History(storage), TrialName.parse(trial), output, artifacts)
    if json:
        machine.print_json({"file": str(output), "files": made.files, "left_out": made.left_out})
        return
    screen = Screen()
    size = text.size(output.stat().st_size)
    screen.line(f"{text.count(made.files, 'file')} in {text.printable(str(output))} ({size})")
    if made.left_out:
        screen.heading("not in it")
        screen.block([text.printable(line) for line in made.left_out])
