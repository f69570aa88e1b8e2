"""Trials' processes forked from one that has imported the app; the next one waits before its trial is known.

While the driver takes a trial's end and chooses the next, the slot's core has nothing to do: the fork, and the first
pages that a new process copies, cost nobody any time then. The process that waits gets its trial, and what ties it to
its parent, through a socket of its own.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO

from sweeper.run import pages
from sweeper.run.app import App
from sweeper.run.message import Ready
from sweeper.run.zygote import BASE, FORK, HEARD, MOST_BASES, NUMBER, ORDER, WAIT, be_the_zygote
from sweeper.trial import Captured, Event, TrialSpec


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A process that waits for its trial."""

    pid: int
    line: socket.socket
    latest: int  # number of the last base that it knows

    def take(self, spec: TrialSpec, base: int, bell: socket.socket, stacks: BinaryIO) -> bool:
        """Hand it its trial, whose base has this number; False where somebody has killed it meanwhile."""
        if not max(0, self.latest - MOST_BASES) < base <= self.latest:
            base = 0
        payload = pickle.dumps((base, replace(spec, base=b"") if base else spec))
        with self.line as line:
            try:
                socket.send_fds(line, [NUMBER.pack(len(payload))], [bell.fileno(), stacks.fileno()])
                line.sendall(payload)
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True


class Forks:
    """The processes of one app's trials, and the zygote that forks them. Methods raise EOFError once that is gone."""

    def __init__(self, app: App, closing: Iterable[Callable[[], None]] = ()) -> None:
        """`closing` closes in the zygote what this process alone is to have open."""
        self._orders, theirs = socket.socketpair()
        supervisor = os.getpid()
        pages.round_up()
        zygote = os.fork()
        if zygote == 0:
            be_the_zygote(theirs, app, supervisor, (self._orders.close, *closing))
        theirs.close()
        self.lasting = frozenset({zygote})
        self._next: _Waiting | None = None
        self._bases: dict[bytes, tuple[int, int]] = {}  # how many trials had it, and its number, from 1
        self._latest = 0  # that has a number
        self._said: set[str] = set()  # environments

    def ready(self) -> Ready:
        """What the zygote says once it has imported the app, or cannot."""
        try:
            (length,) = NUMBER.unpack(self._received(NUMBER.size))
            message: Ready = pickle.loads(self._received(length))
        except EOFError:
            return self._ended()
        return message

    def prepare(self) -> None:
        """Have the process of the next trial forked."""
        if self._next is None:
            self._next = self._forked()

    def start(self, spec: TrialSpec, bell: socket.socket, stacks: BinaryIO) -> int:
        """Give a trial the process that waits, or a new one; returns its id."""
        base = self._number_of(spec.base)
        waiting, self._next = self._next, None
        if waiting is not None:
            if waiting.take(spec, base, bell, stacks):
                return waiting.pid
            self.wait(waiting.pid)
        new = self._forked()
        new.take(spec, base, bell, stacks)  # if it has died already, that is how the trial ends
        return new.pid

    def wait(self, pid: int) -> int:
        """The exit status of a trial's process that has ended, or is about to, as `os.waitpid` has it."""
        self._order(WAIT, pid)
        return self._answer()

    def heed(self, event: Event) -> None:
        """Trials forked from now on need only name the environment that has reached the record whole."""
        if isinstance(event, Captured) and event.environment not in self._said:
            self._said.add(event.environment)
            said = event.environment.encode()
            self._order(HEARD, len(said), said)

    def _ended(self) -> Ready:
        (zygote,) = self.lasting
        code = os.waitstatus_to_exitcode(os.waitpid(zygote, 0)[1])
        how = f"died of signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with status {code}"
        return Ready(error=f"the process that imports it {how}", is_killed=code == -signal.SIGKILL)

    def _number_of(self, base: bytes) -> int:
        """By what the zygote knows a base; 0 where it does not.

        The second trial of a base says that there will be more: what these share is then made once for all.
        """
        count, number = self._bases.pop(base, (0, 0))
        if count == 1 or 0 < number <= self._latest - MOST_BASES:
            self._order(BASE, len(base), base)
            number = self._latest = self._latest + 1
        self._bases[base] = (count + 1, number)
        if len(self._bases) > MOST_BASES:
            del self._bases[next(iter(self._bases))]
        return number

    def _forked(self) -> _Waiting:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._order(FORK, 0, descriptors=(theirs.fileno(),))
            return _Waiting(self._answer(), ours, self._latest)
        except EOFError:
            ours.close()
            raise

    def _order(self, word: bytes, number: int, said: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        try:
            socket.send_fds(self._orders, [ORDER.pack(word, number)], descriptors)
            self._orders.sendall(said)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EOFError from error

    def _answer(self) -> int:
        (number,) = NUMBER.unpack(self._received(NUMBER.size))
        return int(number)

    def _received(self, size: int) -> bytes:
        try:
            found = self._orders.recv(size, socket.MSG_WAITALL)
        except ConnectionResetError as error:
            raise EOFError from error
        if len(found) < size:
            raise EOFError
        return found
