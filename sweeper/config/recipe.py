"""How one trial's config is made of one that it shares with others: what travels instead of the whole.

Whoever runs trials reads the shared config once, and each trial changes the copy of it that forking gave it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import AnyNode, DictConfig, StringNode, open_dict

from sweeper.errors import ConfigError

OF_EACH: Mapping[str, tuple[str, ...]] = {
    "job": ("override_dirname", "id", "num", "env_set"),
    "overrides": ("task",),
    "runtime": ("output_dir",),
}  # where in the `hydra` node a trial's own values stand


@dataclass(frozen=True)  # no slots: Python would unpickle them field by field
class Job:
    """Those values of the `hydra` node that are a trial's own; where its output goes is not among them."""

    number: int
    id: str
    overrides: tuple[str, ...]  # hydra.overrides.task
    dirname: str | None  # hydra.job.override_dirname; None: an interpolation stands there
    variables: Mapping[str, str]  # copied by hydra.job.env_copy


Values = Mapping[str, int | float | bool | str]  # plain new ones, by the keys of what is there


@dataclass(frozen=True)
class Recipe:
    """One trial's config, made of a base. Without a `job` the base is the trial's own and has everything in it."""

    values: Values = field(default_factory=dict)
    changes: tuple[Override, ...] = ()  # in the place of values, where these are not enough
    job: Job | None = None
    cache: Mapping[str, Any] | None = None  # what resolvers gave that answer once for all, such as ${now:}


def change(config: DictConfig, changes: Sequence[Override]) -> None:
    """Set values of the app's part, as Hydra does; raises what Hydra raises."""
    if change_plainly(config, changes) is None:
        ConfigLoaderImpl._apply_overrides_to_config(list(changes), config)


def change_plainly(config: DictConfig, changes: Sequence[Override]) -> Values | None:
    """Do so without Hydra and return the new values; None where that cannot be done, or not to the end."""
    values: dict[str, Any] = {each.key_or_group: each.value() for each in changes}
    is_plain = all(each.type == OverrideType.CHANGE and each.package is None for each in changes)
    return values if is_plain and all(map(_is_plain, values.values())) and _are_set(config, values) else None


def enter(config: DictConfig, job: Job) -> None:
    """Write the trial's own values into the `hydra` node."""
    _put_overrides(config, job.overrides)
    own = part(config, "hydra", "job")
    if job.variables:
        with open_dict(own.env_set):
            own.env_set.update(job.variables)
    if job.dirname is not None:
        put(own, "override_dirname", job.dirname)
    put(own, "id", job.id)
    put(own, "num", job.number)


def part(config: DictConfig, *keys: str) -> Any:
    """The node that stands there, whatever is in it; OmegaConf itself takes twenty calls for each key."""
    node: Any = config
    for key in keys:
        node = vars(node)["_content"][key]
    return node


def look(config: DictConfig, key: str) -> Any:
    """What `config[key]` gives, where that is no list and no mapping."""
    value = vars(part(config, key))["_val"]
    return config[key] if isinstance(value, str) and not _is_plain(value) else value


def put(config: DictConfig, key: str, value: str | int) -> None:
    """Set a value that Hydra declares to be of this type."""
    vars(part(config, key))["_val"] = value


def make_room(config: DictConfig, count: int) -> None:
    """Have so many overrides stand in the `hydra` node, whatever they are: what is there need not be made by each."""
    _put_overrides(config, ("",) * count)


def _put_overrides(config: DictConfig, overrides: Sequence[str]) -> None:
    """Set `hydra.overrides.task`; OmegaConf would append each with thirty calls, and takes twenty to make it."""
    node = part(config, "hydra", "overrides", "task")
    found = vars(node)["_content"][: len(overrides)]
    for each, override in zip(found, overrides, strict=False):
        vars(each)["_val"] = override
    made = range(len(found), len(overrides))
    found += [StringNode(overrides[place], key=place, parent=node, is_optional=False) for place in made]
    vars(node)["_content"] = found


def _are_set(config: DictConfig, values: Values) -> bool:
    """Give new values to values that are there and have no type of their own; False: it takes Hydra to do that.

    That is what OmegaConf does after 60 calls for each, which a forked process pays for with pages of its own.
    """
    for key, value in values.items():
        node: Any = config
        for name in key.split("."):
            content = vars(node).get("_content")
            if _is_read_only(node) or not isinstance(content, dict) or name not in content:
                return False
            node = content[name]
        if type(node) is not AnyNode or _is_read_only(node):
            return False
        vars(node)["_val"] = value
    return True


def _is_read_only(node: Any) -> bool:
    """Whether the node itself says so."""
    return bool(node._metadata.flags.get("readonly"))


def _is_plain(value: object) -> bool:
    return type(value) in (int, float, bool) or (type(value) is str and "${" not in value and value != "???")


def follow(recipe: Recipe, config: DictConfig, task_config: DictConfig) -> None:
    """Make the trial's configs of two copies of the base: the whole, and the app's part alone."""
    for each in (config, task_config):
        if not _are_set(each, recipe.values):
            raise ConfigError(f"a trial's config has other keys than its base had: {', '.join(recipe.values)}")
        change(each, recipe.changes)
        if recipe.cache is not None:
            each._metadata.resolver_cache = defaultdict(dict, recipe.cache)  # others may be asked for the first time
    if recipe.job is not None:
        enter(config, recipe.job)
