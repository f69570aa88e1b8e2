"""Forks the processes of trials from one that has imported the app; the next one waits before its trial is known.

While the driver takes a trial's end and chooses the next, the slot's core has nothing to do: the fork, and the first
pages that a new process copies, cost nobody any time then. The process that waits gets its trial, and what ties it to
its parent, through a socket of its own.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import pickle
import socket
import struct
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import BinaryIO

from sweeper.config.recipe import Recipe
from sweeper.run import job
from sweeper.run.app import LoadedApp
from sweeper.run.child import Ties, be_the_trial
from sweeper.run.process import die_with
from sweeper.trial import TrialSpec

_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A process that waits for its trial."""

    pid: int
    line: socket.socket

    def take(self, spec: TrialSpec, bell: socket.socket, stacks: BinaryIO) -> bool:
        """Hand it its trial; False where somebody has killed it meanwhile."""
        payload = pickle.dumps(spec)
        with self.line as line:
            try:
                socket.send_fds(line, [_LENGTH.pack(len(payload))], [bell.fileno(), stacks.fileno()])
                line.sendall(payload)
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True


class Forks:
    """Gives each trial of an app a process of its own."""

    def __init__(self, app: LoadedApp, host: Connection) -> None:
        self._app = app
        self._host = host
        self._next: _Waiting | None = None

    def prepare(self) -> None:
        """Fork the process of the next trial."""
        if self._next is None:
            self._next = self._forked()

    def start(self, spec: TrialSpec, bell: socket.socket, stacks: BinaryIO) -> int:
        """Give a trial the process that waits, or a new one; returns its id."""
        _template(spec)  # what is forked from now on has it
        waiting, self._next = self._next, None
        if waiting is not None:
            if waiting.take(spec, bell, stacks):
                return waiting.pid
            os.waitpid(waiting.pid, 0)
        new = self._forked()
        new.take(spec, bell, stacks)  # if it has died already, that is how the trial ends
        return new.pid

    def _forked(self) -> _Waiting:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._host.close()
            ours.close()
            _wait_for_a_trial(theirs, self._app, parent)
        theirs.close()
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # the trial does the same: whoever is first
        return _Waiting(pid, ours)


def _wait_for_a_trial(line: socket.socket, app: LoadedApp, parent: int) -> None:
    """Never returns: there is a trial to be, or the parent is gone."""
    try:
        die_with(parent)
        with line:
            spec, bell, stacks = _received(line)
        template = _template(spec)
    except BaseException:
        os._exit(1)
    be_the_trial(spec, lambda: app, template, Ties(bell, stacks, parent))


def _received(line: socket.socket) -> tuple[TrialSpec, socket.socket, BinaryIO]:
    length, descriptors, _, _ = socket.recv_fds(line, _LENGTH.size, 2)
    bell, stacks = descriptors
    with line.makefile("rb") as file:
        spec: TrialSpec = pickle.loads(file.read(*_LENGTH.unpack(length)))
    return spec, socket.socket(fileno=bell), os.fdopen(stacks, "wb")


def _template(spec: TrialSpec) -> job.Template | None:
    """What the spec's base makes; None where it makes nothing: the trial's own process then finds out, and says why."""
    try:
        recipe: Recipe = pickle.loads(spec.payload)
        return _template_of(recipe.base)
    except Exception:
        return None


@functools.lru_cache(maxsize=16)
def _template_of(base: bytes) -> job.Template:
    template = job.Template.of(base)
    template.log.foresee()
    gc.freeze()
    return template
