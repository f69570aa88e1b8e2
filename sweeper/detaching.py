"""Sends the driver of a prepared sweep to the cluster, and waits until it is at work there."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Quote, QuotedString

from sweeper.errors import ConfigError, LaunchError, SweeperError
from sweeper.history import History
from sweeper.launch.landmark import planted
from sweeper.preparation import Prepared
from sweeper.source import database_files

if TYPE_CHECKING:
    from sweeper.launch.keeper import Order, Report

_PATIENCE_S = 180.0  # with a busy cluster
_LOOK_S = 0.2
# What belongs to a terminal, a login or a machine, and not to the launch.
_OF_HERE = frozenset(
    {"HOME", "HOSTNAME", "LOGNAME", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "TERM", "TMPDIR", "USER", "_", "DISPLAY"}
    | {"COLUMNS", "LINES", "CUDA_VISIBLE_DEVICES"}
)
_OF_HERE_BY_PREFIX = ("RAY_", "SSH_", "XDG_", "TMUX", "DBUS_")


def detach(prepared: Prepared) -> None:
    """Have the launch driven from the cluster. Raises ConfigError without one, LaunchError where it ends at once."""
    settings = prepared.settings
    if settings.launcher != "ray" or settings.ray.address is None:
        raise ConfigError(
            "--detach needs a cluster that goes on without you: give hydra/sweeper/ray=cluster, or "
            "hydra.sweeper.ray.address=HOST:PORT (docs/cluster.md)"
        )
    from sweeper.launch.answer import answer
    from sweeper.launch.cluster import running_cluster
    from sweeper.launch.keeper import sent

    with running_cluster(settings.ray.address):
        import ray  # now: joining sets what Ray's C++ side reads when it is imported

        keeper = sent(order(prepared))
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                report: Report = answer(keeper.report.remote(), _PATIENCE_S)
            except ray.exceptions.RayError as error:
                raise LaunchError(f"the cluster cannot run the driver: {' '.join(str(error).split())}") from error
            if _is_at_work(prepared) or report.status == 0:
                _say(prepared, report)
                return
            if report.problem is not None or report.status is not None or time.monotonic() > until:
                ray.kill(keeper, no_restart=True)
                raise LaunchError(report.problem or _why(prepared, report))
            time.sleep(_LOOK_S)  # the driver tells the database that it is there, and a database tells nobody


def order(prepared: Prepared) -> Order:
    """This launch's own command, as it is to be given on the cluster."""
    from sweeper.launch.keeper import Order

    own = planted(prepared.folder)
    files = list(database_files(prepared.settings.storage))
    folder = QuotedString(str(prepared.folder), Quote.single).with_quotes()
    return Order(
        words=[*sys.orig_argv[1:], f"hydra.sweep.dir={folder}"],
        variables={
            name: value
            for name, value in os.environ.items()
            if name not in _OF_HERE and not name.startswith(_OF_HERE_BY_PREFIX)
        },
        cwd=str(Path.cwd()),
        folder=own,
        database=planted(files[0].parent, near=[own]) if files else None,
    )


def _is_at_work(prepared: Prepared) -> bool:
    try:
        sweeps = History(prepared.settings.storage).sweeps(prepared.study_name)
    except SweeperError:  # nothing is there yet
        return False
    return any(sweep.folder == str(prepared.folder) for sweep in sweeps)


def _why(prepared: Prepared, report: Report) -> str:
    from sweeper.launch.keeper import LOG

    log = prepared.folder / LOG
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    how = "has not begun" if report.status is None else f"ended with status {report.status}"
    return f"the driver on {report.host} {how}: {' '.join(lines[-3:]) or 'it said nothing'}"


def _say(prepared: Prepared, report: Report) -> None:
    name = shlex.quote(prepared.study_name)
    print(f"{prepared.study_name} is driven by process {report.pid} on {report.host} from now on", file=sys.stderr)
    if files := [path for path in database_files(prepared.settings.storage) if path.exists()]:
        print(f"its database is the file {files[0]}: no other machine can go on with it", file=sys.stderr)
    print(f"next  sweeper attach {name} · sweeper logs -f {name} · sweeper stop {name}", file=sys.stderr)
