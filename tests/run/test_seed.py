"""Seeds reach every generator, those that are imported later as well."""

from __future__ import annotations

import subprocess
import sys


def numbers(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_numpy_imported_after_the_seed_is_seeded_when_it_is_imported() -> None:
    before = "import numpy, sweeper; sweeper.seed_everything(7); print(numpy.random.rand())"
    after = "import sweeper; sweeper.seed_everything(7); import numpy; print(numpy.random.rand())"
    within = "import sweeper; sweeper.seed_everything(7); from numpy.random import rand; print(rand())"
    assert numbers(before) == numbers(after) == numbers(within)


def test_the_loader_of_a_seeded_module_is_its_own() -> None:
    program = """
import sys, sweeper
sweeper.seed_everything(7)
import numpy.random
assert type(numpy.random.__loader__).__name__ == "SourceFileLoader", numpy.random.__loader__
assert numpy.random.__spec__.loader is numpy.random.__loader__
"""
    assert numbers(program) == []


def test_a_later_seed_holds_for_what_is_imported_later() -> None:
    seeded = "import sweeper; sweeper.seed_everything({}); sweeper.seed_everything(8)"
    program = f"{seeded}; import numpy; print(numpy.random.rand())"
    assert numbers(program.format(1)) == numbers(program.format(2))


def test_a_torch_that_comes_later_gets_the_seed() -> None:
    program = """
import sys, types, importlib.abc, importlib.machinery
import sweeper
seeds = []
class Loader(importlib.abc.Loader):
    def create_module(self, spec): return None
    def exec_module(self, module): module.manual_seed = seeds.append
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, Loader()) if name == "torch" else None
sys.meta_path.insert(0, Finder())
sweeper.seed_everything(2**40 + 5)
import torch
print(seeds[0])
from sweeper.run.seed import seeds as known
print(known()["torch"])
"""
    assert numbers(program) == [str(2**40 + 5)] * 2


def test_children_get_the_hash_seed() -> None:
    program = "import os, sweeper; sweeper.seed_everything(2**32 + 9); print(os.environ['PYTHONHASHSEED'])"
    assert numbers(program) == ["9"]
