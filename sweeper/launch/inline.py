"""Trials in this process, one at a time, on the main thread: breakpoints work, nothing is forked, no Ray is needed."""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import signal
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Self

from sweeper.launch import MANY, Slot, T
from sweeper.launch.prospect import Prospect
from sweeper.run import training
from sweeper.run.app import LoadedApp
from sweeper.run.child import log_path
from sweeper.run.cost import insisted
from sweeper.run.execute import end_before_start, execute
from sweeper.run.outcome import Interruption
from sweeper.run.patience import Patience
from sweeper.run.tee import copied_to
from sweeper.trial import Ended, Event, Failure, Started, TrialSpec

Work = Callable[[], None]
_AGAIN_S = 0.05  # until a signal that nobody has heard is sent again
_LOST_S = 2.0  # the same where what was raised has gone nowhere; code that hears it may take so long to go to its end
_LOOK_S = 1.0  # whether there is still anybody who answers
_HELD_S = 30.0  # the same where somebody holds on to it, as code does that catches everything and goes on


class InlineLauncher:
    """One slot, on the thread that calls `drive`; the loop itself runs on a thread beside it.

    `after_trial` is called on that same thread when a trial has ended, to set right what Hydra changed for it
    (the logging of the process).
    """

    def __init__(self, app: LoadedApp, after_trial: Work) -> None:
        self._app = app
        self._after_trial = after_trial
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()

    outlives_drivers = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def prospect(self) -> Prospect:
        return Prospect("the launching process", (), 0.0, 0.0, slots=1)

    def drive(self, main: Coroutine[Any, Any, T]) -> T:
        result: Future[T] = Future()
        break_off: Future[Callable[[], object]] = Future()

        async def driving() -> T:
            task = asyncio.ensure_future(main)
            break_off.set_result(partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
            return await task

        def loop() -> None:
            try:
                result.set_result(asyncio.run(driving()))
            except BaseException as error:  # whatever it is belongs to the caller of `drive`
                result.set_exception(error)
            finally:
                self._work.put(None)

        thread = threading.Thread(target=loop, name="sweeper-loop")
        before = signal.getsignal(signal.SIGUSR1)
        wrong: BaseException | None = None
        thread.start()
        while (work := self._work.get()) is not None:
            try:
                work()
            except BaseException as error:  # not of the task: nobody else would end the wait for it
                wrong = wrong or error
                with contextlib.suppress(RuntimeError):  # the loop has come to its end already
                    break_off.result()()
        thread.join()
        signal.signal(signal.SIGUSR1, before)  # not earlier: one may be on its way, and would end the process
        if wrong is not None:
            raise wrong
        return result.result()

    def orphaned(self, sweeps: Collection[str]) -> list[tuple[Slot, TrialSpec]]:
        return []

    def adopt(self, slots: Iterable[Slot]) -> None:
        pass  # there are none

    async def slots(self, further: Callable[[], int] = lambda: MANY) -> AsyncIterator[InlineSlot]:
        yield InlineSlot(self._app, self._work.put, self._after_trial)

    def resize(self, n_jobs: int) -> None:
        pass  # there is one main thread


class InlineSlot:
    """Hands trials to the main thread and hears their events on the loop."""

    def __init__(self, app: LoadedApp, submit: Callable[[Work], None], after_trial: Work) -> None:
        self._app = app
        self._submit = submit
        self._after_trial = after_trial
        self._answers: queue.SimpleQueue[tuple[int, bool]] = queue.SimpleQueue()
        self._stop: tuple[Failure, str] | None = None
        self._raised: Callable[[], Interruption | None] | None = None  # a weak reference to what was raised last
        self._raised_at = 0.0
        self._running = threading.Event()

    async def ready(self) -> None:
        pass

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        self._loop = loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()
        self._stop = self._raised = None
        self._answers = queue.SimpleQueue()  # there may be some that the last trial never asked for

        def hear(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the sweep has given the trial up, and its loop is closed
                loop.call_soon_threadsafe(events.put_nowait, event)

        patience = Patience(spec.limits, log_path(spec))
        self._submit(lambda: self._execute(spec, hear))
        while True:
            event = await self._next(events, patience)
            if isinstance(event, Ended):
                event = insisted(event, spec)
            yield (event,)
            if isinstance(event, Ended):
                return

    async def _next(self, events: asyncio.Queue[Event], patience: Patience) -> Event:
        """The next event; until it comes, the trial's time is watched."""
        while True:
            left_s = patience.until() - time.monotonic()
            try:
                async with asyncio.timeout(None if left_s == math.inf else max(0.0, left_s)):
                    event = await events.get()
            except TimeoutError:
                if (reason := patience.lost(time.monotonic())) is not None:
                    patience.end()
                    await self.stop(Failure.TIMEOUT, reason)
            else:
                if isinstance(event, Started):
                    patience.begin()
                patience.renew()
                return event

    async def answer(self, step: int, prune: bool) -> None:
        self._answers.put((step, prune))

    async def stop(self, failure: Failure, error: str) -> None:
        if self._stop is not None:
            return  # it has been told: a second interruption would hit what writes the first one down
        self._stop = (failure, error)
        self._signal()

    def _signal(self) -> None:
        """Interrupt the task; again and again, as one that begins to wait just when the signal comes sleeps on."""
        if self._running.is_set() and self._stop is not None:
            if self._may_interrupt():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            self._loop.call_later(_AGAIN_S, self._signal)

    def _may_interrupt(self) -> bool:
        """Whether the task is running, and nothing that was raised in it is on its way.

        That may be lost without a word: Python up to 3.11 drops what comes while it words an error (`int("x")`).
        """
        if training.current() is None:
            return False
        if self._raised is None:
            return True
        return time.monotonic() - self._raised_at >= (_LOST_S if self._raised() is None else _HELD_S)

    def forget(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def _execute(self, spec: TrialSpec, hear: Callable[[Event], None]) -> None:
        signal.signal(signal.SIGUSR1, self._interrupt)
        try:
            with copied_to(log_path(spec)), self._heard():
                self._running.set()
                if self._stop is None:
                    execute(spec, self._app, hear, self._judgement)
                else:  # it was told before there was anything to interrupt
                    end_before_start(spec, Interruption(*self._stop), hear)
        finally:
            self._running.clear()
            self._after_trial()

    def _interrupt(self, *_: object) -> None:
        run = training.current()
        if run is not None and self._may_interrupt():
            run.interrupt(self._raise)

    def _raise(self) -> None:
        if self._stop is not None:
            raise self._noted(Interruption(*self._stop))  # no name for it here: its traceback would keep it alive

    def _noted(self, interruption: Interruption) -> Interruption:
        self._raised, self._raised_at = weakref.ref(interruption), time.monotonic()
        return interruption

    @contextlib.contextmanager
    def _heard(self) -> Iterator[None]:
        """Interrupt once more where nobody hears it: what is raised while an object is destroyed, for one, is lost."""
        before = sys.unraisablehook

        def hook(lost: Any) -> None:
            if isinstance(lost.exc_value, Interruption):
                self._raised = None
            else:
                before(lost)

        sys.unraisablehook = hook
        try:
            yield
        finally:
            sys.unraisablehook = before

    def _judgement(self, step: int) -> bool:
        while not self._loop.is_closed():
            with contextlib.suppress(queue.Empty):
                answered, prune = self._answers.get(timeout=_LOOK_S)
                if answered >= step:
                    return prune
        return True  # the sweep has given the trial up: nobody answers any more
