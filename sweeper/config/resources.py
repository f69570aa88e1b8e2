"""What one trial holds while it runs, read from `hydra.sweeper.resources` of its own config."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeper.config.explain import first_sentence
from sweeper.config.resolve import hydra_config
from sweeper.errors import ConfigError
from sweeper.trial import Resources

AUTO = "auto"
_KEY = "hydra.sweeper.resources"
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def depend_on_the_trial(node: DictConfig) -> bool:
    """Whether trials may hold different things: something stands there that only their configs say."""
    raw: Any = OmegaConf.to_container(node, resolve=False)
    return "${" in str(raw) or _word(raw.get("gpus")) == AUTO


def of_trial(config: DictConfig) -> Resources:
    """The resources of a composed config. Raises ConfigError with a line for each key that cannot be meant."""
    with hydra_config(config):
        try:
            plain: Any = OmegaConf.to_container(config.hydra.sweeper.resources, resolve=True)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{_KEY} cannot be resolved: {first_sentence(error)}") from error
    return read(plain)


def read(plain: Mapping[str, Any]) -> Resources:
    """Plain values of the settings' dataclass. Raises ConfigError with a line for each key that cannot be meant."""
    problems: list[str] = []

    def value(name: str, read: Callable[[Any], Any], default: Any) -> Any:
        try:
            return read(plain.get(name, default))
        except (ValueError, TypeError, AttributeError):
            problems.append(f"{_KEY}.{name} is {plain.get(name)!r}; {_ALLOWED[name]}")
            return default

    gpus = value("gpus", _gpus, 0.0)
    found = Resources(
        cpus=value("cpus", _amount, 1.0),
        gpus=1.0 if gpus == AUTO else gpus,
        gpu_memory=value("gpu_memory", memory, None),
        accelerators=value("accelerator", _names, None),
        labels=value("label_selector", _labels, {}),
        custom=value("custom", _amounts, {}),
        nodes=value("nodes", _count, 1),
        is_packed=gpus == AUTO,
    )
    problems += _contradictions(found)
    if problems:
        raise ConfigError("\n".join(problems))
    return found


_ALLOWED = {
    "cpus": "give a number from 0",
    "gpus": "give 0, a fraction of one such as 0.25, a whole number, or auto",
    "gpu_memory": "give bytes of each card, or a size such as 12GiB, up to which a trial may use one",
    "accelerator": "give the name of a card, such as H100, or a list of those that will do",
    "label_selector": "give a mapping of Ray's node labels to the values that they must have",
    "custom": "give a mapping of custom Ray resources to amounts from 0",
    "nodes": "give how many nodes a trial runs on, from 1",
}


def memory(given: object) -> int:
    """Bytes of a size as people write it: 12GiB, 500 MB, or a number; 0 for nothing."""
    if given is None:
        return 0
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(given).strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError(given)
    return int(float(match[1]) * _UNITS[match[2]])


def _contradictions(found: Resources) -> Iterator[str]:
    if found.nodes > 1 and 0 < found.gpus < 1:
        yield f"{_KEY}: a trial on {found.nodes} nodes takes whole cards on each; gpus is {found.gpus:g}"
    if found.nodes > 1 and found.is_packed:
        yield f"{_KEY}: gpus=auto packs trials that fit on one card; nodes is {found.nodes}"


def _amount(given: Any) -> float:
    number = float(given)
    if isinstance(given, bool) or not 0 <= number < math.inf:
        raise ValueError(given)
    return number


def _gpus(given: Any) -> float | str:
    if _word(given) == AUTO:
        return AUTO
    number = _amount(given or 0)
    if number > 1 and not number.is_integer():
        raise ValueError(given)
    return number


def _count(given: Any) -> int:
    if isinstance(given, bool) or int(given) != float(given) or int(given) < 1:
        raise ValueError(given)
    return int(given)


def _names(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    names = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(given)
    return tuple(names)


def _labels(given: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(key), str(value)) for key, value in (given or {}).items()))


def _amounts(given: Any) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((str(key), _amount(value)) for key, value in (given or {}).items()))


def _word(given: object) -> str:
    return str(given).strip().lower()
