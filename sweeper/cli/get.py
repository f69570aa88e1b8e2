"""`sweeper get digits/17 model.pt`: a run's files, written to this folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeper import text
from sweeper.cli.artifacts import Attempt
from sweeper.cli.option import DEFAULT_STORAGE, Artifacts, Storage


def get(
    trial: Annotated[str, typer.Argument(metavar="STUDY/NUMBER", help="A trial.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Files, folders or patterns; all without one.", show_default=False),
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Where to write them; - prints one file.")] = ".",
    attempt: Attempt = None,
    artifacts: Artifacts = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write files that a trial keeps to this folder, their hashes checked."""
    from sweeper.archive import files
    from sweeper.errors import ConfigError
    from sweeper.history import History, TrialName

    history = History(storage)
    name = TrialName.parse(trial)
    rows = files.matching(history.artifacts(files.run_of(history, name, attempt).run), names or [], str(name))
    if to == "-":
        if len(rows) != 1:
            raise ConfigError(f"--to - prints one file, and {len(rows)} were asked for: name one")
        files.print_to(rows[0], sys.stdout.buffer, artifacts)
        return
    kept = rows if names else [row for row in rows if row.sha256 is not None]
    for path in files.write(kept, Path(to), artifacts):
        print(text.printable(str(path)))
