"""The options that every verb shares."""

from __future__ import annotations

import enum
import os
import shlex
from collections.abc import Iterable
from typing import Annotated

import typer

from sweeper.errors import ConfigError
from sweeper.text import printable

DEFAULT_STORAGE = "sqlite:///sweeper.db"
_VARIABLE = "SWEEPER_STORAGE"

Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar=_VARIABLE,
        metavar="URL",
        help="The database: sqlite:///FILE or postgresql://…",
    ),
]
Artifacts = Annotated[
    str | None,
    typer.Option(
        "--artifacts",
        envvar="SWEEPER_ARTIFACTS",
        metavar="URL",
        help="The artifact store, where it is not the one on record.",
        show_default=False,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_ADDRESS",
        metavar="HOST:PORT",
        help="A running Ray cluster; without one, this machine.",
        show_default=False,
    ),
]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="The study's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


class Form(enum.Enum):
    """What a verb prints."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


def form(json: bool, csv: bool) -> Form:
    """The form that --json and --csv ask for."""
    if json and csv:
        raise ConfigError("--json and --csv exclude each other: give one of them")
    return Form.JSON if json else Form.CSV if csv else Form.TEXT


def quoted(name: str) -> str:
    """A study's or trial's name as it can be typed in a shell."""
    return printable(shlex.quote(name))


def next_commands(verbs: Iterable[str], storage: str, where: str) -> list[tuple[str, str]]:
    """Facts for the end of a page: commands to type next, and the database wherever they would miss it.

    `storage` is the URL that the page came from, `where` the same as it may be shown.
    """
    commands = " · ".join(f"sweeper {verb}" for verb in verbs)
    if storage == (os.environ.get(_VARIABLE) or DEFAULT_STORAGE):
        return [("next", commands)]
    return [("next", f"export {_VARIABLE}={quoted(where)}"), ("", commands)]
