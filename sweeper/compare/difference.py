"""One key under which runs differ, and how much that tells: a changed parameter before a changed kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.provenance.package import without_own_code


class _Absent:
    """Stands for a key that a run does not have; None is a value like any other."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()

# From what most often explains another score to what hardly ever does.
SECTIONS = ("config", "code", "data", "seed", "packages", "frameworks", "GPU", "determinism", "machine", "place")

# Packages whose version changes numbers; others mostly change how they are computed, if that.
_NUMERIC = re.compile(
    r"(torch.*|jax.*|flax|optax|tensorflow.*|keras|numpy|scipy|scikit-learn|xgboost|lightgbm|catboost|transformers"
    r"|lightning|pytorch-lightning|triton|nvidia-.*|cupy.*|pandas|polars|optuna|datasets|tokenizers|accelerate)"
)
_OF_ENVIRONMENT = {
    "packages": "packages",
    "origins": "packages",
    "locks": "packages",
    "conda": "packages",
    "frameworks": "frameworks",
    "blas": "frameworks",
    "gpus": "GPU",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A key and its value in each run, in the order of the runs; ABSENT where a run does not have it."""

    section: str
    key: str
    values: tuple[Any, ...]
    is_param: bool = False  # whether the sampler chose it

    @property
    def is_equal(self) -> bool:
        return all(_same(value, self.values[0]) for value in self.values)


def config_differences(configs: Sequence[Mapping[str, Any]], params: Sequence[str] = ()) -> list[Difference]:
    """Every dotted key of resolved configs with its values, those that were swept first."""
    swept = {name.lstrip("+") for name in params}  # Hydra's `+key` adds a key
    rows = [Difference("config", key, values, key in swept) for key, values in _aligned(configs)]
    return sorted(rows, key=lambda row: not row.is_param)


def environment_differences(documents: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Every key of environments, as sweeper.provenance.environment lays them out, under the section it belongs to."""
    return [
        Difference(_OF_ENVIRONMENT.get(key.partition(".")[0], "machine"), _shown(key), values)
        for key, values in _aligned(without_own_code(documents))
    ]


def determinism_differences(states: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Seeds and flags; the fingerprints of generators are left out, because they follow from the seeds."""
    found = [{key: value for key, value in state.items() if key != "generators"} for state in states]
    return [Difference("determinism", key, values) for key, values in _aligned(found)]


def ranked(differences: Sequence[Difference]) -> list[Difference]:
    """Most telling first; equals stay in the order that they came in."""
    return sorted(differences, key=_rank)


def _rank(row: Difference) -> tuple[int, int]:
    within = 0
    if row.section == "config":
        within = 0 if row.is_param else 1
    elif row.section == "packages":
        within = _distance(row.values) if _NUMERIC.fullmatch(row.key) else 10 + _distance(row.values)
    return SECTIONS.index(row.section), within


def _distance(versions: Sequence[Any]) -> int:
    """0 where a major version differs or a package is missing, 1 for a minor one, 2 for what is behind it."""
    if any(not isinstance(version, str) for version in versions):
        return 0
    numbers = [re.findall(r"\d+", version)[:2] for version in versions]
    if len({tuple(found[:1]) for found in numbers}) > 1:
        return 0
    return 1 if len({tuple(found) for found in numbers}) > 1 else 2


def _shown(key: str) -> str:
    first, dot, rest = key.partition(".")
    return rest if first == "packages" and dot else key


def _aligned(mappings: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    flat = [dict(flattened(mapping)) for mapping in mappings]
    parents = {key[:i] for found in flat for key in found for i, c in enumerate(key) if c == "."}
    for key in dict.fromkeys(key for found in flat for key in found):
        values = tuple(found.get(key, ABSENT) for found in flat)
        # A mapping that is empty in one and not in another is told by what the other has in it
        if key not in parents or ABSENT not in values or any(value not in ({}, ABSENT) for value in values):
            yield key, values


def flattened(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and what stands under them; a list is one value, and so is an empty mapping."""
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _same(a: Any, b: Any) -> bool:
    """Equal, and of one kind: 1, 1.0 and True are three values; NaN is itself."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    return bool(a == b) or (a != a and b != b)
