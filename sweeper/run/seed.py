"""Seeds the random generators of a process: those there are, and numpy's and torch's when they are imported later."""

from __future__ import annotations

import importlib.abc
import os
import random
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_GENERATORS = {"numpy.random": "numpy", "torch": "torch"}  # the module that must be there -> the name it is known by
_NUMPY_LIMIT = 2**32

_seed: int | None = None
_seeded: dict[str, int] = {}


def seed_everything(seed: int) -> None:
    """Seed random, numpy and torch (all devices), and PYTHONHASHSEED for child processes.

    What is not imported yet is seeded when it is: nothing is imported for it. numpy and PYTHONHASHSEED take the seed
    modulo 2**32. A later call replaces an earlier one.
    """
    global _seed
    _seed = seed
    os.environ["PYTHONHASHSEED"] = str(seed % _NUMPY_LIMIT)
    random.seed(seed)
    _seeded["random"] = seed
    for module in _GENERATORS:
        if module in sys.modules:
            _seed_generator(module)
    if _seed_when_imported not in sys.meta_path:
        sys.meta_path.insert(0, _seed_when_imported)


def seeds() -> Mapping[str, int]:
    """Which generators have been seeded here, and with what."""
    return dict(_seeded)


def _seed_generator(module: str) -> None:
    if _seed is None:
        return
    if module == "torch":
        sys.modules["torch"].manual_seed(_seed)  # CUDA's too; where CUDA is not up yet, torch keeps it until then
    else:
        sys.modules["numpy.random"].seed(_seed % _NUMPY_LIMIT)
    _seeded[_GENERATORS[module]] = _seed


class _SeedWhenImported(importlib.abc.MetaPathFinder):
    """Stands before all other finders, asks them, and has the generators' modules loaded by a loader that seeds."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _GENERATORS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _SeedingLoader(spec.loader)
                return spec
        return None


_seed_when_imported = _SeedWhenImported()


class _SeedingLoader(importlib.abc.Loader):
    """Loads a module as its own loader does, gives it that loader back, and seeds it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _seed_generator(module.__name__)
