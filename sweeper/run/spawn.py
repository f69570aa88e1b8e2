"""Trials' processes as fresh interpreters: for an app that starts threads or CUDA when it is imported."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import BinaryIO

from sweeper.run.app import App
from sweeper.trial import Event, TrialSpec


@dataclass(frozen=True, slots=True)
class Spawns:
    """The processes of one app's trials, each of which imports the app anew."""

    app: App
    lasting: frozenset[int] = frozenset()

    def prepare(self) -> None:
        """Nothing can be done before a trial is known."""

    def start(self, spec: TrialSpec, bell: socket.socket, stacks: BinaryIO) -> int:
        """Start the process of a trial; returns its id."""
        with os.fdopen(os.memfd_create("trial"), "wb") as payload:
            pickle.dump((spec, self.app), payload)
            payload.flush()
            payload.seek(0)
            passed = (bell.fileno(), payload.fileno(), stacks.fileno())
            command = [sys.executable, "-m", "sweeper.run", "trial", *map(str, passed), str(os.getpid())]
            return subprocess.Popen(command, pass_fds=passed, process_group=0).pid

    def wait(self, pid: int) -> int:
        """The exit status of a trial's process that has ended, or is about to, as `os.waitpid` has it."""
        return os.waitpid(pid, 0)[1]

    def heed(self, event: Event) -> None:
        """Nothing is inherited that an event could change."""
