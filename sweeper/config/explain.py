"""Hydra's composition errors as one sentence each: what was given, what is wrong, what to type next."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

_SKIPPED = ("full_key:", "object_type=", "reference_type=", "To append to your", "See https://", "^")


def explain(line: str, error: Exception, keys: Collection[str]) -> str:
    """Why override `line` cannot be composed. `keys` are those that the config has, for suggestions."""
    key = key_of(line)
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        wanted = (error.missing_cfg_file or line.partition("=")[2]).rpartition("/")[2]
        hint = _did_you_mean(get_close_matches(wanted, error.options, 1, 0.5))
        return f"{line}: there is no config {wanted!r} in this group{hint}; it has {', '.join(error.options)}"
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and not key.startswith(("+", "~")):
        hint = _did_you_mean(_alike(key, keys))
        return f"{line}: the config has no key {key}{hint}; to add it as a new one write +{key}"
    return f"{line}: {first_sentence(cause if isinstance(cause, OmegaConfBaseException) else error)}"


def key_of(line: str) -> str:
    """The part before the first `=` of an override: all of it for a deletion."""
    return line.partition("=")[0]


def first_sentence(error: Exception) -> str:
    """An error's text without its layout and the hints that address Hydra's developers."""
    lines = (line.strip() for line in str(error).splitlines())
    kept = [line for line in lines if line and not line.startswith(_SKIPPED)]
    if isinstance(error, KeyError) and not isinstance(error, OmegaConfBaseException):
        kept.insert(0, "KeyError:")  # its text is the key alone
    return " ".join(kept) or type(error).__name__


def list_keys(config: DictConfig) -> Iterator[str]:
    """The dotted keys that an app's overrides can name, config groups included; Hydra's own are left out."""
    yield from (str(group) for group in config.hydra.runtime.choices if not str(group).startswith("hydra/"))
    plain = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]))
    yield from _paths(plain, "")


def _paths(node: object, prefix: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from _paths(value, f"{prefix}{key}.")


def _alike(key: str, keys: Collection[str]) -> list[str]:
    """Keys that a misspelt one may stand for: the same last part elsewhere, or a neighbour of nearly its letters."""
    parent, _, last = key.rpartition(".")
    elsewhere = [other for other in keys if other.rpartition(".")[2] == last and other != key]
    if elsewhere:
        return get_close_matches(key, elsewhere, 1) or elsewhere[:3]
    neighbours = {other.rpartition(".")[2]: other for other in keys if other.rpartition(".")[0] == parent}
    if neighbours:
        return [neighbours[name] for name in get_close_matches(last, neighbours, 1)]
    return get_close_matches(key, list(keys), 1)


def _did_you_mean(names: Collection[str]) -> str:
    return f", did you mean {' or '.join(names)}?" if names else ""
