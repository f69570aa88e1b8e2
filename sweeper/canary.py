"""One trial of a launch, run for real before the launch: on record, but as a study of its own."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
import sys

from hydra.core.override_parser.types import Quote, QuotedString

from sweeper.errors import Interrupted, TrialsFailed
from sweeper.planning import begun_canaries, canary
from sweeper.preparation import Inputs


def fly(inputs: Inputs) -> None:
    """Launch this very command for one trial, what it says to standard error. Raises where the trial fails.

    The process is the launch's own, with its app, its resources and its place, so it waits and dies as that would.
    """
    name = canary(inputs.study_name)
    words = {
        "sweeper.study_name": _text(name),
        "sweeper.n_trials": str(begun_canaries(inputs.settings.storage, inputs.study_name) + 1),
        "sweeper.n_jobs": "1",
        "sweep.dir": _text(str(inputs.folder / "canary")),
    }
    command = [sys.executable, *sys.orig_argv[1:], *(f"hydra.{key}={value}" for key, value in words.items())]
    with contextlib.ExitStack() as undo:
        for number in (signal.SIGINT, signal.SIGTERM):  # it has heard Ctrl-C itself, as part of our process group
            before = signal.signal(number, lambda *_: None)
            undo.callback(signal.signal, number, before)
        process = subprocess.Popen(command, stdout=sys.stderr)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = process.wait()
    if status in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        raise Interrupted(status - 128, "the canary was stopped; nothing is foretold")
    if status == TrialsFailed.exit_status:
        raise TrialsFailed(
            f"the canary failed, as trials of the sweep would: look at `sweeper show {shlex.quote(name)}`"
        )
    if status != 0:
        raise SystemExit(status)  # it has said why


def _text(value: str) -> str:
    return QuotedString(value, Quote.single).with_quotes()
