"""How long a trial may go on: its timeout, and how long it may be silent."""

from __future__ import annotations

import math
import time
from pathlib import Path

from sweeper.trial import Limits

_START_S = 600.0  # for imports and callbacks before the task is called, which no limit of the task's counts
_LOOKS = 4  # at the log, within the longest silence allowed


class Patience:
    """The patience with one trial, by a clock that no change of the time of day can bend."""

    def __init__(self, limits: Limits, log: Path) -> None:
        self._limits = limits
        self._log = log
        self._size = 0
        self._has_begun = False
        is_limited = limits.timeout_s is not None or limits.silence_s is not None
        self._timeout_at = time.monotonic() + _START_S if is_limited else math.inf
        self._sign_at = 0.0  # the last sign of life
        self._look_every = (limits.silence_s or math.inf) / _LOOKS
        self._look_at = math.inf

    def begin(self) -> None:
        """The task is called: its time counts from now on."""
        self._has_begun = True
        now = self._sign_at = time.monotonic()
        self._timeout_at = now + (self._limits.timeout_s or math.inf)
        self._look_at = now + self._look_every

    def renew(self) -> None:
        """The trial has said something."""
        self._sign_at = time.monotonic()

    def end(self) -> None:
        """Nothing is waited for any more."""
        self._timeout_at = self._look_at = math.inf

    def until(self) -> float:
        """When to ask again whether the patience is lost, by time.monotonic."""
        return min(self._timeout_at, self._look_at)

    def lost(self, now: float) -> str | None:
        """Why the trial is to be ended; None while it is not."""
        if now >= self._timeout_at and not self._has_begun:
            return f"hung for {_START_S:g} s before the task was called"
        if now >= self._timeout_at:
            return f"ran longer than hydra.sweeper.trial.timeout, {self._limits.timeout_s:g} s"
        if now >= self._look_at:
            self._look_at = now + self._look_every
            if (size := self._log_size()) != self._size:
                self._size, self._sign_at = size, now
            elif now - self._sign_at >= (self._limits.silence_s or math.inf):
                return (
                    f"hung: logged, reported and printed nothing for {self._limits.silence_s:g} s, "
                    "hydra.sweeper.trial.silence"
                )
        return None

    def _log_size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0
