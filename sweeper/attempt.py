"""The attempts of a trial: how long each may run, and after which ends there is another one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field

from sweeper.config.duration import seconds
from sweeper.config.settings import Trial as Settings
from sweeper.errors import ConfigError
from sweeper.launch.health import is_of_the_hardware
from sweeper.trial import Ended, Failure, Isolation, Limits

# a stopped trial is in line again, or is not to be; a preempted one always is
_RETRIED = frozenset(Failure) - {Failure.STOPPED, Failure.PREEMPTED}


@dataclass(frozen=True, slots=True)
class Attempts:
    """What `hydra.sweeper.trial` says."""

    limits: Limits = field(default_factory=Limits)
    isolation: Isolation = Isolation.PROCESS
    retries: int = 0
    retry_on: frozenset[Failure] = frozenset({Failure.CRASHED, Failure.LOST})

    @classmethod
    def of(cls, settings: Settings) -> Attempts:
        """Read `hydra.sweeper.trial`. Raises ConfigError naming each key that cannot be meant."""
        problems = list(_problems(settings))
        if problems:
            raise ConfigError("\n".join(problems))
        return cls(
            limits=Limits(
                timeout_s=_duration(settings.timeout, "timeout"),
                silence_s=_duration(settings.silence, "silence"),
                grace_s=_duration(settings.grace, "grace") or 0.0,
            ),
            isolation=Isolation(settings.isolation),
            retries=settings.retries,
            retry_on=frozenset(map(Failure, settings.retry_on)),
        )

    def retries_after(self, ended: Ended, retried: int) -> bool:
        """Whether a trial that ended so, and was tried again `retried` times for such an end, is tried again.

        What was the fault of the machine is none of the trial's, whatever kind of failure it looks like.
        """
        return retried < self.retries and (ended.failure in self.retry_on or is_of_the_hardware(ended))


def _problems(settings: Settings) -> Iterator[str]:
    for name in ("timeout", "silence", "grace"):
        try:
            _duration(getattr(settings, name), name)
        except ConfigError as error:
            yield str(error)
    if settings.retries < 0:
        yield f"hydra.sweeper.trial.retries is {settings.retries}; it must be 0 or more"
    allowed = sorted(_RETRIED)
    for kind in settings.retry_on:
        if kind not in _RETRIED:
            near = difflib.get_close_matches(kind, allowed, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            yield f"hydra.sweeper.trial.retry_on has {kind!r}; {hint}the failure kinds are {', '.join(allowed)}"
    if settings.isolation not in set(Isolation):
        yield (
            f"hydra.sweeper.trial.isolation is {settings.isolation!r}; it must be process (a fork of a process that "
            "has imported the app) or spawn (a fresh interpreter for each trial)"
        )


def _duration(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    if name == "grace" and str(text).strip() in {"0", "0s"}:
        return 0.0
    return seconds(text, f"hydra.sweeper.trial.{name}")
