"""How one trial's config is made of one that it shares with others: what travels instead of the whole.

Whoever runs trials reads the shared config once, and each trial changes the copy of it that forking gave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

OF_EACH = ("job", "overrides", "runtime")  # keys of the `hydra` node where a trial's own values stand


@dataclass(frozen=True, slots=True)
class Job:
    """Those values of the `hydra` node that are a trial's own; where its output goes is not among them."""

    number: int
    id: str
    overrides: tuple[str, ...]  # hydra.overrides.task
    dirname: str | None  # hydra.job.override_dirname; None: an interpolation stands there
    variables: Mapping[str, str]  # copied by hydra.job.env_copy


@dataclass(frozen=True, slots=True)
class Recipe:
    """One trial's config. Without a `job`, `base` is the trial's own and has everything in it."""

    base: bytes  # a DictConfig, pickled
    changes: tuple[Override, ...] = ()
    job: Job | None = None
    cache: Mapping[str, Any] | None = None  # what resolvers gave that answer once for all, such as ${now:}


def change(config: DictConfig, changes: Sequence[Override]) -> None:
    """Set values of the app's part, as Hydra does; raises what Hydra raises."""
    ConfigLoaderImpl._apply_overrides_to_config(list(changes), config)


def enter(config: DictConfig, job: Job) -> None:
    """Write the trial's own values into the `hydra` node."""
    hydra = config.hydra
    hydra.overrides.task = list(job.overrides)
    with open_dict(hydra.job.env_set):
        hydra.job.env_set.update(job.variables)
    if job.dirname is not None:
        hydra.job.override_dirname = job.dirname
    hydra.job.id, hydra.job.num = job.id, job.number


def follow(recipe: Recipe, config: DictConfig, task_config: DictConfig) -> None:
    """Make the trial's configs of two copies of the base: the whole, and the app's part alone."""
    for each in (config, task_config):
        change(each, recipe.changes)
        if recipe.cache is not None:
            OmegaConf.set_cache(each, dict(recipe.cache))
    if recipe.job is not None:
        enter(config, recipe.job)
