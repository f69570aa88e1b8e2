"""What a running trial will need, told by how the memory of those grew that have ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Params = Mapping[str, object]

_GUESS = 1.25  # times what a trial has, for its first validation: what it needs, as long as nothing is known
_LEAST = 4  # trials that have ended before these tell of others
_MOST = 200  # of the latest, that tell
_FEW = 0.02  # of trials: so many may grow more than is foreseen
_SETTLED_S = 30.0  # into a trial, before it is said of it that it has stopped growing


@dataclass
class Course:
    """The memory of one trial, over the seconds since it began."""

    params: Params
    now_s: float = 0.0
    _rises: list[tuple[float, int]] = field(default_factory=list)  # when its peak rose, and to how many bytes

    def see(self, now_s: float, peak: int) -> None:
        self.now_s = now_s
        if peak > self.peak:
            self._rises.append((now_s, peak))

    @property
    def peak(self) -> int:
        """Bytes so far; 0 as long as nothing was seen."""
        return self._rises[-1][1] if self._rises else 0

    def at(self, second: float) -> int:
        """What its peak was by then."""
        return next((peak for rose_s, peak in reversed(self._rises) if rose_s <= second), 0)

    @property
    def is_steady(self) -> bool:
        """Whether it has not grown for half of its time."""
        return bool(self._rises) and self.now_s >= max(_SETTLED_S, 2 * self._rises[-1][0])

    @property
    def is_young(self) -> bool:
        """Whether it is too early for it to be steady."""
        return self.now_s < _SETTLED_S


@dataclass
class Growth:
    """How much the trials of one sweep grow after any moment of theirs."""

    _ended: list[tuple[Course, int]] = field(default_factory=list)  # with the peak that they came to
    _lasted_s: float = 0.0  # as long as that some of them did
    _factors: dict[int, float] = field(default_factory=dict)  # by the second

    @property
    def is_known(self) -> bool:
        return len(self._ended) >= _LEAST

    def learn(self, course: Course, peak: int) -> None:
        """Take note of a trial that has ended, and of what it had at its peak."""
        self._ended = [*self._ended[1 - _MOST :], (course, max(peak, course.peak))]
        self._lasted_s = sorted(course.now_s for course, _ in self._ended)[-_LEAST:][0]
        self._factors.clear()

    def needs(self, course: Course) -> int:
        """Bytes that a running trial may come to."""
        return int(course.peak * self._factor(int(min(course.now_s, self._lasted_s))))

    def _factor(self, second: int) -> float:
        """Times what a trial has at that second, but for a few trials."""
        if not self.is_known:
            return _GUESS
        if second not in self._factors:
            had = [(peak, course.at(second)) for course, peak in self._ended if course.now_s >= second]
            grew = sorted(peak / then for peak, then in had if then)  # others had not come to their card by then
            self._factors[second] = grew[math.ceil((1 - _FEW) * len(grew)) - 1] if grew else _GUESS
        return self._factors[second]
