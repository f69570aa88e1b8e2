"""Attempts that were given up because nothing was heard of them any more, and what they came to after all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sweeper.trial import Ended, Event, Failure, TrialSpec

Read = Callable[[TrialSpec], Sequence[Event]]  # all that a run has said, as far as it can be read from here

_NO_END_OF_ITS_OWN = {Failure.LOST, Failure.CRASHED, Failure.STOPPED, Failure.PREEMPTED}


@dataclass
class LostAttempts:
    """By trial number. What such an attempt finished is its trial's end only where no newer attempt has ended."""

    read: Read = lambda _: ()
    _specs: dict[int, list[TrialSpec]] = field(default_factory=dict)

    def add(self, spec: TrialSpec) -> None:
        """Nothing is heard of this attempt any more."""
        self._specs.setdefault(spec.number, []).append(spec)

    def words(self, number: int) -> Sequence[Event]:
        """What the lost attempts of a trial have said, on the whole; to put it on record twice changes nothing."""
        return [event for spec in self._specs.get(number, ()) for event in self.read(spec)]

    def forget(self, number: int) -> None:
        """The trial is over."""
        self._specs.pop(number, None)


def end_among(events: Sequence[Event]) -> Ended | None:
    """The last end in them that an attempt came to by itself."""
    ends = [event for event in events if isinstance(event, Ended) and event.failure not in _NO_END_OF_ITS_OWN]
    return ends[-1] if ends else None
