"""The trial's own process, from its first moment to its exit: group, files, signals, the task, exit handlers."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import math
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sweeper.run import job
from sweeper.run.app import App, LoadedApp
from sweeper.run.execute import end_before_start, execute
from sweeper.run.journal import encode
from sweeper.run.message import LINGER_S
from sweeper.run.process import die_with
from sweeper.trial import Ended, Event, Reported, TrialSpec

_ANSWER_PATIENCE_S = 30.0  # how long should_prune waits for the driver before training goes on
_FAREWELL_S = 5.0  # how long the last word may take to a parent that does not listen


@dataclass(frozen=True, slots=True)
class Ties:
    """What ties a trial's process to its parent."""

    bell: socket.socket  # as `Bell` has it; answers come back
    stacks: BinaryIO  # where every thread was when a signal ended the process
    parent: int


def be_the_trial(spec: TrialSpec, load: Callable[[], LoadedApp], template: job.Template | None, ties: Ties) -> None:
    """Take the trial's own group, files and signals, run it, and never return."""
    status = 1
    try:
        os.setpgid(0, 0)
        die_with(ties.parent)
        _log_to(log_path(spec))
        _take_signals(ties.stacks)
        _run(spec, load, template, ties.bell)
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        _leave(status)


def main(bell: int, payload: int, stacks: int, parent: int) -> None:
    """Be a trial in a fresh interpreter; the spec and the app lie pickled in the file `payload`."""
    with os.fdopen(payload, "rb") as file:
        spec, app = pickle.load(file)
    packed: App = app
    settle()
    be_the_trial(spec, packed.load, None, Ties(socket.socket(fileno=bell), os.fdopen(stacks, "wb"), parent))


def _run(spec: TrialSpec, load: Callable[[], LoadedApp], template: job.Template | None, bell: socket.socket) -> None:
    ring = Bell(bell).ring
    try:
        app = load()
    except BaseException as error:
        end_before_start(spec, error, ring)
    else:
        execute(spec, app, ring, lambda step: _judgement(bell, step), template)


def log_path(spec: TrialSpec) -> Path:
    """Where everything goes that the trial prints."""
    return Path(spec.folder) / "trial.log"


def settle() -> None:
    """What needs to be done but once, in a trial's process or in one that forks it: signals end it, lines are whole."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})  # Ray's daemons block SIGINT
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def _take_signals(stacks: BinaryIO) -> None:
    """Signals do what they do in a fresh process, and those that end it leave the stacks of its threads."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGTERM, stacks, chain=True)


def _leave(status: int) -> None:
    """Wait for threads and run exit handlers, as Python does, but not its slow dismantling of what was imported."""
    for farewell in (threading._shutdown, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):  # type: ignore[attr-defined]
        with contextlib.suppress(BaseException):
            farewell()
    os._exit(status)


def _log_to(path: Path) -> None:
    """Send the process's output to its log; where there can be none, nowhere: the trial says why it cannot run."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        log = os.dup(nothing)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)


class Bell:
    """Says to the parent that the journal has grown.

    "." means that nobody waits, and holds for whatever is written in the next 0.02 s as well; "!" means that somebody
    waits; "=" brings the end itself, which must arrive where the disk has no room for it. A full pipe has said it.
    """

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent
        self._rung_at = -math.inf

    def ring(self, event: Event) -> None:
        """The journal has grown by this event."""
        if isinstance(event, Ended):
            with contextlib.suppress(OSError):
                self._parent.settimeout(_FAREWELL_S)
                self._parent.sendall(b"=" + encode(event))
        elif isinstance(event, Reported):
            self._send(b"!")
        elif (now := time.monotonic()) - self._rung_at >= LINGER_S:
            self._rung_at = now
            self._send(b".")

    def _send(self, sign: bytes) -> None:
        with contextlib.suppress(OSError):
            self._parent.send(sign, socket.MSG_DONTWAIT)


def _judgement(bell: socket.socket, step: int) -> bool:
    """Wait for the pruner's word on `step`; where none comes in time, training goes on."""
    with contextlib.suppress(OSError):
        bell.settimeout(_ANSWER_PATIENCE_S)
        with bell.makefile("rb", buffering=0) as lines:
            while line := lines.readline():
                answered, prune = line.split()
                if int(answered) >= step:
                    return prune == b"1"
    return False
