"""How one trial's config is made of one that it shares with others: what travels instead of the whole.

Whoever runs trials reads the shared config once, and each trial changes the copy of it that forking gave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import AnyNode, DictConfig, OmegaConf, ReadonlyConfigError, StringNode, open_dict

OF_EACH: Mapping[str, tuple[str, ...]] = {
    "job": ("override_dirname", "id", "num", "env_set"),
    "overrides": ("task",),
    "runtime": ("output_dir",),
}  # where in the `hydra` node a trial's own values stand


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
    """One trial's config, made of a base. Without a `job` the base is the trial's own and has everything in it."""

    changes: tuple[Override, ...] = ()
    job: Job | None = None
    cache: Mapping[str, Any] | None = None  # what resolvers gave that answer once for all, such as ${now:}


def change(config: DictConfig, changes: Sequence[Override]) -> None:
    """Set values of the app's part, as Hydra does; raises what Hydra raises."""
    if not all(_is_set(config, each) for each in changes):
        ConfigLoaderImpl._apply_overrides_to_config(list(changes), config)


def enter(config: DictConfig, job: Job) -> None:
    """Write the trial's own values into the `hydra` node."""
    hydra = config.hydra
    _put_texts(hydra.overrides, "task", job.overrides)
    own = hydra.job
    if job.variables:
        with open_dict(own.env_set):
            own.env_set.update(job.variables)
    if job.dirname is not None:
        put(own, "override_dirname", job.dirname)
    put(own, "id", job.id)
    put(own, "num", job.number)


def put(config: DictConfig, key: str, value: object) -> None:
    """Set a value that Hydra declares, with all of OmegaConf's checks of it and none of the way there."""
    node: Any = config._get_node(key)
    node._set_value(value)


def _put_texts(config: DictConfig, key: str, texts: Sequence[str]) -> None:
    """Set a list of texts that Hydra declares; OmegaConf would append each with thirty calls."""
    node: Any = config._get_node(key)
    made = [StringNode(text, key=place, parent=node, is_optional=False) for place, text in enumerate(texts)]
    vars(node)["_content"] = made


def _is_set(config: DictConfig, override: Override) -> bool:
    """Give a plain new value to a value that is there and has no type of its own; False: it takes Hydra to do that.

    That is what OmegaConf does after 40 calls, each of which a forked process pays for with pages of its own.
    """
    value: Any = override.value()
    if override.type != OverrideType.CHANGE or override.package is not None or not _is_plain(value):
        return False
    node: Any = config
    for name in override.key_or_group.split("."):
        content = vars(node).get("_content")
        node = content.get(name) if isinstance(content, dict) else None
        if node is None:
            return False
    if type(node) is not AnyNode:
        return False
    try:
        node._set_value(value)
    except ReadonlyConfigError:
        return False
    return True


def _is_plain(value: object) -> bool:
    return type(value) in (int, float, bool) or (type(value) is str and "${" not in value and value != "???")


def follow(recipe: Recipe, config: DictConfig, task_config: DictConfig) -> None:
    """Make the trial's configs of two copies of the base: the whole, and the app's part alone."""
    for each in (config, task_config):
        change(each, recipe.changes)
        if recipe.cache is not None:
            OmegaConf.set_cache(each, dict(recipe.cache))
    if recipe.job is not None:
        enter(config, recipe.job)
