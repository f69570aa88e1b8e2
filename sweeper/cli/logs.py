"""`sweeper logs`: what the driver of a detached sweep prints."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.option import DEFAULT_STORAGE, Storage, Study
from sweeper.errors import LaunchError, NotFound

if TYPE_CHECKING:
    from sweeper.history import SweepRow

_LOOK_S = 0.5


def logs(
    study: Study,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until it is over.")] = False,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Print what the driver of a detached sweep has printed; `sweeper show STUDY/NUMBER` has the logs of trials."""
    from sweeper.cli.following import Vigil, latest
    from sweeper.history import History

    history = History(storage)
    sweep = latest(history.sweeps(study))
    if sweep is None:
        raise NotFound(f"{study!r} was never launched by sweeper: there is no driver's log")
    read, at, vigil = _reader(sweep), 0, Vigil()
    try:
        while True:
            is_over = not follow or not vigil.lasts(history.sweeps(study))
            while piece := read(at):
                sys.stdout.buffer.write(piece)
                at += len(piece)
            sys.stdout.flush()
            if is_over:
                return
            time.sleep(_LOOK_S)  # a file tells nobody when it grows
    except KeyboardInterrupt:
        return


def _reader(sweep: SweepRow) -> Callable[[int], bytes]:
    """Reads the log from a byte on: from its file, or from the actor that keeps the driver."""
    from sweeper.launch.keeper import LOG, piece

    log = Path(sweep.folder) / LOG
    if log.is_file():
        return lambda start: piece(sweep.folder, start)
    settings = sweep.settings.get("ray")
    address = settings.get("address") if isinstance(settings, dict) else None
    if not isinstance(address, str) or not sweep.is_alive:
        raise LaunchError(
            f"there is no {log} here: a driver has a log where `sweeper launch --detach` has sent it, in the sweep's "
            f"folder on {sweep.host}; any other prints to its own terminal"
        )
    return _from_the_cluster(address, sweep.folder)


def _from_the_cluster(address: str, folder: str) -> Callable[[int], bytes]:
    from sweeper.launch.cluster import running_cluster
    from sweeper.launch.keeper import found

    running_cluster(address).__enter__()  # left with the process
    import ray  # now: joining sets what Ray's C++ side reads when it is imported

    keeper = found(folder)

    def read(start: int) -> bytes:
        piece = b""
        with contextlib.suppress(ray.exceptions.RayActorError):  # its node is gone; there may soon be another one
            piece = ray.get(keeper.log.remote(start))
        return piece

    return read
