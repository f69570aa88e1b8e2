"""Signals while a sweep is launched: before and after the loop they break off, in the loop they pull its brake."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator

from sweeper.brake import Brake
from sweeper.errors import Interrupted

_HEEDED = (signal.SIGINT, signal.SIGTERM)  # also where the process was started with one of them ignored
_ENDING_S = 5.0  # what an end may take: until then, to ask for it again changes nothing


class Interruption:
    """What Ctrl-C and SIGTERM do at the moment."""

    def __init__(self) -> None:
        self._brake: Brake | None = None
        self._hurry: Callable[[], None] = lambda: None
        self._ending_since: float | None = None
        self._signal: int | None = None  # the last that was to end it

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Answer to both signals, from now on and until this ends: with Interrupted, unless there is a brake."""
        before = {number: signal.signal(number, self._come) for number in _HEEDED}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def hurries(self, hurry: Callable[[], None]) -> None:
        """From now on, who is interrupted has little time left, and this says so to who would take more."""
        self._hurry = hurry

    @contextlib.contextmanager
    def pulling(self, brake: Brake) -> Iterator[None]:
        """While this lasts, Ctrl-C pulls the brake, and SIGTERM pulls it all the way.

        So does a signal that came before and whose Interrupted went nowhere: what is raised while an object is
        destroyed, for one, only gets printed.
        """
        self._brake = brake
        if self._signal is not None:
            brake.stop(self._signal)
        try:
            yield
        finally:
            self._brake = None

    def _come(self, number: int, _: object) -> None:
        now = time.monotonic()
        if self._ending_since is not None and now < self._ending_since + _ENDING_S:
            return
        if self._brake is not None and number == signal.SIGINT and not self._brake.is_draining:
            self._brake.drain(number)
            return
        self._ending_since, self._signal = now, number
        self._hurry()
        if self._brake is None:
            raise Interrupted(number)
        self._brake.stop(number)
