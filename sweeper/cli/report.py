"""`sweeper report digits`: one HTML file on a study."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Storage
from sweeper.errors import ConfigError

OUTPUT = Path("report.html")


def report(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study, as `sweeper ls` names it.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The HTML file.")] = Path(
        "report.html"
    ),
    pdf: Annotated[
        Path | None, typer.Option("--pdf-figures", metavar="DIR", help="Also write each figure as PDF there.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png-figures", metavar="DIR", help="Also write each figure as PNG there.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write all that is on record of a study to one HTML file."""
    from sweeper.document.report import compose, render, write_figures
    from sweeper.document.subject import Subject
    from sweeper.history import History

    _check(output)
    subject = Subject.of(History(storage), study, time.time())
    sections = compose(subject)
    try:
        output.write_text(render(subject, sections), encoding="utf-8")
        print(output.absolute())
        for folder, form in ((pdf, "pdf"), (png, "png")):
            for path in write_figures(sections, folder, form) if folder else ():
                print(path.absolute())
    except OSError as error:
        raise ConfigError(f"{error.filename!r} cannot be written ({error.strerror}): name another place") from error


def _check(output: Path) -> None:
    if output.is_dir():
        raise ConfigError(f"{str(output)!r} is a folder: name a file in it, as {str(output / 'report.html')!r}")
    if not output.parent.is_dir():
        raise ConfigError(f"there is no folder {str(output.parent)!r} to write {output.name!r} into: make it first")
