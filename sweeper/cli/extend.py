"""`sweeper extend`: more trials for a sweep that runs."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage, Study
from sweeper.cli.order import order
from sweeper.errors import ConfigError


def extend(
    study: Study,
    by: Annotated[str, typer.Argument(metavar="+TRIALS", help="How many more, for example +50.")],
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Raise the target of a sweep that runs by so many trials."""
    if not re.fullmatch(r"\+?[1-9][0-9]{0,8}", by):
        raise ConfigError(f"{by!r} is no number of further trials: write for example `sweeper extend {study} +50`")
    order(storage, study, "extend", {"by": int(by)}, json)
