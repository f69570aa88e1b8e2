"""Simulated slots: they run a trial by a function of its params, on the loop's own thread, with nothing forked."""

from __future__ import annotations

import asyncio
import functools
import itertools
import tempfile
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.trial import TrialState

from sweeper.attempt import Attempts
from sweeper.brake import Brake
from sweeper.budget import Budget, Tally
from sweeper.launch import MANY, Slot, T
from sweeper.lost import LostAttempts
from sweeper.packing import Packing
from sweeper.record import Storage
from sweeper.study import Asked, AskTellStudy, Study
from sweeper.sweep import Sweep
from sweeper.trial import Ended, Event, Failure, Metered, ParamValue, Reported, Started, TrialSpec

Objective = Callable[[TrialSpec, "SimulatedSlot"], Awaitable[float]]


class Broke(Exception):
    """What an objective raises to end its attempt with this failure."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


class SimulatedSlot:
    def __init__(self, name: int, objective: Objective) -> None:
        self.name = name
        self.is_gone = False  # with its node, for ever
        self._objective = objective
        self._stopped = asyncio.Event()
        self._reports: asyncio.Queue[Event] = asyncio.Queue()
        self._answers: asyncio.Queue[tuple[int, bool]] = asyncio.Queue()
        self._failure: tuple[Failure, str] | None = None

    async def ready(self) -> None:
        if self.is_gone:
            await asyncio.Event().wait()

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self._stopped.clear()
        yield (Started(spec.run, 0, time.time(), "simulated", 1),)
        work = asyncio.ensure_future(self._objective(spec, self))
        stopped = asyncio.ensure_future(self._stopped.wait())
        while not work.done() and not stopped.done():
            report = asyncio.ensure_future(self._reports.get())
            await asyncio.wait([work, stopped, report], return_when=asyncio.FIRST_COMPLETED)
            if report.done():
                yield (report.result(),)
            else:
                report.cancel()
        yield (self._end(spec, work),)

    def _end(self, spec: TrialSpec, work: asyncio.Future[float]) -> Ended:
        if not work.done() and self._failure is not None:
            work.cancel()
            return Ended(spec.run, 9, time.time(), TrialState.FAIL, failure=self._failure[0], error=self._failure[1])
        try:
            return Ended(spec.run, 9, time.time(), TrialState.COMPLETE, values=(work.result(),))
        except optuna.TrialPruned:
            return Ended(spec.run, 9, time.time(), TrialState.PRUNED)
        except Broke as broke:
            return Ended(spec.run, 9, time.time(), TrialState.FAIL, failure=broke.failure, error="it broke")

    async def report(self, spec: TrialSpec, step: int, value: float) -> bool:
        """What training code does in one step: report, and wait for the pruner's word."""
        self._reports.put_nowait(Reported(spec.run, step + 1, time.time(), step, value))
        return (await self._answers.get())[1]

    def measure(self, spec: TrialSpec, seconds: int, peak: int) -> None:
        """What its card is seen to be used for, so long after its beginning."""
        self._reports.put_nowait(Metered(spec.run, 0, time.time(), seconds, {}, peak, "processes", 0.0, None))

    async def answer(self, step: int, prune: bool) -> None:
        self._answers.put_nowait((step, prune))

    async def close(self) -> None:
        pass

    def forget(self) -> None:
        pass

    async def stop(self, failure: Failure, error: str) -> None:
        self._failure = (failure, error)
        self._stopped.set()


class SimulatedLauncher:
    def __init__(self, slots: int, objective: Objective) -> None:
        self._count = slots
        self._resized = asyncio.Event()
        self._objective = objective

    outlives_drivers = False

    def orphaned(self, sweeps: Collection[str]) -> list[tuple[Slot, TrialSpec]]:
        return []

    def adopt(self, slots: Iterable[Slot]) -> None:
        raise AssertionError(f"{slots} cannot have outlived anybody")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    async def slots(self, further: Callable[[], int] = lambda: MANY) -> AsyncIterator[SimulatedSlot]:
        for name in itertools.count():
            while name >= self._count:
                self._resized.clear()
                await self._resized.wait()
            yield SimulatedSlot(name, self._objective)

    def resize(self, n_jobs: int) -> None:
        self._count = n_jobs
        self._resized.set()


@dataclass
class Notebook:
    """A record and a watcher that keep what they are told."""

    runs: list[TrialSpec] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0

    def run_opened(self, sweep: str, spec: TrialSpec) -> Future[None]:
        self.runs.append(spec)
        return _done()

    def run_adopted(self, sweep: str, run: str) -> Future[None]:
        return _done()

    def heard(self, *told: Any) -> Future[None]:
        if len(told) == 1:  # as a record; as a watcher it hears (spec, event)
            self.events += told[0]
        return _done()

    heard_soon = heard

    def hurry(self) -> None:
        pass

    def opened(self, spec: TrialSpec) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)

    def told(self, spec: TrialSpec, ended: Ended) -> None:
        self.busy -= 1

    def slots(self, total: int) -> None:
        pass

    def notice(self, text: str) -> None:
        self.notices.append(text)


def _done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


def spec_of(asked: Asked) -> TrialSpec:
    """A spec without a config: simulated slots need none."""
    return TrialSpec(
        "simulated",
        asked.number,
        f"{asked.number:030d}{asked.attempt:02d}",
        asked.attempt,
        asked.params,
        (),
        {},
        b"",
        b"",
        "/",
        0,
    )


@functools.cache
def _template() -> bytes:
    """A database of our schema with nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        Storage(f"sqlite:///{folder}/empty.db").close()
        return Path(folder, "empty.db").read_bytes()


def fresh_storage() -> Storage:
    """A storage in a file of its own, gone with it."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "study.db")
    path.write_bytes(_template())
    storage = Storage(f"sqlite:///{path}")
    weakref.finalize(storage, folder.cleanup)
    return storage


@dataclass
class Simulation:
    """A sweep over x in [0, 1] with simulated slots and Optuna's in-memory storage."""

    objective: Objective
    slots: int = 2
    n_trials: int = 10
    budget: Budget = field(default_factory=Budget)
    spec: Callable[[Asked], TrialSpec] = spec_of
    brake: Brake = field(default_factory=Brake)
    attempts: Attempts = field(default_factory=Attempts)
    notebook: Notebook = field(default_factory=Notebook)
    storage: Storage = field(default_factory=fresh_storage)
    pruner: optuna.pruners.BasePruner = field(default_factory=optuna.pruners.NopPruner)
    lost: LostAttempts = field(default_factory=LostAttempts)
    packing: Packing = field(default_factory=Packing)
    suggested: Callable[[], None] = lambda: None  # called in the middle of each ask

    def run(self) -> AskTellStudy:
        """Run the sweep to its end; running again goes on with the same study."""
        optuna.create_study(study_name="simulated", storage=self.storage, load_if_exists=True)
        stored = AskTellStudy("simulated", self.storage, optuna.samplers.RandomSampler(), self.pruner, seed=0)
        study = Study(stored, self._suggest, self.n_trials)
        launcher = SimulatedLauncher(self.slots, self.objective)
        sweep = Sweep(
            "sweep",
            study,
            launcher,
            self.notebook,
            self.spec,
            Tally(self.budget, False),
            self.notebook,
            self.brake,
            self.attempts,
            self.lost,
            packing=self.packing,
        )
        try:
            launcher.drive(sweep.conduct())
        finally:
            study.close()
        return stored

    def _suggest(self, trial: optuna.Trial) -> dict[str, ParamValue]:
        self.suggested()
        return {"x": trial.suggest_float("x", 0, 1)}


def states(study: AskTellStudy) -> Sequence[str]:
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]
