"""The process that has imported the app once and forks a fresh process group for each trial.

It is started with `python -m sweeper.run FD`, FD being one end of a socket pair whose other end a
`sweeper.run.host.Host` holds. It stays single-threaded, so that forking is safe, and runs one trial at a time. It tells
the host what the trial's journal says, kills the whole group when the trial has ended, and writes the end itself where
the trial could not. When the host goes away it kills the trial and leaves.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import math
import os
import pickle
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sweeper.config.recipe import Recipe
from sweeper.run import job
from sweeper.run.app import App, LoadedApp
from sweeper.run.execute import execute
from sweeper.run.journal import JournalReader, journal_path, seal
from sweeper.trial import Captured, Ended, Event, Failure, Reported, TrialSpec

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ANSWER_PATIENCE_S = 30.0  # how long should_prune waits for the driver before training goes on
_LINGER_S = 0.02  # how long points that nobody waits for may gather before they are sent together
_EXIT_HANDLERS_S = 10.0  # how long exit handlers of training code may take


@dataclass(frozen=True, slots=True)
class Ready:
    """The app is imported; `error` says why not."""

    error: str | None


@dataclass(frozen=True, slots=True)
class Heard:
    """New lines of the running trial's journal."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The pruner's word on the report at `step`."""

    step: int
    prune: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """End the trial: SIGTERM to its group, SIGKILL after the grace; recorded with this failure kind."""

    failure: Failure
    error: str
    grace_s: float


def main(descriptor: int) -> None:
    """Serve the host at the other end of `descriptor` until it goes away."""
    host = Connection(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to hear
    _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    app: App = host.recv()
    try:
        loaded = app.load()
        job.warm()
    except BaseException:
        host.send(Ready(traceback.format_exc()))
        return
    gc.freeze()  # collections in the children then leave the pages shared with this process alone
    host.send(Ready(None))
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            spec: object = host.recv()
            if isinstance(spec, TrialSpec):  # an Answer or Stop here is for a trial that has just ended
                _Trial(spec, loaded, host).supervise()


class _Trial:
    """One forked trial and what its parent does until nothing of it is left."""

    def __init__(self, spec: TrialSpec, app: LoadedApp, host: Connection) -> None:
        self._spec = spec
        self._host = host
        self._capture = app.capture
        self._reader = JournalReader(journal_path(spec.folder, spec.run), spec.run)
        self._stop: Stop | None = None
        self._send_at = math.inf  # when the points that have gathered are sent on
        self._kill_at = math.inf
        self._bell, theirs = socket.socketpair()
        template = _template(spec)
        self._pid = os.fork()
        if self._pid == 0:
            self._bell.close()
            host.close()
            _be_the_trial(spec, app, template, theirs)
        theirs.close()
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(self._pid, self._pid)  # the child does the same: whoever is first
        self._bell.setblocking(False)
        self._died = os.pidfd_open(self._pid)
        self._poll = select.poll()
        for descriptor in (host.fileno(), self._bell.fileno(), self._died):
            self._poll.register(descriptor, select.POLLIN)

    def supervise(self) -> None:
        """Forward events and answers until the process has ended, then clear its group away and say the end."""
        try:
            while self._is_alive():
                if time.monotonic() >= self._send_at:
                    self._forward()
                if time.monotonic() >= self._kill_at:
                    _signal_group(self._pid, signal.SIGKILL)
                    self._kill_at = math.inf
        finally:
            self._clear_away()
        _, status = os.waitpid(self._pid, 0)
        seal(self._spec.folder, self._spec.run, *self._last_words(status))
        self._forward()
        os.close(self._died)
        self._bell.close()

    def _is_alive(self) -> bool:
        """Wait for a sign of life, a message or a deadline, and see to it."""
        patience_s = min(self._send_at, self._kill_at) - time.monotonic()
        for descriptor, mask in self._poll.poll(None if patience_s == math.inf else max(0.0, patience_s) * 1000):
            if descriptor == self._died:
                return False
            if descriptor == self._bell.fileno():
                self._listen(mask)
            elif mask & select.POLLIN:
                self._obey(self._host.recv())
            else:
                raise EOFError("the host is gone")
        return True

    def _obey(self, message: object) -> None:
        if isinstance(message, Answer):
            with contextlib.suppress(OSError):
                self._bell.send(b"%d %d\n" % (message.step, message.prune))
        elif isinstance(message, Stop):
            self._stop = message
            self._kill_at = time.monotonic() + message.grace_s
            _signal_group(self._pid, signal.SIGTERM)

    def _listen(self, mask: int) -> None:
        if not mask & select.POLLIN:
            self._poll.unregister(self._bell.fileno())  # the trial has closed its end; its death will be heard
            return
        if b"!" in self._bell.recv(65536):
            self._forward()
        elif self._send_at == math.inf:
            self._send_at = time.monotonic() + _LINGER_S  # nobody waits for these points: let more of them gather

    def _forward(self) -> None:
        self._send_at = math.inf
        events = self._reader.read()
        if not events:
            return
        if isinstance(events[-1], Ended):
            # What the host sends from now on is for the next trial: leave it there, but hear the host going away.
            self._poll.modify(self._host.fileno(), 0)
            self._kill_at = time.monotonic() + _EXIT_HANDLERS_S
        self._host.send(Heard(tuple(events)))
        for event in events:
            if isinstance(event, Captured):
                self._capture.heard(event.environment)  # trials forked from now on need only name it

    def _last_words(self, status: int) -> tuple[Failure, str]:
        """What to write for a process that could not say itself how it ended."""
        if self._stop is not None:
            return self._stop.failure, self._stop.error
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return Failure.CRASHED, f"the process ended with status {code} before the task returned"
        name = signal.Signals(-code).name
        if -code == signal.SIGKILL:
            return Failure.CRASHED, f"the process was killed ({name}); often the kernel, out of memory"
        return Failure.CRASHED, f"the process died of signal {-code} ({name})"

    def _clear_away(self) -> None:
        """Kill what is left of the group, and of the children it leaked, before the slot takes another trial."""
        _signal_group(self._pid, signal.SIGKILL)
        while orphans := _children() - {self._pid}:
            for orphan in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan, 0)


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
    gc.freeze()
    return template


def _be_the_trial(spec: TrialSpec, app: LoadedApp, template: job.Template | None, bell: socket.socket) -> None:
    """In the forked process: take the trial's own group, files and signals, run it, and never return."""
    status = 1
    try:
        os.setpgid(0, 0)
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})  # Ray's daemons block SIGINT
        _log_to(Path(spec.folder) / "trial.log")
        execute(spec, app, lambda event: _ring(bell, event), lambda step: _judgement(bell, step), template)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(status)


def _leave(status: int) -> None:
    """Run the exit handlers of training code, but not the interpreter's slow dismantling of what was imported."""
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def _ring(bell: socket.socket, event: Event) -> None:
    """Say that the journal has grown, and whether somebody waits for it; a full pipe has said it already."""
    with contextlib.suppress(OSError):
        bell.send(b"!" if isinstance(event, Ended | Reported) else b".", socket.MSG_DONTWAIT)


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


def _signal_group(group: int, signal_number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal_number)


def _children() -> set[int]:
    """Processes whose parent is this one, those adopted as a subreaper included."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
