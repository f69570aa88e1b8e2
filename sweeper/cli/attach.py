"""`sweeper attach`: the picture of a sweep that runs elsewhere, until it is over or Ctrl-C leaves it."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Storage, Study, quoted
from sweeper.cli.screen import Screen
from sweeper.errors import NotFound, StorageError

if TYPE_CHECKING:
    from sweeper.cli.following import Following
    from sweeper.history import History

_LOOK_S = 1.0
_STATUS = {"finished": 0, "failed": 5, "stopped": 128 + signal.SIGINT, "lost": 4}


def attach(study: Study, storage: Storage = DEFAULT_STORAGE) -> None:
    """Follow a sweep that runs elsewhere, as its own terminal would show it. Ctrl-C leaves it running.

    Ends with the sweep, and with its exit status: 0 finished, 5 too many failed trials, 130 stopped.
    """
    from sweeper.cli.display import display_for
    from sweeper.cli.following import Following, latest
    from sweeper.cli.summary import summary
    from sweeper.history import History

    history = History(storage)
    sweep = latest(history.sweeps(study))
    if sweep is None:
        raise NotFound(f"{study!r} was never launched by sweeper: there is nothing to follow")
    directions = history.study(study).directions
    display = display_for(study, directions, sweep.n_trials, history.finished(study))
    following = Following(history, study, display)
    try:
        following.begin()
        _follow(history, following, study)
    except KeyboardInterrupt:
        display.left()
        name = quoted(study)
        Screen().line(f"left; the sweep goes on: `sweeper attach {name}` comes back, `sweeper stop {name}` ends it")
        return
    display.closed()
    summary(storage, study)
    outcome = history.sweeps(study)[-1].outcome
    raise typer.Exit(_STATUS.get(outcome or "lost", 4))


def _follow(history: History, following: Following, study: str) -> None:
    from sweeper.cli.following import Vigil

    vigil = Vigil()
    while True:
        with contextlib.suppress(StorageError):  # out of reach at the moment
            goes_on = vigil.lasts(history.sweeps(study))  # first: what its driver told last is then seen
            following.look()
            if not goes_on:
                return
        time.sleep(_LOOK_S)  # a database tells nobody when it changes
