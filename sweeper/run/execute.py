"""Run one trial in this process, from its composed config to its written end."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from omegaconf import DictConfig

from sweeper.config.recipe import Recipe
from sweeper.provenance.artifact import Kept
from sweeper.provenance.capture import Facts
from sweeper.provenance.secret import masked_text
from sweeper.run import job, seed, training, veil
from sweeper.run.app import LoadedApp
from sweeper.run.collect import Collection, saved, used
from sweeper.run.cost import filled
from sweeper.run.fence import Fence
from sweeper.run.journal import Journal, journal_path
from sweeper.run.outcome import Interruption, Outcome, of_exception, of_return
from sweeper.trial import Captured, Ended, Event, Looked, Measured, Reported, Started, TrialSpec, Used

_LOOK_EVERY_S = 0.5  # at the fence: a process that was paused finds it later than that
Judge = Callable[[int], bool]  # step of the last report -> whether to prune; waits for the driver's word
Bell = Callable[[Event], None]  # says that the journal has grown by this event


class JournalledRun:
    """The run that training code speaks to: each call is an event in the journal first, then a ring of the bell."""

    def __init__(self, spec: TrialSpec, ring: Bell, judge: Judge) -> None:
        self.folder = Path(spec.folder)
        self._fence = Fence(spec.trial_folder or spec.folder, spec.attempt)
        self._looked_at = 0.0  # when the fence was last looked at
        self._spec = spec
        self._ring = ring
        self._judge = judge
        self._journal = Journal(journal_path(spec.folder, spec.run))
        self._seq = 0
        self._is_writing = False
        self._then: Callable[[], None] | None = None  # once it has written
        self._last_step: int | None = None
        self._collection = Collection(spec.run, spec.folder, spec.artifacts, spec.collect)
        self._began = time.monotonic()

    @property
    def trial_folder(self) -> Path:
        self._fence.insist()
        return Path(self._spec.trial_folder or self._spec.folder)

    def started(self) -> None:
        held = None if self._spec.resources is None else self._spec.resources.gpus
        self._append(Started(self._spec.run, self._seq, time.time(), socket.gethostname(), os.getpid(), held))

    def captured(self, moment: str, facts: Facts) -> None:
        """Say what the run is made of, at its `start` or `end`."""
        found = {field.name: getattr(facts, field.name) for field in fields(facts)}
        with contextlib.suppress(OSError):  # a disk that has no room must not be what the trial failed of
            self._append(Captured(self._spec.run, self._seq, time.time(), moment, **found))

    def measured(self, step: int, metrics: Mapping[str, float]) -> None:
        self._append(Measured(self._spec.run, self._seq, time.time(), step, metrics))

    def reported(self, step: int, value: float) -> None:
        self._append(Reported(self._spec.run, self._seq, time.time(), step, value))
        self._last_step = step

    def tested(self, step: int | None, metrics: Mapping[str, float]) -> None:
        self._append(Looked(self._spec.run, self._seq, time.time(), step, metrics))

    def saved(self, path: Path, kind: str | None, name: str | None) -> list[Kept]:
        if not self._spec.artifacts:
            return []
        found = []
        for kept in self._collection.save(path, kind, name):
            self._append(saved(self._spec.run, self._seq, kept))
            found.append(kept)
        return found

    def used(self, place: str, name: str) -> Used:
        event = used(self._spec, self._seq, place, name)
        self._append(event)
        return event

    def should_prune(self) -> bool:
        return self._last_step is not None and self._judge(self._last_step)

    def ended(self, outcome: Outcome) -> Ended:
        """Keep the run's files and write the last event.

        A run that is pruned keeps the values it reported; it has none of its own.
        """
        runtime_s = time.monotonic() - self._began
        self._collect()
        event = Ended(
            run=self._spec.run,
            seq=self._seq,
            time=time.time(),
            state=outcome.state,
            values=outcome.values,
            failure=outcome.failure,
            error=None if outcome.error is None else masked_text(outcome.error),
            traceback=None if outcome.traceback is None else masked_text(outcome.traceback),
            runtime_s=runtime_s,
            peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            metrics=outcome.metrics or {},
        )
        event = filled(event, self._spec)
        with contextlib.suppress(OSError):  # no room on the disk: the bell brings the end itself
            self._journal.append(event)
        self._ring(event)
        self._journal.close()
        return event

    def _collect(self) -> None:
        with contextlib.suppress(OSError, Interruption):  # no room for the event, or it is not this attempt's to write
            for kept in self._collection.at_end():
                self._append(saved(self._spec.run, self._seq, kept))

    def interrupt(self, interruption: Callable[[], None]) -> None:
        if self._is_writing:
            self._then = interruption
        else:
            interruption()

    def _append(self, event: Event) -> None:
        self._is_writing = True
        try:
            if (now := time.monotonic()) - self._looked_at > _LOOK_EVERY_S:
                self._fence.insist()
                self._looked_at = now
            self._journal.append(event)
            self._seq += 1
            self._ring(event)
        finally:
            self._is_writing = False
            then, self._then = self._then, None
            if then is not None:  # also where nothing could be written: it is not for a later event
                then()


def execute(spec: TrialSpec, app: LoadedApp, ring: Bell, judge: Judge, template: job.Template | None = None) -> Ended:
    """Run the user's task as Hydra's own launchers would, and return (and journal) how it ended.

    `template` is what was made of the spec's base beforehand, for this process alone.
    """
    try:
        run = JournalledRun(spec, ring, judge)
    except OSError as error:  # a full disk, a folder that cannot be written
        return _unwritten(spec, error, ring)
    os.environ.update(identity(spec))
    if spec.seed is not None:
        seed.seed_everything(spec.seed)
    with veil.drawn(run.folder):
        outcome = _outcome(spec, app, run, template)
    return run.ended(outcome)


def end_before_start(spec: TrialSpec, error: BaseException, ring: Bell) -> Ended:
    """Write down that the task could not even be called."""
    try:
        run = JournalledRun(spec, ring, lambda _: False)
    except OSError:
        return _unwritten(spec, error, ring)
    return run.ended(of_exception(error))


def _unwritten(spec: TrialSpec, error: BaseException, ring: Bell) -> Ended:
    outcome = of_exception(error)
    end = Ended(
        run=spec.run,
        seq=0,
        time=time.time(),
        state=outcome.state,
        failure=outcome.failure,
        error=outcome.error,
        traceback=outcome.traceback,
    )
    ring(end)
    return end


def identity(spec: TrialSpec) -> dict[str, str]:
    """Which run this is, as environment variables for subprocesses of the training code."""
    return {
        "SWEEPER_STUDY": spec.study,
        "SWEEPER_TRIAL": str(spec.number),
        "SWEEPER_RUN": spec.run,
        "SWEEPER_ATTEMPT": str(spec.attempt),
        **spec.variables,
    }


def _outcome(spec: TrialSpec, app: LoadedApp, run: JournalledRun, template: job.Template | None) -> Outcome:
    def task(cfg: DictConfig) -> object:
        run.started()
        facts = app.capture.at_start(seed.seeds())
        run.captured("start", facts)
        app.capture.heard(facts.environment)
        try:
            return app.task(cfg)
        finally:
            run.captured("end", app.capture.at_end(seed.seeds()))

    try:
        recipe: Recipe = pickle.loads(spec.payload)
        own = template or job.Template.of(spec.base)
        training.enter(run)
        returned = job.run(task, recipe, own, Path(spec.folder), app.callbacks)
        training.enter(None)
    except BaseException as error:  # sys.exit and Ctrl-C in training code are ends like any other, to be written down
        training.enter(None)
        return of_exception(error)
    return of_return(returned, spec)
