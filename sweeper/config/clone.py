"""Copies of a config, node by node: the same tree as unpickling makes, several times as quickly.

Each trial gets a copy of a config that was composed once. Measured for a small app's config, Hydra's own node in it
(114 nodes): `copy.deepcopy` 2.6 ms, `pickle.loads` 0.6 ms, `clone` 0.3 ms; three times as long each in a busy driver.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, Node

if TYPE_CHECKING:
    from omegaconf.base import Metadata

_UNCHANGEABLE = (str, int, float, bool, bytes, type(None), Enum, PurePath)


def clone(config: DictConfig) -> DictConfig:
    """A copy that shares nothing that can change, with no parent."""
    copied: DictConfig = _clone(config, None)
    return copied


def _clone(node: Any, parent: Node | None) -> Any:
    new: Any = object.__new__(type(node))
    inside = new.__dict__
    inside.update(node.__dict__, _parent=parent, _flags_cache=None, _metadata=_own(node._metadata))
    if "_content" in inside:
        inside["_content"] = _content(inside["_content"], new)
    else:
        inside["_val"] = _value(inside["_val"])
    return new


def _content(content: Any, parent: Node) -> Any:
    """What lies in a container: nodes, or the text of an interpolation, or nothing."""
    if isinstance(content, dict):
        return {key: _clone(node, parent) for key, node in content.items()}
    if isinstance(content, list):
        return [_clone(node, parent) for node in content]
    return _clone(content, parent) if isinstance(content, Node) else content


def _value(value: object) -> object:
    return value if isinstance(value, _UNCHANGEABLE) else copy.deepcopy(value)


def _own(metadata: Metadata) -> Metadata:
    new: Metadata = object.__new__(type(metadata))
    flags = None if metadata.flags is None else dict(metadata.flags)
    answers = copy.deepcopy(metadata.resolver_cache) if metadata.resolver_cache else defaultdict(dict)
    new.__dict__.update(metadata.__dict__, flags=flags, resolver_cache=answers)
    return new
