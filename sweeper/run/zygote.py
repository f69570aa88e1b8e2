"""The process that has imported the app once and forks a fresh process group for each trial.

It is started with `python -m sweeper.run zygote FD`, FD being one end of a socket pair whose other end a
`sweeper.run.host.Host` holds. It stays single-threaded, so that forking is safe, and runs one trial at a time. It tells
the host what the trial's journal says, kills the whole group when the trial has ended, and writes the end itself where
the trial could not. When the host goes away it kills the trial and leaves.

An app that starts threads or CUDA when it is imported cannot be forked: then the process imports nothing, and spawns a
fresh interpreter for each trial.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from sweeper.provenance import secret
from sweeper.run import meter as metering
from sweeper.run.app import App, LoadedApp
from sweeper.run.fork import Forks
from sweeper.run.message import Ready
from sweeper.run.process import become_subreaper, thread_count
from sweeper.run.rehearsal import rehearse
from sweeper.run.supervision import Heed, Start, Supervision
from sweeper.trial import Captured, Event, Isolation, TrialSpec


def main(descriptor: int, isolation: str) -> None:
    """Serve the host at the other end of `descriptor` until it goes away."""
    host = Connection(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to hear
    become_subreaper()
    app: App = host.recv()
    secret.learn_values(app.secrets)
    meter = metering.started()
    start: Start
    heed: Heed
    prepare: Callable[[], None]
    if isolation == Isolation.SPAWN:
        start, heed, prepare = _spawning(app), _ignored, _ignored
    else:
        try:
            loaded = app.load()
            with contextlib.suppress(OSError):  # where there is no room for it, the first trial does it all
                rehearse(loaded)
        except BaseException:
            host.send(Ready(error=traceback.format_exc()))
            return
        if (unforkable := _unforkable()) is not None:
            host.send(Ready(unforkable=unforkable))
            return
        gc.freeze()  # collections in the children then leave the pages shared with this process alone
        forks = Forks(loaded, host)
        start, heed, prepare = forks.start, _learning(loaded), forks.prepare
    host.send(Ready())
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            spec: object = host.recv()
            if isinstance(spec, TrialSpec):  # an Answer or Stop here is for a trial that has just ended
                Supervision(spec, start, host, heed, meter).to_its_end()
                prepare()


def _spawning(app: App) -> Start:
    def spawn(spec: TrialSpec, bell: socket.socket, stacks: BinaryIO) -> int:
        with os.fdopen(os.memfd_create("trial"), "wb") as payload:
            pickle.dump((spec, app), payload)
            payload.flush()
            payload.seek(0)
            passed = (bell.fileno(), payload.fileno(), stacks.fileno())
            command = [sys.executable, "-m", "sweeper.run", "trial", *map(str, passed), str(os.getpid())]
            return subprocess.Popen(command, pass_fds=passed, process_group=0).pid

    return spawn


def _learning(app: LoadedApp) -> Heed:
    def learn(event: Event) -> None:
        if isinstance(event, Captured):
            app.capture.heard(event.environment)  # trials forked from now on need only name it

    return learn


def _ignored(*_: Event) -> None:
    """A spawned trial inherits nothing, and none can wait for its trial."""


def _unforkable() -> str | None:
    """Why a fork of this process would not be sound; None where it is.

    Threads of OpenBLAS and its like end by themselves when the process forks, and begin again when there is work: what
    runs still after a fork that did nothing is what a child would miss.
    """
    python = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if python:
        return f"starts threads when it is imported ({', '.join(python)})"
    if any(name.startswith("/dev/nvidia-uvm") for name in _open_files()):
        return "uses CUDA when it is imported"
    if thread_count() > 1 and _threads_after_a_fork() > 1:
        return f"starts threads when it is imported ({thread_count() - 1} of a library's)"
    return None


def _threads_after_a_fork() -> int:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return thread_count()


def _open_files() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that reads the folder is closed by now
            yield str(descriptor.readlink())
