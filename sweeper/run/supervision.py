"""What a trial's parent does until nothing of it is left: forward, obey, watch the time, clear away, bear witness."""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import signal
import socket
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO, Protocol

from optuna.trial import TrialState

from sweeper.run import veil
from sweeper.run.child import log_path
from sweeper.run.collect import collect_after_crash
from sweeper.run.cost import filled, insisted
from sweeper.run.fence import SUPERSEDED, Fence
from sweeper.run.journal import Journal, JournalReader, decode, journal_path, seal
from sweeper.run.memory import Kills
from sweeper.run.message import LINGER_S, Answer, Heard, Stop
from sweeper.run.meter import Meter
from sweeper.run.patience import Patience
from sweeper.run.process import kill_children, signal_group
from sweeper.run.telemetry import Telemetry
from sweeper.trial import Ended, Event, Failure, Started, TrialSpec

_INTERVAL_S = 0.2  # between two such sendings: each costs its three processes and the database milliseconds
_LOOK_EVERY_S = 1.0  # at the fence
_LONGEST_SIGN = 65536  # bytes taken from the bell at once
_STACKS_KEPT = 65536  # bytes
_NOT_THE_TASKS = re.compile(rf'^  File "({re.escape(str(Path(__file__).parent))}/|<frozen runpy>)|^Extension modules: ')


class Processes(Protocol):
    """Where the processes of trials come from. Methods raise EOFError where none can come any more."""

    @property
    def lasting(self) -> frozenset[int]:
        """Processes of its own, which outlive a trial."""

    def prepare(self) -> None:
        """A trial has ended, and the next one is not known yet."""

    def start(self, spec: TrialSpec, bell: socket.socket, stacks: BinaryIO) -> int:
        """Start a trial's process, with its end of the bell and a file for its stacks; returns the process id."""

    def wait(self, pid: int) -> int:
        """The exit status of a process that has ended, or is about to, as `os.waitpid` has it."""

    def heed(self, event: Event) -> None:
        """An event has been sent on."""


class Supervision:
    """One trial, from its start until nothing of it is left."""

    def __init__(self, spec: TrialSpec, processes: Processes, host: Connection, meter: Meter | None = None) -> None:
        self._spec = spec
        self._processes = processes
        self._host = host
        self._reader = JournalReader(journal_path(spec.folder, spec.run), spec.run)
        self._has_ended = False  # the end that the trial wrote itself is forwarded
        self._last_word = b""  # the end as the trial sent it, besides writing it
        self._stop: Stop | None = None
        self._rung_at = -math.inf  # when it was last heard that the journal grows
        self._send_at = math.inf  # when the points that have gathered are sent on
        self._sent_at = -math.inf  # when something was last sent
        self._kill_at = math.inf
        self._patience = Patience(spec.limits, log_path(spec))
        self._fence = Fence(spec.trial_folder or spec.folder, spec.attempt)
        self._look_at = 0.0  # when to look whether the fence is still open
        self._kills = Kills.now()
        self._stacks = os.fdopen(os.memfd_create("stacks"), "wb")
        self._meter = meter
        self._telemetry = None if meter is None else Telemetry(spec, meter)
        self._bell, theirs = socket.socketpair()
        self._pid = processes.start(spec, theirs, self._stacks)
        theirs.close()
        self._bell.setblocking(False)
        self._died = os.pidfd_open(self._pid)
        self._poll = select.poll()
        for descriptor in (host.fileno(), self._bell.fileno(), self._died):
            self._poll.register(descriptor, select.POLLIN)
        if meter is not None:
            self._poll.register(meter.fileno(), select.POLLIN)

    def to_its_end(self) -> None:
        """Forward events and answers until the process has ended, then clear its group away and say the end."""
        try:
            while self._is_alive():
                self._watch_the_time()
        except EOFError:
            self._stop = Stop(Failure.LOST, "the slot that ran the trial is gone", 0.0)
            raise
        finally:
            signal_group(self._pid, signal.SIGKILL)
            status = self._processes.wait(self._pid)
            kill_children(but=self._processes.lasting | ({self._meter.pid} if self._meter is not None else set()))
            veil.cleanse(log_path(self._spec).parent)
            self._say_the_end(status)
            if self._telemetry is not None:
                self._telemetry.close()
            os.close(self._died)
            self._bell.close()
            self._stacks.close()

    def _is_alive(self) -> bool:
        """Wait for a sign of life, a message or a deadline, and see to it."""
        until = min(self._send_at, self._kill_at, self._patience.until(), self._look_at)
        for descriptor, mask in self._poll.poll(max(0.0, until - time.monotonic()) * 1000):
            if descriptor == self._died:
                return False
            if descriptor == self._bell.fileno():
                self._listen()
            elif self._meter is not None and descriptor == self._meter.fileno():
                self._measure()
            elif mask & select.POLLIN:
                self._obey(self._host.recv())
            else:
                raise EOFError("the host is gone")
        return True

    def _watch_the_time(self) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            if not self._fence.is_open():
                self._obey(Stop(Failure.LOST, SUPERSEDED, 0.0))
        if now >= self._send_at:
            self._send_at = math.inf
            self._forward()
            if now < self._rung_at + LINGER_S:
                self._forward_soon()  # that ring speaks for later points as well
        if now >= self._kill_at:
            self._kill_at = math.inf
            signal_group(self._pid, signal.SIGKILL)
            if self._has_ended:
                _note(
                    log_path(self._spec), "the task had returned, but its threads or exit handlers did not end: killed"
                )
        if self._stop is None and not self._has_ended and (reason := self._patience.lost(now)) is not None:
            self._obey(Stop(Failure.TIMEOUT, reason, self._spec.limits.grace_s))

    def _obey(self, message: object) -> None:
        if isinstance(message, Answer):
            with contextlib.suppress(OSError):
                self._bell.send(b"%d %d\n" % (message.step, message.prune))
        elif isinstance(message, Stop) and self._stop is None:
            self._stop = message
            self._patience.end()
            self._kill_at = time.monotonic() + message.grace_s
            if message.grace_s > 0:
                signal_group(self._pid, signal.SIGTERM)

    def _listen(self) -> None:
        sign = b""
        with contextlib.suppress(ConnectionResetError):  # it left without hearing an answer
            sign = self._bell.recv(_LONGEST_SIGN)
        if not sign:
            self._poll.unregister(self._bell.fileno())  # the trial has closed its end; its death will be heard
            return
        self._patience.renew()
        if self._last_word or b"=" in sign:
            self._last_word += sign if self._last_word else sign[sign.index(b"=") :]
        if b"." in sign:
            self._rung_at = time.monotonic()
            self._forward_soon()
        if b"!" in sign or self._last_word:
            self._forward()

    def _measure(self) -> None:
        """Note what the run uses of its cards. Nobody waits for that, and the trial says nothing by it."""
        try:
            has_grown = self._telemetry is not None and self._fence.is_open() and self._telemetry.listen()
        except EOFError:
            if self._meter is not None:
                self._poll.unregister(self._meter.fileno())
            return
        if has_grown:
            self._forward_soon()

    def _forward_soon(self) -> None:
        """Nobody waits for what has come: let more of it gather."""
        if self._send_at == math.inf:
            self._send_at = max(self._rung_at + LINGER_S, self._sent_at + _INTERVAL_S)

    def _forward(self) -> None:
        events = self._reader.read_on()
        if not events:
            return
        if any(isinstance(event, Started) for event in events):
            self._patience.begin()
        if isinstance(end := events[-1], Ended):
            events += self._corrections(end)
            self._has_ended = True
            self._patience.end()
            # What the host sends from now on is for the next trial: leave it there, but hear the host going away.
            self._poll.modify(self._host.fileno(), 0)
            self._kill_at = time.monotonic() + self._spec.limits.grace_s
        self._host.send(Heard(tuple(events)))
        self._sent_at = time.monotonic()
        for event in events:
            self._processes.heed(event)

    def _corrections(self, end: Ended) -> list[Event]:
        """What the parent knows better: why a trial failed that was told to end, and what it has used of its cards."""
        corrected = end
        if self._stop is not None and end.state == TrialState.FAIL:
            corrected = replace(corrected, failure=self._stop.failure, error=self._stop.error)
        if self._telemetry is not None:
            corrected = self._telemetry.counted(corrected)
        corrected = insisted(filled(corrected, self._spec), self._spec)
        if corrected is end:
            return []
        corrected = replace(corrected, seq=end.seq + 1)
        with contextlib.suppress(OSError):
            journal = Journal(journal_path(self._spec.folder, self._spec.run))
            journal.append(corrected)
            journal.close()
            self._reader.read()  # it is sent from here
        return [corrected]

    def _say_the_end(self, status: int) -> None:
        """Send what is not sent yet, and an end in any case: the trial's own word before what can be told of it."""
        with contextlib.suppress(OSError):
            while sign := self._bell.recv(_LONGEST_SIGN):
                self._last_word += sign if self._last_word else sign[sign.index(b"=") :] if b"=" in sign else b""
        if not self._has_ended and self._fence.is_open():
            with contextlib.suppress(OSError):
                spec = self._spec
                collect_after_crash(spec.run, spec.folder, spec.artifacts, spec.collect)
        events = self._reader.read_on()
        if not self._has_ended and not (events and isinstance(events[-1], Ended)):
            own = self._last_word[1:]
            said = decode(own, self._spec.run) if own.endswith(b"\n") else None
            events.append(said or seal(self._spec.folder, self._spec.run, *self._cause(status), self._where())[-1])
        if events and isinstance(end := events[-1], Ended):
            events += self._corrections(end)
        if events:
            with contextlib.suppress(OSError):  # a host that is gone reads the journal, or nobody does
                self._host.send(Heard(tuple(events)))

    def _cause(self, status: int) -> tuple[Failure, str]:
        """What to write for a process that could not say itself how it ended."""
        if self._stop is not None:
            return self._stop.failure, self._stop.error
        if not self._fence.is_open():
            return Failure.LOST, SUPERSEDED
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return Failure.CRASHED, f"the process ended with status {code} before the task returned"
        if -code == signal.SIGKILL:
            return Kills.now().cause_since(self._kills)
        return Failure.CRASHED, f"the process died of signal {-code} ({signal.Signals(-code).name})"

    def _where(self) -> str | None:
        """The stacks that a fatal signal left."""
        text = os.pread(self._stacks.fileno(), _STACKS_KEPT, 0).decode(errors="replace")
        return "\n".join(line for line in text.splitlines() if not _NOT_THE_TASKS.search(line)).strip() or None


def _note(log: Path, text: str) -> None:
    with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"sweeper: {text}\n")
