"""Trials of nothing, run before the first real one, in the process that is going to fork them all.

What Python, Hydra and OmegaConf make at first need and then keep (imports, parser tables, compiled expressions, what
`isinstance` has found out about abstract classes) is then there for every child: a child makes nothing a second time,
and copies fewer of the pages that it shares with its parent. Measured for a task that returns at once: 3,050 pages
copied in each child without, 2,640 with. And code that has run a few times is faster, once and for all (PEP 659).
"""

from __future__ import annotations

import logging
import os
import pickle
import random
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.conf import HydraConf
from omegaconf import OmegaConf

from sweeper.config.recipe import Job, Recipe
from sweeper.run import job
from sweeper.run.app import LoadedApp
from sweeper.run.execute import execute
from sweeper.trial import Ended, TrialSpec

_LOGGING = {
    "version": 1,
    "formatters": {"simple": {"format": "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "simple", "stream": "ext://sys.stdout"},
        "file": {
            "class": "logging.FileHandler",
            "formatter": "simple",
            "filename": "${hydra.runtime.output_dir}/${hydra.job.name}.log",
        },
    },
    "root": {"level": "INFO", "handlers": ["console", "file"]},
    "disable_existing_loggers": False,
}  # of the shape that Hydra's own job_logging has
_TURNS = 3  # from Python 3.12 on that makes code faster; 3.11 waits for the eighth, and ten turns gain nothing


def rehearse(app: LoadedApp) -> Ended:
    """Go through all that surrounds a task; the user's own code, resolvers and callbacks are not called.

    Returns how the last one ended. Raises OSError where there is no room for the files of a trial.
    """
    nothing = LoadedApp(lambda _: 0.0, Callbacks(), app.capture.unheard())
    with tempfile.TemporaryDirectory(prefix="sweeper-") as folder, _logging_kept(), _environment_kept():
        base = _config()
        return [_ended(_spec(f"{folder}/{turn}", base), nothing) for turn in range(_TURNS)][-1]


def rehearse_birth() -> None:
    """Go through what Python does first in a child. Only where one thread runs: it forgets all others."""
    with suppress(AttributeError):  # where Python has come to call its own parts otherwise
        for _ in range(_TURNS):
            threading._after_fork()  # type: ignore[attr-defined]  # private
            logging._after_at_fork_child_reinit_locks()  # type: ignore[attr-defined]  # private
            random.seed()


def _ended(spec: TrialSpec, app: LoadedApp) -> Ended:
    return execute(spec, app, lambda _: None, lambda _: False, job.Template.of(spec.base).foreseen())


def _spec(folder: str, base: bytes) -> TrialSpec:
    return TrialSpec(
        study="rehearsal",
        number=0,
        run="0" * 32,
        attempt=0,
        params={},
        overrides=(),
        config={},
        base=base,
        payload=pickle.dumps(Recipe({"lr": 0.2}, job=Job(0, "0", ("lr=0.2",), "lr=0.2", {}))),
        folder=f"{folder}/run",
        seed=None,
        artifacts=f"{folder}/artifacts",
    )


def _config() -> bytes:
    hydra: Any = HydraConf(job_logging=_LOGGING, verbose=False)
    hydra.job.name, hydra.job.num, hydra.job.id, hydra.job.override_dirname = "rehearsal", 0, "0", ""
    hydra.job.chdir = False
    return pickle.dumps(OmegaConf.create({"lr": 0.1, "model": {"name": "a", "sizes": [1]}, "hydra": hydra}))


@contextmanager
def _logging_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    loggers = [found for found in root.manager.loggerDict.values() if isinstance(found, logging.Logger)]
    disabled = [logger for logger in loggers if logger.disabled]
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        for logger in disabled:
            logger.disabled = True


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
