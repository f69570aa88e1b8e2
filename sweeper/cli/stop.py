"""`sweeper stop`: ends a sweep from any machine, as Ctrl-C in its own terminal would."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage, Study
from sweeper.cli.order import order


def stop(
    study: Study,
    now: Annotated[bool, typer.Option("--now", help="Stop the running trials too; they are in line again.")] = False,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Let a sweep start no new trial and end with those that run; `sweeper resume` goes on."""
    order(storage, study, "stop now" if now else "stop", {}, json)
