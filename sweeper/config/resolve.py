"""A composed config as plain data for the record: interpolations followed, values such as JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import PurePath
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from sweeper.config.explain import first_sentence
from sweeper.errors import ConfigError

MISSING = "???"


def resolve(config: DictConfig) -> dict[str, object]:
    """The app's part of `config`, without `hydra`, as its task function would see it.

    Enums become their names, paths text, bytes hexadecimal text, numbers that are not finite `nan`, `inf` and
    `-inf`, other objects the name of their type. What is missing, or refers to what is missing, is `???`.
    Raises ConfigError with a line for every key whose interpolation leads nowhere.
    """
    problems: list[str] = []
    with hydra_config(config):
        nodes = ((key, node) for key, node in config.items_ex(resolve=False) if key != "hydra")
        plain = {_text(key): _settle(_raw(node), config, key, _text(key), (), problems) for key, node in nodes}
    if problems:
        raise ConfigError("\n".join(problems))
    return plain


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """Meanwhile `${hydra:...}` reads the `hydra` node of this config, and `HydraConfig.get()` gives it."""
    holder = HydraConfig.instance()
    before = holder.cfg
    holder.cfg = config  # type: ignore[assignment]  # only its attribute `hydra` is read; set_config would copy it
    try:
        yield
    finally:
        holder.cfg = before


def _settle(raw: Any, parent: Any, key: Any, name: str, around: tuple[int, ...], problems: list[str]) -> object:
    """The value at parent[key], whose unresolved content is `raw`; what leads nowhere is added to `problems`.

    `around` are the identities of the containers that it lies in, by way of interpolations too. Only interpolations
    are looked up in the config: that is slow, and most values are none.
    """
    if isinstance(raw, str):
        return _follow(raw, parent, key, name, around, problems) if "${" in raw else raw
    if isinstance(raw, (dict, list)):
        return _inside(raw, parent[key], name, around, problems)
    return _plain(raw)


def _follow(raw: str, parent: Any, key: Any, name: str, around: tuple[int, ...], problems: list[str]) -> object:
    try:
        value = parent[key]
    except InterpolationToMissingValueError:
        return MISSING
    except OmegaConfBaseException as error:
        problems.append(f"{name}: {raw} cannot be resolved: {first_sentence(error)}")
        return None
    if not isinstance(value, (DictConfig, ListConfig)):
        return _plain(value)
    if id(value) in around:
        problems.append(f"{name}: {raw} cannot be resolved: it leads to a node around itself")
        return None
    return _inside(_raw(value), value, name, around, problems)


def _inside(raw: Any, node: DictConfig | ListConfig, name: str, around: tuple[int, ...], problems: list[str]) -> object:
    within = (*around, id(node))
    if isinstance(raw, dict):
        return {
            _text(key): _settle(value, node, key, f"{name}.{_text(key)}", within, problems)
            for key, value in raw.items()
        }
    return [_settle(value, node, i, f"{name}[{i}]", within, problems) for i, value in enumerate(raw)]


def _raw(node: Any) -> Any:
    """Content without interpolations followed: plain containers, and leaves as they are."""
    return OmegaConf.to_container(node) if OmegaConf.is_config(node) else node


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, PurePath):
        return str(value)
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _text(key: object) -> str:
    return key.name if isinstance(key, Enum) else str(key)
