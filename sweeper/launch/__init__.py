"""Where trials run. A launcher offers slots; a slot runs one trial after another and says what it hears of them.

`inline` runs trials in this process, `ray` in processes of their own on a Ray cluster. Both pass the same contract
(tests/contracts/launcher.py); the loop in `sweeper.sweep` knows these two protocols and nothing else of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable
from typing import Any, Protocol, Self, TypeVar

from sweeper.trial import Event, Failure, TrialSpec

T = TypeVar("T")
MANY = 1_000_000  # trials: more than run at once anywhere


class Slot(Protocol):
    """A share of some machine that runs one trial at a time."""

    async def ready(self) -> None:
        """Wait until it can take a trial: a slot that was lost with its node waits for another place."""
        ...

    def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        """Run one trial; yields its events in batches as they come, the last event of the last batch being `Ended`."""
        ...

    async def answer(self, step: int, prune: bool) -> None:
        """Pass the pruner's word on the report at `step` to the running trial."""
        ...

    async def stop(self, failure: Failure, error: str) -> None:
        """End the running trial; its `Ended`, with this failure, still comes through `run`."""
        ...

    def forget(self) -> None:
        """Let go of the trial that it held when it was found."""
        ...

    async def close(self) -> None:
        """Give back what it holds; it runs no further trial."""
        ...


class Launcher(Protocol):
    """Offers slots for as long as it is entered as a context."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    @property
    def outlives_drivers(self) -> bool:
        """Whether its slots, and the trials in them, go on when the driver dies."""
        ...

    def orphaned(self, sweeps: Collection[str]) -> list[tuple[Slot, TrialSpec]]:
        """The slots that hold trials of these sweeps, whose drivers are gone; idle ones are given back.

        `run` with that trial's spec hears it from its first event on.
        """
        ...

    def adopt(self, slots: Iterable[Slot]) -> None:
        """Take over slots that were orphaned; `slots` offers them too."""
        ...

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        """Run the loop to its end on the thread that suits the launcher, and return what it returns."""
        ...

    def slots(self, further: Callable[[], int] = lambda: MANY) -> AsyncIterator[Slot]:
        """Every slot that the sweep may use, each as soon as it can take a trial; those of `resize` as well.

        `further` says how many more trials there are to begin: what none of them needs is other sweeps'.
        """
        ...

    def resize(self, n_jobs: int) -> None:
        """Offer so many slots from now on, where there is room. Too many are closed by whoever has them."""
        ...
