"""`sweeper resume`: a paused sweep goes on; one whose driver is gone is launched again from what is on record."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper import detach_request
from sweeper.cli.launch import quoted
from sweeper.cli.option import DEFAULT_STORAGE, Json, Storage, Study
from sweeper.cli.order import order
from sweeper.errors import LaunchError, NotFound

if TYPE_CHECKING:
    from sweeper.history import SweepRow

_VARIABLE = "SWEEPER_STORAGE"


def resume(
    study: Study,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
    n_trials: Annotated[int | None, typer.Option(help="Another target total, for a sweep that is not running.")] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Where it is launched again: have it driven on the cluster, and leave.")
    ] = False,
) -> None:
    """Go on with a sweep: with one that is paused, or with what one that was stopped, or died, has left."""
    from sweeper.history import History

    sweeps = History(storage).sweeps(study)
    if not sweeps:
        raise NotFound(f"{study!r} was never launched by sweeper: there is no command on record to launch it again")
    if any(sweep.is_alive for sweep in sweeps):
        if n_trials is not None:
            raise LaunchError(f"{study!r} is being swept: `sweeper extend {study} +N` gives it more trials")
        order(storage, study, "resume", {}, json)
    else:
        _launch_again(sweeps[-1], storage, n_trials, detach_request.variables() if detach else {})


def _launch_again(sweep: SweepRow, storage: str, n_trials: int | None, variables: Mapping[str, str]) -> None:
    """Become the recorded command, in its folder, with the target as it was extended."""
    from sweeper.record.database import parse_url

    words = [word for word in shlex.split(sweep.command) if not word.startswith("hydra.sweeper.storage=")]
    if why := _obstacle(sweep, words):
        raise LaunchError(f"{why}: cd {shlex.quote(sweep.cwd or sweep.folder)} && {sweep.command}")
    target = sweep.n_trials if n_trials is None else n_trials
    words += [f"hydra.sweep.dir={quoted(sweep.folder)}", f"hydra.sweeper.study_name={quoted(sweep.study)}"]
    words += [f"hydra.sweeper.storage=${{oc.env:{_VARIABLE}}}"]  # on the command line, a password would be seen
    words += [] if target is None else [f"hydra.sweeper.n_trials={target}"]
    os.chdir(sweep.cwd or "")
    url = parse_url(storage)
    where = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *words[1:]], os.environ | {_VARIABLE: where, **variables})


def _obstacle(sweep: SweepRow, words: list[str]) -> str | None:
    """Why the command cannot be run again from here, and what to do then."""
    if sweep.cwd is None or not Path(sweep.cwd).is_dir():
        return f"the folder {sweep.cwd} that the sweep was launched in is not here; on {sweep.host} type"
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    if not words or not (words[1:2] == ["-m"] or Path(sweep.cwd, script).is_file()):
        return f"the script {script} is no longer in {sweep.cwd}; where it is now, type"
    if any("***" in word for word in words):
        return "the command held a secret, which is not on record; put it in, and type"
    return None
