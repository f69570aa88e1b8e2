"""`sweeper kill`: ends one running trial for good."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage
from sweeper.cli.order import order
from sweeper.errors import NotFound


def kill(
    trial: Annotated[str, typer.Argument(metavar="STUDY/NUMBER", help="A running trial, for example digits/17.")],
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """End one running trial for good, as failed; the sweep goes on with others."""
    from sweeper.history import History, TrialName

    name = TrialName.parse(trial)
    runs = History(storage).runs(name.study, name.number)
    if not runs or runs[-1].state != "RUNNING":
        raise NotFound(f"{trial} does not run: `sweeper show {trial}` says what became of it")
    order(storage, name.study, "kill", {"number": name.number}, json, sweep=runs[-1].sweep)
