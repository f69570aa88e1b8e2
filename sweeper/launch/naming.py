"""The names of slots that outlive their driver, by which the next driver of the study finds them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection

from sweeper.launch.slot import NAMESPACE


def names_of(sweep: str) -> Callable[[], str]:
    """Gives each new slot of a sweep its name."""
    numbers = itertools.count()
    return lambda: f"{_prefix(sweep)}{next(numbers)}"


def sweep_of(name: str) -> str:
    """The sweep whose driver made the slot."""
    return name.removeprefix("slot-").rpartition("-")[0]


def named(sweeps: Collection[str]) -> list[str]:
    """The names of the slots that these sweeps have on the cluster that this process has joined."""
    from ray.util import list_named_actors

    actors: list[dict[str, str]] = list_named_actors(all_namespaces=True)
    prefixes = tuple(map(_prefix, sweeps))
    return [a["name"] for a in actors if a["namespace"] == NAMESPACE and a["name"].startswith(prefixes)]


def _prefix(sweep: str) -> str:
    return f"slot-{sweep}-"
