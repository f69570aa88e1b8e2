"""A launch before anything is started: every input read and found good, and what is put on record of it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import pickle
import secrets
import shlex
import socket
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.utils import configure_log
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from sweeper.attempt import Attempts
from sweeper.budget import Budget
from sweeper.config.check import check
from sweeper.config.compose import Composer
from sweeper.config.read import read
from sweeper.config.resolve import resolve
from sweeper.config.resources import depend_on_the_trial, of_trial
from sweeper.config.settings import Settings
from sweeper.errors import ConfigError, SweeperError
from sweeper.history import History
from sweeper.objective import Objective
from sweeper.packing import Packing
from sweeper.provenance.code import Code
from sweeper.provenance.secret import masked, masked_arguments
from sweeper.provenance.store import Store, open_store
from sweeper.record import Sweep as SweepRow
from sweeper.record.process import identity
from sweeper.run.app import App, Task
from sweeper.source import database_files, learn_secrets, refuse, take_code
from sweeper.space import Space
from sweeper.trial import Resources


@dataclass(frozen=True)
class Multirun:
    """What Hydra hands to a sweeper."""

    context: HydraContext
    task: Task
    config: DictConfig  # the master config
    arguments: Sequence[str]  # the task's overrides, as typed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a launch was given, read and found good; nothing has been written for it."""

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
    needs: tuple[Resources, ...]  # what trials may hold, as far as points of the space show it
    is_varied: bool  # whether each trial's config says what it holds
    packing: Packing  # of the trials that `gpus: auto` packs


@dataclass(frozen=True, kw_only=True)
class Prepared(Inputs):
    """A sweep whose every input was found good, before anything was started."""

    uuid: str
    code: Code


def understand(multirun: Multirun, conf: Path) -> Inputs:
    """Read everything and check it; `conf` becomes the copy of the config tree. Raises SweeperError."""
    hydra = multirun.config.hydra
    settings = read(hydra.sweeper)
    learn_secrets(multirun.config)
    store = open_store(settings.artifacts)
    study_name = settings.study_name or str(hydra.job.name)
    seed = settings.seed if settings.seed is not None else _seed_of(study_name, settings.storage)
    hydra.sweeper.seed = seed  # samplers read it from here
    dumps = pickle.dumps if settings.launcher == "inline" else App.of(multirun.task, None).dumps
    composer = Composer.snapshot(multirun.config, conf, dumps)
    space = Space.parse(multirun.arguments, settings.params, composer.loader, settings.when)
    needs = check(space, composer, of_trial)
    return Inputs(
        study_name=study_name,
        settings=settings,
        objective=Objective.parse(settings.direction),
        budget=Budget.of(settings),
        attempts=Attempts.of(settings.trial),
        seed=seed,
        folder=Path(hydra.sweep.dir).absolute(),
        composer=composer,
        space=space,
        store=store,
        needs=needs,
        packing=Packing(),
        is_varied=depend_on_the_trial(hydra.sweeper.resources) or any(map(_is_placed_by_us, needs)),
    )


def _is_placed_by_us(need: Resources) -> bool:
    """Whether Ray alone cannot find the place: it knows nothing of the memory of cards, and of one actor at a time."""
    return need.nodes > 1 or need.gpu_memory > 0


def prepare(multirun: Multirun, conf: Path) -> Prepared:
    """Understand the launch, keep its code and make its folder. Raises SweeperError."""
    inputs, hydra = understand(multirun, conf), multirun.config.hydra
    code = keep_code(multirun, inputs, inputs.store)
    configure_log(hydra.hydra_logging, hydra.verbose)
    inputs.folder.mkdir(parents=True, exist_ok=True)
    plain = OmegaConf.to_container(multirun.config, resolve=False, enum_to_str=True)
    OmegaConf.save(OmegaConf.create(masked(plain)), inputs.folder / "multirun.yaml")
    return Prepared(**vars(inputs), uuid=uuid.uuid4().hex, code=code)


def keep_code(multirun: Multirun, inputs: Inputs, store: Store) -> Code:
    """Keep the code in a store. Raises ProvenanceError where it is not what `hydra.sweeper.require` wants."""
    settings = inputs.settings
    outputs = [inputs.folder, Path(inputs.store.url), *database_files(settings.storage)]
    sources = [str(source.path) for source in multirun.config.hydra.runtime.config_sources if source.schema == "file"]
    code = take_code(multirun.task, settings.snapshot, store, outputs, [Path(source) for source in sources])
    refuse(code, settings.require)
    return code


def _seed_of(study: str, storage: str) -> int:
    """The seed that the study was begun with, so that it goes on as it would have; else a new one."""
    with contextlib.suppress(SweeperError):  # no database yet, no study yet; whatever else is wrong is told later
        for sweep in History(storage).sweeps(study):
            if isinstance(seed := sweep.settings.get("seed"), int):
                return seed
    return secrets.randbelow(2**31)


def target(inputs: Inputs) -> int:
    """`n_trials`, or the number of points there are where the sampler enumerates them."""
    sampler = OmegaConf.create(inputs.settings.sampler)
    enumerates = str(sampler.get("_target_", "")).endswith(("GridSampler", "BruteForceSampler"))
    return min(inputs.settings.n_trials, inputs.space.size()) if enumerates else inputs.settings.n_trials


def row(multirun: Multirun, prepared: Prepared, sampler: str, pruner: str) -> SweepRow:
    """The launch as the record has it; `sampler` and `pruner` are the names of their classes."""
    settings = OmegaConf.to_container(multirun.config.hydra.sweeper, resolve=True, enum_to_str=True)
    return SweepRow(
        sweep=prepared.uuid,
        study=prepared.study_name,
        command=shlex.join(masked_arguments(["python", *sys.orig_argv[1:]])),
        settings=json.dumps(masked(settings), sort_keys=True, default=str),
        space=json.dumps(masked(prepared.space.expressions)),
        sampler=sampler,
        pruner=pruner,
        user=getpass.getuser(),
        host=socket.gethostname(),
        pid=os.getpid(),
        process=identity(),
        folder=str(prepared.folder),
        cwd=str(Path.cwd()),
        n_trials=target(prepared),
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
