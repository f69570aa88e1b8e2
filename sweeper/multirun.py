"""One launch, assembled: from Hydra's multirun to a finished sweep.

The only place where the rooms meet: settings, space, composer, study, launcher and record are made here and handed to
the loop in `sweeper.sweep`.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import pickle
import secrets
import shlex
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from hydra.core.utils import configure_log
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from sweeper.attempt import Attempts
from sweeper.brake import Brake
from sweeper.budget import Budget, Tally, told_apart
from sweeper.cli import verdict_page
from sweeper.cli.display import display_for
from sweeper.config.check import check
from sweeper.config.compose import Composer
from sweeper.config.resolve import resolve
from sweeper.config.settings import Settings
from sweeper.desk import Desk, Rhythm
from sweeper.enqueue import enqueue
from sweeper.errors import ConfigError, Interrupted, SweeperError, TrialsFailed
from sweeper.history import History
from sweeper.history.connection import shown
from sweeper.interruption import Interruption
from sweeper.launch import Launcher
from sweeper.lost import LostAttempts
from sweeper.objective import Objective
from sweeper.provenance.capture import Capture
from sweeper.provenance.code import Code
from sweeper.provenance.secret import masked, masked_arguments
from sweeper.provenance.store import Store, open_store
from sweeper.record import Record, Storage
from sweeper.record import Sweep as SweepRow
from sweeper.record.lease import BEAT_S, LEASE_S
from sweeper.record.process import identity
from sweeper.reproduction.request import taken
from sweeper.reproduction.rerun import rerun
from sweeper.run.app import App, LoadedApp, Task
from sweeper.run.journal import written
from sweeper.source import REQUIRE, code_row, database_files, learn_secrets, refuse, take_code
from sweeper.space import Space
from sweeper.study import Asked, AskTellStudy, Plan, Study, custom, open_study
from sweeper.sweep import Sweep
from sweeper.takeover import adopt, leave, take_over
from sweeper.trial import TrialSpec
from sweeper.vigil import watched


@dataclass(frozen=True)
class Multirun:
    """What Hydra hands to a sweeper."""

    context: HydraContext
    task: Task
    config: DictConfig  # the master config
    arguments: Sequence[str]  # the task's overrides, as typed


@dataclass(frozen=True)
class Prepared:
    """A sweep whose every input was found good, before anything was started."""

    uuid: str
    study_name: str
    settings: Settings
    objective: Objective
    budget: Budget
    attempts: Attempts
    seed: int
    folder: Path
    composer: Composer
    space: Space
    store: Store
    code: Code


def launch(multirun: Multirun) -> None:
    """Run the sweep to its end, with its display. Raises SweeperError; TrialsFailed where trials failed unallowed.

    A process that `sweeper reproduce` has started runs the recorded run instead, and leaves with the verdict's status.
    """
    if (request := taken()) is not None:
        raise SystemExit(verdict_page.show(rerun(multirun, request), request.is_json))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # what Hydra's logging would show of it is no news
    interruption = Interruption()
    # private: what is composed from may hold secrets
    with interruption.heeded(), tempfile.TemporaryDirectory(prefix="sweeper-conf-") as conf:
        prepared = _prepare(multirun, Path(conf) / "conf")
        with contextlib.closing(Storage(prepared.settings.storage)) as storage:
            _conduct(multirun, prepared, storage, interruption)


def _prepare(multirun: Multirun, conf: Path) -> Prepared:
    hydra = multirun.config.hydra
    settings = _settings(hydra.sweeper)
    learn_secrets(multirun.config)
    store = open_store(settings.artifacts)
    study_name = settings.study_name or str(hydra.job.name)
    seed = settings.seed if settings.seed is not None else _seed_of(study_name, settings.storage)
    hydra.sweeper.seed = seed  # samplers read it from here
    sweep = uuid.uuid4().hex
    folder = Path(hydra.sweep.dir).absolute()
    dumps = pickle.dumps if settings.launcher == "inline" else App.of(multirun.task, None).dumps
    composer = Composer.snapshot(multirun.config, conf, dumps)
    space = Space.parse(multirun.arguments, settings.params, composer.loader, settings.when)
    check(space, composer)
    code = _code(multirun, settings, store, folder)
    configure_log(hydra.hydra_logging, hydra.verbose)
    folder.mkdir(parents=True, exist_ok=True)
    plain = OmegaConf.to_container(multirun.config, resolve=False, enum_to_str=True)
    OmegaConf.save(OmegaConf.create(masked(plain)), folder / "multirun.yaml")
    return Prepared(
        uuid=sweep,
        study_name=study_name,
        settings=settings,
        objective=Objective.parse(settings.direction),
        budget=Budget.of(settings),
        attempts=Attempts.of(settings.trial),
        seed=seed,
        folder=folder,
        composer=composer,
        space=space,
        store=store,
        code=code,
    )


def _code(multirun: Multirun, settings: Settings, store: Store, folder: Path) -> Code:
    outputs = [folder, Path(store.url), *database_files(settings.storage)]
    sources = [str(source.path) for source in multirun.config.hydra.runtime.config_sources if source.schema == "file"]
    code = take_code(multirun.task, settings.snapshot, store, outputs, [Path(source) for source in sources])
    refuse(code, settings.require)
    return code


def _settings(node: DictConfig) -> Settings:
    """`hydra.sweeper` as Settings. Raises ConfigError with everything that cannot be meant, each with its key."""
    plain: Any = OmegaConf.to_container(node, resolve=True)
    known = {name: plain[name] for name in Settings.__dataclass_fields__ if name in plain}
    typed = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Settings), known))
    settings: Settings = typed  # type: ignore[assignment]
    problems = []
    if settings.n_trials < 0:
        problems.append(f"hydra.sweeper.n_trials is {settings.n_trials}; it must be 0 or more")
    if settings.n_jobs is not None and settings.n_jobs < 1:
        problems.append(f"hydra.sweeper.n_jobs is {settings.n_jobs}; it must be 1 or more, or null for every slot")
    if settings.launcher not in {"ray", "inline"}:
        problems.append(f"hydra.sweeper.launcher is {settings.launcher!r}; it must be ray or inline")
    if settings.require not in REQUIRE:
        problems.append(f"hydra.sweeper.require is {settings.require!r}; it must be one of {', '.join(REQUIRE)}")
    if settings.resources.cpus < 0 or settings.resources.gpus < 0:
        problems.append("hydra.sweeper.resources: cpus and gpus must be 0 or more")
    problems += [
        f"hydra.sweeper.collect has {pattern!r}; give patterns below a run's folder, such as '*.pt' or 'weights/**'"
        for pattern in settings.collect
        if not pattern or pattern.startswith(("/", "~")) or ".." in pattern.split("/")
    ]
    name = settings.study_name
    if name is not None and not (0 < len(name) <= 200 and name.isprintable() and name.strip() == name):
        problems.append(f"hydra.sweeper.study_name is {name!r}; give 1 to 200 printable characters")
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def _seed_of(study: str, storage: str) -> int:
    """The seed that the study was begun with, so that it goes on as it would have; else a new one."""
    with contextlib.suppress(SweeperError):  # no database yet, no study yet; whatever else is wrong is told later
        for sweep in History(storage).sweeps(study):
            if isinstance(seed := sweep.settings.get("seed"), int):
                return seed
    return secrets.randbelow(2**31)


def _conduct(multirun: Multirun, prepared: Prepared, storage: Storage, interruption: Interruption) -> None:
    settings = prepared.settings
    plan = Plan(
        prepared.study_name,
        prepared.objective,
        multirun.config.hydra.sweeper.sampler,
        multirun.config.hydra.sweeper.pruner,
        prepared.seed,
    )
    opened = open_study(plan, prepared.space, storage)
    record = Record(storage)
    record.code_taken(code_row(prepared.code))
    begin = record.sweep_joined if settings.join else record.sweep_opened
    begin(_row(multirun, prepared, opened)).result()
    prepared.store.sign(shown(settings.storage))
    outcome = "failed"
    try:
        tally, brake = _run(multirun, prepared, opened, record, interruption)
        outcome = "stopped" if brake.signal else "finished" if tally.is_within() else "failed"
    except Interrupted:
        outcome = "stopped"
        raise
    finally:
        leave(opened, record, prepared.uuid)
        record.sweep_ended(prepared.uuid, outcome).result()
        record.close()
    _show_end(prepared)
    _judge(prepared, tally, brake)


def _run(
    multirun: Multirun, prepared: Prepared, opened: AskTellStudy, record: Record, interruption: Interruption
) -> tuple[Tally, Brake]:
    settings, objective = prepared.settings, prepared.objective
    target = _target(prepared)
    brake = Brake()
    single = objective.directions[0] == "maximize" if len(objective.directions) == 1 else None
    tally = Tally(prepared.budget, single)

    def say(text: str) -> None:
        display.notice(text)

    with contextlib.ExitStack() as undo:
        launcher = _launcher(multirun, prepared, say)
        adopted = adopt(launcher, opened, record, undo)
        take_over(opened, record)
        enqueue(opened, settings.enqueue, prepared.space)
        study = Study(opened, _suggest(multirun, prepared), target)
        undo.callback(study.close)
        display = display_for(prepared.study_name, objective.directions, target, opened.get_trials(deepcopy=False))
        undo.callback(display.closed)
        if adopted is None:
            display.notice("starting Ray" if settings.launcher == "ray" else "")
            undo.enter_context(launcher)
        sweep = Sweep(
            uuid=prepared.uuid,
            study=study,
            launcher=launcher,
            record=record,
            spec=_composer_of_specs(prepared),
            tally=tally,
            watcher=display,
            brake=brake,
            attempts=prepared.attempts,
            lost=LostAttempts(written),
            adopted=adopted or {},
            n_jobs=settings.n_jobs,
        )
        desk = Desk(
            study=prepared.study_name,
            uuid=prepared.uuid,
            record=record,
            sweep=sweep,
            target=study,
            reap=lambda: study.within(lambda: take_over(opened, record)),
            rhythm=Rhythm(LEASE_S, BEAT_S, look_s=1.0),
        )
        undo.enter_context(interruption.pulling(brake))
        launcher.drive(watched(desk.conduct(), record, display.notice, brake))
    return tally, brake


def _judge(prepared: Prepared, tally: Tally, brake: Brake) -> None:
    """Raise what the exit status must say."""
    if brake.signal is not None:
        raise Interrupted(brake.signal, f"stopped; `sweeper resume {shlex.quote(prepared.study_name)}` goes on")
    if not tally.is_within():
        raise TrialsFailed(
            f"{len(tally.failed)} of {tally.finished} trials failed: {told_apart(tally.errors())}. "
            "Look at `sweeper show`, or allow failures with hydra.sweeper.budget.max_failures=N"
        )


def _target(prepared: Prepared) -> int:
    """`n_trials`, or the number of points there are where the sampler enumerates them."""
    sampler = OmegaConf.create(prepared.settings.sampler)
    enumerates = str(sampler.get("_target_", "")).endswith(("GridSampler", "BruteForceSampler"))
    return min(prepared.settings.n_trials, prepared.space.size()) if enumerates else prepared.settings.n_trials


def _suggest(multirun: Multirun, prepared: Prepared) -> Callable[[optuna.Trial], Any]:
    path = prepared.settings.custom_search_space
    return prepared.space.suggest if path is None else custom(path, multirun.config, prepared.space)


def _launcher(multirun: Multirun, prepared: Prepared, notice: Callable[[str], None]) -> Launcher:
    callbacks, settings, snapshot = multirun.context.callbacks, prepared.settings, prepared.code.snapshot
    if settings.launcher == "inline":
        from sweeper.launch.inline import InlineLauncher

        hydra = multirun.config.hydra
        loaded = LoadedApp(multirun.task, callbacks, Capture(snapshot))
        return InlineLauncher(loaded, lambda: configure_log(hydra.hydra_logging, hydra.verbose))
    from sweeper.launch.ray import RayLauncher
    from sweeper.launch.slot import Resources

    return RayLauncher(
        App.of(multirun.task, callbacks, snapshot),
        Resources(settings.resources.cpus, settings.resources.gpus),
        settings.n_jobs,
        settings.ray.address,
        prepared.attempts.isolation,
        prepared.uuid,
        notice,
    )


def _composer_of_specs(prepared: Prepared) -> Callable[[Asked], TrialSpec]:
    def spec(asked: Asked) -> TrialSpec:
        overrides = prepared.space.overrides(asked.params)
        composed = prepared.composer.compose(overrides, asked.number, str(asked.number))
        resolved = resolve(composed.config)
        folder = composed.config.hydra.runtime.output_dir
        return TrialSpec(
            study=prepared.study_name,
            number=asked.number,
            run=uuid.uuid4().hex,
            attempt=asked.attempt,
            params=asked.params,
            overrides=tuple(masked(overrides)),
            config=masked(resolved),
            payload=pickle.dumps(prepared.composer.recipe(composed)),
            folder=f"{folder}/attempt-{asked.attempt + 1}" if asked.attempt else folder,
            seed=trial_seed(prepared.seed, asked.number),
            directions=len(prepared.objective.directions),
            metric_names=prepared.objective.names,
            trial_folder=folder,
            limits=prepared.attempts.limits,
            code=prepared.code.snapshot.code,
            artifacts=prepared.store.url,
            collect=tuple(prepared.settings.collect),
        )

    return spec


def trial_seed(sweep_seed: int, number: int) -> int:
    """The seed of one trial: 32 bits drawn by numpy's SeedSequence from the sweep's seed and the trial's number."""
    return int(np.random.SeedSequence([sweep_seed, number]).generate_state(1)[0])


def _row(multirun: Multirun, prepared: Prepared, study: AskTellStudy) -> SweepRow:
    settings = OmegaConf.to_container(multirun.config.hydra.sweeper, resolve=True, enum_to_str=True)
    return SweepRow(
        sweep=prepared.uuid,
        study=prepared.study_name,
        command=shlex.join(masked_arguments(["python", *sys.orig_argv[1:]])),
        settings=json.dumps(masked(settings), sort_keys=True, default=str),
        space=json.dumps(masked(prepared.space.expressions)),
        sampler=type(study.sampler).__name__,
        pruner=type(study.pruner).__name__,
        user=getpass.getuser(),
        host=socket.gethostname(),
        pid=os.getpid(),
        process=identity(),
        folder=str(prepared.folder),
        cwd=str(Path.cwd()),
        n_trials=_target(prepared),
        started_at=time.time(),
        code=prepared.code.snapshot.code,
        root=prepared.code.snapshot.root,
        artifacts=masked(prepared.store.url),
        defaults=_defaults(prepared.composer),
    )


def _defaults(composer: Composer) -> str | None:
    """The app's config with no override at all; None where it needs one to be composed."""
    try:
        return json.dumps(masked(resolve(composer.compose([], 0, "0").config)), default=str)
    except ConfigError:
        return None


def _show_end(prepared: Prepared) -> None:
    from sweeper.cli.summary import summary

    try:
        summary(prepared.settings.storage, prepared.study_name)
    except SweeperError as error:
        logging.getLogger(__name__).warning("no summary: %s", error)
