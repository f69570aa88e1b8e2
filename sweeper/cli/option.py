"""The options that every verb shares."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from sweeper.errors import ConfigError

DEFAULT_STORAGE = "sqlite:///sweeper.db"

Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="SWEEPER_STORAGE",
        metavar="URL",
        help="The database: sqlite:///FILE or postgresql://…",
    ),
]
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
