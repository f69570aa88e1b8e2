"""Attempts that were given up because nothing was heard of them any more, and what they came to after all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sweeper.trial import Ended, Event, Failure


class Attempt(Protocol):
    """One that was given up."""

    @property
    def number(self) -> int: ...
    @property
    def run(self) -> str: ...
    @property
    def folder(self) -> str: ...


Read = Callable[[Attempt], Sequence[Event]]  # all that a run has said, as far as it can be read from here

_NO_END_OF_ITS_OWN = {Failure.LOST, Failure.CRASHED, Failure.STOPPED, Failure.PREEMPTED}


@dataclass
class LostAttempts:
    """By trial number. What such an attempt finished is its trial's end only where no newer attempt has ended."""

    read: Read = lambda _: ()
    _attempts: dict[int, list[Attempt]] = field(default_factory=dict)

    def add(self, attempt: Attempt) -> None:
        """Nothing is heard of this attempt any more."""
        self._attempts.setdefault(attempt.number, []).append(attempt)

    def numbers(self) -> list[int]:
        """The trials that have such attempts and are not over."""
        return list(self._attempts)

    def words(self, number: int) -> Sequence[Event]:
        """What the lost attempts of a trial have said, on the whole; to put it on record twice changes nothing."""
        return [event for attempt in self._attempts.get(number, ()) for event in self.read(attempt)]

    def forget(self, number: int) -> None:
        """The trial is over."""
        self._attempts.pop(number, None)


def end_among(events: Sequence[Event]) -> Ended | None:
    """The last end in them that an attempt came to by itself."""
    ends = [event for event in events if isinstance(event, Ended) and event.failure not in _NO_END_OF_ITS_OWN]
    return ends[-1] if ends else None
