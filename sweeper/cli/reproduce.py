"""`sweeper reproduce digits/17`: runs a recorded run again from the record alone, and says whether it gave the same."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage
from sweeper.text import printable


def reproduce(
    name: Annotated[str, typer.Argument(metavar="STUDY/NUMBER", help="The trial to run again, or a bundle of it.")],
    storage: Storage = DEFAULT_STORAGE,
    artifacts: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the artifacts lie, if not where the record says.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder for code and output; default: reproduced/NAME")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="The relative difference of two points that passes.")
    ] = 1e-6,
    venv: Annotated[
        bool, typer.Option("--venv", help="Install the recorded packages into an environment first.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a trial again from the record alone: code, config, seed; then compare every point.

    FILE.zip, which `sweeper bundle` has made, takes the place of database and store.

    Exit status: 0 if the numbers came again (identical, within tolerance, or within the study's seed noise), 6 if they
    diverged, 7 if there is nothing alike to compare.
    """
    from sweeper.history import History, TrialName
    from sweeper.reproduction.prepare import Recorded, absolute, prepare, start
    from sweeper.reproduction.request import Request

    is_bundle = name.endswith(".zip")
    place = folder or _fresh(Path("reproduced", Path(name).stem if is_bundle else name.replace("/", "-")))
    if is_bundle:
        from sweeper.archive.bundle import unpack

        unpacked = unpack(Path(name), place / "bundle")
        storage, artifacts, name = unpacked.url, unpacked.artifacts, str(unpacked.trial)
    recorded = Recorded.find(History(storage), TrialName.parse(name))
    request = Request(
        storage=absolute(storage),
        storage_as_given=storage,
        artifacts=prepare(recorded, artifacts, place),
        run=recorded.run.run,
        code=str((place / "code").absolute()),
        folder=str((place / "run").absolute()),
        tolerance=tolerance,
        is_json=json,
    )
    _say(f"the code of {name} is rebuilt in {place / 'code'}")
    python = sys.executable
    if venv:
        _say(f"its packages are being installed into {place / 'venv'}")
        from sweeper.reproduction.venv import build

        python = build(recorded, place / "venv")
    _say("running it again")
    raise typer.Exit(start(recorded, request, python))


def _fresh(folder: Path) -> Path:
    """The first of `folder`, `folder-2`, `folder-3` … that is not there."""
    names = itertools.chain([folder], (folder.with_name(f"{folder.name}-{i}") for i in itertools.count(2)))
    return next(name for name in names if not name.exists())


def _say(what: str) -> None:
    """News while one waits; what is found goes to standard output."""
    if sys.stderr.isatty():
        print(f"{printable(what)} …", file=sys.stderr)
