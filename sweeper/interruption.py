"""Signals while a sweep is launched: before the loop they break off, in the loop they pull its brake."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from sweeper.brake import Brake
from sweeper.errors import Interrupted

_HEEDED = (signal.SIGINT, signal.SIGTERM)  # also where the process was started with one of them ignored


class Interruption:
    """What Ctrl-C and SIGTERM do at the moment."""

    def __init__(self) -> None:
        self._brake: Brake | None = None

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Answer to both signals, from now on and until this ends: with Interrupted, unless there is a brake."""
        before = {number: signal.signal(number, self._come) for number in _HEEDED}
        try:
            yield
        except SystemExit as left:
            if left.code == signal.SIGTERM:  # Ray, while it starts, answers SIGTERM in its own way
                raise Interrupted(signal.SIGTERM) from left
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def pulling(self, brake: Brake) -> Iterator[None]:
        """While this lasts, Ctrl-C pulls the brake, and SIGTERM pulls it all the way."""
        self._brake = brake
        for number in _HEEDED:
            signal.signal(number, self._come)  # Ray has put handlers of its own in their place
        try:
            yield
        finally:
            self._brake = None

    def _come(self, number: int, _: object) -> None:
        if self._brake is None:
            raise Interrupted(number)
        if number == signal.SIGTERM:
            self._brake.stop(number)
        else:
            self._brake.pull(number)
