"""A run of an app without a sweep, recorded in the process that the user started: `python train.py`.

`@sweeper.main` and the Hydra callback `hydra/callbacks: sweeper` both come here. Inside a sweep they do nothing: the
sweep records its trials itself.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState

from sweeper.config.resolve import resolve
from sweeper.config.settings import DEFAULT_ARTIFACTS, DEFAULT_STORAGE, Snapshot
from sweeper.errors import SweeperError
from sweeper.history.connection import shown
from sweeper.lone import LoneRun, Origin, Point, launched
from sweeper.objective import Objective
from sweeper.provenance.capture import Capture
from sweeper.provenance.code import Code
from sweeper.provenance.secret import masked, masked_text
from sweeper.provenance.store import open_store
from sweeper.record import Sweep
from sweeper.run import seed, training, veil
from sweeper.run.child import log_path
from sweeper.run.execute import JournalledRun, identity
from sweeper.run.outcome import Outcome, of_exception, of_return
from sweeper.run.tee import copied_to
from sweeper.source import code_row, database_files, learn_secrets, refuse, take_code
from sweeper.trial import Failure, TrialSpec

Task = Callable[[DictConfig], Any]

REQUIRE = "SWEEPER_REQUIRE"  # the environment variable; 0: train even where nothing can be recorded


@dataclass(frozen=True)
class Settings:
    """Where and how a single run is recorded."""

    storage: str
    artifacts: str
    study: str
    objective: Objective
    require: str = "nothing"
    seed: int | None = None
    snapshot: Snapshot = dataclasses.field(default_factory=Snapshot)

    @classmethod
    def of(cls, node: DictConfig, given: Mapping[str, Any]) -> Settings:
        """What `hydra.sweeper` says where it is ours, else the environment; `given` goes before both."""
        sweep: Mapping[str, Any] = {}
        if str(node.sweeper.get("_target_", "")).startswith("hydra_plugins.sweeper_plugin."):
            sweep = OmegaConf.to_container(node.sweeper, resolve=True)  # type: ignore[assignment]
        found = {**sweep, **{key: value for key, value in given.items() if value is not None}}
        return cls(
            storage=found.get("storage") or os.environ.get("SWEEPER_STORAGE") or DEFAULT_STORAGE,
            artifacts=found.get("artifacts") or os.environ.get("SWEEPER_ARTIFACTS") or DEFAULT_ARTIFACTS,
            study=f"runs/{found.get('study') or found.get('study_name') or node.job.name}",
            objective=Objective.parse(found.get("direction") or "minimize"),
            require=found.get("require") or "nothing",
            seed=given.get("seed"),
            snapshot=Snapshot(**found.get("snapshot") or {}),
        )


class SingleRun:
    """One run, from before its task begins to after it has ended."""

    def __init__(self, run: LoneRun, journal: JournalledRun, capture: Capture) -> None:
        self._run = run
        self._journal = journal
        self._capture = capture
        self._undo = contextlib.ExitStack()

    @classmethod
    def begin(cls, task: Task, config: DictConfig, given: Mapping[str, Any]) -> SingleRun:
        """Capture what it is made of, put it on record, and make it the run that training code speaks to.

        Raises SweeperError where it cannot be recorded, before any training.
        """
        node = config.hydra
        with contextlib.chdir(node.runtime.cwd):  # relative places mean what they mean where the command was given
            learn_secrets(config)
            settings = Settings.of(node, given)
            store = open_store(settings.artifacts)
            outputs = [Path(node.runtime.output_dir), Path(store.url), *database_files(settings.storage)]
            sources = [Path(source.path) for source in node.runtime.config_sources if source.schema == "file"]
            code = take_code(task, settings.snapshot, store, outputs, sources)
            refuse(code, settings.require)
            capture = Capture(code.snapshot)  # before the database has threads
            spec = _spec(config, settings, code, store.url)
            run = LoneRun.begin(
                settings.storage,
                _launch(config, settings, code, store.url),
                code_row(code),
                settings.objective,
                functools.partial(_numbered, spec),
                Point(),
            )
            store.sign(shown(settings.storage))
        found = cls(run, JournalledRun(run.spec, lambda event: run.heard([event]), lambda step: False), capture)
        found._enter()
        return found

    def _enter(self) -> None:
        training.enter(self._journal)
        os.environ.update(identity(self._run.spec))
        if self._run.spec.seed is not None:
            seed.seed_everything(self._run.spec.seed)
        self._journal.started()
        self._journal.captured("start", self._capture.at_start(seed.seeds()))
        self._undo.enter_context(copied_to(log_path(self._run.spec)))
        self._undo.enter_context(veil.drawn(Path(self._run.spec.folder)))
        atexit.register(self._died)

    def returned(self, value: object) -> None:
        """The task has returned; what it returns need not be an objective."""
        self._end(of_return(value, self._run.spec))

    def raised(self, error: BaseException) -> None:
        """The task has raised."""
        self._end(of_exception(error))

    def _end(self, outcome: Outcome) -> None:
        atexit.unregister(self._died)
        self._undo.close()
        self._journal.captured("end", self._capture.at_end(seed.seeds()))
        training.enter(None)
        for name in identity(self._run.spec):
            os.environ.pop(name, None)
        try:
            self._run.end(self._journal.ended(_lenient(outcome)))
        finally:
            self._run.close()

    def _died(self) -> None:
        words = "the process left before the task returned"
        self._end(Outcome(TrialState.FAIL, failure=Failure.STOPPED, error=words))


def main(**how: Any) -> Callable[[Task], Callable[[], None]]:
    """`@hydra.main` with its arguments, and every run of the app on record, without a sweep too.

    Fails before the task begins where the run cannot be recorded, unless `SWEEPER_REQUIRE=0`.
    """

    def decorate(task: Task) -> Callable[[], None]:
        @functools.wraps(task)
        def recorded(cfg: DictConfig) -> Any:
            run = begin(task, _whole(cfg), {})
            if run is None:
                return task(cfg)
            try:
                value = task(cfg)
            except BaseException as error:
                run.raised(error)
                raise
            run.returned(value)
            return value

        recorded.__sweeper_task__ = task  # type: ignore[attr-defined]  # what a sweep runs instead
        decorated: Callable[[], None] = hydra.main(**how)(recorded)
        return decorated

    return decorate


def begin(task: Task, config: DictConfig, given: Mapping[str, Any]) -> SingleRun | None:
    """Record the run that this process is; None inside a sweep, or where it need not be recorded and cannot.

    Leaves with one sentence and an exit status where it must and cannot: Hydra would only warn of an exception.
    """
    if training.current() is not None:
        return None
    try:
        return SingleRun.begin(task, config, given)
    except Exception as error:
        words = masked_text(str(error)) if isinstance(error, SweeperError) else f"{type(error).__name__}: {error}"
        if os.environ.get(REQUIRE) == "0":
            print(f"sweeper: this run is not on record: {words}", file=sys.stderr)
            return None
        if not isinstance(error, SweeperError):
            raise
        print(f"sweeper: {words}; to train without a record, set {REQUIRE}=0", file=sys.stderr)
        raise SystemExit(error.exit_status) from error


def _whole(cfg: DictConfig) -> DictConfig:
    """The app's config with its `hydra` node."""
    whole = OmegaConf.create({"hydra": HydraConfig.get()})
    return OmegaConf.unsafe_merge(whole, cfg)  # type: ignore[return-value]


def _lenient(outcome: Outcome) -> Outcome:
    """A task outside a sweep may return what it likes."""
    if outcome.failure is not Failure.INVALID_VALUE:
        return outcome
    return Outcome(TrialState.COMPLETE)


def _numbered(spec: TrialSpec, number: int) -> TrialSpec:
    return dataclasses.replace(spec, number=number)


def _spec(config: DictConfig, settings: Settings, code: Code, artifacts: str) -> TrialSpec:
    folder = str(config.hydra.runtime.output_dir)
    return TrialSpec(
        study=settings.study,
        number=0,
        run=uuid.uuid4().hex,
        attempt=0,
        params={},
        overrides=tuple(masked(list(config.hydra.overrides.task))),
        config=masked(resolve(config)),
        base=b"",
        payload=b"",
        folder=folder,
        seed=settings.seed,
        directions=len(settings.objective.directions),
        metric_names=settings.objective.names,
        trial_folder=folder,
        code=code.snapshot.code,
        artifacts=artifacts,
    )


def _launch(config: DictConfig, settings: Settings, code: Code, artifacts: str) -> Sweep:
    return launched(
        settings.study,
        {"seed": settings.seed, "require": settings.require},
        str(config.hydra.runtime.output_dir),
        Origin(code.snapshot.code, code.snapshot.root, str(config.hydra.runtime.cwd), masked(artifacts)),
    )
