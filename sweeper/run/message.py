"""What supervisor and host say to each other, besides the app and the specs of trials; how a trial rings its bell."""

from __future__ import annotations

from dataclasses import dataclass

from sweeper.trial import Event, Failure

LINGER_S = 0.02  # a ring speaks for all that is written so long after it: its hearer reads no earlier


@dataclass(frozen=True, slots=True)
class Ready:
    """The app is imported."""

    error: str | None = None  # or why it is not
    is_killed: bool = False  # and that is no fault of the app's: the process that imported it got SIGKILL
    unforkable: str | None = None  # why a process that has imported it cannot be forked


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
