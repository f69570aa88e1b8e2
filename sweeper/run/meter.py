"""Measures what a trial's cards do while it runs: a process beside the trial's, so that a driver that hangs holds up
nobody. Where a machine has no driver, or a slot sees no card, there is no such process, and a trial costs nothing more.

It is forked before the app is imported, waits while no trial runs, and measures often at first, then every 2 seconds:
frameworks keep the memory that they once had, so little is missed, and 8 slots together take under 1% of a core.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeper import nvml
from sweeper.run.process import MARKER, die_with

_SOONEST_S, _SLOWER, _LATEST_S = 0.1, 1.5, 2.0  # between two measurements
_MOST_READ = 1 << 20  # bytes at once
_WITHOUT_CUDA = ("", "-1")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the cards that a trial can see, all taken together."""

    trial: int  # by the order in which they began
    time: float  # of the monotonic clock
    memory: int | None  # bytes of the trial's own processes; None where the driver does not tell of any
    memory_of_cards: int  # bytes in use, whoever uses them
    utilization: float | None  # mean share
    power_w: float | None
    energy_j: float | None
    temperature_c: float | None  # of the hottest


class Meter:
    """The end of it that the supervisor holds."""

    def __init__(self) -> None:
        self._trial = 0
        self._rest = b""
        self._socket, theirs = socket.socketpair()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _serve(theirs, parent)
        theirs.close()
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def begin(self) -> None:
        """A trial is about to run."""
        self._trial += 1
        self._order(self._trial)

    def end(self) -> None:
        """It has ended."""
        self._order(0)

    def read(self) -> list[Sample]:
        """What has been measured of the present trial since the last call. EOFError where nobody measures any more."""
        try:
            more = self._socket.recv(_MOST_READ)
        except BlockingIOError:
            return []
        except OSError as error:
            raise EOFError from error
        if not more:
            raise EOFError
        *lines, self._rest = (self._rest + more).split(b"\n")
        samples = [Sample(**json.loads(line)) for line in lines]
        return [sample for sample in samples if sample.trial == self._trial]

    def _order(self, trial: int) -> None:
        with contextlib.suppress(OSError):  # it is gone, or hangs in the driver and has been told often enough
            self._socket.send(b"%d\n" % trial)


def started() -> Meter | None:
    """A meter, where there is anything to measure."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in _WITHOUT_CUDA or not nvml.is_present():
        return None
    return Meter()


def _serve(orders: socket.socket, parent: int) -> None:
    """Be the process that measures; never returns."""
    try:
        die_with(parent)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with nvml.session() as library:
            while text := orders.recv(_MOST_READ):
                trial = _last(text)
                if trial:
                    _measure(library, orders, trial)
    finally:
        os._exit(0)


def _last(text: bytes) -> int:
    return int(text.split()[-1])


def _measure(library: object, orders: socket.socket, trial: int) -> None:
    """Until there is another order, which is left for the caller."""
    pause_s = _SOONEST_S
    while True:
        began = time.monotonic()
        with contextlib.suppress(Exception):  # a card that does not answer now may do so later
            found = nvml.seen(nvml.cards(library))
            if found:
                orders.sendall(json.dumps(asdict(_sample(trial, found))).encode() + b"\n")
        if select.select([orders], [], [], max(0.0, began + pause_s - time.monotonic()))[0]:
            return
        pause_s = min(_LATEST_S, pause_s * _SLOWER)


def _sample(trial: int, cards: Sequence[nvml.Card]) -> Sample:
    own = [process.memory for card in cards for process in card.processes if _is_ours(process.pid)]
    told = [memory for memory in own if memory is not None]
    return Sample(
        trial=trial,
        time=time.monotonic(),
        memory=sum(told) if told else None,
        memory_of_cards=sum(card.memory_used for card in cards),
        utilization=_mean(card.utilization for card in cards),
        power_w=_sum(card.power_w for card in cards),
        energy_j=_sum(card.energy_j for card in cards),
        temperature_c=max((card.temperature_c for card in cards if card.temperature_c is not None), default=None),
    )


def _is_ours(pid: int) -> bool:
    """Whether a process is below this slot: all that is carries the slot's marker in its environment."""
    mark = f"{MARKER}={os.environ.get(MARKER)}".encode()
    with contextlib.suppress(OSError):
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _sum(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
